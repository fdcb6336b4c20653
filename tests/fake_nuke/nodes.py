"""Nodes: known classes and known knobs alone, and none after it was deleted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fake_nuke.gizmo import read_gizmo
from fake_nuke.knobs import Boolean_Knob, File_Knob, Knob, make
from fake_nuke.state import STATE, break_rule, on_main_thread
from fake_nuke.table import CLASSES, ClassFact


class Format:
    """Width, height and pixel aspect of a picture."""

    def __init__(self, width: int, height: int, aspect: float = 1.0) -> None:
        self._width, self._height, self._aspect = width, height, aspect

    def width(self) -> int:
        return self._width

    def height(self) -> int:
        return self._height

    def pixelAspect(self) -> float:
        return self._aspect


class FrameRange:
    """First, last and step."""

    def __init__(self, first: int, last: int, incr: int = 1) -> None:
        self._first, self._last, self._incr = first, last, incr

    def first(self) -> int:
        return self._first

    def last(self) -> int:
        return self._last

    def increment(self) -> int:
        return self._incr

    def frames(self) -> int:
        return (self._last - self._first) // self._incr + 1


class FrameRanges:
    """Nuke's text of frames: `1-10x2 20`."""

    def __init__(self, text: str) -> None:
        self._frames: list[int] = []
        for word in text.split():
            match = re.fullmatch(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?", word)
            if match is None:
                raise RuntimeError(f"bad frame range {word!r}")
            self._frames += range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1))

    def toFrameList(self) -> list[int]:
        return list(self._frames)

    def minFrame(self) -> int:
        return min(self._frames)

    def maxFrame(self) -> int:
        return max(self._frames)


class Node:
    """Made by `nuke.nodes` or `nuke.createNode`."""

    def __init__(self, kind: str, fact: ClassFact) -> None:
        self._kind, self._fact, self._alive = kind, fact, True
        self._knobs: dict[str, Knob] = {}
        self._inputs: list[Node | None] = []
        self._pressed: list[str] = []
        for each in fact.knobs:
            self._hold(make(each))
        self._knobs["name"]._value = self._free_name(kind)

    def _hold(self, knob: Knob) -> None:
        knob._node = self
        self._knobs[knob.name()] = knob

    def _free_name(self, stem: str) -> str:
        used = {each._knobs["name"]._value for each in STATE.nodes}
        number = 1
        while f"{stem}{number}" in used:
            number += 1
        return f"{stem}{number}"

    def _attached(self) -> None:
        on_main_thread()
        if not self._alive:
            raise ValueError("A PythonObject is not attached to a node")

    def __getitem__(self, name: str) -> Any:
        self._attached()
        if name not in self._knobs:
            raise NameError(f"knob {name} does not exist")
        return self._knobs[name]

    def knob(self, p: str) -> Any:
        self._attached()
        return self._knobs.get(p)

    def knobs(self) -> dict[str, Knob]:
        self._attached()
        return dict(self._knobs)

    def allKnobs(self) -> list[Knob]:
        self._attached()
        return list(self._knobs.values())

    def addKnob(self, knob: Knob) -> None:
        self._attached()
        if knob.name() in self._knobs:
            raise ValueError(f"knob {knob.name()} is there already")
        self._hold(knob)

    def removeKnob(self, knob: Knob) -> None:
        self._attached()
        del self._knobs[knob.name()]

    def Class(self) -> str:
        self._attached()
        return self._kind

    def name(self) -> str:
        self._attached()
        return str(self._knobs["name"]._value)

    def fullName(self) -> str:
        return self.name()

    def setName(self, name: str) -> None:
        self._attached()
        self._knobs["name"]._value = name if name not in _names() else self._free_name(name.rstrip("0123456789"))

    def isSelected(self) -> bool:
        self._attached()
        return bool(self._knobs["selected"]._value)

    def setSelected(self, selected: bool) -> None:
        self._attached()
        self._knobs["selected"]._value = bool(selected)

    def xpos(self) -> int:
        self._attached()
        return int(self._knobs["xpos"]._value)

    def ypos(self) -> int:
        self._attached()
        return int(self._knobs["ypos"]._value)

    def setXYpos(self, x: int, y: int) -> None:
        self._attached()
        if not isinstance(x, int) or not isinstance(y, int):
            raise TypeError("an integer is required")
        self._knobs["xpos"]._value, self._knobs["ypos"]._value = x, y

    def input(self, index: int) -> Node | None:
        self._attached()
        return self._inputs[index] if index < len(self._inputs) else None

    def inputs(self) -> int:
        self._attached()
        return len(self._inputs)

    def maxInputs(self) -> int:
        self._attached()
        return self._fact.most

    def minInputs(self) -> int:
        self._attached()
        return self._fact.least

    def setInput(self, i: int, node: Node | None) -> bool:
        self._attached()
        if node is not None:
            node._attached()
        if i >= self._fact.most or node is self:
            return False
        self._inputs += [None] * (i + 1 - len(self._inputs))
        self._inputs[i] = node
        return True

    def format(self) -> Format:
        self._attached()
        found: Format = STATE.formats.get(_file_of(self), Format(2048, 1556))
        return found

    def frameRange(self) -> FrameRange:
        self._attached()
        ends = [int(self[name].value()) if self.knob(name) else 1 for name in ("first", "last")]
        return FrameRange(*ends)

    def hasError(self) -> bool:
        self._attached()
        return False

    def forceUpdateLocalization(self) -> None:
        self._attached()


class Group(Node):
    """A node with nodes inside, such as a gizmo that was saved as a Group."""

    def begin(self) -> Group:
        self._attached()
        return self

    def end(self) -> None:
        self._attached()


class Root(Group):
    """The script. Its name is "Root" until it is saved."""

    def name(self) -> str:
        self._attached()
        return str(self._knobs["name"]._value) or "Root"

    def realFps(self) -> float:
        self._attached()
        return float(self._knobs["fps"]._value)

    def proxy(self) -> bool:
        self._attached()
        return bool(self._knobs["proxy"]._value)

    def firstFrame(self) -> int:
        self._attached()
        return int(self._knobs["first_frame"]._value)

    def lastFrame(self) -> int:
        self._attached()
        return int(self._knobs["last_frame"]._value)


def _names() -> set[str]:
    return {each._knobs["name"]._value for each in STATE.nodes}


def _file_of(node: Node) -> str:
    knob = node._knobs.get("file")
    return knob.getEvaluatedValue() if isinstance(knob, File_Knob) else ""


def _set_given(node: Node, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name == "inputs":
            for index, each in enumerate(value):
                node.setInput(index, each)
        else:
            node[name].setValue(value)


def new_root() -> Root:
    root = Root("Root", CLASSES["Root"])
    root._knobs["name"]._value = ""
    return root


def new_node(kind: str) -> Node:
    """A node of a known class, or the Group in a gizmo on the plug-in path."""
    on_main_thread()
    if kind in ("Root", "Input", "Output") or kind not in CLASSES:
        node = _from_gizmo(kind)
    else:
        node = (Group if kind == "Group" else Node)(kind, CLASSES[kind])
    STATE.nodes.append(node)
    STATE.undo_made.append(node)
    return node


def _from_gizmo(kind: str) -> Node:
    for folder in STATE.plugin_path:
        file = Path(folder) / f"{kind}.gizmo"
        if file.is_file():
            inputs, knobs = read_gizmo(file.read_text(encoding="utf-8"))
            node = Group("Group", ClassFact(0, inputs, CLASSES["Group"].knobs))
            node._knobs["name"]._value = node._free_name(kind)
            for each in knobs:
                node._hold(make(each))
            return node
    raise RuntimeError(f"{kind}: Unknown command")


def create_node(kind: str, knobs: str = "", inpanel: bool = True) -> Node:
    """As from the menu: connected to the selection, and the only one selected."""
    selected = [each for each in STATE.nodes if each.isSelected()]
    node = new_node(kind)
    if selected:
        node.setInput(0, selected[-1])
    for each in selected:
        each.setSelected(False)
    node.setSelected(True)
    words = re.findall(r"(\w+) (\S+)", knobs)
    for name, value in words:
        target = node[name]
        target.setValue(value == "true" if isinstance(target, Boolean_Knob) else value)
    return node


def delete(n: Node | None) -> None:
    if n is None:
        return
    n._attached()
    if n is STATE.root:
        break_rule("the root was deleted")
    n._alive = False
    STATE.nodes.remove(n)
    for each in STATE.nodes:
        each._inputs = [None if other is n else other for other in each._inputs]


class _Constructor:
    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(self, **given: Any) -> Node:
        node = new_node(self._kind)
        _set_given(node, given)
        return node


class Nodes:
    """`nuke.nodes`: constructors that neither connect nor select; of known classes and no others."""

    def __init__(self) -> None:
        for kind in CLASSES:
            if kind != "Root":
                setattr(self, kind, _Constructor(kind))
