"""Regions of a face: of the canonical one at any height and width that have its proportions, and cheeks on a crop."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.exemplars import CANONICAL, FRAME_HEIGHT, Image, cheek_mask, eye_distance
from reage.thin_plate import Points

MOUTH_ROOM = 0.03
"""What is left out around the mouth and within the jaw, in outer-eye distances."""
CHEEK = 0.03
"""Half the side of a patch on a cheek, in sides of the crop."""
CALM_FEATHER = 0.04
"""Softness of the calm side of the face, in outer-eye distances."""


@lru_cache(4)
def cheeks(size: tuple[int, int]) -> NDArray[np.bool_]:
    """The cheeks."""
    return np.asarray(cv2.resize(cheek_mask(), size[::-1]) > 0.5)


@lru_cache(4)
def beard(size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a beard grows: between jaw and nose, without mouth and cheeks."""
    scale = size[0] / FRAME_HEIGHT
    plane = np.zeros(size, np.uint8)
    for points, inside in ((np.concatenate([CANONICAL[2:15], CANONICAL[[35, 33, 31]]]), 1), (CANONICAL[48:60], 0)):
        cv2.fillPoly(plane, [np.rint(scale * points).astype(np.int32)], inside)
    room = 2 * round(MOUTH_ROOM * scale * eye_distance(CANONICAL)) + 1
    return np.asarray((cv2.erode(plane, np.ones((room, room), np.uint8)) > 0) & ~cheeks(size))


@lru_cache(4)
def calm(size: tuple[int, int]) -> Image:
    """The sides of the face between ear and mouth, soft, 0..1: no expression folds them."""
    plane, scale = np.zeros(size, np.float32), size[0] / FRAME_HEIGHT
    for jaw, eye, mouth, nose in (([1, 2, 3, 4, 5, 6], 41, 48, 31), ([15, 14, 13, 12, 11, 10], 46, 54, 35)):
        outer = CANONICAL[jaw]
        ways = ((mouth, 5, 0.25), (mouth, 3, 0.38), (nose, 2, 0.5), (eye, 1, 0.5))
        inner = [(1.0 - share) * CANONICAL[point] + share * outer[at] for point, at, share in ways]
        cv2.fillPoly(plane, [np.rint(scale * np.concatenate([outer, inner])).astype(np.int32)], 1.0)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), CALM_FEATHER * scale * eye_distance(CANONICAL)), np.float32)


def cheek_patches(landmarks: Points, side: int) -> list[tuple[tuple[float, float], tuple[slice, slice]]]:
    """The cheeks on a crop: of each its middle, and rows and columns of a patch that lies within the crop.

    Args:
        landmarks: (68, 2) in pixels of the crop.
        side: of the crop.
    """
    patches = []
    for jaw, eye, mouth in ((2, 41, 48), (14, 46, 54)):
        x, y = ((landmarks[jaw] + landmarks[eye] + landmarks[mouth]) / 3).tolist()
        r = max(2, round(CHEEK * side))
        left, top = (int(np.clip(v, r, side - r - 1)) - r for v in (x, y))
        patches.append(((x, y), (slice(top, top + 2 * r + 1), slice(left, left + 2 * r + 1))))
    return patches
