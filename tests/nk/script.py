"""Nuke scripts (.nk, .gizmo) read by a real Tcl interpreter: nodes, knobs, wiring, and what is wrong with the text."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

RECORDER = Path(__file__).with_name("recorder.tcl")


@dataclass
class UserKnob:
    """One addUserKnob line."""

    type: int
    name: str
    fields: dict[str, str]  # l label, t tooltip, R "min max", T target, n, flags such as +STARTLINE
    menu: list[str] = field(default_factory=list)

    def range(self) -> tuple[float, float] | None:
        """Smallest and largest value of its slider."""
        if "R" not in self.fields:
            return None
        low, high = self.fields["R"].split()
        return float(low), float(high)


@dataclass
class Node:
    """One node as the script says it."""

    id: str
    cls: str
    depth: int
    inputs: list[str]  # ids; input 0 first; "0" is nothing
    knobs: dict[str, str] = field(default_factory=dict)  # raw text; addUserKnob lines are in `user`
    expressions: dict[str, list[str]] = field(default_factory=dict)  # of knobs in braces: one a number
    user: list[UserKnob] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    left: list[str] = field(default_factory=list)  # what a group's stack holds at its end

    @property
    def name(self) -> str:
        """The node's name, or its id where it has none."""
        return self.knobs.get("name", self.id)

    def child(self, name: str) -> Node:
        """The node of that name inside the group."""
        (found,) = [node for node in self.children if node.name == name]
        return found

    def user_knob(self, name: str) -> UserKnob:
        """The user knob of that name."""
        (found,) = [knob for knob in self.user if knob.name == name]
        return found


@dataclass
class Script:
    """What a text builds."""

    nodes: list[Node]  # all, in the order of the text
    layers: dict[str, list[str]]  # of add_layer: channels with their layer's name
    errors: list[str]

    def top(self) -> list[Node]:
        """Nodes outside any group."""
        return [node for node in self.nodes if node.depth == 0]

    def only(self) -> Node:
        """The one node on top, as in a gizmo."""
        (node,) = self.top()
        return node

    def named(self, node: Node, inside: Node | None = None) -> list[str]:
        """Names of a node's inputs, input 0 first."""
        by_id = {other.id: other.name for other in self.nodes}
        return [by_id.get(one, one) for one in node.inputs]


def can_read() -> bool:
    """Whether there is a Tcl to read scripts with."""
    return _has_tkinter() or shutil.which("tclsh") is not None


def read(text: str, interpreter: str = "any") -> Script:
    """Run a script's text.

    Args:
        text: of a .nk or .gizmo.
        interpreter: "tkinter", "tclsh", or "any": the first of these that is there.
    """
    return _gather(_lines(text, interpreter))


def read_file(path: Path) -> Script:
    """Run the text of a file."""
    return read(path.read_text(encoding="utf-8"))


def _lines(text: str, interpreter: str) -> Iterator[list[str]]:
    recorder = RECORDER.read_text(encoding="utf-8")
    if interpreter == "any":
        interpreter = "tkinter" if _has_tkinter() else "tclsh"
    if interpreter == "tkinter":
        import tkinter

        tcl = tkinter.Tcl()
        tcl.eval(recorder)
        out = str(tcl.call("record", text))
    else:
        out = _by_tclsh(recorder, text)
    for line in out.splitlines():
        yield [bytes.fromhex(word[1:]).decode("utf-8") for word in line.split(" ")]


def _by_tclsh(recorder: str, text: str) -> str:
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        raise RuntimeError("neither tkinter nor tclsh is here: install one of them to read Nuke scripts")
    program = f"{recorder}\nputs [record [encoding convertfrom utf-8 [binary decode hex {text.encode().hex()}]]]\n"
    ran = subprocess.run([tclsh], input=program, capture_output=True, text=True, timeout=60, check=True)
    return ran.stdout


def _has_tkinter() -> bool:
    try:
        import tkinter
    except ImportError:
        return False
    return hasattr(tkinter, "Tcl")


def _gather(lines: Iterator[list[str]]) -> Script:
    nodes: dict[str, Node] = {}
    layers: dict[str, list[str]] = {}
    errors: list[str] = []
    for kind, *words in lines:
        if kind == "node":
            ident, cls, depth, group, *inputs = words
            nodes[ident] = Node(ident, cls, int(depth), inputs)
            if group:
                nodes[group].children.append(nodes[ident])
        elif kind == "knob":
            ident, knob, value, *expressions = words
            if knob != "addUserKnob":
                nodes[ident].knobs[knob] = value
            if expressions:
                nodes[ident].expressions[knob] = expressions
        elif kind == "user":
            ident, number, name, *fields = words
            pairs = dict(zip(fields[::2], fields[1::2], strict=True))
            nodes[ident].user.append(UserKnob(int(number), name, pairs))
        elif kind == "menu":
            nodes[words[0]].user_knob(words[1]).menu = words[2:]
        elif kind == "layer":
            layers[words[0]] = words[1:]
        elif kind == "end":
            nodes[words[0]].left = words[1:]
        else:
            errors.append(words[0])
    return Script(list(nodes.values()), layers, errors)
