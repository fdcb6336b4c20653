"""A contact sheet: one frame at several ages side by side, each as the render would show it, with its age below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from reage.atomic import writable_folder
from reage.composite import side_of
from reage.errors import RequestError
from reage.images import write_picture
from reage.job import Job
from reage.pipeline import frame_in_memory
from reage.pipeline.outputs import display_codes, full_colour, metadata, refuse_foreign
from reage.pipeline.placing import Rendered
from reage.pipeline.scene import Scene
from reage.pipeline.work import strictest_licence
from reage.plate import open_plate
from reage.records import Part, Picture, Window
from reage.sequence import refuse_plate_overwrite

Event = dict[str, Any]
Image = NDArray[np.uint8]  # (h, w, 3) RGB, sRGB-encoded

FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
"""What a sheet can be: pictures that everything shows."""

MARGIN = 0.06
"""Room around the aligned quads of the faces, in sides of the largest."""

TALLEST, WIDEST = 512, 960
"""Pixels of a tile; larger pictures are shrunk."""

LEAST = 300
"""Pixels of a tile's height; smaller pictures are enlarged by a whole number."""

MOST_COLUMNS = 6
"""Tiles in a row before another begins; half as many where they are wide."""

GAP = 6
"""Pixels between tiles."""

DARK, WHITE = 18, 240
"""Codes of the ground and of the labels."""


def sheet(job: Job, output: Path, frame: int | None = None) -> Iterator[Event]:
    """Write a sheet: the plate, then each of the job's ages.

    The plate is analysed as `run` does, into `<output's stem>.tracks.json`, unless the job names a tracks file.

    Args:
        job: its output is not looked at.
        output: a PNG or JPEG.
        frame: left out: the plate's first.

    Yields:
        The events of the analysis, then `frame` with the path, and `done`.

    Raises:
        RequestError: the output is neither PNG nor JPEG.
        OutputError: a file that reage did not make is in the way, or the disk refuses.
        ReageError: as `reage.pipeline.run`.
    """
    format = FORMATS.get(output.suffix.lower())
    if format is None:
        raise RequestError(f"output '{output}': a sheet is a picture to look at; end its name in .png or .jpg")
    plate = open_plate(job.plate, first_frame=job.first_frame, view=job.view)
    number = plate.frames[0] if frame is None else frame
    refuse_plate_overwrite([output], {plate.path(at) for at in plate.frames})
    if not job.overwrite:
        refuse_foreign(output)
    writable_folder(output.parent)
    scene, rendered = yield from frame_in_memory(job, number, output.with_name(output.stem + ".tracks.json"))
    if not scene.faces(number):
        yield {"event": "warning", "message": f"frame {number}: nobody is re-aged in it; all tiles show the plate"}
    yield {"event": "stage", "name": "sheet"}
    texts = metadata(scene, 0, number, "", strictest_licence(scene))
    texts["reage/age"] = " ".join(f"{age:g}" for age in _ages(job))
    write_picture(output, picture_of(laid_out(_tiles(scene, rendered), _labels(scene, number)), format, texts))
    state = "aged" if scene.faces(number) else "no-face"
    yield {"event": "frame", "frame": number, "state": state, "path": str(output)}
    yield {"event": "done", "frame": number, "outputs": [str(output)]}


def _ages(job: Job) -> Sequence[float]:
    if job.ages is None:
        raise RequestError("a sheet needs --ages, such as 20,40,60")
    return job.ages


# ---- tiles -----------------------------------------------------------------------------------------------------------


def _tiles(scene: Scene, rendered: Rendered) -> list[Image]:
    """The plate and every age, cut to the faces and brought to one size."""
    window = framed(scene, rendered)
    pictures = [rendered.view.colour, *(full_colour(rendered, i, scene)[0] for i in range(len(scene.targets)))]
    return [_sized(_seen(scene, rendered, colour, window), rendered.view.part.pixel_aspect) for colour in pictures]


def framed(scene: Scene, rendered: Rendered) -> Window:
    """The part of the display window that a tile shows: all re-aged faces with some room, or everything."""
    display = rendered.view.part.display_window
    quads = [face.quad_array() for _, face in scene.faces(rendered.view.number)]
    if not quads:
        return display
    room = MARGIN * max(side_of(quad) for quad in quads)
    points = np.concatenate(quads)
    low, high = np.floor(points.min(0) - room).astype(int), np.ceil(points.max(0) + room).astype(int)
    around = Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])).intersect(display)
    return around if around.width and around.height else display


def _seen(scene: Scene, rendered: Rendered, colour: NDArray[np.float32], window: Window) -> Image:
    """What a display shows of a window."""
    codes = display_codes(rendered.view, colour, scene.shot.colour)
    return codes[window.within(rendered.view.part.display_window)]


def _sized(picture: Image, pixel_aspect: float) -> Image:
    """A tile with square pixels, neither too small nor too large to be looked at; pixel for pixel where it fits."""
    height, width = picture.shape[0], picture.shape[1] * pixel_aspect
    scale = min(1.0, TALLEST / height, WIDEST / width)
    if height < LEAST:
        scale = float(max(1, min(math.ceil(LEAST / height), math.floor(WIDEST / width))))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == (picture.shape[1], height):
        return picture
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def _labels(scene: Scene, frame: int) -> list[str]:
    """Words for the plate's tile, with the ages of the people in it from left to right, and for every age."""
    faces = sorted(scene.faces(frame), key=lambda entry: float(entry[1].quad_array()[:, 0].mean()))
    known = [f"{round(scene.source_age(person)):d}" for person, _ in faces]
    ages = {0: "no face", 1: f"age {', '.join(known)}"}.get(len(known), f"ages {', '.join(known)}")
    low, high = scene.ager.facts.ages
    labels = [f"plate, {ages}"]
    for age in _ages(scene.job):
        ends = scene.ager.facts.clamps and not low <= age <= high
        labels.append(f"age {age:g}" + (f" (as {min(max(age, low), high):g})" if ends else ""))
    return labels


# ---- sheet -----------------------------------------------------------------------------------------------------------


def laid_out(tiles: Sequence[Image], labels: Sequence[str], columns: int | None = None) -> Image:
    """Tiles of one size in rows, each with its label on a dark strip below.

    Args:
        tiles: (h, w, 3) each.
        labels: ASCII, one a tile.
        columns: tiles in a row; left out: as many as are easy to look at.
    """
    height, width = tiles[0].shape[:2]
    most = MOST_COLUMNS if width <= 1.4 * height else MOST_COLUMNS // 2
    columns = columns or math.ceil(len(tiles) / math.ceil(len(tiles) / most))
    rows = math.ceil(len(tiles) / columns)
    strip = round(min(max(0.12 * height, 36.0), 64.0))
    step_x, step_y = width + GAP, height + strip + GAP
    canvas = np.full((rows * step_y + GAP, columns * step_x + GAP, 3), DARK, np.uint8)
    size = min(_font_size(label, strip, width) for label in labels)
    for at, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        x, y = GAP + at % columns * step_x, GAP + at // columns * step_y
        canvas[y : y + height, x : x + width] = tile
        _write(canvas[y + height : y + height + strip, x : x + width], label, size)
    return canvas


def _font_size(text: str, strip: int, width: int) -> float:
    """OpenCV's font scale at which a text fills a strip and fits a tile."""
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 1)
    return float(min(0.45 * strip / high, 0.94 * width / wide))


def _write(strip: Image, text: str, size: float) -> None:
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size, 1)
    at = (strip.shape[1] - wide) // 2, (strip.shape[0] + high) // 2
    drawn = np.ascontiguousarray(strip)
    cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_DUPLEX, size, (WHITE, WHITE, WHITE), 1, cv2.LINE_AA)
    strip[:] = drawn


def labelled(picture: Image, text: str, size: float) -> Image:
    """A copy with a few words in its corner, on dark ground: readable on any picture.

    Args:
        picture: (H, W, 3) RGB.
        text: the words.
        size: OpenCV's font scale.
    """
    out = np.ascontiguousarray(picture).copy()
    (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, size, 1)
    room = round(12 * size)
    out[: high + below + 2 * room, : wide + 2 * room] //= 3
    at = room, high + room
    cv2.putText(out, text, at, cv2.FONT_HERSHEY_DUPLEX, size, (WHITE, WHITE, WHITE), 1, cv2.LINE_AA)
    return out


def picture_of(pixels: Image, format: str, texts: dict[str, str]) -> Picture:
    """Pixels as a picture that can be written, with `reage/` metadata."""
    height, width = pixels.shape[:2]
    window = Window(0, 0, width, height)
    spec = oiio.ImageSpec(width, height, 3, "uint8")
    spec.attribute("jpeg:subsampling", "4:4:4")
    channels = {name: np.ascontiguousarray(pixels[..., i]) for i, name in enumerate("RGB")}
    return Picture(format, (Part(channels, window, window, 1.0, {"spec": spec, **texts}),), 8)
