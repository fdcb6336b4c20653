"""What can be seen to be wrong with a gizmo without Nuke: classes, knobs, menus, wiring, clamps, rules of the house.

The knob table holds facts of Nuke 17.0v3; see its first lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nk.script import Node, Script, UserKnob

TABLE = Path(__file__).with_name("knob_table.tsv")

STRUCTURE = frozenset({"inputs", "name"})
CALLBACKS = frozenset(
    {"knobChanged", "onCreate", "onDestroy", "updateUI", "autolabel", "beforeRender", "afterRender"}
    | {"beforeFrameRender", "afterFrameRender", "rootNodeUpdated", "panel"}
)
PYTHON_KNOBS = frozenset({22, 32, 52})
"""User knob types that run code: PyScript, Script, PyCustom."""
SLIDER, INT, MENU, BOOLEAN, TEXT, GROUP, LINK = 7, 3, 4, 6, 26, 20, 41
LETTERS = frozenset({"r", "g", "b", "a", "x", "y", "width", "height", "frame"})
FUNCTIONS = frozenset({"abs", "clamp", "int", "isinf", "isnan", "max", "min"})
RGBA = frozenset({"rgba.red", "rgba.green", "rgba.blue", "rgba.alpha"})
OWN_VALUES = frozenset({"input.width", "input.height", "root.first_frame", "root.last_frame"})
WORD = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.\w+)*")
EXISTS = re.compile(r"\[exists parent\.input(\d+)\]")


@dataclass(frozen=True)
class ClassFacts:
    """One class of Nuke."""

    most_inputs: int
    knobs: dict[str, tuple[str, ...]]  # words of its menu; none where it is no menu
    booleans: frozenset[str]


@cache
def knob_table(path: Path = TABLE) -> dict[str, ClassFacts]:
    """Class to facts; "*" holds what every class has."""
    table = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        cls, _, most, *text = line.split("\t")
        knobs = {}
        booleans = set()
        for item in filter(None, "".join(text).split(";")):
            name, _, kind = item.partition(":")
            kind, _, menu = kind.partition("=")
            knobs[name] = tuple(menu.split("|")) if menu else ()
            if kind == "Boolean":
                booleans.add(name)
        table[cls] = ClassFacts(int(most), knobs, frozenset(booleans))
    return table


def lint(script: Script) -> list[str]:
    """All complaints about a script; none means that it is as it should be, as far as can be told without Nuke."""
    found = list(script.errors)
    for node in script.nodes:
        found += _class_and_knobs(node)
        if node.cls == "Group":
            found += _group(node, script)
    return found


def _class_and_knobs(node: Node) -> Iterator[str]:
    table = knob_table()
    if node.cls not in table:
        yield f"{node.id}: no class {node.cls}"
        return
    facts, every = table[node.cls], table["*"]
    own = {knob.name: knob for knob in node.user}
    if node.cls not in ("Group", "Input") and len(node.inputs) > facts.most_inputs:
        yield f"{node.name}: {len(node.inputs)} inputs, {node.cls} takes {facts.most_inputs}"
    for knob, value in node.knobs.items():
        if knob in CALLBACKS:
            yield f"{node.name}.{knob}: no callbacks"
        elif knob in own:
            yield from _user_value(node, own[knob], value)
        elif knob not in STRUCTURE and knob not in facts.knobs and knob not in every.knobs:
            yield f"{node.name}: {node.cls} has no knob {knob}"
        elif knob not in node.expressions:
            yield from _value(node, knob, value, facts)
    if node.cls == "Grade":
        for clamp in ("black_clamp", "white_clamp"):
            if node.knobs.get(clamp, str(clamp == "black_clamp").lower()) not in ("false", "0"):
                yield f"{node.name}: {clamp} is on; changes and film light lie beyond 0 and 1"


def _value(node: Node, knob: str, value: str, facts: ClassFacts) -> Iterator[str]:
    menu = facts.knobs.get(knob)
    if menu and value.lower() not in {word.lower() for word in menu} and not value.isdigit():
        yield f"{node.name}.{knob}: '{value}' is none of {', '.join(menu)}"
    if knob in facts.booleans and value not in ("true", "false"):
        yield f"{node.name}.{knob}: '{value}' is neither true nor false"


def _user_value(node: Node, knob: UserKnob, value: str) -> Iterator[str]:
    if knob.name in node.expressions:
        return
    if knob.type == MENU and value not in knob.menu:
        yield f"{node.name}.{knob.name}: '{value}' is none of {', '.join(knob.menu)}"
    limits = knob.range()
    if limits and not limits[0] <= float(value) <= limits[1]:
        yield f"{node.name}.{knob.name}: {value} is outside its slider"


def _group(group: Node, script: Script) -> Iterator[str]:
    yield from _inside(group, script)
    for knob in group.user:
        yield from _user_knob(group, knob)
    for child in group.children:
        for knob_name, texts in child.expressions.items():
            for text in texts:
                yield from _expression(f"{child.name}.{knob_name}", text, group, frozenset())
        if child.cls == "Expression":
            yield from _pixel_expressions(child, group, script)
        if child.cls == "Copy":
            yield from _copy(child, script)


def _inside(group: Node, script: Script) -> Iterator[str]:
    """Inputs, outputs, names, and nothing that leads nowhere."""
    inputs = [child for child in group.children if child.cls == "Input"]
    numbers = sorted(int(child.knobs.get("number", "0")) for child in inputs)
    if numbers != list(range(int(group.knobs.get("inputs", "1")))):
        yield f"{group.name}: its inputs are numbered {numbers}"
    outputs = [child.id for child in group.children if child.cls == "Output"]
    if len(outputs) != 1 or group.left != outputs:
        yield f"{group.name}: its stack ends with {group.left}, not with one Output alone"
    names = [child.name for child in group.children]
    for name in {name for name in names if names.count(name) > 1}:
        yield f"{group.name}: two nodes are called {name}"
    used = {one for child in group.children for one in child.inputs}
    for child in group.children:
        if child.cls != "Output" and child.id not in used:
            yield f"{group.name}: nothing uses {child.name}"


def _user_knob(group: Node, knob: UserKnob) -> Iterator[str]:
    where = f"{group.name}.{knob.name}"
    if knob.type in PYTHON_KNOBS:
        yield f"{where}: no knobs that run code"
    if knob.type not in (GROUP, TEXT) and not knob.fields.get("t"):
        yield f"{where}: no tooltip"
    if knob.type == SLIDER and knob.range() is None:
        yield f"{where}: no range"
    if knob.name in knob_table()["Group"].knobs or knob.name in knob_table()["*"].knobs:
        yield f"{where}: a Group has a knob of that name"
    if knob.type == LINK:
        node, _, target = knob.fields.get("T", "").partition(".")
        if target not in {t for child in group.children if child.name == node for t in child.knobs}:
            yield f"{where}: links to nothing"


def _pixel_expressions(node: Node, group: Node, script: Script) -> Iterator[str]:
    channels = RGBA | {channel for layer in script.layers.values() for channel in layer}
    temporary = frozenset(node.knobs[k] for k in node.knobs if k.startswith("temp_name"))
    for i in range(4):
        text, target = node.knobs.get(f"expr{i}"), node.knobs.get(f"channel{i}", "a default")
        if (text is None) != (target == "none"):
            yield f"{node.name}: expr{i} and channel{i} do not go together; an empty expression may be 0"
    for knob, text in node.knobs.items():
        if re.fullmatch(r"(temp_)?expr\d", knob):
            yield from _expression(f"{node.name}.{knob}", text, group, channels | temporary)


def _copy(node: Node, script: Script) -> Iterator[str]:
    channels = RGBA | {channel for layer in script.layers.values() for channel in layer}
    for knob, value in node.knobs.items():
        if re.fullmatch(r"(from|to)\d", knob) and value not in channels:
            yield f"{node.name}.{knob}: no channel {value}"
    if node.knobs.get("bbox") != "B":
        yield f"{node.name}: bbox is not B"


def _expression(where: str, text: str, group: Node, known: frozenset[str]) -> Iterator[str]:
    """Every word of an expression is something."""
    for number in EXISTS.findall(text):
        if int(number) >= int(group.knobs.get("inputs", "1")):
            yield f"{where}: no input {number}"
    own = {knob.name for knob in group.user}
    for word in WORD.findall(EXISTS.sub("1", text)):
        if word.startswith("parent."):
            if word.removeprefix("parent.") not in own:
                yield f"{where}: {group.name} has no knob {word.removeprefix('parent.')}"
        elif word not in known | LETTERS | FUNCTIONS | OWN_VALUES:
            yield f"{where}: what is {word}?"
