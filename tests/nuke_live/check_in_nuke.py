"""Does a real Nuke behave as Reage takes for granted? Run it with yours and send us what it prints.

    Nuke16.0 -t check_in_nuke.py [--exr /path/result.%04d.exr] [--no-render] [--no-worker] [--out FILE]

The non-commercial edition will do (`--nc -t`). Nothing is written but FILE, no script is touched. It prints one JSON
document, then a line a check and a last line; the exit status is 0 where nothing failed. A check that fails is not a
fault of Nuke's: it is a place where Reage, or the stand-in its tests use, is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nuke

ROOT = Path(globals().get("__file__") or sys.argv[0]).resolve().parents[2]
GIZMOS = sorted((ROOT / "gizmos").glob("Reage*.gizmo"))
MODULES = ("facts", "frames", "paths", "knobs", "host", "client", "session", "places", "farm", "fallback")
HEAVY = ("torch", "cv2", "numpy")


class Skip(Exception):
    """Why a check was not made."""


class Report:
    """Results as they come; a check that raises has failed."""

    def __init__(self) -> None:
        self.checks: list[dict[str, str]] = []

    def check(self, name: str, call: Callable[[], object]) -> None:
        """Make one check; nodes that it made and left are deleted."""
        before = set(_nodes())
        try:
            state, detail = "pass", call()
        except Skip as why:
            state, detail = "skip", why
        except Exception as error:
            state, detail = "FAIL", f"{type(error).__name__}: {error}"
        self.checks.append({"name": name, "state": state, "detail": "" if detail is None else str(detail)})
        for name_of_node, node in _nodes().items():
            if name_of_node not in before:
                nuke.delete(node)

    def failed(self) -> int:
        """How many failed."""
        return sum(check["state"] == "FAIL" for check in self.checks)


def _nodes() -> dict[str, Any]:
    return {node.name(): node for node in nuke.allNodes()}


def _same(seen: object, wanted: object) -> str:
    """Both, where they are equal.

    Raises:
        AssertionError: they are not.
    """
    if seen != wanted:
        raise AssertionError(f"{seen!r}, and Reage expects {wanted!r}")
    return repr(seen)


def _raised(call: Callable[[], object]) -> str:
    """The name of what a call raises."""
    try:
        return f"nothing; it gives {call()!r}"
    except Exception as error:
        return type(error).__name__


@contextlib.contextmanager
def _at_frame(frame: int) -> Iterator[None]:
    before = int(nuke.frame())
    nuke.frame(frame)
    try:
        yield
    finally:
        nuke.frame(before)


# ---- 1: who is it ----------------------------------------------------------------------------------------------------


def about() -> dict[str, Any]:
    """Versions and paths."""
    return {
        "nuke": nuke.NUKE_VERSION_STRING,
        "flavour": {name: bool(nuke.env[name]) for name in ("nukex", "studio", "hiero", "nc") if name in nuke.env},
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "qt": _version_of("PySide6") or _version_of("PySide2"),
        "ocio": _version_of("PyOpenColorIO"),
        "gui": bool(nuke.GUI),
        "plugin_path": list(nuke.pluginPath()),
        "executable": nuke.EXE_PATH,
    }


def _version_of(module: str) -> str:
    try:
        return f"{module} {__import__(module).__version__}"
    except Exception:
        return ""


# ---- 2: the plug-in's modules ----------------------------------------------------------------------------------------


def modules_load() -> str:
    """Every module that needs no Qt, and nothing heavy with it."""
    before = {name for name in HEAVY if name in sys.modules}
    for folder in ("nuke_plugin", "gizmos"):
        nuke.pluginAddPath((ROOT / folder).as_posix())
    for name in MODULES:
        __import__(f"reage_nuke.{name}")
    _same(sorted(name for name in HEAVY if name in sys.modules and name not in before), [])
    return f"{len(MODULES)} modules"


def panel_loads() -> str:
    """The panel's module, where Nuke has a window and so Qt's widgets."""
    if not nuke.GUI:
        raise Skip("no window; start Nuke without -t and run this in the Script Editor")
    __import__("reage_nuke.panel")
    return "reage_nuke.panel"


# ---- 3: the gizmos ---------------------------------------------------------------------------------------------------


def gizmo_loads(file: Path) -> str:
    """Class, user knobs and inputs are those of the file."""
    text = file.read_text(encoding="utf-8")
    node = nuke.createNode(file.stem, inpanel=False)
    wanted = re.findall(r"^ addUserKnob \{\d+ (\w+)", text, re.MULTILINE)
    _same(node.Class(), "Group")
    links = set(re.findall(r"^ addUserKnob \{41 (\w+)", text, re.MULTILINE))
    missing = [name for name in wanted if name not in links and node.knob(name) is None]
    _same(missing, [])
    _same(node.maxInputs(), len(re.findall(r"^ *Input \{", text, re.MULTILINE)))
    return f"{len(wanted)} knobs, {node.maxInputs()} inputs"


def gizmo_inside(file: Path) -> str:
    """As many nodes as the file names, none of them in error, every linked knob there."""
    text = file.read_text(encoding="utf-8")
    node: Any = nuke.createNode(file.stem, inpanel=False)
    inside = node.nodes()
    wanted = re.findall(r"^ (\w+) \{$", text, re.MULTILINE)
    _same(sorted(each.Class() for each in inside), sorted(wanted))
    _same([each.name() for each in inside if each.error()], [])
    for owner, knob in re.findall(r"^ addUserKnob \{41 .* T (\w+)\.(\w+)\}", text, re.MULTILINE):
        target = node.node(owner)
        _same(target is not None and target.knob(knob) is not None, True)
    return f"{len(inside)} nodes"


# ---- 4: what the tests take for granted ------------------------------------------------------------------------------


def missing_knob() -> str:
    """`[]` raises NameError, `knob()` gives None."""
    node = nuke.nodes.NoOp()
    _same(node.knob("nope"), None)
    return _same(_raised(lambda: node["nope"]), "NameError")


def no_selection() -> str:
    """`selectedNode()` raises ValueError, `selectedNodes` gives nothing."""
    for node in nuke.selectedNodes():
        node.setSelected(False)
    _same(list(nuke.selectedNodes("Read")), [])
    return _same(_raised(nuke.selectedNode), "ValueError")


def deleted_node() -> str:
    """Any use of it raises ValueError."""
    node = nuke.nodes.NoOp()
    nuke.delete(node)
    return _same(_raised(node.name), "ValueError")


def unknown_class() -> str:
    """`createNode` raises RuntimeError."""
    return _same(_raised(lambda: nuke.createNode("ReageNoSuchNode", inpanel=False)), "RuntimeError")


def menus_without_window() -> str:
    """`menu` raises RuntimeError."""
    if nuke.GUI:
        raise Skip("Nuke has a window")
    return _same(_raised(lambda: nuke.menu("Nodes")), "RuntimeError")


def enumerations() -> str:
    """The words of a Read's enumerations, and that another word changes nothing."""
    read: Any = nuke.nodes.Read()
    _same(list(read["frame_mode"].values()), ["expression", "start at", "offset"])
    for name in ("before", "after"):
        _same(list(read[name].values()), ["hold", "loop", "bounce", "black"])
    seen = _raised(lambda: read["frame_mode"].setValue("start_at"))
    _same(read["frame_mode"].value(), "expression")
    return f"a wrong word: {seen}"


def knob_types() -> str:
    """Whole numbers are told from fractions and texts."""
    read = nuke.nodes.Read()
    seen = [_raised(lambda: read["first"].setValue("x")), _raised(lambda: read["tile_color"].setValue(-1))]
    return f"first = 'x': {seen[0]}; tile_color = -1: {seen[1]}"


def file_names() -> str:
    """`filename` with and without REPLACE, and hashes."""
    read = nuke.nodes.Read(file="/nowhere/a.####.exr", first=1001, last=1010)
    _same(nuke.filename(nuke.nodes.Read()), None)
    _same(nuke.filename(read), "/nowhere/a.%04d.exr")
    with _at_frame(1003):
        return _same(nuke.filename(read, nuke.REPLACE), "/nowhere/a.1003.exr")


def frame_modes() -> str:
    """The file frame on show: "start at", "offset" and an expression."""
    for mode, frame in (("start at", "1"), ("offset", "1000"), ("expression", "frame+1000")):
        read = nuke.nodes.Read(file="/nowhere/a.%04d.exr", first=1001, last=1010, frame_mode=mode, frame=frame)
        with _at_frame(3):
            _same((mode, nuke.filename(read, nuke.REPLACE)), (mode, "/nowhere/a.1003.exr"))
    return "as in the reference"


def views_in_files() -> str:
    """`getEvaluatedValue` puts the view in and keeps the frame's token."""
    read: Any = nuke.nodes.Read(file="/nowhere/%V/a_%v.%04d.exr")
    view = nuke.views()[0]
    context = nuke.OutputContext()
    context.setView(context.viewFromName(view))
    return _same(read["file"].getEvaluatedValue(context), f"/nowhere/{view}/a_{view[:1]}.%04d.exr")


def user_text() -> str:
    """`fromUserText` takes a range off the end."""
    read: Any = nuke.nodes.Read()
    read["file"].fromUserText("/nowhere/a.%04d.exr 1001-1010")
    seen = [read[name].value() for name in ("file", "first", "last")]
    return _same(seen, ["/nowhere/a.%04d.exr", 1001, 1010])


def frame_ranges() -> str:
    """Nuke's own text of frames."""
    return _same(list(nuke.FrameRanges("1-10x2 20").toFrameList()), [1, 3, 5, 7, 9, 20])


def undo_steps() -> str:
    """One step may lie in another; a cancelled one leaves nothing."""
    nuke.Undo.begin()
    nuke.Undo.begin()
    nuke.Undo.name("inner")
    nuke.Undo.end()
    nuke.Undo.end()
    before = len(nuke.allNodes())
    nuke.Undo.begin()
    nuke.nodes.NoOp()
    nuke.Undo.cancel()
    return _same(len(nuke.allNodes()), before)


def progress_task() -> str:
    """A bar takes whole numbers and goes with its object."""
    if not nuke.GUI:
        raise Skip("no window")
    task = nuke.ProgressTask("Reage")
    task.setMessage("checking")
    task.setProgress(50)
    _same(bool(task.isCancelled()), False)
    del task
    return "look: is the bar gone?"


def root_knobs() -> str:
    """The script's knobs that Reage reads."""
    root: Any = nuke.root()
    wanted = ("project_directory", "colorManagement", "OCIO_config", "customOCIOConfigPath", "workingSpaceLUT",
              "floatLut", "int8Lut", "int16Lut", "logLut")  # fmt: skip
    missing = [name for name in wanted if root.knob(name) is None]
    _same([word in root["colorManagement"].values() for word in ("Nuke", "OCIO")], [True, True])
    _same(missing, [])
    return f"colorManagement {root['colorManagement'].value()}, {root['OCIO_config'].value()}"


def animated_number() -> str:
    """Keys of a user's number, read at other frames."""
    node = nuke.nodes.NoOp()
    node.addKnob(nuke.Double_Knob("age", "age"))
    knob: Any = node["age"]
    _same((bool(knob.isAnimated()), knob.arraySize()), (False, 1))
    knob.setAnimated()
    knob.setValueAt(30.0, 1001)
    knob.setValueAt(70.0, 1011)
    _same(bool(knob.isAnimated()), True)
    _same((knob.getValueAt(1001), knob.getValueAt(1011)), (30.0, 70.0))
    return f"half-way {knob.getValueAt(1006)}"


ASSUMED = (
    missing_knob, no_selection, deleted_node, unknown_class, menus_without_window, enumerations, knob_types, file_names,
    frame_modes, views_in_files, user_text, frame_ranges, undo_steps, progress_task, root_knobs, animated_number,
)  # fmt: skip


# ---- 5: pixels -------------------------------------------------------------------------------------------------------


def plate_comes_through(name: str) -> str:
    """With nothing to add, negatives and values above 1 included, every channel is the plate's."""
    plate = nuke.nodes.Constant(channels="rgba")
    plate["color"].setValue([-0.25, 0.5, 4.0, 0.75])
    other = nuke.nodes.Constant(channels="rgba")
    other["color"].setValue([0.1, 0.2, 0.3, 1.0] if name != "ReageMatte" else [-0.25, 0.5, 4.0, 0.75])
    gizmo = nuke.createNode(name, inpanel=False)
    for index in range(gizmo.maxInputs()):
        gizmo.setInput(index, None)
    gizmo.setInput(0, other if name == "ReageMatte" else plate)
    if name != "ReageMatte":
        gizmo.setInput(1, other)
    if gizmo.knob("mix") is not None:
        gizmo["mix"].setValue(0)
    seen = [nuke.sample(gizmo, channel, 100, 100) for channel in ("red", "green", "blue", "alpha")]
    return _same(seen, [-0.25, 0.5, 4.0, 0.75])


# ---- 6: the worker ---------------------------------------------------------------------------------------------------


def worker_says_hello() -> str:
    """It starts, says who it is, and is gone when it is closed."""
    from reage_nuke import client

    log = Path(tempfile.gettempdir(), f"reage_check_{os.getpid()}.log")
    worker: Any = client.Client(client.worker_argv(), str(log), client.worker_environment(os.environ))
    worker.start()
    try:
        said: list[Any] = []
        until = time.monotonic() + 60
        while worker.alive and time.monotonic() < until and not any(event.get("event") == "hello" for event in said):
            said += list(worker.events())
            time.sleep(0.05)
        said += list(worker.events())
    finally:
        worker.close()
    hellos = [event.get("product") for event in said if event.get("event") == "hello"]
    _same(hellos or f"no hello, but {said}; see {log}", ["reage"])
    _same(bool(worker.alive), False)
    return f"log: {log}"


# ---- 7 and 8: colour, and one of our files ---------------------------------------------------------------------------


def colour_spaces() -> str:
    """Names of the active config, and what a Read of a result in the working space would say."""
    from reage_nuke import host, knobs

    read: Any = nuke.nodes.Read(file="/nowhere/a.%04d.exr")
    values = [str(value) for value in read["colorspace"].values()]
    facts = host.plate_facts(read)
    space, raw = knobs.result_space(facts, values)
    default = read["colorspace"].value()
    return (
        f"default shows {default!r}, read as {facts.colorspace!r}; a result: {space!r}, raw {raw}; config "
        f"{host.project_ocio()}; {len(values)} names: {', '.join(values)}"
    )


def our_exr(path: str) -> str:
    """Channels, metadata and windows of a result."""
    if not path:
        raise Skip("give --exr PATTERN, a result with layers")
    read: Any = nuke.nodes.Read()
    read["file"].fromUserText(path)
    layers = {channel.split(".")[0] for channel in read.channels()}
    _same(sorted({"reage_delta", "reage_matte", "reage_region"} - layers), [])
    keys = sorted(key for key in read.metadata() if "reage/" in key)
    _same(bool(keys), True)
    box = read.bbox()
    return f"{', '.join(read.channels())}; {', '.join(keys)}; data window {box.x()} {box.y()} {box.w()} {box.h()}"


# ---- 9: the plug-in's own doings -------------------------------------------------------------------------------------


def a_result_is_made() -> str:
    """From a selected Read to facts, a plan, and a wired comp in one undo step."""
    from reage_nuke import host, knobs

    source = nuke.nodes.Read(file="/nowhere/a.%04d.exr", first=1001, last=1010, frame_mode="start at", frame="1")
    for node in nuke.selectedNodes():
        node.setSelected(False)
    source.setSelected(True)
    (plate,) = host.selected_plates()
    settings = knobs.Settings(output="/nowhere/out/a_v001.%04d.exr", comp=True, colorspace="ACEScg")
    plan = knobs.plan(plate, settings, current_frame=host.current_frame(), ocio=host.project_ocio())
    names = host.create_result(plate, plan.results)
    result, comp = (nuke.toNode(name) for name in names)
    assert result is not None and comp is not None
    _same([comp.input(0).name(), comp.input(1).name()], [source.name(), result.name()])  # type: ignore[union-attr]
    _same((result["frame_mode"].value(), result["frame"].value(), result["first"].value()), ("start at", "1", 1001))
    return json.dumps(plan.jobs)


def state_is_kept() -> str:
    """A hidden knob on the root keeps what the panel says."""
    from reage_nuke import host

    before = host.load_state()
    host.save_state({"age": "70", "output": '[x] {y} "z" $w'})
    seen = host.load_state()
    host.save_state(before)
    return _same(seen, {"age": "70", "output": '[x] {y} "z" $w'})


# ---- all of it -------------------------------------------------------------------------------------------------------


def run(exr: str = "", render: bool = True, worker: bool = True) -> dict[str, Any]:
    """Make every check.

    Args:
        exr: pattern of one of our results.
        render: look inside the gizmos and at pixels as well.
        worker: start the engine.
    """
    report = Report()
    report.check("modules", modules_load)
    report.check("panel", panel_loads)
    for file in GIZMOS:
        report.check(f"gizmo {file.stem}", functools.partial(gizmo_loads, file))
        if render:
            report.check(f"inside {file.stem}", functools.partial(gizmo_inside, file))
    for assumed in ASSUMED:
        report.check(assumed.__name__, assumed)
    for name in ("ReageApply", "ReageBlend", "ReageMatte") if render else ():
        report.check(f"pixels {name}", functools.partial(plate_comes_through, name))
    if worker:
        report.check("worker", worker_says_hello)
    report.check("colour spaces", colour_spaces)
    report.check("our exr", lambda: our_exr(exr))
    report.check("result", a_result_is_made)
    report.check("state", state_is_kept)
    return {"reage_check": 1, "about": about(), "checks": report.checks, "failed": report.failed()}


def summary(found: dict[str, Any]) -> str:
    """A line a check, and a last one."""
    lines = [f"{check['state']:>4}  {check['name']}: {check['detail'][:200]}" for check in found["checks"]]
    states = [check["state"] for check in found["checks"]]
    last = f"{states.count('pass')} passed, {states.count('skip')} skipped, {found['failed']} FAILED"
    return "\n".join([*lines, last])


def main(words: list[str]) -> int:
    """The command; its exit status."""
    parser = argparse.ArgumentParser(prog="check_in_nuke.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--exr", default="", metavar="PATTERN", help="a result of yours, with layers")
    parser.add_argument("--no-render", action="store_true", help="leave out the inside of gizmos, and pixels")
    parser.add_argument("--no-worker", action="store_true", help="do not start the engine")
    parser.add_argument("--out", metavar="FILE", help="write the JSON there as well")
    given, _ = parser.parse_known_args(words)  # Nuke may leave words of its own
    found = run(given.exr, not given.no_render, not given.no_worker)
    text = json.dumps(found, indent=1)
    print(text)
    print(summary(found))
    if given.out:
        Path(given.out).write_text(text, encoding="utf-8")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
