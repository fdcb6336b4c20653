"""What flows between the stages: frozen records with their contract beside each field.

Conventions (pinned by tests/test_geometry.py): points are (x, y), y down; the centre of the top-left pixel of the
plate's pixel space is (0.5, 0.5); a data window that starts at x = -5 covers -5.0 to its right edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (K, 2) x, y in plate pixels unless a name says otherwise
Plane = NDArray[Any]  # (H, W), one channel in the file's own type


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels: x, y of its top-left pixel, width and height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond the window."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond the window."""
        return self.y + self.height

    def intersect(self, other: Window) -> Window:
        """The common part; width or height is 0 where there is none."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        width = max(0, min(self.right, other.right) - x)
        height = max(0, min(self.bottom, other.bottom) - y)
        return Window(x, y, width, height)

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Rows and columns of this window in an array that covers `outer`."""
        top, left = self.y - outer.y, self.x - outer.x
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True)
class Part:
    """One part of an EXR, or the only part of any other picture."""

    channels: Mapping[str, Plane]  # by name; (H, W) of the data window, float16/float32/uint32/uint16/uint8
    data_window: Window
    display_window: Window
    pixel_aspect: float  # width of a pixel over its height
    header: Mapping[str, Any]  # what the file's library needs to write the part again, metadata included


@dataclass(frozen=True)
class Picture:
    """A file's whole content, as read: nothing converted, nothing left out."""

    format: str  # "exr", "dpx", "tiff", "png", "jpeg", "movie"
    parts: tuple[Part, ...]
    depth: int = 0  # bits of an integer code, 0 for float formats


@dataclass(frozen=True)
class Beauty:
    """Where the colour that is re-aged lies in a picture."""

    part: int  # index into Picture.parts
    colour: tuple[str, str, str]  # names of red, green, blue ("left.R" …; all the same name for a grey picture)
    alpha: str | None  # name of alpha, where there is one
    premultiplied: bool  # colour was multiplied by alpha


@dataclass(frozen=True)
class Detection:
    """One face in one frame, before tracking."""

    frame: int
    box: tuple[float, float, float, float]  # left, top, right, bottom, plate pixels
    score: float  # of the detector; 0 where the face was followed without one
    landmarks: Points  # (68, 2) plate pixels, subpixel
    descriptor: NDArray[np.float64] | None  # (128,) identity, unit scale of dlib's network; None where not computed
