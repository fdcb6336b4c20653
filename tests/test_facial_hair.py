"""Where a crop shows brows and a beard."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from reage.agers import facial_hair, regions
from reage.colour import encode_srgb
from reage.exemplars import CANONICAL, FRAME_HEIGHT, FRAME_WIDTH
from reage.thin_plate import Points

SIDE = 320
POINTS = CANONICAL * 0.6
SKIN = 0.4
CHIN, CHEEK, FOREHEAD = POINTS[8] - (0, 18), POINTS[[2, 41, 48]].mean(0), POINTS[27] - (0, 80)


def shown(plane: np.ndarray) -> torch.Tensor:
    """A crop of linear light."""
    return encode_srgb(torch.from_numpy(plane.astype(np.float32)).expand(3, SIDE, SIDE))


def lower_face(points: Points) -> np.ndarray:
    plane = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillPoly(plane, [np.rint(np.concatenate([points[3:14], points[[54, 33, 48]]])).astype(np.int32)], 1.0)
    cv2.fillPoly(plane, [np.rint(points[48:60]).astype(np.int32)], 0.0)
    return plane


def at(found: torch.Tensor, point: np.ndarray) -> float:
    return float(found[int(point[1]), int(point[0])])


def test_brows_are_the_dark_lines_at_their_landmarks() -> None:
    drawn = np.zeros((SIDE, SIDE), np.float32)
    for brow in (POINTS[17:22], POINTS[22:27]):
        cv2.polylines(drawn, [np.rint(brow).astype(np.int32)], False, 1.0, 5, cv2.LINE_AA)
    found = facial_hair.brows(shown(SKIN * (1.0 - 0.7 * drawn)), POINTS)
    bare = facial_hair.brows(shown(np.full((SIDE, SIDE), SKIN)), POINTS)
    assert float(bare.max()) == 0.0
    assert float(found[torch.from_numpy(drawn) > 0.9].mean()) > 0.6
    assert at(found, POINTS[30]) == 0.0


def test_a_beard_is_a_dark_lower_face_and_neither_lips_nor_forehead_nor_a_clean_chin() -> None:
    beard = lower_face(POINTS)
    found = facial_hair.beard(shown(SKIN * (1.0 - 0.9 * beard)), POINTS)
    assert at(found, CHIN) > 0.9
    dark_all_over = facial_hair.beard(shown(np.full((SIDE, SIDE), 0.02)), POINTS)
    clean = facial_hair.beard(shown(np.full((SIDE, SIDE), SKIN)), POINTS)
    assert float(dark_all_over.max()) == float(clean.max()) == 0.0  # it is held against the cheeks
    for elsewhere in (POINTS[51:58].mean(0), CHEEK, FOREHEAD, np.array([4.0, 300.0])):
        assert at(found, elsewhere) < 0.05


def test_a_face_lit_from_one_side_has_no_beard_on_the_other() -> None:
    across = np.linspace(0.0, -3.0, SIDE)[None].repeat(SIDE, 0)
    assert float(facial_hair.beard(shown(0.6 * 2.0**across), POINTS).max()) < 0.1


@pytest.mark.parametrize("turn", [0.0, 0.35])
def test_a_beard_is_found_alike_at_any_size_and_roll(turn: float) -> None:
    rotation = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), np.degrees(turn), 1.0)
    points = np.asarray(POINTS @ rotation[:, :2].T + rotation[:, 2])
    light = SKIN * (1.0 - 0.9 * lower_face(points))
    found = facial_hair.beard(shown(light), points)
    large = encode_srgb(torch.from_numpy(cv2.resize(light, None, fx=2, fy=2)).float().expand(3, -1, -1))
    twice = facial_hair.beard(large, 2.0 * points)
    middle = points[8] + 0.15 * (points[33] - points[8])
    assert at(found, middle) > 0.9 and at(twice, 2.0 * middle) > 0.9
    assert float(found.mean()) == pytest.approx(float(twice.mean()), rel=0.1)


def test_regions_of_the_canonical_face_scale_with_it_and_do_not_meet() -> None:
    for scale in (0.5, 1.5):
        size = round(scale * FRAME_HEIGHT), round(scale * FRAME_WIDTH)
        cheeks, beard, calm = regions.cheeks(size), regions.beard(size), regions.calm(size)
        assert cheeks.shape == beard.shape == calm.shape == size
        assert not (cheeks & beard).any() and float(calm.max()) > 0.95
        x, y = np.rint(scale * (CANONICAL[8] - (0.0, 25.0))).astype(int)
        assert beard[y, x] and calm[y, x] == 0.0
        x, y = np.rint(scale * CANONICAL[30]).astype(int)
        assert not beard[y, x] and not cheeks[y, x] and calm[y, x] == 0.0
        assert float(np.abs(calm - calm[:, ::-1]).mean()) < 0.1 * float(calm.mean())  # a face has two sides
