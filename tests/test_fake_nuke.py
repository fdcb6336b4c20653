"""The rules of the fake Nuke, in the order of its own list; each would let a fault of the plug-in through."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fake_nuke
import pytest
from fake_nuke import Broken, State, api, ui
from fake_nuke.gizmo import read_gizmo, words_of
from fake_nuke.table import CLASSES

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = ROOT / "nuke_plugin"
GIZMOS = ROOT / "gizmos"
NOT_IN_TYPES_NUKE = {"PythonPanel", "registerWidgetAsPanel"}  # nukescripts: its own sources in Nuke 15


@pytest.fixture
def session() -> Iterator[State]:
    with fake_nuke.installed() as state:
        yield state


@pytest.fixture
def nuke(session: State) -> Any:
    import nuke

    return nuke


# ---- rule 1: names ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stubs() -> dict[str, ast.AST]:
    """Every name of types-nuke's module `nuke`: functions, constants and classes, with methods as `Class.method`."""
    found = importlib.util.find_spec("nuke-stubs")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs types-nuke")
    folder = Path(found.submodule_search_locations[0])
    names: dict[str, ast.AST] = {}
    for file in ("_nuke.pyi", "callbacks.pyi", "colorspaces.pyi", "executeInMain.pyi", "overrides.pyi", "utils.pyi",
                 "scripts.pyi"):  # fmt: skip
        names.update(_declared((folder / file).read_text(encoding="utf-8")))
    return names


def _declared(text: str) -> dict[str, ast.AST]:
    names: dict[str, ast.AST] = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names[node.name] = node
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    names.setdefault(f"{node.name}.{method.name}", method)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return names


def _bases(stubs: dict[str, ast.AST], name: str) -> Iterator[str]:
    """A class and those above it."""
    yield name
    for base in getattr(stubs.get(name), "bases", []):
        if isinstance(base, ast.Name):
            yield from _bases(stubs, base.id)


def _parameters(stub: ast.FunctionDef) -> list[str] | None:
    """Names of a stub's parameters without self; None where it says no more than *args."""
    if stub.args.vararg is not None:
        return None
    return [each.arg for each in stub.args.args if each.arg != "self"]


def _own(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def test_every_name_of_the_fake_is_nukes(stubs: dict[str, ast.AST]) -> None:
    assert not [name for name in api.__all__ if name not in stubs]


def test_functions_take_what_nukes_take(stubs: dict[str, ast.AST]) -> None:
    wrong = []
    for name in api.__all__:
        function, stub = getattr(api, name), stubs[name]
        if inspect.isfunction(function) and isinstance(stub, ast.FunctionDef):
            theirs = _parameters(stub)
            if theirs is not None and _own(function) != theirs[: len(_own(function))]:
                wrong.append((name, _own(function), theirs))
    # These are declared more than once, or with what Nuke puts in itself.
    overloaded = {"selectedNodes", "allNodes", "frame"}
    assert not [each for each in wrong if each[0] not in overloaded]


def test_methods_are_nukes_and_take_what_they_take(stubs: dict[str, ast.AST]) -> None:
    wrong = []
    for name in api.__all__:
        kind = getattr(api, name)
        for method in vars(kind) if inspect.isclass(kind) else ():
            if method.startswith("_"):
                continue
            found = [stubs[f"{base}.{method}"] for base in _bases(stubs, name) if f"{base}.{method}" in stubs]
            theirs = _parameters(found[0]) if found and isinstance(found[0], ast.FunctionDef) else None
            if not found or (theirs is not None and not set(_own(getattr(kind, method))) <= {*theirs, "time"}):
                wrong.append(f"{name}.{method}")
    assert not wrong


def test_menus_and_panels_are_nukes(stubs: dict[str, ast.AST]) -> None:
    for kind in (ui.Menu, ui.MenuItem):
        mine = [name for name in vars(kind) if not name.startswith("_")]
        assert all(f"Menu.{name}" in stubs or f"MenuItem.{name}" in stubs for name in mine)
    outside = {name for name in vars(fake_nuke.modules()["nukescripts"]) if not name.startswith("_")}
    outside |= {name for name in vars(fake_nuke.modules()["nukescripts.panels"]) if not name.startswith("_")}
    assert outside - {"panels"} == NOT_IN_TYPES_NUKE


def test_the_plugin_calls_nothing_that_nuke_does_not_have(stubs: dict[str, ast.AST]) -> None:
    files = [*PLUGIN.rglob("*.py"), *(ROOT / "tests" / "nuke_live").glob("check_*.py")]
    used = {
        (file.name, node.attr)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nuke"
    }
    assert len(used) > 20
    # nodes is an instance in the stubs; colorspaces is one of its modules.
    assert not [each for each in used if each[1] not in stubs and each[1] != "colorspaces"]


@pytest.mark.parametrize("name", ["getSequence", "addPluginPath", "NukeVersion", "math"])
def test_names_that_others_invented_are_not_there(nuke: Any, name: str) -> None:
    assert not hasattr(nuke, name)


# ---- rule 2: classes and knobs ---------------------------------------------------------------------------------------


def test_an_unknown_class_is_an_error(nuke: Any) -> None:
    with pytest.raises(RuntimeError):
        nuke.createNode("ReagApply")
    assert not hasattr(nuke.nodes, "Raed")


def test_an_unknown_knob_is_an_error_in_brackets_and_none_otherwise(nuke: Any) -> None:
    read = nuke.nodes.Read()
    assert read.knob("colourspace") is None
    with pytest.raises(NameError):
        read["colourspace"]
    with pytest.raises(NameError):
        nuke.nodes.Read(fille="/a.exr")


@pytest.mark.parametrize("value", ["start_at", "Start at", "", 3, None])
def test_an_enumeration_takes_its_own_words(nuke: Any, value: Any) -> None:
    read = nuke.nodes.Read()
    with pytest.raises(ValueError):
        read["frame_mode"].setValue(value)
    read["frame_mode"].setValue("start at")
    assert read["frame_mode"].value() == "start at"
    read["frame_mode"].setValue(2)
    assert read["frame_mode"].value() == "offset"


@pytest.mark.parametrize(
    ("knob", "value"),
    [("first", 1.0), ("first", "1"), ("file", 7), ("frame", 7), ("tile_color", -1), ("tile_color", 1 << 32),
     ("raw", "false"), ("xpos", "1")],
)  # fmt: skip
def test_values_of_a_wrong_kind_are_refused(nuke: Any, knob: str, value: Any) -> None:
    with pytest.raises(TypeError):
        nuke.nodes.Read()[knob].setValue(value)


def test_the_table_is_nukes(shared: Path) -> None:
    """Against the whole scan of 17.0v3; Root is not in it."""
    scan = {}
    for line in (shared / "reference" / "nuke_knobs_17.0v3.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, low, high, text = line.split("\t", 3)
        pairs = [each.split("=", 1) for each in text.split(";") if each]
        knobs = {pair[0].split(":")[0]: (pair[0].split(":")[1], pair[1:] and pair[1].split("|")) for pair in pairs}
        scan[name] = (int(low), int(high), knobs)
    everywhere = scan["*"][2]
    for kind, fact in CLASSES.items():
        if kind == "Root":
            continue
        least, most, knobs = scan[kind]
        assert (fact.least, fact.most) == (least, most), kind
        for knob in fact.knobs:
            type_name, values = {**everywhere, **knobs}[knob.name]
            assert knob.type == type_name, f"{kind}.{knob.name}"
            words = {each.strip() for each in knob.values} - {""}
            assert words <= {each.strip() for each in values or []}, f"{kind}.{knob.name}"


# ---- rules 3 to 6 ----------------------------------------------------------------------------------------------------


def test_no_selection_is_an_error_for_one_node_and_empty_for_many(nuke: Any) -> None:
    with pytest.raises(ValueError):
        nuke.selectedNode()
    assert nuke.selectedNodes() == nuke.selectedNodes("Read") == []


def test_there_are_no_menus_without_a_window() -> None:
    with fake_nuke.installed(gui=False):
        import nuke

        assert nuke.GUI is False
        for call in (nuke.menu, nuke.toolbar):
            with pytest.raises(RuntimeError):
                call("Nodes")
    with fake_nuke.installed():
        import nuke

        with pytest.raises(RuntimeError):
            nuke.menu("Nuk")


def test_nodes_belong_to_the_main_thread() -> None:
    with pytest.raises(Broken, match="off the main thread"), fake_nuke.installed():
        import nuke

        read = nuke.nodes.Read()

        def touch() -> None:
            with suppress(Broken):  # swallowed here, told at the end all the same
                read["file"].value()

        thread = threading.Thread(target=touch)
        thread.start()
        thread.join()


@pytest.mark.parametrize("name", ["executeInMainThread", "executeInMainThreadWithResult"])
def test_going_to_the_main_thread_from_there_would_hang(name: str) -> None:
    with pytest.raises(Broken, match="would hang"), fake_nuke.installed():
        import nuke

        getattr(nuke, name)(print)


def test_an_exception_on_the_way_is_swallowed_and_none_comes_back(nuke: Any, capsys: Any) -> None:
    answers = []

    def work() -> None:
        answers.append(nuke.executeInMainThreadWithResult(lambda: 1 / 0))
        answers.append(nuke.executeInMainThreadWithResult(lambda number: number + 1, 4))

    thread = threading.Thread(target=work)
    thread.start()
    fake_nuke.pump(lambda: not thread.is_alive())
    assert answers == [None, 5]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_deleted_node_is_an_error(nuke: Any) -> None:
    read = nuke.nodes.Read()
    knob = read["file"]
    nuke.delete(read)
    for call in (read.name, read.Class, knob.value, lambda: read["file"]):
        with pytest.raises(ValueError, match="not attached"):
            call()
    assert nuke.toNode("Read1") is None


# ---- rules 7 to 10 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kept", "replaced"),
    [
        ("/p/a.%04d.exr", "/p/a.%04d.exr", "/p/a.1003.exr"),
        ("/p/a.%6d.exr", "/p/a.%06d.exr", "/p/a.001003.exr"),
        ("/p/a.####.exr", "/p/a.%04d.exr", "/p/a.1003.exr"),
        ("/p/%V/a_%v.%d.exr", "/p/main/a_m.%d.exr", "/p/main/a_m.1003.exr"),
        ("[getenv P]/a.mov", "/evaluated/a.mov", "/evaluated/a.mov"),
    ],
)
def test_filename_knows_frames_hashes_and_views(session: State, nuke: Any, path: str, kept: str, replaced: str) -> None:
    session.tcl["[getenv P]"] = "/evaluated"
    read = nuke.nodes.Read(file=path, first=1001, last=1010)
    nuke.frame(1003)
    assert nuke.filename(read) == kept
    assert nuke.filename(read, nuke.REPLACE) == replaced
    assert nuke.filename(nuke.nodes.Read()) is None


def test_filename_follows_proxy_mode(nuke: Any) -> None:
    read = nuke.nodes.Read(file="/p/full.%04d.exr", proxy="/p/half.%04d.exr")
    assert nuke.filename(read) == "/p/full.%04d.exr"
    nuke.root()["proxy"].setValue(True)
    assert nuke.filename(read) == "/p/half.%04d.exr"


@pytest.mark.parametrize(
    ("mode", "frame", "timeline", "file"),
    [("start at", "1", 3, 1003), ("offset", "1000", 3, 1003), ("expression", "frame+1000", 3, 1003),
     ("expression", "1005", 3, 1005), ("expression", "", 3000, 1010)],
)  # fmt: skip
def test_filename_follows_the_frame_mode(nuke: Any, mode: str, frame: str, timeline: int, file: int) -> None:
    read = nuke.nodes.Read(file="/p/a.%04d.exr", first=1001, last=1010, frame_mode=mode, frame=frame)
    nuke.frame(timeline)
    assert nuke.filename(read, nuke.REPLACE) == f"/p/a.{file}.exr"


@pytest.mark.parametrize("steps", [["begin"], ["end"], ["cancel"], ["begin", "end", "end"], ["disable"], ["enable"]])
def test_undo_steps_that_do_not_balance_are_told(steps: list[str]) -> None:
    with pytest.raises(Broken, match=r"[uU]ndo"), fake_nuke.installed():
        import nuke

        for step in steps:
            getattr(nuke.Undo, step)()


def test_a_cancelled_step_leaves_nothing(session: State, nuke: Any) -> None:
    nuke.Undo.begin()
    nuke.nodes.Read()
    nuke.Undo.cancel()
    assert nuke.allNodes() == []
    assert session.undo_done == []


@pytest.mark.parametrize("value", [0.5, "1", True, 101, -1])
def test_a_progress_bar_takes_whole_numbers(value: Any) -> None:
    with pytest.raises(Broken), fake_nuke.installed():
        import nuke

        nuke.ProgressTask("Reage").setProgress(value)


def test_nothing_in_the_fake_answers_to_any_name() -> None:
    for file in Path(fake_nuke.__file__).parent.glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not names & {"Mock", "MagicMock", "__getattr__", "__getattribute__"}, file


@pytest.mark.parametrize("name", ["torch", "cv2", "numpy", "numpy.linalg"])
def test_nothing_heavy_is_imported_by_the_plugin(name: str) -> None:
    own = {"__name__": "reage_nuke.x", "__file__": str(PLUGIN / "reage_nuke" / "x.py")}
    with pytest.raises(Broken, match=name), fake_nuke.installed(), pytest.raises(ImportError):
        exec(f"import {name}", own)
    with fake_nuke.installed():
        exec("import numpy", {"__name__": "elsewhere", "__file__": "/elsewhere.py"})


# ---- gizmos ----------------------------------------------------------------------------------------------------------


def test_lists_are_read_as_tcl_reads_them() -> None:
    assert words_of('a {b {c d}} "e {f" g\\ h\n# no {word\n i') == ["a", "b {c d}", "e {f", "g\\ h", "i"]
    with pytest.raises(RuntimeError, match="not closed"):
        words_of("a {b {c}")


def test_a_gizmo_becomes_a_node_with_its_knobs_and_inputs(nuke: Any) -> None:
    nuke.pluginAddPath(str(GIZMOS))
    text = (
        "Group {\n inputs 2\n addUserKnob {20 tab l A}\n addUserKnob {7 mix l Mix R 0 1}\n mix 1\n"
        " addUserKnob {4 view M {result matte}}\n addUserKnob {41 size T Blur1.size}\n}\n"
        " Input {\n inputs 0\n }\n Input {\n inputs 0\n }\n Output {\n }\nend_group\n"
    )
    inputs, knobs = read_gizmo(text)
    assert inputs == 2
    assert [(each.name, each.type, each.default) for each in knobs] == [
        ("tab", "Tab", ""), ("mix", "Double", "1"), ("view", "Enumeration", "result"),
    ]  # fmt: skip
    for broken in (text.replace("end_group", ""), text.replace("Group {", "Grop {"), text[:40]):
        with pytest.raises(RuntimeError):
            read_gizmo(broken)


@pytest.mark.parametrize("file", sorted(GIZMOS.glob("*.gizmo")), ids=lambda file: file.stem)
def test_our_gizmos_become_nodes(nuke: Any, file: Path) -> None:
    nuke.pluginAddPath(str(GIZMOS))
    node = nuke.createNode(file.stem, inpanel=False)
    assert node.Class() == "Group"
    assert node.maxInputs() >= 1
