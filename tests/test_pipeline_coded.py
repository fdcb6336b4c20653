"""A model that goes through a code, in the pipeline: the way between two ages is steadied over the shot."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rig
from rig import FIRST, write_plate, write_tracks

from reage.images import read_picture
from reage.job import Job
from reage.pipeline import render

FRAMES = range(FIRST, FIRST + 14)


@pytest.fixture(autouse=True)
def _coded_ager(monkeypatch: pytest.MonkeyPatch) -> None:
    rig.use_small_ager(monkeypatch, rig.SmallCodedAger)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shot")
    return {
        "plate": write_plate(folder / "plate", FRAMES),
        "tracks": str(write_tracks(folder / "tracks.json", FRAMES)),
    }


def go(output: Path, shot: dict[str, str], **options: Any) -> list[int]:
    """Render, and tell which frames were made."""
    events = render(Job.make(**{"age": 70, **shot, "output": str(output), **options}))
    return [event["frame"] for event in events if event["event"] == "frame" and event["state"] == "aged"]


def contents(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.exr"))}


def changes(folder: Path, shot: dict[str, str], **options: Any) -> np.ndarray:
    """D of every frame, (frames, H, W)."""
    go(folder / "a.%04d.exr", shot, layers=True, **options)
    files = sorted(folder.glob("a.*.exr"))
    return np.stack([read_picture(file).parts[0].channels["reage_delta.G"].astype(np.float32) for file in files])


@pytest.mark.parametrize("batch", [1, 3])
def test_any_cut_of_the_range_gives_the_same_bytes(shot: dict[str, str], tmp_path: Path, batch: int) -> None:
    options = {"age": "1001:40,1014:80", "smooth": 2, "layers": True, "batch": batch}
    go(tmp_path / "whole" / "a.%04d.exr", shot, **options)
    for chunk in ("1011-1014", "1001-1004", "1005-1010"):
        go(tmp_path / "cut" / "a.%04d.exr", shot, frames=chunk, **options)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert len(contents(tmp_path / "cut")) == len(FRAMES)


def test_the_amount_of_ageing_boils_less_once_it_is_steadied(shot: dict[str, str], tmp_path: Path) -> None:
    raw, steadied = (changes(tmp_path / str(radius), shot, smooth=radius) for radius in (0, 3))
    amount = [np.abs(d).mean((1, 2)) for d in (raw, steadied)]
    assert np.diff(amount[1]).std() < 0.25 * np.diff(amount[0]).std()
    assert amount[1].mean() == pytest.approx(amount[0].mean(), rel=0.2)


def test_at_the_persons_own_age_the_plate_stays_though_the_model_gets_the_face_wrong(
    shot: dict[str, str], tmp_path: Path
) -> None:
    assert np.abs(changes(tmp_path / "change", shot, age=30, mode="change", frames="1001-1003")).max() < 1e-5
    assert np.abs(changes(tmp_path / "replace", shot, age=30, mode="replace", frames="1001-1003")).max() > 0.05


def test_a_change_of_age_redoes_frames_within_twice_the_radius(shot: dict[str, str], tmp_path: Path) -> None:
    output = tmp_path / "a.%04d.exr"
    go(output, shot, age="1001:60,1012:60,1014:60", smooth=1)
    assert go(output, shot, age="1001:60,1013:60,1014:80", smooth=1) == [1012, 1013, 1014]


def test_several_ages_of_a_coded_model_come_from_one_pass(shot: dict[str, str], tmp_path: Path) -> None:
    go(tmp_path / "both.{age}.%04d.exr", shot, age=None, ages=[50, 70], frames="1004-1005")
    go(tmp_path / "one.%04d.exr", shot, age=70, frames="1004-1005")
    pairs = [(tmp_path / f"both.70.{f}.exr", tmp_path / f"one.{f}.exr") for f in (1004, 1005)]
    assert all(a.read_bytes() == b.read_bytes() for a, b in pairs)
