"""SAM on real footage: what change mode and the steadied way between two ages do there.

The weights are random and small, so the look says nothing; the arithmetic does not depend on them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checkpoints
import cv2
import numpy as np
import pytest

from reage.images import read_picture
from reage.job import Job
from reage.pipeline import analyse, render
from reage.tracks import load_tracks

FRAMES = range(1, 11)


@pytest.fixture(scope="module")
def film(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Ten frames of a turning head, its tracks, and a SAM."""
    folder = tmp_path_factory.mktemp("film")
    clip = cv2.VideoCapture(str(next((shared / "media").glob("02_*"))))
    for frame in FRAMES:
        read, picture = clip.read()
        assert read and cv2.imwrite(str(folder / f"a.{frame:04d}.png"), picture)
    model = str(checkpoints.saved_sam(folder / "sam.pt"))
    job = {"plate": str(folder / "a.%04d.png"), "tracks": str(folder / "t.json"), "model": model}
    list(analyse(Job.make(**job, output="unused.%04d.exr", age=70)))
    return job


@pytest.fixture(autouse=True)
def _store(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGE_MODELS", str(tmp_path_factory.getbasetemp() / "models"))


def changes(folder: Path, film: dict[str, Any], **options: Any) -> list[np.ndarray]:
    """D inside the matte, frame by frame: (n, 3) in the plate's code values."""
    list(render(Job.make(**{**film, "output": str(folder / "a.%04d.exr"), "layers": True, "age": 70, **options})))
    found = []
    for frame in FRAMES:
        planes = read_picture(folder / f"a.{frame:04d}.exr").parts[0].channels
        delta = np.stack([planes[f"reage_delta.{c}"] for c in "RGB"], -1)
        found.append(delta[planes["reage_matte.A"] > 0.5].astype(np.float32))
    return found


def test_the_errors_of_the_inversion_cancel_in_change_mode(film: dict[str, Any], tmp_path: Path) -> None:
    own = load_tracks(Path(film["tracks"])).persons[0].source_age
    change = changes(tmp_path / "change", film, age=own, smooth=0)
    replace = changes(tmp_path / "replace", film, age=own, mode="replace", smooth=0)
    assert all(len(delta) > 500 for delta in change)
    # At the person's own age nothing is asked for: what the model gets wrong replaces the face, and is in no change.
    assert max(np.abs(delta).max() for delta in change) < 1e-5
    assert min(np.sqrt(np.mean(delta**2)) for delta in replace) > 0.05


def test_the_amount_of_ageing_is_steadier_once_the_way_is_smoothed(film: dict[str, Any], tmp_path: Path) -> None:
    raw, smoothed = (changes(tmp_path / str(radius), film, smooth=radius) for radius in (0, 2))
    amounts = [np.array([np.abs(delta).mean() for delta in frames]) for frames in (raw, smoothed)]
    jitter = [np.abs(np.diff(amount, 2)).mean() for amount in amounts]  # a drift with the pose is no jitter
    assert jitter[1] < 0.5 * jitter[0]
    assert amounts[1].mean() == pytest.approx(amounts[0].mean(), rel=0.25)
