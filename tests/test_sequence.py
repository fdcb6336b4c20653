"""Frame ranges, patterns, and the guard around the plate."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.errors import OutputError, PlateError, RequestError
from reage.sequence import (
    Pattern,
    find_frames,
    find_in_folder,
    format_range,
    missing_frames,
    numbered,
    parse_range,
    refuse_plate_overwrite,
)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("1001-1003", [1001, 1002, 1003]),
        ("1-10x2", [1, 3, 5, 7, 9]),
        ("1-5,9,20-30x5", [1, 2, 3, 4, 5, 9, 20, 25, 30]),
        ("1-3 20", [1, 2, 3, 20]),
        (" 1 , 2,, 3 ", [1, 2, 3]),
        ("-3-4", [-3, -2, -1, 0, 1, 2, 3, 4]),
        ("-5--1", [-5, -4, -3, -2, -1]),
        ("-7", [-7]),
        ("5-1", [1, 2, 3, 4, 5]),
        ("10-1x4", [2, 6, 10]),
        ("1-5,3-8", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("4-4", [4]),
        ("0-0", [0]),
    ],
)
def test_a_range_in_nukes_syntax_is_read(text: str, frames: list[int]) -> None:
    assert parse_range(text) == frames


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ",",
        "1-10:2",
        "1-10y3",
        "1-10x0",
        "1-10x-2",
        "1-",
        "-",
        "1 - 10",
        "a",
        "1.5",
        "1--",
        "1-10x",
        "١-٣",
        "1-9999999999",
    ],
)
def test_a_range_that_is_ambiguous_or_wrong_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_range(text)


@given(st.sets(st.integers(-300, 300)))
def test_a_written_range_reads_back_as_the_same_frames(frames: set[int]) -> None:
    text = format_range(frames)
    assert (parse_range(text) if text else []) == sorted(frames)


def test_a_range_is_written_short() -> None:
    assert format_range([7, 1, 2, 3, 4, 5]) == "1-5,7"


@pytest.mark.parametrize(
    ("text", "frame", "name"),
    [
        ("/p/a.%04d.exr", 12, "a.0012.exr"),
        ("/p/a.%d.exr", 12, "a.12.exr"),
        ("/p/a.####.exr", 12, "a.0012.exr"),
        ("/p/a.#.exr", 12, "a.12.exr"),
        ("/p/a.@@@@.exr", 12, "a.0012.exr"),
        ("/p/a.$F4.exr", 12, "a.0012.exr"),
        ("/p/a.$F.exr", 12, "a.12.exr"),
        ("/p/a.%04d.exr", -5, "a.-005.exr"),
        ("/p/a.%04d.exr", 10000, "a.10000.exr"),
        ("/p/#1/%d/a.%04d.exr", 1, "a.0001.exr"),
        ("/p/%06d.dpx", 86400, "086400.dpx"),
    ],
)
def test_every_kind_of_token_names_its_file_and_finds_it_again(text: str, frame: int, name: str) -> None:
    pattern = Pattern.parse(text)
    assert pattern is not None
    assert pattern.path(frame) == Path(text).parent / name
    assert pattern.match(name) == frame


@pytest.mark.parametrize("text", ["/p/a.exr", "/p/a.1001.exr", "/p/$FOO.exr", "/p/%s.exr", "/p/%4d.exr", "/%04d/a.exr"])
def test_a_name_without_a_token_is_no_pattern(text: str) -> None:
    assert Pattern.parse(text) is None


@pytest.mark.parametrize("text", ["a.%04d.####.exr", "a.#.#.exr", "a\0.%04d.exr", "a.%099d.exr"])
def test_a_pattern_with_several_tokens_or_a_nul_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        Pattern.parse(text)


@pytest.mark.parametrize(
    "name", ["pl.99.exr", "pl.01001.exr", "pl.1001.exr.tmp", "pl.-0.exr", "pl..exr", "pl.+100.exr", "pl.١٠٠١.exr"]
)
def test_a_name_that_the_pattern_would_not_write_does_not_belong_to_it(name: str) -> None:
    pattern = Pattern.parse("/p/pl.%04d.exr")
    assert pattern is not None
    assert pattern.match(name) is None


hostile = st.text(st.characters(exclude_characters="\0/#@%$", exclude_categories=["Cs"]), max_size=12)


@given(hostile, hostile, st.integers(-99999, 99999), st.integers(1, 6))
def test_hostile_names_pass_through_a_pattern_unchanged(before: str, after: str, frame: int, padding: int) -> None:
    pattern = Pattern.parse(f"/p/x{before}%0{padding}d{after}.exr")
    assert pattern is not None
    assert pattern.match(pattern.path(frame).name) == frame
    assert Pattern.parse(str(pattern)) == pattern


@pytest.mark.parametrize(
    "name", ["a b", "it's", 'say "hi"', "a;touch x", "$(id)", "größe", "-rf", "line\nbreak", "100%"]
)
def test_frames_of_hostile_names_are_found_on_disk(tmp_path: Path, name: str) -> None:
    pattern = Pattern.parse(str(tmp_path / f"{name}.%04d.exr"))
    assert pattern is not None
    touch(pattern.path(1), pattern.path(3))
    assert find_frames(pattern) == [1, 3]
    assert str(find_in_folder(tmp_path)) == str(pattern)


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("/out/sh010.%04d.exr", "/out/sh010"),
        ("/out/sh010_%04d.exr", "/out/sh010"),
        ("/out/sh.010.v2.####.exr", "/out/sh.010.v2"),
        ("/out/sh010-$F4.exr", "/out/sh010"),
        ("/out/sh010_%04d_v2.exr", "/out/sh010_v2"),
        ("/out/%04d.beauty.exr", "/out/beauty"),
        ("/out/%04d.exr", "/out/out"),
        ("/%04d.exr", "/frames"),
    ],
)
def test_the_stem_is_the_name_without_token_and_what_joined_it(text: str, stem: str) -> None:
    pattern = Pattern.parse(text)
    assert pattern is not None
    assert pattern.stem == Path(stem)


def test_gaps_are_missing_frames_and_strays_are_not_frames(tmp_path: Path) -> None:
    touch(*(tmp_path / f"pl.{n}.exr" for n in ("1001", "1002", "1004", "99", "01005")), tmp_path / "other.1003.exr")
    (tmp_path / "pl.1003.exr").mkdir()
    pattern = Pattern.parse(str(tmp_path / "pl.%04d.exr"))
    assert pattern is not None
    assert find_frames(pattern) == [1001, 1002, 1004]
    assert missing_frames([1001, 1002, 1004]) == [1003]
    assert missing_frames([]) == []


def test_a_missing_folder_is_a_plate_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="nowhere"):
        find_frames(Pattern(tmp_path / "nowhere", "a.", ".exr", 4))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.1001.exr", "a.1002.exr", "notes.txt", ".a.1003.exr", "thumb.jpg"], "a.%04d.exr"),
        (["a.9.exr", "a.10.exr", "a.11.exr"], "a.%d.exr"),
        (["a.08.exr", "a.99.exr", "a.100.exr"], "a.%02d.exr"),
        (["a.9999.exr", "a.10000.exr"], "a.%04d.exr"),
        (["a.-001.exr", "a.0000.exr", "a.0001.exr"], "a.%04d.exr"),
        (["sh010-0001.dpx", "sh010-0002.dpx"], "sh010-%04d.dpx"),
        (["me@home#1.0001.EXR"], "me@home#1.%04d.EXR"),
    ],
)
def test_the_one_sequence_of_a_folder_is_found(tmp_path: Path, names: list[str], expected: str) -> None:
    touch(*(tmp_path / name for name in names))
    pattern = find_in_folder(tmp_path)
    assert Path(str(pattern)).name == expected
    numbers = sum(name[0] != "." and name not in ("notes.txt", "thumb.jpg") for name in names)
    assert len(find_frames(pattern)) == numbers


@pytest.mark.parametrize(
    "names", [["a.1001.exr", "b.1001.exr"], ["pl.99.exr", "pl.1001.exr"], ["a.1.exr", "a.0001.exr"]]
)
def test_several_sequences_in_a_folder_are_refused_by_name(tmp_path: Path, names: list[str]) -> None:
    touch(*(tmp_path / name for name in names))
    with pytest.raises(RequestError, match="2 sequences"):
        find_in_folder(tmp_path)


def test_a_folder_without_a_sequence_is_a_plate_error(tmp_path: Path) -> None:
    touch(tmp_path / "readme.txt", tmp_path / "still.png")
    with pytest.raises(PlateError, match="no image sequence"):
        find_in_folder(tmp_path)


def test_a_numbered_file_knows_its_frame() -> None:
    found = numbered(Path("/p/name.1001.exr"))
    assert found == (Pattern(Path("/p"), "name.", ".exr", 4), 1001)
    assert numbered(Path("/p/name.exr")) is None
    assert numbered(Path("/p/sh010_v2.exr")) is None


def spelt(tmp_path: Path, way: str) -> tuple[Path, Path]:
    """A plate and another way to name it."""
    plate = tmp_path / "plate" / "Pl.0001.exr"
    touch(plate)
    other = tmp_path / "other"
    if way == "symlinked folder":
        other.symlink_to(plate.parent)
        return plate, other / plate.name
    if way == "symlinked file":
        other.symlink_to(plate)
        return plate, other
    if way == "hard link":
        os.link(plate, other)
        return plate, other
    if way == "dots":
        return plate, tmp_path / "plate" / ".." / "plate" / plate.name
    if way == "case":
        return plate, plate.with_name("pL.0001.EXR")
    if way == "not there yet":
        return plate.with_name("no.exr"), tmp_path / "plate" / "." / "no.exr"
    one, two = Pattern.parse(f"{plate.parent}/Pl.%04d.exr"), Pattern.parse(f"{plate.parent}/Pl.####.exr")
    assert one is not None
    assert two is not None
    return one.path(1), two.path(1)


@pytest.mark.parametrize(
    "way", ["symlinked folder", "symlinked file", "hard link", "dots", "case", "not there yet", "other token"]
)
def test_an_output_that_is_the_plate_is_refused_however_it_is_spelt(tmp_path: Path, way: str) -> None:
    plate, out = spelt(tmp_path, way)
    with pytest.raises(OutputError) as refused:
        refuse_plate_overwrite([tmp_path / "fine.exr", out], [plate])
    assert refused.value.exit_code == 6


def test_an_output_beside_the_plate_is_allowed(tmp_path: Path) -> None:
    touch(tmp_path / "a.0001.exr")
    refuse_plate_overwrite([tmp_path / "b.0001.exr", tmp_path / "a.0002.exr"], [tmp_path / "a.0001.exr"])
