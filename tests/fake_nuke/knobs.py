"""Knob classes: types are coerced as strictly as Nuke might, enumerations take their own words alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from fake_nuke.state import STATE, on_main_thread
from fake_nuke.table import KnobFact


class Knob:
    """A value on a node. Made with a name and a label, as in Nuke."""

    _usual: Any = None

    def __init__(self, name: str, label: str = "") -> None:
        self._name, self._label = name, label
        self._value = self._usual
        self._flags = 0
        self._node: Any = None
        self._tooltip = ""

    def _touch(self) -> None:
        on_main_thread()
        if self._node is not None:
            self._node._attached()

    def name(self) -> str:
        return self._name

    def label(self) -> str:
        return self._label

    def node(self) -> Any:
        return self._node

    def Class(self) -> str:
        return type(self).__name__

    def setFlag(self, flag: int) -> None:
        self._flags |= flag

    def clearFlag(self, flag: int) -> None:
        self._flags &= ~flag

    def getFlag(self, flag: int) -> bool:
        return bool(self._flags & flag)

    def setTooltip(self, tooltip: str) -> None:
        self._tooltip = tooltip

    def tooltip(self) -> str:
        return self._tooltip

    def setEnabled(self, enabled: bool) -> None:
        self._touch()

    def setVisible(self, visible: bool) -> None:
        self._touch()

    def setValue(self, val: Any) -> Any:
        self._touch()
        self._value = self._taken(val)
        return True

    def value(self) -> Any:
        self._touch()
        return self._value

    def getValue(self) -> Any:
        return self.value()

    def _taken(self, val: Any) -> Any:
        return val


class String_Knob(Knob):
    _usual = ""

    def __init__(self, name: str, label: str = "", value: str = "") -> None:
        super().__init__(name, label)
        self._value = value

    def _taken(self, val: Any) -> str:
        if not isinstance(val, str):
            raise TypeError(f"{self._name}: a string is needed, not {type(val).__name__}")
        return val

    def getText(self) -> str:
        return str(self.value())

    def setText(self, val: str) -> Any:
        return self.setValue(val)


class EvalString_Knob(String_Knob):
    pass


class Multiline_Eval_String_Knob(EvalString_Knob):
    pass


class Text_Knob(Knob):
    def __init__(self, name: str, label: str = "", value: str = "") -> None:
        super().__init__(name, label)
        self._value = value


class File_Knob(EvalString_Knob):
    """Evaluates bracketed texts (only those the test announced) and views; frame tokens stay."""

    def getEvaluatedValue(self, oc: Any = None) -> str:
        self._touch()
        path = re.sub(r"\[[^\]]*\]", lambda text: STATE.tcl[text[0]], self._value)
        view = STATE.views[0] if oc is None else STATE.views[oc.view() - 1]
        path = path.replace("%V", view).replace("%v", view[:1])
        return re.sub(r"#+", lambda run: f"%0{len(run[0])}d", re.sub(r"%(\d)d", r"%0\1d", path))

    def fromUserText(self, s: str) -> None:
        """A trailing range is taken off and, on a Read, set; the file is opened for its format."""
        self._touch()
        match = re.fullmatch(r"(.*?) (-?\d+)-(-?\d+)", s)
        self._value = match[1] if match else s
        if match and self._node is not None and self._node.Class() == "Read":
            for name, number in (("first", 2), ("last", 3), ("origfirst", 2), ("origlast", 3)):
                self._node[name].setValue(int(match[number]))

    def fromScript(self, s: str) -> None:
        self._touch()
        self._value = s


class Script_Knob(String_Knob):
    def execute(self) -> None:
        self._touch()
        self._node._pressed.append(self._name)


class PyScript_Knob(Script_Knob):
    pass


class Array_Knob(Knob):
    """Numbers, one or several; may be animated by keys or an expression."""

    _usual = 0.0

    def __init__(self, name: str, label: str = "") -> None:
        super().__init__(name, label)
        self._keys: dict[float, float] = {}
        self._expression = ""
        self._size = 1

    def _taken(self, val: Any) -> Any:
        if isinstance(val, bool) or not isinstance(val, (int, float)):
            raise TypeError(f"{self._name}: a number is needed, not {type(val).__name__}")
        return float(val)

    def arraySize(self) -> int:
        return self._size

    def isAnimated(self) -> bool:
        self._touch()
        return bool(self._keys) or bool(self._expression)

    def hasExpression(self) -> bool:
        self._touch()
        return bool(self._expression)

    def setAnimated(self) -> bool:
        self._touch()
        self._keys.setdefault(float(STATE.frame), float(self._value))
        return True

    def setValueAt(self, val: Any, time: float) -> bool:
        self._touch()
        self._keys[float(time)] = self._taken(val)
        return True

    def setExpression(self, expression: str) -> bool:
        """The only one known here is `frame`."""
        self._touch()
        assert expression == "frame"
        self._expression = expression
        return True

    def getValueAt(self, frame: float) -> float:
        """Linear between keys, held outside."""
        self._touch()
        if self._expression:
            return float(frame)
        keys = sorted(self._keys.items())
        if not keys or frame <= keys[0][0]:
            return keys[0][1] if keys else float(self._value)
        for (f0, v0), (f1, v1) in pairwise(keys):
            if frame <= f1:
                return v0 + (v1 - v0) * (frame - f0) / (f1 - f0)
        return keys[-1][1]

    def setRange(self, least: float, most: float) -> None:
        self._touch()


class Double_Knob(Array_Knob):
    pass


class Int_Knob(Array_Knob):
    _usual = 0

    def __init__(self, name: str, label: str = "", value: int = 0) -> None:
        super().__init__(name, label)
        self._value = value

    def _taken(self, val: Any) -> int:
        if isinstance(val, bool) or not isinstance(val, int):
            raise TypeError(f"{self._name}: a whole number is needed, not {type(val).__name__}")
        return val


class Color_Knob(Array_Knob):
    def __init__(self, name: str, label: str = "") -> None:
        super().__init__(name, label)
        self._size = 3

    def _taken(self, val: Any) -> Any:
        if isinstance(val, Sequence):
            return [super(Color_Knob, self)._taken(each) for each in val]
        return super()._taken(val)


class AColor_Knob(Color_Knob):
    def __init__(self, name: str, label: str = "") -> None:
        super().__init__(name, label)
        self._size = 4


class Boolean_Knob(Array_Knob):
    _usual = False

    def __init__(self, name: str, label: str = "", value: bool = False) -> None:
        super().__init__(name, label)
        self._value = value

    def _taken(self, val: Any) -> bool:
        if not isinstance(val, (bool, int)):
            raise TypeError(f"{self._name}: true or false is needed, not {type(val).__name__}")
        return bool(val)


class Disable_Knob(Boolean_Knob):
    pass


class Unsigned_Knob(Array_Knob):
    _usual = 0

    def _taken(self, val: Any) -> int:
        if isinstance(val, bool) or not isinstance(val, int) or not 0 <= val <= 0xFFFFFFFF:
            raise TypeError(f"{self._name}: an unsigned number is needed, not {val!r}")
        return val


class ColorChip_Knob(Unsigned_Knob):
    pass


class Enumeration_Knob(Unsigned_Knob):
    """Takes a word or its place; any other word is refused (what Nuke does then is not documented)."""

    def __init__(self, name: str, label: str = "", values: Sequence[str] = ()) -> None:
        super().__init__(name, label)
        self._words = list(values)
        self._value = self._words[0] if self._words else ""

    def _taken(self, val: Any) -> Any:
        if isinstance(val, int) and not isinstance(val, bool) and 0 <= val < len(self._words):
            return self._words[val]
        if val not in self._words:
            raise ValueError(f"{self._name}: {val!r} is not one of {', '.join(self._words)}")
        return str(val)

    def values(self) -> list[str]:
        return list(self._words)

    def setValues(self, items: Sequence[str]) -> None:
        self._touch()
        self._words = list(items)
        self._value = self._value if self._value in self._words else self._words[0]

    def numValues(self) -> int:
        return len(self._words)

    def enumName(self, n: int) -> str:
        return self._words[n]


class ChannelMask_Knob(Knob):
    _usual = "none"

    def _taken(self, val: Any) -> str:
        if val not in ("none", "all", "rgb", "rgba", "alpha"):
            raise ValueError(f"{self._name}: no layer {val!r}")
        return str(val)


class Format_Knob(Knob):
    pass


class Tab_Knob(Knob):
    pass


def make(fact: KnobFact) -> Knob:
    """The knob of a line of the table, at its default."""
    kind = globals()[f"{fact.type}_Knob"]
    knob: Knob = kind(fact.name, "", fact.values) if kind is Enumeration_Knob else kind(fact.name)
    if fact.default or kind is Enumeration_Knob:
        knob._value = fact.default if isinstance(knob._usual, str) or kind is Enumeration_Knob else float(fact.default)
        if isinstance(knob, (Int_Knob, Boolean_Knob, Unsigned_Knob)) and kind is not Enumeration_Knob:
            knob._value = type(knob._usual)(knob._value)
    return knob
