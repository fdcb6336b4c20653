"""The pictures of docs/gizmos.md, drawn by the reference model: `python -m nk.pictures PLATE RENDER YOUNG OUT`.

PLATE, RENDER and YOUNG are EXR patterns: a plate, and what `reage run --layers` made of it at two ages. RENDER holds
frames 1001 to 1036 by four and 1015 to 1019, YOUNG frame 1017, in ACEScg.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from nk.render import Gizmo, Image, Source, nuke_name
from nk.script import read_file
from nk.toolset import GIZMOS
from reage.colour import Colour
from reage.images import read_picture

FRAME, LAST = 1017, 1036
TILE = (320, 360)
Picture = NDArray[np.uint8]


def as_read(pattern: str) -> Source:
    """A Read of an EXR sequence."""

    def frame(number: int) -> Image:
        channels = read_picture(Path(pattern % number)).parts[0].channels
        height, width = channels["R"].shape
        return Image(width, height).having({nuke_name(name): plane for name, plane in channels.items()})

    return frame


def seen(image: Image, text: str, whole: bool = False) -> Picture:
    """A frame on a display, its middle, with a word in the corner."""
    shown = Colour("scene_linear").display(np.nan_to_num(image.rgb()))
    if not whole:
        left = (shown.shape[1] - shown.shape[0] * TILE[0] // TILE[1]) // 2 + 20
        shown = shown[:, left : left + shown.shape[0] * TILE[0] // TILE[1]]
    size = (TILE[1] * shown.shape[1] // shown.shape[0], TILE[1]) if whole else TILE
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    for colour, shift in ((0, 1), (255, 0)):
        at = (10 + shift, 24 + shift)
        cv2.putText(small, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (colour,) * 3, 1, cv2.LINE_AA)
    return np.asarray(small)


def main(plate_pattern: str, render_pattern: str, young_pattern: str, out: str) -> None:
    """Draw apply.jpg and qc.jpg."""
    plate, aged, young = as_read(plate_pattern), as_read(render_pattern), as_read(young_pattern)

    def drawn(name: str, *inputs: Source | None, **knobs: Any) -> Image:
        return Gizmo(read_file(GIZMOS / f"{name}.gizmo"), inputs, (1001, LAST), **knobs).at(FRAME)

    def apply(**knobs: Any) -> Image:
        return drawn("ReageApply", plate, aged, None, None, face_size=770, **knobs)

    def blend(age: float) -> Image:
        return drawn("ReageBlend", plate, young, None, aged, age=age)

    gains = {"tone 1, detail 0": (1, 0), "tone 0.3, detail 2": (0.3, 2)}
    bands = [seen(apply(tone=tone, detail=detail), name) for name, (tone, detail) in gains.items()]
    views = [seen(apply(output_view=view), view) for view in ("change x gain", "matte", "regions", "wipe")]
    ages = [seen(blend(age), f"ReageBlend {age:g}") for age in (20, 35, 50, 70)]
    rows = [[seen(plate(FRAME), "plate"), seen(apply(), "result"), *bands], views, ages]
    cv2.imwrite(f"{out}/apply.jpg", np.vstack([np.hstack(row) for row in rows])[..., ::-1], [1, 90])
    left = [seen(drawn("ReageQC", plate, aged, output_view=v), f"ReageQC {v}") for v in ("difference", "flicker")]
    sheet = seen(drawn("ReageQC", plate, aged, sheet=1, sheet_first=1001, sheet_step=4), "contact sheet", whole=True)
    cv2.imwrite(f"{out}/qc.jpg", np.hstack([*left, sheet])[..., ::-1], [1, 90])


if __name__ == "__main__":
    main(*sys.argv[1:])
