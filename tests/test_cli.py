"""The command line as people and farms meet it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import command
import numpy as np
import pytest
import yaml
from command import FIRST, Done, booked, contents, planes, reage, start, strays, write_frame, write_plate

from reage.job import Job
from reage.tracks import load_tracks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork")

Undisturbed = tuple[Path, "subprocess.CompletedProcess[str]"]


def refused(done: Done, code: int, *words: str) -> None:
    """The exit code, and a last line that says what, where and what to do, without a traceback."""
    assert done.code == code, done.err
    assert done.last.startswith("reage: ") and "Traceback" not in done.err, done.err
    for word in words:
        assert word in done.last


def tracks_of(once: Path) -> Path:
    return once / "a.tracks.json"


# ---- what a good run says and leaves ---------------------------------------------------------------------------------


def test_progress_as_json_is_json_alone_and_ends_in_done(first_run: Undisturbed) -> None:
    folder, done = first_run
    assert done.returncode == 0 and done.stderr == ""
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["event"] == "done" and events[-1]["states"] == {"aged": 6}
    frames = [event for event in events if event["event"] == "frame"]
    assert [event["frame"] for event in frames] == list(range(FIRST, FIRST + 6))
    assert all(Path(event["path"]).is_file() and event["state"] == "aged" for event in frames)
    progress = [event for event in events if event["event"] == "progress" and event["stage"] == "render"]
    assert [(event["done"], event["total"]) for event in progress] == [(n, 6) for n in range(1, 7)]
    there = {f"a.{frame}.exr" for frame in range(FIRST, FIRST + 6)} | {"a.manifest.jsonl", "a.tracks.json"}
    assert {path.name for path in folder.iterdir()} == there


def test_the_face_was_changed_and_nothing_else(first_run: Undisturbed, plate: str) -> None:
    new, old = planes(first_run[0] / f"a.{FIRST}.exr"), planes(Path(plate % FIRST))
    changed = np.any([new[c] != old[c] for c in "RGB"], 0)
    assert 0.05 < changed.mean() < 0.6 and not changed[:, :40].any()
    assert np.abs(new["G"].astype(float) - old["G"])[changed].mean() > 0.003


def test_the_same_run_again_skips_everything(once: Path, plate: str) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in once.iterdir()}
    done = reage("run", plate, "-o", once / "a.%04d.exr", "--age", 70, "--progress", "json", "--on-error", "skip")
    assert done.code == 0 and set(done.states().values()) == {"skipped"}
    assert next(e for e in done.events if e.get("name") == "analyse")["skipped"] is True
    assert {path.name: path.stat().st_mtime_ns for path in once.iterdir()} == before


def test_analyse_and_render_in_pieces_make_what_run_makes(once: Path, plate: str, tmp_path: Path) -> None:
    tracks = tmp_path / "t.json"
    assert reage("analyse", plate, "--tracks", tracks).code == 0
    assert tracks.read_bytes() == tracks_of(once).read_bytes()
    words = ("render", plate, "--tracks", tracks, "-o", tmp_path / "a.%04d.exr", "--age", 70)
    pieces = [start(*words, "--frames", frames) for frames in ("1005-1006", "1001-1003x2")]
    assert [piece.end().code for piece in pieces] == [0, 0]
    assert reage(*words, "--frames", "1002,1004").code == 0
    assert contents(tmp_path) == contents(once) and booked(tmp_path) == booked(once)


def test_a_job_file_does_what_options_do_and_options_beside_it_win(once: Path, plate: str, tmp_path: Path) -> None:
    job = {"version": 1, "plate": os.path.relpath(plate, tmp_path), "output": "out/a.%04d.exr", "age": 30}
    job |= {"tracks": str(tracks_of(once)), "frames": "1001-1006", "progress": "plain"}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    words = ("run", "--job", tmp_path / "job.yaml", "--age", 70, "--frames", "1003", "--progress", "json")
    done = reage(*words)
    assert done.code == 0 and done.states() == {1003: "aged"}
    assert contents(tmp_path / "out").items() <= contents(once).items()


def test_job_check_prints_the_job_resolved_or_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("version: 1\nplate: p.%04d.exr\noutput: o.%04d.exr\nage: {1: 70}\n")
    done = reage("job", "check", file)
    told = yaml.safe_load(done.out)
    assert done.code == 0 and (told["on_missing"], told["strength"], told["model"]) == ("stop", 1.0, "reage-1")
    assert Job.make(**told) == Job.load(file) and told["plate"] == str(tmp_path / "p.%04d.exr")
    file.write_text("version: 1\nplate: p.%04d.exr\noutput: o.%04d.exr\nage: 70\nstrenght: 2\n")
    refused(reage("job", "check", file), 2, str(file), "strenght")


def test_a_farm_reads_progress_status_and_the_reason_of_a_failure(once: Path, plate: str, tmp_path: Path) -> None:
    words = ("render", "--tracks", tracks_of(once), "--age", 70, "--progress", "openjd", "--frames", "1001-1002")
    done = reage(*words, plate, "-o", tmp_path / "a.%04d.exr")
    lines = done.out.splitlines()
    assert done.code == 0 and "openjd_progress: 100.0" in lines and lines[-1] == "openjd_status: done"
    assert all(line.startswith(("openjd_progress: ", "openjd_status: ")) for line in lines)
    done = reage(*words, plate, "-o", plate)
    assert done.out.splitlines()[-1].startswith("openjd_fail: ")
    refused(done, 6)


def test_a_dry_run_writes_nothing_whether_or_not_there_are_tracks(once: Path, plate: str, tmp_path: Path) -> None:
    words = ("run", plate, "--age", 70, "--dry-run", "--progress", "json")
    done = reage(*words, "-o", tmp_path / "out" / "a.%04d.exr")
    assert done.code == 0 and done.events[-2]["analyse"] is True and list(tmp_path.iterdir()) == []
    shutil.copy(tracks_of(once), tmp_path)
    done = reage(*words, "-o", tmp_path / "a.%04d.exr")
    assert done.events[-2]["faces"] == {"1": 6} and done.events[-2]["frames"] == "1001-1006"
    assert [path.name for path in tmp_path.iterdir()] == ["a.tracks.json"]


# ---- what is refused, and how ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--age", "200"], ["--age", "0 to 120"]),
        (["--age", "1001:30,1001:40"], ["1001"]),
        (["--age", "70", "--agee", "3"], ["--agee"]),
        (["--age", "70", "--strength", "3"], ["strength"]),
        (["--age", "70", "--frames", "10-"], ["10-"]),
        (["--ages", "20,40"], ["{age}"]),
        (["--age", "70", "--region", "chin=2"], ["chin", "jaw"]),
        (["--age", "70", "--device", "gpu"], ["device"]),
        (["--age", "70", "--colorspace", "no such space"], ["no such space"]),
        ([], ["age"]),
    ],
)
def test_a_wrong_request_ends_with_2(plate: str, tmp_path: Path, words: list[str], said: list[str]) -> None:
    refused(reage("run", plate, "-o", tmp_path / "out" / "a.%04d.exr", *words), 2, *said)
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_cannot_be_is_a_wrong_request(once: Path, plate: str, tmp_path: Path) -> None:
    words = ("render", plate, "--age", 70, "--tracks", tracks_of(once))
    refused(reage(*words, "-o", tmp_path / "a.exr"), 2, "a.exr", "%04d")
    refused(reage(*words, "-o", tmp_path / "a.%04d.xyz"), 2, ".xyz")
    refused(reage(*words, "-o", tmp_path / "a.mov", "--frames", "1001-1004"), 2, "a.mov")
    refused(reage(*words, "-o", tmp_path / "a.%04d.png", "--layers"), 2, "EXR")
    refused(reage("render", plate, "--age", 70, "-o", tmp_path / "a.%04d.exr"), 2, "--tracks")
    refused(reage("run", plate, "--age", 70), 2, "-o OUT")
    assert list(tmp_path.iterdir()) == []


def test_a_dpx_plate_has_to_be_told_its_space(tmp_path: Path) -> None:
    import OpenImageIO as oiio

    oiio.ImageBuf(np.full((20, 30, 3), 0.4, np.float32)).write(str(tmp_path / "p.0001.dpx"), "uint16")
    done = reage("run", tmp_path / "p.%04d.dpx", "-o", tmp_path / "a.%04d.dpx", "--age", 70)
    refused(done, 2, "--colorspace")
    assert [path.name for path in tmp_path.iterdir()] == ["p.0001.dpx"]


def test_what_is_missing_ends_with_3(once: Path, plate: str, tmp_path: Path) -> None:
    out = ("-o", tmp_path / "a.%04d.exr", "--age", 70)
    refused(reage("run", tmp_path / "no.%04d.exr", *out), 3, "no.%04d.exr", "check")
    refused(reage("run", tmp_path / "nowhere", *out), 3, "nowhere")
    refused(reage("render", plate, "--tracks", tmp_path / "no.json", *out), 3, "no.json", "reage analyse")
    refused(reage("render", plate, "--tracks", tracks_of(once), *out, "--frames", "1006-1010"), 3, "1007-1010")
    refused(reage("run", plate, *out, "--frames", "1006-1010"), 3, "--on-missing skip")
    refused(reage("run", "--job", tmp_path / "no.yaml"), 3, "no.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_not_there_or_damaged_ends_with_4(plate: str, tmp_path: Path) -> None:
    words = ("run", plate, "-o", tmp_path / "out" / "a.%04d.exr", "--age", "70")
    refused(reage(*words, "--model", "reage-7", REAGE_MODELS=str(tmp_path / "store")), 4, "reage-7", "models list")
    package = command.CORE / "reage"
    shutil.copytree(package, tmp_path / "reage", ignore=shutil.ignore_patterns(".*", "__pycache__", "training"))
    weights = tmp_path / "reage" / "data" / "reage-1.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    done = command.fresh(*map(str, words), core=tmp_path)
    refused(Done(done.returncode, done.stdout, done.stderr), 4, str(weights))
    assert not (tmp_path / "out").exists()


def test_a_device_that_is_not_there_ends_with_5(plate: str, tmp_path: Path) -> None:
    done = reage("run", plate, "-o", tmp_path / "a.%04d.exr", "--age", 70, "--device", "cuda:99")
    refused(done, 5, "cuda:99")


def test_an_output_that_would_do_harm_or_cannot_be_written_ends_with_6(once: Path, plate: str, tmp_path: Path) -> None:
    words = ("render", "--age", 70, "--tracks", tracks_of(once), plate)
    before = contents(Path(plate).parent)
    refused(reage(*words, "-o", plate.replace("%04d", "####"), "--overwrite"), 6, "input")
    assert contents(Path(plate).parent) == before
    (tmp_path / "file").write_text("not a folder")
    refused(reage(*words, "-o", tmp_path / "file" / "a.%04d.exr"), 6, "file")
    refused(reage("run", plate, "--age", 70, "-o", tmp_path / "file" / "sub" / "a.%04d.exr"), 6, "file")
    refused(reage(*words, "-o", tmp_path / "a.%04d.exr", "--log", tmp_path / "file" / "log"), 6, "--log")
    shutil.copy(plate % 1004, tmp_path / "a.1004.exr")
    refused(reage("run", plate, "--age", 70, "-o", tmp_path / "a.%04d.exr"), 6, "a.1004.exr", "--overwrite")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.1004.exr", "file"]


def test_whoever_closes_standard_output_early_is_told_so(once: Path, plate: str, tmp_path: Path) -> None:
    words = ["render", plate, "--tracks", str(tracks_of(once)), "-o", str(tmp_path / "a.%04d.exr"), "--age", "70"]
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        environment = os.environ | {"PYTHONPATH": str(command.CORE), "OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "reage", *words, "--progress", "json"]
        done = subprocess.run(line, env=environment, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 6 and done.stderr.startswith("reage: standard output") and done.stderr.count("\n") == 1
    assert strays(tmp_path) == []


# ---- plates that are not as they should be ---------------------------------------------------------------------------


def with_damage(tmp_path: Path, *frames: int) -> str:
    plate = write_plate(tmp_path / "plate", 5)
    for path in (Path(plate % frame) for frame in frames):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return plate


def test_a_damaged_frame_stops_the_run_and_the_log_has_the_traceback(tmp_path: Path) -> None:
    words = ("run", with_damage(tmp_path, 1002), "-o", tmp_path / "out" / "a.%04d.exr", "--age", 70)
    done = reage(*words, "--log", tmp_path / "log", "--progress", "json")
    refused(done, 3, "1002")
    assert done.events[-1] == {"event": "error", "code": 3, "message": done.last.removeprefix("reage: ")}
    log = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert log[0] == done.events[0] and log[-1]["code"] == 3
    assert log[-1]["traceback"].startswith("Traceback") and "PlateError" in log[-1]["traceback"]
    assert list((tmp_path / "out").iterdir()) == []
    told = reage(*words, REAGE_DEBUG="1")
    assert "Traceback (most recent call last)" in told.err and told.last == done.last


def test_damaged_frames_may_be_skipped_and_the_rest_is_made(tmp_path: Path) -> None:
    words = ("run", with_damage(tmp_path, 1001, 1004), "-o", tmp_path / "out" / "a.%04d.exr", "--age", 70)
    done = reage(*words, "--on-error", "skip", "--progress", "json")
    refused(done, 1, "2 frames failed", "p.1001.exr")
    assert done.states() == {f: "failed" if f in (1001, 1004) else "aged" for f in range(FIRST, FIRST + 5)}
    assert {frame: state for frame, (state, _) in booked(tmp_path / "out").items()} == done.states()
    assert len(contents(tmp_path / "out")) == 3


def test_a_gap_in_the_frames_is_told_at_once_or_stepped_over(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate", 4)
    Path(plate % 1003).unlink()
    words = ("run", plate, "-o", tmp_path / "out" / "a.%04d.exr", "--age", 70, "--progress", "json")
    done = reage(*words)
    refused(done, 3, "1003", "--on-missing skip")
    assert [event["event"] for event in done.events] == ["error"]
    done = reage(*words, "--on-missing", "skip")
    assert done.code == 0 and done.states() == {1001: "aged", 1002: "aged", 1003: "missing", 1004: "aged"}
    assert {frame: state for frame, (state, _) in booked(tmp_path / "out").items()} == done.states()


def test_a_single_frame_with_pixels_that_are_no_numbers_is_aged_and_keeps_them(tmp_path: Path) -> None:
    picture = command.face_picture(FIRST)
    picture[90, 140], picture[120, 150, 1], picture[30, 12, 0], picture[125, 152] = np.nan, np.inf, -np.inf, 30.0
    write_frame(tmp_path / "plate" / "p.1001.exr", picture)
    done = reage("run", tmp_path / "plate" / "p.1001.exr", "-o", tmp_path / "a.%04d.exr", "--age", 70, "--layers")
    assert done.code == 0, done.err
    new, old = planes(tmp_path / "a.1001.exr"), planes(tmp_path / "plate" / "p.1001.exr")
    for name in "RGB":
        assert np.array_equal(np.isfinite(new[name]), np.isfinite(old[name]))
    assert all(np.isfinite(new[name]).all() for name in new if name.startswith("reage_"))
    assert (new["R"] != old["R"]).mean() > 0.05


def test_a_plate_without_a_face_comes_out_bit_for_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for frame in (7, 8):
        write_frame(tmp_path / "plate" / f"p.{frame}.exr", rng.uniform(-0.1, 2.0, (90, 120, 3)))
    done = reage("run", tmp_path / "plate", "-o", tmp_path / "a.####.exr", "--age", 70, "--progress", "json")
    assert done.code == 0 and done.states() == {7: "no-face", 8: "no-face"}
    assert any("no face" in event.get("message", "") for event in done.events)
    for frame in (7, 8):
        new, old = planes(tmp_path / f"a.{frame:04d}.exr"), planes(tmp_path / "plate" / f"p.{frame}.exr")
        assert new.keys() == old.keys() and all(new[c].tobytes() == old[c].tobytes() for c in old)


def test_a_face_cut_by_the_border_fades_out_before_it(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate", 1, across=-62.0)
    done = reage("run", plate, "-o", tmp_path / "a.%04d.exr", "--age", 70, "--layers")
    assert done.code == 0, done.err
    person = load_tracks(tmp_path / "a.tracks.json").persons[0]
    assert person.frames[FIRST].quad_array()[:, 0].min() < -20.0
    matte = planes(tmp_path / "a.1001.exr")["reage_matte.A"]
    assert matte[:, 0].max() < 0.01 and matte[:, 40].max() > 0.9


def test_an_anamorphic_plate_is_aged_as_its_picture_is(tmp_path: Path) -> None:
    runs = []
    for squeeze in (1.0, 2.0):
        folder = tmp_path / f"{squeeze:g}"
        write_frame(folder / "p.1001.exr", command.face_picture(FIRST, squeeze=squeeze), squeeze)
        words = ("run", folder / "p.%04d.exr", "-o", folder / "a.%04d.exr", "--age", 70, "--layers")
        runs.append(start(*words, "--exemplar", "p004", "--source-age", 35))
    assert [run.end().code for run in runs] == [0, 0]
    flat, squeezed = (load_tracks(tmp_path / name / "a.tracks.json").persons[0] for name in ("1", "2"))
    away = squeezed.frames[FIRST].landmark_array() * [2.0, 1.0] - flat.frames[FIRST].landmark_array()
    assert np.abs(away).max() < 2.0 and squeezed.crop == flat.crop  # of a face of 190 pixels
    wide, narrow = (planes(tmp_path / name / "a.1001.exr") for name in ("1", "2"))
    for name, tolerance in (("reage_delta.G", 0.2), ("reage_matte.A", 0.05)):
        halved = wide[name].reshape(command.HEIGHT, -1, 2).mean(-1)
        assert np.abs(halved - narrow[name]).mean() < tolerance * np.abs(halved).mean()


# ---- small talk ------------------------------------------------------------------------------------------------------


def test_the_doctor_tells_the_state_of_things(plate: str) -> None:
    told = reage("doctor")
    assert told.code == 0 and "torch" in told.out
    done = command.fresh("doctor", "--json")
    checks = json.loads(done.stdout)
    assert done.returncode == 0 and {check["state"] for check in checks} <= {"ok", "warn", "fail"}
    assert any("python" in check["name"].lower() for check in checks)


def test_the_version_is_told_and_the_package_loads_no_torch() -> None:
    from reage.version import __version__

    done = command.fresh("--version")
    assert done.returncode == 0 and done.stdout.split()[-1] == __version__
    code = "import sys, reage; reage.Job; print(sorted({'torch', 'cv2', 'dlib'} & set(sys.modules)))"
    environment = os.environ | {"PYTHONPATH": str(command.CORE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
