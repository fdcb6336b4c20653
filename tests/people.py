"""Small plates with real faces in motion: the portraits of the exemplar bank, cut out and moved over a wall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import command
import cv2
import numpy as np
import OpenEXR

Place = tuple[float, float, float]
"""x and y of a portrait's centre, and its side, in plate pixels; a face takes half of the side."""

BANK = command.CORE / "reage" / "data" / "bank"
NAMES = sorted(path.name.removesuffix(".thumb.jpg") for path in BANK.glob("*.thumb.jpg"))
SIDE = 128  # pixels of a portrait, aligned as FFHQ is


@lru_cache(maxsize=64)
def portrait(name: str) -> np.ndarray:
    """Somebody of the bank, young: (128, 128, 3) float32, linear."""
    coded = cv2.imread(str(BANK / f"{name}.thumb.jpg"))[:, :SIDE, ::-1].astype(np.float32) / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(maxsize=8)
def wall(seed: int, width: int, height: int) -> np.ndarray:
    """A wall of stones, so that a person who walks by is no cut: (h, w, 3) float32, linear."""
    stones = np.random.default_rng(seed).uniform(0.02, 0.4, (height // 20 + 1, width // 20 + 1, 3)).astype(np.float32)
    return cv2.GaussianBlur(stones.repeat(20, 0).repeat(20, 1)[:height, :width], (0, 0), 1.5)


@lru_cache(maxsize=1)
def _cut_out() -> np.ndarray:
    """Opacity of a portrait: a head with soft edges, (128, 128)."""
    y, x = (np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2) / SIDE
    away = np.hypot(x / 0.40, y / 0.49)
    return np.clip((1.0 - away) / 0.15, 0.0, 1.0).astype(np.float32)


def picture(frame: int, places: Mapping[str, Place], width: int = 320, height: int = 200, seed: int = 1) -> np.ndarray:
    """A frame: a wall, people before it (the last one in front), grain. (h, w, 3) float32, linear."""
    plate = wall(seed, width, height).copy()
    for name, (x, y, side) in places.items():
        size = side / SIDE
        move = np.float32([[size, 0, x - side / 2], [0, size, y - side / 2]])
        person = np.dstack([portrait(name), _cut_out()])
        moved = cv2.warpAffine(person, move, (width, height), flags=cv2.INTER_LINEAR)
        shown = moved[..., 3:]
        plate = plate * (1 - shown) + moved[..., :3] * shown
    return (plate + np.random.default_rng(frame).normal(0, 0.003, plate.shape)).astype(np.float32)


def write_shot(folder: Path, pictures: Sequence[np.ndarray]) -> str:
    """An EXR sequence from frame 1001; returns its pattern."""
    for frame, pixels in enumerate(pictures, start=command.FIRST):
        command.write_frame(folder / f"p.{frame}.exr", pixels)
    return str(folder / "p.%04d.exr")


def write_windows(
    path: Path, pixels: np.ndarray, at: tuple[int, int], display: tuple[int, int, int, int], pixel_aspect: float = 1.0
) -> None:
    """An EXR whose pixels lie anywhere: `at` is their top left, `display` the x, y, width, height of that window."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "compression": OpenEXR.PIZ_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "dataWindow": _box(*at, pixels.shape[1], pixels.shape[0]),
        "displayWindow": _box(*display),
        "pixelAspectRatio": pixel_aspect,
    }
    half = pixels.astype(np.float16)
    channels = {name: np.ascontiguousarray(half[..., i]) for i, name in enumerate("RGB")}
    OpenEXR.File(header, channels).write(str(path))


def _box(x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([x, y], np.int32), np.array([x + width - 1, y + height - 1], np.int32)
