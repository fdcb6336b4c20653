"""Where on the crop a change may show: a soft matte of face or head, and six regions that sum to 1.

Everything is drawn from the smoothed landmarks in the aligned crop, at a fixed size, and resampled to the plate: the
shapes are soft, so that no edge of theirs is ever seen.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from reage.job import MatteShape

DRAWN = 512
"""Side in pixels at which shapes are drawn; soft edges need no more."""

FEATHER = 0.075
"""Width of the matte's soft edge, in sides of the crop."""

ROUND, HEAD_FEATHER = 3.0, 0.06
"""Exponent of the superellipse that a head's matte is, and width of its soft edge, in sides of the crop."""

YAW_FADE = (0.55, 0.95)
"""Amount of turn at which the change starts to fade, and at which it is gone."""

Mask = NDArray[np.float32]


def draw(landmarks: NDArray[np.float64], yaw: float = 0.0, shape: MatteShape = "face") -> Mask:
    """Draw the matte.

    Args:
        landmarks: (68, 2) in units of the crop's side (0..1).
        yaw: -1..1.
        shape: "face" is face and forehead; "head" is nearly all of the crop, for models that tell a head from what is
            behind it.

    Returns:
        (DRAWN, DRAWN), 0..1, over the crop; eyes and the open mouth are left out.
    """
    points = landmarks * DRAWN
    face = _head() if shape == "head" else _face(points)
    openings = cv2.GaussianBlur(_fill([points[36:42], points[42:48], points[60:68]]).astype(np.float32), (0, 0), 3.0)
    face = cv2.GaussianBlur(face * (1.0 - openings), (0, 0), 2.0) * _border()
    face *= 1.0 - float(_smoothstep((abs(yaw) - YAW_FADE[0]) / (YAW_FADE[1] - YAW_FADE[0])))
    return np.asarray(face, np.float32)


def _face(points: NDArray[np.float64]) -> Mask:
    outline = np.concatenate([points[0:17], _forehead(points)[::-1]])
    inside = cv2.distanceTransform(_fill([outline]), cv2.DIST_L2, 5)
    return _smoothstep(inside / (FEATHER * DRAWN))


def _head() -> Mask:
    away = np.abs((np.arange(DRAWN, dtype=np.float32) + 0.5) * (2.0 / DRAWN) - 1.0) ** ROUND
    return _smoothstep((1.0 - (away[:, None] + away[None]) ** (1.0 / ROUND)) / (2.0 * HEAD_FEATHER))


def _forehead(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Brow points moved up the face: less at the temples, by a third of the height of bridge over chin in the middle.

    Predictors of 68 points know nothing above the brows; the proportion is that of Farkas' facial thirds, kept short
    of the hairline.
    """
    up = points[27] - points[8]
    brows = points[[17, 18, 19, 20, 21, 22, 23, 24, 25, 26]]
    lift = np.array([0.10, 0.24, 0.31, 0.34, 0.35, 0.35, 0.34, 0.31, 0.24, 0.10])
    return np.asarray(brows + lift[:, None] * up)


def draw_regions(landmarks: NDArray[np.float64]) -> Mask:
    """Draw forehead, eyes, nose, mouth and jaw, softly; cheeks are 1 minus their sum, which never exceeds 1.

    Args:
        landmarks: as for `draw`.

    Returns:
        (5, DRAWN, DRAWN), 0..1.
    """
    points = landmarks * DRAWN
    up, across = points[27] - points[8], points[26] - points[17]
    brow = points[17:27] + 0.02 * up
    wide_brow = np.concatenate([brow[:1] - 0.3 * across, brow, brow[-1:] + 0.3 * across])
    crown = np.stack([wide_brow[-1] + 0.9 * up, wide_brow[0] + 0.9 * up])
    lids = np.concatenate(
        [points[45:46] + 0.14 * across, points[[46, 47]], points[[40, 41]], points[36:37] - 0.14 * across]
    )
    mouth_centre = points[48:60].mean(0)
    jaw = points[3:14]
    shapes = [
        np.concatenate([wide_brow, crown]),
        np.concatenate([brow, lids - 0.13 * up]),
        _grow(np.concatenate([points[[27, 35, 34, 33, 32, 31]]]), points[30], 1.2),
        _grow(points[48:60], mouth_centre, 1.4),
        np.concatenate([_grow(jaw, mouth_centre, 1.15), (jaw + 0.33 * (mouth_centre - jaw))[::-1]]),
    ]
    stack = np.stack([cv2.GaussianBlur(_fill([shape]).astype(np.float32), (0, 0), 0.022 * DRAWN) for shape in shapes])
    return np.asarray(stack / np.maximum(stack.sum(0), 1.0), np.float32)


def _grow(shape: NDArray[np.float64], centre: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    return np.asarray(centre + (shape - centre) * factor)


def _fill(shapes: list[NDArray[np.float64]]) -> NDArray[np.uint8]:
    """1 inside the polygons, drawn to a sixteenth of a pixel (OpenCV's centres are whole numbers, ours halves)."""
    canvas = np.zeros((DRAWN, DRAWN), np.uint8)
    for shape in shapes:
        cv2.fillPoly(canvas, [np.round((shape - 0.5) * 16.0).astype(np.int32)], 1, cv2.LINE_8, 4)
    return canvas


def _smoothstep(x: ArrayLike) -> Mask:
    t = np.clip(np.asarray(x, np.float32), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def _border() -> Mask:
    """0 at the crop's edge, 1 from a twentieth of its side inwards: nothing is cut off by the rectangle."""
    at = (np.arange(DRAWN, dtype=np.float32) + 0.5) / DRAWN
    edge = _smoothstep(np.minimum(at, 1.0 - at) / 0.05)
    return np.asarray(edge[:, None] * edge[None, :], np.float32)
