"""Processes that are interrupted, killed, or meet each other."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import CORE, Running, booked, contents, frames_in, reage, start, strays

from reage.ledger import LOCK_PATIENCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and fork")


def begin(folder: Path, once: Path, plate: str, *more: object, tracks: bool = True) -> Running:
    folder.mkdir(exist_ok=True)
    if tracks and not (folder / "a.tracks.json").exists():
        (folder / "a.tracks.json").write_bytes((once / "a.tracks.json").read_bytes())
    return start("run", plate, "-o", folder / "a.%04d.exr", "--age", "70", "--progress", "json", *more)


@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_run_soon_and_leaves_whole_frames(
    once: Path, plate: str, tmp_path: Path, number: int, code: int, word: str
) -> None:
    running = begin(tmp_path, once, plate, "--on-error", "skip")
    running.wait_for(lambda: '"aged"' in running.told())
    running.signal(number)
    started = time.monotonic()
    done = running.end()
    assert time.monotonic() - started < 5.0
    assert done.code == code and done.last.startswith(f"reage: {word}") and "Traceback" not in done.err
    assert done.events[-1]["event"] == "cancelled" and "failed" not in done.states().values()
    assert strays(tmp_path) == []
    made, whole = contents(tmp_path), contents(once)
    assert 0 < len(made) < len(whole) and made.items() <= whole.items()
    assert booked(tmp_path).items() <= booked(once).items() and len(booked(tmp_path)) == len(made)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_the_command_is_still_loading_ends_it_in_one_line(
    tmp_path: Path, number: int, code: int
) -> None:
    """The first module that is not Python's own is one that signals."""
    (tmp_path / "click.py").write_text(
        f"import os, signal, time\nos.kill(os.getpid(), {int(number)})\ntime.sleep(60)\n", encoding="utf-8"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(CORE)])}
    command = [sys.executable, "-m", "reage", "doctor"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "reage: stopped before anything was begun\n"


def test_a_signal_waits_until_a_library_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import reage.__main__ as door

    (tmp_path / "slowly_loaded.py").write_text(
        "import os, signal, time\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(0.3)\nprint('whole')\n",
        encoding="utf-8",
    )

    def loads(**_: object) -> None:
        importlib.import_module("slowly_loaded")
        time.sleep(10)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(door.cli, "main", loads)
    started = time.monotonic()
    try:
        with pytest.raises(SystemExit) as end:
            door.main()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    told = capsys.readouterr()
    assert end.value.code == 143 and told.out == "whole\n" and told.err.startswith("reage: terminated")
    assert time.monotonic() - started < 5


def test_a_signal_during_the_analysis_ends_it_and_leaves_nothing(once: Path, plate: str, tmp_path: Path) -> None:
    running = begin(tmp_path, once, plate, tracks=False)
    running.wait_for(lambda: '"detect"' in running.told())
    running.signal(signal.SIGTERM)
    assert running.end().code == 143 and list(tmp_path.iterdir()) == []


def test_a_run_that_was_killed_again_and_again_ends_as_if_it_never_was(once: Path, plate: str, tmp_path: Path) -> None:
    def temporary() -> object:
        return list(tmp_path.glob(".a.*.tmp.exr"))

    left_over = []
    for attempt in range(3):
        running = begin(tmp_path, once, plate, tracks=False)
        before = len(frames_in(tmp_path))
        if attempt == 0:
            running.wait_for(lambda running=running: running.told().count('"detect"') > 2)  # type: ignore[misc]
        elif attempt == 1:
            running.wait_for(temporary)  # in the middle of a file
        else:
            running.wait_for(lambda before=before: len(frames_in(tmp_path)) > before and temporary())  # type: ignore[misc]
        running.signal(signal.SIGKILL)
        assert running.end().code == -signal.SIGKILL
        left_over += strays(tmp_path)
        assert contents(tmp_path).items() <= contents(once).items()  # whatever has its name is whole
    assert left_over
    # And once in the moment when the manifest was merged.
    (tmp_path / "a.manifest.jsonl.lock").write_text(_mark_of(running.pid))
    started = time.monotonic()
    done = begin(tmp_path, once, plate, tracks=False).end()
    assert done.code == 0 and time.monotonic() - started < LOCK_PATIENCE, done.err
    assert contents(tmp_path) == contents(once) and booked(tmp_path) == booked(once)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in once.iterdir())


def _mark_of(pid: int) -> str:
    from reage.atomic import process_mark

    return process_mark().replace(str(os.getpid()), str(pid))


def test_two_processes_on_one_range_make_what_one_makes(once: Path, plate: str, tmp_path: Path) -> None:
    pair = [begin(tmp_path, once, plate) for _ in range(2)]
    assert [running.end().code for running in pair] == [0, 0]
    assert contents(tmp_path) == contents(once) and booked(tmp_path) == booked(once)
    assert strays(tmp_path) == []


def test_a_lost_manifest_is_written_again_from_the_frames(once: Path, plate: str, tmp_path: Path) -> None:
    for path in once.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "a.manifest.jsonl").unlink()
    done = reage("run", plate, "-o", tmp_path / "a.%04d.exr", "--age", "70", "--progress", "json")
    assert set(done.states().values()) == {"skipped"}
    assert booked(tmp_path) == booked(once)
