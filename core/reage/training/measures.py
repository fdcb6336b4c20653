"""The figures of the evaluation, each a function of pictures, changes and landmarks.

Changes are differences of encoded values (sRGB, 1.0 is white): (3, S, S). Weights are (S, S), 0..1.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.faces.look import Look
from reage.faces.shape import Shape, eye_distance, upright_box

Change = NDArray[np.float32]  # (3, S, S)
Weight = NDArray[np.float32]  # (S, S)

FINE = 0.125 / 2.0
"""Cycles a pixel of a crop above which a change counts as fine: an eighth of Nyquist."""
MOVE = 0.06
"""How far a box is moved and scaled, in its sides."""

LAGS = 2
"""Largest lag that is looked for, in frames."""
CLEAR = 1.05
"""How much larger both neighbours of a least value are where it means something."""


def moved_boxes(landmarks: Shape) -> Iterator[Shape]:
    """Landmarks whose box is moved by MOVE in x and y and scaled by 1 ± MOVE: all eight signs.

    Face models that take only a box from the landmarks then look at a box that is off by so much.
    """
    side, middle = upright_box(landmarks).side, landmarks.mean(0)
    for x, y, scale in itertools.product((-MOVE, MOVE), (-MOVE, MOVE), (1.0 - MOVE, 1.0 + MOVE)):
        yield middle + scale * (landmarks - middle) + side * np.array([x, y])


def halved(look: Look, landmarks: Shape) -> tuple[Look, Shape]:
    """A frame at half resolution, averaged two by two, and the landmarks in it (origin (0, 0) alone)."""
    assert look.origin == (0.0, 0.0)
    height, width = (n // 2 * 2 for n in look.pixels.shape[:2])
    small = cv2.resize(look.pixels[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return Look(np.ascontiguousarray(small, np.uint8), pixel_aspect=look.pixel_aspect), landmarks * 0.5


def landmark_shift(a: Shape, b: Shape) -> float:
    """Mean distance of two sets of landmarks over the inter-ocular distance of the first."""
    return float(np.hypot(*(a - b).T).mean()) / max(eye_distance(a), 1e-6)


def rms(change: Change, weight: Weight) -> float:
    """Root of the weighted mean square over channels; 0 where nothing has weight."""
    total = float(weight.sum())
    return float(np.sqrt((np.square(change).mean(0) * weight).sum() / total)) if total > 0.0 else 0.0


def fine_share(change: Change, matte: Weight) -> float:
    """Share of a change's energy above an eighth of Nyquist, under a Hann taper.

    Args:
        change: as it is shown: times its matte.
        matte: the taper spans the box in which it is above a half.

    Returns:
        0..1; not-a-number where there is no change or no matte.
    """
    rows, columns = np.flatnonzero((matte > 0.5).any(1)), np.flatnonzero((matte > 0.5).any(0))
    if not rows.size:
        return float("nan")
    at = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    seen = change[:, at[0], at[1]]
    height, width = seen.shape[1:]
    taper = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[None, 1:-1]
    energy = np.square(np.abs(np.fft.rfft2(seen * taper)))
    # A real picture's spectrum is kept by half: what has a twin counts twice.
    energy[:, :, 1 : (width + 1) // 2] *= 2.0
    fine = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) > FINE
    total = float(energy.sum())
    return float(energy[:, fine].sum()) / total if total > 0.0 else float("nan")


def outside_share(plate: NDArray[np.float32], result: NDArray[np.float32], matte: NDArray[np.float32]) -> float:
    """Share of the summed absolute difference of two (H, W, 3) pictures that lies where the matte is 0.

    Not-a-number in both pictures is no difference.
    """
    with np.errstate(invalid="ignore"):
        difference = np.where(plate.view(np.uint32) == result.view(np.uint32), 0.0, np.abs(result - plate)).sum(-1)
    difference = np.nan_to_num(difference, nan=1.0, posinf=1.0)
    total = float(difference.sum())
    return float(difference[matte == 0.0].sum()) / total if total > 0.0 else 0.0


def followed(change: Change, before: NDArray[np.uint8], now: NDArray[np.uint8]) -> Change:
    """The change of an earlier picture where the flow from `now` says that it went; greys are (S, S)."""
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(now, before, None)
    rows, columns = np.indices(now.shape, np.float32)
    planes = [
        cv2.remap(plane, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for plane in change
    ]
    return np.asarray(planes, np.float32)


def residual(
    now: Change, before: Change, grey_now: NDArray[np.uint8], grey_before: NDArray[np.uint8], weight: Weight
) -> tuple[float, float]:
    """Unsteadiness between two neighbouring frames, both sampled on one grid.

    Returns:
        rms of the change less the followed earlier one, and rms of the change itself. Their ratio holds the flow's
        own errors too, so it compares one change with another over the same frames and is no absolute.
    """
    return rms(now - followed(before, grey_before, grey_now), weight), rms(now, weight)


def wander(
    sample: Callable[[int, int], Change], frames: Sequence[int], weight: Weight, reach: int = LAGS
) -> dict[int, float]:
    """By lag, how much a change wanders on a face, if it belonged to the face of so many frames ago.

    Args:
        sample: (frame, at) to the change of a frame on the grid that is bound to the face of frame `at`.
        frames: consecutive ones; the outer `reach` serve as neighbours alone.
        weight: of the grid.
        reach: largest lag.

    Returns:
        rms of the changes about their mean in the face's coordinates. A change that sticks to the face has its least
        at 0, one that drags behind at a positive lag.
    """
    spread: dict[int, float] = {}
    for lag in range(-reach, reach + 1):
        seen = np.stack([sample(frame, frame - lag) for frame in frames[reach:-reach]])
        spread[lag] = float(np.sqrt(np.mean([rms(one, weight) ** 2 for one in seen - seen.mean(0)])))
    return spread


def unlikeness(
    steadied: Callable[[int], Change],
    raw: Callable[[int, int], Change],
    frames: Sequence[int],
    weight: Weight,
    reach: int = LAGS,
) -> dict[int, float]:
    """By lag, the rms difference of the steadied change and the raw one of so many frames ago.

    Args:
        steadied: of a frame, on a grid that is fixed to the plate there.
        raw: (frame, at) to the unsteadied change of a frame, on the grid of frame `at`.
        frames: consecutive ones; the outer `reach` serve as neighbours alone.
        weight: of the grid.
        reach: largest lag.
    """
    inner = frames[reach:-reach]
    return {
        lag: float(np.sqrt(np.mean([rms(steadied(f) - raw(f - lag, f), weight) ** 2 for f in inner])))
        for lag in range(-reach, reach + 1)
    }


def least_lag(by_lag: dict[int, float]) -> float | None:
    """The lag of the least value, to a fraction by a parabola; None where its neighbours are hardly larger.

    Without motion all lags are alike, and a least one would mean nothing.
    """
    least = min(by_lag, key=lambda lag: (by_lag[lag], abs(lag)))
    near = [by_lag.get(least + step) for step in (-1, 1)]
    if any((value is not None and value < CLEAR * by_lag[least]) or value == 0.0 for value in near):
        return None
    if None in near:
        return float(least)
    left, middle, right = (by_lag[least + step] ** 2 for step in (-1, 0, 1))
    return least + 0.5 * (left - right) / (left - 2.0 * middle + right)


def averaged(frames: Iterable[tuple[dict[str, float], NDArray[np.float64]]]) -> dict[str, float]:
    """Means over frames; of the moved boxes, the mean over all and that of the box with the least change."""
    entries = list(frames)
    means = {name: float(np.mean([figures[name] for figures, _ in entries])) for name in entries[0][0]}
    boxes = np.mean([moved for _, moved in entries], 0)
    least = float(boxes[np.abs(boxes).argmin()])
    return means | {"rise_moved": float(boxes.mean()), "rise_moved_least": least}


def spread_out(frames: Sequence[int], count: int) -> list[int]:
    """Up to `count` of the frames, first and last among them, evenly."""
    if len(frames) <= count:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (count - 1))] for i in range(count)]


def liveliest_run(motion: dict[int, float], length: int) -> list[int]:
    """Of all runs of consecutive frames, `length` long where there are such, the one with the most motion.

    Args:
        motion: by frame, how far the face moved since the frame before.
        length: frames.
    """
    runs: list[list[int]] = []
    for frame in sorted(motion):
        if runs and runs[-1][-1] == frame - 1:
            runs[-1].append(frame)
        else:
            runs.append([frame])
    windows = [run[i : i + length] for run in runs for i in range(max(1, len(run) - length + 1))]
    return max(windows, key=lambda run: (len(run), sum(motion[frame] for frame in run[1:])), default=[])
