"""Job files, tracks files, names and pictures that were made to do harm, or by a slip of the hand."""

from __future__ import annotations

import json
import logging
import os
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command
import pytest
import rig
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import FIRST, write_plate, write_tracks

from reage.errors import OutputError, PlateError, ReageError, RequestError
from reage.images import read_picture
from reage.job import LARGEST_JOB_FILE, Job
from reage.pipeline import render
from reage.plate import open_output, open_plate
from reage.report import report
from reage.tracks import LARGEST_TRACKS_FILE, load_tracks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX names and fork")
one_folder = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)

PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)


@pytest.fixture(autouse=True)
def _small_ager(monkeypatch: pytest.MonkeyPatch) -> None:
    rig.use_small_ager(monkeypatch)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shot")
    return {
        "plate": write_plate(folder / "plate", range(FIRST, FIRST + 2)),
        "tracks": str(write_tracks(folder / "tracks.json", range(FIRST, FIRST + 2))),
    }


def go(output: Path, shot: dict[str, str], **options: Any) -> list[dict[str, Any]]:
    return list(render(Job.make(**{"age": 70, **shot, "output": str(output), **options})))


# ---- job files -------------------------------------------------------------------------------------------------------


def tried(path: Path) -> Job | None:
    """The job in a file, or None where it is refused as a job file is: in one line that names it."""
    try:
        return Job.load(path)
    except RequestError as error:
        assert "\n" not in str(error) and str(path) in str(error)
    except PlateError:
        assert b"\xff" in path.read_bytes() or not path.read_bytes().isascii()
    return None


@one_folder
@given(key=st.sampled_from(sorted(Job.model_fields)), value=ANYTHING)
def test_any_value_of_any_key_is_a_job_or_a_refusal_in_one_line(tmp_path: Path, key: str, value: Any) -> None:
    fields = {"version": 1, "plate": "a.%04d.exr", "output": "b.%04d.exr", "age": 70, key: value}
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    job = tried(tmp_path / "job.yaml")
    for ages in job.target_ages() if job is not None else ():
        curves = [curve for curve in (ages.everyone, *ages.by_face.values()) if curve is not None]
        assert curves and all(0 <= curve(frame) <= 120 for curve in curves for frame in (-5, 0, 10**6))


@one_folder
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: ("version: 1\n" + text).encode("utf-8")))
def test_no_bytes_make_the_job_reader_crash(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "job.yaml").write_bytes(content)
    assert tried(tmp_path / "job.yaml") is None


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [lol,lol]\n"
        + "".join(f"{b}: &{b} [*{a},*{a},*{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "version: 1\nregion: &r {jaw: *r}\n",
        "[" * 100_000,
        "{a: " * 5_000,
        "version: 1\nage: 0x" + "f" * 9000,
        "version: 1\nage: 1" + "0" * 9000,
        "version: 1\nplate: !!python/name:os.system\n",
        "version: 1\n---\nversion: 1\n",
        "version: 1\nframes: '1-9999999999999'\n",
    ],
    ids=["laughs", "itself", "lists", "mappings", "hexadecimal", "digits", "python", "two", "range"],
)
def test_a_job_file_that_would_fill_the_memory_or_run_code_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "job.yaml").write_text("plate: a.%04d.exr\noutput: b.%04d.exr\n" * ("version" in text) + text)
    assert len(text) < LARGEST_JOB_FILE and tried(tmp_path / "job.yaml") is None


# ---- tracks files ----------------------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands in a JSON value; of lists the first and the last place."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    some = [(key, item) for key, item in inner if not isinstance(value, list) or key in (0, len(value) - 1)]
    return [path] * bool(path) + [place for key, item in some for place in places(item, (*path, key))]


NUMBERS = st.sampled_from([0, -1, 1, 1e-9, 1e5, -1e5, 1e308, -1e308, 2**63, float("nan"), float("inf")])


@one_folder
@given(data=st.data())
def test_a_tracks_file_with_anything_in_it_is_rendered_or_refused(
    shot: dict[str, str], tmp_path: Path, data: st.DataObject
) -> None:
    tracks = json.loads(Path(shot["tracks"]).read_text())
    *above, last = data.draw(st.sampled_from(places(tracks)))
    there = tracks
    for step in above:
        there = there[step]
    there[last] = data.draw(NUMBERS | ANYTHING)
    (tmp_path / "t.json").write_text(json.dumps(tracks))
    try:
        go(tmp_path / "a.%04d.exr", {**shot, "tracks": str(tmp_path / "t.json")}, frames="1001", overwrite=True)
    except ReageError as error:
        assert error.exit_code == 2 and "\n" not in str(error)


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"version": 1, "plate": ' * 50_000, "9" * 100_000, '"\\ud800"', "\ufeff{}"]
)
def test_a_tracks_file_that_would_break_a_reader_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(RequestError, match=r"t\.json"):
        load_tracks(tmp_path / "t.json")


def test_a_tracks_file_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "t.json").open("wb") as file:
        file.truncate(LARGEST_TRACKS_FILE + 1)
    with pytest.raises(RequestError, match="512 MiB"):
        load_tracks(tmp_path / "t.json")


def test_two_persons_of_one_id_are_refused(shot: dict[str, str], tmp_path: Path) -> None:
    tracks = json.loads(Path(shot["tracks"]).read_text())
    tracks["persons"] *= 2
    (tmp_path / "t.json").write_text(json.dumps(tracks))
    with pytest.raises(RequestError, match="same id"):
        load_tracks(tmp_path / "t.json")


# ---- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    "a; touch x &",
    "$(touch x)",
    "`touch x`",
    "'\"",
    "-rf",
    "line\nopenjd_fail: x",
    "[red]",
    "{0}",
    "größe ü",
    "%s",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_a_name_whatever_it_says(shot: dict[str, str], tmp_path: Path, name: str) -> None:
    plate = write_plate(tmp_path / name / "in", range(FIRST, FIRST + 1))
    out = tmp_path / name / "out" / f"{name}.%04d.exr"
    command_line = {"plate": plate, "tracks": shot["tracks"], "output": str(out), "age": 70}
    events = list(render(Job.make(**command_line)))
    assert events[-1]["states"] == {"aged": 1} and [p.name for p in tmp_path.iterdir()] == [name]
    made = {path.name for path in out.parent.iterdir()}
    assert made == {f"{name}.1001.exr", f"{name}.manifest.jsonl"}
    assert json.loads((out.parent / f"{name}.manifest.jsonl").read_text())["file"] == f"{name}.1001.exr"


@given(st.text(max_size=30), st.sampled_from(["", ".exr", ".%04d.exr", ".mov", "/x.exr"]))
def test_no_name_of_a_plate_or_an_output_makes_the_reader_crash(text: str, ending: str) -> None:
    for call in (open_plate, lambda name: open_output(name, EMPTY, [1, 2])):
        try:
            call(text + ending)
        except (PlateError, RequestError) as error:
            assert str(error)


EMPTY: Any = None
"""Outputs of frames that are named need no plate."""


# ---- pictures --------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    entries = [(256, 4, width), (257, 4, height), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, height), (279, 4, 8)]
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(entries)) + rows + bytes(4)


@pytest.mark.parametrize(("name", "make"), [("p.1001.png", png), ("p.1001.tif", tiff)])
def test_a_bomb_of_any_format_is_refused_from_its_header(tmp_path: Path, name: str, make: Any) -> None:
    import tracemalloc

    (tmp_path / name).write_bytes(make(60_000, 60_000))
    tracemalloc.start()
    with pytest.raises(PlateError) as refused:
        read_picture(tmp_path / name)
    assert tracemalloc.get_traced_memory()[1] < 16e6 and name in str(refused.value)
    tracemalloc.stop()


# ---- what is told, and to whom ---------------------------------------------------------------------------------------


def test_the_log_names_every_frame_its_file_and_state_and_ends_with_a_summary(
    once: Path, plate: str, tmp_path: Path
) -> None:
    (tmp_path / "plate").mkdir()
    for frame in range(command.FIRST, command.FIRST + 3):
        (tmp_path / "plate" / f"p.{frame}.exr").write_bytes(Path(plate % frame).read_bytes())
    damaged = tmp_path / "plate" / f"p.{command.FIRST + 1}.exr"
    damaged.write_bytes(damaged.read_bytes()[:2000])
    words = ("render", tmp_path / "plate", "--tracks", once / "a.tracks.json", "-o", tmp_path / "a.%04d.exr")
    done = command.reage(*words, "--age", 70, "--on-error", "skip", "--log", tmp_path / "log", "--smooth", 0)
    assert done.code == 1
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    frames = {line["frame"]: (line["state"], line["path"]) for line in lines if line["event"] == "frame"}
    states = dict(zip((1001, 1002, 1003), ("aged", "failed", "aged"), strict=True))
    assert frames == {frame: (state, str(tmp_path / f"a.{frame}.exr")) for frame, state in states.items()}
    assert (lines[-2]["event"], lines[-2]["states"]) == ("summary", {"aged": 2, "failed": 1})
    assert lines[-1]["code"] == 1 and str(damaged) in lines[-1]["message"]


def test_steps_that_modules_log_are_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def events() -> Iterator[dict[str, Any]]:
        logging.getLogger("reage.agers.frugal").warning("cuda:0: out of memory with %d crops at once", 4)
        yield {"event": "done"}

    report(events(), "json", str(tmp_path / "log"))
    told = capsys.readouterr()
    assert told.out == (tmp_path / "log").read_text() and told.err == ""
    step, end = (json.loads(line) for line in told.out.splitlines())
    assert step == {"event": "warning", "message": "cuda:0: out of memory with 4 crops at once"}
    assert end == {"event": "done"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_or_a_standard_output_that_takes_no_more_is_an_output_error(
    once: Path, plate: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="--log /dev/full"):
        report(iter([{"event": "done"}]), "plain", "/dev/full")
    words = [sys.executable, "-m", "reage", "render", plate, "--tracks", str(once / "a.tracks.json"), "--age", "70"]
    words += ["-o", str(tmp_path / "a.%04d.exr"), "--progress", "json"]
    environment = os.environ | {"PYTHONPATH": str(command.CORE), "OMP_NUM_THREADS": "1"}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 6 and done.stderr.startswith("reage: standard output takes no more")
    assert done.stderr.count("\n") == 1 and command.strays(tmp_path) == []


def test_a_run_asks_nobody_on_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of `run`, embedded model and face models included, while every door to a network raises."""
    from reage.agers import load_ager
    from reage.pipeline import run

    def closed(*_: Any, **__: Any) -> Any:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("reage.pipeline.load_ager", load_ager)
    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, closed)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, closed)
    plate = command.write_plate(tmp_path / "plate", 1)
    events = list(run(Job.make(plate=plate, output=str(tmp_path / "out" / "a.%04d.exr"), age=70)))
    assert events[-1]["states"] == {"aged": 1}
    assert (tmp_path / "out" / "a.tracks.json").stat().st_size < 20_000  # landmarks, no pixels
