"""Pictures to look at: contact sheets of labelled tiles, and pairs for eyes that are not told which is which."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.atomic import write_text
from reage.sheet import labelled
from reage.training.portraits import write_rgb

Picture8 = NDArray[np.uint8]
Tile = tuple[Picture8, str]  # (S, S, 3) RGB and its label
LABEL = 0.5
"""Font scale."""


def write_sheet(rows: Sequence[Sequence[Tile]], file: Path) -> None:
    """Rows of tiles, all of one size, as a JPEG; shorter rows end in black."""
    columns = max(len(row) for row in rows)
    black = np.zeros_like(rows[0][0][0])
    drawn = []
    for row in rows:
        tiles = [labelled(tile, text, LABEL) for tile, text in row]
        drawn.append(np.hstack(tiles + [black] * (columns - len(row))))
    cv2.imwrite(str(file), np.vstack(drawn)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def write_blind(pairs: Sequence[tuple[Picture8, Picture8]], folder: Path, seed: int) -> None:
    """Pairs of pictures as `NN_A.png` and `NN_B.png` in a drawn order, and `key.json` that says which is older.

    Args:
        pairs: plate and older result of each person, at full size.
        folder: made where it is missing.
        seed: of the order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    order, key = rng.permutation(len(pairs)), {}
    for number, at in enumerate(order):
        older_first = bool(rng.random() < 0.5)
        first, second = reversed(pairs[at]) if older_first else pairs[at]
        for letter, picture in (("A", first), ("B", second)):
            write_rgb(folder / f"{number:02d}_{letter}.png", picture)
        key[f"{number:02d}"] = {"older": "A" if older_first else "B", "pair": int(at)}
    write_text(folder / "key.json", json.dumps(key, indent=1) + "\n")
