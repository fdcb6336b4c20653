"""Where a crop shows hair within the face: brows, and a beard. Networks that find hair count both as skin."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.agers.planes import DARKEST, FINEST, blurred, luma_of, sized, widely
from reage.agers.regions import cheek_patches
from reage.colour import decode_srgb
from reage.exemplars import eye_distance
from reage.thin_plate import Points

BROW_WIDTH, BROW_AROUND = 0.06, 0.12
"""Half the height of a brow, and sigma of what it is held against, in outer-eye distances."""
BROW_DARK = (0.1, 0.6)
"""Stops by which a hair of a brow is darker than what is around it, where it counts as one a little and wholly."""
BEARD_DARK = (0.9, 2.2)
"""The same of a beard, against the cheeks; shade on a chin is a stop."""
BEARD_FEATHER, LIPS_FEATHER = 0.05, 0.045
"""Softness of where a beard may be and of the lips in it, in outer-eye distances."""
BEARD_SIDE = 256
"""Side at which the place of a beard is drawn."""


def brows(crop: Tensor, landmarks: Points) -> Tensor:
    """The hairs of the brows, by the darkness of fine things there: (S, S), 0..1.

    Args:
        crop: (3, S, S) float32, sRGB-encoded, unbounded.
        landmarks: (68, 2) in pixels of the crop.
    """
    side, unit = crop.shape[-1], eye_distance(landmarks)
    ends = np.stack([landmarks[17:27].min(0), landmarks[17:27].max(0)]) + 4.0 * BROW_WIDTH * unit * np.array(
        [[-1], [1]]
    )
    (left, top), (right, bottom) = ends.round().astype(int).clip(0, side)
    near = np.zeros((bottom - top, right - left), np.float32)
    for brow in (landmarks[17:22], landmarks[22:27]):
        line = np.rint((brow - (left, top) - 0.5) * 16).astype(np.int32)
        cv2.polylines(near, [line], False, 1.0, max(1, round(2.0 * BROW_WIDTH * unit)), cv2.LINE_AA, 4)
    near = cv2.GaussianBlur(near, (0, 0), max(0.5 * BROW_WIDTH * unit, 0.3))
    luma = luma_of(decode_srgb(crop[:, top:bottom, left:right])).clamp_min(0.0)
    around = widely(luma, BROW_AROUND * unit)
    darker = torch.log2((around + DARKEST) / (blurred(luma, FINEST * side) + DARKEST))[0]
    found = crop.new_zeros(side, side)
    found[top:bottom, left:right] = torch.from_numpy(near).to(crop.device) * _between(darker, BROW_DARK)
    return found


def beard(crop: Tensor, landmarks: Points) -> Tensor:
    """A beard, by how much darker the lower face is than the cheeks on either side: (S, S), 0..1.

    It does not tell a beard from deep shade: ask it of those who have one.

    Args:
        crop: (3, S, S) float32, sRGB-encoded, unbounded.
        landmarks: (68, 2) in pixels of the crop.
    """
    side = crop.shape[-1]
    stops = torch.log2(blurred(luma_of(decode_srgb(crop)), FINEST * side).clamp_min(0.0) + DARKEST)[0]
    darker = _cheeks_light(stops, landmarks) - stops
    place = torch.from_numpy(_place_of_beard(landmarks * (BEARD_SIDE / side)))[None].to(crop.device)
    return sized(place, (side, side))[0] * _between(darker, BEARD_DARK)


def _place_of_beard(landmarks: Points) -> NDArray[np.float32]:
    """Between jaw and nose, not on the lips, soft within: (BEARD_SIDE, BEARD_SIDE)."""
    unit = eye_distance(landmarks)

    def drawn(points: Points, feather: float) -> NDArray[np.float32]:
        plane = np.zeros((BEARD_SIDE, BEARD_SIDE), np.float32)
        cv2.fillPoly(plane, [np.rint((points - 0.5) * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(feather * unit, 0.3)), np.float32)

    lower = drawn(np.concatenate([landmarks[2:15], landmarks[[35, 33, 31]]]), BEARD_FEATHER)
    lips = drawn(landmarks[48:60], LIPS_FEATHER)
    place = np.clip(2.0 * lower - 1.0, 0.0, 1.0) * (1.0 - np.clip(2.2 * lips, 0.0, 1.0))
    return np.asarray(place, np.float32)


def _cheeks_light(stops: Tensor, landmarks: Points) -> Tensor:
    """Stops of the light on skin, from one cheek to the other as they have it: (S, S)."""
    side = stops.shape[-1]
    ((x, y), one), ((x1, y1), other) = cheek_patches(landmarks, side)
    across, down = x1 - x, y1 - y
    at = torch.arange(side, device=stops.device, dtype=stops.dtype) + 0.5
    along = ((at[None] - x) * across + (at[:, None] - y) * down) / max(across**2 + down**2, 1e-6)
    return torch.lerp(stops[one].median(), stops[other].median(), along.clamp(0.0, 1.0))


def _between(stops: Tensor, ends: tuple[float, float]) -> Tensor:
    """0 at the first end, 1 at the second."""
    return ((stops - ends[0]) / (ends[1] - ends[0])).clamp(0.0, 1.0)
