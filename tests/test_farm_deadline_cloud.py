"""Deadline Cloud: its own package reads our bundles, and its command is given the bundle as it is."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import command
import pytest
import yaml
from farm_bundle import bundle as made_up

from reage.errors import RequestError
from reage.farm import deadline_cloud
from reage.farm.bundle import Bundle, write_bundle
from reage.farm.options import Options
from reage.job import Job

LOADER = """
import json, sys
from deadline.client.job_bundle import loader, parameters
folder = sys.argv[1]
loader.validate_directory_symlink_containment(folder)
listed = parameters.read_job_bundle_parameters(folder)
assets = loader.read_yaml_or_json_object(folder, "asset_references", required=True)
for parameter in listed:
    if "value" in parameter and "type" in parameter:
        parameters.validate_job_parameter_value(parameter, parameter["value"])
print(json.dumps({"parameters": listed, "assets": assets}))
"""
FAKE = """#!/bin/sh
printf '%s\\n' "$@" > "$BOOK"
[ -n "$HANGS" ] && { echo "Uploading"; exec sleep 40; }
[ -n "$REFUSES" ] && { echo "Missing --farm-id or default Farm ID configuration"; exit 1; }
echo "Submitting to Queue: comp"
echo "Submitted job bundle:"
echo "Job creation completed successfully"
echo "job-0123456789abcdef0123456789abcdef"
"""


@pytest.fixture(scope="module", params=["sh010", "a b; touch x #", 'it\'s "$(id)"', "ünï ✓", "-o {{Param.Name}}"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a real plate in folders of hostile names."""
    folder = tmp_path_factory.mktemp("farm") / request.param
    plate = command.write_plate(folder, 3)
    job = Job.make(plate=plate, output=str(folder / "out" / "a.%04d.exr"), age=70)
    return write_bundle(job, folder / "bundle", 2)


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for `deadline` on PATH; answers where it notes its arguments."""
    program = tmp_path / "bin" / "deadline"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("BOOK", str(tmp_path / "words"))
    return tmp_path / "words"


def deadlines_python() -> str:
    """An interpreter that has the deadline package."""
    named = os.environ.get("REAGE_DEADLINE_PYTHON")
    if named is None and importlib.util.find_spec("deadline") is None:
        pytest.skip("needs the deadline package: in $REAGE_DEADLINE_PYTHON, or here")
    return named or sys.executable


def loaded(folder: Path) -> dict[str, Any]:
    """What deadline's own loader makes of a bundle."""
    words = [deadlines_python(), "-c", LOADER, str(folder)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_deadlines_own_loader_reads_a_bundle_with_every_value(bundle: Bundle) -> None:
    read = loaded(bundle.folder)
    given = yaml.safe_load((bundle.folder / "parameter_values.yaml").read_text(encoding="utf-8"))["parameterValues"]
    values = {parameter["name"]: parameter.get("value") for parameter in read["parameters"]}
    assert {value["name"]: value["value"] for value in given}.items() <= values.items()
    assert all("type" in p or p["name"].startswith("deadline:") for p in read["parameters"])
    references = read["assets"]["assetReferences"]
    assert set(bundle.inputs) <= set(references["inputs"]["filenames"])
    assert all(Path(name).is_file() for name in references["inputs"]["filenames"])
    assert references["outputs"]["directories"] == [str(Path(bundle.outputs[0]).parent)]


@pytest.mark.parametrize("bundle", ["sh010"], indirect=True)
def test_priority_that_is_written_into_a_bundle_is_read(bundle: Bundle, tmp_path: Path) -> None:
    for file in bundle.folder.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "parameter_values.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    values["parameterValues"].append({"name": "deadline:priority", "value": 60})
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    assert {"name": "deadline:priority", "value": 60} in loaded(tmp_path)["parameters"]


def test_the_command_is_given_the_folder_and_the_options(tmp_path: Path, book: Path) -> None:
    job = made_up(tmp_path / "a b; touch x #")
    told = list(deadline_cloud.submit(job, Options(pool="queue-1", priority=60)))
    words = ["bundle", "submit", "--yes", "--queue-id", "queue-1", "--priority", "60", str(job.folder)]
    assert book.read_text().splitlines() == words
    assert [event["job"] for event in told if "job" in event] == ["job-0123456789abcdef0123456789abcdef"]


def test_a_refusal_is_an_error_in_the_commands_own_words(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REFUSES", "1")
    with pytest.raises(RequestError, match=r"exit 1.*Missing --farm-id"):
        list(deadline_cloud.submit(made_up(tmp_path), Options()))


def test_the_command_is_stopped_when_nobody_listens_any_more(
    tmp_path: Path, book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANGS", "1")
    told = deadline_cloud.submit(made_up(tmp_path), Options())
    assert next(told)["message"] == "Uploading"
    started = time.monotonic()
    told.close()
    assert time.monotonic() - started < 20


def test_write_only_tells_the_command_and_starts_nothing(tmp_path: Path, book: Path) -> None:
    told, _ = deadline_cloud.submit(made_up(tmp_path / "it's"), Options(write_only=True))
    assert "deadline bundle submit --yes" in told["message"]
    assert not book.exists()


def test_a_command_that_is_not_here_is_named_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match=r"'deadline' is not on PATH: pip install deadline.*nothing was submitted"):
        list(deadline_cloud.submit(made_up(tmp_path), Options()))


def test_a_group_is_refused_as_deadline_cloud_has_none(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--group"):
        list(deadline_cloud.submit(made_up(tmp_path), Options(group="gpu")))
