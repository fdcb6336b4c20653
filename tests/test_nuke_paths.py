"""Paths with tokens of frame, view and version."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage.sequence import Pattern, find_frames
from reage_nuke import paths


@pytest.mark.parametrize(
    ("given", "folder", "normal"),
    [
        ("C:\\shots\\a.%04d.exr", "/proj", "C:/shots/a.%04d.exr"),
        ("plates/a.%4d.exr", "/proj", "/proj/plates/a.%04d.exr"),
        (" /a/b.####.exr ", "/proj", "/a/b.####.exr"),
        ("//server/a.%d.exr", "/proj", "//server/a.%d.exr"),
        ("a.exr", "", "a.exr"),
        ("a.exr", "D:\\proj", "D:/proj/a.exr"),
    ],
)
def test_paths_become_what_the_engine_reads(given: str, folder: str, normal: str) -> None:
    assert paths.normal_path(given, folder) == normal


@effort(deadline=None)
@given(st.integers(1, 8), st.integers(-99, 99999))
def test_frame_tokens_are_read_as_the_engine_reads_them(digits: int, frame: int) -> None:
    for token in (f"%0{digits}d", "#" * digits):
        ours = paths.frame_token(f"/a/b.{token}.exr")
        pattern = Pattern.parse(f"/a/b.{token}.exr")
        assert pattern is not None
        assert pattern.path(frame).name == f"b.{ours % frame}.exr"
        assert paths.frame_in(str(pattern.path(frame)), f"/a/b.{token}.exr") == frame


def test_only_the_file_name_says_a_frame() -> None:
    assert paths.has_frame("/a/b.####.exr")
    assert not paths.has_frame("/a.%04d/b.exr")
    assert paths.frame_in("/a/c.0001.exr", "/a/b.%04d.exr") is None
    assert paths.frame_in("/a/b.exr", "/a/b.exr") is None


def test_the_frames_on_disk_are_those_the_engine_finds(tmp_path: Path) -> None:
    for name in ("a.0001.exr", "a.0003.exr", "a.10000.exr", "a.99.exr", "a.-005.exr", "b.0002.exr", "a.0004.exr.tmp"):
        (tmp_path / name).touch()
    pattern = f"{tmp_path.as_posix()}/a.%04d.exr"
    parsed = Pattern.parse(pattern)
    assert parsed is not None
    assert paths.frames_on_disk(pattern) == find_frames(parsed) == [-5, 1, 3, 10000]
    assert paths.frames_on_disk(f"{tmp_path.as_posix()}/none/a.%04d.exr") == []
    assert paths.frames_on_disk(f"{tmp_path.as_posix()}/a.0001.exr") == []


def test_a_view_takes_the_place_of_its_token() -> None:
    assert paths.of_view("/a/%V/b_%v.%04d.exr", "left") == "/a/left/b_l.%04d.exr"
    assert paths.has_view("/a/%V/b.exr")
    assert not paths.has_view("/a/b.%04d.exr")


def test_a_pattern_is_taken_where_any_frame_age_or_view_of_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "v[1]"
    folder.mkdir()
    pattern = f"{folder.as_posix()}/a_{{age}}_%V.%04d.exr"
    assert not paths.taken(pattern)
    (folder / "a_45.5_left.0007.exr").touch()
    assert paths.taken(pattern)
    assert not paths.taken(f"{folder.as_posix()}/b_{{age}}_%V.%04d.exr")


@pytest.mark.parametrize(
    ("path", "used", "free"),
    [
        ("/o/a_v001.%04d.exr", [], "/o/a_v001.%04d.exr"),
        ("/o/a_v001.%04d.exr", ["/o/a_v001.%04d.exr"], "/o/a_v002.%04d.exr"),
        ("/o/v009/a_v009.%04d.exr", ["/o/v009/a_v009.%04d.exr"], "/o/v010/a_v010.%04d.exr"),
        ("/v001/o/a_v001.exr", ["/v001/o/a_v001.exr"], "/v001/o/a_v002.exr"),
        ("/o/v001/a_v003.exr", ["/o/v001/a_v003.exr"], "/o/v001/a_v004.exr"),
        ("/o/a.%04d.exr", [], "/o/a_v001.%04d.exr"),
        ("/o/a.%04d.exr", ["/o/a_v001.%04d.exr"], "/o/a_v002.%04d.exr"),
        ("/o/plate_v2_out_V07.mov", ["/o/plate_v2_out_V07.mov"], "/o/plate_v2_out_V08.mov"),
        ("/o/dev2.%04d.exr", [], "/o/dev2_v001.%04d.exr"),
        ("/o/%04d.exr", [], "/o/v001.%04d.exr"),
        ("a_v99.exr", ["a_v99.exr"], "a_v100.exr"),
    ],
)
def test_the_next_free_version_is_found(path: str, used: list[str], free: str) -> None:
    assert paths.version_up(path, used.__contains__) == free


@pytest.mark.parametrize(
    ("path", "stem"),
    [
        ("/a/sh010_bg.%04d.exr", "sh010_bg"),
        ("/a/sh010_%V.####.exr", "sh010"),
        ("/a/clip.mov", "clip"),
        ("/a/%04d.exr", ""),
        ("/a/a.b_%d.dpx", "a.b"),
    ],
)
def test_the_stem_is_what_is_left_without_tokens(path: str, stem: str) -> None:
    assert paths.stem_of(path) == stem
