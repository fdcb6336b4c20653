"""Fixtures that more than one test module needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real footage and goldens, where the checkout has one beside it."""
    folder = Path(os.environ.get("REAGE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("needs ../shared (footage and goldens)")
    return folder
