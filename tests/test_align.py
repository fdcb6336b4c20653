from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_face import face_shape

from reage.align import ffhq_quad

ROUNDING = 1e-9  # px: float64 sums in another order


def test_the_quad_is_twice_the_eye_distance_to_each_side_and_a_tenth_below_the_eyes() -> None:
    quad = ffhq_quad(face_shape())
    # Eyes 60 apart; mouth corners 62 below: 2.0 * 60 > 1.8 * 62; centre 6.2 below the eyes.
    expected = [(-120, 6.2 - 120), (-120, 6.2 + 120), (120, 6.2 + 120), (120, 6.2 - 120)]
    assert np.allclose(quad, expected, atol=ROUNDING)


def test_a_long_face_is_measured_from_eyes_to_mouth() -> None:
    landmarks = face_shape()
    landmarks[[48, 54], 1] = 100.0
    quad = ffhq_quad(landmarks)
    assert np.allclose(quad[3] - quad[0], (360.0, 0.0), atol=ROUNDING)


@pytest.mark.parametrize("case", ["inside", "rolled"])
def test_the_quad_is_that_of_the_reference_whatever_the_pixel_convention(shared: Path, case: str) -> None:
    goldens = np.load(shared / "goldens" / "align.npz")
    landmarks, expected = goldens[f"{case}.landmarks"], goldens[f"{case}.quad"]
    assert np.allclose(ffhq_quad(landmarks), expected, atol=ROUNDING)
    assert np.allclose(ffhq_quad(landmarks + 0.5), expected + 0.5, atol=ROUNDING)


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(-3.1, 3.1), st.floats(0.05, 20))
def test_the_quad_moves_turns_and_scales_with_the_face(x: float, y: float, roll: float, size: float) -> None:
    quad = ffhq_quad(face_shape())
    cos, sin = np.cos(roll), np.sin(roll)
    expected = quad * size @ np.array([[cos, sin], [-sin, cos]]) + [x, y]
    assert np.allclose(ffhq_quad(face_shape((x, y), roll, size)), expected, atol=1e-7)
