"""OpenCue: the job matches the golden one and Cuebot's document type, and every shell reads its commands alike."""

from __future__ import annotations

import ast
import importlib.resources
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import command
import pytest
from farm_bundle import HOSTILE, bundle, golden

from reage.errors import RequestError
from reage.farm import deadline10, opencue
from reage.farm.bundle import Bundle, write_bundle
from reage.farm.options import Options
from reage.job import Job

ORDER = {
    "spec": "facility dept show shot user email uid job depends",
    "job": "paused priority maxretries maxcores maxgpus autoeat localbook os env layers",
    "layers": "layer",
    "layer": "cmd range chunk cores threadable memory gpus gpu gpu_memory timeout timeout_llu tags limits env services "
    "outputs",
    "services": "service",
    "outputs": "output",
    "depends": "depend",
    "depend": "depjob deplayer depframe onjob onlayer onframe",
}
"""Children that Cuebot knows, in the order that it wants."""
NEEDED = {
    "spec": {"show", "shot", "user"},
    "layers": {"layer"},
    "layer": {"cmd", "range", "chunk"},
    "services": {"service"},
    "depend": {"depjob", "onjob"},
}
MANY = {"job", "layer", "depend", "service", "output"}
ATTRIBUTES = {"job": {"name"}, "layer": {"name", "type"}, "depend": {"type", "anyframe"}, "output": {"name"}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert tmp_path.is_dir()  # named by pytest after the true user
    for name in ("SHOW", "SHOT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "ada")


def written(job: Bundle, **options: object) -> ElementTree.Element:
    """The job as an XML parser reads it."""
    return ElementTree.fromstring(opencue.spec(job, Options(**options)).encode())


def check_structure(element: ElementTree.Element) -> None:
    """The rules of Cuebot's document type, as far as our jobs go."""
    order, found = ORDER.get(element.tag, "").split(), [child.tag for child in element]
    assert set(found) <= set(order), element.tag
    assert [order.index(tag) for tag in found] == sorted(order.index(tag) for tag in found), element.tag
    assert all(found.count(tag) == 1 for tag in set(found) - MANY), element.tag
    assert set(found) >= NEEDED.get(element.tag, set()), element.tag
    assert set(element.keys()) == ATTRIBUTES.get(element.tag, set())
    assert all(re.fullmatch(r"[\w.:-]+", value, re.ASCII) for value in element.attrib.values())
    assert not found or not (element.text or "").strip()
    for child in element:
        check_structure(child)


def words_of(shell: str, text: str, frames: str, folder: Path) -> list[str]:
    """What a program is given by a shell that runs a command, after Cuebot has put its values for its tokens."""
    for token in ("ZFRAME", "IFRAME", "FRAME_START", "FRAME_END", "FRAME_CHUNK", "LAYER", "JOB", "FRAME"):
        text = text.replace(f"#{token}#", "replaced")
    folder.mkdir(exist_ok=True)
    program = folder / "program"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(ascii(sys.argv[1:]))\n")
    program.chmod(0o755)
    script = folder / "frame"
    script.write_text(text.replace("#FRAMESPEC#", frames), encoding="utf-8")
    done = subprocess.run([shell, str(script)], capture_output=True, text=True, check=True, timeout=60)
    return [str(word) for word in ast.literal_eval(done.stdout)]


def dtd() -> Path:
    """Cuebot's document type, from where it may be at hand."""
    places = [Path(os.environ.get("REAGE_CUE_DTD", "/nowhere"))]
    for package in ("outline", "opencue"):
        if importlib.util.find_spec(package):
            places += Path(str(importlib.resources.files(package))).rglob("cjsl-1.15.dtd")
    found = [place for place in places if place.is_file()]
    if not found:
        pytest.skip("needs Cuebot's cjsl-1.15.dtd in $REAGE_CUE_DTD, or a package that holds it")
    return found[0]


JOBS = {
    "the usual": ({}, {}),
    "every option": ({}, {"pool": "show7", "group": "gpu", "priority": 60}),
    "no gpu": ({"gpu": False}, {}),
    "no outputs": ({"outputs": ()}, {}),
    "a name of signs alone": ({"name": "✓ \"'<&"}, {}),
    "one frame": ({"frames": (7,)}, {}),
}


def test_the_job_matches_the_golden_one(tmp_path: Path) -> None:
    told = list(opencue.submit(bundle(tmp_path), Options(group="gpu", priority=60, write_only=True)))
    (path,) = told[0]["files"]
    uid = str(os.getuid())
    assert Path(path).read_text(encoding="utf-8") == golden("opencue.xml", tmp_path, uid=uid)


@pytest.mark.parametrize("case", JOBS)
def test_a_job_has_the_structure_that_cuebot_wants(tmp_path: Path, case: str) -> None:
    change, options = JOBS[case]
    check_structure(written(replace(bundle(tmp_path), **change), **options))


@pytest.mark.parametrize("case", JOBS)
def test_a_job_is_valid_by_cuebots_document_type(tmp_path: Path, case: str) -> None:
    etree = pytest.importorskip("lxml.etree")
    change, options = JOBS[case]
    rules = etree.DTD(str(dtd()))
    text = opencue.spec(replace(bundle(tmp_path), **change), Options(**options))
    assert rules.validate(etree.fromstring(text.encode())), rules.error_log


def test_the_document_type_is_one_that_cuebot_finds_without_a_network(tmp_path: Path) -> None:
    assert '"http://localhost:8080/spcue/dtd/cjsl-1.15.dtd"' in opencue.spec(bundle(tmp_path), Options())


def test_layers_wait_for_their_forerunners_and_only_the_last_needs_no_gpu(tmp_path: Path) -> None:
    job = written(bundle(tmp_path))
    waits = [(depend.findtext("deplayer"), depend.findtext("onlayer")) for depend in job.iter("depend")]
    assert waits == [("render", "analyse"), ("finish", "render")]
    assert [layer.findtext("gpus") for layer in job.iter("layer")] == ["1", "1", None]


def test_frames_are_written_with_x_and_cut_by_cuebot(tmp_path: Path) -> None:
    layer = written(bundle(tmp_path, frames=(*range(1, 20, 2), 30))).findall("job/layers/layer")[1]
    assert (layer.findtext("range"), layer.findtext("chunk")) == ("1-19x2,30", "4")
    assert " --frames #FRAMESPEC# " in str(layer.findtext("cmd"))


@pytest.mark.parametrize("shell", ["sh", "bash", "dash", "tcsh", "zsh"])
def test_every_shell_gives_the_program_hostile_names_as_they_are(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    job = bundle(tmp_path, *HOSTILE)
    program = tmp_path / "odd $(place); x!" / "program"
    step = replace(job.steps[1], argv=(str(program), *job.steps[1].argv[1:]))
    layer = written(replace(job, steps=(job.steps[0], step, job.steps[2]))).findall("job/layers/layer")[1]
    words = words_of(shell, str(layer.findtext("cmd")), "1001-1004", program.parent)
    assert words == [*(w.replace("@FRAMES@", "1001-1004") for w in step.argv[1:]), "--progress", "plain"]


@pytest.mark.parametrize("word", ["a\nb", "a\tb", "\x1b[2J", "\0", "\udcff", "\ufffe"])
def test_what_xml_or_a_shell_cannot_hold_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(RequestError, match="use another name") as told:
        opencue.spec(bundle(tmp_path, word), Options())
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)


def test_a_bundle_can_be_made_anew_after_engines_wrote_into_it(tmp_path: Path) -> None:
    plate = command.write_plate(tmp_path, 2)
    job = Job.make(plate=plate, output=str(tmp_path / "out" / "a.%04d.exr"), age=70)
    made = write_bundle(job, tmp_path / "bundle", 2)
    for engine in (opencue, deadline10):
        list(engine.submit(made, Options(write_only=True)))
    assert write_bundle(job, tmp_path / "bundle", 1).chunk == 1


def test_without_the_package_the_job_is_written_and_how_to_launch_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "opencue", None)
    with pytest.raises(RequestError, match=r"opencue.*pip install.*nothing was launched.*opencue\.xml"):
        list(opencue.submit(bundle(tmp_path), Options()))
    assert (tmp_path / "opencue.xml").is_file()


def test_the_package_launches_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []
    api = SimpleNamespace(launchSpec=lambda text: given.append(text) or ["testing-default-ada_sh010"])
    monkeypatch.setitem(sys.modules, "opencue", SimpleNamespace(api=api))
    told = list(opencue.submit(bundle(tmp_path), Options()))
    assert told[-2]["job"] == "testing-default-ada_sh010"
    assert given == [(tmp_path / "opencue.xml").read_text(encoding="utf-8")]


def test_a_refusal_of_cuebot_is_told_with_the_host_that_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str) -> list[str]:
        raise ValueError("Cannot launch jobs as root.\nAt all.")

    monkeypatch.setenv("CUEBOT_HOSTS", "cue.example")
    monkeypatch.setitem(sys.modules, "opencue", SimpleNamespace(api=SimpleNamespace(launchSpec=refuse)))
    with pytest.raises(RequestError, match=r"cue\.example.*Cannot launch jobs as root"):
        list(opencue.submit(bundle(tmp_path), Options()))
