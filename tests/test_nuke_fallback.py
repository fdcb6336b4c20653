"""The dialog of Nuke's own knobs that stands in for the panel where Qt fails."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command
import fake_nuke
import pytest
from fake_nuke import State

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "nuke_plugin"))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.delenv("OCIO", raising=False)
    with fake_nuke.installed() as state:
        yield state


class Worker:
    """A client whose worker does what the test says, at once."""

    def __init__(self, *ends: dict[str, Any]) -> None:
        self.ends, self.alive, self.closed = list(ends), False, False
        self.sent: list[Any] = []
        self.cancelled: list[int] = []
        self.says: list[dict[str, Any]] = []

    def start(self) -> None:
        self.alive = True

    def send(self, method: str, params: Any) -> int:
        self.sent.append((method, params))
        number = len(self.sent)
        self.says.append({"event": "progress", "id": number, "stage": "render", "frame": 1001, "done": 1, "total": 2})
        self.says += [{**end, "id": number} for end in self.ends[number - 1 : number]]
        return number

    def events(self) -> list[dict[str, Any]]:
        said, self.says = self.says, []
        return said

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)
        self.says.append({"event": "cancelled", "id": number})

    def close(self) -> None:
        self.alive, self.closed = False, True


def asked(session: State, worker: Worker | None, answers: dict[str, Any] | None) -> threading.Thread | None:
    """Answer the dialog; the thread that follows the worker. None as worker: the real one."""
    from reage_nuke import fallback

    def fill(panel: Any) -> bool:
        for name, value in (answers or {}).items():
            panel.knobs()[name].setValue(value)
        return answers is not None

    session.dialogs.append(fill)
    thread: threading.Thread | None = fallback.reage(None if worker is None else lambda: worker)
    return thread


def read(nuke: Any) -> Any:
    nuke.root()["name"].setValue("/shots/comp.nk")
    node = nuke.nodes.Read(file="/p/a.%04d.exr", first=1001, last=1010)
    node.setSelected(True)
    return node


def test_the_dialog_re_ages_with_a_bar_and_makes_the_result(session: State) -> None:
    import nuke

    read(nuke)
    worker = Worker({"event": "done"})
    thread = asked(session, worker, {"age": "33", "frames": "1002-1004", "output": "/o/a_v001.%04d.exr"})
    assert thread is not None
    fake_nuke.pump(lambda: not thread.is_alive())
    ((method, params),) = worker.sent
    assert (method, params["age"], params["frames"], params["layers"]) == ("run", "33", "1002-1004", True)
    made = nuke.toNode("Read2")
    assert made is not None
    assert (made["file"].value(), made["first"].value()) == ("/o/a_v001.%04d.exr", 1002)
    assert worker.closed
    assert session.said == []
    (bar,) = session.tasks
    assert bar._cancelled is False

    from reage_nuke import host

    assert host.load_state()["age"] == "33"


def test_the_dialog_can_be_closed_and_a_wrong_age_is_told(session: State) -> None:
    import nuke

    read(nuke)
    worker = Worker()
    assert asked(session, worker, None) is None
    assert asked(session, worker, {"age": "old"}) is None
    assert worker.sent == []
    assert "age 'old'" in session.said[0]


def test_what_the_worker_says_went_wrong_is_told(session: State) -> None:
    import nuke

    read(nuke)
    worker = Worker({"event": "error", "code": 3, "message": "frame 1003 is damaged"})
    thread = asked(session, worker, {})
    assert thread is not None
    fake_nuke.pump(lambda: not thread.is_alive())
    assert "frame 1003 is damaged" in session.said[0]
    assert nuke.toNode("Read2") is None


def test_cancel_stops_the_worker(session: State) -> None:
    import nuke

    read(nuke)
    worker = Worker()
    thread = asked(session, worker, {})
    assert thread is not None
    fake_nuke.pump(lambda: bool(session.tasks))
    session.tasks[0]._cancelled = True
    fake_nuke.pump(lambda: not thread.is_alive())
    assert (worker.cancelled, worker.closed) == ([1], True)
    assert nuke.toNode("Read2") is None


def test_the_real_engine_re_ages_a_read_and_its_result_is_in_the_script(
    session: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the selection to a Read whose frames exist, with the engine's own worker."""
    import nuke

    monkeypatch.setenv("REAGE_PYTHON", sys.executable)
    monkeypatch.setenv("REAGE_WORKER_KEEP", "PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "core"))
    nuke.root()["name"].setValue(f"{tmp_path.as_posix()}/comp.nk")
    first = command.FIRST
    pattern = command.write_plate(tmp_path, 3)
    source = nuke.nodes.Read(file=pattern, first=first, last=first + 2, frame_mode="start at", frame="1")
    source.setSelected(True)
    thread = asked(session, None, {"age": "70", "frames": "2", "device": "cpu"})
    assert thread is not None
    fake_nuke.pump(lambda: not thread.is_alive(), 120.0)
    assert session.said == []
    made: Any = nuke.toNode("Read2")
    nuke.frame(2)
    assert Path(str(nuke.filename(made, nuke.REPLACE))).is_file()
    assert (made["first"].value(), made["last"].value(), made["frame"].value()) == (first + 1, first + 1, "2")
