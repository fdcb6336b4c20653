"""Who is it: dlib's recognition network, 128 numbers a face, near to each other where the person is the same."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.errors import ModelError
from reage.faces.look import Look
from reage.faces.shape import Shape, upright_box
from reage.geometry import apply, invert
from reage.models import IDENTITY, verified

Descriptor = NDArray[np.float64]  # (128,)

_FACE = 160  # pixels of the box in the patch: the network's own chip is 150 pixels around it
_MARGIN = 2.0  # the chip reaches a quarter beyond the landmarks
_PADDING = 0.25  # of the chip, as the network was trained


@lru_cache(maxsize=1)
def _network() -> Any:
    import dlib

    path = verified(IDENTITY)
    try:
        return dlib.face_recognition_model_v1(str(path))
    except RuntimeError as error:
        raise ModelError(f"{path}: cannot be loaded; install {IDENTITY.package} again") from error


def describe(look: Look, landmarks: Shape) -> Descriptor:
    """The descriptor of a face, from an upright patch; about 75 ms on one core.

    Args:
        look: the frame.
        landmarks: (68, 2) flat space.
    """
    import dlib

    patch, flat_from_patch = look.patch(upright_box(landmarks), _FACE, _MARGIN, colour=True)
    inside = np.rint(apply(invert(flat_from_patch), landmarks) - 0.5).astype(int)
    points = dlib.points([dlib.point(int(x), int(y)) for x, y in inside])
    n = patch.shape[0]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, n - 1, n - 1), points)
    return np.asarray(_network().compute_face_descriptor(patch, shape, 0, _PADDING), np.float64)


def distance(a: Descriptor, b: Descriptor) -> float:
    """How different two faces are: the same person is nearer than 0.6 in the network's own benchmark."""
    return float(np.linalg.norm(a - b))
