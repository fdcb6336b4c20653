"""What the 68 landmarks mean: groups, mirror, the FFHQ quad, the detector's box, yaw.

The order is that of iBUG 300-W: "left" and "right" in the names below are those of the picture, not of the person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = NDArray[np.float64]  # (68, 2) x, y; y down

COUNT = 68
JAW = slice(0, 17)
BROWS = slice(17, 27)
NOSE = slice(27, 36)
EYE_LEFT = slice(36, 42)
EYE_RIGHT = slice(42, 48)
MOUTH = slice(48, 68)
NOSE_TIP = 30
MOUTH_CORNERS = (48, 54)
JAW_SIDES = (2, 14)  # beside the nose tip, where the outline is nearest to vertical

# Where each point lies in a mirrored face.
# fmt: off
MIRROR = np.array([
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1),
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
])
# fmt: on

# The box that dlib's HOG detector draws around 68 landmarks, by rms distance from their mean; the median over
# frontal faces of which both were known. Width varies by 8 %, which the predictor tolerates.
_BOX_PER_RMS = 2.70
_BOX_RISE = 0.035  # the box's centre is above the mean by this share of its side


@dataclass(frozen=True)
class Upright:
    """A square around a face, turned with it."""

    x: float  # centre
    y: float
    side: float
    roll: float  # radians from the x axis to the line from the left to the right eye, clockwise as y is down


def eye_centres(landmarks: Shape) -> Shape:
    """Mean of the six points of each eye: (2, 2), the eye that is left in the picture first."""
    return np.stack([landmarks[EYE_LEFT].mean(0), landmarks[EYE_RIGHT].mean(0)])


def eye_distance(landmarks: Shape) -> float:
    """Distance of the eye centres."""
    return float(np.hypot(*np.diff(eye_centres(landmarks), axis=0)[0]))


def ffhq_quad(landmarks: Shape) -> Shape:
    """The quad that FFHQ's alignment cuts out around a face.

    The formula is that of the FFHQ data set's and SAM's alignment scripts, in float: across = eye to eye minus eye to
    mouth turned by 90°, its half side the larger of 2.0 eye-to-eye and 1.8 eye-to-mouth; centre 0.1 eye-to-mouth below
    the eyes. It moves, turns and scales with the landmarks, so it holds in whatever coordinates they are given.

    Args:
        landmarks: (68, 2) x, y with square pixels.

    Returns:
        (4, 2) top-left, bottom-left, bottom-right, top-right in the same coordinates.
    """
    left, right = eye_centres(np.asarray(landmarks, np.float64))
    eyes = (left + right) * 0.5
    eye_to_eye = right - left
    eye_to_mouth = np.asarray(landmarks, np.float64)[list(MOUTH_CORNERS)].mean(0) - eyes
    across = eye_to_eye + np.array([eye_to_mouth[1], -eye_to_mouth[0]])
    across *= max(2.0 * np.hypot(*eye_to_eye), 1.8 * np.hypot(*eye_to_mouth)) / np.hypot(*across)
    down = np.array([-across[1], across[0]])
    centre = eyes + 0.1 * eye_to_mouth
    return np.stack([centre - across - down, centre - across + down, centre + across + down, centre + across - down])


def upright_box(landmarks: Shape) -> Upright:
    """The box that the HOG detector would draw if the head were upright."""
    mean = landmarks.mean(0)
    side = _BOX_PER_RMS * float(np.sqrt(((landmarks - mean) ** 2).sum(1).mean()))
    along = np.diff(eye_centres(landmarks), axis=0)[0]
    roll = float(np.arctan2(along[1], along[0]))
    rise = _BOX_RISE * side
    return Upright(float(mean[0] + rise * np.sin(roll)), float(mean[1] - rise * np.cos(roll)), side, roll)


def yaw(landmarks: Shape) -> float:
    """How far the head is turned: -1 (to the person's right, which is left in the picture) .. 1; 0 faces the camera.

    The nose tip's place between the two sides of the jaw, measured along the line of the eyes: (a - b) / (a + b) with
    a, b the distances to the left and the right side of the picture.
    """
    along = np.diff(eye_centres(landmarks), axis=0)[0]
    along = along / max(float(np.hypot(*along)), 1e-9)
    left, right = landmarks[list(JAW_SIDES)] @ along
    nose = landmarks[NOSE_TIP] @ along
    return float(np.clip((2.0 * nose - left - right) / max(right - left, 1e-9), -1.0, 1.0))
