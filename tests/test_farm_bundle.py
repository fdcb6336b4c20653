"""Bundles: what is in them, what is refused, and the commands that their tasks run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import command
import pytest
import yaml
from click.testing import CliRunner
from fake_worker import FakeWorker, empty_plate
from hypothesis import given
from hypothesis import strategies as st
from openjd.model import IntRangeExpr, StepParameterSpaceIterator, create_job, decode_job_template
from openjd.model import preprocess_job_parameters as preprocess

from reage.atomic import process_mark
from reage.errors import OutputError, PlateError, ReageError, RequestError
from reage.farm.bundle import FILES, FRAMES_TOKEN, read_bundle, seen_from, write_bundle
from reage.farm.command import ENGINES, farm
from reage.farm.ranges import LONGEST, openjd_range, read_openjd_range
from reage.job import Job
from reage.sequence import parse_range


def job_for(folder: Path, **more: Any) -> Job:
    """A job on frames 1 to 12 of a plate that nobody reads."""
    plate = more.pop("plate", None) or empty_plate(folder / "plate", range(1, 13))
    return Job.make(**{"plate": plate, "output": str(folder / "out" / "a.%04d.exr"), "age": 70, **more})


def openjd_job(bundle: Path) -> tuple[Any, dict[str, Any]]:
    """The bundle as Open Job Description's own library reads it, and its parameters."""
    template = decode_job_template(
        template=yaml.safe_load((bundle / "template.yaml").read_text()), supported_extensions=["TASK_CHUNKING"]
    )
    listed = yaml.safe_load((bundle / "parameter_values.yaml").read_text())["parameterValues"]
    values = {entry["name"]: str(entry["value"]) for entry in listed}
    filled = preprocess(
        job_template=template, job_parameter_values=values, job_template_dir=bundle, current_working_dir=bundle
    )
    return create_job(job_template=template, job_parameter_values=filled), values


# ---- ranges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nuke", "chunk", "openjd"),
    [
        ("1-10", 4, "1-10"),
        ("1-5,3-8", 4, "1-8"),
        ("1-10x2", 1, "1-9:2"),
        ("1-10x2", 50, "1-9"),  # five chunks of one frame would load the model five times
        ("1001-1010,1020-1030x5", 4, "1001-1010,1020-1030:5"),
        ("-5--1", 4, "-5--1"),
        ("7", 50, "7"),
        ("1-100,5000-5100", 50, "1-100,5000-5100"),
    ],
)
def test_ranges_change_their_dialect(nuke: str, chunk: int, openjd: str) -> None:
    assert openjd_range(parse_range(nuke), chunk) == openjd


@given(st.sets(st.integers(-200, 3000), min_size=1), st.integers(1, 60))
def test_every_range_is_one_for_openjd_and_lacks_no_frame(frames: set[int], chunk: int) -> None:
    text = openjd_range(sorted(frames), chunk)
    assert len(text) <= LONGEST
    there = list(IntRangeExpr.from_str(text))
    assert set(there) >= frames and there == read_openjd_range(text)
    assert {there[0], there[-1]} == {min(frames), max(frames)}


def test_a_list_too_long_for_a_parameter_is_widened_until_it_fits() -> None:
    frames = [frame + frame % 7 for frame in range(1, 100_000, 100)]
    text = openjd_range(sorted(frames), 2)
    assert len(text) <= LONGEST and set(read_openjd_range(text)) >= set(frames)


# ---- what is in a bundle ---------------------------------------------------------------------------------------------


def test_openjd_takes_the_bundle_with_and_without_its_values(tmp_path: Path) -> None:
    write_bundle(job_for(tmp_path), tmp_path / "b", 4)
    for verb in ("check", "summary"):
        words = [sys.executable, "-m", "openjd", verb, str(tmp_path / "b" / "template.yaml")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "Total tasks: 14" in done.stdout
    job, _ = openjd_job(tmp_path / "b")
    assert [step.name for step in job.steps] == ["analyse", "render", "finish"]
    assert [[d.dependsOn for d in step.dependencies or ()] for step in job.steps] == [[], ["analyse"], ["render"]]
    tasks = StepParameterSpaceIterator(space=job.steps[1].parameterSpace)
    assert [task["Frames"].value for task in tasks] == ["1-4", "5-8", "9-12"]
    for step in job.steps:
        action = step.script.actions.onRun
        assert action.cancelation.mode.value == "NOTIFY_THEN_TERMINATE"
        assert [str(word) for word in action.args][-2:] == ["--progress", "openjd"]


def test_a_bundle_reads_back_as_it_was_written_and_its_commands_name_every_path(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "m.1.exr").touch()
    (tmp_path / "face.dat").touch()
    (tmp_path / "c.ocio").touch()
    paths = {"landmarks": str(tmp_path / "face.dat"), "ocio": str(tmp_path / "c.ocio")}
    job = job_for(tmp_path, holdout=str(tmp_path / "m" / "m.%d.exr") + ":matte.A", **paths)
    made = write_bundle(job, tmp_path / "b", 5, movie=str(tmp_path / "a.mov"), sheet=str(tmp_path / "a.png"))
    assert made == read_bundle(tmp_path / "b") and made.frames == tuple(range(1, 13)) and made.chunk == 5
    assert [(step.name, step.depends, step.chunked) for step in made.steps] == [
        ("analyse", (), False),
        ("render", ("analyse",), True),
        ("finish", ("render",), False),
    ]
    render, finish = made.steps[1].argv, made.steps[2].argv
    assert render[:6] == (sys.executable, "-m", "reage", "farm", "render", "--job")
    assert render[-2:] == ("--frames", FRAMES_TOKEN) and "--movie" not in render
    named = dict(zip(finish[5::2], finish[6::2], strict=True))
    wanted = ["job", "plate", "output", "tracks", "holdout", "landmarks", "ocio", "movie", "sheet"]
    assert list(named) == [f"--{name}" for name in wanted]
    assert all(Path(path).is_absolute() for path in named.values())
    assert named["--holdout"].endswith("m.%d.exr:matte.A")
    assert {Path(path).name for path in made.inputs} >= {"p.1.exr", "p.12.exr", "m.1.exr", "face.dat", "job.yaml"}
    assert made.outputs == (job.output, str(tmp_path / "a.mov"), str(tmp_path / "a.png"))


def test_paths_are_mapped_by_openjd(tmp_path: Path) -> None:
    write_bundle(job_for(tmp_path, device="cpu"), tmp_path / "b", 4)
    worker = FakeWorker(tmp_path / "b", tmp_path / "notes")
    listed = yaml.safe_load((tmp_path / "b" / "parameter_values.yaml").read_text())["parameterValues"]
    (tmp_path / "values.json").write_text(json.dumps({entry["name"]: entry["value"] for entry in listed}))
    rule = {"source_path_format": "POSIX", "source_path": str(tmp_path / "plate"), "destination_path": "/mnt/p"}
    rules = json.dumps({"version": "pathmapping-1.0", "path_mapping_rules": [rule]})
    words = ["openjd", "run", str(tmp_path / "b" / "template.yaml"), "--step", "analyse", "--path-mapping-rules", rules]
    done = subprocess.run(
        [sys.executable, "-m", *words, "-p", f"file://{tmp_path / 'values.json'}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    words = worker.calls[0]["words"]
    assert words[words.index("--plate") + 1] == "/mnt/p/p.%d.exr"
    assert words[words.index("--output") + 1] == str(tmp_path / "out" / "a.%04d.exr")


def test_the_job_file_is_the_job_and_moves_with_its_folder(tmp_path: Path) -> None:
    job = job_for(
        tmp_path, age={1: "70", 2: "1:30,12:60"}, frames="2-9", region={"nose": 0.5}, on_error="skip", strength=1.5,
        layers=True,
    )  # fmt: skip
    write_bundle(job, tmp_path / "b", 4)
    tracks = str(tmp_path / "out" / "a.tracks.json")
    loaded = Job.load(tmp_path / "b" / "job.yaml")
    resolved = {name: os.path.normpath(getattr(loaded, name)) for name in ("plate", "output", "tracks")}
    assert loaded.model_copy(update=resolved) == job.model_copy(update={"tracks": tracks})
    tmp_path.rename(tmp_path.with_name(tmp_path.name + "_moved"))
    moved = tmp_path.with_name(tmp_path.name + "_moved")
    there = os.path.normpath(Job.load(moved / "b" / "job.yaml").plate)
    assert there == str(moved / "plate" / "p.%d.exr")


def test_a_path_seen_from_a_folder_follows_links(tmp_path: Path) -> None:
    deep = tmp_path / "far" / "away" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep)
    (tmp_path / "plate").mkdir()
    seen = seen_from(tmp_path / "link", str(tmp_path / "plate" / "p.%d.exr"))
    assert (tmp_path / "link" / seen).parent.resolve() == (tmp_path / "plate").resolve()
    assert seen_from(Path("/one/b"), "/two/p.exr") == "/two/p.exr"


@pytest.mark.parametrize(("device", "gpu"), [("cuda", True), ("cuda:1", True), ("auto", False), ("cpu", False)])
def test_a_gpu_is_asked_for_where_the_job_asks_for_one(tmp_path: Path, device: str, gpu: bool) -> None:
    made = write_bundle(job_for(tmp_path, device=device), tmp_path / "b", 4)
    template = yaml.safe_load((tmp_path / "b" / "template.yaml").read_text())
    wants = [step.get("hostRequirements") for step in template["steps"]]
    need = {"amounts": [{"name": "amount.worker.gpu", "min": 1}]} if gpu else None
    assert made.gpu is gpu and wants == [need, need, None]


def test_the_colour_config_of_this_machine_goes_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "show.ocio").touch()
    monkeypatch.setenv("OCIO", str(tmp_path / "show.ocio"))
    made = write_bundle(job_for(tmp_path), tmp_path / "b", 4)
    assert made.steps[1].argv[made.steps[1].argv.index("--ocio") + 1] == str(tmp_path / "show.ocio")
    monkeypatch.setenv("OCIO", "ocio://default")
    made = write_bundle(job_for(tmp_path, plate=str(tmp_path / "plate" / "p.%d.exr")), tmp_path / "b", 4)
    assert "--ocio" not in made.steps[1].argv and Job.load(tmp_path / "b" / "job.yaml").ocio == "ocio://default"


def test_tracks_that_are_there_are_carried_to_the_farm(tmp_path: Path) -> None:
    flows = []
    for _ in range(2):
        job = job_for(tmp_path, plate=None if not flows else str(tmp_path / "plate" / "p.%d.exr"))
        write_bundle(job, tmp_path / "b", 4)
        template = yaml.safe_load((tmp_path / "b" / "template.yaml").read_text())
        flows += [d["dataFlow"] for d in template["parameterDefinitions"] if d["name"] == "Tracks"]
        (tmp_path / "out").mkdir(exist_ok=True)
        (tmp_path / "out" / "a.tracks.json").touch()
    assert flows == ["OUT", "INOUT"]


def test_frames_that_the_plate_lacks_are_settled_when_the_bundle_is_written(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    (tmp_path / "plate" / "p.5.exr").unlink()
    with pytest.raises(PlateError, match="frames 5 are missing"):
        write_bundle(job, tmp_path / "b", 4)
    made = write_bundle(job.model_copy(update={"on_missing": "skip"}), tmp_path / "b", 4)
    assert made.frames == (1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 12)
    assert Job.load(tmp_path / "b" / "job.yaml").frames == "1-12"


def test_values_edited_by_hand_count(tmp_path: Path) -> None:
    write_bundle(job_for(tmp_path), tmp_path / "b", 4)
    file = tmp_path / "b" / "parameter_values.yaml"
    file.write_text(file.read_text().replace("value: 1-12", "value: 3-5").replace("value: 4", "value: 2"))
    made = read_bundle(tmp_path / "b")
    assert made.frames == (3, 4, 5) and made.chunk == 2


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words", "fault"),
    [
        ({"output": "a.mov"}, {}, "cannot share one movie; write frames"),
        ({"output": "a.exr"}, {}, "no frame token"),
        ({"output": "a.%04d.png", "layers": True}, {}, "--layers needs EXR"),
        ({"stills": True}, {}, "run them without a farm"),
        ({"age": None, "ages": [20, 30], "output": "a_{age}.%d.exr"}, {"movie": "a.mov"}, "need {age}"),
        ({}, {"movie": "a.gif"}, "end its name in .mkv, .mov, .mp4"),
        ({}, {"sheet": "a.exr"}, "end its name in .png"),
        ({"output": "o" * 1100 + ".%d.exr"}, {}, "longer than the 1024"),
        ({}, {"movie": "o\udcff.mov"}, "not Unicode"),
    ],
)
def test_what_is_no_job_for_a_farm_is_refused_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], words: dict[str, str], fault: str
) -> None:
    monkeypatch.chdir(tmp_path)
    job = job_for(tmp_path, **fields)
    with pytest.raises(ReageError, match=fault):
        write_bundle(job, tmp_path / "b", 4, **words)
    assert not (tmp_path / "b").exists()


def test_the_plate_is_never_an_output(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is the input"):
        write_bundle(job_for(tmp_path, output=str(tmp_path / "plate" / "p.%d.exr")), tmp_path / "b", 4)


@pytest.mark.parametrize("name", ["a.mov", "a.png"])
def test_a_movie_or_a_sheet_that_is_none_of_ours_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"somebody's")
    extra = {"movie" if name == "a.mov" else "sheet": str(tmp_path / name)}
    with pytest.raises(OutputError, match="not made by reage"):
        write_bundle(job_for(tmp_path), tmp_path / "b", 4, **extra)
    plate = str(tmp_path / "plate" / "p.%d.exr")
    assert write_bundle(job_for(tmp_path, plate=plate, overwrite=True), tmp_path / "b", 4, **extra).outputs[1:]


def test_a_folder_that_is_none_of_ours_is_not_touched(tmp_path: Path) -> None:
    job, folder = job_for(tmp_path), tmp_path / "b"
    folder.mkdir()
    (folder / "template.yaml").write_text("steps: []")
    with pytest.raises(OutputError, match="not a bundle"):
        write_bundle(job, folder, 4)
    (folder / "template.yaml").rename(folder / "notes.txt")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_bundle(job, folder, 4)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    (folder / "notes.txt").unlink()
    write_bundle(job, folder, 4)
    (folder / "deadline10").mkdir()
    write_bundle(job, folder, 6)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES) and read_bundle(folder).chunk == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "plate"]


def test_a_disk_that_fails_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(job_for(tmp_path), tmp_path / "b", 4)
    before = (tmp_path / "b" / "template.yaml").read_text()
    write_text = Path.write_text

    def failing(path: Path, *words: Any, **more: Any) -> int:
        if path.name == "asset_references.yaml":
            raise OSError(28, "No space left on device")
        return write_text(path, *words, **more)

    monkeypatch.setattr(Path, "write_text", failing)
    for name in ("b", "new"):
        with pytest.raises(OutputError, match="No space left"):
            write_bundle(job_for(tmp_path, plate=str(tmp_path / "plate" / "p.%d.exr")), tmp_path / name, 6)
    assert (tmp_path / "b" / "template.yaml").read_text() == before and read_bundle(tmp_path / "b").chunk == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "plate"]


def test_a_folder_that_holds_no_bundle_and_an_engine_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="not a bundle"):
        read_bundle(tmp_path)
    write_bundle(job_for(tmp_path), tmp_path / "b", 4)
    done = CliRunner().invoke(farm, ["submit", str(tmp_path / "b"), "--engine", "tractor"])
    assert isinstance(done.exception, RequestError) and all(name in str(done.exception) for name in ENGINES)


# ---- the commands of the tasks ---------------------------------------------------------------------------------------


def make_bundle(folder: Path, plate: str, *more: object) -> Path:
    words = ["farm", "bundle", plate, "-o", folder / "out" / "a.%04d.exr", "--age", "70"]
    done = command.reage(*words, "--bundle", folder / "job", "--chunk", "3", *more)
    assert done.code == 0, done.err
    return folder / "job" / "job.yaml"


def task(name: str, job: Path, *more: object) -> command.Done:
    return command.reage("farm", name, "--job", job, *more, "--progress", "json")


def with_tracks(job: Path, once: Path) -> Path:
    """A bundle whose plate is analysed already."""
    (job.parents[1] / "out").mkdir()
    (job.parents[1] / "out" / "a.tracks.json").write_bytes((once / "a.tracks.json").read_bytes())
    return job


def test_a_dry_run_writes_nothing(plate: str, tmp_path: Path) -> None:
    words = ["farm", "bundle", plate, "-o", tmp_path / "a.%04d.exr", "--age", "70", "--bundle", tmp_path / "b"]
    done = command.reage(*words, "--dry-run")
    assert done.code == 0 and "6 frames (1001-1006)" in done.err and list(tmp_path.iterdir()) == []


def test_the_tasks_one_by_one_make_what_a_plain_run_makes(plate: str, once: Path, tmp_path: Path) -> None:
    job, out = make_bundle(tmp_path, plate), tmp_path / "out"
    assert task("analyse", job).code == 0
    stamp = (out / "a.tracks.json").stat().st_mtime_ns
    assert task("analyse", job).code == 0 and (out / "a.tracks.json").stat().st_mtime_ns == stamp  # it fits
    assert task("render", job, "--frames", "1004-1006").code == 0
    assert task("render", job, "--frames", "1001-1003").code == 0
    assert len(list(out.glob("a.manifest.*.jsonl"))) == 2 and not (out / "a.manifest.jsonl").exists()
    done = task("finish", job, "--movie", tmp_path / "a.mkv", "--sheet", tmp_path / "a.png")
    assert done.code == 0, done.err
    assert command.contents(out) == command.contents(once) and command.booked(out) == command.booked(once)
    assert command.strays(out) == [] and not list(out.glob("a.manifest.*.jsonl"))
    end = done.events[-1]
    assert end["event"] == "done" and end["counts"] == {"aged": 6} and end["rerender"] == ""
    assert sum(end["hosts"].values()) == 6 and len(end["slowest"]) == 5 and len(end["model_sha256"]) == 64
    assert (tmp_path / "a.mkv").stat().st_size > 10_000 and (tmp_path / "a.png").stat().st_size > 10_000
    make_bundle(tmp_path, plate, "--movie", tmp_path / "a.mkv", "--sheet", tmp_path / "a.png")  # they are ours
    again = task("finish", job, "--movie", tmp_path / "a.mkv", "--sheet", tmp_path / "a.png")
    assert again.code == 0 and again.events[-1]["settings"] == end["settings"]


def test_a_chunk_takes_what_the_job_names_and_no_more(plate: str, once: Path, tmp_path: Path) -> None:
    job = with_tracks(make_bundle(tmp_path, plate, "--frames", "1001-1006x2"), once)
    assert task("render", job, "--frames", "1002-1004").states() == {1003: "aged"}
    assert task("render", job, "--frames", "1003-1006:1").states() == {1003: "skipped", 1005: "aged"}
    done = task("render", job, "--frames", "1006-1099")
    assert done.code == 0 and done.states() == {}
    assert set(command.contents(tmp_path / "out")) == {"a.1003.exr", "a.1005.exr"}


def test_what_is_wrong_with_frames_is_found_and_listed(plate: str, once: Path, tmp_path: Path) -> None:
    job, out = with_tracks(make_bundle(tmp_path, plate), once), tmp_path / "out"
    for file in once.glob("a.1*.exr"):
        (out / file.name).write_bytes(file.read_bytes())
    (out / "a.1002.exr").unlink()
    (out / "a.1003.exr").write_bytes((once / "a.1003.exr").read_bytes()[:9000])
    older = command.reage(
        "render", plate, "--tracks", out / "a.tracks.json", "-o", out / "a.%04d.exr", "--age", "30", "--frames", "1005"
    )
    assert older.code == 0
    done = task("finish", job)
    assert done.code == 1 and done.last == (
        "reage: 3 of 6 frames are not done: 1002-1003,1005; run the job again, or these frames of it"
    )
    found = next(event for event in done.events if event["event"] == "summary")["frames"]
    assert found == {"damaged": "1003", "absent": "1002", "stale": "1005", "aged": "1001,1004,1006"}
    assert task("render", job, "--frames", "1001-1006").states() == {
        **dict.fromkeys((1001, 1004, 1006), "skipped"),
        **dict.fromkeys((1002, 1003, 1005), "aged"),
    }
    assert task("finish", job).code == 0 and command.contents(out) == command.contents(once)
    assert command.booked(out) == command.booked(once)


def test_a_frame_that_fails_is_told_and_the_others_are_those_of_a_plain_run(
    plate: str, once: Path, tmp_path: Path
) -> None:
    shot = tmp_path / "plate"
    shot.mkdir()
    for frame in range(command.FIRST, command.FIRST + 6):
        (shot / f"p.{frame}.exr").write_bytes(Path(plate % frame).read_bytes())
    (shot / "p.1005.exr").write_bytes(Path(plate % 1005).read_bytes()[:5000])
    pattern, skip = str(shot / "p.%04d.exr"), ["--on-error", "skip"]
    job = with_tracks(make_bundle(tmp_path, pattern, *skip), once)
    words = [pattern, "--tracks", tmp_path / "out" / "a.tracks.json", "--age", "70", *skip]
    plain = command.reage("render", *words, "-o", tmp_path / "once" / "a.%04d.exr")
    codes = [task("render", job, "--frames", chunk).code for chunk in ("1001-1003", "1004-1006")]
    done = task("finish", job)
    assert plain.code == 1 and codes == [0, 1] and done.code == 1
    assert command.contents(tmp_path / "out") == command.contents(tmp_path / "once")
    assert command.booked(tmp_path / "out") == command.booked(tmp_path / "once")
    assert done.last.startswith("reage: 1 of 6 frames are not done: 1005;")
    assert any("frame 1005 is failed" in e["message"] for e in done.events if e["event"] == "warning")


def test_frames_that_the_plate_lacks_are_booked_at_the_end(plate: str, once: Path, tmp_path: Path) -> None:
    shot = tmp_path / "plate"
    shot.mkdir()
    for frame in (1001, 1002, 1005, 1006):
        (shot / f"p.{frame}.exr").write_bytes(Path(plate % frame).read_bytes())
    job = with_tracks(make_bundle(tmp_path, str(shot / "p.%04d.exr"), "--on-missing", "skip"), once)
    codes = [task("render", job, "--frames", chunk).code for chunk in ("1001-1002", "1003-1004", "1005-1006")]
    done = task("finish", job)
    assert codes == [0, 0, 0] and done.code == 0
    assert done.events[-1]["frames"] == {"missing": "1003-1004", "aged": "1001-1002,1005-1006"}
    states = {frame: state for frame, (state, _) in command.booked(tmp_path / "out").items()}
    assert states == {1001: "aged", 1002: "aged", 1003: "missing", 1004: "missing", 1005: "aged", 1006: "aged"}


def test_two_workers_on_one_chunk_do_no_harm(plate: str, once: Path, tmp_path: Path) -> None:
    job, out = with_tracks(make_bundle(tmp_path, plate), once), tmp_path / "out"
    running = [command.start("farm", "render", "--job", job, "--frames", "1001-1006") for _ in range(2)]
    assert [process.end().code for process in running] == [0, 0]
    assert task("finish", job).code == 0
    assert command.contents(out) == command.contents(once) and command.booked(out) == command.booked(once)
    assert command.strays(out) == []


def test_a_killed_worker_s_frames_stay_and_its_litter_goes_but_not_that_of_the_living(
    plate: str, once: Path, tmp_path: Path
) -> None:
    job, out = with_tracks(make_bundle(tmp_path, plate), once), tmp_path / "out"
    words = ["farm", "render", "--job", job, "--frames", "1001-1006", "--progress", "json"]
    running = command.start(*words)
    running.wait_for(lambda: '"aged"' in running.told() and list(out.glob(".a.*.tmp.exr")))
    running.signal(signal.SIGKILL)
    running.end()
    kept = set(command.contents(out))
    alive = out / f".a.1006.exr.{process_mark()}.00c0ffee.tmp.exr"
    elsewhere = out / ".a.1006.exr.another-host.1.00c0ffee.tmp.exr"
    for file in (alive, elsewhere):
        file.touch()
    done = command.reage(*words)
    skipped = {f"a.{frame}.exr" for frame, state in done.states().items() if state == "skipped"}
    assert kept and skipped == kept and task("finish", job).code == 0
    assert command.contents(out) == command.contents(once)
    assert set(command.strays(out)) == {alive.name, elsewhere.name}


def test_each_task_keeps_a_log_of_its_own(plate: str, once: Path, tmp_path: Path) -> None:
    job = with_tracks(make_bundle(tmp_path, plate, "--log", tmp_path / "shot.log"), once)
    assert task("render", job, "--frames", "1001-1001").code == 0
    assert sorted(path.name for path in tmp_path.glob("*.log")) == ["shot.1001-1001.log"]
