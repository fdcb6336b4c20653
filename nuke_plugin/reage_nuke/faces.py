"""The faces of a shot to choose from, with thumbnails once an analysis or a preview has found them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reage_nuke import look
from reage_nuke.qt import QtCore, QtGui, QtWidgets
from reage_nuke.widgets import Wrapped

Qt = QtCore.Qt
_CELL = look.THUMBNAIL + 10


class FaceChooser(QtWidgets.QWidget):
    """All faces, the largest, or some of those that were found."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__()
        self._faces: dict[int, Any] = {}
        self._wanted = "all"
        self.all, self.largest = _toggle("All faces"), _toggle("Largest")
        self.all.clicked.connect(lambda: self.choose("all"))
        self.largest.clicked.connect(lambda: self.choose("largest"))
        top = QtWidgets.QHBoxLayout()
        top.setSpacing(4)
        for choice in (self.all, self.largest):
            top.addWidget(choice)
        top.addStretch(1)
        self._grid = QtWidgets.QGridLayout()
        self._grid.setSpacing(4)
        self._hint = Wrapped("A preview finds the faces of the shot and shows them here.")
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(5)
        column.addLayout(top)
        column.addLayout(self._grid)
        column.addWidget(self._hint)
        self.choose("all")

    def value(self) -> str:
        """`all`, `largest`, or ids such as `1,3`, as the engine takes them."""
        return self._wanted

    def choose(self, wanted: str) -> None:
        """Choose; ids that have no thumbnail (yet) are kept."""
        self._wanted = wanted or "all"
        self.all.setChecked(self._wanted == "all")
        self.largest.setChecked(self._wanted == "largest")
        ids = self._ids()
        for number, face in self._faces.items():
            face.setChecked(number in ids)
        self.changed.emit()

    def show_faces(self, faces: Sequence[Mapping[str, Any]]) -> None:
        """Show what was found: `id`, `source_age` and, where there is one, `thumbnail` (a picture file)."""
        known = {number: face.icon() for number, face in self._faces.items()}
        for face in self._faces.values():
            self._grid.removeWidget(face)
            face.hide()
            face.deleteLater()
        self._faces = {}
        for facts in faces:
            number = int(facts["id"])
            self._faces[number] = self._button(number, facts, known.get(number))
        self._hint.say("" if faces else "No face was found; frames will be passed on as they are.", "warn")
        self._lay_out()
        self.choose(self._wanted)

    def forget(self) -> None:
        """Another plate: its faces are not known yet, and ids of the old one mean nothing."""
        self.show_faces([])
        self._hint.say("A preview finds the faces of the shot and shows them here.", "faint")
        if self._wanted not in ("all", "largest"):
            self.choose("all")

    def lacks_thumbnails(self) -> bool:
        """Whether there are faces without a picture."""
        return any(face.icon().isNull() for face in self._faces.values())

    def buttons(self) -> list[Any]:
        """The thumbnails, in order."""
        return list(self._faces.values())

    def resizeEvent(self, event: Any) -> None:
        """As many a row as fit."""
        super().resizeEvent(event)
        self._lay_out()

    def _ids(self) -> list[int]:
        return [int(word) for word in self._wanted.split(",") if word.strip().isdigit()]

    def _button(self, number: int, facts: Mapping[str, Any], kept: Any) -> Any:
        made = _toggle("")
        made.setProperty("face", "true")
        made.setToolButtonStyle(Qt.ToolButtonTextUnderIcon)
        made.setIconSize(QtCore.QSize(look.THUMBNAIL, look.THUMBNAIL))
        made.setFixedWidth(_CELL)
        age = facts.get("source_age")
        made.setText(f"{number}" if age is None else f"{number} \u00b7 {float(age):.0f} y")
        thumbnail = QtGui.QPixmap(str(facts.get("thumbnail") or ""))
        if not thumbnail.isNull():
            made.setIcon(QtGui.QIcon(thumbnail))
        elif kept is not None:
            made.setIcon(kept)
        made.setToolTip(
            f"Face {number}" + (f", about {float(age):.1f} years old in the plate" if age is not None else "")
        )
        made.clicked.connect(self._picked)
        return made

    def _picked(self) -> None:
        ids = [str(number) for number, face in self._faces.items() if face.isChecked()]
        self.choose(",".join(ids) or "all")

    def _lay_out(self) -> None:
        across = max(1, (self.width() + 4) // (_CELL + 4))
        for at, face in enumerate(self._faces.values()):
            self._grid.addWidget(face, at // across, at % across, Qt.AlignLeft)
            face.show()
        self._grid.setColumnStretch(across, 1)


def _toggle(text: str) -> Any:
    made = QtWidgets.QToolButton()
    made.setText(text)
    made.setCheckable(True)
    return made
