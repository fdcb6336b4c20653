"""The synthetic ageing series: pictures of people who do not exist, each at several apparent ages."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

YOUNGEST = 15.0
"""Pictures that read younger are left out: the product does not make children."""


@dataclass(frozen=True)
class Series:
    """One person at several ages, in rising order."""

    identity: int
    ages: NDArray[np.float32]  # (K,), years, strictly rising (smoothed along the series)
    files: tuple[Path, ...]  # K pictures, 512 x 512, FFHQ-aligned


def read_series(folder: Path) -> list[Series]:
    """Read `ages.csv` and answer the series with at least two usable pictures, by identity."""
    rows: dict[int, list[tuple[float, float, Path]]] = {}
    with (folder / "ages.csv").open(newline="") as text:
        for row in csv.DictReader(text):
            identity, step = int(row["identity"]), int(row["step"])
            entry = (float(row["shift_decades"]), float(row["apparent_age"]), folder / f"{identity:04d}_{step}.jpg")
            rows.setdefault(identity, []).append(entry)
    result = []
    for identity, entries in sorted(rows.items()):
        entries.sort(key=lambda entry: entry[0])
        ages = rising([age for _, age, _ in entries])
        kept = [i for i, age in enumerate(ages) if age >= YOUNGEST]
        if len(kept) >= 2:
            result.append(Series(identity, ages[kept], tuple(entries[i][2] for i in kept)))
    return result


def rising(ages: list[float], least: float = 0.5) -> NDArray[np.float32]:
    """Smooth noisy ages to a strictly rising series: pool adjacent violators, then keep `least` years apart."""
    blocks: list[tuple[float, int]] = []
    for age in ages:
        blocks.append((age, 1))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (b, m), (a, n) = blocks.pop(), blocks.pop()
            blocks.append(((a * n + b * m) / (n + m), n + m))
    flat = [value for value, count in blocks for _ in range(count)]
    for i in range(1, len(flat)):
        flat[i] = max(flat[i], flat[i - 1] + least)
    return np.asarray(flat, np.float32)


def load_picture(file: Path, size: int) -> NDArray[np.uint8]:
    """Read one picture as (3, size, size) uint8 RGB."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"{file}: not a picture")
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    planes: NDArray[np.uint8] = np.ascontiguousarray(small[:, :, ::-1].transpose(2, 0, 1))
    return planes
