"""The Reage panel, clicked through in one real Qt with the real worker behind it; Nuke itself is the strict fake.

`PYTHON panel_clickthrough.py SETTINGS.json` runs in any interpreter that has PySide6 or PySide2 and nothing else; its
last line on standard output is a JSON object: name of a check → "" or what went wrong. `test_panel.py` starts it.
SETTINGS: `plate` (pattern of the frames `first` to `last`, one face in it), `bad` (three frames, the second damaged),
`gap` (three, the second missing), `size` of the plates, `folder` (to work in), `pictures` (where screenshots go; empty:
none). REAGE_PYTHON names the Python of the worker.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "nuke_plugin")]

try:
    from PySide6 import QtCore, QtGui, QtTest, QtWidgets
except ImportError:
    from PySide2 import QtCore, QtGui, QtTest, QtWidgets

import fake_nuke  # noqa: E402
from fake_nuke.nodes import Format  # noqa: E402

PATIENCE = 180.0  # seconds, on a machine that does other things as well
SHORT = 3  # frames of the plates that something is wrong with
WIDTHS = (320, 400, 500)


class Stage:
    """The application, Nuke's fake session, and the panel that is open."""

    def __init__(self, settings, state):
        self.settings, self.state = settings, state
        self.first, self.last = settings["first"], settings["last"]
        self.folder = Path(settings["folder"])
        self.panel = None
        import nuke

        self.nuke = nuke
        self.open_script("first.nk")

    def open_script(self, name):
        """A script that is saved, with a Read of the plate selected."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.nuke.root()["name"].setValue((self.folder / name).as_posix())
        self.plate = self.read(self.settings["plate"])
        self.nuke.frame(self.first)

    def read(self, pattern, frames=None):
        """A Read of a plate as an artist makes it, selected and nothing else; of its first frames where told."""
        last = self.last if frames is None else self.first + frames - 1
        self.state.formats[pattern] = Format(*self.settings["size"])
        for node in self.nuke.allNodes():
            node.setSelected(False)
        node = self.nuke.nodes.Read(file=pattern, first=self.first, last=last)
        for name, value in (("origfirst", self.first), ("origlast", last)):
            node[name].setValue(value)
        node.setXYpos(40, 80)
        node.setSelected(True)
        return node

    def open_panel(self, width=400):
        """As a pane does: by the text that menu.py registers, called without arguments."""
        from reage_nuke import host
        from reage_nuke.panel import ReagePanel

        panel = eval(host.PANEL, {"__name__": "__main__"})()
        assert isinstance(panel, ReagePanel)
        panel.resize(width, 900)
        panel.show()
        panel._tick.setInterval(10)  # a small shot is done in no time
        self.panel = panel
        self.wait(lambda: not panel.commands.busy(), "the list of models")
        return panel

    def wait(self, there, what, seconds=PATIENCE):
        """Let Qt work until something is there."""
        end = time.monotonic() + seconds
        while not there():
            QtWidgets.QApplication.processEvents(QtCore.QEventLoop.AllEvents, 20)
            time.sleep(0.005)
            if time.monotonic() > end:
                panel = self.panel
                raise AssertionError(
                    f"no {what} after {seconds} s; {panel.foot.notice.text()!r} {panel.log_text()[-900:]}"
                )
        QtWidgets.QApplication.processEvents()

    def click(self, widget):
        """Press a button that can be pressed."""
        assert widget.isVisible() and widget.isEnabled(), f"{widget.text()!r} cannot be clicked"
        QtTest.QTest.mouseClick(widget, QtCore.Qt.LeftButton)

    def type(self, field, text):
        """Type into a field, over what it held."""
        line = field.lineEdit() if hasattr(field, "lineEdit") else field
        line.setFocus()
        line.selectAll()
        QtTest.QTest.keyClicks(line, text)
        QtTest.QTest.keyClick(line, QtCore.Qt.Key_Return)

    def idle(self):
        """Until nothing is under way."""
        self.wait(lambda: not self.panel.session.busy and not self.panel.commands.busy(), "end of the work")

    def snap(self, name, height=None):
        """A screenshot."""
        if not self.settings.get("pictures"):
            return
        panel = self.panel
        panel.resize(panel.width(), height or panel.height())
        for _ in range(3):
            QtWidgets.QApplication.processEvents()
        assert panel.grab().save(str(Path(self.settings["pictures"]) / f"nuke-{name}.png"))

    def notice(self):
        """The message at the panel's foot, and its tone."""
        label = self.panel.foot.notice
        return (label.property("tone"), label.text()) if not label.isHidden() else ("", "")

    def reads(self):
        """Names of the Reads in the script."""
        return {node.name() for node in self.nuke.allNodes("Read")}

    def begin(self):
        """Press Re-age and wait for the first frame."""
        before = len(self.panel.log_text())
        self.click(self.panel.foot.reage)
        self.wait(lambda: f"frame {self.first} aged" in self.panel.log_text()[before:], "first frame")

    def re_age(self):
        """Press Re-age, wait for its end, and answer the nodes that came."""
        before = self.reads()
        self.click(self.panel.foot.reage)
        self.idle()
        return [self.nuke.toNode(name) for name in sorted(self.reads() - before)]


def frames_of(node):
    """The frame files of a Read that are on disk."""
    path, first, last = node["file"].value(), int(node["first"].value()), int(node["last"].value())
    return [path % frame for frame in range(first, last + 1) if Path(path % frame).is_file()]


def alive(pid):
    """Whether a process is there, and no mere zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


# ---- the checks, in the order in which an artist would ---------------------------------------------------------------


def a_panel_without_a_plate_says_what_to_do_and_offers_nothing(stage):
    stage.plate.setSelected(False)
    panel = stage.open_panel()
    assert panel.plate.name.whole() == "No plate" and "Select one Read" in panel.plate.facts.text()
    stage.wait(lambda: not panel.foot.preview.isEnabled(), "grey buttons")
    assert not panel.foot.reage.isEnabled() and not panel.foot.farm.isEnabled() and not panel.foot.cancel.isEnabled()
    from reage_nuke import host

    assert host.load_state() == {}, "opening the panel changes the script"
    stage.snap("empty", 620)


def the_selected_read_is_summed_up(stage):
    panel = stage.panel
    stage.plate.setSelected(True)
    QtWidgets.QApplication.sendEvent(panel, _entered(panel))
    assert panel.plate.name.whole() == Path(stage.settings["plate"]).name
    facts = panel.plate.facts.text()
    for word in (f"{stage.first}\u2013{stage.last}", "{}\u00d7{}".format(*stage.settings["size"]), stage.plate.name()):
        assert word in facts, facts
    stage.wait(panel.foot.reage.isEnabled, "button to press")


def _entered(widget):
    """The pointer comes into a widget."""
    middle = QtCore.QPointF(widget.rect().center())
    return QtGui.QEnterEvent(middle, middle, QtCore.QPointF(widget.mapToGlobal(widget.rect().center())))


def models_come_with_their_licences(stage):
    panel, menu = stage.panel, stage.panel.model.model
    names = [menu.itemData(i) for i in range(menu.count())]
    assert names[0] == "reage-1" and "sam" in names and "fran" in names, names
    assert "StyleGAN2" in panel.model.terms.text() and "300-W" in panel.model.landmarks.text()
    panel.model.choose("sam")
    assert "non-commercial" in panel.model.terms.text() and panel.model.terms.isVisible()
    assert not menu.model().item(names.index("sam")).isEnabled(), "a model that is not installed can be chosen"
    panel.model.choose("reage-1")


def what_is_set_is_saved_with_the_script(stage):
    from reage_nuke import host

    panel = stage.panel
    stage.type(panel.age.age.number, "64")
    assert panel.age.age.slider.value() == 640
    panel.look.detail.slider.setValue(120)
    assert panel.look.detail.value() == 1.2
    stage.wait(lambda: host.load_state().get("detail") == 1.2, "saved detail", 5)
    assert host.load_state()["age"] == "64"
    stage.type(panel.age.age.number, "70")
    panel.look.detail.set(1.0)


def a_preview_shows_before_and_after(stage):
    panel = stage.panel
    stage.nuke.frame(stage.first + 1)
    stage.click(panel.foot.preview)
    stage.wait(lambda: panel.session.busy, "start")
    stage.idle()
    assert panel.preview.view.isVisible() and panel.preview.view.has_picture(), stage.notice()
    before, after = (getattr(panel.preview.view, name).toImage() for name in ("_before", "_after"))
    assert before.size() == after.size() and before != after
    assert f"Frame {stage.first + 1}" in panel.preview.words.whole()
    assert "not analysed yet" in panel.preview.words.whole()


def the_faces_it_found_can_be_chosen(stage):
    faces = stage.panel.faces.faces
    assert len(faces.buttons()) == 1 and not faces.buttons()[0].icon().isNull()
    assert " y" in faces.buttons()[0].text()
    stage.click(faces.buttons()[0])
    assert faces.value() == "1" and not faces.all.isChecked()
    stage.click(faces.all)
    assert faces.value() == "all" and not faces.buttons()[0].isChecked()


def the_wipe_follows_the_pointer(stage):
    view = stage.panel.preview.view
    box = view.area().toRect()
    y = box.center().y()
    left, middle, right = (QtCore.QPoint(box.left() + box.width() * n // 10, y) for n in (2, 5, 8))
    QtTest.QTest.mousePress(view, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, middle)
    where = QtCore.QPointF(right), QtCore.QPointF(view.mapToGlobal(right))
    held = QtCore.Qt.NoButton, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier
    QtWidgets.QApplication.sendEvent(view, QtGui.QMouseEvent(QtCore.QEvent.MouseMove, *where, *held))
    QtTest.QTest.mouseRelease(view, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, right)
    assert abs(view.split - 0.8) < 0.02, view.split
    wiped = view.grab().toImage()
    QtTest.QTest.mouseClick(view, QtCore.Qt.LeftButton, QtCore.Qt.NoModifier, left)
    assert abs(view.split - 0.2) < 0.02 and view.grab().toImage() != wiped
    view.full()
    assert view.area().width() * view.devicePixelRatioF() == view._after.width()
    view.fit()
    view.split = 0.5
    stage.snap("preview", 1000)


def a_warm_preview_of_another_age_takes_little_time(stage):
    panel = stage.panel
    stage.type(panel.age.age.number, "35")
    stage.wait(lambda: "settings changed" in panel.preview.words.whole(), "mark of an old preview", 5)
    started = time.monotonic()
    stage.click(panel.foot.preview)
    stage.idle()
    seconds = time.monotonic() - started
    print(f"warm preview of {stage.settings['size']}: {seconds:.2f} s from click to picture", file=sys.stderr)
    assert seconds < 20 and stage.notice()[0] != "bad", stage.notice()
    assert "settings changed" not in panel.preview.words.whole()
    stage.type(panel.age.age.number, "70")
    stage.click(panel.foot.preview)
    stage.idle()


def re_age_writes_the_frames_and_makes_a_read_beside_the_plate(stage):
    panel = stage.panel
    stage.click(panel.foot.reage)
    stage.wait(lambda: "Re-ageing frame" in panel.foot.line.whole() or not panel.session.busy, "frame")
    assert panel.foot.cancel.isEnabled() and not panel.foot.reage.isEnabled() and panel.foot.bar.value() > 0
    if stage.settings.get("pictures"):
        stage.wait(lambda: " left" in panel.foot.line.whole() or not panel.session.busy, "time left")
    stage.snap("running", 1000)
    stage.idle()
    tone, text = stage.notice()
    assert tone == "good", text
    (name,) = stage.reads() - {stage.plate.name()}
    read = stage.nuke.toNode(name)
    assert (read["first"].value(), read["last"].value()) == (stage.first, stage.last)
    assert len(frames_of(read)) == stage.last - stage.first + 1
    assert read.xpos() > stage.plate.xpos() and read.ypos() == stage.plate.ypos()
    assert "v001" in read["file"].value() and name in text
    assert stage.state.undo_done[-1] == "Re-age: result"
    stage.snap("done", 1000)


def a_preview_after_an_analysis_is_the_rendered_frame(stage):
    stage.click(stage.panel.foot.preview)
    stage.idle()
    assert "as rendered" in stage.panel.preview.words.whole()


def another_run_is_another_version_without_another_analysis(stage):
    (tracks,) = stage.folder.rglob("*.tracks.json")
    before = tracks.stat().st_mtime_ns
    stage.panel.frames.kind.choose("custom")
    stage.type(stage.panel.frames.frames, f"{stage.first}-{stage.first + 1}")
    (read,) = stage.re_age()
    assert "v002" in read["file"].value() and len(frames_of(read)) == 2
    assert (read["first"].value(), read["last"].value()) == (stage.first, stage.first + 1)
    assert tracks.stat().st_mtime_ns == before and len(list(stage.folder.rglob("*.tracks.json"))) == 1
    stage.panel.frames.kind.choose("input")


def cancel_stops_a_shot_and_the_next_press_goes_on_there(stage):
    panel, before = stage.panel, stage.reads()
    stage.begin()
    stage.click(panel.foot.cancel)
    assert panel.foot.line.whole().startswith("Stopping")
    stage.idle()
    assert "Stopped" in stage.notice()[1] and stage.reads() == before
    (folder,) = stage.folder.rglob("v003")
    done = {path: path.stat().st_mtime_ns for path in folder.glob("*.exr")}
    assert 1 <= len(done) <= stage.last - stage.first, "it was over before it could be stopped"
    stage.snap("stopped", 1000)
    (read,) = stage.re_age()
    assert "v003" in read["file"].value() and len(frames_of(read)) == stage.last - stage.first + 1
    assert done.items() <= {path: path.stat().st_mtime_ns for path in folder.glob("*.exr")}.items()


def a_worker_that_is_killed_is_told_in_words_and_the_next_press_works(stage):
    panel, before = stage.panel, stage.reads()
    pid = panel.session.hello["pid"]
    stage.begin()
    os.kill(pid, 9)
    stage.idle()
    tone, text = stage.notice()
    assert tone == "bad" and "worker was killed" in text and "Traceback" not in text, text
    assert stage.reads() == before
    stage.snap("killed", 1000)
    (read,) = stage.re_age()
    assert panel.session.hello["pid"] != pid
    assert len(frames_of(read)) == stage.last - stage.first + 1 and stage.notice()[0] == "good"


def several_plates_and_ages_are_done_one_after_the_other(stage):
    panel = stage.panel
    other = stage.read(stage.settings["plate"], 1)
    stage.plate.setSelected(True)
    stage.click(panel.plate.take)
    assert panel.preview.isHidden(), "the preview is of another plate"
    assert panel.plate.name.whole().startswith("2 plates") and panel.plate.list.count() == 2
    panel.age.kind.choose("several")
    stage.type(panel.age.ages, "20, 60")
    panel.frames.kind.choose("current")
    stage.nuke.frame(stage.first)
    stage.snap("several", 1000)
    made = stage.re_age()
    assert len(made) == 4, stage.notice()
    assert {node["file"].value().rpartition("_")[2].partition(".")[0] for node in made} == {"20", "60"}
    assert all(len(frames_of(node)) == 1 for node in made)
    assert len({node["file"].value() for node in made}) == 4, "one plate's frames were written over the other's"
    panel.frames.version_up.setChecked(False)
    stage.type(panel.frames.output, "same_{age}.%04d.exr")
    assert stage.re_age() == [] and "would both write" in stage.notice()[1], stage.notice()
    panel.frames.version_up.setChecked(True)
    panel.frames.output.clear()
    panel.frames.kind.choose("input")
    panel.age.kind.choose("number")
    stage.nuke.delete(other)


def a_comp_is_wired_where_it_is_asked_for(stage):
    panel, nuke = stage.panel, stage.nuke
    nuke.pluginAddPath((HERE.parent / "gizmos").as_posix())
    for node in nuke.allNodes():
        node.setSelected(node.name() == stage.plate.name())
    stage.click(panel.plate.take)
    panel.frames.layers.setChecked(True)
    panel.frames.wire.setChecked(True)
    panel.frames.kind.choose("current")
    before = {node.name() for node in nuke.allNodes()}
    (read,) = stage.re_age()
    (comp,) = (n for n in nuke.allNodes() if n.name() not in before and n.name() != read.name())
    assert comp.name().startswith("ReageApply") and comp.name() in stage.notice()[1]
    assert (comp.input(0), comp.input(1)) == (stage.plate, read)
    panel.frames.kind.choose("input")
    panel.frames.wire.setChecked(False)


def an_animated_knob_is_sampled_over_the_range(stage):
    import nuke

    from reage_nuke import host

    panel = stage.panel
    for node in nuke.allNodes():
        node.setSelected(node.name() == stage.plate.name())
    stage.click(panel.plate.take)
    panel.age.kind.choose("knob")
    stage.click(panel.age.make_knob)
    name = panel.age.knob.value()
    knob = nuke.toNode(name.partition(".")[0])[host.AGE_KNOB]
    knob.setAnimated()
    knob.setValueAt(30.0, stage.first)
    knob.setValueAt(40.0, stage.last)
    stage.click(panel.age.look_again)
    assert panel.age.value() == name
    wanted = f"{stage.first}:30,{stage.last}:40"
    stage.wait(lambda: panel.age.curve.text() == wanted, f"curve {wanted}", 5)
    faces = panel.faces.faces
    assert faces.buttons() and not faces.lacks_thumbnails(), "a run without a preview leaves faces without pictures"
    stage.snap("curve", 1000)
    panel.age.kind.choose("number")


def a_plate_with_a_damaged_frame_is_told_in_words(stage):
    panel = stage.panel
    stage.read(stage.settings["bad"], SHORT)
    stage.click(panel.plate.take)
    assert stage.re_age() == []
    tone, text = stage.notice()
    assert tone == "bad" and text.startswith("The plate cannot be read") and ".exr" in text, text
    assert "Traceback" not in text + panel.log_text()
    stage.snap("bad-plate", 1000)


def missing_frames_are_told_before_anything_is_sent_and_can_be_skipped(stage):
    panel = stage.panel
    stage.read(stage.settings["gap"], SHORT)
    stage.click(panel.plate.take)
    assert f"frames {stage.first + 1} are missing" in panel.plate.trouble.text()
    assert stage.re_age() == [] and "missing" in stage.notice()[1] and stage.notice()[0] == "bad"
    panel.frames.skip.setChecked(True)
    (read,) = stage.re_age()
    assert len(frames_of(read)) == SHORT - 1, (read["file"].value(), stage.notice(), panel.log_text()[-900:])
    panel.frames.skip.setChecked(False)


def what_nobody_thought_of_is_told_in_words(stage):
    from reage_nuke import host

    def broken():
        raise RuntimeError("the node graph is away")

    panel, whole = stage.panel, host.selected_plates
    host.selected_plates = broken
    try:
        stage.click(panel.plate.take)
    finally:
        host.selected_plates = whole
    tone, text = stage.notice()
    assert tone == "bad" and "the node graph is away" in text and "Traceback" not in text


def a_comp_is_offered_a_write(stage):
    panel, nuke = stage.panel, stage.nuke
    for node in nuke.allNodes():
        node.setSelected(False)
    grade = nuke.nodes.Grade()
    grade.setSelected(True)
    stage.click(panel.plate.take)
    stage.click(panel.plate.write)
    (write,) = nuke.allNodes("Write")
    assert write.input(0) is grade and stage.notice()[0] == "good"
    nuke.delete(write)
    nuke.delete(grade)


def a_job_bundle_is_written_beside_the_script_and_its_command_shown(stage):
    panel = stage.panel
    stage.plate.setSelected(True)
    stage.click(panel.plate.take)
    stage.click(panel.foot.farm)
    stage.idle()
    tone, text = stage.notice()
    assert tone == "good" and "farm submit" in text, text
    (bundle,) = (stage.folder / "reage_farm").iterdir()
    assert (bundle / "template.yaml").is_file() and str(bundle) in text
    stage.snap("farm", 1000)


def a_submit_command_of_ones_own_is_run(stage):
    panel = stage.panel
    panel.more.fold(False)
    panel.more.queue.choose("own")
    note = stage.folder / "submitted"
    python = sys.executable.replace("\\", "/")
    code = "import sys; open(sys.argv[1], 'w').write(sys.argv[2]); print('job 17')"
    panel.more.submit.setText(f"'{python}' -c \"{code}\" '{note.as_posix()}' {{bundle}}")
    stage.click(panel.foot.farm)
    stage.idle()
    assert stage.notice() == ("good", "Submitted. job 17") and "reage_farm" in note.read_text(), stage.notice()
    panel.more.queue.choose("")
    panel.more.fold(True)


def folded_sections_say_what_is_set_in_them(stage):
    panel = stage.panel
    panel.look.strength.set(0.5)
    for section in (panel.look, panel.model, panel.faces):
        section.fold(True)
    assert panel.look._brief.whole() == "strength 0.5"
    assert panel.model._brief.whole() == "reage-1", panel.model._brief.whole()
    stage.snap("folded", 900)


def nothing_is_cut_off_at_any_width(stage):
    panel = stage.panel
    for section in panel.sections.values():
        section.fold(False)
    panel.look.more.setChecked(True)
    for width in WIDTHS:
        for kind in ("number", "several", "typed", "knob"):
            panel.age.kind.choose(kind)
            panel.resize(width, 900)
            for _ in range(3):
                QtWidgets.QApplication.processEvents()
            assert panel.width() == width
            page = panel.page_view.widget()
            assert page.width() <= panel.page_view.viewport().width(), f"the page is wider than {width}"
            for widget in page.findChildren(QtWidgets.QWidget) + panel.foot.findChildren(QtWidgets.QWidget):
                _fits(widget, width)
    panel.age.kind.choose("number")
    panel.resize(360, 900)
    stage.snap("all", 1700)
    panel.look.more.setChecked(False)


def _fits(widget, width):
    """Texts of labels and buttons are seen whole; labels that wrap or shorten themselves have their own way."""
    if not widget.isVisible() or not isinstance(widget, (QtWidgets.QLabel, QtWidgets.QAbstractButton)):
        return
    text = widget.text()
    if not text or widget.objectName() == "head" or type(widget).__name__ == "Elided":
        return
    if isinstance(widget, QtWidgets.QLabel) and widget.wordWrap():
        assert widget.height() >= widget.heightForWidth(widget.width()), f"{text!r} is cut at {width}"
        return
    wanted = widget.fontMetrics().horizontalAdvance(text) - 1
    assert widget.contentsRect().width() >= wanted, f"{text!r} is cut at {width}: {widget.width()} < {wanted}"
    right = widget.mapTo(widget.window(), QtCore.QPoint(widget.width(), 0)).x()
    assert right <= width, f"{text!r} ends at {right} of {width}"


def another_script_brings_its_own_settings(stage):
    from reage_nuke import host

    panel = stage.panel
    stage.wait(lambda: host.load_state().get("strength") == 0.5, "saved strength", 5)
    kept = host.load_state()
    host.save_state({})
    for call in list(stage.state.script_load):
        call()
    assert panel.look.strength.value() == 1.0
    host.save_state(kept)


def a_panel_opened_later_finds_the_settings_of_the_script(stage):
    first = stage.panel
    pid = first.session.hello["pid"]
    first.close()
    first.deleteLater()
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.DeferredDelete)
    stage.wait(lambda: not alive(pid), "end of the closed panel's worker", 20)
    assert stage.state.script_load == []
    panel = stage.open_panel()
    assert (panel.look.strength.value(), panel.age.age.value()) == (0.5, 70.0)


def closing_nuke_closes_the_worker(stage):
    panel = stage.panel
    stage.click(panel.foot.preview)
    stage.wait(lambda: panel.session.hello, "hello")
    pid = panel.session.hello["pid"]
    assert alive(pid)
    QtWidgets.QApplication.instance().aboutToQuit.emit()
    end = time.monotonic() + 20
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(pid) and not panel.session.busy


CHECKS = [
    a_panel_without_a_plate_says_what_to_do_and_offers_nothing,
    the_selected_read_is_summed_up,
    models_come_with_their_licences,
    what_is_set_is_saved_with_the_script,
    a_preview_shows_before_and_after,
    the_faces_it_found_can_be_chosen,
    the_wipe_follows_the_pointer,
    a_warm_preview_of_another_age_takes_little_time,
    re_age_writes_the_frames_and_makes_a_read_beside_the_plate,
    a_preview_after_an_analysis_is_the_rendered_frame,
    another_run_is_another_version_without_another_analysis,
    cancel_stops_a_shot_and_the_next_press_goes_on_there,
    a_worker_that_is_killed_is_told_in_words_and_the_next_press_works,
    several_plates_and_ages_are_done_one_after_the_other,
    a_comp_is_wired_where_it_is_asked_for,
    an_animated_knob_is_sampled_over_the_range,
    a_plate_with_a_damaged_frame_is_told_in_words,
    missing_frames_are_told_before_anything_is_sent_and_can_be_skipped,
    what_nobody_thought_of_is_told_in_words,
    a_comp_is_offered_a_write,
    a_job_bundle_is_written_beside_the_script_and_its_command_shown,
    a_submit_command_of_ones_own_is_run,
    folded_sections_say_what_is_set_in_them,
    nothing_is_cut_off_at_any_width,
    another_script_brings_its_own_settings,
    a_panel_opened_later_finds_the_settings_of_the_script,
    closing_nuke_closes_the_worker,
]


def clicked_through(settings):
    """Name of each check → what went wrong, empty where nothing did; and `Nuke's rules` for the fake's."""
    told = {}
    try:
        with fake_nuke.installed() as state:
            stage = Stage(settings, state)
            for check in CHECKS:
                started = time.monotonic()
                try:
                    check(stage)
                    told[check.__name__] = ""
                except Exception:
                    told[check.__name__] = traceback.format_exc()
                print(f"{time.monotonic() - started:6.1f} s  {check.__name__}", file=sys.stderr)
            stage.panel.shut_down()
        told["the_rules_of_nuke_are_kept"] = ""
    except AssertionError as error:
        told["the_rules_of_nuke_are_kept"] = str(error)
    return told


if __name__ == "__main__":
    application = QtWidgets.QApplication(sys.argv[:1])
    application.setFont(QtGui.QFont("DejaVu Sans", 9))
    print(json.dumps(clicked_through(json.loads(Path(sys.argv[1]).read_text()))))
