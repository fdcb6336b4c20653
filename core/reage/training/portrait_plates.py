"""Portraits filmed: each set into a small moving plate, whose truth is known, and degraded like film.

The portrait's own square is its FFHQ quad. What is around it is its edges, continued out of focus. Then come what a
camera and a grade do: a slow move of the frame, exposure, a cast, defocus, and grain in linear light.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from reage import geometry
from reage.atomic import whole_file
from reage.colour import decode_srgb
from reage.demo_plate import AP1_CHROMATICITIES, AP1_FROM_709
from reage.errors import OutputError
from reage.ledger import digest_of
from reage.training.portraits import SEED, SIDE, Picture8

Pixels = NDArray[np.float32]  # (H, W, 3), linear Rec.709

FRAMES = 5
FIRST_FRAME = 1001
MIDDLE = FIRST_FRAME + FRAMES // 2
QUAD = (400.0, 900.0)
"""Pixels of the quad's side."""
LARGEST = (1600, 1200)
ROOM_X, ROOM_Y = (1.6, 2.2), (1.15, 1.4)
"""Width and height of the frame in sides of the quad."""
AROUND = 720
"""Portrait pixels that the picture is continued by on each side: enough for the widest frame's corners."""
EDGE = 48
"""Portrait pixels of its left and right edges whose mean is continued."""
FEATHER = 80.0
"""Portrait pixels over which its left, right and upper edges pass into what is around it."""
CORNER = 300.0
"""Radius of its upper corners: hair that the picture cuts ends round."""
BELOW = 160
"""Portrait pixels by which the shoulders are continued, mirrored: a little of that is seen."""
COARSE = 8
"""Portrait pixels of a pixel of what is around: it is out of focus."""
RECIPE = 2
"""To be raised with any change of what this module draws, so that older plates are drawn again."""


@dataclass(frozen=True)
class Take:
    """How a portrait is filmed."""

    width: int
    height: int
    frame_from_portrait: tuple[geometry.Affine, ...]  # one a frame, from pixels of the 1024-pixel portrait
    gains: tuple[float, float, float]  # exposure and cast
    blur: float  # sigma in frame pixels
    grain: float  # 1: that of the demo's plate

    def quad(self, frame: int) -> NDArray[np.float64]:
        """Where the portrait's square truly lies in a frame: (4, 2) TL, BL, BR, TR."""
        corners = np.array([[0, 0], [0, SIDE], [SIDE, SIDE], [SIDE, 0]], np.float64)
        return geometry.apply(self.frame_from_portrait[frame - FIRST_FRAME], corners)


def take_of(index: int) -> Take:
    """The take of a portrait, drawn from its index."""
    rng = np.random.default_rng((SEED + index, 1))
    side = rng.uniform(*QUAD)
    width = min(LARGEST[0], 2 * round(side * rng.uniform(*ROOM_X) / 2))
    height = min(LARGEST[1], 2 * round(side * rng.uniform(*ROOM_Y) / 2))
    # The frame cuts the shoulders near the portrait's lower edge; the head is off the middle, a little turned.
    middle = np.array([0.5 * width + side * rng.uniform(-0.12, 0.12), height - side * rng.uniform(0.50, 0.54)])
    roll, drift = math.radians(rng.normal(0.0, 3.0)), math.radians(rng.uniform(-0.25, 0.25))
    heading, pace, zoom = rng.uniform(0.0, math.tau), side * rng.uniform(0.0005, 0.003), rng.uniform(-0.002, 0.002)
    step = pace * np.array([math.cos(heading), math.sin(heading)])
    moves = []
    for t in range(-(FRAMES // 2), FRAMES - FRAMES // 2):
        scale, angle = side / SIDE * math.exp(zoom * t), roll + drift * t
        c, s = scale * math.cos(angle), scale * math.sin(angle)
        linear = np.array([[c, -s], [s, c]])
        moves.append(np.concatenate([linear, (middle + t * step - linear @ (SIDE / 2, SIDE / 2))[:, None]], 1))
    stops, cast = float(np.clip(rng.normal(0.0, 0.35), -0.8, 0.5)), rng.normal(0.0, 0.05, 3)
    red, green, blue = (float(2.0 ** (stops + c - cast.mean())) for c in cast)
    return Take(
        width, height, tuple(moves), (red, green, blue), side / 900 * rng.uniform(0.0, 1.3), rng.uniform(0.5, 1.4)
    )


def write_plate(picture: Picture8, index: int, folder: Path) -> str:
    """Write a portrait's plate, half-float RGB in ACEScg, ZIP; frames that are there already are kept.

    Args:
        picture: (1024, 1024, 3), sRGB-encoded.
        index: of the portrait: it says how it is filmed.
        folder: made where it is missing; it holds this plate alone.

    Returns:
        The plate's frame pattern: `FRAMES` frames from `FIRST_FRAME`.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mark = digest_of({"recipe": RECIPE, "index": index, "picture": hashlib.sha256(picture.tobytes()).hexdigest()})[:8]
    pattern = folder / f"plate-{mark}.%04d.exr"
    take, stage = take_of(index), None
    for at in range(FRAMES):
        file = Path(str(pattern) % (FIRST_FRAME + at))
        if not file.exists():
            stage = stage if stage is not None else staged(picture, index)
            _write(file, filmed(stage, take, index, at))
    return str(pattern)


def staged(picture: Picture8, index: int) -> torch.Tensor:
    """A portrait and what is around it, linear: (3, 1024 + 2 AROUND, 1024 + 2 AROUND)."""
    linear = np.asarray(decode_srgb(torch.from_numpy(picture.astype(np.float32) / 255.0)).numpy(), np.float32)
    small = cv2.resize(linear, (SIDE // COARSE, SIDE // COARSE), interpolation=cv2.INTER_AREA)
    pad = AROUND // COARSE
    around = cv2.copyMakeBorder(_wall(small), pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    around = around * _patches(around.shape[0], index)[..., None]
    whole = SIDE + 2 * AROUND
    around = cv2.resize(around, (whole, whole), interpolation=cv2.INTER_CUBIC)
    person = cv2.copyMakeBorder(linear, 0, BELOW, 0, 0, cv2.BORDER_REFLECT_101)
    inner = around[AROUND : AROUND + SIDE + BELOW, AROUND:-AROUND]
    inner += _opacity()[..., None] * (person - inner)
    return torch.from_numpy(np.ascontiguousarray(around.transpose(2, 0, 1)))


def _wall(small: Pixels) -> Pixels:
    """The picture's left and right edges, smooth along themselves, and between them no person: its own size."""
    ends = []
    for strip in (small[:, : EDGE // COARSE], small[:, -EDGE // COARSE :]):
        column = np.ascontiguousarray(strip.mean(1, keepdims=True))
        ends.append(cv2.GaussianBlur(column, (1, 0), sigmaX=1, sigmaY=48 / COARSE, borderType=cv2.BORDER_REPLICATE))
    across = np.linspace(0.0, 1.0, small.shape[1], dtype=np.float32)[None, :, None]
    return np.asarray(ends[0] + across * (ends[1] - ends[0]), np.float32)


def _opacity() -> NDArray[np.float32]:
    """Where the person is and not the wall, 0..1: (1024 + BELOW, 1024), its upper corners round."""
    at = np.arange(SIDE + BELOW, dtype=np.float32) + 0.5
    x, y = np.minimum(at, SIDE - at)[None, :SIDE], at[:, None]
    inside = CORNER - np.hypot(np.maximum(CORNER - x, 0.0), np.maximum(CORNER - y, 0.0))
    t = np.clip(inside / FEATHER, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def _patches(side: int, index: int) -> NDArray[np.float32]:
    """Light and shade of a room out of focus, about 1, 1 in the middle: (side, side)."""
    noise = np.random.default_rng((SEED + index, 2)).standard_normal((side, side)).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 0.06 * side)
    at = np.abs(np.arange(side) + 0.5 - side / 2) / (SIDE / COARSE / 2)
    beyond = np.clip(np.maximum(at[None, :], at[:, None]) - 1.0, 0.0, 1.0)
    return np.asarray(np.exp2(beyond * (0.6 * soft / soft.std() - 0.3)), np.float32)


def filmed(stage: torch.Tensor, take: Take, index: int, at: int) -> Pixels:
    """Frame `at` of a take: (H, W, 3) linear Rec.709."""
    stage_from_frame = geometry.compose(geometry.shift(AROUND, AROUND), geometry.invert(take.frame_from_portrait[at]))
    planes = geometry.resample(stage, stage_from_frame, take.height, take.width)
    light = np.ascontiguousarray(planes.permute(1, 2, 0).numpy()) * np.asarray(take.gains, np.float32)
    if take.blur > 0.15:
        light = cv2.GaussianBlur(light, (0, 0), take.blur)
    return np.asarray(light + take.grain * _grain(light, index, at), np.float32)


def _grain(light: Pixels, index: int, at: int) -> Pixels:
    """Film grain: its deviation grows with the root of the light; softened a little, partly shared by channels."""
    noise = np.random.default_rng((SEED + index, 3, at)).standard_normal(light.shape, np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * np.float32(1.9)
    noise = 0.55 * noise + 0.77 * noise.mean(-1, keepdims=True)
    return np.asarray((0.0012 + 0.011 * np.sqrt(np.clip(light, 0.0, 8.0))) * noise, np.float32)


def _write(file: Path, linear_709: Pixels) -> None:
    import OpenEXR

    pixels = (linear_709 @ np.asarray(AP1_FROM_709, np.float32).T).astype(np.float16)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": AP1_CHROMATICITIES,
        "colorInteropID": "lin_ap1_scene",
    }
    channels = {name: np.ascontiguousarray(pixels[..., i]) for i, name in enumerate("RGB")}
    with whole_file(file) as beside:
        try:
            OpenEXR.File(header, channels).write(str(beside))
        except RuntimeError as error:
            raise OutputError(f"{file}: cannot write the portrait's plate: {error}") from error
