"""What the panel reads from the engine's list of models."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage.models_command import models
from reage.store import registry
from reage_nuke import catalogue


def test_what_the_engine_lists_the_panel_reads_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGE_MODELS", str(tmp_path))
    listed = CliRunner().invoke(models, ["list"]).output
    read = {model.name: model for model in catalogue.parsed(listed)}
    assert set(read) == {catalogue.EMBEDDED, *registry()}
    assert read[catalogue.EMBEDDED].usable and "Apache-2.0" in read[catalogue.EMBEDDED].licence
    for name, entry in registry().items():
        assert (read[name].family, read[name].licence, read[name].usable) == (entry.family, entry.licence, False)
        assert read[name].restricted is not entry.commercial


def test_a_plain_licence_is_no_warning() -> None:
    assert not catalogue.Model("m", "fran", "installed", "MIT").restricted
    assert catalogue.Model("m", "fran", "installed", "NVIDIA Source Code License-NC, non-commercial").restricted


@pytest.mark.parametrize("text", ["", "reage: the store cannot be read", "NAME  FAMILY", "STATE NAME FAMILY\nx"])
def test_what_is_no_listing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no models"):
        catalogue.parsed(text)
