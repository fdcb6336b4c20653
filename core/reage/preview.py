"""One frame at the artist's settings as a picture to look at, soon: what a panel shows before a shot is rendered.

Where the shot was analysed, the picture is the rendered frame. Where it was not, the frame is analysed by itself, which
takes seconds and not minutes; source age and exposure may then come out a little differently later.

A desk keeps what the next preview is likely to need: decoded frames, crops, the looks of people.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.agers import load_ager
from reage.agers.base import Age, AgeCodes, Ager, CodedAger, Look
from reage.atomic import output_error, whole_file, writable_folder
from reage.device import pick_device
from reage.errors import PlateError
from reage.faces.identity import Descriptor, describe, distance
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
from reage.track import SAME, choose_reference_frames
from reage.tracks import FaceAt, Person, Tracks, load_tracks

Event = dict[str, Any]
Image = NDArray[np.uint8]  # (h, w, 3) RGB, sRGB-encoded

WIDEST = 1920
"""Pixels of a preview's width; larger plates are shrunk."""

THUMBNAIL = 160
"""Pixels of a thumbnail's side."""

QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""A preview is looked at once: quick to write is worth more than small."""

ROOM = 768 << 20
"""Bytes of decoded frames and crops that are kept, five frames of UHD in float and their crops; half as much again for
what the model answered on them."""

FEW = 8
"""Analyses that are kept."""

TURNED = 0.15
"""How much further from frontal, as yaw, an earlier face may be than this one and still lend its look."""

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
        key = (*_stamp(found[0]), found[0].absolute(), ager.facts.sha256, job.exemplar)
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
    for event in analyse_plate(job, shot, Unmeasured(ager), pick_device(job.device)):
        if isinstance(event, Tracks):
            return _looked_at(job, shot, event, ager, desk)
        yield event
    raise AssertionError("an analysis ends in tracks")


@dataclass(frozen=True, eq=False)
class Acquaintance:
    """Somebody who was seen on an earlier frame of the plate."""

    who: Descriptor
    yaw: float
    source_age: float
    look: Look


def _looked_at(job: Job, shot: Shot, tracks: Tracks, ager: Ager, desk: Desk) -> Tracks:
    """Tracks of one frame with a look for each person: that of an earlier frame where they were seen, else measured."""
    if not ager.facts.calibrates:
        return tracks  # the analysis gave them all there is
    (number,) = shot.plate.frames
    sight = face_look(shot, shot.frame(number), tracks.exposure)
    known = desk.people(job, ager)
    persons, met = [], []
    for person in tracks.persons:
        face = person.frames[number]
        who = describe(sight, to_flat(face.landmark_array(), shot.pixel_aspect))
        one = met_before(who, face.yaw, known)
        if one is None:
            one = Acquaintance(who, face.yaw, person.source_age, _quick_look(job, shot, tracks, person, ager))
        met.append(one)
        look = {**person.look, ager.facts.name: dict(one.look)}
        persons.append(person.model_copy(update={"source_age": one.source_age, "look": look}))
    known += [one for one in met if one not in known]
    return tracks.model_copy(update={"persons": persons})


def met_before(who: Descriptor, yaw: float, known: Sequence[Acquaintance]) -> Acquaintance | None:
    """Whose face it is among those who were seen about as frontally or better; None where it is nobody's.

    Args:
        who: of the face.
        yaw: -1..1, of the face.
        known: people of earlier frames.
    """
    frontal = [one for one in known if abs(one.yaw) <= abs(yaw) + TURNED]
    nearest = min(frontal, key=lambda one: distance(who, one.who), default=None)
    return None if nearest is None or distance(who, nearest.who) > SAME else nearest


def _quick_look(job: Job, shot: Shot, tracks: Tracks, person: Person, ager: Ager) -> Look:
    """A look whose response is measured on small crops: it is what takes longest, and the age network looks at less."""
    small = person.model_copy(update={"crop": min(person.crop, SMALL), "look": {}})
    looks = settle_looks(job, shot, tracks.model_copy(update={"persons": [small]}), ager, pick_device(job.device))
    return {**looks[person.id], **person.look[ager.facts.name]}


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
    path, picture = folder / f"reage-before.{view.number}.png", desk.before(shot, view)
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


# ---- what is kept ----------------------------------------------------------------------------------------------------


class Recent:
    """Values by key, the least recently used forgotten first where there is no room. Threads may share it."""

    def __init__(self, room: int) -> None:
        """Take the room: the sum of all sizes."""
        self._room, self._lock = room, threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """The value; None where there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of a size."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value, size
            while sum(size for _, size in self._values.values()) > self._room and len(self._values) > 1:
                self._values.popitem(last=False)


class KeptShot(Shot):
    """A shot that remembers the frames and crops it was asked for last, as long as their files stay as they are."""

    def __init__(self, job: Job) -> None:
        """Open the plate; see `Shot`."""
        super().__init__(job)
        self._recent = Recent(ROOM)

    def frame(self, number: int) -> FrameView:
        """See `Shot.frame`."""
        key = ("frame", number, *_stamp(self.plate.path(number)))
        view: FrameView | None = self._recent.get(key)
        if view is None:
            view = super().frame(number)
            planes = [plane for part in view.picture.parts for plane in part.channels.values()]
            self._recent.put(key, view, view.colour.nbytes + sum(plane.nbytes for plane in planes))
        return view

    def crop(self, frame: FrameView, face: FaceAt, size: int, exposure: float, device: torch.device) -> Tensor | None:
        """See `Shot.crop`."""
        key = ("crop", frame.number, id(frame), str(face.quad), size, exposure, str(device))
        kept: tuple[FrameView, Tensor] | None = self._recent.get(key)
        if kept is not None:
            return kept[1]
        crop = super().crop(frame, face, size, exposure, device)
        if crop is not None:
            # With the frame, so that no other one can take its id.
            self._recent.put(key, (frame, crop), crop.nbytes)
        return crop

    def alone(self, number: int) -> KeptShot:
        """The same plate as if it had one frame only; what is remembered is shared."""
        one = copy.copy(self)
        one.plate = copy.copy(self.plate)
        one.plate.frames = [number]
        return one


class Unmeasured:
    """A model whose response is not to be measured."""

    def __init__(self, ager: Ager) -> None:
        self.facts = replace(ager.facts, calibrates=False)
        self.first_look = ager.first_look
        self._ager = ager

    def __call__(self, crops: Tensor, *ages: Any, **more: Any) -> Tensor:
        """See `Ager`."""
        return self._ager(crops, *ages, **more)


def remembering(ager: Ager, answers: Recent) -> Ager:
    """A model that remembers what it answered: strength, gains and regions change nothing about that."""
    return RememberingCoded(ager, answers) if isinstance(ager, CodedAger) else Remembering(ager, answers)


class Remembering:
    """See `remembering`."""

    def __init__(self, ager: Ager, answers: Recent) -> None:
        self.facts = ager.facts
        self.first_look = ager.first_look
        self._ager, self._answers = ager, answers

    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """See `Ager`."""
        asked = _digest(crops, source_age, target_age, landmarks, look)

        def ask() -> Tensor:
            return self._ager(crops, source_age, target_age, landmarks=landmarks, look=look)

        answer: Tensor = self._known(asked, ask)
        return answer

    def _known(self, asked: str, ask: Callable[[], Any]) -> Any:
        key = self.facts.sha256, asked
        answer = self._answers.get(key)
        if answer is None:
            answer = ask()
            tensors = [answer] if isinstance(answer, Tensor) else [answer.own, answer.shift]
            self._answers.put(key, answer, sum(tensor.nbytes for tensor in tensors))
        return answer


class RememberingCoded(Remembering):
    """See `remembering`."""

    def __init__(self, ager: CodedAger, answers: Recent) -> None:
        super().__init__(ager, answers)
        self._coded = ager

    def encode(self, crops: Tensor, source_age: Age | None, target_age: Age) -> AgeCodes:
        """See `CodedAger`."""
        asked = "encode" + _digest(crops, source_age, target_age)
        codes: AgeCodes = self._known(asked, lambda: self._coded.encode(crops, source_age, target_age))
        return codes

    def paint(self, codes: Tensor) -> Tensor:
        """See `CodedAger`."""
        painted: Tensor = self._known("paint" + _digest(codes), lambda: self._coded.paint(codes))
        return painted


def _digest(*values: Any) -> str:
    """A hash of tensors and plain values."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, Tensor):
            digest.update(str((value.shape, value.dtype)).encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
        else:
            digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()


class Desk:
    """What a process keeps between previews: one plate, and the few analyses that were looked at last."""

    def __init__(self) -> None:
        self.tracks = Recent(FEW)
        self.answers = Recent(ROOM // 2)
        self.written: Mapping[Path, Image] = {}  # the last picture of a plate that was written
        self._people = Recent(FEW)
        self._shot: tuple[Hashable, KeptShot] | None = None
        self._before: tuple[FrameView, Image] | None = None

    def shot(self, job: Job) -> KeptShot:
        """The plate of a job: the one that lies here where nothing about it has changed."""
        place = Path(job.plate)
        if self._shot is not None:
            key = self._identity(job, place, self._shot[1])
            if key is not None and key == self._shot[0]:
                return self._shot[1]
        self.clear()
        shot = KeptShot(job)
        self._shot = self._identity(job, place, shot), shot
        return shot

    def _identity(self, job: Job, place: Path, shot: Shot) -> Hashable:
        """All that an opened plate depends on; None where that cannot be told."""
        try:
            where = _stamp(place if place.exists() else place.parent)
            first = _stamp(shot.plate.path(shot.plate.frames[0]))
        except OSError:
            return None
        named = job.plate, job.first_frame, job.view, job.colorspace, job.ocio, job.on_error
        return (*named, os.environ.get("OCIO"), where, first)

    def key(self, job: Job, shot: Shot, ager: Ager) -> Hashable:
        """What an analysis of a lone frame depends on."""
        (number,) = shot.plate.frames
        stamp = _stamp(shot.plate.path(number))
        plate = job.plate, number, stamp, shot.colour.identity, job.view
        return (*plate, job.landmarks, ager.facts.sha256, job.exemplar)

    def people(self, job: Job, ager: Ager) -> list[Acquaintance]:
        """Who was seen on frames of the plate that were analysed alone; to be added to; kept for a few plates."""
        plate = None if self._shot is None else self._shot[0]
        key = plate, job.landmarks, ager.facts.sha256, job.exemplar
        known: list[Acquaintance] | None = self._people.get(key)
        if known is None:
            known = []
            self._people.put(key, known, 1)
        return known

    def before(self, shot: Shot, view: FrameView) -> Image:
        """The plate's own frame as a preview."""
        if self._before is None or self._before[0] is not view:
            self._before = view, _seen(view, view.colour, shot)
        return self._before[1]

    def clear(self) -> None:
        """Let go of the plate: whatever is done next needs the memory."""
        if self._shot is not None:
            self._shot[1].plate.close()
        self._shot = self._before = None
        self.written, self.answers = {}, Recent(ROOM // 2)


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does; zeros where it is gone, so that whoever reads it says so."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size
