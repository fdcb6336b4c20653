"""Bring the changes of all faces back to the plate, in the faces' rectangles only.

    colour = plate + strength * M * (sum_i R_i g_i) * (tone * L + detail * (D - L))

D is the change at full strength in the plate's space, M the matte, R_i the regions, g_i their gains, and L a Gaussian
of D whose sigma is 2 % of the side of the aligned quad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from reage import geometry
from reage.records import Window

LOW_BAND = 0.02
"""Sigma of the Gaussian between tone and detail, in sides of the aligned quad."""

BORDER_FADE = 0.08
"""Distance from the plate's border, in sides of the quad, over which a matte fades to 0."""

FAINTEST = 1e-4
"""A matte below this is none: it would change no pixel, and its tail would touch a hundred more."""

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Gains:
    """What an artist dials: all 1 is the model's own result."""

    strength: float
    tone: float
    detail: float
    regions: tuple[float, ...]  # forehead, eyes, nose, cheeks, mouth, jaw


@dataclass(frozen=True)
class Layers:
    """Change, its low band, matte and regions over a rectangle of the plate; what no gain asks for is not made."""

    window: Window
    delta: Array  # (h, w, 3) D, plate space, at strength 1, matte not applied
    low: Array | None  # (h, w, 3) L; None where both bands have one gain
    matte: Array  # (h, w) M, 0..1
    regions: Array | None  # (h, w, 6), sums to 1 where M > 0; None where all regions have one gain


def rectangle(quad: NDArray[np.float64], data_window: Window) -> Window:
    """The whole pixels that a quad touches, within the plate."""
    low, high = np.floor(quad.min(0)).astype(int), np.ceil(quad.max(0)).astype(int)
    return Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])).intersect(data_window)


def matte_on_plate(drawn: Array, quad: NDArray[np.float64], window: Window, plate: Window) -> Array:
    """M of one face over a rectangle, (h, w), from the matte drawn on its crop."""
    size = drawn.shape[0]
    inside = geometry.covers(_drawn_from_window(quad, window, size), size, window.width, window.height)
    face = _on_plate(drawn[None], quad, window)[0] * inside * _border_fade(quad, window, plate)
    return np.where(face < FAINTEST, np.float32(0.0), face).astype(np.float32)


def regions_on_plate(drawn: Array, quad: NDArray[np.float64], window: Window, face: Array) -> Array:
    """R of one face over a rectangle: (h, w, 6), summing to 1 where M > 0, from the regions drawn on its crop and M."""
    moved = _on_plate(drawn, quad, window)
    forehead, eyes, nose, mouth, jaw = moved / np.maximum(moved.sum(0), 1.0)
    cheeks = np.maximum(1.0 - (forehead + eyes + nose + mouth + jaw), 0.0)
    regions = np.stack([forehead, eyes, nose, cheeks, mouth, jaw], -1) * (face > 0)[..., None]
    return regions.astype(np.float32)


def _on_plate(planes: Array, quad: NDArray[np.float64], window: Window) -> Array:
    """Masks drawn on the crop, over a rectangle of the plate: (n, h, w), 0..1."""
    drawn_from_window = _drawn_from_window(quad, window, planes.shape[-1])
    moved = geometry.resample(torch.from_numpy(planes), drawn_from_window, window.height, window.width)
    return np.asarray(moved.clamp(0.0, 1.0).numpy(), np.float32)


def _drawn_from_window(quad: NDArray[np.float64], window: Window, size: int) -> geometry.Affine:
    drawn_from_plate = geometry.invert(geometry.plate_from_crop(quad, size))
    return geometry.compose(drawn_from_plate, geometry.shift(window.x, window.y))


def _border_fade(quad: NDArray[np.float64], window: Window, plate: Window) -> Array:
    """1 inside the plate, 0 at its border."""
    reach = BORDER_FADE * side_of(quad)
    x = np.arange(window.x, window.right) + 0.5
    y = np.arange(window.y, window.bottom) + 0.5
    across = np.clip(np.minimum(x - plate.x, plate.right - x) / reach, 0.0, 1.0)
    down = np.clip(np.minimum(y - plate.y, plate.bottom - y) / reach, 0.0, 1.0)
    smooth = [t * t * (3.0 - 2.0 * t) for t in (across, down)]
    return np.asarray(smooth[1][:, None] * smooth[0][None, :], np.float32)


def side_of(quad: NDArray[np.float64]) -> float:
    """Side of a quad in plate pixels: of the square of equal area, which on anamorphic plates is their mean."""
    a, b = quad[3] - quad[0], quad[1] - quad[0]
    return float(np.sqrt(abs(a[0] * b[1] - a[1] * b[0])))


def low_band(delta: Array, side: float) -> Array:
    """L: a Gaussian of D, which is 0 beyond its rectangle; kernel cut at 4 sigma."""
    sigma = LOW_BAND * side
    across = gaussian_filter1d(delta, sigma, axis=1, mode="constant")
    return np.asarray(gaussian_filter1d(across, sigma, axis=0, mode="constant"), np.float32)


def merge(faces: Sequence[Layers], window: Window) -> Layers:
    """All faces of a frame over one rectangle. Where two mattes meet, each weighs by its matte."""
    if len(faces) == 1:
        return faces[0]
    shape = (window.height, window.width)
    matte, weight, shown = (np.zeros(shape, np.float32) for _ in range(3))
    delta = np.zeros((*shape, 3), np.float32)
    low = None if faces[0].low is None else np.zeros((*shape, 3), np.float32)
    regions = None if faces[0].regions is None else np.zeros((*shape, 6), np.float32)
    for face in faces:
        at = face.window.within(window)
        # A floor keeps D where no matte is: the layer is the change, not the change where it shows.
        own = np.maximum(face.matte, np.float32(1e-6))
        share = own / (weight[at] + own)
        for whole, part in ((delta, face.delta), (low, face.low)):
            if whole is not None and part is not None:
                whole[at] += (part - whole[at]) * share[..., None]
        total = shown[at] + face.matte
        if regions is not None and face.regions is not None:
            part_of = np.divide(face.matte, total, out=np.zeros_like(total), where=total > 0)
            regions[at] += (face.regions - regions[at]) * part_of[..., None]
        shown[at] = total
        matte[at] = np.maximum(matte[at], face.matte)
        weight[at] += own
    return Layers(window, delta, low, matte, regions)


def composite(plate: Array, layers: Layers, gains: Gains) -> tuple[Array, NDArray[np.bool_]]:
    """Apply the change to the plate's colour over the layers' rectangle.

    Args:
        plate: (h, w, 3) float32, the plate's own values in the rectangle.
        layers: over the same rectangle, with what the gains ask for.
        gains: what the artist dialled.

    Returns:
        (h, w, 3) float32 colour, and (h, w) where it differs from the plate on purpose; elsewhere, and where the
        plate is not finite, the caller keeps the plate's own bits.
    """
    amount = np.float32(gains.strength) * layers.matte
    if layers.regions is None:
        amount = amount * np.float32(gains.regions[0])
    else:
        amount = amount * (layers.regions * np.asarray(gains.regions, np.float32)).sum(-1)
    if layers.low is None:
        bands = np.float32(gains.detail) * layers.delta
    else:
        bands = gains.tone * layers.low + gains.detail * (layers.delta - layers.low)
    with np.errstate(invalid="ignore", over="ignore"):
        colour = plate + amount[..., None] * bands
    touched = (layers.matte > 0) & np.isfinite(colour).all(-1)  # what is not finite in the plate is not in the colour
    return colour.astype(np.float32), touched & (gains.strength != 0.0)
