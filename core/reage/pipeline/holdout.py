"""A matte from outside that keeps Reage off what passes in front of a face."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reage.errors import PlateError, RequestError
from reage.images import as_float, read_picture
from reage.plate import Plate, open_plate
from reage.records import Window

Mask = NDArray[np.float32]


@dataclass(frozen=True)
class Holdout:
    """Planes by frame, read when they are needed."""

    maps: Mapping[int, Callable[[Window], Mask]]  # a window of the plate -> (h, w), 0..1
    digests: Mapping[int, str]
    files: frozenset[Path]  # all that the matte is made of


def open_holdout(text: str | None, frames: Sequence[int]) -> Holdout | None:
    """Open `PATTERN[:channel]`; None where there is no text.

    Raises:
        PlateError: a frame of it is missing.
    """
    if text is None:
        return None
    pattern, channel = split_channel(text)
    plate = open_plate(pattern)
    single = len(plate.frames) == 1
    missing = [] if single else [frame for frame in frames if frame not in set(plate.frames)]
    if missing:
        raise PlateError(f"--holdout {pattern}: frame {missing[0]} is missing; render the matte for all frames")
    at = {frame: plate.frames[0] if single else frame for frame in frames}

    def reader(frame: int) -> Callable[[Window], Mask]:
        return lambda window: _plane(plate, at[frame], channel, window)

    digests = {frame: _digest(plate.digest(at[frame]), channel) for frame in frames}
    files = frozenset(plate.path(frame) for frame in plate.frames)
    return Holdout({frame: reader(frame) for frame in frames}, digests, files)


def split_channel(text: str) -> tuple[str, str]:
    """Pattern and channel of `PATTERN[:channel]`; no channel: empty."""
    head, colon, channel = text.rpartition(":")
    # C:\mattes\a.%04d.exr has a colon and no channel.
    return (head, channel) if colon and "/" not in channel and "\\" not in channel else (text, "")


def _digest(content: str, channel: str) -> str:
    return hashlib.sha256(f"{content}:{channel}".encode()).hexdigest()[:32]


def _plane(plate: Plate, frame: int, channel: str, window: Window) -> Mask:
    """One channel over a window of the plate: the named one, else alpha, else the first; 0 beyond its own window."""
    picture = read_picture(plate.path(frame))
    for part in picture.parts:
        names = list(part.channels)
        name = channel or next((n for n in names if n == "A" or n.endswith(".A")), names[0])
        if name not in part.channels:
            continue
        plane = np.clip(np.nan_to_num(as_float(part.channels[name], picture.depth)), 0.0, 1.0)
        result = np.zeros((window.height, window.width), np.float32)
        common = window.intersect(part.data_window)
        if common.width and common.height:
            result[common.within(window)] = plane[common.within(part.data_window)]
        return result
    raise RequestError(f"--holdout: {plate.path(frame)} has no channel '{channel}'")
