"""Affine maps between plate and crop, and one anti-aliased way to resample by them.

A map is a (2, 3) float64 array named by both its spaces, `b_from_a`. Points are (x, y), y down, and the centre of the
top-left pixel is (0.5, 0.5), so that scaling a picture by s scales coordinates by s.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

Affine = NDArray[np.float64]  # (2, 3)

CUBIC_BELOW = 0.7
"""Source pixels a target pixel below which straight interpolation shows its facets."""


SPARE = 0.2
"""Source pixels a sample that a bilinear kernel, two pixels wide, takes on without aliasing that can be seen."""


def plate_from_crop(quad: NDArray[np.float64], size: int) -> Affine:
    """The map that takes a crop of `size` x `size` pixels onto a quad (TL, BL, BR, TR) in plate pixels."""
    top_left, bottom_left, _, top_right = np.asarray(quad, np.float64)
    return np.stack([(top_right - top_left) / size, (bottom_left - top_left) / size, top_left], 1)


def invert(b_from_a: Affine) -> Affine:
    """a_from_b."""
    linear = np.linalg.inv(b_from_a[:, :2])
    return np.concatenate([linear, -linear @ b_from_a[:, 2:]], 1)


def compose(c_from_b: Affine, b_from_a: Affine) -> Affine:
    """c_from_a."""
    linear = c_from_b[:, :2] @ b_from_a[:, :2]
    return np.concatenate([linear, c_from_b[:, :2] @ b_from_a[:, 2:] + c_from_b[:, 2:]], 1)


def shift(x: float, y: float) -> Affine:
    """The map that adds (x, y)."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def apply(b_from_a: Affine, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map (..., 2) points."""
    return points @ b_from_a[:, :2].T + b_from_a[:, 2]


def resample(image: Tensor, image_from_target: Affine, height: int, width: int) -> Tensor:
    """Sample a picture at the pixels of a target grid, anti-aliased in both directions.

    Where the target is coarser than the picture, each target pixel is the mean of as many samples as it covers
    source pixels along each axis (a box filter); where it is much finer, a cubic kernel keeps edges smooth (`doubled`).
    Beyond the picture its border is repeated.

    Args:
        image: (C, H, W) float32.
        image_from_target: (2, 3) map from target to image pixels.
        height: rows of the target.
        width: columns of the target.

    Returns:
        (C, height, width) float32 on the image's device.
    """
    step_x, step_y = np.hypot(*image_from_target[:, 0]), np.hypot(*image_from_target[:, 1])
    nx, ny = (max(1, math.ceil(round(step, 6) - SPARE)) for step in (step_x, step_y))
    grid = _grid(image_from_target, height, width, nx, ny, image.shape[-1], image.shape[-2]).to(image.device)
    if max(step_x, step_y) < CUBIC_BELOW:
        image = doubled(image)
    fine = F.grid_sample(image[None], grid[None], mode="bilinear", padding_mode="border", align_corners=False)
    return F.avg_pool2d(fine, (ny, nx))[0] if nx * ny > 1 else fine[0]


def doubled(image: Tensor) -> Tensor:
    """Twice the size by Catmull-Rom (a = -0.5), which keeps straight ramps straight; bilinear samples of it are smooth.

    torch's own cubic sampling has a = -0.75: it bends a ramp and moves what it samples by up to 0.08 pixel.
    """
    size = (2 * image.shape[-2], 2 * image.shape[-1])
    return F.interpolate(image[None], size=size, mode="bicubic", antialias=True, align_corners=False)[0]


def _grid(image_from_target: Affine, height: int, width: int, nx: int, ny: int, w: int, h: int) -> Tensor:
    """Normalised coordinates, (height * ny, width * nx, 2), computed in float64 and rounded once."""
    x = (torch.arange(width * nx, dtype=torch.float64) + 0.5) / nx
    y = (torch.arange(height * ny, dtype=torch.float64) + 0.5) / ny
    grid = torch.empty(height * ny, width * nx, 2)
    for axis, ((by_x, by_y, offset), size) in enumerate(zip(image_from_target.tolist(), (w, h), strict=True)):
        scale = 2.0 / size
        torch.add((by_x * scale * x)[None], (by_y * scale * y + (offset * scale - 1.0))[:, None], out=grid[..., axis])
    return grid


def covers(square_from_window: Affine, side: float, width: int, height: int) -> NDArray[np.bool_]:
    """(height, width): which pixels of a window have their centre inside a square of a given side."""
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    inside = np.ones((height, width), np.bool_)
    for by_x, by_y, offset in square_from_window.tolist():
        at = (by_x * x)[None] + (by_y * y + offset)[:, None]
        inside &= (at >= 0) & (at <= side)
    return inside
