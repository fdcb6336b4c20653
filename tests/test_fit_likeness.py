"""How the map from a crop to the styles of somebody alike is fitted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reage.agers import likeness
from reage.training import fit_likeness

FACE = Path(likeness.__file__).parents[1] / "data" / "demo" / "face.jpg"


class Painter:
    """A generator that shows the demo's face, brighter by the first number of its coarsest style."""

    def __init__(self) -> None:
        picture = cv2.imread(str(FACE))
        assert picture is not None
        self.face = cv2.resize(picture[..., ::-1], (256, 256), interpolation=cv2.INTER_AREA)

    def map(self, noise: np.ndarray) -> np.ndarray:
        return noise.astype(np.float32)

    def picture(self, styles: np.ndarray) -> np.ndarray:
        return np.clip(self.face + 8.0 * styles[0, 0], 0, 255).astype(np.uint8)


def test_the_fit_finds_a_linear_map() -> None:
    rng = np.random.default_rng(2)
    seen = rng.standard_normal((4000, 12)) * np.arange(1, 13)
    styles = (seen @ rng.standard_normal((12, 3 * 512)) + 1.0).reshape(-1, 3, 512)
    told = fit_likeness.fitted(seen, styles)
    assert min(fit_likeness.likeness_of(told, seen, styles)) > 0.99


def test_the_reading_of_glasses_is_free_of_age() -> None:
    rng = np.random.default_rng(3)
    normal = np.zeros(512, np.float32)
    normal[0] = 1.0
    styles = np.repeat(rng.standard_normal((1500, 1, 512)), 3, 1)
    styles[..., :6] *= 5.0  # what matters is among the leading components
    edges = 0.05 + 0.02 * styles[:, 1, 0] + 0.03 * styles[:, 0, 1] + 0.002 * rng.standard_normal(1500)
    way = fit_likeness.glasses(styles, edges, normal)
    assert abs(way[0]) < 1e-6
    assert way[1] / np.linalg.norm(way) > 0.9


def test_film_keeps_the_size_and_changes_the_picture() -> None:
    picture = Painter().face.copy()
    filmed = fit_likeness.filmed(picture, np.random.default_rng(1))
    assert filmed.shape == picture.shape and filmed.dtype == np.uint8
    assert np.abs(filmed.astype(int) - picture).mean() > 1.0


def test_portraits_are_drawn_once_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_likeness, "CHUNK", 2)
    file, zero = tmp_path / "0003.npz", np.zeros(512, np.float32)
    fit_likeness.draw_chunk(Painter(), zero, zero, 3, file)  # type: ignore[arg-type]
    first = fit_likeness.read_chunk(file)
    assert first["seen"].shape == (2, 128 + 136 + 3 * likeness.TINY**2)
    assert first["styles"].shape == (2, 3, 512) and first["rims"].shape == (2,)
    file.unlink()
    assert np.array_equal(fit_likeness.read_chunk(file)["seen"], first["seen"])
