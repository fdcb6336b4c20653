"""What Reage reads from Nuke and does in it: the only module that imports nuke. No logic beyond that lives here.

Everything is called on Nuke's main thread, but for `in_main_thread`, which goes there. Texts that a node holds are
never evaluated here; where they have to be, Nuke does it.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nuke
import nukescripts  # type: ignore[import-not-found, unused-ignore]

from reage_nuke import knobs
from reage_nuke.knobs import KnobError, PlateFacts

GIZMOS = (Path(__file__).resolve().parents[2] / "gizmos").as_posix()
STATE = "reage_state"
"""The root's hidden knob that keeps the panel's state in the script."""
AGE_KNOB = "reage_age"
PANEL = "__import__('reage_nuke.panel', fromlist=['x']).ReagePanel"
"""How nukescripts finds the panel: it pastes this into an expression of its own."""
PANEL_ID = "reage.ReagePanel"
_NOT_PICTURES = ("Read", "Viewer", "BackdropNode", "StickyNote", "Root", "Input", "Output")
_ROOM = 110  # between a plate's Read and what is put beside it, in the node graph's units


@dataclass(frozen=True)
class Field:
    """A line of a dialog."""

    name: str
    label: str
    usual: str | bool
    tip: str = ""
    choices: Sequence[str] = ()


# ---- about the session -----------------------------------------------------------------------------------------------


def version() -> str:
    """Such as `16.0v6`."""
    return str(nuke.NUKE_VERSION_STRING)


def is_gui() -> bool:
    """Whether Nuke has a window."""
    return bool(nuke.GUI)


def current_frame() -> int:
    """The timeline frame."""
    return int(nuke.frame())


def script_folder() -> str:
    """The folder of the script; empty where it was never saved."""
    name = _text(nuke.root(), "name")
    return name.rpartition("/")[0] if "/" in name else ""


def project_folder() -> str:
    """What relative paths in the script are relative to; empty where nothing says so."""
    knob: Any = nuke.root().knob("project_directory")
    folder = str(knob.getEvaluatedValue() or "") if knob is not None else ""
    return knobs.normal_path(folder, script_folder()).rstrip("/") or script_folder()


def project_ocio() -> str | None:
    """The OCIO config of the script: `$OCIO`, its own file, or one of Nuke's. None: Nuke's own curves, or not found."""
    root: Any = nuke.root()
    if _text(root, "colorManagement") != "OCIO":
        return None
    if os.environ.get("OCIO"):
        return os.environ["OCIO"]
    name = _text(root, "OCIO_config")
    if name == "custom":
        return knobs.normal_path(str(root["customOCIOConfigPath"].getEvaluatedValue() or ""), project_folder()) or None
    folders = [Path(nuke.EXE_PATH).parent / "plugins", *map(Path, nuke.pluginPath())]
    tails = (f"{name}/config.ocio", f"{name}.ocio")
    files = [folder / "OCIOConfigs/configs" / tail for folder in folders for tail in tails]
    return next((file.as_posix() for file in files if file.is_file()), None)


# ---- reading nodes ---------------------------------------------------------------------------------------------------


def selected_plates() -> list[PlateFacts]:
    """The selected Reads that are on, from left to right and top to bottom.

    Raises:
        KnobError: a file's text cannot be evaluated.
    """
    reads = [node for node in nuke.selectedNodes("Read") if not _is_off(node)]
    return [plate_facts(node) for node in sorted(reads, key=lambda node: (node.xpos(), node.ypos()))]


def plate(name: str) -> PlateFacts | None:
    """The Read of a name, as it is now; None where it is gone, off, or no Read."""
    node = nuke.toNode(name)
    return plate_facts(node) if node is not None and node.Class() == "Read" and not _is_off(node) else None


def plate_facts(node: Any) -> PlateFacts:
    """What one Read says. The full-size file counts, also in proxy mode.

    Raises:
        KnobError: its file's text cannot be evaluated.
    """
    files = _files_by_view(node)
    path = next(iter(files.values()))
    first, last = int(node["first"].value()), int(node["last"].value())
    on_disk = knobs.frames_on_disk(path)
    root, picture = nuke.root(), node.format()
    return PlateFacts(
        node=node.fullName(),
        file=path,
        first=first,
        last=last,
        before=_text(node, "before"),
        after=_text(node, "after"),
        frame_mode=_text(node, "frame_mode"),
        frame=_text(node, "frame"),
        colorspace=_colorspace(node, path),
        raw=bool(node["raw"].value()),
        premultiplied=bool(node["premultiplied"].value()),
        views=files if len(set(files.values())) > 1 else {},
        missing=sorted(set(range(first, last + 1)).difference(on_disk)) if on_disk else [],
        movie=knobs.is_movie(path),
        width=int(picture.width()),
        height=int(picture.height()),
        pixel_aspect=float(picture.pixelAspect()),
        x=int(node.xpos()),
        y=int(node.ypos()),
        fps=float(root.realFps()),
        proxy=_path(node, "proxy"),
        lowest=on_disk[0] if on_disk else None,
        highest=on_disk[-1] if on_disk else None,
        shown=_shown(node, path),
        folder=project_folder(),
        managed=_text(root, "colorManagement") == "OCIO",
        working_space=_text(root, "workingSpaceLUT"),
    )


def branch_selected() -> str | None:
    """The name of a selected node that is a picture but no Read: it can be pre-rendered with `make_write`."""
    for node in nuke.selectedNodes():
        if node.Class() not in _NOT_PICTURES and node.maxInputs() > 0 and not _is_off(node):
            return str(node.fullName())
    return None


def make_write(node: str, path: str) -> str:
    """Put a Write of EXRs under a node, in one undo step, and give its name back. It is not rendered.

    Raises:
        KnobError: the node is gone.
    """
    source = nuke.toNode(node)
    if source is None:
        raise KnobError(f"{node} is gone; select what is to be re-aged")
    with _OneStep("Re-age: Write"):
        made = nuke.nodes.Write(file=path, file_type="exr", channels="all", create_directories=True)
        made.setInput(0, source)
        made.setXYpos(int(source.xpos()), int(source.ypos()) + _ROOM)
        return str(made.fullName())


def animated_knobs() -> list[str]:
    """`Node.knob` of every animated number that could be an age: on NoOps, on Groups and on what is selected."""
    nodes = {each.fullName(): each for kind in ("NoOp", "Group") for each in nuke.allNodes(kind)}
    nodes.update({each.fullName(): each for each in nuke.selectedNodes()})
    return sorted(
        f"{name}.{knob_name}"
        for name, node in nodes.items()
        for knob_name, knob in node.knobs().items()
        if _is_number(knob) and (knob.isAnimated() or knob.hasExpression())
    )


def make_age_knob() -> str:
    """A NoOp with an age to animate, in one undo step; gives `Node.knob`."""
    with _OneStep("Re-age: age to animate"):
        node = nuke.nodes.NoOp(label="target age")
        node.setName("ReageAge1")
        knob = nuke.Double_Knob(AGE_KNOB, "age")
        knob.setRange(0, 120)
        node.addKnob(knob)
        knob.setValue(70.0)
        return f"{node.fullName()}.{AGE_KNOB}"


def sample_knob(name: str, frames: Sequence[int]) -> dict[int, float]:
    """The value of `Node.knob` at some timeline frames.

    Raises:
        KnobError: there is no such node or knob, or it is no single number.
    """
    node_name, _, knob_name = name.strip().rpartition(".")
    node = nuke.toNode(node_name) if node_name else None
    knob: Any = node.knob(knob_name) if node is not None else None
    if knob is None:
        raise KnobError(f"age '{name}': there is no such knob; choose one from the list, or type an age")
    if not _is_number(knob):
        raise KnobError(f"age '{name}': the knob is not a single number; choose another")
    return {frame: float(knob.getValueAt(frame)) for frame in frames}


def _is_off(node: Any) -> bool:
    try:
        knob = node.knob("disable")
        return bool(knob is not None and knob.value())
    except ValueError:  # deleted meanwhile
        return True


def _is_number(knob: Any) -> bool:
    never = (nuke.Unsigned_Knob, nuke.Boolean_Knob, nuke.Color_Knob)
    return isinstance(knob, nuke.Array_Knob) and not isinstance(knob, never) and knob.arraySize() == 1


def _text(node: Any, name: str) -> str:
    """The value of a knob that not every version has; empty where there is none."""
    knob = node.knob(name)
    return "" if knob is None else str(knob.value() or "")


def _path(node: Any, name: str, context: Any = None) -> str:
    """A file knob's path, evaluated by Nuke; relative ones from the project's folder."""
    try:
        value = node[name].getEvaluatedValue() if context is None else node[name].getEvaluatedValue(context)
    except Exception as error:
        raise KnobError(f"{node.fullName()}: Nuke cannot evaluate its {name} ({error}); mend the text") from error
    return knobs.normal_path(str(value or ""), project_folder()) if value else ""


def _files_by_view(node: Any) -> dict[str, str]:
    found = {}
    for view in nuke.views():
        context = nuke.OutputContext()
        context.setView(context.viewFromName(view))
        found[view] = knobs.of_view(_path(node, "file", context), view)
    return found


def _colorspace(node: Any, path: str) -> str:
    root = nuke.root()
    defaults = {kind: _text(root, kind) for kind in ("floatLut", "logLut", "int16Lut", "int8Lut")}
    return knobs.without_family(knobs.resolved_space(_text(node, "colorspace"), path, defaults))


def _shown(node: Any, path: str) -> int | None:
    """The file frame on show, as Nuke itself names it; None where it names a proxy that is called otherwise."""
    name = nuke.filename(node, nuke.REPLACE)
    return knobs.frame_in(str(name), path) if name else None


# ---- the panel's state -----------------------------------------------------------------------------------------------


def load_state() -> dict[str, Any]:
    """What `save_state` left in this script; empty where there is nothing that can be read."""
    try:
        state = json.loads(base64.b64decode(_text(nuke.root(), STATE), validate=True))
    except ValueError:
        return {}
    return state if isinstance(state, dict) else {}


def save_state(state: Mapping[str, Any]) -> None:
    """Keep plain values in the script, without a step in its undo history.

    They are written as base64: a script is a Tcl program, and paths and texts may hold what Tcl reads as commands.
    """
    text = base64.b64encode(json.dumps(dict(state), sort_keys=True).encode()).decode()
    root = nuke.root()
    if _text(root, STATE) == text:
        return  # an unchanged script does not ask to be saved
    nuke.Undo.disable()
    try:
        if root.knob(STATE) is None:
            knob = nuke.String_Knob(STATE, "")
            knob.setFlag(nuke.INVISIBLE)
            root.addKnob(knob)
        root[STATE].setValue(text)
    finally:
        nuke.Undo.enable()


def on_script_load(call: Callable[[], object]) -> None:
    """Have something called after each script that is opened."""
    nuke.addOnScriptLoad(call)


def off_script_load(call: Callable[[], object]) -> None:
    """End what `on_script_load` began."""
    nuke.removeOnScriptLoad(call)


# ---- what is made ----------------------------------------------------------------------------------------------------


class _OneStep:
    """One entry in the undo history; where it fails, nothing that was made stays."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        nuke.Undo.begin()
        nuke.Undo.name(self._name)

    def __exit__(self, kind: object, *_: object) -> None:
        nuke.Undo.end() if kind is None else nuke.Undo.cancel()


def create_result(plate: PlateFacts, outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Make a Read for each output beside the plate's, in one undo step; with `comp`, ReageApply between both.

    Args:
        plate: as it was when the job was made; its Read may be gone since.
        outputs: `Plan.results`.

    Returns:
        Names of the nodes, in the order of the outputs, a Read before its ReageApply.
    """
    source = nuke.toNode(plate.node)
    x, y = (int(source.xpos()), int(source.ypos())) if source is not None else (plate.x, plate.y)
    made: list[Any] = []
    with _OneStep("Re-age: result"):
        for number, output in enumerate(outputs, 1):
            read = _result_read(plate, output)
            read.setXYpos(x + number * _ROOM, y)
            comp = _comp(source, read, output) if output.get("comp") and source is not None else None
            made += [read] if comp is None else [read, comp]
        return [str(node.fullName()) for node in made]


def _result_read(plate: PlateFacts, output: Mapping[str, Any]) -> Any:
    """A Read of a result: its own range, and all else as the plate's Read has it."""
    first, last = int(output["first"]), int(output["last"])
    read: Any = nuke.nodes.Read()
    read["file"].fromUserText(str(output["path"]))
    for name, value in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
        read[name].setValue(value)
    mode, frame = knobs.result_frame(plate, first)
    for name, text in (("frame_mode", mode), ("frame", frame), ("before", plate.before), ("after", plate.after)):
        if text:
            read[name].setValue(text)
    read["premultiplied"].setValue(plate.premultiplied)
    space, raw = knobs.result_space(plate, [str(each) for each in read["colorspace"].values()])
    read["raw"].setValue(raw)
    if space:
        read["colorspace"].setValue(space)
    read["label"].setValue(f"re-aged {output.get('age', '')}".strip())
    return read


def _comp(source: Any, read: Any, output: Mapping[str, Any]) -> Any:
    """ReageApply under plate and result, set to give what was rendered; None, and a message, where it is missing."""
    selected = nuke.selectedNodes()
    for node in selected:
        node.setSelected(False)
    try:
        comp = create_gizmo("ReageApply", inpanel=False)
    finally:
        for node in selected:
            node.setSelected(True)
    if comp is None:
        return None
    comp.setSelected(False)
    comp.setInput(0, source)
    comp.setInput(1, read)
    comp.setXYpos(int(read.xpos()), int(read.ypos()) + _ROOM)
    for name, gain in dict(output.get("gains", {})).items():
        knob = comp.knob(name)
        if knob is not None:
            knob.setValue(float(gain))
    return comp


def reload(nodes: Sequence[str]) -> None:
    """Have Reads look at their files again; those that are gone are passed over."""
    for name in nodes:
        node: Any = nuke.toNode(name)
        if node is not None and node.knob("reload") is not None:
            node["reload"].execute()


# ---- windows ---------------------------------------------------------------------------------------------------------


def open_panel() -> None:
    """Show the panel in a pane; where Qt fails, ask in a dialog of Nuke's own."""
    try:
        __import__("reage_nuke.panel")
        panel = nukescripts.panels.registerWidgetAsPanel(PANEL, "Reage", PANEL_ID, create=True)
        panel.addToPane(nuke.getPaneFor("Properties.1"))
    except Exception:
        traceback.print_exc()
        from reage_nuke import fallback

        fallback.reage()


def create_gizmo(name: str, inpanel: bool = True) -> Any:
    """Make a node of a gizmo, under what is selected; None, and a message, where there is no such gizmo."""
    try:
        return nuke.createNode(name, inpanel=inpanel)
    except RuntimeError as error:
        message(f"{name} cannot be made ({error}); is {GIZMOS} there, and on Nuke's plug-in path?")
        return None


def ask_values(title: str, fields: Sequence[Field]) -> dict[str, Any] | None:
    """A dialog of Nuke's own knobs; None where it is cancelled. A value is a text, or a bool where the usual is one."""
    panel = nukescripts.PythonPanel(title)
    made: dict[str, Any] = {}
    for field in fields:
        if field.choices:
            knob: Any = nuke.Enumeration_Knob(field.name, field.label, list(field.choices))
        else:
            knob = (nuke.Boolean_Knob if isinstance(field.usual, bool) else nuke.String_Knob)(field.name, field.label)
        knob.setFlag(nuke.STARTLINE)
        knob.setTooltip(field.tip)
        panel.addKnob(knob)
        knob.setValue(field.usual)
        made[field.name] = knob
    return {name: knob.value() for name, knob in made.items()} if panel.showModalDialog() else None


class Progress:
    """A bar of Nuke's, for a thread: made in it, shown while it lives."""

    def __init__(self, title: str) -> None:
        """Show it."""
        self._task = nuke.ProgressTask(title)

    def show(self, line: str, share: float | None) -> None:
        """Say how far things are, 0 to 1; None leaves the bar as it is."""
        self._task.setMessage(line)
        if share is not None:
            self._task.setProgress(min(100, max(0, int(100 * share))))

    def cancelled(self) -> bool:
        """Whether the artist pressed Cancel."""
        return bool(self._task.isCancelled())


# ---- talking ---------------------------------------------------------------------------------------------------------


def message(text: str) -> None:
    """Tell the artist something; on the terminal where there is no window."""
    if nuke.GUI:
        nuke.message(text)
    else:
        print(f"reage: {text}")


def ask(text: str) -> bool:
    """Ask the artist; no where there is no window."""
    return bool(nuke.ask(text)) if nuke.GUI else False


def in_main_thread(call: Callable[..., Any], *args: Any) -> Any:
    """Call something on Nuke's main thread, wait for it, and give back or raise what it does.

    Nuke's own dispatch hangs when it is called there, swallows exceptions, and does not exist without a window.
    """
    if threading.current_thread() is threading.main_thread() or not nuke.GUI:
        return call(*args)
    answer: list[Any] = []
    failed: list[BaseException] = []

    def kept() -> None:
        try:
            answer.append(call(*args))
        except BaseException as error:
            failed.append(error)

    nuke.executeInMainThreadWithResult(kept)  # type: ignore[no-untyped-call, unused-ignore]
    if failed:
        raise failed[0]
    if not answer:
        raise RuntimeError("Nuke did not take up a call to its main thread")
    return answer[0]
