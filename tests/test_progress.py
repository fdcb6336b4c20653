from __future__ import annotations

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.progress import Kind, one_line, reporter

RUN = [
    {"event": "stage", "name": "render"},
    {"event": "progress", "frame": 1001, "done": 1, "total": 8},
    {"event": "frame", "frame": 1001, "state": "aged", "path": "/out/a.1001.exr"},
    {"event": "warning", "message": "age 130 is beyond the model's range"},
    {"event": "done", "frames": 8},
]


def told(kind: Kind, events: list[dict[str, object]], stream: io.StringIO | None = None) -> list[str]:
    stream = stream or io.StringIO()
    with reporter(kind, stream) as report:
        for event in events:
            report.event(event)
    return stream.getvalue().split("\n")[:-1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class CountsFlushes(io.StringIO):
    flushes = 0

    def flush(self) -> None:
        self.flushes += 1


def test_json_repeats_every_event_unchanged_one_a_line() -> None:
    assert [json.loads(line) for line in told("json", RUN)] == RUN


def test_plain_says_one_line_a_frame_with_the_share_that_deadline_looks_for() -> None:
    assert told("plain", RUN) == [
        "render",
        "Progress: 12% frame 1001 aged /out/a.1001.exr",
        "warning: age 130 is beyond the model's range",
        "done",
    ]


def test_plain_tells_the_frames_of_a_stage_that_writes_none() -> None:
    lines = told("plain", [{"event": "progress", "stage": "detect", "frame": 7, "done": 3, "total": 4}])
    assert lines == ["Progress: 75% detect: frame 7 (3/4)"]


def test_openjd_speaks_its_macros() -> None:
    assert told("openjd", RUN) == [
        "openjd_status: render",
        "openjd_progress: 12.5",
        "openjd_status: frame 1001 aged /out/a.1001.exr",
        "warning: age 130 is beyond the model's range",
        "openjd_status: done",
    ]


def test_openjd_names_the_reason_of_a_failure() -> None:
    lines = told("openjd", [{"event": "error", "code": 3, "message": "a.1003.exr: missing"}])
    assert lines == ["openjd_fail: a.1003.exr: missing"]


def test_a_failed_frame_says_why() -> None:
    (line,) = told("plain", [{"event": "frame", "frame": 3, "state": "failed", "path": None, "why": "no memory"}])
    assert line == "frame 3 failed: no memory"


def test_auto_draws_a_bar_on_a_terminal_alone() -> None:
    assert told("auto", RUN) == told("plain", RUN)
    drawn = "".join(told("auto", RUN, Terminal()))
    assert "1/8" in drawn
    assert "age 130 is beyond" in drawn


def test_a_bar_shows_brackets_of_a_path_as_they_are() -> None:
    drawn = "".join(told("bar", [{"event": "warning", "message": "[red]shot[/red]"}]))
    assert "[red]shot[/red]" in drawn


@pytest.mark.parametrize("kind", ["plain", "json", "openjd"])
def test_each_line_is_flushed_when_it_is_written(kind: Kind) -> None:
    stream = CountsFlushes()
    lines = told(kind, RUN, stream)
    assert stream.flushes == len(lines)


@pytest.mark.parametrize("kind", ["plain", "json", "openjd"])
@given(text=st.text() | st.sampled_from(["\nopenjd_env: A=B", "\u2028OpenJD_Env FOO", "\x85openjd_fail: x", "\r\n"]))
def test_no_name_or_message_can_begin_a_line(kind: Kind, text: str) -> None:
    events: list[dict[str, object]] = [
        {"event": "stage", "name": text},
        {"event": "progress", "stage": text or "detect", "frame": 1, "done": 1, "total": 2},
        {"event": "frame", "frame": 1, "state": "failed", "path": text, "why": text},
        {"event": "warning", "message": text},
        {"event": "error", "message": text},
    ]
    stream = io.StringIO()
    with reporter(kind, stream) as report:
        for event in events:
            report.event(event)
    lines = stream.getvalue().splitlines()  # splits at every character that any reader takes for an end of line
    assert len(lines) == (6 if kind == "openjd" else 5)
    own = re.compile(r"openjd_(progress|status|fail): ") if kind == "openjd" else re.compile(r"(?!)")
    assert not [line for line in lines if re.match(r"\s*openjd_", line, re.IGNORECASE) and not own.match(line)]


@given(st.text())
def test_one_line_is_one_line_and_leaves_plain_text_alone(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert one_line("Größe_01 ü") == "Größe_01 ü"


def test_a_total_of_nothing_is_no_share() -> None:
    assert told("openjd", [{"event": "progress", "frame": 1, "done": 0, "total": 0}]) == []


PLAN = {
    "event": "plan",
    "frames": "1001-1008",
    "missing": "1004",
    "analyse": False,
    "faces": {"1": 7, "2": 3},
    "model": "reage-1",
    "device": "cpu",
    "outputs": ["a_20.%04d.exr", "a_70.%04d.exr"],
    "disk_mb": 41.5,
}


@pytest.mark.parametrize("kind", ["plain", "bar"])
def test_a_dry_run_is_told_in_words(kind: Kind) -> None:
    line = "".join(told(kind, [PLAN]))
    for word in ("1001-1008", "1004", "face 1 in 7 frames", "face 2 in 3", "reage-1", "cpu", "a_20.%04d.exr", "41.5"):
        assert word in line
    line = "".join(told(kind, [{**PLAN, "analyse": True, "faces": {}, "missing": ""}]))
    assert "not known before the plate is analysed" in line and "missing" not in line
    assert "faces: none" in "".join(told(kind, [{**PLAN, "faces": {}}]))
