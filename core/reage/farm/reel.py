"""Finished frames laid out to be looked at: a movie, and a contact sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.atomic import writable_folder
from reage.images import colour_planes, on_display, write_picture
from reage.job import Job
from reage.movies import MovieWriter
from reage.pipeline.shot import Shot
from reage.plate import Output, Plate, open_plate
from reage.sheet import FORMATS, laid_out, picture_of
from reage.version import __version__

COLUMNS = 5
"""Frames that a contact sheet shows, first and last among them."""

TALLEST, WIDEST = 360, 640
"""Pixels of a tile."""

FPS = 24
"""Of a movie whose plate is a sequence, which knows no speed."""


def write_movie(job: Job, shot: Shot, output: Output, frames: Sequence[int], path: Path) -> None:
    """A movie of finished frames, as `reage run` encodes one: display codes over the display window.

    Args:
        job: that made the frames.
        shot: its plate, whose speed, sound and colour space count.
        output: the frames.
        frames: to show, ascending.
        path: .mov, .mp4 or .mkv; replaced at once when it is complete.

    Raises:
        PlateError: a frame cannot be read.
        OutputError: the movie cannot be written.
    """
    writable_folder(path.parent)
    made, writer, is_light = _opened(job, output), None, _is_light(shot)
    source = shot.plate.path(shot.plate.frames[0]) if shot.plate.is_movie else None
    try:
        for frame in frames:
            pixels = _codes(shot, made, frame, is_light)
            if writer is None:
                fps = shot.plate.fps or FPS
                size = pixels.shape[1], pixels.shape[0]
                writer = MovieWriter(path, fps, *size, audio_from=source, pixel_aspect=shot.pixel_aspect)
            writer.write(pixels)
        assert writer is not None
        writer.close()
    except BaseException:
        if writer is not None:
            writer.abort()
        raise


def write_sheet(job: Job, shot: Shot, outputs: Sequence[Output], frames: Sequence[int], path: Path) -> None:
    """A picture of some frames: the plate, and each output.

    Args:
        job: that made the frames.
        shot: its plate.
        outputs: one an age.
        frames: to choose from, ascending.
        path: PNG or JPEG.

    Raises:
        PlateError: a frame cannot be read.
        OutputError: the sheet cannot be written.
    """
    count = min(COLUMNS, len(frames))
    shown = [frames[round(i * (len(frames) - 1) / max(1, count - 1))] for i in range(count)]
    rows = [("plate", shot.plate)]
    names = ["re-aged"] if job.ages is None else [f"to {age:g}" for age in job.ages]
    rows += [(name, _opened(job, output)) for name, output in zip(names, outputs, strict=True)]
    is_light = _is_light(shot)
    tiles = [_tile(_codes(shot, plate, frame, is_light), shot.pixel_aspect) for _, plate in rows for frame in shown]
    labels = [f"{frame} {name}" for name, _ in rows for frame in shown]
    writable_folder(path.parent)
    pixels = laid_out(tiles, labels, columns=count)
    write_picture(path, picture_of(pixels, FORMATS[path.suffix.lower()], {"reage/version": __version__}))


def _opened(job: Job, output: Output) -> Plate:
    return open_plate(str(output.pattern) if output.pattern else output.name, view=job.view)


def _is_light(shot: Shot) -> bool:
    """Whether the plate is float; an integer picture that was made from it has been encoded already."""
    return shot.plate.read(shot.plate.frames[0]).depth == 0


def _codes(shot: Shot, plate: Plate, frame: int, is_light: bool) -> NDArray[np.float32]:
    """(H, W, 3) display codes 0..1 over the display window of a plate's or an output's frame."""
    picture = plate.read(frame)
    beauty = plate.beauty(picture)
    part = picture.parts[beauty.part]
    colour = colour_planes(picture, beauty)
    encoded = is_light and picture.depth != 0
    if not shot.colour.is_srgb and not encoded:
        colour = shot.colour.encoded(colour)
    return np.asarray(np.clip(np.nan_to_num(on_display(colour, part), nan=0.0), 0.0, 1.0), np.float32)


def _tile(codes: NDArray[np.float32], pixel_aspect: float) -> NDArray[np.uint8]:
    """Square pixels, small enough to stand beside others."""
    height, width = codes.shape[0], codes.shape[1] * pixel_aspect
    scale = min(1.0, TALLEST / height, WIDEST / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(codes, size, interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(small * 255.0), np.uint8)
