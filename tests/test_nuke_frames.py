"""Frames in Nuke's two numberings."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage.errors import RequestError
from reage.sequence import parse_range as engine_range
from reage_nuke.facts import KnobError, PlateFacts, Settings
from reage_nuke.frames import (
    FrameMap,
    file_frame,
    format_range,
    frame_map,
    frames_of,
    frames_to_sample,
    parse_range,
    result_frame,
)

PLATE = PlateFacts("Read1", "/p/a.%04d.exr", 1001, 1010)


@effort(deadline=None)
@given(st.sets(st.integers(-5000, 5000), min_size=1))
def test_a_range_that_is_written_is_read_back_here_and_by_the_engine(frames: set[int]) -> None:
    text = format_range(frames)
    assert parse_range(text) == engine_range(text) == sorted(frames)


@pytest.mark.parametrize("text", ["7", "1-10", "10-1x3", "1-10x2 20", "1-5,9, 20-30x5", "-5--1", "-3-4"])
def test_ranges_mean_what_they_mean_to_the_engine(text: str) -> None:
    assert parse_range(text) == engine_range(text)


@pytest.mark.parametrize("text", ["", " ", "a", "1-", "1-10x0", "1-10x00", "1..5", "1-10:2", "1.5", "1-2000000"])
def test_what_the_engine_refuses_is_refused_in_words(text: str) -> None:
    with pytest.raises(RequestError):
        engine_range(text)
    with pytest.raises(KnobError, match="frames"):
        parse_range(text)


@pytest.mark.parametrize(
    ("mode", "frame", "timeline", "file"),
    [
        ("expression", "", 1003, 1003),
        ("expression", "frame", 1003, 1003),
        ("expression", "frame+1000", 3, 1003),
        ("expression", " frame + 1000 ", 3, 1003),
        ("expression", "1000+frame", 3, 1003),
        ("expression", "frame-10", 1013, 1003),
        ("expression", "frame*2", 501, 1002),
        ("expression", "2*frame+1", 501, 1003),
        ("expression", "1005", 7, 1005),
        ("start at", "1", 1, 1001),
        ("start at", "1", 3, 1003),
        ("start at", "", 1003, 1003),
        ("offset", "1000", 3, 1003),
        ("offset", "-5", 1008, 1003),
    ],
)
def test_a_reads_frame_modes_lead_from_timeline_to_file(mode: str, frame: str, timeline: int, file: int) -> None:
    plate = replace(PLATE, frame_mode=mode, frame=frame)
    assert frame_map(plate).file(timeline) == file == file_frame(plate, timeline)
    assert frame_map(plate).timeline(file) == (None if frame == "1005" else timeline)


@pytest.mark.parametrize("frame", ["[python 1]", "frame%10", "curve", "frame*2*3", "2*frame*3", "frame/2", "$x"])
def test_an_expression_that_would_have_to_be_evaluated_is_refused(frame: str) -> None:
    with pytest.raises(KnobError, match="Read1: the frame expression"):
        frame_map(replace(PLATE, frame=frame))
    with pytest.raises(KnobError, match="start at"):
        frame_map(replace(PLATE, frame_mode="start at", frame="frame+1"))


@effort(deadline=None)
@given(st.integers(1, 9), st.integers(-999, 999), st.integers(-999, 999))
def test_a_file_frame_is_shown_where_it_comes_from_or_nowhere(scale: int, shift: int, file: int) -> None:
    mapping = FrameMap(scale, shift)
    shown = mapping.timeline(file)
    assert mapping.file(shown) == file if shown is not None else (file - shift) % scale


@pytest.mark.parametrize(
    ("after", "before", "timeline", "file"),
    [
        ("hold", "hold", 1013, 1010),
        ("hold", "hold", 990, 1001),
        ("loop", "hold", 1011, 1001),
        ("loop", "loop", 1000, 1010),
        ("black", "black", 1011, None),
        ("bounce", "bounce", 1011, None),
    ],
)
def test_outside_the_range_a_read_holds_loops_or_has_nothing(
    after: str, before: str, timeline: int, file: int | None
) -> None:
    assert file_frame(replace(PLATE, after=after, before=before), timeline) == file


def test_all_frames_of_the_input_are_its_own_range_in_file_frames() -> None:
    plate = replace(PLATE, frame_mode="start at", frame="1")
    assert frames_of(plate, Settings(), 1) == list(range(1001, 1011))


def test_a_custom_range_is_typed_in_timeline_frames() -> None:
    plate = replace(PLATE, frame_mode="start at", frame="1")
    assert frames_of(plate, Settings(frames_mode="custom", frames="2-4"), 1) == [1002, 1003, 1004]


def test_a_custom_range_beyond_the_files_is_refused_with_what_there_is() -> None:
    with pytest.raises(KnobError, match="1001-1010"):
        frames_of(PLATE, Settings(frames_mode="custom", frames="1005-1020"), 1)


def test_the_current_frame_is_what_nuke_says_it_shows() -> None:
    settings = Settings(frames_mode="current")
    assert frames_of(PLATE, settings, 1004) == [1004]
    assert frames_of(replace(PLATE, frame="[python 1]", shown=1007), settings, 1) == [1007]
    with pytest.raises(KnobError, match="shows no frame"):
        frames_of(replace(PLATE, after="black"), settings, 1100)


def test_handles_go_as_far_as_there_are_files() -> None:
    custom = Settings(frames_mode="custom", frames="1003-1008", handles=4)
    assert frames_of(PLATE, custom, 1) == list(range(1001, 1011))
    trimmed = replace(PLATE, lowest=998, highest=1011)
    assert frames_of(trimmed, Settings(handles=2), 1) == list(range(999, 1012))
    assert frames_of(trimmed, Settings(), 1) == list(range(1001, 1011))


def test_a_held_frame_is_one_frame() -> None:
    held = replace(PLATE, frame="1005")
    assert frames_of(held, Settings(), 1) == [1005]
    assert frames_of(replace(PLATE, frame="900"), Settings(), 1) == [1001]
    assert frames_to_sample(held, Settings(), 17) == [17]


def test_an_animated_age_is_sampled_where_the_frames_are_shown() -> None:
    plate = replace(PLATE, frame_mode="offset", frame="1000")
    assert frames_to_sample(plate, Settings(), 1) == list(range(1, 11))
    assert frames_to_sample(replace(PLATE, frame="frame*2"), Settings(), 1) == [501, 502, 503, 504, 505]


@pytest.mark.parametrize("frames", ["3-5", "1-10"])
@pytest.mark.parametrize(("mode", "frame"), [("start at", "1"), ("offset", "1000"), ("expression", "frame+1000")])
def test_a_result_shows_each_file_frame_when_the_plate_does(mode: str, frame: str, frames: str) -> None:
    plate = replace(PLATE, frame_mode=mode, frame=frame)
    files = frames_of(plate, Settings(frames_mode="custom", frames=frames), 1)
    mode, frame = result_frame(plate, files[0])
    result = replace(plate, first=files[0], last=files[-1], frame_mode=mode, frame=frame)
    for timeline in parse_range(frames):
        assert file_frame(result, timeline) == file_frame(plate, timeline)
