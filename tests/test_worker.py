"""The worker as a panel meets it: requests in, events out, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command
import cv2
import numpy as np
import pytest
import talk
import torch
from command import CORE, contents, frames_in, planes, strays
from rig import FIRST, SmallAger, write_plate, write_tracks
from talk import Event, Talk

import reage.agers
from reage.agers import load_ager
from reage.agers.frugal import frugal, has_moved
from reage.colour import Colour
from reage.worker import LONGEST, PROTOCOL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

FRAMES = range(FIRST, FIRST + 8)
MIDDLE = FIRST + 3


@pytest.fixture(scope="module")
def store(plate: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model store with a tiny model; forks can be made while it is there."""
    return str(talk.tiny_store(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The drawn face: plate and tracks of it."""
    folder = tmp_path_factory.mktemp("shot")
    plate = write_plate(folder / "plate", FRAMES)
    return {"plate": plate, "tracks": str(write_tracks(folder / "t.json", FRAMES)), "model": "tiny"}


@pytest.fixture(scope="module")
def worker(store: str) -> Iterator[Talk]:
    """One worker for the tests that leave it as it is."""
    one = Talk(REAGE_MODELS=store)
    yield one
    one.close()


@pytest.fixture
def own(store: str, request: pytest.FixtureRequest) -> Iterator[Talk]:
    """A worker of the test's own, spoilt as its parameter says."""
    spoil, *how = getattr(request, "param", (None,))
    one = Talk(spoil, *how, REAGE_MODELS=store)
    yield one
    one.close()


def job_of(shot: dict[str, str], folder: Path, **more: object) -> Event:
    return {**shot, "output": str(folder / "a.%04d.exr"), "age": 70, **more}


def begin(worker: Talk, shot: dict[str, str], folder: Path) -> int:
    """A render that has written its first frame."""
    number = worker.send("render", job_of(shot, folder))
    worker.until("frame", number)
    return number


# ---- hello -----------------------------------------------------------------------------------------------------------


def test_hello_comes_first_and_before_torch(worker: Talk) -> None:
    assert worker.said[0]["event"] == "hello" and worker.hello["product"] == "reage"
    assert worker.hello["protocol"] == PROTOCOL == 1 and worker.hello["pid"] == worker.pid
    program = "import sys; from reage import worker; worker._hello(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=CORE, check=False).returncode == 0


def test_a_worker_of_a_shell_ends_well_when_its_input_does(tmp_path: Path) -> None:
    done = command.fresh("worker")  # with the input of the tests, which is closed or empty
    assert done.returncode == 0 and done.stdout.count("\n") == 1 and '"hello"' in done.stdout


# ---- work ------------------------------------------------------------------------------------------------------------


def test_a_render_tells_of_each_frame_and_ends_in_done(worker: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    number = worker.send("render", job_of(shot, tmp_path))
    end = worker.last(number)
    assert end["event"] == "done" and end["states"] == {"aged": 8}
    events = worker.of(number)
    frames = [event for event in events if event["event"] == "frame"]
    assert [event["frame"] for event in frames] == list(FRAMES) and {event["state"] for event in frames} == {"aged"}
    assert all(Path(event["path"]).is_file() for event in frames)
    progress = [event for event in events if event["event"] == "progress" and event["stage"] == "render"]
    assert [(event["done"], event["total"]) for event in progress] == [(n, 8) for n in range(1, 9)]
    assert sum(event["event"] in talk.LAST for event in events) == 1 and events[-1] is end
    again = worker.ask("render", **job_of(shot, tmp_path))
    assert again["states"] == {"skipped": 8}


def test_a_preview_is_a_guess_before_the_analysis_and_the_rendered_frame_after(
    worker: Talk, plate: str, once: Path, tmp_path: Path
) -> None:
    job = {"plate": plate, "age": 70, "frame": 1003}
    early = worker.ask("preview", **job, output=str(tmp_path / "out" / "a.%04d.exr"))
    assert early["locked"] is False and early["tracks"] is None and early["state"] == "aged"
    assert list(tmp_path.iterdir()) == [], "a preview leaves nothing beside the output"
    late = worker.ask("preview", **job, output=str(once / "a.%04d.exr"), out=str(tmp_path / "look"))
    assert late["locked"] is True and late["tracks"] == str(once / "a.tracks.json")
    assert_is_the_frame(late, once / "a.1003.exr", Path(plate % 1003))
    (guess,), (face,) = early["faces"], late["faces"]
    assert np.abs(np.subtract(face["bbox"], guess["bbox"])).max() < 12.0
    assert abs(face["source_age"] - guess["source_age"]) < 10.0
    seen = [cv2.imread(told["path"]).astype(float) for told in (early, late)]
    assert np.abs(seen[0] - seen[1]).mean() < 2.0, "the guess is near"


def test_analyse_shows_who_is_there(worker: Talk, plate: str, tmp_path: Path) -> None:
    number = worker.send(
        "analyse", {"plate": plate, "tracks": str(tmp_path / "t.json"), "out": str(tmp_path / "o"), "model": "tiny"}
    )
    told = worker.last(number)
    (face,) = told["faces"]
    assert (tmp_path / "t.json").is_file() and face["id"] == 1 and face["frames"] == 6
    assert max(cv2.imread(face["thumbnail"]).shape) == 160
    events = {event["event"] for event in worker.of(number)}
    assert {"stage", "progress", "tracks", "done"} <= events


def assert_is_the_frame(told: Event, rendered: Path, plate: Path) -> None:
    """The pictures show what a display shows of a rendered frame and of its plate."""
    for name, path in (("path", rendered), ("before", plate)):
        pixels = np.stack([planes(path)[c] for c in "RGB"], -1).astype(np.float32)
        shown = Colour("scene_linear").display(pixels)
        picture = cv2.imread(told[name])[..., ::-1]
        assert picture.shape == shown.shape and np.abs(picture.astype(int) - shown).max() <= 1, name
    assert not np.array_equal(cv2.imread(told["path"]), cv2.imread(told["before"]))


def test_a_locked_preview_is_the_rendered_frame_at_every_setting(
    worker: Talk, shot: dict[str, str], tmp_path: Path
) -> None:
    for at, dials in enumerate(({"age": 20}, {"age": 80, "strength": 0.5}, {"age": 80, "tone": 2.0, "smooth": 0})):
        told = worker.ask("preview", **job_of(shot, tmp_path, **dials), frame=MIDDLE)
        assert told["locked"] is True
        job = job_of(shot, tmp_path / str(at), **dials, frames=f"{MIDDLE}")
        assert worker.ask("render", **job)["event"] == "done"
        told = worker.ask("preview", **job_of(shot, tmp_path, **dials), frame=MIDDLE)  # of what is remembered
        assert_is_the_frame(told, tmp_path / str(at) / f"a.{MIDDLE}.exr", Path(shot["plate"] % MIDDLE))


def test_a_preview_needs_no_output_shows_the_first_of_several_ages_and_names_faces(
    worker: Talk, shot: dict[str, str], tmp_path: Path
) -> None:
    young = worker.ask("preview", **shot, ages=[20, 80], frame=MIDDLE, out=str(tmp_path / "1"))
    same = worker.ask("preview", **shot, age=20, frame=MIDDLE, out=str(tmp_path / "2"))
    assert Path(young["path"]).read_bytes() == Path(same["path"]).read_bytes()
    (face,) = young["faces"]
    left, top, right, bottom = face["bbox"]
    assert (face["id"], face["source_age"]) == (1, 30.0) and left < 90 < right and top < 66 < bottom
    assert Path(face["thumbnail"]).is_file() and young["display"] == [0, 0, 192, 144] and young["seconds"] > 0


def test_a_plate_that_was_exchanged_is_looked_at_anew(worker: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "p", FRAMES)
    job = {**shot, "plate": plate, "age": 50, "frame": MIDDLE, "out": str(tmp_path)}
    worker.ask("preview", **job)
    Path(plate % MIDDLE).write_bytes(Path(plate % (MIDDLE + 4)).read_bytes())
    told = worker.ask("preview", **job)
    pixels = np.stack([planes(Path(plate % MIDDLE))[c] for c in "RGB"], -1).astype(np.float32)
    shown = Colour("scene_linear").display(pixels)
    assert np.abs(cv2.imread(told["before"])[..., ::-1].astype(int) - shown).max() <= 1


def test_a_wide_squeezed_plate_is_shown_small_with_square_pixels(worker: Talk, tmp_path: Path) -> None:
    picture = np.full((90, 1400, 3), 0.18, np.float32)
    command.write_frame(tmp_path / "w.1001.exr", picture, pixel_aspect=2.0)
    told = worker.ask("preview", plate=str(tmp_path / "w.%04d.exr"), age=50, frame=1001, model="tiny")
    assert told["size"] == [1920, 62] and told["state"] == "no-face" and told["faces"] == []
    assert cv2.imread(told["path"]).shape == (62, 1920, 3)
    assert np.array_equal(cv2.imread(told["path"]), cv2.imread(told["before"]))


def test_faces_shows_who_is_in_a_tracks_file(worker: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    told = worker.ask("faces", **shot, out=str(tmp_path))
    assert [face["id"] for face in told["faces"]] == [1] and Path(told["faces"][0]["thumbnail"]).parent == tmp_path


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "number", "word"),
    [
        (b"this is not JSON", None, "JSON"),
        (b"\xff\xfe{}", None, "JSON"),
        (b"[" * 100_000, None, "JSON"),
        (b"[1, 2]", None, "object"),
        (b'{"method": "run", "params": {}}', None, "id"),
        (b'{"id": true, "method": "run"}', None, "id"),
        (b'{"id": "7", "method": "run"}', None, "id"),
        (b'{"id": 71}', 71, "method"),
        (b'{"id": 72, "method": "fly"}', 72, "'fly'"),
        (b'{"id": 73, "method": ["run"]}', 73, "method"),
        (b'{"id": 74, "method": "run", "params": [1]}', 74, "params"),
        (b'{"id": 75, "method": "run", "params": {"plate": "p"}}', 75, "output"),
        (b'{"id": 76, "method": "preview", "params": {"plate": "p.%04d.exr", "age": 30}}', 76, "frame"),
        (b'{"id": 77, "method": "preview", "params": {"plate": "p.%04d.exr", "frame": 1}}', 77, "age"),
        (b'{"id": 78, "method": "preview", "params": {"plate": "p.exr", "frame": 1, "age": 3, "out": 4}}', 78, "out"),
        (b'{"id": 79, "method": "render", "params": {"plate": "p", "output": "o.%d.exr", "age": 9}}', 79, "tracks"),
        (b'{"id": 80, "method": "run", "params": {"plate": "p", "strenght": 1}}', 80, "output"),
    ],
)
def test_a_bad_request_is_told_in_one_line_and_the_worker_lives_on(
    worker: Talk, line: bytes, number: int | None, word: str
) -> None:
    worker.write(line + b"\n")
    told = worker.next()
    assert (told["event"], told["id"], told["code"]) == ("error", number, 2)
    assert word in told["message"] and "\n" not in told["message"] and len(told["message"]) < 300
    assert worker.ask("cancel")["event"] == "done"


def test_a_line_without_end_is_not_kept_and_what_follows_is_heard(worker: Talk) -> None:
    worker.write(b'{"id": 99, "method": "run", "params": {"plate": "')
    for _ in range(3):
        worker.write(b"x" * LONGEST)
    worker.write(b'"}}\n')
    told = worker.next()
    assert (told["event"], told["id"], told["code"]) == ("error", None, 2) and "bytes" in told["message"]
    assert worker.ask("cancel")["event"] == "done"


def test_errors_have_the_codes_of_the_command_line(worker: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "a.1001.exr").write_bytes(b"somebody's")
    job = job_of(shot, tmp_path)
    for code, wrong in (
        (2, {"strength": 9}),
        (2, {"colorspace": "none such"}),
        (3, {"plate": str(tmp_path / "none.%04d.exr")}),
        (3, {"frames": "2000"}),
        (4, {"model": "none such"}),
        (5, {"device": "cuda:77"}),
        (6, {}),
    ):
        told = worker.ask("render", **{**job, **wrong})
        assert (told["event"], told["code"]) == ("error", code) and told["message"], wrong
    assert worker.ask("preview", **job, frame=7)["code"] == 3
    assert (tmp_path / "a.1001.exr").read_bytes() == b"somebody's"


@pytest.mark.parametrize("own", [(talk.buggy,)], indirect=True)
def test_a_bug_is_told_by_name_and_traced_in_the_log(own: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    told = own.ask("render", **job_of(shot, tmp_path))
    assert (told["event"], told["code"]) == ("error", 1)
    assert "ZeroDivisionError: a bug" in told["message"] and "log" in told["message"]
    assert "Traceback" in own.err
    assert own.ask("faces", **shot)["event"] == "done"


@pytest.mark.parametrize("own", [(talk.noisy,)], indirect=True)
def test_what_libraries_print_goes_to_standard_error(own: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    assert own.ask("render", **job_of(shot, tmp_path, frames="1001-1002"))["event"] == "done"
    own.hang_up()
    assert own.end() == 0  # and every line was JSON, or it could not have been read
    for noise in ("noise of Python", "noise of C", "noise of a child"):
        assert noise in own.err


# ---- the end of a request --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own", [(talk.slow, 0.1)], indirect=True)
def test_a_cancelled_shot_ends_between_frames_and_the_next_goes_on_from_there(
    own: Talk, shot: dict[str, str], tmp_path: Path
) -> None:
    number = begin(own, shot, tmp_path)
    waiting = own.send("render", job_of(shot, tmp_path / "never"))
    own.send("cancel", {"id": waiting})
    assert own.last(waiting)["event"] == "cancelled"
    asked = own.send("cancel", {"id": number})
    assert own.last(number) == {"event": "cancelled", "id": number}
    assert own.last(asked) == {"event": "done", "id": asked, "cancelled": number}
    made = contents(tmp_path)
    assert 0 < len(made) < 8 and strays(tmp_path) == [] and not (tmp_path / "never").exists()
    done = own.ask("render", **job_of(shot, tmp_path))
    assert done["states"] == {"aged": 8 - len(made), "skipped": len(made)}
    assert sum(event["event"] in talk.LAST for event in own.of(number)) == 1
    assert sum(event["event"] in talk.LAST for event in own.of(waiting)) == 1
    assert own.ask("cancel", id=number)["event"] == "done"  # long gone: nothing to do


@pytest.mark.parametrize("own", [(talk.slow, 0.1)], indirect=True)
def test_cancel_needs_no_target_or_takes_the_id_of_a_request_and_shutdown_is_answered_last(
    own: Talk, shot: dict[str, str], tmp_path: Path
) -> None:
    number = begin(own, shot, tmp_path / "1")
    own.write(b'{"method": "cancel"}\n')
    assert own.last(number)["event"] == "cancelled"
    again = begin(own, shot, tmp_path / "2")
    own.send("cancel", id=again)
    assert own.last(again)["event"] == "cancelled"
    third = begin(own, shot, tmp_path / "3")
    asked = own.send("shutdown")
    assert own.end() == 0
    assert own.said[-1] == {"event": "done", "id": asked}
    for folder, request in (("1", number), ("2", again), ("3", third)):
        ends = [event["event"] for event in own.of(request) if event["event"] in talk.LAST]
        assert ends == ["cancelled"] and len(frames_in(tmp_path / folder)) < 8


@pytest.mark.parametrize("own", [(talk.slow, 60.0)], indirect=True)
def test_a_request_that_says_nothing_for_long_is_cancelled_where_it_is(
    own: Talk, shot: dict[str, str], tmp_path: Path
) -> None:
    number = own.send("preview", {**shot, "age": 70, "frame": MIDDLE, "smooth": 0})
    own.send("faces", shot)
    time.sleep(0.5)
    started = time.monotonic()
    own.send("cancel", {"id": number})
    assert own.last(number)["event"] == "cancelled" and time.monotonic() - started < 8.0
    assert own.until("done", number + 1)["faces"]


@pytest.mark.parametrize("own", [(talk.slow, 0.1)], indirect=True)
def test_the_end_of_its_input_ends_the_worker_politely(own: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    told = own.ask("preview", **shot, age=50, frame=MIDDLE)
    folder = Path(told["path"]).parent
    assert folder.is_dir() and folder.parent == Path(tempfile.gettempdir())
    number = begin(own, shot, tmp_path)
    waiting = own.send("render", job_of(shot, tmp_path / "never"))
    own.hang_up()
    assert own.end() == 0
    ends = [(event["event"], event["id"]) for event in own.said if event["event"] in talk.LAST]
    assert sorted(ends[1:]) == [("cancelled", number), ("cancelled", waiting)]
    assert strays(tmp_path) == [] and len(frames_in(tmp_path)) < 8 and not folder.exists()
    assert "Traceback" not in own.err


@pytest.mark.parametrize("own", [(talk.slow, 0.1)], indirect=True)
@pytest.mark.parametrize(
    ("number", "code", "word"), [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_ends_the_worker_with_its_code(
    own: Talk, number: int, code: int, word: str, shot: dict[str, str], tmp_path: Path
) -> None:
    request = begin(own, shot, tmp_path)
    os.kill(own.pid, number)
    assert own.end() == code
    assert own.said[-1] == {"event": "cancelled", "id": request}
    assert own.err.splitlines()[-1].startswith(f"reage: {word}") and strays(tmp_path) == []


def test_an_id_that_is_in_use_is_refused(worker: Talk, shot: dict[str, str], tmp_path: Path) -> None:
    number = worker.send("render", job_of(shot, tmp_path))
    worker.send("faces", shot, id=number)
    told = worker.until("error")
    assert told["id"] is None and f"id {number}" in told["message"]
    assert worker.last(number)["event"] == "done"


def test_what_a_killed_worker_left_in_the_temporary_folder_is_removed(store: str, shot: dict[str, str]) -> None:
    first = Talk(REAGE_MODELS=store)
    folder = Path(first.ask("preview", **shot, age=50, frame=MIDDLE)["path"]).parent
    first._process.kill()
    first.end()
    assert folder.is_dir()
    first.close()
    second = Talk(REAGE_MODELS=store)
    second.close()
    assert not folder.exists()


# ---- models ----------------------------------------------------------------------------------------------------------


def test_the_model_that_was_loaded_last_stays_and_no_other(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGE_MODELS", store)
    first = load_ager("tiny", "cpu")
    assert load_ager("tiny", "cpu") is first and load_ager("tiny", "auto") is not first
    assert len(reage.agers._kept) == 1
    load_ager("reage-1", "cpu")
    assert next(iter(reage.agers._kept))[0] == "reage-1" and load_ager("tiny", "cpu") is not first


def test_a_model_that_had_to_leave_its_gpu_gets_another_try(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGE_MODELS", store)
    first = load_ager("tiny", "cpu")
    monkeypatch.setattr(reage.agers, "has_moved", lambda ager: ager is first)
    assert load_ager("tiny", "cpu") is not first


def test_an_ager_knows_that_it_left_its_gpu() -> None:
    def make(device: torch.device, dtype: torch.dtype) -> Any:
        if device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return SmallAger()

    assert has_moved(frugal(make, torch.device("cuda"), torch.float16, may_leave=True))
    assert not has_moved(frugal(lambda *_: SmallAger(), torch.device("cuda"), torch.float16, may_leave=True))
