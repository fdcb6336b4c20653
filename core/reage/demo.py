"""The demo: re-age the bundled shot to 20 and to 70, and lay the results out to be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.colour import Colour
from reage.demo_plate import build_demo_plate
from reage.images import colour_planes, find_beauty, read_picture
from reage.job import Job
from reage.movies import MovieWriter
from reage.pipeline import run
from reage.plate import open_plate
from reage.sequence import Pattern
from reage.sheet import labelled

Event = dict[str, Any]
Image = NDArray[np.uint8]

AGES = (20.0, 70.0)
FPS = 24
SHEET_COLUMNS = 5


def demo(folder: Path, progress: str = "auto") -> Iterator[Event]:
    """Build the demo plate, re-age it, and write a side-by-side movie and a contact sheet.

    Args:
        folder: where everything goes; what is there already is used again.
        progress: kept in the job.

    Yields:
        The events of the run, then one with the paths.
    """
    yield {"event": "stage", "name": "demo plate"}
    plate = build_demo_plate(folder / "plate")
    output = str(folder / "aged" / "demo_{age}.%04d.exr")
    job = Job.make(plate=plate, output=output, ages=list(AGES), progress=progress)
    skipped = False
    for event in run(job):
        if event["event"] == "done":
            skipped = set(event["states"]) == {"skipped"}
        else:
            yield event
    patterns = [plate, *(output.replace("{age}", f"{age:g}") for age in AGES)]
    movie, sheet = folder / "side_by_side.mp4", folder / "contact_sheet.jpg"
    if skipped and movie.exists() and sheet.exists():
        yield {"event": "warning", "message": "everything was there already; nothing was to do"}
    else:
        yield {"event": "stage", "name": "side by side"}
        _lay_out(patterns, movie, sheet)
    paths = {"plate": plate, "results": patterns[1:], "movie": str(movie), "sheet": str(sheet)}
    yield {"event": "done", "paths": paths}


def _lay_out(patterns: Sequence[str], movie: Path, sheet: Path) -> None:
    """Plate, young and old side by side: every frame into a movie, some into a picture."""
    names = ["plate", *(f"{age:g}" for age in AGES)]
    frames = open_plate(patterns[0]).frames
    shown = {frames[round(i * (len(frames) - 1) / (SHEET_COLUMNS - 1))] for i in range(SHEET_COLUMNS)}
    columns: list[Image] = []
    writer: MovieWriter | None = None
    try:
        for frame in frames:
            views = [_named(_seen(pattern, frame), name) for pattern, name in zip(patterns, names, strict=True)]
            row = np.hstack(views)
            if writer is None:
                writer = MovieWriter(movie, FPS, row.shape[1], row.shape[0])
            writer.write(row.astype(np.float32) / 255.0)
            if frame in shown:
                columns.append(np.vstack(views))
        assert writer is not None
        writer.close()
    except BaseException:
        if writer is not None:
            writer.abort()
        raise
    cv2.imwrite(str(sheet), np.hstack(columns)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


def _seen(pattern: str, frame: int) -> Image:
    """The middle of a frame on a display, two thirds of its width: (h, w, 3), even sizes."""
    parsed = Pattern.parse(pattern)
    assert parsed is not None
    picture = read_picture(parsed.path(frame))
    pixels = Colour("scene_linear").display(colour_planes(picture, find_beauty(picture)))
    height, width = pixels.shape[:2]
    left = width // 4
    middle = pixels[:, left : width - left]
    return np.asarray(cv2.resize(middle, (width // 4 * 2, height // 2 * 2), interpolation=cv2.INTER_AREA))


def _named(picture: Image, text: str) -> Image:
    return labelled(picture, text, picture.shape[0] / 600.0)
