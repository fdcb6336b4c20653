"""What Reage reads from Nuke and makes in it, against the strict fake."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_nuke
import pytest
from fake_nuke import State

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "nuke_plugin"))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.delenv("OCIO", raising=False)
    with fake_nuke.installed() as state:
        yield state


@pytest.fixture
def nuke(session: State) -> Any:
    import nuke

    return nuke


@pytest.fixture
def host(session: State) -> ModuleType:
    from reage_nuke import host

    return host


def sequence(folder: Path, *frames: int, name: str = "a") -> str:
    """Empty files of some frames; their pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        (folder / f"{name}.{frame:04d}.exr").touch()
    return f"{folder.as_posix()}/{name}.%04d.exr"


def read(nuke: Any, **given: Any) -> Any:
    """A selected Read."""
    node = nuke.nodes.Read(**given)
    node.setSelected(True)
    return node


# ---- the session -----------------------------------------------------------------------------------------------------


def test_nuke_is_asked_who_and_where_it_is(nuke: Any, host: ModuleType) -> None:
    nuke.frame(1042)
    assert (host.version(), host.is_gui(), host.current_frame()) == ("15.0v1", True, 1042)
    assert host.script_folder() == host.project_folder() == ""
    nuke.root()["name"].setValue("/shots/sh010/comp.nk")
    assert host.script_folder() == host.project_folder() == "/shots/sh010"


@pytest.mark.parametrize(
    ("text", "folder"),
    [("/proj/", "/proj"), ("sub", "/shots/sh010/sub"), ("[getenv PROJ]", "/from/env"), ("D:\\proj", "D:/proj")],
)
def test_the_project_directory_is_evaluated_by_nuke(
    session: State, nuke: Any, host: ModuleType, text: str, folder: str
) -> None:
    session.tcl["[getenv PROJ]"] = "/from/env"
    nuke.root()["name"].setValue("/shots/sh010/comp.nk")
    nuke.root()["project_directory"].setValue(text)
    assert host.project_folder() == folder


def test_the_config_is_that_of_the_environment_the_script_or_nuke(
    nuke: Any, host: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = nuke.root()
    monkeypatch.setenv("OCIO", "/env/config.ocio")
    assert host.project_ocio() is None  # Nuke's own curves
    root["colorManagement"].setValue("OCIO")
    assert host.project_ocio() == "/env/config.ocio"
    monkeypatch.delenv("OCIO")
    assert host.project_ocio() is None  # not found on this disk
    folder = tmp_path / "OCIOConfigs" / "configs"
    (folder / "aces_1.2").mkdir(parents=True)
    (folder / "aces_1.2" / "config.ocio").touch()
    (folder / "nuke-default.ocio").touch()
    nuke.pluginAddPath(tmp_path.as_posix(), addToSysPath=False)
    assert host.project_ocio() == f"{folder.as_posix()}/nuke-default.ocio"
    root["OCIO_config"].setValue("aces_1.2")
    assert host.project_ocio() == f"{folder.as_posix()}/aces_1.2/config.ocio"
    root["OCIO_config"].setValue("custom")
    assert host.project_ocio() is None
    root["customOCIOConfigPath"].setValue("/studio/config.ocio")
    assert host.project_ocio() == "/studio/config.ocio"


# ---- reading Reads ---------------------------------------------------------------------------------------------------


def test_nothing_selected_is_no_plate(nuke: Any, host: ModuleType) -> None:
    nuke.nodes.Read(file="/p/a.%04d.exr")
    assert host.selected_plates() == []
    nuke.nodes.NoOp().setSelected(True)
    assert host.selected_plates() == []


def test_selected_reads_come_from_left_to_right_and_those_switched_off_not(nuke: Any, host: ModuleType) -> None:
    for name, x, y in (("B", 300, 0), ("A", 0, 500), ("C", 300, 100)):
        node = read(nuke, file="/p/a.%04d.exr", name=name)
        node.setXYpos(x, y)
    read(nuke, file="/p/a.%04d.exr", name="off")["disable"].setValue(True)
    assert [plate.node for plate in host.selected_plates()] == ["A", "B", "C"]
    assert host.plate("off") is host.plate("gone") is None
    nuke.delete(nuke.toNode("A"))
    assert host.plate("A") is None
    assert host.plate("B").x == 300


def test_a_read_deleted_meanwhile_is_off(nuke: Any, host: ModuleType) -> None:
    node = read(nuke, file="/p/a.%04d.exr")
    nuke.delete(node)
    assert host._is_off(node)


def test_a_read_is_read_as_a_whole(session: State, nuke: Any, host: ModuleType, tmp_path: Path) -> None:
    pattern = sequence(tmp_path, 1001, 1002, 1005, 1008)
    session.formats[pattern] = nuke.Format(1828, 1332, 2.0)
    nuke.root()["name"].setValue("/shots/comp.nk")
    nuke.frame(5)
    node = read(
        nuke, file=pattern, first=1001, last=1006, before="loop", after="black", frame_mode="start at", frame="1",
        colorspace="AlexaV3LogC", raw=False, premultiplied=True, proxy="/p/small.%04d.exr",
    )  # fmt: skip
    node.setXYpos(40, -70)
    (plate,) = host.selected_plates()
    assert (plate.node, plate.file, plate.first, plate.last) == ("Read1", pattern, 1001, 1006)
    assert (plate.before, plate.after, plate.frame_mode, plate.frame) == ("loop", "black", "start at", "1")
    assert (plate.colorspace, plate.raw, plate.premultiplied) == ("AlexaV3LogC", False, True)
    assert (plate.missing, plate.lowest, plate.highest, plate.shown) == ([1003, 1004, 1006], 1001, 1008, 1005)
    assert (plate.width, plate.height, plate.pixel_aspect, plate.x, plate.y) == (1828, 1332, 2.0, 40, -70)
    assert (plate.fps, plate.proxy, plate.folder, plate.movie) == (24.0, "/p/small.%04d.exr", "/shots", False)
    assert (plate.managed, plate.working_space, plate.views) == (False, "linear", {})


def test_the_full_size_plate_counts_in_proxy_mode(nuke: Any, host: ModuleType) -> None:
    read(nuke, file="/p/full.%04d.exr", proxy="/p/half.%04d.exr")
    nuke.root()["proxy"].setValue(True)
    (plate,) = host.selected_plates()
    assert (plate.file, plate.shown) == ("/p/full.%04d.exr", None)
    nuke.toNode("Read1")["proxy"].setValue("/p/half/full.%04d.exr")
    assert host.selected_plates()[0].shown == 1


def test_a_relative_file_is_relative_to_the_project(nuke: Any, host: ModuleType) -> None:
    nuke.root()["project_directory"].setValue("/proj")
    read(nuke, file="plates/a.####.exr")
    assert host.selected_plates()[0].file == "/proj/plates/a.%04d.exr"


def test_a_movie_has_no_missing_frames(nuke: Any, host: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "clip.mov").touch()
    read(nuke, file=f"{tmp_path.as_posix()}/clip.mov", first=1, last=48)
    (plate,) = host.selected_plates()
    assert (plate.movie, plate.missing, plate.shown, plate.colorspace) == (True, [], None, "sRGB")


def test_views_of_several_files_are_told_apart(session: State, nuke: Any, host: ModuleType) -> None:
    session.views[:] = ["left", "right"]
    read(nuke, file="/p/%V/a_%v.%04d.exr", name="stereo")
    read(nuke, file="/p/mono.%04d.exr", name="mono").setXYpos(100, 0)
    stereo, mono = host.selected_plates()
    assert stereo.views == {"left": "/p/left/a_l.%04d.exr", "right": "/p/right/a_r.%04d.exr"}
    assert stereo.file == "/p/left/a_l.%04d.exr"
    assert mono.views == {}


def test_text_in_a_file_is_evaluated_by_nuke_or_told(session: State, nuke: Any, host: ModuleType) -> None:
    session.tcl["[getenv SHOT]"] = "sh010"
    read(nuke, file="/p/[getenv SHOT]/a.%04d.exr")
    assert host.selected_plates()[0].file == "/p/sh010/a.%04d.exr"
    session.tcl.clear()
    with pytest.raises(host.KnobError, match="Read1: Nuke cannot evaluate its file"):
        host.selected_plates()


@pytest.mark.parametrize(
    ("value", "space"), [("default", "linear"), ("default (sRGB)", "sRGB"), ("ACES/ACEScg", "ACEScg")]
)
def test_a_colour_space_is_a_name_of_the_config(nuke: Any, host: ModuleType, value: str, space: str) -> None:
    node = read(nuke, file="/p/a.%04d.exr")
    node["colorspace"].setValues([value])
    assert host.selected_plates()[0].colorspace == space


def test_a_branch_that_is_no_read_can_be_written_in_one_step(session: State, nuke: Any, host: ModuleType) -> None:
    assert host.branch_selected() is None
    read(nuke, file="/p/a.%04d.exr")
    nuke.nodes.StickyNote().setSelected(True)
    assert host.branch_selected() is None
    grade = nuke.nodes.Grade()
    grade.setXYpos(10, 20)
    grade.setSelected(True)
    name = host.branch_selected()
    assert name == "Grade1"
    made = nuke.toNode(host.make_write(name, "/o/grade_v001.%04d.exr"))
    assert (made.Class(), made.input(0), made.xpos()) == ("Write", grade, 10)
    assert (made["file"].value(), made["file_type"].value(), made["channels"].value()) == (
        "/o/grade_v001.%04d.exr", "exr", "all",
    )  # fmt: skip
    assert session.undo_done == ["Re-age: Write"]
    with pytest.raises(host.KnobError, match="gone"):
        host.make_write("Grade9", "/o/a.%04d.exr")


# ---- animated ages ---------------------------------------------------------------------------------------------------


def test_animated_numbers_are_offered_and_sampled(session: State, nuke: Any, host: ModuleType) -> None:
    made = host.make_age_knob()
    assert made == "ReageAge1.reage_age"
    assert session.undo_done == ["Re-age: age to animate"]
    assert host.animated_knobs() == []
    knob = nuke.toNode("ReageAge1")["reage_age"]
    assert knob.value() == 70.0
    knob.setValueAt(30, 1001)
    knob.setValueAt(70, 1011)
    assert host.animated_knobs() == ["ReageAge1.reage_age"]
    assert host.sample_knob(made, [1001, 1006, 1020]) == {1001: 30.0, 1006: 50.0, 1020: 70.0}


def test_a_knob_by_expression_is_animated_and_a_colour_is_no_age(nuke: Any, host: ModuleType) -> None:
    grade = nuke.nodes.Grade()
    grade["multiply"].setValueAt(2, 1)
    grade.setSelected(True)
    noop = nuke.nodes.NoOp()
    noop.addKnob(nuke.Double_Knob("age", "age"))
    noop["age"].setExpression("frame")
    assert host.animated_knobs() == ["NoOp1.age"]
    assert host.sample_knob("NoOp1.age", [33]) == {33: 33.0}
    with pytest.raises(host.KnobError, match="not a single number"):
        host.sample_knob("Grade1.multiply", [1])


@pytest.mark.parametrize("name", ["NoOp9.age", "NoOp1.nope", "age", ""])
def test_a_knob_that_is_not_there_is_told(nuke: Any, host: ModuleType, name: str) -> None:
    nuke.nodes.NoOp()
    with pytest.raises(host.KnobError, match="no such knob"):
        host.sample_knob(name, [1])


# ---- state -----------------------------------------------------------------------------------------------------------


def test_the_panels_state_is_kept_in_the_script(session: State, nuke: Any, host: ModuleType) -> None:
    state = {"age": "70", "output": '/o/[python {1}]/"a".%04d.exr', "regions": {"eyes": 0.5}}
    assert host.load_state() == {}
    host.save_state(state)
    assert host.load_state() == state
    knob = nuke.root()["reage_state"]
    assert knob.getFlag(nuke.INVISIBLE)
    assert set(knob.value()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    assert session.undo_done == []
    host.save_state({})
    assert host.load_state() == {}


def test_an_unchanged_state_does_not_touch_the_script(nuke: Any, host: ModuleType, monkeypatch: Any) -> None:
    host.save_state({"age": "70"})
    monkeypatch.setattr(type(nuke.root()["reage_state"]), "setValue", None)
    host.save_state({"age": "70"})


@pytest.mark.parametrize("text", ["", "x", "!!!!", "{}", base64.b64encode(b"[1]").decode(), "/w=="])
def test_a_state_that_cannot_be_read_is_none(nuke: Any, host: ModuleType, text: str) -> None:
    nuke.root().addKnob(nuke.String_Knob("reage_state", "", text))
    assert host.load_state() == {}


def test_scripts_that_are_opened_are_told(session: State, host: ModuleType) -> None:
    host.on_script_load(print)
    assert session.script_load == [print]
    host.off_script_load(print)
    assert session.script_load == []


# ---- results ---------------------------------------------------------------------------------------------------------


def result(**given: Any) -> dict[str, Any]:
    return {"path": "/o/a_v001.%04d.exr", "first": 1001, "last": 1010, "age": "70", "comp": False, **given}


def test_a_result_stands_beside_its_plate_and_reads_like_it(session: State, nuke: Any, host: ModuleType) -> None:
    source = read(
        nuke, file="/p/a.%04d.exr", first=1001, last=1010, before="black", after="loop", frame_mode="start at",
        frame="1", colorspace="AlexaV3LogC", premultiplied=True,
    )  # fmt: skip
    source.setXYpos(200, 50)
    (plate,) = host.selected_plates()
    (name,) = host.create_result(plate, [result(first=1003, last=1008)])
    made = nuke.toNode(name)
    assert made.Class() == "Read"
    assert made["file"].value() == "/o/a_v001.%04d.exr"
    assert [made[knob].value() for knob in ("first", "last", "origfirst", "origlast")] == [1003, 1008, 1003, 1008]
    timing = ["before", "after", "frame_mode", "frame"]
    assert [made[knob].value() for knob in timing] == ["black", "loop", "start at", "3"]
    assert [made[knob].value() for knob in ("colorspace", "raw", "premultiplied")] == ["AlexaV3LogC", False, True]
    assert (made.xpos(), made.ypos(), made.inputs()) == (310, 50, 0)
    assert made["label"].value() == "re-aged 70"
    assert session.undo_done == ["Re-age: result"]
    assert nuke.selectedNodes() == [source]
    nuke.frame(4)
    assert nuke.filename(made, nuke.REPLACE) == "/o/a_v001.1004.exr"
    assert nuke.filename(source, nuke.REPLACE) == "/p/a.1004.exr"


def test_a_raw_plate_has_a_raw_result(nuke: Any, host: ModuleType) -> None:
    read(nuke, file="/p/a.%04d.exr", raw=True)
    made = nuke.toNode(host.create_result(host.selected_plates()[0], [result()])[0])
    assert (made["raw"].value(), made["colorspace"].value()) == (True, "default")


def test_several_ages_stand_side_by_side_in_one_step(session: State, nuke: Any, host: ModuleType) -> None:
    read(nuke, file="/p/a.%04d.exr").setXYpos(0, 0)
    made = host.create_result(host.selected_plates()[0], [result(age="20"), result(age="60")])
    assert [nuke.toNode(name).xpos() for name in made] == [110, 220]
    assert len(session.undo_done) == 1


def test_a_result_comes_also_where_its_plate_is_gone(nuke: Any, host: ModuleType) -> None:
    node = read(nuke, file="/p/a.%04d.exr")
    node.setXYpos(500, 600)
    (plate,) = host.selected_plates()
    nuke.delete(node)
    (name,) = host.create_result(plate, [result(comp=True)])
    assert (nuke.toNode(name).xpos(), nuke.toNode(name).ypos()) == (610, 600)


def test_a_comp_is_wired_between_plate_and_result_with_the_gains(session: State, nuke: Any, host: ModuleType) -> None:
    nuke.pluginAddPath(str(ROOT / "gizmos"))
    source = read(nuke, file="/p/a.%04d.exr")
    other = nuke.nodes.Grade()
    other.setSelected(True)
    gains = {"strength": 0.5, "detail": 1.5, "eyes": 0.0, "no such knob": 3.0}
    names = host.create_result(host.selected_plates()[0], [result(comp=True, gains=gains)])
    rendered, comp = (nuke.toNode(name) for name in names)
    assert (comp.input(0), comp.input(1), comp.inputs()) == (source, rendered, 2)
    assert [comp[name].value() for name in ("strength", "detail", "eyes", "mix")] == [0.5, 1.5, 0.0, 1.0]
    assert set(nuke.selectedNodes()) == {source, other}
    assert len(session.undo_done) == 1


def test_a_result_that_fails_half_way_leaves_nothing(session: State, nuke: Any, host: ModuleType) -> None:
    source = read(nuke, file="/p/a.%04d.exr")
    with pytest.raises(ValueError):
        host.create_result(host.selected_plates()[0], [result(), result(last="x")])
    assert nuke.allNodes() == [source]
    assert (session.undo_done, session.undo_cancelled) == ([], 1)


def test_a_comp_without_its_gizmo_leaves_the_result_and_says_so(session: State, nuke: Any, host: ModuleType) -> None:
    source = read(nuke, file="/p/a.%04d.exr")
    (name,) = host.create_result(host.selected_plates()[0], [result(comp=True)])
    assert nuke.toNode(name).Class() == "Read"
    assert nuke.selectedNodes() == [source]
    assert "ReageApply cannot be made" in session.said[0]


def test_results_are_read_again(nuke: Any, host: ModuleType) -> None:
    node = nuke.nodes.Read()
    nuke.nodes.Dot()
    host.reload(["Read1", "gone", "Dot1"])
    assert node._pressed == ["reload"]


# ---- windows and threads ---------------------------------------------------------------------------------------------


def test_words_go_to_the_artist_or_to_the_terminal(session: State, host: ModuleType, capsys: Any) -> None:
    session.answers[:] = [True, False]
    host.message("one")
    assert [host.ask("two"), host.ask("three")] == [True, False]
    assert session.said == ["one", "two", "three"]
    with fake_nuke.installed(gui=False):
        from reage_nuke import host as headless

        headless.message("four")
        assert headless.ask("five") is False
    assert capsys.readouterr().out == "reage: four\n"


def test_a_thread_gets_what_the_main_thread_gives_or_raises(nuke: Any, host: ModuleType) -> None:
    nuke.nodes.Read()
    told: list[Any] = []

    def work() -> None:
        told.append(host.in_main_thread(lambda name: nuke.toNode(name).Class(), "Read1"))
        told.append(host.in_main_thread(lambda: None))
        try:
            host.in_main_thread(lambda: 1 / 0)
        except ZeroDivisionError as error:
            told.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    fake_nuke.pump(lambda: not thread.is_alive())
    assert told[:2] == ["Read", None]
    assert isinstance(told[2], ZeroDivisionError)
    assert host.in_main_thread(lambda: 7) == 7


def test_without_a_window_a_thread_does_it_itself() -> None:
    """Nobody would take the call up, and no node is touched by what is called then."""
    with fake_nuke.installed(gui=False):
        from reage_nuke import host

        told: list[int] = []
        thread = threading.Thread(target=lambda: told.append(host.in_main_thread(lambda: 7)))
        thread.start()
        thread.join()
    assert told == [7]


def test_a_dialog_asks_with_nukes_own_knobs(session: State, host: ModuleType) -> None:
    fields = [
        host.Field("age", "age", "70"),
        host.Field("layers", "layers", True),
        host.Field("mode", "mode", "replace", choices=("change", "replace")),
    ]

    def fill(panel: Any) -> bool:
        panel.knobs()["age"].setValue("33")
        return True

    session.dialogs[:] = [fill, lambda panel: False]
    assert host.ask_values("Reage", fields) == {"age": "33", "layers": True, "mode": "replace"}
    assert host.ask_values("Reage", fields) is None


def test_a_bar_shows_whole_parts_of_a_hundred(session: State, host: ModuleType) -> None:
    bar = host.Progress("Reage")
    for share in (None, 0.0, 0.126, 1.0, 1.7, -1.0):
        bar.show("frame 1", share)
    (task,) = session.tasks
    assert task._progress == [0, 0, 12, 100, 100, 0]
    assert bar.cancelled() is False


def test_a_gizmo_that_is_not_there_is_told_with_what_to_do(session: State, host: ModuleType) -> None:
    host.create_gizmo("ReageApply")
    assert "gizmos" in session.said[0]
