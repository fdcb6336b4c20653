"""Plates are opened by name, whatever they are, and outputs are planned by name."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reage import exr, images
from reage.errors import PlateError, RequestError
from reage.movies import MovieWriter
from reage.plate import Plate, open_output, open_plate
from reage.records import Part, Picture, Window

WINDOW = Window(0, 0, 8, 6)


def save(path: Path, level: float = 0.5) -> Path:
    planes = {name: np.full((6, 8), level, np.float16) for name in "RGB"}
    images.write_picture(
        path, Picture("exr", (Part(planes, WINDOW, WINDOW, 1.0, exr.new_header(WINDOW, WINDOW, 1.0)),))
    )
    return path


def sequence(folder: Path, *frames: int) -> str:
    for frame in frames:
        save(folder / f"pl.{frame:04d}.exr", frame / 2048)
    return str(folder / "pl.%04d.exr")


def movie(path: Path, count: int = 5) -> Path:
    writer = MovieWriter(path, Fraction(25), 64, 48)
    for at in range(count):
        writer.write(np.full((48, 64, 3), at / count, np.float32))
    return writer.close()


@pytest.mark.parametrize("token", ["%04d", "####", "@@@@", "$F4"])
def test_a_pattern_is_a_plate_with_gaps(tmp_path: Path, token: str) -> None:
    sequence(tmp_path, 1001, 1002, 1005)
    text = str(tmp_path / f"pl.{token}.exr")
    plate = open_plate(text)
    assert (plate.name, plate.frames, plate.missing, plate.format) == (text, [1001, 1002, 1005], [1003, 1004], "exr")
    assert (plate.is_movie, plate.fps) == (False, None)
    assert plate.path(1003) == tmp_path / "pl.1003.exr"
    assert plate.read(1002).parts[0].channels["G"][0, 0] == np.float16(1002 / 2048)


def test_a_folder_with_one_sequence_is_a_plate(tmp_path: Path) -> None:
    sequence(tmp_path, 1, 2)
    assert open_plate(str(tmp_path)).frames == [1, 2]


def test_a_single_image_has_the_number_in_its_name_or_the_first(tmp_path: Path) -> None:
    assert open_plate(str(save(tmp_path / "a.1001.exr"))).frames == [1001]
    still = open_plate(str(save(tmp_path / "sh010_v2.exr")), first_frame=7)
    assert still.frames == [7]
    assert still.read(7).format == "exr"
    with pytest.raises(PlateError, match="no frame 8"):
        still.read(8)


@pytest.mark.parametrize("name", ["a b.exr", "it's.exr", "$(id);x.exr", "-rf.exr", "new\nline.exr", "me@home#1.exr"])
def test_a_file_that_is_there_is_opened_whatever_its_name_looks_like(tmp_path: Path, name: str) -> None:
    plate = open_plate(str(save(tmp_path / name)))
    assert plate.read(1).format == "exr"


def test_a_movie_is_a_plate_numbered_from_the_first_frame(tmp_path: Path) -> None:
    plate = open_plate(str(movie(tmp_path / "a.mp4")), first_frame=1001)
    assert (plate.frames, plate.fps, plate.is_movie, plate.format) == ([*range(1001, 1006)], 25, True, "movie")
    assert plate.path(1003) == tmp_path / "a.mp4"
    assert int(plate.read(1005).parts[0].channels["R"][20, 20]) == pytest.approx(204, abs=2)
    with pytest.raises(PlateError, match="no frame 1006"):
        plate.read(1006)
    plate.close()


@pytest.mark.parametrize(
    "name", ["no.%04d.exr", "no.exr", "nowhere/a.%04d.exr", "no.mov", "notes.txt", "empty", "x" * 300]
)
def test_what_is_missing_or_of_no_known_format_is_a_plate_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PlateError) as refused:
        open_plate(str(tmp_path / name))
    assert refused.value.exit_code == 3


@pytest.mark.parametrize("name", ["a.%04d.####.exr", "nul\0.exr"])
def test_an_ambiguous_name_is_a_wrong_request(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError):
        open_plate(str(tmp_path / name))


def test_a_frame_that_is_missing_or_damaged_is_named_with_its_file(tmp_path: Path) -> None:
    plate = open_plate(sequence(tmp_path, 1, 3))
    data = plate.path(3).read_bytes()
    plate.path(3).write_bytes(data[: len(data) // 2])
    for frame in (2, 3):
        with pytest.raises(PlateError, match=rf"frame {frame}: .*pl\.000{frame}\.exr"):
            plate.read(frame)


def test_a_movie_that_is_no_movie_is_a_plate_error(tmp_path: Path) -> None:
    (tmp_path / "a.mov").write_bytes(b"hello")
    with pytest.raises(PlateError, match=r"a\.mov"):
        open_plate(str(tmp_path / "a.mov"))


def test_a_digest_changes_with_the_content_alone(tmp_path: Path) -> None:
    plate = open_plate(sequence(tmp_path, 1, 2))
    first = plate.digest(1)
    assert len(first) == 64
    assert plate.digest(2) != first
    os.utime(plate.path(1), (1, 1))
    assert plate.digest(1) == first
    save(plate.path(1), 0.75)
    assert plate.digest(1) != first
    with pytest.raises(PlateError, match="frame 9"):
        plate.digest(9)


def test_a_digest_of_a_movie_is_of_the_file_and_the_frame(tmp_path: Path) -> None:
    plate = open_plate(str(movie(tmp_path / "a.mp4")))
    assert plate.digest(1) != plate.digest(2)
    assert plate.digest(1).partition(":")[0] == plate.digest(2).partition(":")[0]


def test_the_view_that_was_asked_for_is_found_in_each_frame(tmp_path: Path) -> None:
    planes = {f"{layer}{name}": np.zeros((6, 8), np.float16) for layer in ("", "left.") for name in "RGB"}
    header = exr.new_header(WINDOW, WINDOW, 1.0)
    header["multiView"] = exr.Attribute("stringvector", b"\5\0\0\0right\4\0\0\0left")
    images.write_picture(tmp_path / "a.1.exr", Picture("exr", (Part(planes, WINDOW, WINDOW, 1.0, header),)))
    plate = open_plate(str(tmp_path / "a.1.exr"), view="left")
    assert plate.beauty(plate.read(1)).colour == ("left.R", "left.G", "left.B")


@pytest.fixture
def plate(tmp_path: Path) -> Plate:
    (tmp_path / "in").mkdir()
    return open_plate(sequence(tmp_path / "in", 1001, 1002))


@pytest.mark.parametrize(
    ("name", "format", "stem", "file"),
    [
        ("sh010.%04d.exr", "exr", "sh010", "sh010.1001.exr"),
        ("sh010_####.png", "png", "sh010", "sh010_1001.png"),
        ("sh.v2.mp4", "movie", "sh.v2", "sh.v2.mp4"),
        ("sh010.MOV", "movie", "sh010", "sh010.MOV"),
        ("a.%04d.tif", "tiff", "a", "a.1001.tif"),
    ],
)
def test_an_output_knows_its_format_stem_and_files(
    plate: Plate, tmp_path: Path, name: str, format: str, stem: str, file: str
) -> None:
    output = open_output(str(tmp_path / name), plate)
    assert (output.format, output.stem, output.path(1001)) == (format, tmp_path / stem, tmp_path / file)
    assert output.is_movie == (format == "movie")
    assert (output.movie is None) == (format != "movie")


@pytest.mark.parametrize(
    "name", ["out.exr", "out.%04d.gif", "out", "out.%04d.psd", "out.%04d.mov", "a.%04d.#.exr", "in"]
)
def test_an_output_that_cannot_be_written_is_a_wrong_request(plate: Plate, tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError):
        open_output(str(tmp_path / name), plate)


def test_one_frame_needs_no_token(plate: Plate, tmp_path: Path) -> None:
    output = open_output(str(tmp_path / "out.1001.exr"), plate, frames=[1001])
    assert (output.path(1001), output.stem) == (tmp_path / "out.1001.exr", tmp_path / "out.1001")
