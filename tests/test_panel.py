"""The panel in real Qt, clicked through with the real worker behind it: see `panel_clickthrough.py`.

It runs in the Qt of this interpreter, and in each interpreter that REAGE_QT_PYTHONS names (as in PATH), for instance
one with PySide2 for Nuke 14 and 15. An interpreter without Qt is skipped by name.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import command
import pytest

SCRIPT = Path(__file__).with_name("panel_clickthrough.py")
CHECKS = [*re.findall(r"^    (\w+),$", SCRIPT.read_text().rpartition("CHECKS = [")[2], re.MULTILINE)]
RULES = "the_rules_of_nuke_are_kept"
PYTHONS = [sys.executable, *filter(None, os.environ.get("REAGE_QT_PYTHONS", "").split(os.pathsep))]
FRAMES = 14  # enough to be stopped in the middle of

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the worker's Python is wrapped in a shell script")


@lru_cache
def binding(python: str) -> str:
    """The Qt of an interpreter, with its version; empty where it has none."""
    code = (
        "try:\n import PySide6.QtWidgets, PySide6.QtTest; print('PySide6', PySide6.__version__)\n"
        "except ImportError:\n import PySide2.QtWidgets, PySide2.QtTest; print('PySide2', PySide2.__version__)"
    )
    told = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return told.stdout.strip()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Plates of a face in motion: whole, with a damaged frame, with a gap."""
    folder = tmp_path_factory.mktemp("plates")
    plates = {name: command.write_plate(folder / name, n) for name, n in (("plate", FRAMES), ("bad", 3), ("gap", 3))}
    damaged, gone = (Path(plates[name] % (command.FIRST + 1)) for name in ("bad", "gap"))
    damaged.write_bytes(damaged.read_bytes()[:2000])
    gone.unlink()
    ends = {"first": command.FIRST, "last": command.FIRST + FRAMES - 1}
    return {**plates, **ends, "size": [command.WIDTH, command.HEIGHT]}


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda python: binding(python) or "without Qt")
def told(
    request: pytest.FixtureRequest, settings: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the click-through tells of each check."""
    if not binding(request.param):
        pytest.skip(f"{request.param} has neither PySide6 nor PySide2")
    folder = tmp_path_factory.mktemp("panel")
    pictures = os.environ.get("REAGE_PANEL_PICTURES", "")
    file = folder / "settings.json"
    file.write_text(json.dumps({**settings, "folder": str(folder / "shot"), "pictures": pictures}))
    engine = folder / "python"  # a worker's environment drops PYTHONPATH, and the engine need not be installed
    engine.write_text(f'#!/bin/sh\nexport PYTHONPATH="{command.CORE}"\nexec "{sys.executable}" "$@"\n')
    engine.chmod(0o755)
    own = {
        "REAGE_PYTHON": str(engine),
        "REAGE_MODELS": str(folder / "models"),
        "REAGE_CONFIG": str(folder / "none.json"),
        "QT_QPA_PLATFORM": "offscreen",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": str(folder),
    }
    done = subprocess.run(
        [request.param, str(SCRIPT), str(file)],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize("check", [*CHECKS, RULES])
def test_clicked_through(told: dict[str, str], check: str) -> None:
    assert not told[check], told[check]


def test_every_check_is_told_of(told: dict[str, str]) -> None:
    assert set(told) == {*CHECKS, RULES} and len(CHECKS) > 20
