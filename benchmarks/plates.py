"""Plates for the benchmarks: the demo's shot at the sizes of film, made once into a temporary folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR

from reage.demo_plate import build_demo_plate
from reage.images import colour_planes, find_beauty, read_picture

SIZES = {"SD": (640, 360), "HD": (1920, 1080), "UHD": (3840, 2160), "UHD-medium": (3840, 2160)}
"""The face fills the frame; in a medium shot it is a third as large, and the frame's edge goes on around it."""

MEDIUM = 3
FIRST = 1001
SHOT = 36
"""Frames of the demo's shot; longer plates go to and fro in it."""


def make_plate(folder: Path, size: str, frames: int) -> str:
    """Write a plate, half-float RGB in ACEScg, ZIP, with grain of its own at its own size, and answer its pattern."""
    small = build_demo_plate(folder / "demo")
    width, height = SIZES[size]
    pattern = folder / f"{size}.{frames}" / "plate.%04d.exr"
    pattern.parent.mkdir(parents=True, exist_ok=True)
    made: dict[int, Path] = {}
    for k in range(frames):
        at = k % (2 * SHOT - 2)
        source = FIRST + min(at, 2 * SHOT - 2 - at)
        path = Path(str(pattern) % (FIRST + k))
        if source in made:
            path.hardlink_to(made[source])  # the same picture again; a hard link costs no disk
            continue
        _write(Path(small % source), path, width, height, source)
        made[source] = path
    return str(pattern)


def _write(source: Path, path: Path, width: int, height: int, seed: int) -> None:
    picture = read_picture(source)
    colour = colour_planes(picture, find_beauty(picture))
    if path.parent.name.startswith("UHD-medium"):
        colour = cv2.resize(colour, (width // MEDIUM, height // MEDIUM), interpolation=cv2.INTER_AREA)
        x, y = (width - colour.shape[1]) // 2, (height - colour.shape[0]) // 2
        colour = cv2.copyMakeBorder(colour, y, y, x, x, cv2.BORDER_REPLICATE)
    colour = cv2.resize(colour, (width, height), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(seed).normal(0.0, 1.0, colour.shape).astype(np.float32)
    colour = colour + 0.02 * np.sqrt(np.maximum(colour, 0.0) * 0.18) * grain
    channels = {name: np.ascontiguousarray(colour[..., i], dtype=np.float16) for i, name in enumerate("RGB")}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, channels).write(str(path))
