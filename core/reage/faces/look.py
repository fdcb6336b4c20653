"""A frame as the face models see it: 8 bit, sRGB-coded, with square pixels wherever a patch is cut out.

Only what is looked at is converted, once it is as small as it is looked at: most of a frame never is.

Flat space is the plate's pixel space un-squeezed: (x · pixel_aspect, y), the centre of the plate's top-left pixel at
(0.5 · pixel_aspect, 0.5). Only `Look` converts between it and the array it holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.faces.shape import Upright
from reage.geometry import Affine, apply, compose, invert, shift

Bytes = NDArray[np.uint8]

_AROUND = 2  # pixels that a cubic kernel reaches beyond where it samples


@dataclass(frozen=True, eq=False)
class Look:
    """One frame of the plate, or the data window of it."""

    pixels: NDArray[Any]  # (H, W, 3) RGB: uint8, sRGB-coded; or what `shown` takes
    origin: tuple[float, float] = (0.0, 0.0)  # plate pixel of the array's top-left corner
    pixel_aspect: float = 1.0  # width of a pixel over its height
    shown: Callable[[NDArray[Any]], Bytes] | None = None  # makes (h, w, 3) sRGB-coded uint8 of any part of the pixels
    step: int = 1  # plate pixels of an array pixel, along both axes
    beyond: Look | None = None  # the frame that this is a close-up of, for what lies beyond its edges

    def display(self, part: NDArray[Any]) -> Bytes:
        """Part of the pixels, or a smaller version of it, as (h, w, 3) sRGB-coded RGB."""
        return np.asarray(part if self.shown is None else self.shown(part), np.uint8)

    @property
    def flat_size(self) -> tuple[float, float]:
        """Width and height of the array in flat space."""
        height, width = self.pixels.shape[:2]
        return width * self.step * self.pixel_aspect, float(height * self.step)

    @property
    def flat_from_array(self) -> Affine:
        """The map from array coordinates, corner of the array at (0, 0)."""
        x, y = self.origin
        return np.array([[self.step * self.pixel_aspect, 0.0, x * self.pixel_aspect], [0.0, self.step, y]])

    def close_up(self, box: Upright, side: int, reach: float) -> Look:
        """The neighbourhood of a face, shrunk by a whole number and converted once for many patches.

        Args:
            box: the face, in flat space.
            side: pixels that the box's side has in the finest patch that will be asked for.
            reach: how far the neighbourhood goes from the box's centre, in box sides along its own axes.
        """
        by = max(1, int(box.side / (side * max(1.0, self.pixel_aspect) * self.step) + 0.25))
        half = reach * box.side * (abs(math.cos(box.roll)) + abs(math.sin(box.roll)))
        corners = np.array([[box.x - half, box.y - half], [box.x + half, box.y + half]])
        height, width = self.pixels.shape[:2]
        (left, top), (right, bottom) = apply(invert(self.flat_from_array), corners)
        columns, rows = _within(left, right, by, width), _within(top, bottom, by, height)
        part = self.pixels[rows, columns]
        if by > 1:
            size = (max(1, part.shape[1] // by), max(1, part.shape[0] // by))
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        origin = (self.origin[0] + columns.start * self.step, self.origin[1] + rows.start * self.step)
        return Look(self.display(part), origin, self.pixel_aspect, None, self.step * by, self)

    def whole(self, long_side: int, most: float) -> tuple[Bytes, Affine]:
        """The whole frame in grey, un-squeezed.

        Args:
            long_side: pixels of the longer side of the result.
            most: the frame's rows are not enlarged by more than this.

        Returns:
            The (h, w) picture and flat_from_picture.
        """
        height, width = self.pixels.shape[:2]
        flat_width, flat_height = self.flat_size
        scale = min(most, long_side / max(flat_width, flat_height))
        w, h = max(1, round(flat_width * scale)), max(1, round(flat_height * scale))
        if w <= width and h <= height:
            picture = grey(self.display(cv2.resize(self.pixels, (w, h), interpolation=cv2.INTER_AREA)))
        else:
            picture = cv2.resize(grey(self.display(self.pixels)), (w, h), interpolation=cv2.INTER_CUBIC)
        array_from_picture = np.array([[width / w, 0.0, 0.0], [0.0, height / h, 0.0]])
        return np.asarray(picture, np.uint8), compose(self.flat_from_array, array_from_picture)

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
        if self.beyond is not None and not self._holds(array_from_patch, n):
            return self.beyond.patch(box, side, margin, colour)
        part, part_from_patch = _part(self.pixels, array_from_patch, n)
        seen = self.display(part)
        return _sample(seen if colour else grey(seen), part_from_patch, n), flat_from_patch

    def _holds(self, array_from_patch: Affine, n: int) -> bool:
        """Whether a close-up shows all of a patch that the frame shows."""
        assert self.beyond is not None
        corners = apply(array_from_patch, _corners(n))
        beyond_from_array = compose(invert(self.beyond.flat_from_array), self.flat_from_array)
        there = np.clip(apply(beyond_from_array, corners), 0.0, np.array(self.beyond.pixels.shape[1::-1], np.float64))
        at = apply(invert(beyond_from_array), there)
        # A group of pixels that the frame's edge cuts is left out: less than one pixel is missing there.
        return bool((at >= -1.0).all() and (at <= np.array(self.pixels.shape[1::-1]) + 1.0).all())

    def thumbnail(self, width: int) -> Bytes:
        """Every so many pixels of the frame, so that it is about `width` wide: (h, w, 3)."""
        step = max(1, round(self.pixels.shape[1] / width))
        return self.display(np.ascontiguousarray(self.pixels[::step, ::step]))


def grey(pixels: Bytes) -> Bytes:
    """(H, W) luma: detector and predictor need no colour and are faster without."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY), np.uint8)


def to_flat(points: NDArray[np.float64], pixel_aspect: float) -> NDArray[np.float64]:
    """Flat from plate: (..., 2) points un-squeezed."""
    return np.asarray(points * np.array([pixel_aspect, 1.0]), np.float64)


def to_plate(points: NDArray[np.float64], pixel_aspect: float) -> NDArray[np.float64]:
    """Plate from flat: (..., 2) points squeezed as the plate is."""
    return np.asarray(points / np.array([pixel_aspect, 1.0]), np.float64)


def _sample(picture: Bytes, picture_from_patch: Affine, n: int) -> Bytes:
    """An n x n patch."""
    steps = np.hypot(picture_from_patch[:, 0], picture_from_patch[:, 1])
    # OpenCV puts pixel centres at whole numbers, this project at halves.
    index_map = compose(compose(shift(-0.5, -0.5), picture_from_patch), shift(0.5, 0.5))
    method = cv2.INTER_CUBIC if steps.max() < 1.0 else cv2.INTER_LINEAR
    flags = method | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(picture, index_map, (n, n), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(patch, np.uint8)


def _part(picture: NDArray[Any], array_from_patch: Affine, n: int) -> tuple[NDArray[Any], Affine]:
    """The part of a picture under a patch and the map into it.

    What the patch shrinks is shrunk here by whole numbers, so that grain does not alias into the landmarks.
    """
    height, width = picture.shape[:2]
    steps = np.hypot(array_from_patch[:, 0], array_from_patch[:, 1])  # array pixels per patch pixel, along x and y
    by_x, by_y = (max(1, int(step + 0.25)) for step in steps)
    corners = apply(array_from_patch, _corners(n))
    columns = _covered(corners[:, 0], by_x, width)
    rows = _covered(corners[:, 1], by_y, height)
    part = _taken(picture, rows, columns)
    if by_x > 1 or by_y > 1:
        part = cv2.resize(part, (len(columns) // by_x, len(rows) // by_y), interpolation=cv2.INTER_AREA)
    part_from_array = np.array([[1.0 / by_x, 0.0, -columns.start / by_x], [0.0, 1.0 / by_y, -rows.start / by_y]])
    return part, compose(part_from_array, array_from_patch)


def _corners(n: int) -> NDArray[np.float64]:
    return np.array([[0.0, 0.0], [0.0, n], [n, 0.0], [n, n]])


def _taken(picture: NDArray[Any], rows: range, columns: range) -> NDArray[Any]:
    """Rows and columns of a picture, its border repeated beyond it."""
    height, width = picture.shape[:2]
    top, bottom = max(0, -rows.start), max(0, rows.stop - height)
    left, right = max(0, -columns.start), max(0, columns.stop - width)
    # At least one row and column of the picture, also for a patch that lies beside it.
    first_row, first_column = min(rows.start + top, height - 1), min(columns.start + left, width - 1)
    end_row, end_column = max(rows.stop - bottom, 1), max(columns.stop - right, 1)
    part = picture[first_row:end_row, first_column:end_column]
    if not (top or bottom or left or right):
        return part
    top, left = min(top, len(rows) - part.shape[0]), min(left, len(columns) - part.shape[1])
    bottom, right = len(rows) - part.shape[0] - top, len(columns) - part.shape[1] - left
    return np.asarray(cv2.copyMakeBorder(part, top, bottom, left, right, cv2.BORDER_REPLICATE))


def _within(low: float, high: float, by: int, size: int) -> slice:
    """Whole groups of `by` pixels of a picture between two places; at least one group, where the picture has one."""
    first = min(max(0, math.floor(low / by) * by), max(0, size - by))
    count = max(1, min(math.ceil((high - first) / by), (size - first) // by))
    return slice(first, min(size, first + count * by))


def _covered(corners: NDArray[np.float64], by: int, size: int) -> range:
    """Whole groups of `by` pixels that cover the corners and what is sampled around them.

    At most one picture size beyond the picture.
    """
    low = min(max(corners.min(), -float(size)), 2.0 * size)
    high = max(min(corners.max(), 2.0 * size), -float(size))
    first = (math.floor(low / by) - _AROUND) * by
    return range(first, first + (max(1, math.ceil((high - first) / by)) + _AROUND) * by)
