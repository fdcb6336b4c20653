from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reage import geometry

ROUNDING = 1e-9
BILINEAR = 2e-3  # a smooth picture through a resampling kernel


def quad(centre: tuple[float, float], side: float, roll: float) -> np.ndarray:
    """TL, BL, BR, TR of a square turned clockwise (y down) by `roll` degrees."""
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * side / 2
    return corners @ np.array([[c, s], [-s, c]]) + centre


def ramp(h: int, w: int) -> torch.Tensor:
    """Each pixel holds the coordinates of its centre: channel 0 x, channel 1 y. Not square, so that axes show."""
    y, x = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    return torch.stack([x, y]).float()


def test_the_centre_of_the_top_left_crop_pixel_is_half_a_pixel_in() -> None:
    plate = geometry.plate_from_crop(quad((100, 50), 64, 0), 32)
    assert np.allclose(geometry.apply(plate, np.array([[0.5, 0.5]])), [[100 - 32 + 1, 50 - 32 + 1]])


def test_corners_go_to_corners_in_the_order_of_the_contract() -> None:
    corners = quad((100, 50), 64, 20)
    crop = np.array([[0, 0], [0, 10], [10, 10], [10, 0]], float)
    assert np.allclose(geometry.apply(geometry.plate_from_crop(corners, 10), crop), corners)


@given(st.floats(-180, 180), st.floats(20, 500), st.floats(-50, 50), st.floats(-50, 50))
def test_inverse_and_product_undo_each_other(roll: float, side: float, x: float, y: float) -> None:
    plate_from_crop = geometry.plate_from_crop(quad((x, y), side, roll), 256)
    both = geometry.compose(geometry.invert(plate_from_crop), plate_from_crop)
    assert np.allclose(both, [[1, 0, 0], [0, 1, 0]], atol=1e-6)


@pytest.mark.parametrize("roll", [0.0, 30.0, -120.0])
@pytest.mark.parametrize("size", [16, 64, 200])
def test_resampling_reads_the_place_the_map_says_in_both_directions(roll: float, size: int) -> None:
    picture_from_crop = geometry.plate_from_crop(quad((70, 50), 60, roll), size)
    crop = geometry.resample(ramp(100, 140), picture_from_crop, size, size)
    at = geometry.apply(picture_from_crop, ramp(size, size).permute(1, 2, 0).numpy().astype(np.float64))
    assert np.allclose(crop.permute(1, 2, 0).numpy(), at, atol=BILINEAR)


def test_height_and_width_are_not_swapped() -> None:
    assert geometry.resample(ramp(10, 20), geometry.shift(2, 3), 4, 7).shape == (2, 4, 7)


def test_the_identity_returns_the_very_picture() -> None:
    picture = torch.rand(3, 9, 13)
    same = geometry.resample(picture, geometry.shift(0, 0), 9, 13)
    assert torch.allclose(same, picture, atol=1e-6)


@pytest.mark.parametrize("factor", [2, 3, 8])
def test_shrinking_means_and_does_not_alias(factor: int) -> None:
    stripes = (torch.arange(96) % 2).float().expand(1, 96, 96)
    small = geometry.resample(stripes, np.array([[factor, 0, 0], [0, factor, 0]], float), 96 // factor, 96 // factor)
    inner = small[:, 1:-1, 1:-1]
    assert float((inner - 0.5).abs().max()) < (0.01 if factor % 2 == 0 else 0.5 / factor + 0.01)


def test_covers_counts_pixels_by_their_centres() -> None:
    inside = geometry.covers(geometry.shift(-2.5, -1.0), 4, 9, 7)
    assert inside.shape == (7, 9)
    assert np.argwhere(inside).min(0).tolist() == [1, 2] and np.argwhere(inside).max(0).tolist() == [4, 6]
