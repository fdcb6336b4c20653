"""Where one take ends and the next begins, from thumbnails, while the frames pass by once.

A cut changes the picture's layout for good; a flash changes its level, or its layout for a few frames; a pan moves it.
So the thumbnails' edges are compared by correlation, which ignores level and contrast, over small shifts; and a
suspected cut counts only when none of the next frames looks like the frame before it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Thumbnail = NDArray[np.float32]  # (36, 64) strength of edges, in code values a thumbnail pixel

_SIZE = (64, 36)  # width, height: coarse enough that people moving within a take change little
_SHIFTS = (9, 3)  # largest shift that is searched, in thumbnail pixels: a pan of 14 % of the width a frame
_FLAT = 1.0  # spread of the edge strength below which a thumbnail has no layout (black, white, fog)
_CUT = 0.4  # least difference of a cut: other places have 0.7 to 1, another actor before the same wall 0.5, motion 0.1
_ABOVE_USUAL = 3.0  # and this many times the usual difference between neighbours, for shaky or whip-panned takes
_USUAL_FRAMES = 8  # how far back "usual" reaches
_FLASH_FRAMES = 3  # longest disturbance that is not a cut: lightning, a flashbulb, a passer-by before the lens


def thumbnail(pixels: NDArray[np.uint8]) -> Thumbnail:
    """Edges of (H, W, 3) sRGB-coded RGB, shrunk by area."""
    small = cv2.cvtColor(cv2.resize(pixels, _SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    across, down = (cv2.Sobel(small, cv2.CV_32F, dx, 1 - dx, scale=0.125) for dx in (1, 0))
    return np.asarray(cv2.magnitude(across, down), np.float32)


def difference(a: Thumbnail, b: Thumbnail) -> float:
    """How unlike the layouts of two pictures are: 0 the same, about 1 unrelated, at most 2."""
    dx, dy = _SHIFTS
    inner = np.ascontiguousarray(a[dy:-dy, dx:-dx])
    flat = (float(inner.std()) < _FLAT, float(b.std()) < _FLAT)
    if any(flat):
        return 0.0 if all(flat) else 1.0
    return 1.0 - float(cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED).max())


@dataclass
class _Suspect:
    frame: int
    before: Thumbnail
    waited: int = 0


class CutFinder:
    """Give it every frame in order; memory does not grow with the shot."""

    def __init__(self) -> None:
        self._previous: Thumbnail | None = None
        self._usual: deque[float] = deque(maxlen=_USUAL_FRAMES)
        self._suspects: list[_Suspect] = []
        self._confirmed: list[int] = []
        self._jumping = False

    def step(self, frame: int, pixels: NDArray[np.uint8]) -> bool:
        """Look at the next frame.

        Args:
            frame: its number.
            pixels: (H, W, 3) uint8, sRGB-coded.

        Returns:
            Whether it looks like the first of a new take. That may turn out to be a flash: `cuts` knows better.
        """
        current = thumbnail(pixels)
        self._judge(current)
        if self._previous is None:
            self._previous = current
            return False
        changed = difference(self._previous, current)
        usual = float(np.median(self._usual)) if self._usual else 0.0
        suspected = changed > max(_CUT, _ABOVE_USUAL * usual)
        # A run of jumps is one event: a whip pan, or a burst of flashes; takes of one frame do not exist.
        if suspected and not self._jumping:
            self._suspects.append(_Suspect(frame, self._previous))
        self._usual.append(changed)
        self._jumping = suspected
        self._previous = current
        return suspected

    def _judge(self, current: Thumbnail) -> None:
        """Forget the suspects of a flash that is over, confirm those that have lasted."""
        for place, suspect in enumerate(self._suspects):
            if difference(suspect.before, current) <= _CUT:
                del self._suspects[place:]
                # The way back is a jump as well; it is no cut.
                self._previous = current
                break
        for suspect in self._suspects:
            suspect.waited += 1
        self._confirmed += [suspect.frame for suspect in self._suspects if suspect.waited > _FLASH_FRAMES]
        self._suspects = [suspect for suspect in self._suspects if suspect.waited <= _FLASH_FRAMES]

    @property
    def cuts(self) -> list[int]:
        """First frames of new takes, ascending; final once the last frame was seen."""
        return self._confirmed + [suspect.frame for suspect in self._suspects]
