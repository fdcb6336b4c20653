from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.errors import PlateError, RequestError
from reage.job import Job, dump_job

LEAST = {"plate": "a.%04d.exr", "output": "b.%04d.exr", "age": 70}


def write(folder: Path, text: str) -> Path:
    file = folder / "job.yaml"
    file.write_text(text)
    return file


def test_a_job_file_resolves_paths_beside_itself(tmp_path: Path) -> None:
    job = Job.load(write(tmp_path, "version: 1\nplate: in/a.%04d.exr\noutput: /elsewhere/b.%04d.exr\nage: 70\n"))
    assert job.plate == str(tmp_path / "in/a.%04d.exr")
    assert job.output == "/elsewhere/b.%04d.exr"


def test_ages_per_face_are_a_mapping_in_a_job_file(tmp_path: Path) -> None:
    job = Job.load(write(tmp_path, "version: 1\nplate: a.exr\noutput: b.exr\nage: {1: 70, 2: '1001:30,1011:40'}\n"))
    (ages,) = job.target_ages()
    first, second = ages.of(1), ages.of(2)
    assert first is not None and second is not None and (first(1), second(1006)) == (70, 35)


def test_several_ages_are_several_outputs() -> None:
    job = Job.make(plate="a.exr", output="b_{age}.exr", ages=[20, 40.5])
    assert [str(ages.everyone) for ages in job.target_ages()] == ["20", "40.5"]


def test_every_default_is_printed_by_job_check() -> None:
    assert {"strength", "smooth", "on_missing", "model"} <= dump_job(Job.make(**LEAST)).keys()


@pytest.mark.parametrize(
    "fault",
    [
        {"agee": 3},
        {"strength": 2.5},
        {"strength": float("nan")},
        {"region": {"hair": 1}},
        {"region": {"jaw": -1}},
        {"face": "first"},
        {"frames": "1-10:2"},
        {"ages": [20]},
        {"age": None},
        {"age": "1001:30,1001:40"},
        {"age": 121},
        {"source_age": 130},
        {"device": "gpu"},
        {"batch": 0},
        {"smooth": -1},
        {"version": 2},
    ],
)
def test_a_wrong_option_is_refused_in_one_line(fault: dict[str, object]) -> None:
    with pytest.raises(RequestError) as refusal:
        Job.make(**{**LEAST, **fault})
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("fault", [{"age": {}}, {"ages": []}, {"ages": [70, 20, 70.0000001]}])
def test_no_age_and_an_age_twice_are_refused(fault: dict[str, object]) -> None:
    with pytest.raises(RequestError, match="age"):
        Job.make(plate="a.exr", output="b_{age}.exr", **fault)


def test_several_ages_need_a_place_in_the_output_name() -> None:
    with pytest.raises(RequestError, match=r"\{age\}"):
        Job.make(plate="a.exr", output="b.exr", ages=[20, 40])


@pytest.mark.parametrize(
    "text",
    [
        "plate: a.exr\noutput: b.exr\nage: 70\n",
        "version: 1\nplate: [\n",
        "- version\n",
        "version: 1\nplate: &a x\noutput: *a\nage: 70\n",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nversion: 1\n",
        "!!python/object/apply:os.system ['true']\n",
        "1: 2\n",
        "",
    ],
)
def test_what_is_not_a_job_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RequestError):
        Job.load(write(tmp_path, text))


def test_a_job_file_of_megabytes_is_refused_unread(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="1 MiB"):
        Job.load(write(tmp_path, "#" * (1 << 21)))


def test_a_missing_job_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PlateError):
        Job.load(tmp_path / "none.yaml")


@given(st.text(max_size=60))
def test_no_text_makes_the_job_reader_crash(text: str) -> None:
    try:
        Job.make(**{**LEAST, "frames": text, "age": text, "face": text})
    except RequestError as refusal:
        assert str(refusal)
