"""Builds the plate that `reage demo` re-ages: a small scene-linear EXR shot, drawn from a bundled movie.

The movie holds a person who does not exist, moving before a plain wall. Here he is set into a wider frame of that
wall, sways as a body does when its head turns, lamps that are brighter than white hang out of focus behind him, and
grain lies over everything. The result is deterministic.
"""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.atomic import whole_file
from reage.errors import OutputError, PlateError

PERSON = Path(__file__).parent / "data" / "demo" / "person.mkv"
PATTERN = "demo.%04d.exr"
FIRST_FRAME = 1001
WIDTH, HEIGHT = 1280, 720
RATE = 24
RECIPE = "1"
"""To be raised with any change of what this module draws, so that older frames are drawn again."""

HOME = (256.0, -8.0)
"""Where the top-left corner of the person's picture lies in the frame, on average."""
FEATHER = 56.0
"""Pixels over which the picture's left and right edges pass into the wall."""
LAMPS = ((118, 148, 46, 6.0), (206, 268, 30, 2.2), (1148, 214, 38, 3.4), (1222, 92, 24, 1.3))
"""x, y, radius in pixels and radiance of each, as linear Rec.709 green; 1.0 is diffuse white."""
LAMP_COLOUR = (1.0, 0.78, 0.5)

AP1_FROM_709 = (
    (0.613097, 0.339523, 0.047379),
    (0.070194, 0.916354, 0.013452),
    (0.020616, 0.109570, 0.869815),
)
"""Linear Rec.709 to ACEScg, Bradford adaptation from D65 to the ACES white; source: the matrices of ACES' CG config."""
AP1_CHROMATICITIES = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)

Pixels = NDArray[np.float32]  # (H, W, 3)


def build_demo_plate(folder: Path) -> str:
    """Write the demo plate's frames, half-float RGB in ACEScg, ZIP; frames that are there and whole are kept.

    Args:
        folder: made where it is missing.

    Returns:
        The plate's frame pattern: 36 frames from 1001.

    Raises:
        PlateError: the bundled movie is missing or damaged.
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the demo's folder: {error.strerror}") from error
    mark = _mark()
    pictures = _pictures()
    stage: tuple[Pixels, Pixels] | None = None
    for index, picture in enumerate(pictures):
        file = folder / (PATTERN % (FIRST_FRAME + index))
        if _is_whole(file, mark):
            continue
        stage = stage or (_wall(pictures), _lamps())
        _write(file, _frame(picture, *stage, index / (len(pictures) - 1), index), mark)
    return str(folder / PATTERN)


def _mark() -> str:
    try:
        return f"{RECIPE}-{hashlib.sha256(PERSON.read_bytes()).hexdigest()[:16]}"
    except OSError as error:
        raise PlateError(f"{PERSON}: the demo's movie is missing; install reage again") from error


def _pictures() -> list[Pixels]:
    """The person's pictures, (S, S, 3), sRGB-encoded."""
    import av

    try:
        with av.open(str(PERSON)) as container:
            return [_rgb(frame) for frame in container.decode(video=0)]
    except (av.FFmpegError, OSError) as error:
        raise PlateError(f"{PERSON}: the demo's movie cannot be decoded; install reage again") from error


def _rgb(frame: Any) -> Pixels:
    """Decode 10-bit Y'CbCr of BT.709, full range; done here, since the library's converter differs by processor."""
    y, cb, cr = (_codes(plane) / np.float32(1023.0) for plane in frame.planes)
    cb, cr = cb - np.float32(0.5), cr - np.float32(0.5)
    red, blue = y + np.float32(1.5748) * cr, y + np.float32(1.8556) * cb
    green = (y - np.float32(0.2126) * red - np.float32(0.0722) * blue) / np.float32(0.7152)
    return np.stack([red, green, blue], -1)


def _codes(plane: Any) -> NDArray[np.float32]:
    rows = np.frombuffer(plane, np.uint16).reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width].astype(np.float32)


def _linear(code: Pixels) -> Pixels:
    """The sRGB curve undone."""
    code = np.clip(code, 0.0, 1.0)
    power = ((code + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(code <= 0.04045, code / np.float32(12.92), power).astype(np.float32)


def _wall(pictures: list[Pixels]) -> Pixels:
    """The empty wall over the whole frame, linear: the pictures' own edges, continued, darker towards the sides."""
    rows = np.clip(np.arange(HEIGHT) - int(HOME[1]), 0, pictures[0].shape[0] - 1)
    ends = []
    for strip in (slice(2, 22), slice(-22, -2)):
        column = np.median([_linear(picture[:, strip]).mean(1) for picture in pictures], 0)
        ends.append(cv2.GaussianBlur(column.astype(np.float32)[:, None], (1, 0), sigmaX=1, sigmaY=60)[rows])
    x = np.arange(WIDTH, dtype=np.float32) + 0.5
    across = np.clip((x - HOME[0]) / (WIDTH - 2 * HOME[0]), 0.0, 1.0)[None, :, None]
    beyond = np.clip(np.maximum(HOME[0] - x, x - (WIDTH - HOME[0])) / HOME[0], 0.0, 1.0)[None, :, None]
    wall: Pixels = (ends[0] * (1 - across) + ends[1] * across) * (1 - 0.45 * beyond**2)
    return wall


def _frame(picture: Pixels, wall: Pixels, lamps: Pixels, t: float, seed: int) -> Pixels:
    """One frame, linear Rec.709, at a time from 0 to 1."""
    person, matte = _placed(picture, _placement(t, picture.shape[0]))
    return _grain(wall + matte[..., None] * (person - wall) + lamps, seed)


def _placement(t: float, side: int) -> NDArray[np.float64]:
    """The (2, 3) map of the person's picture into the frame at a time from 0 to 1.

    The picture is aligned on the eyes; what moves it keeps the shoulders nearly still while the head turns.
    """
    sway = -34.0 * math.cos(math.pi * (0.1 + 1.05 * t))
    nod = 1.5 * math.sin(2.0 * math.pi * t)
    roll = math.radians(0.9) * math.sin(math.pi * (1.3 * t - 0.4))
    c, s = math.cos(roll), math.sin(roll)
    pivot = np.array([side / 2.0, float(side)])
    linear = np.array([[c, -s], [s, c]])
    offset = pivot - linear @ pivot + np.array(HOME) + (sway, nod)
    return np.concatenate([linear, offset[:, None]], 1)


def _placed(picture: Pixels, frame_from_picture: NDArray[np.float64]) -> tuple[Pixels, NDArray[np.float32]]:
    """The picture in the frame, linear, and where it is."""
    side = picture.shape[0]
    half = np.full(2, 0.5)
    centres = frame_from_picture.copy()  # OpenCV counts from the centre of the first pixel
    centres[:, 2] += frame_from_picture[:, :2] @ half - half
    size = (WIDTH, HEIGHT)
    code = cv2.warpAffine(picture, centres, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    x = np.arange(side, dtype=np.float32) + np.float32(0.5)
    ramp = np.clip(np.minimum(x, side - x) / FEATHER, 0.0, 1.0)
    ramp = np.broadcast_to(ramp * ramp * (3 - 2 * ramp), (side, side)).astype(np.float32)
    matte = cv2.warpAffine(ramp, centres, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return _linear(np.asarray(code, np.float32)), _extended(np.asarray(matte, np.float32))


def _extended(matte: NDArray[np.float32]) -> NDArray[np.float32]:
    """The matte without a top and a bottom edge: the frame cuts there."""
    middle = HEIGHT // 2
    top = np.maximum.accumulate(matte[middle::-1], 0)[::-1]
    bottom = np.maximum.accumulate(matte[middle:], 0)
    return np.concatenate([top[:-1], bottom])


def _lamps() -> Pixels:
    """Discs out of focus with a faint bloom, linear, to be added."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) + np.float32(0.5)
    light = np.zeros((HEIGHT, WIDTH), np.float32)
    for cx, cy, radius, radiance in LAMPS:
        distance = np.hypot(x - cx, y - cy)
        disc = np.clip((radius - distance) / 12.0 + 0.5, 0.0, 1.0)
        rim = 0.85 + 0.15 * np.clip(distance / radius, 0.0, 1.0) ** 4
        light += np.float32(radiance) * (disc * rim + 0.012 * np.exp(-0.5 * (distance / (3.0 * radius)) ** 2))
    return light[..., None] * np.asarray(LAMP_COLOUR, np.float32)


def _grain(linear: Pixels, seed: int) -> Pixels:
    """Film grain: noise whose deviation grows with the square root of the light, softened by half a pixel."""
    noise = np.random.default_rng((71, seed)).standard_normal(linear.shape, np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * np.float32(1.9)
    noise = 0.55 * noise + 0.45 * noise.mean(-1, keepdims=True) * np.float32(1.7)
    deviation = np.float32(0.0012) + np.float32(0.011) * np.sqrt(np.clip(linear, 0.0, 8.0))
    grained: Pixels = linear + deviation * noise
    return grained


def _is_whole(file: Path, mark: str) -> bool:
    """Whether a frame of this recipe is there and can be read to its end."""
    import OpenEXR

    if not file.is_file():
        return False
    try:
        exr = OpenEXR.File(str(file), separate_channels=True)
        shapes = {channel.pixels.shape for channel in exr.channels().values()}
        return exr.header().get("demoPlate") == mark and shapes == {(HEIGHT, WIDTH)}
    except Exception:  # the library's errors have no common class; whatever is wrong, the frame is drawn again
        return False


def _write(file: Path, linear_709: Pixels, mark: str) -> None:
    import OpenEXR

    pixels = (linear_709 @ np.asarray(AP1_FROM_709, np.float32).T).astype(np.float16)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "chromaticities": AP1_CHROMATICITIES,
        "colorInteropID": "lin_ap1_scene",
        "framesPerSecond": Fraction(RATE, 1),
        "comments": "A person who does not exist; drawn for reage demo",
        "demoPlate": mark,
    }
    channels = {name: np.ascontiguousarray(pixels[..., i]) for i, name in enumerate("RGB")}
    with whole_file(file) as beside:
        try:
            OpenEXR.File(header, channels).write(str(beside))
        except RuntimeError as error:
            raise OutputError(f"{file}: cannot write the demo's plate: {error}") from error
