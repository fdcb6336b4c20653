from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rig
from rig import FIRST, face_at, write_plate, write_tracks

import reage.sheet
from reage.colour import Colour
from reage.errors import OutputError, PlateError, RequestError
from reage.images import read_metadata, read_picture
from reage.job import Job
from reage.pipeline import frame_in_memory, render
from reage.pipeline.outputs import as_codes
from reage.sheet import GAP, framed, labelled, laid_out, sheet

FRAMES = range(FIRST, FIRST + 5)
MIDDLE = FIRST + 2


@pytest.fixture(autouse=True)
def _small_ager(monkeypatch: pytest.MonkeyPatch) -> None:
    rig.use_small_ager(monkeypatch)


@pytest.fixture
def shot(tmp_path: Path) -> dict[str, str]:
    return {
        "plate": write_plate(tmp_path / "plate", FRAMES, half=False),
        "tracks": str(write_tracks(tmp_path / "tracks.json", FRAMES)),
    }


def job_of(shot: dict[str, str], **options: Any) -> Job:
    return Job.make(**{"ages": [20, 60], **shot, "output": "unused.{age}.%04d.exr", **options})


def pixels(path: Path) -> np.ndarray:
    return np.stack([read_picture(path).parts[0].channels[c] for c in "RGB"], -1)


def tiles_of(image: np.ndarray, count: int, height: int, width: int) -> Iterator[np.ndarray]:
    """Tiles of a sheet with one row."""
    for at in range(count):
        left = GAP + at * (width + GAP)
        yield image[GAP : GAP + height, left : left + width]


def last(events: Iterator[Any]) -> Any:
    """What a generator of events returns."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


def test_each_tile_is_the_frame_that_render_writes_at_that_age(
    shot: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reage.sheet, "LEAST", 1)  # pixel for pixel
    job = job_of(shot, smooth=2, strength=0.8)
    list(sheet(job, tmp_path / "sheet.png", MIDDLE))
    scene, rendered = last(frame_in_memory(job, MIDDLE, tmp_path / "t.json"))
    window = framed(scene, rendered)
    assert window.width < rig.WIDTH and window.height <= rig.HEIGHT
    list(render(job_of(shot, smooth=2, strength=0.8, output=str(tmp_path / "a_{age}.%04d.exr"), frames=f"{MIDDLE}")))
    names = (Path(shot["plate"] % MIDDLE), *(tmp_path / f"a_{age}.{MIDDLE}.exr" for age in (20, 60)))
    image = pixels(tmp_path / "sheet.png")
    for path, tile in zip(names, tiles_of(image, 3, window.height, window.width), strict=True):
        shown = as_codes(Colour("scene_linear").encoded(pixels(path).astype(np.float32)))
        assert np.array_equal(tile, shown[window.y : window.bottom, window.x : window.right]), path.name


def test_codes_that_a_display_shows_as_they_are_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reage.sheet, "LEAST", 1)
    codes = np.random.default_rng(1).integers(0, 256, (rig.HEIGHT, rig.WIDTH, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "p.1001.png"), codes[..., ::-1])
    shot = {"plate": str(tmp_path / "p.1001.png"), "tracks": str(write_tracks(tmp_path / "t.json", [FIRST]))}
    job = job_of(shot)
    list(sheet(job, tmp_path / "s.png"))
    scene, rendered = last(frame_in_memory(job, FIRST, tmp_path / "t.json"))
    w = framed(scene, rendered)
    plate, young, _ = tiles_of(pixels(tmp_path / "s.png"), 3, w.height, w.width)
    assert np.array_equal(plate, codes[w.y : w.bottom, w.x : w.right])
    assert not np.array_equal(young, plate)


def test_ten_tiles_stand_in_two_rows_with_bright_labels_below_and_untouched_pictures() -> None:
    tiles = [np.full((300, 280, 3), 60 + 10 * i, np.uint8) for i in range(10)]
    image = laid_out(tiles, [f"age {i}" for i in range(10)])
    assert image.shape[1] == 5 * (280 + GAP) + GAP and image.shape[0] > 2 * 300
    strip = (image.shape[0] - GAP) // 2 - 300 - GAP
    for i in range(10):
        x, y = GAP + i % 5 * (280 + GAP), GAP + i // 5 * (300 + strip + GAP)
        assert (image[y : y + 300, x : x + 280] == 60 + 10 * i).all()
        label = image[y + 300 : y + 300 + strip, x : x + 280]
        assert label.max() > 200 and np.median(label) < 40


def test_a_label_fits_its_tile_however_narrow_it_is() -> None:
    image = laid_out([np.zeros((300, 90, 3), np.uint8)] * 2, ["plate, ages 31, 44, 27, 63", "age 110 (as 90)"])
    lit = np.flatnonzero((image[306 + GAP :] > 120).any((0, 2)))
    assert lit.min() >= GAP and lit.max() < GAP + 90 + GAP + 90
    assert not set(lit) & set(range(GAP + 90, GAP + 90 + GAP))


def test_labels_tell_the_ages_in_the_plate_from_left_to_right_and_where_the_model_ends(
    shot: dict[str, str], tmp_path: Path
) -> None:
    right = face_at(MIDDLE, 0.3)
    move = [(x - 60.0, y) for x, y in right.quad], [(x - 60.0, y) for x, y in right.landmarks]
    left = right.model_copy(update={"quad": move[0], "landmarks": move[1]})
    tracks = write_tracks(tmp_path / "two.json", [MIDDLE], {1: {MIDDLE: right}, 2: {MIDDLE: left}})
    tracks.write_text(tracks.read_text().replace('"id":2,"source_age":30.0', '"id":2,"source_age":41.6'))
    job = job_of({**shot, "tracks": str(tracks)}, ages=[5, 50])
    scene, _ = last(frame_in_memory(job, MIDDLE, tmp_path / "t.json"))
    assert reage.sheet._labels(scene, MIDDLE) == ["plate, ages 42, 30", "age 5 (as 10)", "age 50"]


def test_a_frame_without_a_face_is_shown_whole_and_said_to_be(shot: dict[str, str], tmp_path: Path) -> None:
    tracks = write_tracks(tmp_path / "none.json", [FIRST])
    events = list(sheet(job_of({**shot, "tracks": str(tracks)}), tmp_path / "s.jpg", MIDDLE))
    assert any("nobody" in event.get("message", "") for event in events)
    scale = -(-reage.sheet.LEAST // rig.HEIGHT)
    assert pixels(tmp_path / "s.jpg").shape[1] == 3 * (rig.WIDTH * scale + GAP) + GAP


def test_the_analysis_is_kept_beside_the_sheet_and_used_again(shot: dict[str, str], tmp_path: Path) -> None:
    plate = {"plate": shot["plate"]}
    list(sheet(job_of(plate), tmp_path / "new" / "s.png"))
    assert (tmp_path / "new" / "s.tracks.json").exists()
    events = list(sheet(job_of(plate, ages=[70]), tmp_path / "new" / "s.png"))
    assert any(event.get("name") == "analyse" and event.get("skipped") for event in events)
    assert read_metadata(tmp_path / "new" / "s.png")["reage/age"] == "70"


def test_a_sheet_is_png_or_jpeg(shot: dict[str, str], tmp_path: Path) -> None:
    for name in ("s.exr", "s.tif", "s"):
        with pytest.raises(RequestError, match="png"):
            list(sheet(job_of(shot), tmp_path / name))


def test_a_sheet_harms_neither_plate_nor_foreign_file(shot: dict[str, str], tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((rig.HEIGHT, rig.WIDTH, 3), np.uint8))
    before = (tmp_path / "p.png").read_bytes()
    with pytest.raises(OutputError, match="input"):
        list(sheet(job_of({"plate": str(tmp_path / "p.png")}, overwrite=True), tmp_path / "plate" / ".." / "p.png"))
    with pytest.raises(OutputError, match="not made by reage"):
        list(sheet(job_of(shot), tmp_path / "p.png"))
    assert (tmp_path / "p.png").read_bytes() == before
    list(sheet(job_of(shot, overwrite=True), tmp_path / "p.png"))
    assert read_metadata(tmp_path / "p.png")["reage/model"] == "small"


def test_a_frame_that_is_not_there_is_named(shot: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="no frame 7"):
        list(sheet(job_of(shot), tmp_path / "s.png", 7))


@pytest.mark.parametrize("level", [0, 255])
def test_a_label_is_read_on_any_picture_and_leaves_the_rest_of_it_alone(level: int) -> None:
    picture = np.full((200, 300, 3), level, np.uint8)
    shown = labelled(picture, "70", 1.0)
    assert (picture == level).all() and (shown[100:] == level).all() and (shown[:, 150:] == level).all()
    corner = shown[:40, :60].astype(int)
    assert corner.max() - corner.min() > 120
