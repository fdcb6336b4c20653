"""A plain 68-point face and small shots of it, for tests that need no picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reage.faces.shape import upright_box
from reage.records import Detection

EYE_DISTANCE = 60.0


def face_shape(centre: tuple[float, float] = (0.0, 0.0), roll: float = 0.0, size: float = 1.0) -> NDArray[np.float64]:
    """(68, 2): eyes 60 px apart at size 1, between them the origin; roll in radians, clockwise."""
    jaw = [(62 * np.sin(a), 10 + 80 * np.cos(a)) for a in np.linspace(-np.pi / 2, np.pi / 2, 17)]
    brows = [(x, -22.0) for x in (-48, -40, -30, -20, -12, 12, 20, 30, 40, 48)]
    nose = [(0.0, y) for y in (0, 10, 20, 30)] + [(x, 38.0) for x in (-10, -5, 0, 5, 10)]
    eyes = [
        (side + 9 * np.cos(a), 4 * np.sin(a)) for side in (-30, 30) for a in np.linspace(np.pi, 3 * np.pi, 6, False)
    ]
    outer = [(-22 * np.cos(a), 62 - 9 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 12, False)]
    inner = [(-15 * np.cos(a), 62 - 4 * np.sin(a)) for a in np.linspace(0, 2 * np.pi, 8, False)]
    points = np.array([*jaw, *brows, *nose, *eyes, *outer, *inner]) * size
    cos, sin = np.cos(roll), np.sin(roll)
    return points @ np.array([[cos, sin], [-sin, cos]]) + np.array(centre)


def detected(
    frame: int,
    landmarks: NDArray[np.float64],
    score: float = 1.0,
    descriptor: NDArray[np.float64] | None = None,
) -> Detection:
    box = upright_box(landmarks)
    half = box.side / 2
    return Detection(frame, (box.x - half, box.y - half, box.x + half, box.y + half), score, landmarks, descriptor)


def shot(shapes: Iterable[NDArray[np.float64]]) -> Mapping[int, Detection]:
    """One detection a frame, from frame 1001."""
    return {frame: detected(frame, shape) for frame, shape in enumerate(shapes, start=1001)}


def who(number: int) -> NDArray[np.float64]:
    """A descriptor; those of different numbers are 0.85 apart."""
    return np.eye(128)[number] * 0.6


def clip(shared: Path, name: str, frames: range) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Frames of a clip of shared/media, numbered from 0, RGB."""
    import av

    with av.open(str(next((shared / "media").glob(f"{name}_*")))) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= frames.stop:
                return
            if number in frames:
                yield number, frame.to_ndarray(format="rgb24")
