from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from reage.ledger import Line, Manifest, digest_of


def test_a_digest_follows_values_and_not_the_order_of_keys() -> None:
    assert digest_of({"a": 1, "b": [1.5, "x"]}) == digest_of({"b": [1.5, "x"], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_lines_are_sorted_and_the_last_state_stays(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "sh.manifest.jsonl")
    for frame, state in ((3, "aged"), (1, "failed"), (1, "aged")):
        manifest.add(Line(frame, f"sh.{frame}.exr", state))  # type: ignore[arg-type]
    manifest.save()
    again = Manifest(manifest.path)
    assert [row[:11] for row in manifest.path.read_text().splitlines()] == ['{"frame": 1', '{"frame": 3']
    line = again.line(1)
    assert line is not None and line.state == "aged" and again.names(1, "sh.1.exr") and not again.names(1, "x.exr")


def test_a_damaged_manifest_is_not_trusted_and_not_fatal(tmp_path: Path) -> None:
    file = tmp_path / "m.jsonl"
    file.write_bytes(b'\xff\xfe{"frame"')
    assert Manifest(file).line(1) is None
    file.write_text('{"frame": 1, "file": "a", "state": "aged"}\n{"frame": 2, "fi')
    assert Manifest(file).line(1) is not None and Manifest(file).line(2) is None


def _work(path: Path, first: int) -> None:
    for frame in range(first, first + 20):
        manifest = Manifest(path)
        manifest.add(Line(frame, f"{frame}.exr", "aged"))
        manifest.save()


def test_parallel_processes_lose_no_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_work, args=(path, first)) for first in (0, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(path.read_text().splitlines()) == 40
    assert [p.name for p in tmp_path.iterdir()] == ["m.jsonl"]


class Stop(BaseException):
    pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_signal_at_any_moment_of_a_merge_leaves_no_lock_behind(tmp_path: Path) -> None:
    def stop(number: int, frame: object) -> None:
        raise Stop

    manifest, chance = Manifest(tmp_path / "sh.manifest.jsonl"), random.Random(1)
    before = signal.signal(signal.SIGTERM, stop)
    try:
        for _ in range(300):
            timer = threading.Timer(chance.uniform(0.0, 0.0012), os.kill, (os.getpid(), signal.SIGTERM))
            with contextlib.suppress(Stop):
                timer.start()
                while True:
                    manifest.add(Line(1, "sh.1.exr", "aged"))
                    manifest.save()
            end = time.monotonic() + 5.0
            while list(tmp_path.glob("*.lock")):  # a merge that was begun comes to its end
                assert time.monotonic() < end
    finally:
        signal.signal(signal.SIGTERM, before)
    assert Manifest(manifest.path).names(1, "sh.1.exr")
