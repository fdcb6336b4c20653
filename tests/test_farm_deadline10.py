"""Deadline 10: its files match the golden ones, jobs wait for each other, and no name becomes something else."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import stat
from pathlib import Path

import pytest
from farm_bundle import HOSTILE, bundle, golden
from hypothesis import given
from hypothesis import strategies as st

from reage.errors import RequestError
from reage.farm import deadline10
from reage.farm.options import Options

FAKE = """#!/bin/sh
# Books what it is given, and answers as Deadline's client does.
n=$(($(ls "$BOOK" | grep -c job_info) + 1))
cp "$1" "$BOOK/$n.job_info"
cp "$2" "$BOOK/$n.plugin_info"
[ "$n" = "${REFUSES:-none}" ] && { echo "Error: no pool of that name" >&2; exit 1; }
echo "Deadline Command 10.4"
echo "Result=Success"
echo "JobID=5f00000000000000000000a$n"
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for deadlinecommand on PATH; answers where it books the jobs."""
    book, folder = tmp_path / "book", tmp_path / "bin"
    book.mkdir()
    folder.mkdir()
    program = folder / "deadlinecommand"
    program.write_text(FAKE)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BOOK", str(book))
    return book


def values(text: str) -> dict[str, str]:
    """The file as Deadline reads it: a key and a value a line, blanks around them dropped."""
    pairs = (line.split("=", 1) for line in text.splitlines())
    return {key.strip(): value.strip() for key, value in pairs}


def command_line(arguments: str, first: int, last: int) -> str:
    """What the CommandLine plug-in makes of its Arguments for a task."""
    for pattern, text in (("<STARTFRAME>", str(first)), ("<ENDFRAME>", str(last)), ("<QUOTE>", '"')):
        arguments = re.sub(pattern, text, arguments, flags=re.IGNORECASE)
    arguments = re.sub("<(?:START|END)FRAME%[0-9]+>|<AUXFILE[0-9]>", "replaced", arguments, flags=re.IGNORECASE)
    return re.sub("[\u201c\u201d]", '"', arguments.strip())


def dotnet_words(text: str) -> list[str]:
    """Words of a command line by the rules of .NET: backslashes count before a quotation mark alone."""
    words, word, inside = [], None, False
    for slashes, mark, other in re.findall(r'(\\*)(?:(")|(.)|$)', text, re.DOTALL):
        if slashes:
            word = (word or "") + "\\" * (len(slashes) // 2 if mark else len(slashes))
        if mark and len(slashes) % 2:
            word = (word or "") + '"'
        elif mark:
            inside, word = not inside, word or ""
        elif other in " \t" and other and not inside:
            words, word = words + ([] if word is None else [word]), None
        elif other:
            word = (word or "") + other
    return words + ([] if word is None else [word])


def read(arguments: str) -> list[str]:
    """Words of the Arguments of frames 1001 to 1004, where .NET and Mono (which reads as a shell does) agree."""
    line = command_line(arguments, 1001, 1004)
    words = dotnet_words(line)
    assert shlex.split(line) == words
    return words


def test_files_of_every_step_match_the_golden_ones(tmp_path: Path) -> None:
    options = Options(pool="comp", group="gpu", priority=60, write_only=True)
    told = list(deadline10.submit(bundle(tmp_path), options))
    written = sorted((tmp_path / "deadline10").iterdir())
    assert sorted(file for event in told[:-1] for file in event["files"]) == [str(file) for file in written]
    assert len(written) == 6
    for file in written:
        assert file.read_text(encoding="utf-8") == golden(f"deadline10/{file.name}", tmp_path)


def test_each_job_waits_for_the_ids_that_its_forerunners_were_given(tmp_path: Path, client: Path) -> None:
    told = list(deadline10.submit(bundle(tmp_path), Options()))
    booked = [values((client / f"{number}.job_info").read_text()) for number in (1, 2, 3)]
    assert [job["Name"].split()[-1] for job in booked] == ["analyse", "render", "finish"]
    assert [job.get("JobDependencies") for job in booked] == [None, *(event["job"] for event in told[:2])]
    assert told[2]["job"] == "5f00000000000000000000a3"
    assert told[3]["event"] == "done"


def test_a_refused_job_says_why_and_names_the_ones_that_are_there_already(
    tmp_path: Path, client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSES", "2")
    with pytest.raises(RequestError, match=r"no pool of that name.*5f00000000000000000000a1"):
        list(deadline10.submit(bundle(tmp_path), Options()))
    assert not (client / "3.job_info").exists()


def test_a_client_that_is_not_here_is_named_with_the_places_that_were_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("DEADLINE_PATH", raising=False)
    with pytest.raises(RequestError, match=r"deadlinecommand .*PATH.*DEADLINE_PATH.*nothing was submitted.*deadline10"):
        list(deadline10.submit(bundle(tmp_path), Options()))


def test_the_client_is_found_where_deadline_path_points(
    tmp_path: Path, client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEADLINE_PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("shutil.which", lambda name, path=None: f"{path}/{name}" if path else None)
    assert deadline10.find_command("") == str(tmp_path / "bin" / "deadlinecommand")


def test_steps_of_frames_are_written_with_x(tmp_path: Path) -> None:
    job = bundle(tmp_path, frames=(*range(1, 20, 2), 30, -5))
    info = deadline10.job_info(job, job.steps[1], Options())
    assert info["Frames"] == "-5,1-19x2,30"
    assert info["ChunkSize"] == "4"


def test_a_task_is_told_its_frames(tmp_path: Path) -> None:
    job = bundle(tmp_path)
    words = read(deadline10.plugin_info(job, job.steps[1])["Arguments"])
    assert words[-4:] == ["--frames", "1001-1004", "--progress", "plain"]
    assert "1001-1004" not in read(deadline10.plugin_info(job, job.steps[0])["Arguments"])


@pytest.mark.parametrize("word", HOSTILE)
def test_a_hostile_name_reaches_the_program_as_it_is(tmp_path: Path, word: str) -> None:
    job = bundle(tmp_path, word)
    _, plugin = deadline10.write(job, job.steps[1], Options())
    assert read(values(plugin.read_text(encoding="utf-8"))["Arguments"])[-5] == word


CONTROL = ("a\nb", "a\rKey=Value", "a\0", "\udcff")
TOKENS = ("<startframe>", "<EndFrame%4>", "<QUOTE>", "<AuxFile0>", "“a”")
SLASHES = ("\\\\host\\a b", "\\$", "\\`")


@pytest.mark.parametrize("word", [*CONTROL, *TOKENS, *(SLASHES if os.name != "nt" else ())])
def test_what_would_arrive_as_something_else_is_refused(tmp_path: Path, word: str) -> None:
    job = bundle(tmp_path, word)
    with pytest.raises(RequestError, match="use another name") as told:
        deadline10.write(job, job.steps[1], Options())
    assert "\n" not in str(told.value)


@given(st.lists(st.text(st.sampled_from("ab \"'\\$`<>#%!\u201cé")), max_size=4))
def test_words_arrive_or_are_refused(words: list[str]) -> None:
    try:
        arguments = deadline10.arguments(words)
    except RequestError:
        assert any(re.search(r"\u201c|\\[\\$`]", word) for word in words)
    else:
        assert read(arguments) == words


def test_a_line_break_in_an_output_costs_the_monitors_link_alone(tmp_path: Path) -> None:
    job = bundle(tmp_path)
    odd = deadline10.job_info(
        type(job)(**{**vars(job), "outputs": ("/out/a\nb.%04d.exr", "/out/%d.exr")}), job.steps[1], Options()
    )
    assert [odd[key] for key in odd if key.startswith("Output")] == ["/out", "#.exr"]


def test_a_program_whose_blanks_deadline_would_drop_is_refused(tmp_path: Path) -> None:
    job = bundle(tmp_path)
    step = type(job.steps[0])("analyse", ("/opt/python ", "-m"), (), False)
    with pytest.raises(RequestError, match="drops blanks"):
        deadline10.plugin_info(job, step)


def test_goldens_hold_nothing_of_this_machine(tmp_path: Path) -> None:
    folder = Path(__file__).parent / "golden_farm"
    for file, word in itertools.product(folder.rglob("*.*"), (str(Path.home()), str(Path(__file__).parents[1]))):
        assert word not in file.read_text(encoding="utf-8")
