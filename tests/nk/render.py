"""A reference model of the node classes that the gizmos use, in numpy. It is not Nuke.

Where Nuke's documentation gives a formula it is that formula. Assumed are: Blur's gaussian has sigma = size / 2.4 (as
Natron documents for its Blur, which follows Nuke's), pixels beyond the picture repeat its edge unless BlackOutside
comes before, and FilterErode is the smallest or largest value within a square. Pictures fill their format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from nk.expression import evaluate
from nk.script import Node, Script

Plane = NDArray[np.float32]

LETTERS = {"r": "rgba.red", "g": "rgba.green", "b": "rgba.blue", "a": "rgba.alpha"}
RGB = ("rgba.red", "rgba.green", "rgba.blue")
MASKS = {
    "rgb": RGB,
    "alpha": ("rgba.alpha",),
    "rgba": (*RGB, "rgba.alpha"),
    "none": (),
    "red": RGB[:1],
    "green": RGB[1:2],
    "blue": RGB[2:],
}
SIZE_TO_SIGMA = 1.0 / 2.4


@dataclass(frozen=True)
class Image:
    """One frame: planes by channel name, all of one size; a channel that is not there is 0."""

    width: int
    height: int
    planes: dict[str, Plane] = field(default_factory=dict)
    black_outside: bool = False

    def plane(self, name: str) -> Plane:
        """(height, width) of a channel."""
        found = self.planes.get(name)
        return np.zeros((self.height, self.width), np.float32) if found is None else found

    def rgb(self) -> NDArray[np.float32]:
        """(height, width, 3)."""
        return np.stack([self.plane(name) for name in RGB], -1)

    def having(self, planes: Mapping[str, Any]) -> Image:
        """The same with some planes new."""
        shape = (self.height, self.width)
        new = {name: np.broadcast_to(np.asarray(value, np.float32), shape) for name, value in planes.items()}
        return replace(self, planes=self.planes | new)


Source = Callable[[int], Image]


def nuke_name(exr_name: str) -> str:
    """What Nuke's EXR reader calls a channel: R, G, B, A of any layer become red, green, blue, alpha.

    Source: ExrChannelNameToNuke.cpp of Nuke's developer kit.
    """
    layer, _, channel = exr_name.rpartition(".")
    names = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
    return f"{layer.replace('.', '_') or 'rgba'}.{names.get(channel, channel)}"


class Gizmo:
    """A gizmo with its inputs connected and its knobs set."""

    def __init__(
        self,
        script: Script,
        inputs: Sequence[Source | None],
        frames: tuple[int, int] = (1, 1),
        **knobs: float | str | Callable[[int], float],
    ) -> None:
        """Connect and set.

        Args:
            script: of the gizmo's file.
            inputs: in the order of their numbers; None where nothing is connected.
            frames: first and last of the script's range.
            knobs: values by name; a function of the frame is a curve.
        """
        self._group = script.only()
        self._nodes = {node.id: node for node in self._group.children}
        self._inputs = [*inputs, *[None] * 9]
        self._size = next(i for i in inputs if i is not None)(frames[0])
        self._roots = {"root.first_frame": frames[0], "root.last_frame": frames[1]}
        self._knobs = knobs
        self._done: dict[tuple[str, int], Image] = {}

    def at(self, frame: int, node: str | None = None) -> Image:
        """What leaves the gizmo, or a node inside, at a frame."""
        wanted = self._group.child(node).id if node else self._group.left[-1]
        return self._image(wanted, frame)

    def _image(self, ident: str, frame: int) -> Image:
        key = (ident, frame)
        if key not in self._done:
            self._done[key] = self._draw(self._nodes[ident], frame)
        return self._done[key]

    def _draw(self, node: Node, frame: int) -> Image:
        if node.cls == "Input":
            source = self._inputs[int(node.knobs.get("number", "0"))]
            return Image(self._size.width, self._size.height) if source is None else source(frame)
        call = _Call(self, node, frame)
        if call.number("disable", 0.0):
            return call.input(0)
        return CLASSES[node.cls](call)

    def group_value(self, name: str, frame: int) -> float:
        """Value of one of the gizmo's own knobs; of a menu the index."""
        value = self._knobs.get(name)
        if value is None:
            if name in self._group.expressions:
                return float(evaluate(self._group.expressions[name][0], self._roots.__getitem__))
            value = self._group.knobs.get(name, "")
        if callable(value):
            return value(frame)
        menu = self._group.user_knob(name).menu
        if menu:
            return float(menu.index(str(value)) if value != "" else 0)
        return {"true": 1.0, "false": 0.0, "": 0.0}.get(str(value)) or float(value or 0.0)

    def linked(self, node: Node, knob: str) -> str | None:
        """What a link knob of the gizmo sets inside."""
        for own in self._group.user:
            if own.fields.get("T") == f"{node.name}.{knob}" and own.name in self._knobs:
                return str(self._knobs[own.name])
        return None

    def lookup(self, word: str, frame: int) -> Any:
        """A name in an expression that is no pixel."""
        connected = re.fullmatch(r"\[exists parent\.input(\d+)\]", word)
        if connected:
            return float(self._inputs[int(connected[1])] is not None)
        if word.startswith("parent."):
            return self.group_value(word.removeprefix("parent."), frame)
        return {"input.width": self._size.width, "input.height": self._size.height, "frame": frame}[word]


@dataclass
class _Call:
    """One node at one frame."""

    gizmo: Gizmo
    node: Node
    frame: int

    def input(self, index: int, frame: float | None = None) -> Image:
        return self.gizmo._image(self.node.inputs[index], int(self.frame if frame is None else frame))

    def text(self, knob: str, default: str) -> str:
        return self.gizmo.linked(self.node, knob) or self.node.knobs.get(knob, default)

    def number(self, knob: str, default: float) -> float:
        if knob in self.node.expressions:
            text = self.node.expressions[knob][0]
            return float(evaluate(text, lambda word: self.gizmo.lookup(word, self.frame)))
        return float(self.node.knobs.get(knob, default))


def _expression(call: _Call) -> Image:
    image = call.input(0)
    known: dict[str, Any] = {
        "x": np.arange(image.width, dtype=np.float32)[None, :],
        "y": np.arange(image.height, dtype=np.float32)[::-1, None],
        "width": image.width,
        "height": image.height,
    }

    def lookup(word: str) -> Any:
        if word in known:
            return known[word]
        if word.startswith(("parent.", "[exists")):
            return call.gizmo.lookup(word, call.frame)
        return image.plane(LETTERS.get(word, word))

    for i in range(4):
        if f"temp_name{i}" in call.node.knobs:
            known[call.node.knobs[f"temp_name{i}"]] = evaluate(call.node.knobs[f"temp_expr{i}"], lookup)
    planes = {}
    for i, default in enumerate(("red", "green", "blue", "alpha")):
        for name in MASKS[call.node.knobs.get(f"channel{i}", default)]:
            planes[name] = evaluate(call.node.knobs[f"expr{i}"], lookup)
    return image.having(planes)


def _copy(call: _Call) -> Image:
    base, other = call.input(0), call.input(1)
    pairs = [(call.text(f"from{i}", "none"), call.text(f"to{i}", "none")) for i in range(4)]
    return base.having({to: other.plane(source) for source, to in pairs if to != "none"})


def _channels(call: _Call, image: Image) -> tuple[str, ...]:
    word = call.node.knobs.get("channels", "all")
    return tuple(image.planes) if word == "all" else MASKS[word]


def _blur(call: _Call) -> Image:
    image = call.input(0)
    sigma = call.number("size", 0.0) * SIZE_TO_SIGMA
    edge = "constant" if image.black_outside else "nearest"
    new = {name: gaussian_filter(image.plane(name), sigma, mode=edge) for name in _channels(call, image)}
    return replace(image.having(new), black_outside=False)


def _filter_erode(call: _Call) -> Image:
    image = call.input(0)
    size = call.number("size", 1.0)
    within = minimum_filter if size > 0 else maximum_filter
    whole, part = divmod(abs(size), 1.0)

    def eroded(plane: Plane) -> Plane:
        near = within(plane, 2 * int(whole) + 1, mode="nearest")
        far = within(plane, 2 * int(whole) + 3, mode="nearest")
        return np.asarray(near + (far - near) * np.float32(part), np.float32)

    return image.having({name: eroded(image.plane(name)) for name in _channels(call, image)})


def _dissolve(call: _Call) -> Image:
    which = min(max(call.number("which", 0.0), 0.0), len(call.node.inputs) - 1.0)
    first = int(which)
    part = np.float32(which - first)
    one = call.input(first)
    if part == 0:
        return one
    other = call.input(first + 1)
    names = [*one.planes, *(name for name in other.planes if name not in one.planes)]
    return one.having({n: one.plane(n) * (1 - part) + other.plane(n) * part for n in names})


def _contact_sheet(call: _Call) -> Image:
    rows, columns = int(call.number("rows", 3)), int(call.number("columns", 4))
    width, height = int(call.number("width", 3072)), int(call.number("height", 2048))
    sheet = Image(width, height)
    planes = {name: np.zeros((height, width), np.float32) for name in call.input(0).planes}
    for index in range(len(call.node.inputs)):
        image = call.input(index)
        row, column = divmod(index, columns)
        if call.node.knobs.get("roworder", "BottomTop") == "BottomTop":
            row = rows - 1 - row
        top, bottom = row * height // rows, (row + 1) * height // rows
        left, right = column * width // columns, (column + 1) * width // columns
        for name, plane in planes.items():
            size = (right - left, bottom - top)
            plane[top:bottom, left:right] = cv2.resize(image.plane(name), size, interpolation=cv2.INTER_AREA)
    return sheet.having(planes)


CLASSES: dict[str, Callable[[_Call], Image]] = {
    "BlackOutside": lambda call: replace(call.input(0), black_outside=True),
    "Blur": _blur,
    "ContactSheet": _contact_sheet,
    "Copy": _copy,
    "Dissolve": _dissolve,
    "Expression": _expression,
    "FilterErode": _filter_erode,
    "FrameHold": lambda call: call.input(0, call.number("first_frame", 0.0)),
    "Output": lambda call: call.input(0),
    "Switch": lambda call: call.input(min(int(call.number("which", 0.0)), len(call.node.inputs) - 1)),
    "TimeOffset": lambda call: call.input(0, call.frame - call.number("time_offset", 0.0)),
}
