"""The Reage panel: what the buttons do. Everything happens on Nuke's main thread, and nothing here waits.

`view` draws, `session` knows what the worker is doing, `knobs` turns settings into jobs, `host` touches nodes; this
module connects them.
"""

from __future__ import annotations

import os
import tempfile
import traceback
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable

from reage_nuke import catalogue, client, farm, host, knobs, paths, places
from reage_nuke.command import Commands
from reage_nuke.facts import KnobError, Plan, PlateFacts, Settings
from reage_nuke.form import OWN
from reage_nuke.frames import frames_to_sample
from reage_nuke.qt import QtCore, QtWidgets
from reage_nuke.session import CANCELLING, Session, Task, Told, in_words
from reage_nuke.summary import of_the_picture, summary
from reage_nuke.view import View

_TICK = 100  # ms between two looks at what the worker said
_LOCKED = ("as rendered", "The shot is analysed: this is the frame as it will be rendered")
_LOOSE = (
    "not analysed yet",
    "Source age and exposure settle with the analysis of the shot; the render may differ a bit",
)
_SETTLE = 400  # ms after the last change before it is saved and its consequences are shown


@dataclass
class _Order:
    """One plate of a run: its results are made when the last of its views is done."""

    plate: PlateFacts
    plan: Plan
    pattern: str
    left: int
    aged: int = 0
    frames: int = 0


class ReagePanel(View):
    """The panel; Nuke calls it without arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._settings = Settings()
        self._plates: list[PlateFacts] = []
        self._unfinished: set[str] = set()  # patterns of runs that were stopped: the next run goes on there
        self._preview_words = ("", "")
        self._preview_settings = Settings()
        self._saved: dict[str, Any] = {}
        self._loading = False
        self._log_file = str(Path(tempfile.gettempdir(), f"reage_nuke_{os.getpid()}.log"))
        self._environment = client.worker_environment(os.environ)
        self.session = Session(partial(_client, self._log_file, self._environment), log=self._log_file)
        self.commands = Commands(self._environment)
        self._tick, self._settle = QtCore.QTimer(self), QtCore.QTimer(self)
        self._wire()
        self._restore()
        self.take_selection()
        self._find_curves()
        self._ask_models()
        self._tick.start(_TICK)

    def _wire(self) -> None:
        foot = self.foot
        for widget, call in (
            (foot.preview, self.preview_frame),
            (foot.reage, self.reage),
            (foot.farm, self.send_to_farm),
            (foot.cancel, self.cancel),
            (self.plate.write, self.pre_render),
            (self.age.look_again, self._find_curves),
            (self.age.make_knob, self._make_knob),
        ):
            widget.clicked.connect(partial(self._safely, call))
        self.plate.asked.connect(partial(self._safely, self.take_selection))
        for section in (self.age, self.model, self.look, self.faces.faces, self.frames, self.more):
            section.changed.connect(self._changed)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE)
        self._settle.timeout.connect(partial(self._safely, self._settled))
        self._tick.timeout.connect(partial(self._safely, self._look))
        for folding in self.sections.values():
            folding.folded.connect(self._changed)
        # Nuke closes without closing panels, and a pane that is closed deletes its panel without asking it: what is
        # called then must not hold the panel.
        session, commands, opened = self.session, self.commands, partial(_opened, weakref.ref(self))
        host.on_script_load(opened)
        QtWidgets.QApplication.instance().aboutToQuit.connect(self.shut_down)
        self.destroyed.connect(lambda *_: _left(session, commands, opened))

    def _safely(self, call: Callable[[], Any], *_: Any) -> None:
        """Call something; whatever goes wrong in it is told in words, and its traceback goes to the log drawer."""
        try:
            call()
        except Exception as error:
            self.foot.note(traceback.format_exc())
            self.foot.tell(f"That did not work: {error}. The log has more.", "bad")

    def enterEvent(self, event: Any) -> None:
        """The pointer comes in: where nothing was taken yet, take what is selected."""
        super().enterEvent(event)
        if not self._plates:
            self._safely(self.take_selection)

    def shut_down(self) -> None:
        """Stop the timers and the worker; the panel does nothing any more."""
        self._tick.stop()
        self._settle.stop()
        self.commands.stop()
        self.session.close()

    # ---- what the artist does ----------------------------------------------------------------------------------------

    def take_selection(self) -> None:
        """Take the Reads that are selected; where none is, what was taken before stays."""
        try:
            plates = host.selected_plates()
        except KnobError as error:
            self.foot.tell(str(error), "bad")
            return
        if plates and [plate.node for plate in plates] != [plate.node for plate in self._plates]:
            self.faces.faces.forget()
            self.preview.hide()  # it is of another plate
        self._plates = plates or self._plates
        self.plate.show_plates([summary(plate) for plate in self._plates])
        self.plate.offer_write(None if plates else host.branch_selected())
        if self._plates:
            self.session.warm()
        self._settled(save=False)

    def pre_render(self) -> None:
        """Put a Write under the selected comp; its frames are what can be re-aged."""
        branch = host.branch_selected()
        folder = host.project_folder()
        if branch is None or not folder:
            self.foot.tell("Save the script and select the end of a comp first.", "warn")
            return
        name = branch.replace(".", "_")
        path = paths.version_up(f"{folder}/reage/{name}/v001/{name}_v001.%04d.exr", paths.taken)
        try:
            made = host.make_write(branch, path)
        except KnobError as error:
            self.foot.tell(str(error), "bad")
        else:
            self.foot.tell(f"{made} writes {path}. Render it, read it, and select that Read.", "good")

    def preview_frame(self) -> None:
        """Show the viewer's frame of the chosen plate, before and after."""
        row = self.plate.chosen()
        settings = replace(self._read(), frames_mode="current", handles=0, on_missing="stop")
        tasks = self._tasks(self._plates[row : row + 1], settings)
        if tasks:
            job = tasks[0].params
            params = places.preview_params(job, int(str(job["frames"])))
            self.foot.tell("")
            self._preview_settings = of_the_picture(self._read())
            self.session.preview(Task(params, tasks[0].title, tasks[0].about))
            self._show()

    def reage(self) -> None:
        """Render all plates, one after the other."""
        tasks = self._tasks(self._plates, self._read())
        if tasks:
            self.foot.tell("")
            self._unfinished |= {task.about.pattern for task in tasks}
            self.session.run([replace(task, params=places.run_params(task.params)) for task in tasks])
            self._show()

    def send_to_farm(self) -> None:
        """Write a bundle a job and show, or run, what submits it."""
        engine = self._engine()
        tasks = self._tasks(self._plates, self._read()) if engine else []
        for task in tasks:
            folder = places.bundle_folder(host.script_folder(), str(task.params["output"]))
            words = farm.bundle_words(engine, places.run_params(task.params), folder, int(self.more.chunk.value()))
            self.foot.note("> " + farm.shown(words))
            self.commands.run(words, lambda code, out, err, folder=folder: self._bundled(folder, code, out, err))
        if tasks:
            self.foot.tell("Writing the job bundle", "faint")

    def cancel(self) -> None:
        """Stop what runs."""
        self.session.cancel()
        self._show()

    def log_text(self) -> str:
        """What the log drawer holds."""
        return str(self.foot.log.toPlainText())

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def _read(self) -> Settings:
        return self.settings(self._settings)

    def _tasks(self, plates: Sequence[PlateFacts], settings: Settings) -> list[Task]:
        """The requests for some plates; none, and a message, where something has to be changed first."""
        if not plates:
            self.foot.tell("No plate: select a Read node and press Use selection.", "warn")
        tasks: list[Task] = []
        given: dict[str, str] = {}
        try:
            for plate in self._current(plates):
                plan, pattern = self._plan(plate, settings, given)
                given[pattern] = plate.node
                for warning in plan.warnings:
                    self.foot.note(f"warning: {warning}")
                order = _Order(plate, plan, pattern, len(plan.jobs))
                tasks += [Task(job, plate.node, order) for job in plan.jobs]
        except KnobError as error:
            self.foot.tell(str(error), "bad")
            return []
        return tasks

    def _current(self, plates: Sequence[PlateFacts]) -> list[PlateFacts]:
        """The plates as their Reads are now.

        Raises:
            KnobError: a Read is gone.
        """
        current = []
        for plate in plates:
            now = host.plate(plate.node)
            if now is None:
                raise KnobError(f"{plate.node} is gone or switched off; select a Read and press Use selection")
            current.append(now)
        return current

    def _plan(self, plate: PlateFacts, settings: Settings, given: Mapping[str, str]) -> tuple[Plan, str]:
        """What to do for a plate, and the output pattern behind it.

        Args:
            plate: as its Read is now.
            settings: the panel's.
            given: patterns that other plates of the same run have, and whose.

        Raises:
            KnobError: it cannot be done.
        """
        asked: list[str] = []

        def in_use(pattern: str) -> bool:
            asked.append(pattern)
            return pattern in given or (pattern not in self._unfinished and paths.taken(pattern))

        now = host.current_frame()
        curve = None
        name = knobs.animated_knob(settings.age)
        if name is not None:
            curve = host.sample_knob(name, frames_to_sample(plate, settings, now))
        plan = knobs.plan(plate, settings, curve=curve, current_frame=now, ocio=host.project_ocio(), existing=in_use)
        pattern = asked[-1] if asked else str(plan.results[0]["path"])
        if pattern in given:
            raise KnobError(
                f"{given[pattern]} and {plate.node} would both write {pattern}; put {{plate}} into the output"
            )
        return plan, pattern

    # ---- what comes back ---------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for told in self.session.poll():
            self._take(told)
        self._show()

    def _show(self) -> None:
        session = self.session
        line = session.line if session.busy else "Asking the engine" if self.commands.busy() else "Ready"
        cancelling = session.phase == CANCELLING
        self.foot.show_state(session.busy, cancelling, bool(self._plates), line, session.share)

    def _take(self, told: Told) -> None:
        if told.text:
            self.foot.note(f"{told.kind}: {told.text}")
        if told.kind == "frame":
            facts = told.facts
            self.foot.note(f"frame {facts.get('frame')} {facts.get('state')}  {facts.get('path', '')}")
        elif told.kind == "warning":
            self.foot.tell(told.text, "warn")
        elif told.kind == "failed":
            self.foot.tell(told.text, "bad")
        elif told.kind == "cancelled":
            self.foot.tell(told.text, "faint")
        elif told.kind in ("analysed", "faces"):
            self.faces.faces.show_faces(told.facts.get("faces", []))
        elif told.kind == "preview":
            self._previewed(told)
        elif told.kind == "finished":
            self._finished(told)

    def _previewed(self, told: Told) -> None:
        facts, task = told.facts, told.task
        age = str(task.params.get("age", "")) if task else ""
        age += " years" if age.replace(".", "", 1).isdigit() else ""
        if not self.preview.view.show_pair(str(facts.get("before", "")), str(facts.get("path", "")), ("plate", age)):
            self.foot.tell("The preview's picture cannot be read; is the disk of temporary files full?", "bad")
            return
        state, tip = _LOCKED if facts.get("locked") else _LOOSE
        seconds = f"  \u00b7  {float(facts['seconds']):.1f} s" if "seconds" in facts else ""
        frame = task.params["frame"] if task else ""
        self._preview_words = f"Frame {frame}{seconds}  \u00b7  {state}", tip
        self.preview.words.say(*self._preview_words)
        self.preview.show()
        self.preview.fold(False)
        self.page_view.verticalScrollBar().setValue(0)
        if "faces" in facts:
            self.faces.faces.show_faces(facts["faces"])
            if not facts["faces"]:
                self.foot.tell("No face was found in this frame; go to one where the face is seen.", "warn")

    def _finished(self, told: Told) -> None:
        assert told.task is not None  # only a task finishes
        order: _Order = told.task.about
        order.left -= 1
        order.frames += sum(told.facts["states"].values())
        order.aged += told.facts["states"].get("aged", 0) + told.facts["states"].get("skipped", 0)
        if order.left:
            return
        self._unfinished.discard(order.pattern)
        try:
            made = host.create_result(order.plate, order.plan.results)
        except (KnobError, ValueError, RuntimeError, NameError) as error:
            self.foot.tell(f"The frames are done, but their Read could not be made: {error}", "bad")
            return
        names = ", ".join(made)
        if order.aged:
            self.foot.tell(f"Done: {order.frames} frames, {names} beside {order.plate.node}.", "good")
        else:
            self.foot.tell(f"Done, but no face was found: {names} shows the plate as it was.", "warn")
        if not self.session.busy and len(self._plates) == 1 and self.faces.faces.lacks_thumbnails():
            self.session.faces(told.task)

    def _engine(self) -> list[str]:
        """The words that call reage; none, and a message, where it is not installed."""
        try:
            return client.worker_argv()[:-1]
        except ValueError as error:
            self.foot.tell(str(error), "bad")
            return []

    def _ask_models(self) -> None:
        engine = self._engine()
        if engine:
            self.commands.run([*engine, "models", "list"], self._list_models)

    def _list_models(self, code: int, out: str, err: str) -> None:
        try:
            self.model.show_models(catalogue.parsed(out))
        except ValueError:
            last = (err.strip().splitlines() or ["the engine did not answer"])[-1]
            self.foot.tell(f"The engine cannot be asked: {last}. Run 'python3 install.py doctor'.", "bad")

    def _bundled(self, folder: str, code: int, out: str, err: str) -> None:
        if code:
            last = (err.strip().splitlines() or ["no reason was given"])[-1]
            self.foot.tell(f"The job bundle could not be written: {in_words(last)}", "bad")
            return
        queue = self.more.queue.value()
        try:
            if queue == OWN:
                words = farm.own_words(self.more.submit.text(), folder)
            else:
                words = farm.submit_words(self._engine(), queue or "deadline-cloud", folder)
        except ValueError as error:
            self.foot.tell(f"Command under Advanced: {error}", "bad")
            return
        self.foot.note("> " + farm.shown(words))
        if queue:
            self.commands.run(words, self._submitted)
        else:
            self.foot.tell(f"The job bundle is in {folder}. To submit it: {farm.shown(words)}", "good")

    def _submitted(self, code: int, out: str, err: str) -> None:
        self.foot.note((out + err).strip())
        last = ((out + err).strip().splitlines() or [""])[-1]
        if code:
            self.foot.tell(f"The submit command failed ({code}): {last}", "bad")
        else:
            self.foot.tell(f"Submitted. {last}", "good")

    # ---- settings ----------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        self._loading = True
        state = host.load_state()
        self._settings = Settings.from_json(state)
        self.show_settings(self._settings)
        self.more.queue.choose(state.get("queue", ""))
        self.more.submit.setText(str(state.get("submit", "")))
        for name, section in self.sections.items():
            if name in state.get("folded", {}):
                section.fold(bool(state["folded"][name]))
        self._loading = False
        self._settings = self._read()
        self._saved = self._state()

    def _state(self) -> dict[str, Any]:
        """What is saved with the script."""
        folded = {name: not section.is_open() for name, section in self.sections.items() if name != "preview"}
        farm_ = {"queue": self.more.queue.value(), "submit": self.more.submit.text()}
        return {**self._settings.to_json(), "folded": folded, **farm_}

    def script_opened(self) -> None:
        """Another script: its state, its plates."""
        self._plates = []
        self._restore()
        self.take_selection()

    def _find_curves(self) -> None:
        self.age.knob.refill([(name, name) for name in host.animated_knobs()])
        self._changed()

    def _make_knob(self) -> None:
        name = host.make_age_knob()
        self.age.knob.addItem(name, name)
        self.age.knob.choose(name)
        self.foot.tell(f"{name} is there: animate it, and its curve is the target age.", "good")

    def _changed(self, *_: Any) -> None:
        if not self._loading:
            self._settle.start()

    def _settled(self, save: bool = True) -> None:
        """The fields have come to rest: save them with the script, say what they lead to."""
        settings = self._read()
        self._settings = settings
        if save and self._state() != self._saved:  # a script in which nothing was set does not ask to be saved
            self._saved = self._state()
            host.save_state({**host.load_state(), **self._saved})
        self.model.use_landmarks(settings.landmarks)
        if self._preview_words[0]:
            words, tip = self._preview_words
            if of_the_picture(settings) != self._preview_settings:
                words = words.partition("  \u00b7  ")[0] + "  \u00b7  settings changed since"
            self.preview.words.say(words, tip)
        self._say_output(settings)
        for section in self.sections.values():
            section.refresh()

    def _say_output(self, settings: Settings) -> None:
        text, curve = "", ""
        if self._plates:
            try:
                plan, pattern = self._plan(self._plates[0], settings, {})
                text = f"\u2192 {pattern}"
                if knobs.animated_knob(settings.age):
                    curve = str(plan.jobs[0].get("age", ""))
            except KnobError as error:
                text = str(error)
        self.frames.writes.say(text)
        self.age.curve.say(curve, "faint")


def _client(log: str, environment: Mapping[str, str]) -> client.Client:
    return client.Client(client.worker_argv(), log, environment)


def _opened(panel: Callable[[], ReagePanel | None]) -> None:
    """A script was opened; the panel may be gone."""
    there = panel()
    if there is not None:
        there.script_opened()


def _left(session: Session, commands: Commands, opened: Any) -> None:
    """What a panel that is gone leaves behind is put away."""
    commands.stop()
    session.close()
    host.off_script_load(opened)
