"""The local engine: what it makes of its workers; and that what they make together is what one would make alone."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import command
import pytest
from fake_worker import FakeWorker, empty_plate

from reage.errors import PlateError, ReageError, SomeFramesFailed
from reage.farm.bundle import Bundle, read_bundle, write_bundle
from reage.farm.local import COUNT, FRAME, submit
from reage.farm.options import Options
from reage.job import Job
from reage.progress import reporter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and fork")

HOSTILE = (
    "a b; touch x #",
    'it\'s "quoted"',
    "$(id) `id` ${HOME}",
    "-rf",
    "--job",
    "new\nline",
    "größe 日本",
    "{{Param.Frames}} {{ }}",
    "openjd_env FOO",
    "\nOpenJD_Env: A=B",
    "%s %20 & | > < * ? !",
    "back\\slash",
)


def bundled(folder: Path, frames: range = range(1, 13), chunk: int = 4, **more: Any) -> tuple[Bundle, FakeWorker]:
    plate = empty_plate(folder / "plate", frames)
    job = Job.make(plate=plate, output=str(folder / "out" / "a.%04d.exr"), age=70, **{"device": "cpu", **more})
    write_bundle(job, folder / "bundle", chunk)
    worker = FakeWorker(folder / "bundle", folder / "notes")
    return read_bundle(folder / "bundle"), worker


def followed(bundle: Bundle, **options: Any) -> tuple[list[dict[str, Any]], ReageError | None]:
    """Events of a submission, and how it ended."""
    events: list[dict[str, Any]] = []
    try:
        for event in submit(bundle, Options(**options)):
            events.append(dict(event))
    except ReageError as error:
        return events, error
    return events, None


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_is_read_as_anything_but_a_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    bundle, worker = bundled(folder, range(1, 3), log=str(folder / "l.log"))
    _, error = followed(bundle)
    assert error is None and worker.tasks == ["analyse", "1-2", "finish"]
    words = worker.calls[1]["words"]
    given = dict(zip(words[4::2], words[5::2], strict=True))
    assert given == {
        "--job": str(folder / "bundle" / "job.yaml"),
        "--plate": str(folder / "plate" / "p.%d.exr"),
        "--output": str(folder / "out" / "a.%04d.exr"),
        "--tracks": str(folder / "out" / "a.tracks.json"),
        "--log": str(folder / "l.log"),
        "--frames": "1-2",
        "--progress": "openjd",
    }
    assert not Path("x").exists() and sorted(p.name for p in tmp_path.iterdir()) == sorted({name.split("/")[0]})


def test_steps_wait_for_each_other_and_every_frame_is_told_once_as_it_is_done(tmp_path: Path) -> None:
    bundle, worker = bundled(tmp_path)
    events, error = followed(bundle, workers=2)
    assert error is None and worker.tasks[0] == "analyse" and worker.tasks[-1] == "finish"
    assert sorted(worker.tasks[1:-1]) == ["1-4", "5-8", "9-12"]
    frames = [event["frame"] for event in events if event["event"] == "frame"]
    assert sorted(frames) == list(range(1, 13))
    shares = [event["done"] for event in events if event["event"] == "progress"]
    assert shares == list(range(1, 13)) and events[-1]["event"] == "done"
    assert {event["path"] for event in events if event["event"] == "frame"} >= {"/made/7.exr"}


def test_a_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    bundle, worker = bundled(tmp_path)
    worker.plan(f5_8=["die", "die", 0], analyse=["die", 0])
    events, error = followed(bundle, workers=2)
    assert error is None and worker.tasks.count("5-8") == 3 and worker.tasks.count("analyse") == 2
    assert worker.tasks.count("1-4") == 1 and events[-1]["retries"] == 3
    assert any("killed" in event["message"] for event in events if event["event"] == "warning")


def test_a_task_that_is_killed_for_ever_is_given_up(tmp_path: Path) -> None:
    bundle, worker = bundled(tmp_path)
    worker.plan(f5_8=["die"])
    _, error = followed(bundle, workers=1, retries=2)
    assert isinstance(error, SomeFramesFailed) and "5-8" in str(error) and worker.tasks.count("5-8") == 3
    assert "finish" not in worker.tasks


def test_where_errors_stop_a_failed_chunk_ends_the_others_politely(tmp_path: Path) -> None:
    bundle, worker = bundled(tmp_path)
    worker.plan(f1_4=["hang"], f5_8=[["1-4", 3]])
    _, error = followed(bundle, workers=2)
    assert isinstance(error, PlateError) and str(error) == "it went wrong in 5-8"
    assert worker.asked_to_stop == ["1-4"] and sorted(worker.tasks) == ["1-4", "5-8", "analyse"]


def test_where_errors_are_skipped_the_rest_goes_on_and_the_end_tells(tmp_path: Path) -> None:
    bundle, worker = bundled(tmp_path, on_error="skip")
    worker.plan(f1_4=[1], finish=[1])
    _, error = followed(bundle)
    assert worker.tasks == ["analyse", "1-4", "5-8", "9-12", "finish"]
    assert isinstance(error, SomeFramesFailed) and str(error) == "it went wrong in finish"


@pytest.mark.parametrize("code", [2, 3, 4, 5, 6])
def test_what_no_other_frame_can_escape_stops_the_job_even_where_errors_are_skipped(tmp_path: Path, code: int) -> None:
    bundle, worker = bundled(tmp_path, on_error="skip")
    worker.plan(f1_4=[code])
    _, error = followed(bundle)
    assert error is not None and error.exit_code == code and worker.tasks == ["analyse", "1-4"]


def test_workers_share_the_gpus_and_the_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    bundle, worker = bundled(tmp_path, device="cuda")
    events, _ = followed(bundle)
    assert [e["workers"] for e in events if e["event"] == "stage"] == [1, 2, 1]
    seen = {(c["environment"]["CUDA_VISIBLE_DEVICES"], c["environment"]["OMP_NUM_THREADS"]) for c in worker.calls}
    assert seen == {("3", "4"), ("5", "4")}


def test_what_the_user_set_for_threads_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    bundle, worker = bundled(tmp_path)
    followed(bundle, workers=3)
    assert {call["environment"]["OMP_NUM_THREADS"] for call in worker.calls} == {"7"}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_reaches_the_workers_and_nothing_is_left(tmp_path: Path, plate: str, number: int, code: int) -> None:
    _, worker = bundled(tmp_path)
    worker.plan(f1_4=["hang"], f5_8=["hang"])
    (tmp_path / "tmp").mkdir()
    words = ["farm", "submit", tmp_path / "bundle", "--engine", "local", "--workers", "2", "--progress", "json"]
    running = command.start(*words, TMPDIR=str(tmp_path / "tmp"))
    running.wait_for(lambda: running.told().count('"aged"') == 2)
    running.signal(number)
    done = running.end()
    assert done.code == code and done.events[-1]["event"] == "cancelled"
    assert sorted(worker.asked_to_stop) == ["1-4", "5-8"] and "9-12" not in worker.tasks
    assert list((tmp_path / "tmp").iterdir()) == []


def test_chunks_under_openjd_run_are_byte_for_byte_one_plain_run(plate: str, tmp_path: Path) -> None:
    """With real processes, under a name that has everything."""
    folder = tmp_path / 'openjd_env it\'s "$(touch x)"; touch y #\n{{Param.Frames}}'
    shot = command.write_plate(folder / "plate", 12)
    assert command.reage("run", shot, "-o", folder / "once" / "a.%04d.exr", "--age", "70", "--device", "cpu").code == 0
    given = ["farm", "bundle", shot, "-o", folder / "out" / "a.%04d.exr", "--age", "70", "--device", "cpu"]
    assert command.reage(*given, "--bundle", folder / "job", "--chunk", "4").code == 0
    words = ["openjd", "run", str(folder / "job" / "template.yaml"), "--step", "finish", "--run-dependencies"]
    environment = os.environ | {"PYTHONPATH": str(command.CORE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words], env=environment, cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode()[-3000:]
    assert len(command.contents(folder / "out")) == 12
    assert command.contents(folder / "out") == command.contents(folder / "once")
    assert command.booked(folder / "out") == command.booked(folder / "once")
    assert (folder / "out" / "a.tracks.json").read_bytes() == (folder / "once" / "a.tracks.json").read_bytes()
    assert command.strays(folder / "out") == [] and b"    12 aged: 1001-1012" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_what_a_task_prints_is_what_the_engine_reads(tmp_path: Path) -> None:
    """The fake prints what a reporter of the engine's own would print."""
    told = io.StringIO()
    shown = reporter("openjd", told)
    shown.event({"event": "frame", "frame": -7, "state": "no-face", "path": "/out/a\n.exr", "why": "w"})
    shown.event({"event": "progress", "stage": "detect", "frame": 3, "done": 2, "total": 8})
    frame, _, count = (line.removeprefix("openjd_status: ") for line in told.getvalue().splitlines())
    assert (found := FRAME.fullmatch(frame)) and found.groups() == ("-7", "no-face", "/out/a\\n.exr: w")
    assert (found := COUNT.fullmatch(count)) and found.groups() == ("detect", "3", "2", "8")
