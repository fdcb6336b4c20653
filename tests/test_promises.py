"""What the engine promises about disks, windows, numbers and hostile files; docs/reliability.md names the tests."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import command
import numpy as np
import OpenEXR
import pytest
import rig
from people import write_windows
from rig import FIRST, face_at, write_plate, write_tracks

from reage.errors import OutputError, RequestError
from reage.images import read_picture, verify_picture
from reage.job import Job
from reage.pipeline import render, run
from reage.records import Window

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits and mounts")

FRAMES = range(FIRST, FIRST + 6)


@pytest.fixture(autouse=True)
def _small_ager(monkeypatch: pytest.MonkeyPatch) -> None:
    rig.use_small_ager(monkeypatch)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shot")
    return {
        "plate": write_plate(folder / "plate", FRAMES),
        "tracks": str(write_tracks(folder / "tracks.json", FRAMES)),
    }


def go(output: Path, shot: dict[str, str], **options: Any) -> list[dict[str, Any]]:
    return list(render(Job.make(**{"age": 70, **shot, "output": str(output), **options})))


def planes(path: Path) -> dict[str, np.ndarray]:
    return {name: plane for part in read_picture(path).parts for name, plane in part.channels.items()}


def bits(planes: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: plane.tobytes() for name, plane in planes.items()}


def test_the_page_of_promises_names_tests_that_exist() -> None:
    here = Path(__file__).parent
    page = (here.parent / "docs" / "reliability.md").read_text(encoding="utf-8")
    named = [
        (module, name.strip(" …"))
        for row in re.findall(r"^\|.*\| (`test_[^|]*) \|$", page, re.MULTILINE)
        for module, names in re.findall(r"`(test_\w+)`(?:: ([^`·]*))?", row)
        for name in re.sub(r"\([^)]*\)", "", names).split(",")
    ]
    assert len(named) > 50
    for module, name in named:
        assert re.search(rf"^def test_{name}", (here / f"{module}.py").read_text(), re.MULTILINE), (module, name)


# ---- the disk --------------------------------------------------------------------------------------------------------


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[Path]:
    """A mount of our own; skipped by name where that is not allowed."""
    folder.mkdir()
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"needs the right to mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: a disk that is full for everybody, root included."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def full(out: Path, shot: dict[str, str]) -> list[int]:
    """Render on a full disk: one error at once, nothing cut off; answers the frames that were made."""
    before = {path: path.read_bytes() for path in Path(shot["plate"]).parent.iterdir()}
    events: list[dict[str, Any]] = []
    with pytest.raises(OutputError) as refused:
        for event in render(Job.make(age=70, output=str(out / "a.%04d.exr"), on_error="skip", **shot)):
            events.append(event)
    assert refused.value.exit_code == 6 and "\n" not in str(refused.value)
    assert str(out / "a.") in str(refused.value) and "MB free" in str(refused.value)
    assert not [event for event in events if event.get("state") == "failed"]  # --on-error is for frames, not for disks
    assert {path: path.read_bytes() for path in Path(shot["plate"]).parent.iterdir()} == before
    made = sorted(path for path in out.iterdir() if path.name.endswith(".exr"))
    assert command.strays(out) == [] and all(verify_picture(path) for path in made)
    return [int(path.suffixes[0][1:]) for path in made]


def test_a_full_disk_ends_a_run_at_once_and_whole_frames_stay(shot: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "probe").mkdir()
    go(tmp_path / "probe" / "a.%04d.exr", shot, frames="1001")
    size = (tmp_path / "probe" / "a.1001.exr").stat().st_size
    room = (int(2.6 * size) + 16384) // 4096 * 4096
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={room}", "tmpfs") as disk:
        made = full(disk, shot)
        assert made in ([1001], [1002], [1001, 1002])  # two are written side by side
        (disk / "a.manifest.jsonl").unlink(missing_ok=True)
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        events = go(disk / "a.%04d.exr", shot)
        states = {event["frame"]: event["state"] for event in events if event["event"] == "frame"}
        assert states == {frame: "skipped" if frame in made else "aged" for frame in FRAMES}


def test_files_that_may_not_grow_end_a_run_at_once(shot: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    attempts = []
    whole, write = Path(shot["plate"] % FIRST).stat().st_size, OpenEXR.File.write

    def counted(self: Any, name: str) -> None:
        attempts.append(name)
        write(self, name)

    with pytest.MonkeyPatch.context() as patch, largest_file(whole // 2):
        patch.setattr(OpenEXR.File, "write", counted)
        assert full(tmp_path / "out", shot) == []
    assert len(attempts) == len({Path(name).name.split(".")[2] for name in attempts}) <= 4  # none is tried again


def test_a_full_disk_ends_the_command_with_6_and_one_line(once: Path, plate: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=64k", "tmpfs") as disk:
        tracks = once / "a.tracks.json"
        done = command.reage("render", plate, "--tracks", tracks, "-o", disk / "a.%04d.exr", "--age", 70)
        assert done.code == 6 and done.last.startswith("reage: output") and "Traceback" not in done.err
        assert sum(line.startswith("reage:") for line in done.err.splitlines()) == 1
        assert command.strays(disk) == [] and command.frames_in(disk) == []


@pytest.mark.parametrize("way", ["a read-only disk", "a folder without the right to write"])
def test_a_folder_that_cannot_be_written_is_an_output_error(shot: dict[str, str], tmp_path: Path, way: str) -> None:
    if way == "a read-only disk":
        with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs") as disk:
            refused(shot, disk)
            refused(shot, disk / "not there yet")
        return
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (tmp_path / "disk").mkdir(mode=0o555)
    refused(shot, tmp_path / "disk")


def refused(shot: dict[str, str], folder: Path) -> None:
    """With exit code 6, before anything is analysed or rendered."""
    events = []
    with pytest.raises(OutputError, match=str(folder)) as error:
        for event in run(Job.make(age=70, plate=shot["plate"], output=str(folder / "a.%04d.exr"))):
            events.append(event["event"])
    assert error.value.exit_code == 6 and "\n" not in str(error.value)
    assert not {"stage", "progress", "frame"} & set(events)


def test_a_plate_on_a_read_only_disk_is_all_that_is_needed_of_it(shot: dict[str, str], tmp_path: Path) -> None:
    with mounted(tmp_path / "plate", "--bind", "-o", "ro", str(Path(shot["plate"]).parent)) as disk:
        events = go(tmp_path / "out" / "a.%04d.exr", {**shot, "plate": str(disk / Path(shot["plate"]).name)})
    assert events[-1]["states"] == {"aged": len(FRAMES)}


# ---- never the plate -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["hard links", "a linked folder", "another case", "another token"])
def test_no_spelling_of_the_output_reaches_the_plate(tmp_path: Path, way: str) -> None:
    plate, out = write_plate(tmp_path / "plate", range(FIRST, FIRST + 2)), tmp_path / "out"
    before = bits({p.name: np.frombuffer(p.read_bytes(), np.uint8) for p in (tmp_path / "plate").iterdir()})
    name = "plate.%04d.exr"
    if way == "hard links":
        out.mkdir()
        for path in (tmp_path / "plate").iterdir():
            os.link(path, out / path.name)
    elif way == "a linked folder":
        out.symlink_to(tmp_path / "plate")
    elif way == "another case":  # one file on the disks of two of three artists
        out, name = tmp_path / "plate", "Plate.%04d.EXR"
    else:
        out, name = tmp_path / "plate", "plate.@@@@.exr"
    shot = {"plate": plate, "tracks": str(write_tracks(tmp_path / "t.json", FRAMES))}
    with pytest.raises(OutputError, match="is the input"):
        go(out / name, shot, overwrite=True)
    after = {p.name: np.frombuffer(p.read_bytes(), np.uint8) for p in (tmp_path / "plate").iterdir()}
    assert bits(after) == before


def test_the_hold_out_matte_is_an_input_too(shot: dict[str, str], tmp_path: Path) -> None:
    matte = tmp_path / "m.1001.exr"
    matte.write_bytes(Path(shot["plate"] % FIRST).read_bytes())
    before = matte.read_bytes()
    with pytest.raises(OutputError, match="is the input"):
        go(tmp_path / "m.%04d.exr", shot, frames="1001", holdout=f"{tmp_path}/m.####.exr:R", overwrite=True)
    assert matte.read_bytes() == before


def test_a_stray_padding_is_another_sequence(shot: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "plate"
    plate = write_plate(folder, range(FIRST, FIRST + 2))
    (folder / "plate.1.exr").write_bytes(b"no picture")
    events = go(tmp_path / "a.%04d.exr", {**shot, "plate": plate})
    assert events[-1]["states"] == {"aged": 2}
    with pytest.raises(RequestError, match="2 sequences"):
        go(tmp_path / "b.%04d.exr", {**shot, "plate": str(folder)})


# ---- windows ---------------------------------------------------------------------------------------------------------

# Display windows that OpenEXR's own test pictures (DisplayWindow/t01 to t16) put around a data window of (0, 0, 400,
# 300), here at half the size, with t08's data window; x, y, width, height and pixel aspect.
DISPLAYS = {
    "equal": (0, 0, 200, 150, 1.0),
    "shifted by 1": (1, 1, 200, 150, 1.0),
    "data beyond left and top": (15, 10, 185, 140, 1.0),
    "data beyond right and bottom": (0, 0, 185, 140, 1.0),
    "data beyond all sides": (15, 10, 170, 130, 1.0),
    "display larger by 1": (-1, -1, 202, 152, 1.0),
    "display from negative": (-20, -20, 241, 186, 1.0),
    "data inside": (-15, -20, 251, 201, 1.0),
    "data right of it": (-100, 0, 100, 150, 1.0),
    "data left of it": (200, 0, 100, 150, 1.0),
    "data above it": (0, 150, 200, 100, 1.0),
    "data below it": (0, -50, 200, 50, 1.0),
    "1 pixel at the corner": (199, 149, 51, 51, 1.0),
    "1 pixel at the other corner": (-50, -50, 51, 51, 1.0),
    "wide pixels": (-20, -20, 241, 186, 1.5),
    "narrow pixels": (-20, -20, 241, 186, 0.6667),
}


@pytest.mark.parametrize("case", DISPLAYS)
def test_any_two_windows_are_kept_and_the_face_is_aged_in_the_data_window(tmp_path: Path, case: str) -> None:
    *display, aspect = DISPLAYS[case]
    plate = tmp_path / "p.1001.exr"
    write_windows(plate, rig.texture(FIRST, 150, 200), (0, 0), tuple(display), aspect)
    shot = {"plate": str(plate), "tracks": str(write_tracks(tmp_path / "t.json", [FIRST]))}
    go(tmp_path / "a.%04d.exr", shot, layers=True)
    old, new = read_picture(plate).parts[0], read_picture(tmp_path / "a.1001.exr").parts[0]
    assert (new.data_window, new.display_window, new.pixel_aspect) == (
        Window(0, 0, 200, 150),
        Window(*display),
        old.pixel_aspect,
    )
    shown = new.channels["reage_matte.A"] > 0
    changed = np.any([new.channels[c] != old.channels[c] for c in "RGB"], 0)
    assert changed.mean() > 0.1 and not changed[~shown].any()
    go(tmp_path / "b.%04d.png", shot)
    flat = read_picture(tmp_path / "b.1001.png").parts[0]
    assert flat.display_window == Window(0, 0, display[2], display[3])
    if case.startswith("data") and case.endswith("of it"):
        assert not any(plane.any() for plane in flat.channels.values())


def test_a_face_at_negative_pixels_is_found_in_its_data_window(tmp_path: Path) -> None:
    pixels = rig.texture(FIRST, 150, 200)
    away = rig.Person(id=1, source_age=30, crop=128, frames={FIRST: moved(face_at(FIRST), -300.0, -170.0)})
    for name, at, people in (("here", (0, 0), None), ("there", (-300, -170), {1: away.frames})):
        write_windows(tmp_path / name / "p.1001.exr", pixels, at, (0, 0, 192, 144))
        tracks = write_tracks(tmp_path / name / "t.json", [FIRST], people)
        shot = {"plate": str(tmp_path / name / "p.1001.exr"), "tracks": str(tracks)}
        go(tmp_path / name / "a.%04d.exr", shot, layers=True)
    here, there = (planes(tmp_path / name / "a.1001.exr") for name in ("here", "there"))
    assert here["reage_matte.A"].max() > 0.9
    assert all(np.allclose(here[name], there[name], atol=2e-3) for name in here)


def moved(face: Any, x: float, y: float) -> Any:
    shift = lambda points: [(a + x, b + y) for a, b in points]  # noqa: E731
    return face.model_copy(update={"quad": shift(face.quad), "landmarks": shift(face.landmarks)})


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_values_beyond_half_are_held_and_counted(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate", range(FIRST, FIRST + 1))
    file = OpenEXR.File(plate % FIRST, separate_channels=True)
    for name, channel in file.channels().items():
        channel.pixels[50:90, 60:120] = 65504.0 if name != "B" else -65504.0
    file.write(plate % FIRST)
    shot = {"plate": plate, "tracks": str(write_tracks(tmp_path / "t.json", [FIRST]))}
    events = go(tmp_path / "a.%04d.exr", shot, strength=2.0)
    new = planes(tmp_path / "a.1001.exr")
    assert all(np.isfinite(new[c]).all() for c in "RGB")
    (told,) = [event["message"] for event in events if "half" in event.get("message", "")]
    held = sum(int((np.abs(new[c][50:90, 60:120]) == 65504).sum()) for c in "RGB")
    assert 0 < int(told.split()[0]) <= held and told.endswith("in frames 1001")
    assert not [e for e in go(tmp_path / "b.%04d.exr", shot, strength=0.0) if "half" in e.get("message", "")]
