"""Find out once a shot what rendering needs: who is where, how bright and how old they are, and how the model answers.

The plate is read in one pass, then a few frames again: those in which somebody is followed back to where they came
from, and those on which ages and the model's response are measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reage import track, vouch
from reage.agers.base import Ager, Look
from reage.cuts import CutFinder
from reage.detect import Detector, Follower, search_ahead
from reage.errors import PlateError
from reage.faces.age import apparent_age
from reage.faces.detector import Found
from reage.faces.landmarks import predictor
from reage.faces.look import Look as FaceLook
from reage.faces.look import to_flat
from reage.job import Job
from reage.ledger import digest_of
from reage.models import LANDMARKS_68, sha256_of, verified
from reage.pipeline.response import matte_on_crop, settle_look
from reage.pipeline.shot import FrameView, Shot, on_crop
from reage.pipeline.streams import Ahead
from reage.records import Detection
from reage.sequence import format_range
from reage.smooth import crop_side, smooth
from reage.tracks import FaceAt, Person, PlateFacts, Tracks
from reage.version import __version__

Event = dict[str, Any]

FACE_LUMA = (0.06, 0.5)
"""Median linear luma of a face that networks trained on portraits have seen; beyond it, exposure is brought to the
nearer end and no further, so that dark skin stays dark."""

LAYOUT_WIDTH = 640
"""Pixels of the width that are enough to tell takes apart."""

LUMA_SAMPLES = 128
"""Rows and columns of a face that are enough for its median."""

RESPONSE_FRAMES = 3
RESPONSE_SIDE = 512
"""Pixels of the crops' side that are enough to measure a model's response: the age network sees 64 of them, that of
identity 150."""


def analysis_settings(job: Job, shot: Shot) -> str:
    """Hash of all that the tracks depend on, beside the plate's own content."""
    facts = {
        "reage": __version__,
        "colour": shot.colour.identity,
        "view": job.view or "",
        "landmarks": sha256_of(Path(job.landmarks) if job.landmarks else verified(LANDMARKS_68)),
        "first": job.first_frame if shot.plate.is_movie else 0,
    }
    return digest_of(facts)


def plate_digest(shot: Shot) -> str:
    """Hash of the content of every frame on disk."""
    return digest_of({str(frame): shot.plate.digest(frame) for frame in shot.plate.frames})


@dataclass
class _Seen:
    """What the passes collect; a few numbers a face."""

    detections: list[Detection] = field(default_factory=list)
    lumas: dict[int, list[tuple[float, float, float]]] = field(default_factory=dict)  # by frame: x, y, luma
    frames: list[int] = field(default_factory=list)  # those that could be read


def analyse_plate(job: Job, shot: Shot, ager: Ager, device: torch.device) -> Iterator[Event | Tracks]:
    """Analyse the whole plate; yields progress events and last the tracks.

    Raises:
        PlateError: a frame cannot be read, and the job stops at errors.
        ModelError: a face model is missing.
    """
    model = predictor(Path(job.landmarks) if job.landmarks else None)
    frames = shot.plate.frames
    seen, finder = _Seen(), CutFinder()
    detector = Detector(model)
    steps = {number: step for step, number in enumerate(frames)}
    decoder = Ahead(lambda number: _opened(shot, number, steps[number]), frames, ahead=2, workers=2)
    try:
        for done, number in enumerate(frames, start=1):
            try:
                opened = decoder.get(number)
            except PlateError as fault:
                if job.on_error == "stop":
                    raise
                yield {"event": "warning", "message": f"{fault}; analysed without it"}
                continue
            seen.frames.append(number)
            fresh = finder.step(number, opened.layout)
            last = number == frames[-1]
            found = detector.step(number, opened.look, fresh=fresh, last=last, searched=opened.searched)
            seen.detections += found
            seen.lumas[number] = [luma_at(shot, opened.view, detection.landmarks) for detection in found]
            yield {"event": "progress", "stage": "detect", "frame": number, "done": done, "total": len(frames)}
    finally:
        decoder.close()
    cuts = finder.cuts
    people = track.link(seen.detections, seen.frames, cuts, shot.pixel_aspect)
    yield from _follow_back(shot, seen, people, cuts, model)
    people = track.link(seen.detections, seen.frames, cuts, shot.pixel_aspect)
    faces = [_vouched(shot, smooth(person.detections, cuts, shot.pixel_aspect)) for person in people]
    exposure = settle_exposure([luma for person in people for luma in _lumas_of(person.detections, seen)])
    tracks = Tracks(
        plate=PlateFacts(
            name=Path(shot.plate.name).name,
            frames=format_range(frames),
            width=shot.display.width,
            height=shot.display.height,
            pixel_aspect=shot.pixel_aspect,
            colorspace=shot.colour.space,
            digest=plate_digest(shot),
        ),
        settings=analysis_settings(job, shot),
        exposure=exposure,
        cuts=list(cuts),
        persons=[_person(person.id, own, shot) for person, own in zip(people, faces, strict=True)],
    )
    tracks = _with_ages(shot, tracks)
    yield {"event": "stage", "name": "measure", "faces": len(tracks.persons)}
    looks = settle_looks(job, shot, tracks, ager, device)
    yield with_looks(tracks, ager, looks)


@dataclass(frozen=True)
class _Opened:
    """A frame and what can be known of it by itself; made ahead, beside the detector."""

    view: FrameView
    look: FaceLook
    layout: NDArray[np.uint8]  # small, for the cuts
    searched: list[Found] | None  # faces of the whole frame, where that is due


def _opened(shot: Shot, number: int, step: int) -> _Opened:
    view = shot.frame(number)
    look = face_look(shot, view)
    return _Opened(view, look, look.thumbnail(LAYOUT_WIDTH), search_ahead(step, look))


def face_look(shot: Shot, view: FrameView, exposure: float | None = None) -> FaceLook:
    """A frame for the face models. Without an exposure, one is guessed for looking alone: it leaves no trace."""
    pixels = view.straight(view.window)
    if exposure is None:
        exposure = _viewing_exposure(shot, pixels)
    origin = (float(view.window.x), float(view.window.y))
    return FaceLook(pixels, origin, shot.pixel_aspect, partial(shot.colour.display, exposure=exposure))


def _viewing_exposure(shot: Shot, pixels: NDArray[np.float32]) -> float:
    """Stops that bring a very dark or very bright frame into sight, in whole stops; 0 for all others."""
    sample = np.ascontiguousarray(pixels[::8, ::8])
    luma = _luma(shot.colour.linear(sample))
    luma = luma[np.isfinite(luma)]
    bright = float(np.percentile(luma, 90)) if luma.size else 0.0
    if 0.15 <= bright <= 1.5 or not bright > 0.0:
        return 0.0
    return float(np.clip(round(math.log2(0.4 / bright)), -8, 8))


def _luma(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722], np.float32), np.float32)


def luma_at(shot: Shot, view: FrameView, landmarks: NDArray[np.float64]) -> tuple[float, float, float]:
    """Place and median linear luma of a face between brows and mouth; NaN for a face outside the frame."""
    points = landmarks[17:60]
    low, high = np.floor(points.min(0)).astype(int), np.ceil(points.max(0)).astype(int)
    x, y = (float(v) for v in points.mean(0))
    window = view.window
    rows = slice(max(low[1] - window.y, 0), max(high[1] - window.y, 0))
    columns = slice(max(low[0] - window.x, 0), max(high[0] - window.x, 0))
    patch = view.straight(window)[rows, columns]
    step = 1 + min(patch.shape[:2]) // LUMA_SAMPLES
    patch = patch[::step, ::step]
    if patch.size == 0:
        return x, y, math.nan
    return x, y, float(np.nanmedian(_luma(shot.colour.linear(patch))))


def _lumas_of(detections: Mapping[int, Detection], seen: _Seen) -> list[float]:
    """Lumas that belong to one person's detections."""
    result = []
    for frame, detection in detections.items():
        x, y = detection.landmarks[17:60].mean(0)
        near = [luma for at_x, at_y, luma in seen.lumas.get(frame, []) if abs(at_x - x) + abs(at_y - y) < 1.0]
        result += [luma for luma in near if math.isfinite(luma)]
    return result


def settle_exposure(lumas: Sequence[float]) -> float:
    """Stops that bring the shot's faces into the range the networks know; 0 inside it."""
    positive = [luma for luma in lumas if luma > 0.0]
    if not positive:
        return 0.0
    middle, (low, high) = float(np.median(positive)), FACE_LUMA
    return round(math.log2(min(max(middle, low), high) / middle), 3)


def _follow_back(
    shot: Shot, seen: _Seen, people: Sequence[track.Track], cuts: Sequence[int], model: Any
) -> Iterator[Event]:
    follower = Follower([p.detections for p in people], seen.frames, cuts, shot.pixel_aspect, model)
    while (number := follower.wanted) is not None:
        view = shot.frame(number)
        found = follower.step(number, face_look(shot, view))
        seen.detections += found
        seen.lumas.setdefault(number, []).extend(luma_at(shot, view, detection.landmarks) for detection in found)
        yield {"event": "progress", "stage": "follow", "frame": number}


def _vouched(shot: Shot, faces: Mapping[int, FaceAt]) -> dict[int, FaceAt]:
    """A person's faces without the bridged ones that the plate does not show."""
    bridged = {frame for frame, face in faces.items() if face.state == "bridged" and frame in shot.plate.frames}
    return {frame: face for frame, face in faces.items() if frame not in bridged or _is_seen(shot, faces, frame)}


def _is_seen(shot: Shot, faces: Mapping[int, FaceAt], frame: int) -> bool:
    """Whether a bridged face looks like the nearest one that was found; a frame that cannot be read says nothing."""
    near = min((f for f, face in faces.items() if face.state == "found"), key=lambda f: (abs(f - frame), f))
    try:
        looks = [face_look(shot, shot.frame(number)) for number in (frame, near)]
    except PlateError:
        return True
    shapes = [to_flat(faces[number].landmark_array(), shot.pixel_aspect) for number in (frame, near)]
    seen, expected = vouch.patch(looks[0], shapes[0], roomy=True), vouch.patch(looks[1], shapes[1])
    return vouch.resemblance(seen, expected) >= vouch.LEAST


def _person(number: int, faces: dict[int, FaceAt], shot: Shot) -> Person:
    side = crop_side(faces, shot.pixel_aspect)
    return Person(id=number, source_age=0.0, crop=side, frames=faces)


def _with_ages(shot: Shot, tracks: Tracks) -> Tracks:
    """Apparent age of each person: the median over frames that show them well."""
    wanted = {person.id: track.choose_reference_frames(person.frames) for person in tracks.persons}
    ages: dict[int, list[float]] = {person.id: [] for person in tracks.persons}
    for number in sorted({frame for frames in wanted.values() for frame in frames}):
        if number not in shot.plate.frames:
            continue
        look = face_look(shot, shot.frame(number), tracks.exposure)
        for person in tracks.persons:
            if number in wanted[person.id]:
                flat = to_flat(person.frames[number].landmark_array(), shot.pixel_aspect)
                ages[person.id].append(apparent_age(look, flat))
    settled = [
        person.model_copy(update={"source_age": round(float(np.median(ages[person.id])), 1)})
        for person in tracks.persons
        if ages[person.id]
    ]
    return tracks.model_copy(update={"persons": settled})


def settle_looks(job: Job, shot: Shot, tracks: Tracks, ager: Ager, device: torch.device) -> dict[int, Look]:
    """The look of each person for a model: from the tracks where it fits, else measured on the plate.

    Raises:
        RequestError: there is no such exemplar.
        PlateError: a frame that must be measured cannot be read.
    """
    looks: dict[int, Look] = {}
    shape = job.matte or ager.facts.matte
    for person in tracks.persons:
        stored = person.look.get(ager.facts.name, {})
        fits = (stored.get("model"), stored.get("matte", shape)) == (ager.facts.sha256, shape) and job.exemplar in (
            None,
            stored.get("exemplar"),
            stored.get("wish"),
        )
        looks[person.id] = stored if fits else _measured(job, shot, tracks, person, ager, device)
    return looks


def with_looks(tracks: Tracks, ager: Ager, looks: Mapping[int, Look]) -> Tracks:
    """The tracks with a model's looks kept in them."""
    persons = [
        person.model_copy(update={"look": {**person.look, ager.facts.name: dict(looks[person.id])}})
        for person in tracks.persons
    ]
    return tracks.model_copy(update={"persons": persons})


def _measured(job: Job, shot: Shot, tracks: Tracks, person: Person, ager: Ager, device: torch.device) -> dict[str, Any]:
    """Settle a look, and measure how old the person reads when the model is asked for a few ages."""
    shown = [f for f in track.choose_reference_frames(person.frames, RESPONSE_FRAMES) if f in shot.plate.frames]
    side, shape = min(person.crop, RESPONSE_SIDE), job.matte or ager.facts.matte
    crops, points, mattes = [], [], []
    for number in shown:
        face = person.frames[number]
        crop = shot.crop(shot.frame(number), face, side, tracks.exposure, device)
        if crop is not None:
            crops.append(crop)
            points.append(torch.from_numpy(on_crop(face, side)).float())
            mattes.append(matte_on_crop(on_crop(face, 1.0), face.yaw, side, shape, device))
    if not crops:
        return {"model": ager.facts.sha256}
    look = settle_look(ager, crops, points, mattes, person.source_age, job.exemplar)
    return {**look, "matte": shape} if ager.facts.calibrates else look
