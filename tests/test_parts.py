"""Where an aligned crop shows hair and skin."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from reage.agers.parts import SIDE, PartsFinder, _guided, _own_head
from reage.agers.released import DATA
from reage.faces.landmarks import locate_aligned, predictor


@pytest.fixture(scope="module")
def finder() -> PartsFinder:
    return PartsFinder.load(torch.device("cpu"))


@pytest.fixture(scope="module")
def crop() -> torch.Tensor:
    picture = cv2.imread(str(DATA / "demo" / "face.jpg"))
    assert picture is not None
    return torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255.0)


@pytest.fixture(scope="module")
def landmarks(crop: torch.Tensor) -> np.ndarray:
    return locate_aligned(np.ascontiguousarray((crop * 255).byte().permute(1, 2, 0).numpy()), predictor())


@pytest.mark.parametrize("side", [256, 512, 700])
def test_hair_lies_above_the_brows_and_skin_below_and_neither_in_the_corners(
    finder: PartsFinder, crop: torch.Tensor, landmarks: np.ndarray, side: int
) -> None:
    sized = torch.nn.functional.interpolate(crop[None], size=(side, side), mode="area")[0]
    found = finder(sized, landmarks * side / crop.shape[-1])
    assert found.hair.shape == found.skin.shape == (side, side)
    assert float(found.hair.min()) >= 0.0 and float(torch.maximum(found.hair, found.skin).max()) <= 1.0
    nose = (landmarks[30] * side / crop.shape[-1]).astype(int)
    assert float(found.skin[nose[1], nose[0]]) > 0.95
    weight = found.hair / found.hair.sum()
    row = float((weight.sum(1) * torch.arange(side)).sum())
    assert float(found.hair.mean()) > 0.01 and row < nose[1]
    corner = side // 12
    assert float((found.hair + found.skin)[:corner, :corner].max()) < 0.05


def test_a_head_beside_the_actors_is_left_out() -> None:
    rest = np.ones((SIDE, SIDE), np.float32)
    rest[30:100, 20:60] = rest[30:100, 80:120] = 0.0
    own = _own_head(rest, np.array([[40.0, 60.0], [44.0, 70.0]]))
    assert own[60, 40] == pytest.approx(1.0, abs=1e-3) and own[60, 100] == 0.0


def test_landmarks_on_no_head_find_none() -> None:
    assert not _own_head(np.ones((SIDE, SIDE), np.float32), np.array([[40.0, 60.0]])).any()


def test_edges_come_to_lie_where_the_picture_has_them() -> None:
    # A share whose edge is soft and two pixels off, over a picture with a hard one.
    large = torch.zeros(1, 1, 4 * SIDE, 4 * SIDE)
    large[..., 2 * SIDE :] = 0.5
    small = torch.nn.functional.avg_pool2d(large, 4)[0, 0].numpy()
    plane = np.clip((np.arange(SIDE, dtype=np.float32) - SIDE / 2 + 3.0) / 4.0, 0.0, 1.0)[None].repeat(SIDE, 0)
    (share,) = _guided([plane], small, large)
    left, right = share[2 * SIDE, 2 * SIDE - 3], share[2 * SIDE, 2 * SIDE + 2]
    assert float(right - left) > 0.6


def test_a_crop_without_a_face_in_it_gives_no_error(finder: PartsFinder, landmarks: np.ndarray) -> None:
    for level in (0.0, 0.5, 7.0):
        found = finder(torch.full((3, 256, 256), level), landmarks / 2)
        assert bool(torch.isfinite(found.hair + found.skin).all())
