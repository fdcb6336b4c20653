"""The panel's state machine, against a worker that says what the test tells it to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage_nuke.session import CANCELLING, IDLE, PREVIEW, RUN, Session, Task, clock_face, in_words

Event = dict[str, Any]


class Script:
    """A client whose worker says what is put into `says`."""

    def __init__(self) -> None:
        self.alive, self.closed = False, False
        self.sent: list[tuple[str, Mapping[str, Any]]] = []
        self.cancelled: list[int] = []
        self.says: list[Event] = []

    def start(self) -> None:
        self.alive = True
        self.says.append({"event": "hello", "product": "reage", "protocol": 1, "version": "9"})

    def send(self, method: str, params: Mapping[str, Any]) -> int:
        self.sent.append((method, params))
        return len(self.sent)

    def events(self) -> list[Event]:
        said, self.says = self.says, []
        return said

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)

    def close(self) -> None:
        self.alive, self.closed = False, True


class Rig:
    """A session, the clients it made, and a clock that the test turns."""

    def __init__(self) -> None:
        self.clients: list[Script] = []
        self.now = 0.0
        self.session = Session(self._connect, lambda: self.now, log="/logs/worker.log")

    def _connect(self) -> Script:
        self.clients.append(Script())
        return self.clients[-1]

    @property
    def client(self) -> Script:
        return self.clients[-1]

    def hear(self, *events: Event) -> list[tuple[str, str]]:
        """What the session tells of the events; their id is that of the last request unless they name one."""
        self.client.says += [{"id": len(self.client.sent), **event} for event in events]
        return [(told.kind, told.text) for told in self.session.poll()]


@pytest.fixture
def rig() -> Rig:
    return Rig()


SHOT = Task({"plate": "a.%04d.exr", "age": 70}, "a", about="Read1")
OTHER = Task({"plate": "b.%04d.exr", "age": 70}, "b", about="Read2")
DONE = {"event": "done"}


def progress(done: int, total: int = 10, stage: str = "render") -> Event:
    return {"event": "progress", "stage": stage, "frame": 1000 + done, "done": done, "total": total}


def test_nothing_is_started_before_there_is_something_to_do(rig: Rig) -> None:
    assert rig.session.poll() == [] and rig.clients == [] and rig.session.phase == IDLE


def test_a_run_tells_its_start_its_frames_and_its_end(rig: Rig) -> None:
    rig.session.run([SHOT])
    assert rig.session.phase == RUN and rig.client.sent == [("run", SHOT.params)]
    assert rig.hear()[0] == ("started", "a")
    rig.hear(progress(1), {"event": "frame", "frame": 1001, "state": "aged", "path": "/o/a.1001.exr"})
    assert rig.session.share == 0.1
    rig.client.says = [{"id": 1, **DONE, "states": {"aged": 1}}]
    (end,) = rig.session.poll()
    assert end.kind == "finished" and end.task is SHOT and end.facts["paths"] == ["/o/a.1001.exr"]
    assert rig.session.phase == IDLE and rig.session.line == ""


def test_plates_are_re_aged_one_after_the_other_by_one_worker(rig: Rig) -> None:
    rig.session.run([SHOT, OTHER])
    rig.hear(progress(5))
    assert rig.session.line.endswith("plate 1 of 2") and len(rig.client.sent) == 1
    assert rig.hear(DONE) == [("finished", ""), ("started", "b")]
    assert rig.session.phase == RUN and rig.client.sent[1] == ("run", OTHER.params) and len(rig.clients) == 1
    rig.hear(progress(1))
    assert rig.session.line.endswith("plate 2 of 2")
    assert rig.hear(DONE) == [("finished", "")] and not rig.session.busy


@pytest.mark.parametrize(("code", "goes_on"), [(2, True), (3, True), (6, True), (4, False), (5, False)])
def test_a_bad_plate_does_not_hold_up_the_others_but_a_bad_model_does(rig: Rig, code: int, goes_on: bool) -> None:
    rig.session.run([SHOT, OTHER])
    kinds = [kind for kind, _ in rig.hear({"event": "error", "code": code, "message": "no"})]
    assert kinds == ["started", "failed"] + ["started"] * goes_on and rig.session.busy is goes_on


def test_an_error_is_told_in_words_of_the_panel(rig: Rig) -> None:
    rig.session.run([SHOT])
    message = "a: frames 1004 are missing; copy them, choose other --frames, or give --on-missing skip"
    (_, (kind, text)) = rig.hear({"event": "error", "code": 3, "message": message})
    assert kind == "failed" and text.startswith("The plate cannot be read: a: frames 1004 are missing")
    assert "--" not in text and "Skip missing" in text


def test_time_left_is_said_once_it_can_be_told(rig: Rig) -> None:
    rig.session.run([SHOT])
    rig.hear(progress(1, 100))
    assert "left" not in rig.session.line and "1 of 100" in rig.session.line
    rig.now += 10
    rig.hear(progress(10, 100))
    assert rig.session.line == "Re-ageing frame 1010 (10 of 100), 1:30 left"
    rig.hear(progress(100, 100))
    assert "left" not in rig.session.line and rig.session.share == 1


def test_each_stage_is_timed_by_itself(rig: Rig) -> None:
    rig.session.run([SHOT])
    rig.hear({"event": "stage", "name": "analyse", "total": 100})
    assert rig.session.line == "Analysing" and rig.session.share is None
    rig.now += 100
    rig.hear(progress(100, 100, "analyse"))
    rig.hear(progress(1, 100))
    rig.now += 4
    rig.hear(progress(2, 100))
    assert rig.session.line.endswith("3:16 left")


def test_cancel_is_asked_of_the_worker_and_forgets_what_waits(rig: Rig) -> None:
    rig.session.run([SHOT, OTHER])
    rig.session.cancel()
    assert rig.session.phase == CANCELLING and rig.client.cancelled == [1]
    rig.hear(progress(3))
    assert rig.session.line.startswith("Stopping")
    ((kind, text),) = rig.hear({"event": "cancelled"})
    assert kind == "cancelled" and "stay" in text and not rig.session.busy
    assert len(rig.client.sent) == 1


def test_a_request_that_was_done_before_the_cancel_came_is_finished(rig: Rig) -> None:
    rig.session.run([SHOT, OTHER])
    rig.session.cancel()
    assert rig.hear(DONE)[-1][0] == "finished" and not rig.session.busy and len(rig.client.sent) == 1


def test_a_worker_that_dies_is_told_in_words_and_the_next_request_starts_another(rig: Rig) -> None:
    rig.session.run([SHOT, OTHER])
    rig.hear(progress(2))
    rig.client.alive = False
    ((kind, text),) = rig.hear()
    assert kind == "failed" and "ended unexpectedly" in text and "/logs/worker.log" in text
    assert not rig.session.busy and rig.clients[0].closed
    rig.session.run([SHOT])
    assert len(rig.clients) == 2 and rig.client.sent == [("run", SHOT.params)]
    assert rig.hear(DONE)[-1][0] == "finished"


def test_a_death_that_the_client_tells_stops_the_queue(rig: Rig) -> None:
    rig.session.run([SHOT, OTHER])
    rig.client.alive = False
    told = rig.hear({"event": "error", "code": 1, "message": "the worker was killed; frames that are done stay"})
    assert told[1:] == [("failed", "The worker was killed; frames that are done stay")] and not rig.session.busy
    rig.session.run([OTHER])
    assert len(rig.clients) == 2


def test_a_worker_that_dies_idle_is_no_news(rig: Rig) -> None:
    rig.session.preview(SHOT)
    rig.hear(DONE)
    rig.client.alive = False
    assert rig.hear() == []
    rig.session.preview(SHOT)
    assert len(rig.clients) == 2 and rig.session.phase == PREVIEW


def test_a_worker_that_had_to_be_killed_to_stop_was_stopped(rig: Rig) -> None:
    rig.session.run([SHOT])
    rig.session.cancel()
    rig.client.alive = False
    assert rig.hear()[-1][0] == "cancelled"


def test_what_a_dying_worker_said_last_is_heard(rig: Rig) -> None:
    rig.session.run([SHOT])
    rig.client.alive = False
    kinds = [kind for kind, _ in rig.hear({"event": "error", "code": 5, "message": "out of memory"})]
    assert kinds == ["started", "failed"]


def test_a_worker_that_cannot_be_started_is_told_in_words() -> None:
    def refuse() -> Any:
        raise OSError("no such file: /env/python")

    session = Session(refuse)
    session.run([SHOT])
    (told,) = session.poll()
    assert told.kind == "failed" and "/env/python" in told.text and told.task is SHOT and not session.busy


def test_answers_to_an_older_request_are_not_taken_for_this_one(rig: Rig) -> None:
    rig.session.preview(SHOT)
    rig.hear({"event": "error", "code": 3, "message": "gone"})
    rig.session.run([SHOT])
    assert [kind for kind, _ in rig.hear({**DONE, "id": 1})] == ["started", "log"] and rig.session.phase == RUN


def test_a_worker_that_was_warmed_up_is_the_one_that_is_asked(rig: Rig) -> None:
    rig.session.warm()
    rig.session.warm()
    assert rig.session.poll() == [] and rig.session.hello["protocol"] == 1 and not rig.session.busy
    rig.session.preview(SHOT)
    assert len(rig.clients) == 1 and rig.client.sent == [("preview", SHOT.params)]


def test_faces_are_asked_for_without_a_word_and_their_failure_is_a_line_of_the_log(rig: Rig) -> None:
    rig.session.faces(SHOT)
    assert rig.client.sent == [("faces", SHOT.params)] and rig.session.busy
    rig.client.says.append({"id": 1, **DONE, "faces": [{"id": 1}]})
    (told,) = rig.session.poll()
    assert told.kind == "faces" and told.facts["faces"] == [{"id": 1}] and not rig.session.busy
    rig.session.faces(SHOT)
    assert [kind for kind, _ in rig.hear({"event": "error", "code": 3, "message": "gone"})] == ["log"]
    rig.session.faces(SHOT)
    rig.client.alive = False
    assert [kind for kind, _ in rig.hear()] == ["log"] and not rig.session.busy


def test_a_stopped_preview_promises_nothing_of_frames(rig: Rig) -> None:
    rig.session.preview(SHOT)
    rig.session.cancel()
    assert rig.hear({"event": "cancelled"})[-1] == ("cancelled", "Stopped.")


def test_only_one_thing_runs_at_a_time(rig: Rig) -> None:
    rig.session.preview(SHOT)
    with pytest.raises(RuntimeError):
        rig.session.run([OTHER])
    with pytest.raises(ValueError, match="nothing"):
        Session(Script).run([])


def test_closing_closes_the_worker_and_leaves_nothing_under_way(rig: Rig) -> None:
    rig.session.run([SHOT])
    rig.session.close()
    assert rig.client.closed and not rig.session.busy


def test_what_was_found_and_what_was_warned_of_is_told(rig: Rig) -> None:
    rig.session.run([SHOT])
    told = rig.hear(
        {"event": "tracks", "faces": [{"id": 1, "source_age": 34.0}]},
        {"event": "warning", "message": "age 5 is clamped"},
        {"event": "frame", "frame": 1003, "state": "failed", "why": "no light"},
    )
    assert told[1:] == [("analysed", ""), ("warning", "age 5 is clamped"), ("warning", "frame 1003: no light")]


@pytest.mark.parametrize(("seconds", "face"), [(0, "0:00"), (7.4, "0:07"), (750, "12:30"), (3723, "1:02:03")])
def test_times_are_written_as_on_a_clock(seconds: float, face: str) -> None:
    assert clock_face(seconds) == face


def test_a_message_without_options_stays_as_it_is() -> None:
    assert in_words("p.1004.exr: damaged; copy it anew") == "p.1004.exr: damaged; copy it anew"
