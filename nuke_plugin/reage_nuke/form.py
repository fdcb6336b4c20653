"""The fields of the panel in folding sections. A section knows its widgets and its values, and nothing of Nuke."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from reage_nuke import catalogue, look
from reage_nuke.faces import FaceChooser
from reage_nuke.facts import REGIONS
from reage_nuke.qt import QtCore, QtWidgets
from reage_nuke.widgets import Combo, Elided, Number, Section, Slide, Wrapped, button, show_row

NUMBER, SEVERAL, TYPED, KNOB = "number", "several", "typed", "knob"
INPUT, CUSTOM, CURRENT = "input", "custom", "current"
DEVICES = (("Automatic", "auto"), ("CPU", "cpu"), ("CUDA (NVIDIA)", "cuda"), ("Metal (Apple)", "mps"))
OWN = "own"
QUEUES = (
    ("Show the submit command", ""),
    ("Submit to Deadline Cloud", "deadline-cloud"),
    ("Submit to Deadline 10", "deadline10"),
    ("Submit to OpenCue", "opencue"),
    ("Run on this machine", "local"),
    ("Submit with a command", OWN),
)


class PlateSection(Section):
    """What is going to be re-aged."""

    asked = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Plate")
        self._plates: list[Mapping[str, Any]] = []
        self.name = Elided("Select a Read node", "name")
        self.take = button("Use selection", self.asked.emit, "Take the Read nodes that are selected in the node graph")
        line = QtWidgets.QHBoxLayout()
        line.setSpacing(6)
        line.addWidget(self.name, 1)
        line.addWidget(self.take)
        holder = QtWidgets.QWidget()
        line.setContentsMargins(4, 0, 0, 0)
        holder.setLayout(line)
        self.write = button("Make a Write for it", lambda: None, "A Write under the comp, to be rendered and read back")
        self.facts = Wrapped("", "faint")
        self.trouble = Wrapped("", "warn")
        self.list = QtWidgets.QListWidget()
        self.list.setSelectionMode(QtWidgets.QAbstractItemView.SingleSelection)
        self.list.setTextElideMode(QtCore.Qt.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarAlwaysOff)
        self.rows.wide(holder)
        self.rows.wide(self.list)
        for label in (self.facts, self.trouble):
            label.setContentsMargins(4, 0, 0, 0)
            self.rows.wide(label)
        self.rows.wide(self.write)
        self.write.hide()
        self.list.currentRowChanged.connect(lambda _: self._say_facts())
        self.show_plates([])
        self.brief(self.name.whole)

    def show_plates(self, plates: Sequence[Mapping[str, Any]]) -> None:
        """Show summaries: `node`, `name`, `path`, `facts` (a line), `trouble` (a line, may be empty)."""
        several = len(plates) > 1
        self._plates = list(plates)
        if several:
            self.name.say(f"{len(plates)} plates, one after the other")
        elif plates:
            self.name.say(plates[0]["name"], plates[0]["path"])
        else:
            self.name.say("No plate")
        self.trouble.say("\n".join(dict.fromkeys(p["trouble"] for p in plates if p["trouble"])), "warn")
        self.list.clear()
        for plate in plates if several else ():
            self.list.addItem(f"{plate['node']}   {plate['name']}")
            self.list.item(self.list.count() - 1).setToolTip(plate["path"])
        self.list.setVisible(several)
        if several:
            self.list.setCurrentRow(0)
            self.list.setFixedHeight(min(5, len(plates)) * (self.list.sizeHintForRow(0) or 20) + 4)
        self._say_facts()
        self.refresh()

    def offer_write(self, branch: str | None) -> None:
        """A comp is selected, or none: offer to render it first."""
        self.write.setVisible(branch is not None)
        if branch is not None:
            self.trouble.say(f"{branch} is a comp: it has to be rendered to EXR before it can be re-aged.", "warn")

    def chosen(self) -> int:
        """The place of the plate that the preview is of."""
        return max(0, self.list.currentRow()) if len(self._plates) > 1 else 0

    def _say_facts(self) -> None:
        hint = "Select one Read or several in the node graph, then press Use selection."
        self.facts.say(self._plates[self.chosen()]["facts"] if self._plates else hint, "faint")


class AgeSection(Section):
    """Target and source age."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Age")
        self.kind = Combo(
            ("One age", NUMBER), ("Several ages", SEVERAL), ("Keys, or by face", TYPED), ("Animated knob", KNOB)
        )
        self.age = Slide(0, 100, 65, decimals=1, step=1, most=120)
        self.ages = QtWidgets.QLineEdit("20, 40, 60")
        self.typed = QtWidgets.QLineEdit()
        self.typed.setPlaceholderText("1001:30, 1050:70   or   1=70; 2=30")
        self.knob = Combo()
        self.look_again = button("\u21bb", lambda: None, "Look for animated knobs again", small=True)
        self.make_knob = button("+", lambda: None, "Make a NoOp with an age to animate", small=True)
        self.curve = Wrapped("", "faint")
        self.auto = QtWidgets.QCheckBox("Estimate")
        self.auto.setChecked(True)
        self.source = Number(0, 120, 35, 1, 1)
        self.rows.add("Target", self.kind, tip="How the target age is given")
        self._rows = {
            NUMBER: self.rows.add("Age", self.age, tip="Years. Double-click the slider for 65"),
            SEVERAL: self.rows.add("Ages", self.ages, tip="Several results from one pass, such as 20, 40, 60"),
            TYPED: self.rows.add("Ages", self.typed, tip="Frame:age, linear between; or face=age, one for each face"),
            KNOB: self.rows.add(
                "Knob", self.knob, self.look_again, self.make_knob, tip="Its curve is sampled at every frame"
            ),
        }
        self._curve_row = self.rows.add("", self.curve)
        tip = (
            "The actor's age in the plate. Estimated once for the shot and face, then locked, so that it cannot flicker"
        )
        self.rows.add("Source age", self.auto, self.source, tip=tip)
        self.kind.currentIndexChanged.connect(lambda _: self._changed())
        self.auto.toggled.connect(lambda _: self._changed())
        for signal in (
            self.age.changed,
            self.ages.textChanged,
            self.typed.textChanged,
            self.knob.currentIndexChanged,
        ):
            signal.connect(lambda _: self.changed.emit())
        self.source.valueChanged.connect(lambda _: self.changed.emit())
        self.brief(self._in_brief)
        self._changed()

    def value(self) -> str:
        """The target as `Settings.age` has it."""
        kind = self.kind.value()
        if kind == NUMBER:
            return f"{self.age.value():g}"
        if kind == SEVERAL:
            return ",".join(word for word in self.ages.text().replace(" ", ",").split(",") if word)
        return self.typed.text() if kind == TYPED else str(self.knob.value() or "")

    def take(self, age: str) -> None:
        """Show a target as `Settings.age` has it."""
        text = age.strip()
        try:
            self.age.set(float(text))
            self.kind.choose(NUMBER)
        except ValueError:
            if ":" in text or "=" in text:
                self.typed.setText(text)
                self.kind.choose(TYPED)
            elif "," in text:
                self.ages.setText(text.replace(",", ", "))
                self.kind.choose(SEVERAL)
            elif text:
                if not self.knob.choose(text):
                    self.knob.addItem(text, text)
                    self.knob.choose(text)
                self.kind.choose(KNOB)

    def source_value(self) -> str:
        """`auto`, or years."""
        return "auto" if self.auto.isChecked() else f"{self.source.value():g}"

    def take_source(self, age: str) -> None:
        """Show a source age as `Settings.source_age` has it."""
        try:
            self.source.setValue(float(age))
            self.auto.setChecked(False)
        except ValueError:
            self.auto.setChecked(True)

    def _in_brief(self) -> str:
        age = self.value() or "none yet"
        return age + ("" if self.auto.isChecked() else f", from {self.source.value():g}")

    def _changed(self) -> None:
        for kind, row in self._rows.items():
            show_row(row, self.kind.value() == kind)
        show_row(self._curve_row, self.kind.value() == KNOB)
        self.source.setVisible(not self.auto.isChecked())
        self.changed.emit()


class ModelSection(Section):
    """Which model, and under which terms."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Model")
        self.model = Combo()
        self.browse = button("\u2026", self._browse, "Use a model file", small=True)
        self.terms = Wrapped("", "faint")
        self.landmarks = Wrapped("", "faint")
        for label in (self.terms, self.landmarks):
            label.setTextFormat(QtCore.Qt.RichText)
        self._models: list[catalogue.Model] = []
        self.rows.add("Model", self.model, self.browse, tip="The network. Installed ones can be chosen")
        self.rows.add("", self.terms)
        self.rows.add("", self.landmarks)
        self.model.currentIndexChanged.connect(lambda _: self._chosen())
        self.show_models(catalogue.fallback())
        self.use_landmarks("")
        self.brief(lambda: self.model.currentText())

    def value(self) -> str:
        """A name or a file."""
        return str(self.model.value() or catalogue.EMBEDDED)

    def choose(self, wanted: str) -> None:
        """Choose a model; one that is not in the list is taken for a file or a name that is still to come."""
        if not self.model.choose(wanted):
            self.model.addItem(wanted.replace("\\", "/").rsplit("/", 1)[-1], wanted)
            self.model.setCurrentIndex(self.model.count() - 1)

    def show_models(self, models: Sequence[catalogue.Model]) -> None:
        """Fill the menu; what was chosen stays chosen."""
        wanted = self.model.value()
        self._models = list(models)
        self.model.refill([(m.name if m.usable else f"{m.name} (not installed)", m.name) for m in models])
        items = self.model.model()
        for at, model in enumerate(models):
            if hasattr(items, "item"):
                items.item(at).setEnabled(model.usable)
        if wanted:
            self.choose(str(wanted))
        self._chosen()

    def use_landmarks(self, file: str) -> None:
        """Another predictor has terms of its own."""
        if file:
            self.landmarks.say(_terms("Landmarks", f"{file.rsplit('/', 1)[-1]}, under its own terms", True), "faint")
        else:
            self.landmarks.say(_terms("Landmarks", catalogue.LANDMARKS, True), "faint")

    def _chosen(self) -> None:
        model = next((m for m in self._models if m.name == self.value()), None)
        licence = "that of the file; read its terms before using it" if model is None else model.licence
        self.terms.say(_terms("Licence", licence, model is None or model.restricted), "faint")
        self.changed.emit()

    def _browse(self) -> None:
        kinds = "Models (*.pt *.pth *.ckpt *.safetensors);;All files (*)"
        file, _ = QtWidgets.QFileDialog.getOpenFileName(self, "Model file", "", kinds)
        if file:
            self.choose(file)


class LookSection(Section):
    """How much of the change, and where."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Look")
        self.strength = Slide(0, 2, 1)
        self.tone = Slide(0, 2, 1, most=4)
        self.detail = Slide(0, 2, 1, most=4)
        self.rows.add("Strength", self.strength, tip="0 leaves the plate, 1 is the model's answer, up to 2")
        self.rows.add("Tone", self.tone, tip="Gain of the broad changes: colour, volume, shading")
        self.rows.add("Detail", self.detail, tip="Gain of the fine changes: wrinkles, pores, hair")
        self.regions: dict[str, Slide] = {}
        for name in REGIONS:
            self.regions[name] = Slide(0, 2, 1, most=4)
        self._regions_row: list[Any] = []
        self.more = QtWidgets.QCheckBox("Regions")
        self.rows.add("", self.more, tip="A gain for each region of the face")
        for name, slide in self.regions.items():
            self._regions_row.append(self.rows.add(name.capitalize(), slide, tip=f"Gain of the change at the {name}"))
        self.more.toggled.connect(lambda _: self._show_regions())
        for slide in (self.strength, self.tone, self.detail, *self.regions.values()):
            slide.changed.connect(lambda _: self.changed.emit())
        self.brief(self._in_brief)
        self._show_regions()

    def region(self) -> dict[str, float]:
        """The gains that are not 1."""
        return {name: slide.value() for name, slide in self.regions.items() if slide.value() != 1.0}

    def set_region(self, gains: Mapping[str, float]) -> None:
        """Set all gains; those not named are 1."""
        for name, slide in self.regions.items():
            slide.set(float(gains.get(name, 1.0)))
        if gains:
            self.more.setChecked(True)

    def _show_regions(self) -> None:
        for row in self._regions_row:
            show_row(row, self.more.isChecked())

    def _in_brief(self) -> str:
        parts = [("strength", self.strength.value()), ("tone", self.tone.value()), ("detail", self.detail.value())]
        told = [f"{name} {value:g}" for name, value in [*parts, *self.region().items()] if value != 1]
        return ", ".join(told) or "as the model answers"


class FaceSection(Section):
    """Whose face."""

    def __init__(self) -> None:
        super().__init__("Faces")
        self.faces = FaceChooser()
        self.faces.layout().setContentsMargins(4, 0, 0, 0)
        self.rows.wide(self.faces)
        self.brief(lambda: self.faces.value().replace(",", ", "))


class FrameSection(Section):
    """Which frames, and where they go."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Frames and output")
        self.kind = Combo(("Input range", INPUT), ("Custom", CUSTOM), ("Current frame", CURRENT))
        self.frames = QtWidgets.QLineEdit()
        self.frames.setPlaceholderText("1001-1100, 1-10x2, 1,5,9")
        self.handles = Number(0, 999, 0, 0, 1)
        self.handles.setFixedWidth(44)
        self.output = QtWidgets.QLineEdit()
        self.output.setPlaceholderText("automatic, beside the script")
        self.version_up = button("v+", lambda: None, "A new version for each run: v001, v002, \u2026", small=True)
        self.version_up.setCheckable(True)
        self.version_up.setChecked(True)
        self.writes = Elided("", "faint")
        self.browse = button("\u2026", self._browse, "Choose a folder", small=True)
        self.layers = QtWidgets.QCheckBox("Layers")
        self.layers.setToolTip("Write change, matte and regions beside the picture (EXR), to be dialled in the comp")
        self.wire = QtWidgets.QCheckBox("Build comp")
        self.wire.setToolTip("Wire plate and result into the gizmo ReageApply; needs Layers")
        self.skip = QtWidgets.QCheckBox("Skip missing")
        self.skip.setToolTip("Frames that the plate lacks are passed over")
        self.overwrite = QtWidgets.QCheckBox("Overwrite")
        self.overwrite.setToolTip("Redo everything and replace files that reage did not make")
        handles = QtWidgets.QLabel("Handles")
        handles.setProperty("tone", "label")
        self.rows.add("Frames", self.kind, handles, self.handles, tip="Handles are frames added at both ends")
        self._custom_row = self.rows.add("Range", self.frames, tip="As in Nuke: 1001-1100, 1-10x2, 1,5,9")
        self.rows.add("Output", self.output, self.version_up, self.browse, tip="Pattern of the frames that are written")
        self.rows.add("", self.writes)
        self.rows.add("", _pair(self.layers, self.wire))
        self.rows.add("", _pair(self.skip, self.overwrite))
        self.kind.currentIndexChanged.connect(lambda _: self._changed())
        self.layers.toggled.connect(lambda _: self._changed())
        for signal in (self.frames.textChanged, self.output.textChanged, self.handles.valueChanged):
            signal.connect(lambda _: self.changed.emit())
        for box in (self.wire, self.skip, self.overwrite, self.version_up):
            box.toggled.connect(lambda _: self.changed.emit())
        self.brief(self._in_brief)
        self._changed()

    def _changed(self) -> None:
        show_row(self._custom_row, self.kind.value() == CUSTOM)
        self.handles.setEnabled(self.kind.value() != CURRENT)
        self.wire.setEnabled(self.layers.isChecked())
        self.changed.emit()

    def _in_brief(self) -> str:
        frames = self.frames.text() if self.kind.value() == CUSTOM else self.kind.currentText().lower()
        return f"{frames} \u2192 {self.output.text().rsplit('/', 1)[-1] or 'automatic'}"

    def _browse(self) -> None:
        here = self.output.text()
        folder = QtWidgets.QFileDialog.getExistingDirectory(self, "Output folder", here.rpartition("/")[0])
        if folder:
            self.output.setText(
                folder.replace("\\", "/").rstrip("/") + "/" + (here.rpartition("/")[2] or "reage.%04d.exr")
            )


class MoreSection(Section):
    """Device, landmarks, hold-out, farm: set once, then forgotten."""

    changed = QtCore.Signal()

    def __init__(self) -> None:
        super().__init__("Advanced", open_=False)
        self.device = Combo(*DEVICES)
        self.smooth = Number(0, 8, 2, 0, 1)
        self.smooth.setFixedWidth(44)
        self.mode = Combo(("Add the change to the plate", "change"), ("Replace the pixels", "replace"))
        self.matte = Combo(("As the model does", ""), ("Face alone", "face"), ("Head and hair", "head"))
        self.colorspace = QtWidgets.QLineEdit()
        self.colorspace.setPlaceholderText("that of the Read")
        self.holdout = QtWidgets.QLineEdit()
        self.holdout.setPlaceholderText("matte.%04d.exr:alpha")
        self.landmarks = QtWidgets.QLineEdit()
        self.landmarks.setPlaceholderText("the installed predictor")
        self.chunk = Number(1, 9999, 50, 0, 10)
        self.queue = Combo(*QUEUES)
        self.submit = QtWidgets.QLineEdit()
        self.submit.setPlaceholderText("deadline bundle submit {bundle}")
        steady = QtWidgets.QLabel("Steady")
        steady.setProperty("tone", "label")
        self.rows.add(
            "Device", self.device, steady, self.smooth, tip="Steady: frames on each side that calm the change"
        )
        self.rows.add("Result", self.mode, tip="Adding keeps the plate's grain, highlights and negatives")
        self.rows.add("Matte", self.matte, tip="Face alone leaves hair, ears and neck as they are")
        self.rows.add("Colourspace", self.colorspace, tip="Of the plate, by its name in the OCIO config")
        self.rows.add("Hold-out", self.holdout, tip="Where this matte is 1 the plate stays")
        self.rows.add("Landmarks", self.landmarks, tip="Another 68-point predictor of dlib's")
        self.rows.add("Farm", self.queue, tip="What happens to a job bundle once it is written")
        self._submit_row = self.rows.add("Command", self.submit, tip="{bundle} is the folder of the bundle")
        self.queue.currentIndexChanged.connect(lambda _: show_row(self._submit_row, self.queue.value() == OWN))
        show_row(self._submit_row, False)
        frames = QtWidgets.QLabel("frames a farm task")
        frames.setProperty("tone", "faint")
        self.rows.add("Chunks of", _beside(self.chunk, frames), tip="How many frames a farm task renders")
        for menu in (self.device, self.mode, self.matte, self.queue):
            menu.currentIndexChanged.connect(lambda _: self.changed.emit())
        for field in (self.colorspace, self.holdout, self.landmarks, self.submit):
            field.textChanged.connect(lambda _: self.changed.emit())
        for number in (self.smooth, self.chunk):
            number.valueChanged.connect(lambda _: self.changed.emit())
        self.brief(lambda: self.device.currentText())


def _terms(title: str, text: str, restricted: bool) -> str:
    """A licence as rich text; its title is coloured where there is something to be read first."""
    colour = look.WARN if restricted else look.GOOD
    return f'<span style="color:{colour}">{title}</span>&nbsp; {html.escape(text)}'


def _beside(field: Any, unit: Any) -> Any:
    """A narrow field and what it counts."""
    holder = QtWidgets.QWidget()
    line = QtWidgets.QHBoxLayout(holder)
    line.setContentsMargins(0, 0, 0, 0)
    line.addWidget(field)
    line.addWidget(unit, 1)
    return holder


def _pair(left: Any, right: Any) -> Any:
    """Two tick boxes in even columns."""
    holder = QtWidgets.QWidget()
    line = QtWidgets.QHBoxLayout(holder)
    line.setContentsMargins(0, 0, 0, 0)
    line.addWidget(left, 1)
    line.addWidget(right, 1)
    return holder
