"""Fixtures that more than one test module needs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and goldens, where the checkout has one beside it."""
    folder = Path(os.environ.get("REAGE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("needs ../shared (footage and goldens)")
    return folder


@pytest.fixture(scope="session")
def plate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Pattern of six small EXR frames with a real face; `command.reage` may be called while it is there."""
    import command

    with command.nursery():
        yield command.write_plate(tmp_path_factory.mktemp("plate"), 6)


@pytest.fixture(scope="session")
def first_run(plate: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One undisturbed `python -m reage run` of that plate to 70 years: its folder, and what it said."""
    import command

    folder = tmp_path_factory.mktemp("once") / "out"
    words = ["run", plate, "-o", str(folder / "a.%04d.exr"), "--age", "70", "--progress", "json"]
    return folder, command.fresh(*words)


@pytest.fixture(scope="session")
def once(first_run: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    """The folder of the undisturbed run."""
    return first_run[0]
