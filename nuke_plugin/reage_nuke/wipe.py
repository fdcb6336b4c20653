"""Before and after in one picture, with a split that can be dragged."""

from __future__ import annotations

from typing import Any

from reage_nuke import look
from reage_nuke.qt import QtCore, QtGui, QtWidgets

Qt = QtCore.Qt
_NEAR = 8  # pixels from the split at which a press takes hold of it


class WipeView(QtWidgets.QWidget):
    """Left of the split the plate, right of it the result. Drag the split; middle drag pans; the wheel zooms."""

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumHeight(120)
        self.setMouseTracking(True)
        policy = QtWidgets.QSizePolicy(QtWidgets.QSizePolicy.Expanding, QtWidgets.QSizePolicy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.split = 0.5
        """Where the split is, as a share of the picture's width."""
        self.zoom = 0.0
        """Screen pixels for a picture's; 0 fits the picture into the view."""
        self._pan = QtCore.QPointF(0, 0)
        self._held: Any = None
        self._before, self._after = QtGui.QPixmap(), QtGui.QPixmap()
        self._words = ("", "")

    def show_pair(self, before: str, after: str, words: Any) -> bool:
        """Load two picture files and what to call them; False where one cannot be read."""
        self._before, self._after = QtGui.QPixmap(before), QtGui.QPixmap(after)
        self._words = (str(words[0]), str(words[1]))
        self.updateGeometry()
        self.update()
        return self.has_picture()

    def has_picture(self) -> bool:
        """Whether there is something to show."""
        return not self._before.isNull() and not self._after.isNull()

    def fit(self) -> None:
        """The whole picture."""
        self.zoom, self._pan = 0.0, QtCore.QPointF(0, 0)
        self.update()

    def full(self) -> None:
        """A pixel for a pixel."""
        self.zoom = 1.0 / self.devicePixelRatioF()
        self.update()

    def heightForWidth(self, width: int) -> int:
        """The picture's shape, within reason."""
        if not self.has_picture():
            return 120
        return int(max(120, min(420, width * self._after.height() / self._after.width())))

    def sizeHint(self) -> Any:
        """A common pane's width."""
        return QtCore.QSize(360, self.heightForWidth(360))

    def area(self) -> Any:
        """Where the picture lies, in pixels of the widget."""
        wide, high = self._after.width(), self._after.height()
        scale = self.zoom or min(self.width() / max(1, wide), self.height() / max(1, high))
        box = QtCore.QRectF(0, 0, wide * scale, high * scale)
        box.moveCenter(QtCore.QRectF(self.rect()).center() + self._pan)
        return box

    def split_at(self) -> float:
        """X of the split, in pixels of the widget."""
        box = self.area()
        return float(box.left() + self.split * box.width())

    def paintEvent(self, event: Any) -> None:
        """Draw."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.SmoothPixmapTransform, self.zoom < 1.5)
        painter.fillRect(self.rect(), QtGui.QColor("#1b1b1b"))
        if not self.has_picture():
            painter.setPen(QtGui.QColor(look.FAINT))
            painter.drawText(self.rect(), int(Qt.AlignCenter), "no preview yet")
            return
        box, x = self.area(), self.split_at()
        whole = QtCore.QRectF(self.rect())
        for picture, part in (
            (self._before, QtCore.QRectF(whole.left(), 0, x, whole.height())),
            (self._after, QtCore.QRectF(x, 0, whole.width() - x, whole.height())),
        ):
            painter.setClipRect(part & whole)
            painter.drawPixmap(box, picture, QtCore.QRectF(picture.rect()))
        painter.setClipping(False)
        self._draw_split(painter, x)
        self._draw_words(painter, x)

    def _draw_split(self, painter: Any, x: float) -> None:
        painter.setRenderHint(QtGui.QPainter.Antialiasing)
        painter.setPen(QtGui.QPen(QtGui.QColor(0, 0, 0, 150), 3))
        painter.drawLine(QtCore.QPointF(x, 0), QtCore.QPointF(x, self.height()))
        painter.setPen(QtGui.QPen(QtGui.QColor(look.ACCENT), 1))
        painter.drawLine(QtCore.QPointF(x, 0), QtCore.QPointF(x, self.height()))
        painter.setBrush(QtGui.QColor(look.ACCENT))
        painter.drawEllipse(QtCore.QPointF(x, self.height() / 2), 4, 4)

    def _draw_words(self, painter: Any, x: float) -> None:
        metrics = painter.fontMetrics()
        for side, words in enumerate(self._words):
            if not words:
                continue
            wide = metrics.boundingRect(words).width() + 10
            left = self.width() - wide - 6 if side else 6
            if (side and left < x) or (not side and left + wide > x):
                continue  # its half is wiped away
            chip = QtCore.QRectF(left, self.height() - metrics.height() - 10, wide, metrics.height() + 4)
            painter.setPen(Qt.NoPen)
            painter.setBrush(QtGui.QColor(0, 0, 0, 150))
            painter.drawRoundedRect(chip, 2, 2)
            painter.setPen(QtGui.QColor("#f0f0f0"))
            painter.drawText(chip, int(Qt.AlignCenter), words)

    def mousePressEvent(self, event: Any) -> None:
        """Take hold of the split or, with the middle button, of the picture."""
        if event.button() == Qt.MiddleButton:
            self._held = QtCore.QPointF(event.pos()) - self._pan
        elif event.button() == Qt.LeftButton and self.has_picture():
            self._held = "split"
            self._move_split(event.pos().x())

    def mouseMoveEvent(self, event: Any) -> None:
        """Drag what is held; say by the cursor what could be."""
        near = abs(event.pos().x() - self.split_at()) < _NEAR if self.has_picture() else False
        self.setCursor(Qt.SplitHCursor if near else Qt.ArrowCursor)
        if self._held == "split":
            self._move_split(event.pos().x())
        elif self._held is not None:
            self._pan = QtCore.QPointF(event.pos()) - self._held
            self.update()

    def mouseReleaseEvent(self, event: Any) -> None:
        """Let go."""
        self._held = None

    def wheelEvent(self, event: Any) -> None:
        """Zoom about the pointer's place, with Control held; without it the panel scrolls."""
        if not event.modifiers() & Qt.ControlModifier or not self.has_picture():
            event.ignore()
            return
        box = self.area()
        scale = box.width() / self._after.width()
        self.zoom = max(0.05, min(16.0, scale * (1.25 if event.angleDelta().y() > 0 else 0.8)))
        self.update()

    def _move_split(self, x: float) -> None:
        box = self.area()
        self.split = max(0.0, min(1.0, (x - box.left()) / max(1.0, box.width())))
        self.update()
