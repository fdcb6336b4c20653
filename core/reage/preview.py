"""One frame at the artist's settings as a picture to look at, soon: what a panel shows before a shot is rendered.

Where the shot was analysed, the picture is the rendered frame. Where it was not, the frame is analysed by itself, which
takes seconds and not minutes; source age and exposure may then come out a little differently later.

What the next preview is likely to need lies on a desk; see `reage.desk`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reage.agers import load_ager
from reage.agers.base import Ager, Look
from reage.atomic import output_error, whole_file, writable_folder
from reage.desk import Acquaintance, Desk, KeptShot, file_stamp, met_before, remembering
from reage.device import pick_device
from reage.errors import PlateError
from reage.faces.identity import describe
from reage.faces.look import to_flat
from reage.images import on_display
from reage.job import Job
from reage.pipeline import fitting_tracks, frame_of, refuse_absent
from reage.pipeline.analysis import analyse_plate, face_look, settle_looks, with_looks
from reage.pipeline.outputs import as_codes, display_codes, full_colour
from reage.pipeline.placing import Rendered, recoloured
from reage.pipeline.scene import Scene
from reage.pipeline.shot import FrameView, Shot
from reage.records import Window
from reage.track import choose_reference_frames
from reage.tracks import FaceAt, Person, Tracks, load_tracks

Event = dict[str, Any]
Image = NDArray[np.uint8]  # (h, w, 3) RGB, sRGB-encoded

WIDEST = 1920
"""Pixels of a preview's width; larger plates are shrunk."""

THUMBNAIL = 160
"""Pixels of a thumbnail's side."""

QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""A preview is looked at once: quick to write is worth more than small."""

SMALL = 320
"""Side of the crops on which a model's response is measured for a lone frame; the age network sees 64 pixels."""


def preview(job: Job, frame: int, folder: Path, desk: Desk) -> Iterator[Event]:
    """Re-age one frame and write it as a PNG, and the plate beside it.

    Args:
        job: where it has several ages, the first is shown; its output says where tracks may lie.
        frame: number on the plate.
        folder: for the pictures, made where it is missing; what an earlier preview of the frame left is replaced.
        desk: of the process.

    Yields:
        The events of what has to be done, then `done` with `path` and `before` (PNGs of the display window with square
        pixels, 1920 wide at most), `locked` (tracks fixed source age and exposure: this is the rendered frame), `faces`
        (id, source_age, bbox in plate pixels: left, top, right, bottom; thumbnail) and `seconds`.

    Raises:
        OutputError: the folder cannot be written.
        ReageError: as `reage.pipeline.run`.
    """
    started = time.perf_counter()
    writable_folder(folder)
    shot = desk.shot(job)
    refuse_absent(shot, frame)
    view = shot.frame(frame)
    with ThreadPoolExecutor(1, "before") as beside:
        plain = beside.submit(_before, shot, view, folder, desk)
        scene, rendered, tracks = yield from _rendered(job, frame, shot, desk)
        yield {"event": "stage", "name": "preview"}
        yield {
            "event": "done",
            "frame": frame,
            "state": "aged" if scene.faces(frame) else "no-face",
            "locked": tracks is not None,
            "tracks": None if tracks is None else str(tracks),
            **_pictures(scene, rendered, folder, *plain.result()),
            "seconds": round(time.perf_counter() - started, 3),
        }


def _rendered(
    job: Job, frame: int, shot: KeptShot, desk: Desk
) -> Generator[Event, None, tuple[Scene, Rendered, Path | None]]:
    """The frame, and the tracks file that fixed source age and exposure."""
    ager = load_ager(job.model, job.device, job.precision)
    found = yield from fitting_tracks(job, shot)
    if found is None:
        shot = shot.alone(frame)
        tracks, key = (yield from _analysed(job, shot, ager, desk)), desk.key(job, shot, ager)
    else:
        key = (*file_stamp(found[0]), found[0].absolute(), ager.facts.sha256, job.look_choices)
        tracks = desk.tracks.get(key) or found[1]
    shown = job if job.ages is None else job.model_copy(update={"ages": job.ages[:1]})
    scene, rendered = yield from frame_of(shown, shot, tracks, remembering(ager, desk.answers), frame)
    desk.tracks.put(key, with_looks(tracks, ager, scene.looks), 1)
    return scene, rendered, None if found is None else found[0]


def _analysed(job: Job, shot: Shot, ager: Ager, desk: Desk) -> Generator[Event, None, Tracks]:
    """The tracks of one frame by itself."""
    kept: Tracks | None = desk.tracks.get(desk.key(job, shot, ager))
    if kept is not None:
        return kept
    yield {"event": "stage", "name": "analyse", "total": 1}
    seeing = Answering(ager, {}) if ager.facts.calibrates else ager
    for event in analyse_plate(job, shot, seeing, pick_device(job.device)):
        if isinstance(event, Tracks):
            return _looked_at(job, shot, event, ager, desk)
        yield event
    raise AssertionError("an analysis ends in tracks")


def _looked_at(job: Job, shot: Shot, tracks: Tracks, ager: Ager, desk: Desk) -> Tracks:
    """Tracks of one frame with a look for each person: that of an earlier frame where they were seen, else measured."""
    if not ager.facts.calibrates:
        return tracks  # the analysis gave them all there is
    (number,) = shot.plate.frames
    sight = face_look(shot, shot.frame(number), tracks.exposure)
    known = desk.people(job, ager)
    met = {}
    for person in tracks.persons:
        face = person.frames[number]
        who = describe(sight, to_flat(face.landmark_array(), shot.pixel_aspect))
        met[person.id] = met_before(who, face.yaw, known) or Acquaintance(
            who, face.yaw, person.source_age, _quick_look(job, shot, tracks, person, ager)
        )
    known += [one for one in met.values() if one not in known]
    persons = [one.model_copy(update={"source_age": met[one.id].source_age}) for one in tracks.persons]
    looks = {number: one.look for number, one in met.items()}
    return with_looks(tracks.model_copy(update={"persons": persons}), ager, looks)


class Answering:
    """A model as it is, but for how the look of a person is settled."""

    def __init__(self, ager: Ager, look: Look | None = None, *, calibrates: bool = False) -> None:
        """Take a model, the look to begin with where that is known, and whether its response is measured."""
        self.facts = replace(ager.facts, calibrates=calibrates)
        self.first_look = ager.first_look if look is None else lambda *_: dict(look)
        self._ager = ager

    def __call__(self, crops: Tensor, *ages: Any, **more: Any) -> Tensor:
        """See `Ager`."""
        return self._ager(crops, *ages, **more)


def _quick_look(job: Job, shot: Shot, tracks: Tracks, person: Person, ager: Ager) -> Look:
    """A look whose response is measured on small crops: it is what takes longest, and the age network looks at less."""

    def settled(ager: Ager, crop: int) -> Look:
        alone = person.model_copy(update={"crop": crop, "look": {}})
        tracks_of = tracks.model_copy(update={"persons": [alone]})
        return settle_looks(job, shot, tracks_of, ager, pick_device(job.device))[person.id]

    first = settled(Answering(ager), person.crop)
    return settled(Answering(ager, first, calibrates=True), min(person.crop, SMALL))


def faces(job: Job, folder: Path) -> list[dict[str, Any]]:
    """The people in a job's tracks file, each with a picture of the frame that shows them best.

    Args:
        job: names the tracks.
        folder: for the thumbnails.

    Returns:
        As in `preview`, with `frame` and `frames`, how many show the person; the thumbnail is None where the plate's
        frame cannot be read.
    """
    writable_folder(folder)
    shot, tracks = Shot(job), load_tracks(Path(str(job.tracks)))
    told = []
    for person in tracks.persons:
        (number,) = choose_reference_frames(person.frames, 1)
        try:
            view = shot.frame(number)
            picture: Image | None = _seen(view, view.colour, shot)
        except PlateError:
            picture = None
        face = person.frames[number]
        told.append(_told(person, face, picture, shot.display, folder / f"reage-face.{person.id}.png"))
        told[-1] |= {"frame": number, "frames": len(person.frames)}
    return told


# ---- pictures --------------------------------------------------------------------------------------------------------


def _before(shot: Shot, view: FrameView, folder: Path, desk: Desk) -> tuple[Image, Path]:
    """The plate's own frame as a picture, and where it was written."""
    path = folder / f"reage-before.{view.number}.png"
    if desk.before is None or desk.before[0] is not view:
        desk.before = view, _seen(view, view.colour, shot)
    picture = desk.before[1]
    if desk.written.get(path) is not picture or not path.is_file():
        write_png(path, picture)
        desk.written = {path: picture}
    return picture, path


def _pictures(scene: Scene, rendered: Rendered, folder: Path, before: Image, plain: Path) -> Event:
    """Write what the preview shows."""
    view = rendered.view
    path = folder / f"reage-preview.{view.number}.png"
    write_png(path, _after(scene, rendered, before))
    people = [(person, person.frames[view.number]) for person in scene.tracks.persons if view.number in person.frames]
    window = view.part.display_window
    listed = [
        _told(person, face, before, window, folder / f"reage-face.{person.id}.{view.number}.png")
        for person, face in people
    ]
    return {
        "path": str(path),
        "before": str(plain),
        "size": [before.shape[1], before.shape[0]],
        "display": [window.x, window.y, window.width, window.height],
        "faces": listed,
    }


def _size(view: FrameView) -> tuple[int, int]:
    """Width and height of a frame's preview: square pixels, none enlarged but to un-squeeze."""
    window = view.part.display_window
    width = window.width * view.part.pixel_aspect
    scale = min(1.0, WIDEST / width)
    return max(1, round(width * scale)), max(1, round(window.height * scale))


def _seen(view: FrameView, colour: NDArray[np.float32], shot: Shot) -> Image:
    """What a display shows of a frame, at the size of a preview."""
    window, size, space = view.part.display_window, _size(view), shot.colour
    if size == (window.width, window.height):
        return display_codes(view, colour, space)
    whole = np.nan_to_num(on_display(colour, view.part), nan=0.0, posinf=65504.0, neginf=0.0)
    small = np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.float32)
    return as_codes(small if space.is_srgb else space.encoded(small))


def _after(scene: Scene, rendered: Rendered, before: Image) -> Image:
    """The re-aged frame; where a pixel of the plate is a pixel of the preview, only what has changed is converted."""
    view, shot = rendered.view, scene.shot
    display = view.part.display_window
    if _size(view) != (display.width, display.height):
        return _seen(view, full_colour(rendered, 0, scene)[0], shot)
    changed = recoloured(rendered, 0, scene)
    if changed is None:
        return before
    window, colour, touched = changed
    common, after = window.intersect(display), before.copy()
    codes = as_codes(colour if shot.colour.is_srgb else shot.colour.encoded(colour))
    inner, outer = common.within(window), common.within(display)
    after[outer] = np.where(touched[inner][..., None], codes[inner], after[outer])
    return after


def _told(person: Person, face: FaceAt, picture: Image | None, display: Window, path: Path) -> dict[str, Any]:
    """What a panel needs to let somebody choose a face."""
    quad = face.quad_array()
    box = [round(float(value), 1) for value in (*quad.min(0), *quad.max(0))]
    thumbnail = None if picture is None else _thumbnail(picture, box, display)
    if thumbnail is not None:
        write_png(path, thumbnail)
    return {
        "id": person.id,
        "source_age": person.source_age,
        "bbox": box,
        "thumbnail": None if thumbnail is None else str(path),
    }


def _thumbnail(picture: Image, box: Sequence[float], display: Window) -> Image | None:
    """A square around a face, in plate pixels, cut out of a preview; None where it lies outside."""
    height, width = picture.shape[:2]
    across, down = width / display.width, height / display.height
    left, top = round((box[0] - display.x) * across), round((box[1] - display.y) * down)
    right, bottom = round((box[2] - display.x) * across), round((box[3] - display.y) * down)
    part = picture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if part.size == 0:
        return None
    scale = THUMBNAIL / max(part.shape[:2])
    size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(part, size, interpolation=method), np.uint8)


def write_png(path: Path, picture: Image) -> None:
    """Write a PNG whole or not at all.

    Raises:
        OutputError: the disk refused.
    """
    done, data = cv2.imencode(".png", picture[..., ::-1], QUICK)
    if not done:
        raise output_error(path, "it cannot be encoded")
    with whole_file(path) as temporary:
        temporary.write_bytes(data.tobytes())
