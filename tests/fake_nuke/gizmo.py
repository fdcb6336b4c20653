"""As much of a gizmo's text as a node needs: how many inputs it has, and its user knobs."""

from __future__ import annotations

from fake_nuke.table import KnobFact

_TYPES = {
    "1": "String", "2": "File", "3": "Int", "4": "Enumeration", "6": "Boolean", "7": "Double", "18": "Color",
    "19": "AColor", "20": "Tab", "22": "PyScript", "26": "Text", "43": "String",
}  # fmt: skip
"""Kinds of `addUserKnob`; a link (41) is not a value of the node's own."""


def words_of(text: str) -> list[str]:
    """A Tcl list as words: blanks part them, braces and double quotes hold them together, a backslash escapes."""
    words: list[str] = []
    place = 0
    while place < len(text):
        if text[place].isspace() or text[place] == ";":
            place += 1
        elif text[place] == "#" and (not text[:place].strip(" \t") or text[:place].rstrip(" \t").endswith("\n")):
            place = text.find("\n", place) % (len(text) + 1)
        else:
            end = _end_of_word(text, place)
            word = text[place:end]
            words.append(word[1:-1] if word[0] in '{"' else word)
            place = end
    return words


def _end_of_word(text: str, start: int) -> int:
    first, depth, place = text[start], 0, start
    while place < len(text):
        sign = text[place]
        if sign == "\\":
            place += 1
        elif first == "{":
            depth += {"{": 1, "}": -1}.get(sign, 0)
            if depth == 0:
                return place + 1
        elif first == '"':
            if sign == '"' and place > start:
                return place + 1
        elif sign.isspace():
            return place
        place += 1
    if first in '{"':
        raise RuntimeError("a brace or quote is not closed")
    return place


def read_gizmo(text: str) -> tuple[int, list[KnobFact]]:
    """Inputs and user knobs of the Group that a gizmo file holds.

    Raises:
        RuntimeError: it is no Group, a brace is missing, or its end is.
    """
    words = words_of(text)
    while words and words[0] == "version":
        words = words[3:] if len(words) > 2 and words[2].startswith("v") else words[2:]
    if len(words) < 2 or words[0] != "Group":
        raise RuntimeError(f"the file starts with {words[:1]} and not with Group")
    commands = words[2:]
    if "end_group" not in commands:
        raise RuntimeError("end_group is missing")
    return commands.count("Input"), _user_knobs(words_of(words[1]))


def _user_knobs(pairs: list[str]) -> list[KnobFact]:
    given = {name: value for name, value in zip(pairs[::2], pairs[1::2], strict=True) if name != "addUserKnob"}
    found = []
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        if name == "addUserKnob":
            kind, knob, *rest = words_of(value)
            if kind in _TYPES:
                options = dict(zip(rest[::2], rest[1::2], strict=False))
                choices = tuple(words_of(options.get("M", "")))
                default = given.get(knob, choices[0] if choices else "")
                found.append(KnobFact(knob, _TYPES[kind], _plain(default, _TYPES[kind]), choices))
    return found


def _plain(value: str, kind: str) -> str:
    """A default that is a number where the knob wants one; an expression counts as none."""
    if kind == "Boolean":
        return {"true": "1", "false": ""}.get(value, value)
    if kind in ("Int", "Double", "Color", "AColor"):
        return value if value.lstrip("-").replace(".", "", 1).isdigit() else ""
    return value
