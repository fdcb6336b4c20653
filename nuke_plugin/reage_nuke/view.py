"""The panel's face: sections in a scrolling page, the preview on top, buttons, progress and log at the foot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reage_nuke import look
from reage_nuke.facts import Settings
from reage_nuke.form import AgeSection, FaceSection, FrameSection, LookSection, ModelSection, MoreSection, PlateSection
from reage_nuke.qt import QtCore, QtWidgets
from reage_nuke.widgets import Elided, Section, Wrapped, button
from reage_nuke.wipe import WipeView

Qt = QtCore.Qt
_LOG_LINES = 2000


class PreviewSection(Section):
    """The picture, before and after."""

    def __init__(self) -> None:
        super().__init__("Preview")
        self.view = WipeView()
        self.words = Elided("", "faint")
        fit = button("Fit", self.view.fit, "The whole picture", small=True)
        full = button("100 %", self.view.full, "A pixel for a pixel; middle drag pans, Ctrl + wheel zooms", small=True)
        line = QtWidgets.QHBoxLayout()
        line.setContentsMargins(4, 0, 0, 0)
        line.setSpacing(4)
        for widget, share in ((self.words, 1), (fit, 0), (full, 0)):
            line.addWidget(widget, share)
        holder = QtWidgets.QWidget()
        holder.setLayout(line)
        self.rows.wide(self.view)
        self.rows.wide(holder)
        self.brief(self.words.whole)


class Foot(QtWidgets.QFrame):
    """What stays in sight: message, buttons, progress, log."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("foot")
        self.notice = Wrapped("", "faint")
        self.notice.setObjectName("notice")
        self.notice.hide()
        self.preview = _push("Preview", "One frame, the viewer's current one, before and after")
        self.reage = _push("Re-age", "Render the frames and make a Read node of them")
        self.reage.setObjectName("main")
        self.farm = _push("Send to farm", "Write a job bundle beside the script and show the submit command")
        self.cancel = _push("Cancel", "Stop; frames that are done stay")
        buttons = QtWidgets.QHBoxLayout()
        buttons.setSpacing(4)
        for widget, share in ((self.preview, 3), (self.reage, 4), (self.farm, 3), (self.cancel, 2)):
            buttons.addWidget(widget, share)
        self.bar = QtWidgets.QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 1000)
        self.line = Elided("Ready", "faint")
        self.show_log = QtWidgets.QToolButton()
        self.show_log.setObjectName("small")
        self.show_log.setText("Log")
        self.show_log.setCheckable(True)
        under = QtWidgets.QHBoxLayout()
        under.setSpacing(6)
        under.addWidget(self.line, 1)
        under.addWidget(self.show_log)
        self.log = QtWidgets.QPlainTextEdit()
        self.log.setObjectName("log")
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(_LOG_LINES)
        self.log.setFixedHeight(110)
        self.log.hide()
        self.show_log.toggled.connect(self.log.setVisible)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(8, 7, 8, 7)
        column.setSpacing(6)
        column.addWidget(self.notice)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        column.addLayout(under)
        column.addWidget(self.log)

    def tell(self, text: str, tone: str = "faint") -> None:
        """A message that stays until the next one; an empty text takes it away."""
        self.notice.say(text, tone)

    def show_state(self, busy: bool, cancelling: bool, ready: bool, line: str, share: Any) -> None:
        """Buttons, bar and line."""
        for widget in (self.preview, self.reage, self.farm):
            widget.setEnabled(ready and not busy)
        self.cancel.setEnabled(busy and not cancelling)
        self.line.say(line)
        if busy and share is None:
            self.bar.setRange(0, 0)  # it moves, and promises nothing
        else:
            self.bar.setRange(0, 1000)
            self.bar.setValue(round(1000 * (share or 0)))

    def note(self, line: str) -> None:
        """A line of the log."""
        self.log.appendPlainText(line)


class View(QtWidgets.QWidget):
    """The whole panel without what it does."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("reage")
        self.setWindowTitle("Reage")
        self.setAttribute(Qt.WA_StyledBackground)
        self.setStyleSheet(look.STYLE)
        self.preview = PreviewSection()
        self.plate, self.age, self.model = PlateSection(), AgeSection(), ModelSection()
        self.look, self.faces, self.frames, self.more = LookSection(), FaceSection(), FrameSection(), MoreSection()
        self.foot = Foot()
        self.sections = {
            "preview": self.preview,
            "plate": self.plate,
            "age": self.age,
            "model": self.model,
            "look": self.look,
            "faces": self.faces,
            "frames": self.frames,
            "more": self.more,
        }
        page = QtWidgets.QWidget()
        page.setObjectName("page")
        column = QtWidgets.QVBoxLayout(page)
        column.setContentsMargins(8, 8, 8, 8)
        column.setSpacing(3)
        for section in self.sections.values():
            column.addWidget(section)
        column.addStretch(1)
        self.preview.hide()  # until there is a picture
        self.page_view = QtWidgets.QScrollArea()
        self.page_view.setWidgetResizable(True)
        self.page_view.setHorizontalScrollBarPolicy(Qt.ScrollBarAlwaysOff)
        self.page_view.setWidget(page)
        whole = QtWidgets.QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addWidget(self.page_view, 1)
        whole.addWidget(self.foot)
        self.setMinimumWidth(300)

    def settings(self, base: Settings) -> Settings:
        """What the fields say; what has no field stays as it is in `base`."""
        look_, frames, more = self.look, self.frames, self.more
        return replace(
            base,
            age=self.age.value(),
            source_age=self.age.source_value(),
            model=self.model.value(),
            mode=more.mode.value(),
            matte=more.matte.value(),
            strength=look_.strength.value(),
            tone=look_.tone.value(),
            detail=look_.detail.value(),
            regions=look_.region(),
            face=self.faces.faces.value(),
            smooth=int(more.smooth.value()),
            frames_mode=frames.kind.value(),
            frames=frames.frames.text().strip(),
            handles=int(frames.handles.value()),
            output=frames.output.text().strip(),
            version_up=frames.version_up.isChecked(),
            layers=frames.layers.isChecked(),
            comp=frames.layers.isChecked() and frames.wire.isChecked(),
            device=more.device.value(),
            holdout=more.holdout.text().strip(),
            landmarks=more.landmarks.text().strip(),
            colorspace=more.colorspace.text().strip(),
            on_missing="skip" if frames.skip.isChecked() else "stop",
            overwrite=frames.overwrite.isChecked(),
        )

    def show_settings(self, settings: Settings) -> None:
        """Fill the fields."""
        look_, frames, more = self.look, self.frames, self.more
        self.age.take(settings.age)
        self.age.take_source(settings.source_age)
        self.model.choose(settings.model)
        self.faces.faces.choose(settings.face)
        for slide, value in (
            (look_.strength, settings.strength),
            (look_.tone, settings.tone),
            (look_.detail, settings.detail),
        ):
            slide.set(value)
        look_.set_region(settings.regions)
        frames.kind.choose(settings.frames_mode)
        frames.frames.setText(settings.frames)
        frames.handles.setValue(settings.handles)
        frames.output.setText(settings.output)
        frames.version_up.setChecked(settings.version_up)
        frames.layers.setChecked(settings.layers)
        frames.wire.setChecked(settings.comp)
        frames.skip.setChecked(settings.on_missing == "skip")
        frames.overwrite.setChecked(settings.overwrite)
        more.mode.choose(settings.mode)
        more.matte.choose(settings.matte)
        more.device.choose(settings.device)
        more.smooth.setValue(settings.smooth)
        more.holdout.setText(settings.holdout)
        more.landmarks.setText(settings.landmarks)
        more.colorspace.setText(settings.colorspace)

    def sizeHint(self) -> Any:
        """A common pane."""
        return QtCore.QSize(400, 780)


def _push(text: str, tip: str) -> Any:
    made = QtWidgets.QPushButton(text)
    made.setToolTip(tip)
    made.setMinimumWidth(made.fontMetrics().boundingRect(text).width() + 14)
    return made
