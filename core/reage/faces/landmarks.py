"""68 landmarks, subpixel and quiet, from dlib's predictor, which answers whole pixels that jump by 1 %.

The predictor is a cascade of regression trees: its answer depends on the box it starts from and on single pixels. So
it looks at an enlarged, upright patch (whole pixels become fractions of plate pixels), starts from the box that its
own previous answer implies (the detector's box, in steps of 8 pixels, is forgotten), and several starts on the patch
and its mirror image are averaged. Their spread tells a face (the starts agree) from what is none (they do not).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from reage.errors import ModelError
from reage.faces.look import Bytes, Look
from reage.faces.shape import COUNT, MIRROR, Shape, Upright, eye_distance, upright_box
from reage.geometry import apply
from reage.models import LANDMARKS_68, verified

FACE = 400  # pixels of the box in the averaged patch: a step of the predictor is then 0.6 % of the eye distance
_SETTLING_FACE = 200  # for the starts before: the tree reads single pixels, so the size matters little
_MARGIN = 1.7  # patch over box: chin, brows and the shifted starts stay inside
_SETTLED = 0.02  # of the box's side: a start nearer than this to its own answer's box leaves no trace in the average
_SETTLINGS = 4  # most starts before the average; a start that is 5 % off settles in two
_SHIFT = 0.04  # of the box's side: starts apart enough to err independently, near enough to converge
_STARTS = tuple(  # x, y in _SHIFT, and size; on the patch and on its mirror image: twelve answers of 1 ms
    (math.cos(turn * math.tau / 6), math.sin(turn * math.tau / 6), 0.96 if turn % 2 else 1.04) for turn in range(6)
)


@dataclass(frozen=True)
class Face:
    """Landmarks in one frame and how far they can be trusted."""

    landmarks: Shape  # (68, 2) flat space
    spread: float  # rms difference between the averaged answers, over the eye distance; about 0.02 on a face


@lru_cache(maxsize=4)
def predictor(path: Path | None = None) -> Any:
    """The shape predictor, loaded once.

    Args:
        path: another 68-point predictor in dlib's format; None is the installed one.

    Raises:
        ModelError: the file is missing, damaged, or has not 68 points.
    """
    import dlib

    file = verified(LANDMARKS_68) if path is None else path
    if not file.is_file():
        raise ModelError(f"{file}: there is no landmark predictor; check --landmarks")
    try:
        loaded = dlib.shape_predictor(str(file))
        points = loaded(np.zeros((16, 16), np.uint8), dlib.rectangle(0, 0, 15, 15)).num_parts
    except RuntimeError as error:
        raise ModelError(f"{file}: not a landmark predictor of dlib's; check --landmarks") from error
    if points != COUNT:
        raise ModelError(f"{file}: predicts {points} points, {COUNT} are needed; check --landmarks")
    return loaded


def locate(look: Look, start: Upright, model: Any) -> Face:
    """Find the landmarks of the face that a box shows.

    Args:
        look: the frame.
        start: roughly the face's box and roll, in flat space.
        model: what `predictor` gave.

    Returns:
        The averaged landmarks and their spread. There is an answer for any box: judge it by the spread.
    """
    box = start
    for _ in range(_SETTLINGS):
        patch, flat_from_patch = look.patch(box, _SETTLING_FACE, _MARGIN)
        answer = apply(flat_from_patch, _predict(model, patch, _SETTLING_FACE, 0.0, 0.0, 1.0))
        previous, box = box, upright_box(answer)
        if _moved(previous, box) < _SETTLED * box.side:
            break
    patch, flat_from_patch = look.patch(box, FACE, _MARGIN)
    mirrored = np.ascontiguousarray(patch[:, ::-1])
    answers = [_predict(model, patch, FACE, *at) for at in _STARTS]
    answers += [_unmirrored(_predict(model, mirrored, FACE, *at), patch.shape[1]) for at in _STARTS]
    mean = np.mean(answers, 0)
    spread = math.sqrt(float(np.mean((np.stack(answers) - mean) ** 2)) * 2.0)
    return Face(apply(flat_from_patch, mean), spread / max(eye_distance(mean), 1e-6))


def locate_aligned(picture: Bytes, model: Any) -> Shape:
    """The landmarks on a crop that is aligned already, starting from where FFHQ's alignment puts every face.

    Args:
        picture: (S, S, 3) RGB, sRGB-coded.
        model: what `predictor` gave.

    Returns:
        (68, 2) crop pixels.
    """
    side = picture.shape[0]
    start = Upright(x=0.488 * side, y=0.596 * side, side=0.605 * side, roll=0.0)
    return locate(Look(np.ascontiguousarray(picture)), start, model).landmarks


def _predict(model: Any, patch: Bytes, face: int, x: float, y: float, size: float) -> Shape:
    """One answer in patch pixels, from a start shifted by (x, y) and scaled by size."""
    import dlib

    centre, half = patch.shape[0] / 2.0, face * size / 2.0
    left, top = centre + x * _SHIFT * face - half, centre + y * _SHIFT * face - half
    rectangle = dlib.rectangle(round(left), round(top), round(left + 2 * half) - 1, round(top + 2 * half) - 1)
    parts = model(patch, rectangle).parts()
    # dlib's points are pixel indices: their centres are half a pixel further.
    return np.array([(point.x, point.y) for point in parts], np.float64) + 0.5


def _unmirrored(landmarks: Shape, width: int) -> Shape:
    """Landmarks of a mirrored patch in the patch itself."""
    return np.asarray(landmarks[MIRROR] * [-1.0, 1.0] + [width, 0.0], np.float64)


def _moved(a: Upright, b: Upright) -> float:
    """How far two boxes are apart: centre, size and turn, in pixels."""
    turn = abs(math.remainder(a.roll - b.roll, math.tau)) * b.side * 0.5
    return max(math.hypot(a.x - b.x, a.y - b.y), abs(a.side - b.side), turn)
