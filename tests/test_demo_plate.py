from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from numpy.typing import NDArray

from reage import demo_plate
from reage.colour import Colour
from reage.demo_plate import build_demo_plate
from reage.errors import OutputError, PlateError


@pytest.fixture(scope="module")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    assert build_demo_plate(folder) == str(folder / "demo.%04d.exr")
    return folder


def pixels(file: Path) -> NDArray[np.float32]:
    return np.asarray(OpenEXR.File(str(file)).channels()["RGB"].pixels, np.float32)


def test_there_are_36_frames_of_half_float_zip_and_nothing_else(plate: Path) -> None:
    assert sorted(file.name for file in plate.iterdir()) == [f"demo.{frame}.exr" for frame in range(1001, 1037)]
    exr = OpenEXR.File(str(plate / "demo.1001.exr"))
    assert exr.channels()["RGB"].pixels.dtype == np.float16
    assert exr.channels()["RGB"].pixels.shape == (720, 1280, 3)
    assert exr.header()["compression"] == OpenEXR.ZIP_COMPRESSION


def test_the_plate_is_scene_linear_acescg_with_lamps_above_white(plate: Path) -> None:
    file = plate / "demo.1018.exr"
    assert OpenEXR.File(str(file)).header()["colorInteropID"] == "lin_ap1_scene"
    frame = pixels(file)
    assert np.isfinite(frame).all()
    assert frame.max() > 4.0
    face = frame[300:500, 560:720].mean((0, 1))
    assert 0.1 < face.mean() < 0.5  # lit skin
    assert face[0] > face[1] > face[2]


def test_the_matrix_is_that_of_the_pinned_config() -> None:
    primaries = np.eye(3, dtype=np.float32)[None]
    back = Colour("ACEScg").code_from_plate(primaries @ np.asarray(demo_plate.AP1_FROM_709, np.float32).T, 0.0)
    assert np.abs(back.numpy()[:, 0].T - np.eye(3)).max() < 2e-4  # encoded; the six digits of the matrix


def test_the_person_moves_smoothly_and_neither_wall_nor_lamps_do(plate: Path) -> None:
    soft = [cv2.GaussianBlur(pixels(plate / f"demo.{frame}.exr"), (0, 0), 4) for frame in range(1001, 1037)]
    steps = [float(np.abs(b - a)[100:600, 400:900].mean()) for a, b in pairwise(soft)]
    assert min(steps) > 0.001
    assert max(abs(b - a) for a, b in pairwise(steps)) < 0.25 * max(steps)
    still = np.abs(soft[-1] - soft[0])[:, :160] / (soft[0][:, :160] + 0.1)
    assert still.mean() < 0.005  # grain, blurred


def test_frames_that_are_whole_are_kept_and_damaged_ones_are_drawn_again_alike(plate: Path) -> None:
    kept, torn, foreign = (plate / f"demo.{frame}.exr" for frame in (1002, 1003, 1004))
    before = {file: file.read_bytes() for file in (kept, torn, foreign)}
    times = {file: file.stat().st_mtime_ns for file in before}
    torn.write_bytes(before[torn][: len(before[torn]) // 2])
    OpenEXR.File({}, {"R": np.zeros((8, 8), np.float16)}).write(str(foreign))
    build_demo_plate(plate)
    assert kept.stat().st_mtime_ns == times[kept]
    assert {file: file.read_bytes() for file in before} == before


def test_a_missing_or_damaged_movie_is_an_error_of_the_plate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    movie = tmp_path / "person.mkv"
    monkeypatch.setattr(demo_plate, "PERSON", movie)
    with pytest.raises(PlateError, match="missing"):
        build_demo_plate(tmp_path / "out")
    movie.write_bytes(b"no movie")
    with pytest.raises(PlateError, match="cannot be decoded"):
        build_demo_plate(tmp_path / "out")


def test_a_folder_that_cannot_be_made_is_an_error_of_the_output(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot make"):
        build_demo_plate(tmp_path / "file" / "demo")


def test_the_bundled_files_are_small_and_the_still_is_an_aligned_face() -> None:
    folder = demo_plate.PERSON.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    face = cv2.imread(str(folder / "face.jpg"))
    assert face is not None
    assert face.shape == (512, 512, 3)
    blue, _, red = face[200:330, 200:310].mean((0, 1))
    assert red > blue + 30  # skin, and not with its channels swapped
