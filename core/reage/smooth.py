"""Smoothing: from one person's detections to a steady quad and mesh in every frame.

Everything happens in flat space (un-squeezed), over a whole stretch between cuts and long gaps, forwards and backwards
alike, so nothing lags. Centre, log size and roll of the FFHQ quad are smoothed apart from each other; the landmarks
are smoothed in the frame of the head (jaw, brows and nose), eyes and mouth less than the rest, because they carry the
expression.

The smoother fits a parabola around each frame, weighted by a Gaussian. How wide follows the motion: the widest of a
few whose answer does not contradict that of any narrower one by more than noise explains (intersection of confidence
intervals; Goldenshluger and Nemirovski 1997). Still heads get the widest window, a start or a stop the narrowest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from reage.faces.look import to_flat, to_plate
from reage.faces.shape import BROWS, COUNT, JAW, NOSE, eye_distance, ffhq_quad, yaw
from reage.records import Detection
from reage.tracks import FaceAt

Array = NDArray[np.float64]

RADIUS = 8  # frames that the widest window reaches to each side: a third of a second
BRIDGE = 12  # longest gap, in frames, that is filled between two frames where the person was found
_EXPRESSION_RADIUS = 3  # frames, for eyes and mouth: a blink lasts four to eight
_PER_SIGMA = 2.5  # a window ends at so many standard deviations of its weights
_STEPS = (0.25, 0.5, 1.0)  # the windows that are tried, in shares of the widest
_CONFIDENCE = 3.0  # standard deviations of noise that two windows may disagree by
_NOISE = 0.003  # of the eye distance: what the landmarks' own noise is, where a stretch is too short to tell
_LEAST_NOISE = 0.0015  # and at least: below it the estimate is luck
_MOST_NOISE = 0.012  # and at most: above it, what looks like noise is motion
_SHORT = 6  # frames below which noise cannot be told from motion

CROP_SIDES = (256, 512, 1024)  # what agers take
_CROP_SHARE = 0.9  # of the large quads' side: enlarging by a tenth is invisible, a step up costs four times the work
_CROP_PERCENTILE = 90.0  # of the quad's side over the shot: a moment near the lens does not decide

_CORNERS = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])  # of a quad, in its own frame
_RIGID = np.zeros(COUNT, bool)  # points that move with the head alone
for _group in (JAW, BROWS, NOSE):
    _RIGID[_group] = True


def smooth(
    detections: Mapping[int, Detection], cuts: Sequence[int], pixel_aspect: float, radius: int = RADIUS
) -> dict[int, FaceAt]:
    """One person's faces, frame by frame.

    Args:
        detections: where the person was detected, by frame.
        cuts: first frames of new takes; nothing is bridged or smoothed across one.
        pixel_aspect: the plate's.
        radius: of the widest window in frames; 0 leaves the landmarks as they were detected.

    Returns:
        Every detected frame and the bridged ones between, ascending, in plate pixels. Frames that the plate itself
        does not have may be among the bridged.
    """
    faces: dict[int, FaceAt] = {}
    for stretch in stretches(sorted(detections), cuts):
        frames, shapes = _bridged(stretch, detections, pixel_aspect)
        quads, meshes = _steadied(shapes, radius)
        for frame, quad, mesh in zip(frames, quads, meshes, strict=True):
            found = detections.get(frame)
            faces[frame] = FaceAt(
                state="found" if found is not None else "bridged",
                score=0.0 if found is None else found.score,
                yaw=yaw(mesh),
                quad=[(float(x), float(y)) for x, y in to_plate(quad, pixel_aspect)],
                landmarks=[(float(x), float(y)) for x, y in to_plate(mesh, pixel_aspect)],
            )
    return faces


def stretches(frames: Sequence[int], cuts: Sequence[int]) -> list[list[int]]:
    """Group ascending frames: a new group begins at a cut and after a gap that is too long to bridge."""
    groups: list[list[int]] = []
    for frame in frames:
        last = groups[-1][-1] if groups else None
        if last is None or frame - last - 1 > BRIDGE or any(last < cut <= frame for cut in cuts):
            groups.append([])
        groups[-1].append(frame)
    return groups


def crop_side(faces: Mapping[int, FaceAt], pixel_aspect: float) -> int:
    """Side of a person's crops, fixed for the shot: the smallest that keeps what the plate shows of the large faces."""
    sides = [
        float(np.hypot(*np.diff(to_flat(face.quad_array(), pixel_aspect)[[0, 1]], axis=0)[0]))
        for face in faces.values()
    ]
    wanted = _CROP_SHARE * float(np.percentile(sides, _CROP_PERCENTILE))
    return next((side for side in CROP_SIDES if side >= wanted), CROP_SIDES[-1])


def _bridged(
    stretch: Sequence[int], detections: Mapping[int, Detection], pixel_aspect: float
) -> tuple[list[int], Array]:
    """All frames of a stretch, and (n, 68, 2) flat landmarks; the missing ones interpolated without overshoot."""
    known = np.stack([to_flat(detections[frame].landmarks, pixel_aspect) for frame in stretch])
    frames = list(range(stretch[0], stretch[-1] + 1))
    if len(frames) == len(stretch):
        return frames, known
    placement = _placements(known)
    filled = PchipInterpolator(stretch, placement, axis=0)(frames)
    meshes = PchipInterpolator(stretch, _into(known, placement), axis=0)(frames)
    return frames, _placed(meshes, filled)


def _steadied(shapes: Array, radius: int) -> tuple[Array, Array]:
    """(n, 4, 2) quads and (n, 68, 2) landmarks from (n, 68, 2) landmarks, all in flat space."""
    unit = float(np.median([eye_distance(shape) for shape in shapes]))
    corners = np.broadcast_to(_CORNERS, (len(shapes), 4, 2))
    quads = _placed(corners, _steady_placements(_placements(shapes), radius, unit))
    heads = _steady_placements(_head_placements(shapes), radius, unit)
    unit /= float(np.exp(np.median(heads[:, 2])))
    meshes = _into(shapes, heads)
    # What all points do together is what is left of the head's motion: no expression, so it is smoothed as much.
    together = meshes.mean(1)
    meshes += (steady(together, radius, unit) - together)[:, None]
    for group, reach in ((_RIGID, radius), (~_RIGID, min(radius, _EXPRESSION_RADIUS))):
        least = _noise(meshes[:, group].reshape(len(meshes), -1), unit)
        for point in np.flatnonzero(group):
            meshes[:, point] = steady(meshes[:, point], reach, unit, least)
    return quads, _placed(meshes, heads)


def _steady_placements(placements: Array, radius: int, unit: float) -> Array:
    """Centre, size and roll smoothed apart from each other; unit is the eye distance in flat pixels."""
    relative = unit / float(np.exp(np.median(placements[:, 2])))
    centre = steady(placements[:, :2], radius, unit)
    size = steady(placements[:, 2:3], radius, relative)
    roll = steady(placements[:, 3:4], radius, relative)
    return np.concatenate([centre, size, roll], 1)


def _head_placements(shapes: Array) -> Array:
    """As `_placements`, of the points that move with the head alone: a blink moves the quad, but not the jaw."""
    rigid = shapes[:, _RIGID]
    centre = rigid.mean(1)
    spread = np.sqrt(((rigid - centre[:, None]) ** 2).sum(2).mean(1))
    return np.column_stack([centre, np.log(spread), _placements(shapes)[:, 3]])


def _placements(shapes: Array) -> Array:
    """(n, 4) centre x, y, log of half the side, and unwrapped roll of the FFHQ quads."""
    quads = np.stack([ffhq_quad(shape) for shape in shapes])
    across = (quads[:, 3] - quads[:, 0]) / 2.0
    roll = np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
    return np.column_stack([quads.mean(1), np.log(np.hypot(across[:, 0], across[:, 1])), roll])


def _turns(placement: Array) -> Array:
    """(n, 2, 2): rows are the placed frame's units across and down."""
    cos, sin = np.cos(placement[:, 3]), np.sin(placement[:, 3])
    turns = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    return np.asarray(np.exp(placement[:, 2])[:, None, None] * turns, np.float64)


def _placed(meshes: Array, placement: Array) -> Array:
    """Flat space from the placed frame, in which a quad reaches from -1 to 1."""
    return np.asarray(meshes @ _turns(placement) + placement[:, None, :2], np.float64)


def _into(shapes: Array, placement: Array) -> Array:
    """The placed frame from flat space."""
    return np.asarray((shapes - placement[:, None, :2]) @ np.linalg.inv(_turns(placement)), np.float64)


def steady(values: Array, radius: int, unit: float, least_noise: float = 0.0) -> Array:
    """Smooth a signal over time without lag.

    Args:
        values: (n, k), one row a frame; the k columns share their window.
        radius: of the widest window, in frames; 0 returns the values.
        unit: size of the eye distance in the values' unit, which says how large noise can be.
        least_noise: standard deviation of noise that is known to be there; the signal itself tells whether it is more.

    Returns:
        (n, k). One or two frames stay as they are: a parabola passes through them.
    """
    n = len(values)
    if radius <= 0 or n < 3:
        return values.copy()
    noise = max(_noise(values, unit), least_noise)
    fits, errors = [values], [np.ones(n)]
    for share in _STEPS:
        fit, error = _fitted(values, radius * share / _PER_SIGMA)
        fits.append(fit)
        errors.append(error)
    stack = np.stack(fits)  # (windows, n, k)
    tolerance = _CONFIDENCE * np.stack(errors)[:, :, None] * noise
    highest = np.minimum.accumulate(stack + tolerance, 0)
    lowest = np.maximum.accumulate(stack - tolerance, 0)
    agreed = np.logical_and.accumulate((lowest <= highest).all(2), 0)  # (windows, n)
    widest = agreed.sum(0) - 1.0
    # Neighbours use nearly the same window, otherwise the change of window itself would be seen.
    choice = uniform_filter1d(minimum_filter1d(widest, 3, mode="nearest"), 3, mode="nearest")
    low = np.clip(np.floor(choice).astype(int), 0, len(fits) - 2)
    part = (choice - low)[:, None]
    at = np.arange(n)
    return np.asarray(stack[low, at] * (1.0 - part) + stack[low + 1, at] * part, np.float64)


def _noise(values: Array, unit: float) -> float:
    """Standard deviation of the noise, from third differences, which motion hardly has."""
    if len(values) < _SHORT:
        return _NOISE * unit
    third = np.diff(values, 3, axis=0)
    estimate = 1.4826 * float(np.median(np.abs(third))) / math.sqrt(20.0)
    return float(np.clip(estimate, _LEAST_NOISE * unit, _MOST_NOISE * unit))


def _fitted(values: Array, sigma: float) -> tuple[Array, Array]:
    """Local parabolas: the (n, k) fit and the (n,) factor by which it passes white noise on."""
    n, reach = len(values), max(1, math.ceil(_PER_SIGMA * sigma))
    fit, error = np.empty_like(values), np.empty(n)
    for at in range(n):
        left, right = min(at, reach), min(n - 1 - at, reach)
        weights = _weights(left, right, sigma)
        fit[at] = weights @ values[at - left : at + right + 1]
        error[at] = math.sqrt(float(weights @ weights))
    return fit, error


@lru_cache(maxsize=4096)
def _weights(left: int, right: int, sigma: float) -> Array:
    """What each frame from -left to right gives to the parabola's value at 0."""
    at = np.arange(-left, right + 1, dtype=np.float64)
    powers = at[:, None] ** np.arange(min(3, len(at)))
    weighted = powers * np.exp(-0.5 * (at / sigma) ** 2)[:, None]
    return np.asarray(np.linalg.solve(weighted.T @ powers, weighted.T)[0], np.float64)
