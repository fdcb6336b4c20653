"""The check that customers run in their Nuke: against the fake it passes, and what differs is told."""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import fake_nuke
import pytest
from fake_nuke import State

FILE = Path(__file__).parent / "nuke_live" / "check_in_nuke.py"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    monkeypatch.delenv("OCIO", raising=False)
    with fake_nuke.installed(gui=False) as state:
        yield state


@pytest.fixture
def check(session: State) -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_in_nuke", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def states(found: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["state"] for each in found["checks"]}


def test_the_fake_passes_every_check_that_needs_no_pixels(check: ModuleType) -> None:
    found = check.run(render=False, worker=False)
    assert [each for each in found["checks"] if each["state"] == "FAIL"] == []
    skipped = {name for name, state in states(found).items() if state == "skip"}
    assert skipped == {"panel", "progress_task", "our exr"}
    assert len(states(found)) == len(found["checks"]) > 25


def test_nothing_is_left_in_the_script(check: ModuleType) -> None:
    import nuke

    keeper = nuke.nodes.Read()
    check.run(render=False, worker=False)
    assert nuke.allNodes() == [keeper]
    assert nuke.frame() == 1


def test_it_prints_one_json_document_and_a_summary(check: ModuleType, capsys: Any, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    assert check.main(["--no-render", "--no-worker", "--out", str(out), "-t"]) == 0
    printed = capsys.readouterr().out
    found, end = json.JSONDecoder().raw_decode(printed)
    assert json.loads(out.read_text()) == found
    assert found["about"]["nuke"] == "15.0v1"
    assert printed[end:].strip().splitlines()[-1].endswith("3 skipped, 0 FAILED")


@pytest.mark.parametrize(
    ("place", "name", "other", "check_name"),
    [
        ("fake_nuke.nodes.Node", "__getitem__", lambda self, name: None, "missing_knob"),
        ("fake_nuke.nodes.Node", "_attached", lambda self: None, "deleted_node"),
        ("fake_nuke.knobs.File_Knob", "getEvaluatedValue", lambda self, oc=None: self._value, "views_in_files"),
        ("fake_nuke.nodes.FrameRanges", "toFrameList", lambda self: [1, 20], "frame_ranges"),
        ("fake_nuke.knobs.Enumeration_Knob", "_taken", lambda self, val: val, "enumerations"),
    ],
)
def test_a_nuke_that_behaves_otherwise_is_told(
    check: ModuleType, monkeypatch: pytest.MonkeyPatch, place: str, name: str, other: Any, check_name: str
) -> None:
    monkeypatch.setattr(f"{place}.{name}", other)
    report = check.Report()
    report.check(check_name, getattr(check, check_name))
    assert report.checks[0]["state"] == "FAIL"
    assert report.failed() == 1


def test_a_gizmo_that_lost_a_knob_is_told(check: ModuleType, monkeypatch: pytest.MonkeyPatch, session: State) -> None:
    file = check.GIZMOS[0]
    check.modules_load()
    assert "knobs" in check.gizmo_loads(file)
    monkeypatch.setattr("fake_nuke.nodes.read_gizmo", lambda text: (4, []))
    with pytest.raises(AssertionError, match="mix"):
        check.gizmo_loads(file)


def test_the_real_worker_says_hello_and_goes(check: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    check.modules_load()
    monkeypatch.setenv("REAGE_PYTHON", sys.executable)
    monkeypatch.setenv("REAGE_WORKER_KEEP", "PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", str(FILE.parents[2] / "core"))
    assert "log" in check.worker_says_hello()
    monkeypatch.setenv("PYTHONPATH", str(FILE.parent))
    monkeypatch.delenv("REAGE_PYTHON")
    monkeypatch.setenv("REAGE_CONFIG", "/nowhere/settings.json")
    with pytest.raises(ValueError, match="not installed"):
        check.worker_says_hello()


def test_it_runs_in_the_python_of_nuke_14() -> None:
    ast.parse(FILE.read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {
        name.name.split(".")[0] for node in ast.walk(ast.parse(FILE.read_text())) if isinstance(node, ast.Import)
        for name in node.names
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names | {"nuke"}
