"""The local engine with real workers that are killed at random. Slow: dozens of processes, each loads the model."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import command
import pytest

from reage.farm.bundle import read_bundle
from reage.farm.local import submit
from reage.farm.options import Options

pytestmark = [
    pytest.mark.skipif(os.environ.get("REAGE_SLOW") != "1", reason="set REAGE_SLOW=1: takes minutes"),
    pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="finds the workers in /proc"),
]

WORKERS, KILLS, FRAMES, CHUNK = 4, 3, 48, 4


@pytest.fixture(scope="module")
def shot(plate: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A plate of 48 frames, and the folder of one plain run."""
    folder = tmp_path_factory.mktemp("shot")
    pattern = command.write_plate(folder / "plate", FRAMES)
    words = ["run", pattern, "-o", folder / "once" / "a.%04d.exr", "--age", "70", "--device", "cpu"]
    assert command.reage(*words).code == 0
    return pattern, folder / "once"


def bundle(folder: Path, pattern: str) -> Path:
    words = ["farm", "bundle", pattern, "-o", folder / "out" / "a.%04d.exr", "--age", "70", "--device", "cpu"]
    assert command.reage(*words, "--bundle", folder / "job", "--chunk", str(CHUNK)).code == 0
    return folder / "job"


def rendering(job: Path) -> dict[int, range]:
    """Processes that render chunks of a job, and the frames of their chunks."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode().split("\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words[1:5] == ["-m", "reage", "farm", "render"] and str(job / "job.yaml") in words:
            first, last = words[words.index("--frames") + 1].split("-")
            found[int(entry.name)] = range(int(first), int(last) + 1)
    return found


def is_complete(folder: Path, once: Path) -> None:
    assert command.contents(folder / "out") == command.contents(once)
    assert command.booked(folder / "out") == command.booked(once)
    there = {path.name for path in (folder / "out").iterdir()}
    assert there == {path.name for path in once.iterdir()}  # nothing is left over


def test_workers_killed_at_random_three_times_each_change_nothing(
    shot: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern, once = shot
    monkeypatch.setenv("PYTHONPATH", str(command.CORE))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    job = bundle(tmp_path, pattern)
    chance, killed = random.Random(), Counter[int]()
    for event in submit(read_bundle(job), Options(workers=WORKERS, retries=WORKERS * KILLS)):
        if event["event"] != "frame" or killed[event["worker"]] == KILLS or chance.random() < 0.3:
            continue
        time.sleep(chance.uniform(0.0, 0.2))
        for pid in (pid for pid, frames in rendering(job).items() if event["frame"] in frames):
            os.kill(pid, signal.SIGKILL)
            killed[event["worker"]] += 1
    assert killed == dict.fromkeys(range(WORKERS), KILLS) and event["retries"] > 0
    is_complete(tmp_path, once)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_engine_that_is_killed_goes_on_where_it_was(shot: tuple[str, Path], tmp_path: Path) -> None:
    pattern, once = shot
    job = bundle(tmp_path, pattern)
    environment = os.environ | {"PYTHONPATH": str(command.CORE), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "reage", "farm", "submit", str(job), "--engine", "local", "--workers", "2"]
    engine = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + command.PATIENCE
    while len(command.frames_in(tmp_path / "out") if (tmp_path / "out").is_dir() else []) < 6:
        assert time.monotonic() < end and engine.poll() is None
        time.sleep(0.02)
    engine.kill()
    engine.wait()
    for pid in rendering(job):
        os.kill(pid, signal.SIGKILL)
    there = {path.name: path.stat().st_mtime_ns for path in command.frames_in(tmp_path / "out")}
    again = command.reage(*words[3:], "--progress", "json")
    assert again.code == 0, again.err
    states = Counter(event["state"] for event in again.events if event["event"] == "frame")
    assert states["skipped"] == len(there) and states["aged"] == FRAMES - len(there)
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == stamp for name, stamp in there.items())
    is_complete(tmp_path, once)
