"""Nuke's C-like expressions, the part of them that the gizmos use, on numbers or on pictures in 32-bit floats."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:e-?\d+)?|\.\d+)|(?P<exists>\[exists [\w.]+\])|(?P<name>[A-Za-z_]\w*(?:\.\w+)*)"
    r"|(?P<sign>\|\||&&|==|!=|<=|>=|[-+*/<>!?:(),]))"
)
Value = Any  # a float, or (h, w) float32
Lookup = Callable[[str], Value]


def _where(condition: Value, yes: Value, no: Value) -> Value:
    if np.ndim(condition) == 0:
        return yes if condition else no
    return np.where(np.asarray(condition) != 0, np.float32(yes), np.float32(no)).astype(np.float32)


def _truth(test: Callable[..., Any]) -> Callable[..., Value]:
    """1 and 0, to go on reckoning with."""
    return lambda *values: np.multiply(test(*values), np.float32(1))


def _clamp(x: Value, low: float = 0.0, high: float = 1.0) -> Value:
    return np.minimum(np.maximum(x, low), high)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "abs": np.abs,
    "clamp": _clamp,
    "int": np.trunc,
    "isinf": _truth(np.isinf),
    "isnan": _truth(np.isnan),
    "max": np.maximum,
    "min": np.minimum,
}

BINARY: tuple[dict[str, Callable[[Value, Value], Value]], ...] = (
    {"||": _truth(np.logical_or)},
    {"&&": _truth(np.logical_and)},
    {"==": _truth(np.equal), "!=": _truth(np.not_equal)},
    {"<": _truth(np.less), ">": _truth(np.greater), "<=": _truth(np.less_equal), ">=": _truth(np.greater_equal)},
    {"+": np.add, "-": np.subtract},
    {"*": np.multiply, "/": np.divide},
)
"""Operators from the loosest to the tightest."""


def evaluate(text: str, lookup: Lookup) -> Value:
    """The value of an expression.

    Args:
        text: as in the knob.
        lookup: value of a name: a channel, a knob, a coordinate, or "[exists parent.input1]".

    Raises:
        ValueError: what is no expression.
    """
    reader = _Reader(text, lookup)
    with np.errstate(all="ignore"):
        value = reader.ternary()
    if reader.tokens:
        raise ValueError(f"'{text}': what is {reader.tokens[0][1]} doing there?")
    return value


class _Reader:
    def __init__(self, text: str, lookup: Lookup) -> None:
        self.text, self.lookup = text, lookup
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"'{text}': cannot read from '{text[at:]}'")
            self.tokens.append((str(found.lastgroup), found[found.lastgroup or 0]))
            at = found.end()

    def peek(self) -> str:
        return self.tokens[0][1] if self.tokens else ""

    def take(self, wanted: str = "") -> tuple[str, str]:
        if not self.tokens or (wanted and self.peek() != wanted):
            raise ValueError(f"'{self.text}': expected {wanted or 'more'} at '{self.peek()}'")
        return self.tokens.pop(0)

    def ternary(self) -> Value:
        condition = self.binary(0)
        if self.peek() != "?":
            return condition
        self.take("?")
        yes = self.ternary()
        self.take(":")
        return _where(condition, yes, self.ternary())

    def binary(self, level: int) -> Value:
        if level == len(BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while self.peek() in BINARY[level]:
            operator = BINARY[level][self.take()[1]]
            left = operator(left, self.binary(level + 1))
        return left

    def unary(self) -> Value:
        if self.peek() == "-":
            self.take()
            return np.negative(self.unary())
        if self.peek() == "!":
            self.take()
            return _truth(np.logical_not)(self.unary())
        return self.atom()

    def atom(self) -> Value:
        kind, word = self.take()
        if kind == "number":
            return float(word)
        if word == "(":
            value = self.ternary()
            self.take(")")
            return value
        if kind == "name" and self.peek() == "(":
            return self.call(word)
        if kind in ("name", "exists"):
            return self.lookup(word)
        raise ValueError(f"'{self.text}': cannot begin with {word}")

    def call(self, name: str) -> Value:
        if name not in FUNCTIONS:
            raise ValueError(f"'{self.text}': no function {name}")
        self.take("(")
        arguments = [self.ternary()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.ternary())
        self.take(")")
        return FUNCTIONS[name](*arguments)
