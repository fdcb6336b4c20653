"""Small parts the panel is put together from: folding sections, a slider with its number, rows of labels and fields."""

from __future__ import annotations

from typing import Any, Callable

from reage_nuke import look
from reage_nuke.qt import QtCore, QtGui, QtWidgets

Qt = QtCore.Qt


def toned(widget: Any, tone: str) -> Any:
    """Give a label another tone of the style sheet; the widget is answered."""
    if widget.property("tone") != tone:
        widget.setProperty("tone", tone)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
    return widget


class Elided(QtWidgets.QLabel):
    """A line that is shortened in the middle where it does not fit; the whole is its tool tip."""

    def __init__(self, text: str = "", tone: str = "") -> None:
        super().__init__()
        self._whole = ""
        self.setMinimumWidth(20)
        self.setSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Preferred)
        if tone:
            self.setProperty("tone", tone)
        self.say(text)

    def say(self, text: str, tip: str = "") -> None:
        """Show a text."""
        self._whole = text
        self.setToolTip(tip or text)
        self._fit()

    def whole(self) -> str:
        """The text before it was shortened."""
        return self._whole

    def resizeEvent(self, event: Any) -> None:
        """Shorten anew."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setText(self.fontMetrics().elidedText(self._whole, Qt.ElideMiddle, max(20, self.width())))


class Wrapped(QtWidgets.QLabel):
    """Text over as many lines as it takes."""

    def __init__(self, text: str = "", tone: str = "faint") -> None:
        super().__init__(text)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextSelectableByMouse)
        self.setProperty("tone", tone)
        self.setMinimumWidth(20)
        policy = QtWidgets.QSizePolicy(QtWidgets.QSizePolicy.Ignored, QtWidgets.QSizePolicy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def say(self, text: str, tone: str) -> None:
        """Show a text in a tone; nothing hides the label."""
        self.setText(text)
        toned(self, tone)
        self.setVisible(bool(text))


class Section(QtWidgets.QWidget):
    """A heading that folds what is under it; folded, it says in brief what is set inside."""

    folded = QtCore.Signal(bool)

    def __init__(self, title: str, open_: bool = True) -> None:
        super().__init__()
        self.title = title
        self._head = QtWidgets.QPushButton()
        self._head.setObjectName("head")
        self._head.setFocusPolicy(Qt.TabFocus)
        self._head.setCursor(Qt.PointingHandCursor)
        self._brief = Elided()
        self._brief.setObjectName("brief")
        self._brief.setAttribute(Qt.WA_TransparentForMouseEvents)
        self._brief.setAlignment(Qt.AlignRight | Qt.AlignVCenter)
        inside = QtWidgets.QHBoxLayout(self._head)
        inside.setContentsMargins(look.LABEL + 2, 0, 8, 0)
        inside.addWidget(self._brief)
        self.body = QtWidgets.QWidget()
        self.rows = Rows(self.body)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._head)
        column.addWidget(self.body)
        self._head.clicked.connect(lambda: self.fold(self.is_open()))
        self._summary: Callable[[], str] = str
        self.fold(not open_)

    def is_open(self) -> bool:
        """Whether the body is shown."""
        return not self.body.isHidden()

    def fold(self, away: bool) -> None:
        """Hide or show the body."""
        self.body.setVisible(not away)
        self._head.setText(("\u25b8  " if away else "\u25be  ") + self.title)
        self.refresh()
        self.folded.emit(away)

    def brief(self, summary: Callable[[], str]) -> None:
        """What a folded section says of itself."""
        self._summary = summary
        self.refresh()

    def refresh(self) -> None:
        """Say it again."""
        self._brief.say("" if self.is_open() else self._summary())


class Rows(QtWidgets.QGridLayout):
    """Labels on the left, right-aligned in one column for the whole panel; fields on the right."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.setContentsMargins(0, look.GAP, 2, look.GAP + 2)
        self.setHorizontalSpacing(look.GAP)
        self.setVerticalSpacing(4)
        self.setColumnMinimumWidth(0, look.LABEL)
        self.setColumnStretch(1, 1)

    def add(self, label: str, *fields: Any, tip: str = "") -> Any:
        """A row; several fields share it, the first gets the room. Answers the row's own widget."""
        at = self.rowCount()
        name = QtWidgets.QLabel(label)
        name.setProperty("tone", "label")
        name.setToolTip(tip)
        holder = QtWidgets.QWidget()
        inside = QtWidgets.QHBoxLayout(holder)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(4)
        for number, field in enumerate(fields):
            inside.addWidget(field, 0 if number else 1)
            if tip and not field.toolTip():
                field.setToolTip(tip)
        self.addWidget(name, at, 0, Qt.AlignRight | Qt.AlignVCenter)
        self.addWidget(holder, at, 1)
        holder.name = name
        return holder

    def wide(self, widget: Any) -> Any:
        """A widget over both columns."""
        self.addWidget(widget, self.rowCount(), 0, 1, 2)
        return widget


def show_row(row: Any, shown: bool) -> None:
    """Show or hide a row of `Rows`, its label too."""
    row.setVisible(shown)
    row.name.setVisible(shown)


class Combo(QtWidgets.QComboBox):
    """A menu of words with values behind them; the wheel scrolls the panel, not the menu."""

    def __init__(self, *choices: Any) -> None:
        super().__init__()
        self.setFocusPolicy(Qt.StrongFocus)
        self.setMinimumContentsLength(4)
        self.setSizeAdjustPolicy(QtWidgets.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.setView(QtWidgets.QListView())
        for words, value in choices:
            self.addItem(words, value)

    def wheelEvent(self, event: Any) -> None:
        """Leave it to the panel."""
        event.ignore()

    def value(self) -> Any:
        """What is behind the chosen words."""
        return self.currentData()

    def choose(self, value: Any) -> bool:
        """Choose by value; False where there is no such choice."""
        at = next((i for i in range(self.count()) if self.itemData(i) == value), -1)
        if at >= 0:
            self.setCurrentIndex(at)
        return at >= 0

    def refill(self, choices: Any) -> None:
        """Other choices; the chosen value stays where it still is one."""
        kept = self.value()
        self.blockSignals(True)
        self.clear()
        for words, value in choices:
            self.addItem(words, value)
        self.choose(kept)
        self.blockSignals(False)


class Number(QtWidgets.QDoubleSpinBox):
    """A numeric field without arrows; the wheel counts only while it is being edited."""

    def __init__(self, low: float, high: float, value: float, decimals: int = 2, step: float = 0.05) -> None:
        super().__init__()
        self.setButtonSymbols(QtWidgets.QAbstractSpinBox.NoButtons)
        self.setDecimals(decimals)
        self.setRange(low, high)
        self.setSingleStep(step)
        self.setValue(value)
        self.setFixedWidth(look.NUMBER)
        self.setAlignment(Qt.AlignRight)
        self.setFocusPolicy(Qt.StrongFocus)
        self.setKeyboardTracking(False)
        self.setLocale(QtCore.QLocale.c())  # a point, whatever the artist's system says

    def wheelEvent(self, event: Any) -> None:
        """Leave it to the panel, unless the field is being edited."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def textFromValue(self, value: float) -> str:
        """Without trailing zeros: 40, 0.5."""
        return f"{value:.{self.decimals()}f}".rstrip("0").rstrip(".") if self.decimals() else f"{value:.0f}"


class _Slider(QtWidgets.QSlider):
    def wheelEvent(self, event: Any) -> None:
        event.ignore()


class Slide(QtWidgets.QWidget):
    """A slider and its number. A double click on the slider brings the default back."""

    changed = QtCore.Signal(float)

    def __init__(
        self, low: float, high: float, value: float, decimals: int = 2, step: float = 0.05, most: float | None = None
    ) -> None:
        super().__init__()
        self._steps = 10**decimals if decimals else 1
        self._default = value
        self._high = high
        self.number = Number(low, high if most is None else most, value, decimals, step)
        self.slider = _Slider(Qt.Horizontal)
        self.slider.setRange(round(low * self._steps), round(high * self._steps))
        self.slider.setPageStep(max(1, round(step * self._steps)))
        self.slider.setMinimumWidth(40)
        self.slider.setFocusPolicy(Qt.ClickFocus)
        self.slider.installEventFilter(self)
        line = QtWidgets.QHBoxLayout(self)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(look.GAP)
        line.addWidget(self.slider, 1)
        line.addWidget(self.number)
        self._follow(value)
        self.slider.valueChanged.connect(lambda at: self.number.setValue(at / self._steps))
        self.number.valueChanged.connect(self._follow)

    def value(self) -> float:
        """The number."""
        return self.number.value()

    def set(self, value: float) -> None:
        """Set both."""
        self.number.setValue(value)

    def eventFilter(self, watched: Any, event: Any) -> bool:
        """A double click resets."""
        if event.type() == QtCore.QEvent.MouseButtonDblClick:
            self.set(self._default)
            return True
        return bool(super().eventFilter(watched, event))

    def _follow(self, value: float) -> None:
        self.slider.blockSignals(True)
        self.slider.setValue(round(min(value, self._high) * self._steps))
        self.slider.blockSignals(False)
        self.changed.emit(value)


def button(text: str, call: Callable[[], Any], tip: str = "", small: bool = False) -> Any:
    """A push button, or a small square one."""
    made = QtWidgets.QToolButton() if small else QtWidgets.QPushButton(text)
    if small:
        made.setText(text)
        made.setObjectName("small")
        made.setFixedHeight(22)
        made.setFixedWidth(max(24, made.fontMetrics().boundingRect(text).width() + 16))
    made.setToolTip(tip)
    made.clicked.connect(lambda *_: call())
    return made


def picture(path: str) -> Any:
    """A picture from a file; null where there is none."""
    return QtGui.QPixmap(path)
