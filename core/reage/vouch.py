"""Vouch for bridged faces: a gap in which nobody was found may show a blurred, turned or covered face, or none at all.

Between two sights of a person, where the face should be, the picture must look like that face: the normalised
correlation of small upright patches is 0.98 and more in gaps of real shots, 0.8 under heavy blur, 0.4 for somebody
else, and below 0.2 on a wall, black or white.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.faces.look import Look
from reage.faces.shape import Shape, upright_box

LEAST = 0.45
"""Correlation below which the face is not there."""

_SIDE = 48  # pixels of the box in a patch: features are told apart, grain and expression are not
_MARGIN = 1.25  # patch over box, for the second patch: the bridged place may be a few pixels off

Patch = NDArray[np.uint8]


def patch(look: Look, landmarks: Shape, roomy: bool = False) -> Patch:
    """The small grey patch of a face.

    Args:
        look: the frame.
        landmarks: (68, 2) flat space.
        roomy: with room around, to search in.
    """
    return look.patch(upright_box(landmarks), _SIDE, _MARGIN if roomy else 1.0)[0]


def resemblance(seen: Patch, expected: Patch) -> float:
    """Best correlation of a face's patch with what is seen where it is expected: 1 the same, 0 unrelated.

    Args:
        seen: a roomy patch.
        expected: the patch of the same face at another time.
    """
    if seen.std() < 1.0 or expected.std() < 1.0:  # a flat patch shows no face
        return 0.0
    return float(cv2.matchTemplate(seen, expected, cv2.TM_CCOEFF_NORMED).max())
