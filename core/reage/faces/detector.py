"""dlib's HOG face detector: over the whole frame, and in an upright patch around a face that is expected."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from reage.faces.look import Bytes, Look
from reage.faces.shape import Upright
from reage.geometry import Affine, apply

SMALLEST = 80  # pixels: the HOG window; smaller faces need an enlarged picture
_PATCH_FACE = 100  # the expected face's size in a patch, midway between two steps of the detector's pyramid
_PATCH_MARGIN = 2.0  # patch over box: room for motion and for a wrong size


@dataclass(frozen=True)
class Found:
    """What the detector answered."""

    box: Upright  # flat space
    score: float  # 0 is the threshold it was trained for; clear faces have 0.5 to 3


_own = threading.local()


def _hog() -> Any:
    """The detector of this thread: it keeps its picture inside."""
    import dlib

    if not hasattr(_own, "hog"):
        _own.hog = dlib.get_frontal_face_detector()
    return _own.hog


def search(look: Look, long_side: int, most: float, threshold: float) -> list[Found]:
    """Faces in the whole frame, best first.

    Args:
        look: the frame.
        long_side: pixels of the longer side of the picture that is searched; faces need 80 of them.
        most: limit of enlargement.
        threshold: lowest score.
    """
    picture, flat_from_picture = look.whole(long_side, most)
    return _run(picture, flat_from_picture, 0.0, threshold)


def search_near(look: Look, expected: Upright, threshold: float) -> list[Found]:
    """Faces in an upright patch around an expected one, best first; a few ms, and the head may be tilted."""
    patch, flat_from_patch = look.patch(expected, _PATCH_FACE, _PATCH_MARGIN)
    return _run(patch, flat_from_patch, expected.roll, threshold)


def _run(picture: Bytes, flat_from_picture: Affine, roll: float, threshold: float) -> list[Found]:
    rectangles, scores, _ = _hog().run(picture, 0, threshold)
    scale = float(np.sqrt(abs(np.linalg.det(flat_from_picture[:, :2]))))
    found = []
    for r, score in zip(rectangles, scores, strict=True):
        middle = np.array([(r.left() + r.right() + 1) / 2.0, (r.top() + r.bottom() + 1) / 2.0])
        x, y = apply(flat_from_picture, middle)
        found.append(Found(Upright(float(x), float(y), r.width() * scale, roll), float(score)))
    return sorted(found, key=lambda item: -item.score)
