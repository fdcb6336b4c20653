"""A frame as the face models see it: 8 bit, sRGB-coded, with square pixels wherever a patch is cut out.

Flat space is the plate's pixel space un-squeezed: (x · pixel_aspect, y), the centre of the plate's top-left pixel at
(0.5 · pixel_aspect, 0.5). Only `Look` converts between it and the array it holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.faces.shape import Upright
from reage.geometry import Affine, apply, compose, invert, shift

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Look:
    """One frame of the plate, or the data window of it."""

    pixels: Bytes  # (H, W, 3) RGB, sRGB-coded
    origin: tuple[float, float] = (0.0, 0.0)  # plate pixel of the array's top-left corner
    pixel_aspect: float = 1.0  # width of a pixel over its height

    @cached_property
    def grey(self) -> Bytes:
        """(H, W) luma: detector and predictor need no colour and are faster without."""
        return np.asarray(cv2.cvtColor(self.pixels, cv2.COLOR_RGB2GRAY), np.uint8)

    @property
    def flat_size(self) -> tuple[float, float]:
        """Width and height of the array in flat space."""
        height, width = self.pixels.shape[:2]
        return width * self.pixel_aspect, float(height)

    @property
    def flat_from_array(self) -> Affine:
        """The map from array coordinates, corner of the array at (0, 0)."""
        x, y = self.origin
        return np.array([[self.pixel_aspect, 0.0, x * self.pixel_aspect], [0.0, 1.0, y]])

    def whole(self, long_side: int, most: float) -> tuple[Bytes, Affine]:
        """The whole frame in grey, un-squeezed.

        Args:
            long_side: pixels of the longer side of the result.
            most: the frame's rows are not enlarged by more than this.

        Returns:
            The (h, w) picture and flat_from_picture.
        """
        height, width = self.grey.shape
        flat_width, flat_height = self.flat_size
        scale = min(most, long_side / max(flat_width, flat_height))
        w, h = max(1, round(flat_width * scale)), max(1, round(flat_height * scale))
        method = cv2.INTER_AREA if w <= width and h <= height else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(self.grey, (w, h), interpolation=method), np.uint8)
        array_from_picture = np.array([[width / w, 0.0, 0.0], [0.0, height / h, 0.0]])
        return picture, compose(self.flat_from_array, array_from_picture)

    def patch(self, box: Upright, side: int, margin: float, colour: bool = False) -> tuple[Bytes, Affine]:
        """A square cut out around a face and turned upright.

        Args:
            box: the face, in flat space.
            side: pixels that the box's side becomes.
            margin: how much wider than the box the patch is, in box sides; 1.0 is the box itself.
            colour: RGB instead of grey.

        Returns:
            The (n, n) or (n, n, 3) picture and flat_from_patch. Beyond the frame its border is repeated.
        """
        n = round(side * margin)
        step = box.side / side
        cos, sin = step * math.cos(box.roll), step * math.sin(box.roll)
        half = n / 2.0
        flat_from_patch = np.array(
            [[cos, -sin, box.x - (cos - sin) * half], [sin, cos, box.y - (sin + cos) * half]],
        )
        array_from_patch = compose(invert(self.flat_from_array), flat_from_patch)
        return _sample(self.pixels if colour else self.grey, array_from_patch, n), flat_from_patch


def to_flat(points: NDArray[np.float64], pixel_aspect: float) -> NDArray[np.float64]:
    """Flat from plate: (..., 2) points un-squeezed."""
    return np.asarray(points * np.array([pixel_aspect, 1.0]), np.float64)


def to_plate(points: NDArray[np.float64], pixel_aspect: float) -> NDArray[np.float64]:
    """Plate from flat: (..., 2) points squeezed as the plate is."""
    return np.asarray(points / np.array([pixel_aspect, 1.0]), np.float64)


def _sample(picture: Bytes, array_from_patch: Affine, n: int) -> Bytes:
    """An n x n patch; what is shrunk is averaged first, so that grain does not alias into the landmarks."""
    steps = np.hypot(array_from_patch[:, 0], array_from_patch[:, 1])  # array pixels per patch pixel, along x and y
    by_x, by_y = (max(1, int(step + 0.25)) for step in steps)
    if by_x > 1 or by_y > 1:
        picture, array_from_patch = _shrunk(picture, array_from_patch, n, by_x, by_y)
    # OpenCV puts pixel centres at whole numbers, this project at halves.
    index_map = compose(compose(shift(-0.5, -0.5), array_from_patch), shift(0.5, 0.5))
    method = cv2.INTER_CUBIC if steps.max() < 1.0 else cv2.INTER_LINEAR
    flags = method | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(picture, index_map, (n, n), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, np.uint8)


def _shrunk(picture: Bytes, array_from_patch: Affine, n: int, by_x: int, by_y: int) -> tuple[Bytes, Affine]:
    """The part of a picture under a patch, shrunk by whole numbers, and the map into it."""
    height, width = picture.shape[:2]
    corners = apply(array_from_patch, np.array([[0.0, 0.0], [0.0, n], [n, 0.0], [n, n]]))
    columns = _covered(corners[:, 0], by_x, width)
    rows = _covered(corners[:, 1], by_y, height)
    part = picture[np.clip(rows, 0, height - 1)][:, np.clip(columns, 0, width - 1)]
    small = cv2.resize(part, (len(columns) // by_x, len(rows) // by_y), interpolation=cv2.INTER_AREA)
    small_from_array = np.array([[1.0 / by_x, 0.0, -columns[0] / by_x], [0.0, 1.0 / by_y, -rows[0] / by_y]])
    return np.asarray(small, np.uint8), compose(small_from_array, array_from_patch)


def _covered(corners: NDArray[np.float64], by: int, size: int) -> NDArray[np.int64]:
    """Whole groups of `by` pixels that cover the corners, at most one picture size beyond the picture."""
    low, high = max(corners.min(), -float(size)), min(corners.max(), 2.0 * size)
    first = math.floor(low / by) * by
    return np.arange(first, first + max(1, math.ceil((high - first) / by)) * by)
