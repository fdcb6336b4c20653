"""The functions and classes of the module `nuke` that Reage may call. Every name is one of types-nuke's."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from typing import Any

from fake_nuke import nodes as _nodes
from fake_nuke.knobs import (
    AColor_Knob,
    Array_Knob,
    Boolean_Knob,
    Color_Knob,
    ColorChip_Knob,
    Disable_Knob,
    Double_Knob,
    Enumeration_Knob,
    File_Knob,
    Int_Knob,
    Knob,
    Multiline_Eval_String_Knob,
    PyScript_Knob,
    Script_Knob,
    String_Knob,
    Tab_Knob,
    Text_Knob,
    Unsigned_Knob,
)
from fake_nuke.nodes import Format, FrameRange, FrameRanges, Group, Node, Nodes, Root
from fake_nuke.paths import pluginAddPath, pluginAppendPath, pluginPath
from fake_nuke.state import STATE, break_rule, on_main_thread
from fake_nuke.ui import getPaneFor, menu, toolbar

__all__ = [
    "DO_NOT_WRITE", "EXE_PATH", "GUI", "INVISIBLE", "NO_UNDO", "NUKE_VERSION_MAJOR", "NUKE_VERSION_MINOR",
    "NUKE_VERSION_STRING", "REPLACE", "STARTLINE", "AColor_Knob", "Array_Knob", "Boolean_Knob", "ColorChip_Knob",
    "Color_Knob", "Disable_Knob", "Double_Knob", "Enumeration_Knob", "File_Knob", "Format", "FrameRange", "FrameRanges",
    "Group", "Int_Knob", "Knob", "Multiline_Eval_String_Knob", "Node", "OutputContext", "ProgressTask", "PyScript_Knob",
    "Root", "Script_Knob", "String_Knob", "Tab_Knob", "Text_Knob", "Undo", "Unsigned_Knob", "addOnScriptLoad",
    "allNodes", "ask", "createNode", "delete", "env", "executeInMainThread", "executeInMainThreadWithResult",
    "filename", "frame", "getColorspaceList", "getPaneFor", "loadToolset", "menu", "message", "nodes", "pluginAddPath",
    "pluginAppendPath", "pluginPath", "removeOnScriptLoad", "root", "scriptName", "script_directory", "selectedNode",
    "selectedNodes", "toNode", "toolbar", "views",
]  # fmt: skip

# Values of 15.0v1 where the number matters.
REPLACE = 1
DO_NOT_WRITE = 512
INVISIBLE = 1024
STARTLINE = 4096
NO_UNDO = 524288
NUKE_VERSION_MAJOR, NUKE_VERSION_MINOR, NUKE_VERSION_STRING = 15, 0, "15.0v1"
EXE_PATH = "/opt/Nuke15.0v1/Nuke15.0"
GUI = True  # `installed` sets it
env = {"nukex": False, "studio": False, "gui": True}
nodes = Nodes()


def root() -> Root:
    on_main_thread()
    found: Root = STATE.root
    return found


def allNodes(filter: str = "") -> list[Node]:
    on_main_thread()
    return [each for each in reversed(STATE.nodes) if not filter or each.Class() == filter]


def toNode(s: str) -> Node | None:
    on_main_thread()
    if s == "root":
        return root()
    return next((each for each in STATE.nodes if each.name() == s), None)


def selectedNodes(filter: str = "") -> list[Node]:
    return [each for each in allNodes(filter) if each.isSelected()]


def selectedNode() -> Node:
    found = selectedNodes()
    if not found:
        raise ValueError("no node selected")
    return found[0]


def createNode(typ: str, knobs: str = "", inpanel: bool = True) -> Node:
    return _nodes.create_node(typ, knobs, inpanel)


def delete(n: Node | None) -> None:
    _nodes.delete(n)


def frame(f: int | None = None) -> int:
    on_main_thread()
    STATE.frame = STATE.frame if f is None else f
    return STATE.frame


def views() -> list[str]:
    on_main_thread()
    return list(STATE.views)


def filename(node: Node, i: int = 0) -> str | None:
    """The proxy's where proxy mode is on; views and texts evaluated; REPLACE puts the file frame in."""
    small = node.knob("proxy")
    knob = small if root().proxy() and small is not None and small.value() else node["file"]
    path = str(knob.getEvaluatedValue())
    if not path:
        return None
    if i != REPLACE:
        return path
    return re.sub(r"%0?(\d*)d", lambda token: f"{_file_frame(node):0{int(token[1] or 1)}d}", path)


def _file_frame(node: Node) -> int:
    """Frame modes as Foundry's reference of the Read node tells them; expressions `frame`, `frame+N`, `frame*N`, N."""
    mode, text = node["frame_mode"].value(), node["frame"].value()
    first, last = node["first"].value(), node["last"].value()
    wanted = STATE.frame
    if mode == "start at" and text:
        wanted = STATE.frame - int(text) + first
    elif mode == "offset" and text:
        wanted = STATE.frame + int(text)
    elif text:
        match = re.fullmatch(r"(?:(frame)(?:([*+-])(\d+))?)|(\d+)", text)
        assert match is not None, f"the fake cannot read {text!r}"
        number = int(match[3] or 0)
        wanted = {None: wanted, "*": wanted * number, "+": wanted + number, "-": wanted - number}[match[2]]
        wanted = int(match[4]) if match[4] else wanted
    return int(min(max(wanted, first), last))


class OutputContext:
    """A frame and a view."""

    def __init__(self) -> None:
        self._frame, self._view = float(STATE.frame), 1

    def frame(self) -> float:
        return self._frame

    def setFrame(self, frame: float) -> None:
        self._frame = frame

    def view(self) -> int:
        return self._view

    def setView(self, view: int) -> None:
        if not isinstance(view, int):
            raise TypeError("a view's number is needed")
        self._view = view

    def viewFromName(self, name: str) -> int:
        return STATE.views.index(name) + 1

    def viewcount(self) -> int:
        return len(STATE.views)

    def viewname(self, n: int) -> str:
        return STATE.views[n - 1]


def getColorspaceList(colorspaceKnob: Enumeration_Knob) -> list[str]:
    return colorspaceKnob.values()


def scriptName() -> str:
    name = str(root()["name"].value())
    if not name:
        raise RuntimeError("no script name: the script is not saved")
    return name


def script_directory() -> str:
    return str(root()["name"].value()).rpartition("/")[0]


def loadToolset(filename: str) -> None:
    on_main_thread()
    STATE.said.append(f"toolset {filename}")


def message(prompt: str) -> None:
    on_main_thread()
    if not STATE.gui:
        break_rule("nuke.message without a window")
    STATE.said.append(prompt)


def ask(prompt: str) -> bool:
    on_main_thread()
    if not STATE.gui:
        break_rule("nuke.ask without a window")
    STATE.said.append(prompt)
    return STATE.answers.pop(0)


def addOnScriptLoad(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "Root") -> None:
    on_main_thread()
    STATE.script_load.append(call)


def removeOnScriptLoad(call: Any, args: Any = (), kwargs: Any = None, nodeClass: str = "Root") -> None:
    on_main_thread()
    STATE.script_load.remove(call)


def _arguments(args: Any) -> tuple[Any, ...]:
    return args if isinstance(args, tuple) else (args,)


def executeInMainThread(call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> None:
    _refuse_dispatch()
    STATE.jobs.put(lambda: _swallowed(call, args, kwargs))


def executeInMainThreadWithResult(call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
    _refuse_dispatch()
    done, box = threading.Event(), [None]

    def job() -> None:
        box[0] = _swallowed(call, args, kwargs)
        done.set()

    STATE.jobs.put(job)
    if not done.wait(10.0):
        break_rule("the main thread never took up a call")
    return box[0]


def _refuse_dispatch() -> None:
    if not STATE.gui:
        break_rule("executeInMainThread without a window: nobody takes the call up")
    if threading.current_thread() is threading.main_thread():
        break_rule("executeInMainThread on the main thread would hang")


def _swallowed(call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """As in Nuke: an exception is printed, and None returned."""
    try:
        return call(*_arguments(args), **(kwargs or {}))
    except Exception as error:
        print(f"in the main thread: {error!r}", file=sys.stderr)
        return None


class ProgressTask:
    """A bar that goes when the object does; whole numbers alone."""

    def __init__(self, name: str = "") -> None:
        if not STATE.gui:
            break_rule("a ProgressTask without a window")
        self._name, self._progress, self._messages, self._cancelled = name, [0], [""], False
        STATE.tasks.append(self)

    def setProgress(self, progress: int) -> None:
        if isinstance(progress, bool) or not isinstance(progress, int) or not 0 <= progress <= 100:
            break_rule(f"setProgress takes 0 to 100, whole, not {progress!r}")
        self._progress.append(progress)

    def setMessage(self, message: str) -> None:
        if not isinstance(message, str):
            break_rule("setMessage takes a text")
        self._messages.append(message)

    def isCancelled(self) -> bool:
        return self._cancelled


class Undo:
    """Steps; every begin needs an end or a cancel."""

    @classmethod
    def begin(cls, name: str = "") -> None:
        on_main_thread()
        STATE.undo_open += 1
        STATE.undo_name, STATE.undo_made = name, []

    @classmethod
    def name(cls, name: str) -> None:
        on_main_thread()
        STATE.undo_name = name

    @classmethod
    def end(cls) -> None:
        cls._close("end")
        if not STATE.undo_off:
            STATE.undo_done.append(STATE.undo_name)

    @classmethod
    def cancel(cls) -> None:
        """Undo what was made inside and throw it away."""
        cls._close("cancel")
        STATE.undo_cancelled += 1
        for node in reversed(STATE.undo_made):
            if node._alive:
                _nodes.delete(node)

    @classmethod
    def _close(cls, how: str) -> None:
        on_main_thread()
        if STATE.undo_open < 1:
            break_rule(f"Undo.{how} without begin")
        STATE.undo_open -= 1

    @classmethod
    def disable(cls) -> None:
        on_main_thread()
        STATE.undo_off += 1

    @classmethod
    def enable(cls) -> None:
        on_main_thread()
        if STATE.undo_off < 1:
            break_rule("Undo.enable without disable")
        STATE.undo_off -= 1

    @classmethod
    def disabled(cls) -> bool:
        return STATE.undo_off > 0
