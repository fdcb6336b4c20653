from __future__ import annotations

import cv2
import numpy as np
import pytest
from synthetic_face import face_shape

from reage import vouch
from reage.faces.look import Look


def drawn(seed: int) -> np.ndarray:
    """A picture with something of its own where a face may be."""
    rng = np.random.default_rng(seed)
    coarse = (rng.random((24, 32, 3)) * 255).astype(np.uint8)
    return cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_CUBIC)


SHAPE = face_shape((160.0, 120.0))


def likeness(picture: np.ndarray) -> float:
    return vouch.resemblance(vouch.patch(Look(picture), SHAPE, roomy=True), vouch.patch(Look(drawn(1)), SHAPE))


def test_the_same_face_is_vouched_for_though_it_is_blurred_dim_or_a_little_off() -> None:
    same = drawn(1)
    assert likeness(same) > 0.95
    assert likeness((0.4 * same).astype(np.uint8)) > 0.95
    assert likeness(cv2.blur(same, (9, 9))) > 0.8
    assert likeness(np.roll(same, (3, -4), (0, 1))) > 0.9


@pytest.mark.parametrize("other", [drawn(2), np.zeros((240, 320, 3), np.uint8), np.full((240, 320, 3), 255, np.uint8)])
def test_something_else_is_not(other: np.ndarray) -> None:
    assert likeness(other) < vouch.LEAST
