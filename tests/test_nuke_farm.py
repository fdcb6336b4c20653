"""Command lines for the farm: lists of words, whatever files are called."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage.farm.command import ENGINES, bundle, submit
from reage.job import Job
from reage.options import job_of
from reage_nuke import farm

ENGINE = ["/env/bin/python", "-s", "-m", "reage"]
HOSTILE = [
    "a b.%04d.exr",
    "-o.%04d.exr",
    "--age=3.exr",
    "$(rm -rf x).%04d.exr",
    "a;b&c|d.exr",
    'it\'s "q".exr',
    "`x`.exr",
]
posix = pytest.mark.skipif(os.name == "nt", reason="quotes of a POSIX shell")


def test_a_job_becomes_the_options_of_run() -> None:
    job = {"version": 1, "plate": "p.%04d.exr", "output": "o_{age}.%04d.exr", "ages": [20.0, 45.5], "layers": True}
    job |= {"region": {"eyes": 0.5, "jaw": 2.0}, "on_missing": "skip", "source_age": 34.0, "holdout": None}
    job |= {"overwrite": False, "progress": "json", "log": "x"}
    words = farm.bundle_words(ENGINE, job, "/shots/b", 25)
    assert words[:6] == [*ENGINE, "farm", "bundle"] and words[-2:] == ["--", "p.%04d.exr"]
    assert set(words[6:-2]) == {
        "--bundle=/shots/b",
        "--chunk=25",
        "--output=o_{age}.%04d.exr",
        "--ages=20,45.5",
        "--layers",
        "--region=eyes=0.5,jaw=2",
        "--on-missing=skip",
        "--source-age=34",
    }


def test_ages_of_faces_are_options_of_their_own() -> None:
    words = farm.bundle_words(ENGINE, {"plate": "p", "output": "o", "age": {"1": "70", "2": "1001:30,1009:40"}}, "b")
    assert [word for word in words if word.startswith("--age")] == ["--age=1=70", "--age=2=1001:30,1009:40"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_one_word_and_no_option(name: str) -> None:
    words = farm.bundle_words(ENGINE, {"plate": name, "output": name, "age": "70"}, name)
    assert words[-2:] == ["--", name] and f"--output={name}" in words and f"--bundle={name}" in words
    assert farm.submit_words(ENGINE, "deadline10", name)[-2:] == ["--", name]
    assert farm.own_words("submit --folder {bundle}", name) == ["submit", "--folder", name]


@posix
@given(st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), min_size=1))
def test_what_is_shown_is_read_by_a_shell_as_the_same_words(words: list[str]) -> None:
    assert shlex.split(farm.shown(words)) == words


def test_a_command_without_a_place_for_the_bundle_gets_it_last() -> None:
    assert farm.own_words("deadline bundle submit", "/b c") == ["deadline", "bundle", "submit", "/b c"]


@posix
def test_quotes_of_a_command_hold_words_together() -> None:
    assert farm.own_words("'/opt/my tools/submit' {bundle}/job.yaml", "/b") == ["/opt/my tools/submit", "/b/job.yaml"]


@pytest.mark.parametrize("command", ["", "  ", "submit 'x"])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(ValueError, match=r"empty|quotation"):
        farm.own_words(command, "/b")


@pytest.mark.parametrize(
    "more",
    [
        {"age": "1001:30,1009:70", "frames": "-5--1,3-9x2", "source_age": 34.5, "tracks": "/t x.json"},
        {"ages": [20.0, 60.0], "region": {"eyes": 0.25, "jaw": 2.0}, "layers": True, "on_missing": "skip"},
        {"age": {"1": "70", "2": "30"}, "strength": 0.0, "tone": 1.25, "smooth": 0, "face": "1,3", "device": "cuda:1"},
        {
            "age": "70",
            "model": "-m.pt",
            "holdout": "--h.%04d.exr:alpha",
            "colorspace": "ACES - ACEScg",
            "overwrite": True,
        },
        {"age": "7.5", "mode": "replace", "view": "left", "ocio": "ocio://default", "landmarks": "a b.dat", "batch": 2},
    ],
)
def test_the_engine_reads_the_job_that_was_meant(more: dict[str, Any]) -> None:
    job = {"plate": "-p $x.%04d.exr", "output": "/o/{age} x.%04d.exr", **more}
    words = farm.bundle_words(ENGINE, job, "-b", 7)
    given = bundle.make_context("bundle", words[len(ENGINE) + 2 :]).params
    assert (given.pop("folder"), given.pop("chunk")) == ("-b", 7)
    read = job_of(None, {name: value for name, value in given.items() if name not in ("movie", "sheet", "job_file")})
    assert read.model_dump(exclude={"age"}) == Job.make(**job).model_dump(exclude={"age"})
    assert read.target_ages() == Job.make(**job).target_ages()


def test_a_submission_is_read_as_it_was_meant() -> None:
    words = farm.submit_words(ENGINE, "opencue", "--d")[len(ENGINE) + 2 :]
    given = submit.make_context("submit", words).params
    assert (given["folder"], given["engine"]) == ("--d", "opencue") and given["engine"] in ENGINES
