"""How a model answers on a held-out portrait: the engine run on its plate at every target, and every figure of it.

Each portrait's figures are kept in a file of its own, with the crops they were read on, until the model, its code, or
what is measured changes.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

import reage
from reage import geometry
from reage.agers.base import Ager
from reage.atomic import write_text
from reage.composite import side_of
from reage.device import pick_device
from reage.errors import PlateError, ReageError
from reage.faces.shape import ffhq_quad
from reage.job import Job
from reage.ledger import digest_of
from reage.matte import draw as draw_matte
from reage.pipeline import loaded, prepare, scene_of
from reage.pipeline.outputs import full_colour
from reage.pipeline.placing import Rendered
from reage.pipeline.rendering import Renderer
from reage.pipeline.scene import Scene
from reage.pipeline.shot import Shot, on_crop
from reage.records import Window
from reage.tracks import FaceAt, Person, Tracks, load_tracks, save_tracks
from reage.training import measures
from reage.training import portrait_plates as plates
from reage.training.portraits import SIDE, Direction, Picture8, Portrait, write_rgb
from reage.training.sights import (
    CROP,
    Figures,
    Judge,
    Sight,
    change_of,
    crop_of,
    eight_bit,
    matte_of,
    result_sight,
    sampled,
    sight_of,
)

TARGETS = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
OLD = 70.0
"""The target that is rendered as a shot too, steadied over its neighbours: for steadiness and sharpness, and for eyes.
All that answers the targets is read on stills, which are alike but for some steadying and cost a fifth."""
STEADY_SIDE = 384
APART = 0.2
"""Sides of the quad by which a face that is found may lie off the portrait's."""
LEAST_RISE = 5.0
"""Years below which a change is too little for its sharpness to be told."""
RECIPE = 2
"""To be raised with any change of what is measured, so that kept figures are measured again."""
WHAT_AGES = (
    "agers",
    "nets",
    "ageing.py",
    "exemplars.py",
    "faces/age.py",
    "matte.py",
    "pipeline/response.py",
    "thin_plate.py",
)
"""Files and folders of the engine that a result depends on beside a model's weights."""


@dataclass(frozen=True)
class Bench:
    """A loaded model, and what its figures are kept under."""

    model: str
    ager: Ager
    folder: Path
    direction: Direction | None

    @classmethod
    def open(cls, model: str, folder: Path, direction: Direction | None) -> Bench:
        """Load a model.

        Raises:
            ModelError: there is no such model.
        """
        job = Job.make(plate="none", output="none", age=OLD, model=model)
        return cls(model, _value(loaded(job)), folder, direction)

    def key(self, plate: str) -> str:
        """Changes with whatever changes a figure."""
        facts = {"recipe": RECIPE, "model": self.ager.facts.sha256, "code": _code(), "plate": Path(plate).name}
        return digest_of(facts | {"direction": self.direction.digest if self.direction else ""})


def _value(events: Generator[Any, None, Any]) -> Any:
    """What a stage answers; its events are not looked at."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return end.value


@functools.lru_cache(1)
def _code() -> str:
    """Hash of the code that makes a result."""
    root = Path(reage.__file__).parent
    files = [
        file
        for name in WHAT_AGES
        for file in sorted([root / name] if name[-3:] == ".py" else root.glob(f"{name}/*.py"))
    ]
    return hashlib.sha256(b"\n".join(file.read_bytes() for file in files)).hexdigest()[:16]


def measured(portrait: Portrait, bench: Bench) -> dict[str, Any]:
    """All figures of one portrait; measured anew where the kept ones do not fit.

    A portrait on which the engine fails has `failed` instead, with the reason.
    """
    folder = bench.folder / f"{portrait.index:05d}"
    plate = plates.write_plate(portrait.picture(), portrait.index, folder)
    kept, key = folder / "figures.json", bench.key(plate)
    held: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if held.get("key") == key:
        return held
    started = time.perf_counter()
    try:
        figures = _measure(portrait, plate, folder, bench)
    except PlateError as fault:
        figures = {"failed": str(fault)}
    told = {"key": key, "index": portrait.index, "portrait_age": portrait.age, **figures}
    told["seconds"] = round(time.perf_counter() - started, 2)
    write_text(kept, json.dumps(told, indent=1) + "\n")
    return told


def _measure(portrait: Portrait, plate: str, folder: Path, bench: Bench) -> dict[str, Any]:
    """Analyse the plate, render every target on its middle frame and OLD as a shot, and judge them."""
    fields: dict[str, Any] = {"plate": plate, "tracks": str(folder / "shot.tracks.json"), "model": bench.model}
    job = Job.make(**fields, output="none.%04d.exr", age=OLD)
    shot, tracks = Shot(job), _analysed(job, folder / "shot.tracks.json")
    take = plates.take_of(portrait.index)
    person = _nearest(tracks, take.quad(plates.MIDDLE))
    fields |= {"output": "none_{age}.%04d.exr", "face": str(person.id)}
    source = person.source_age
    still = list(dict.fromkeys([*TARGETS, source]))
    stills = Job.make(**fields, ages=still, smooth=0)
    old = Job.make(**fields, ages=[OLD])
    middle, near = plates.MIDDLE, [plates.MIDDLE - 1, plates.MIDDLE, plates.MIDDLE + 1]
    shown = Frames(stills, shot, tracks, bench.ager, [middle])
    steadied = Frames(old, shot, tracks, bench.ager, near)
    results = {age: shown.result(middle, at) for at, age in enumerate(still)}
    face, sight, final = person.frames[middle], shown.plate(middle), steadied.result(middle, 0)
    quad = face.quad_array()
    against = Judge(sight, face, shot.pixel_aspect, portrait.index)
    skin = face_of(face)
    portrait_from_plate = geometry.invert(take.frame_from_portrait[middle - plates.FIRST_FRAME])
    portrait_from_crop = geometry.compose(portrait_from_plate, geometry.plate_from_crop(quad, CROP))
    teacher = Teacher(portrait, bench.direction, folder, portrait_from_crop)
    targets = {}
    for age in TARGETS:
        figures = measures.averaged([against.of(results[age])])
        figures["fine"] = measures.fine_share(change_of(results[age], quad, CROP) * skin, skin)
        figures |= teacher.compared(figures, skin)
        targets[f"{age:g}"] = _rounded(figures)
    _keep_crops(folder, {"plate": sight} | {f"{age:g}": results[age] for age in TARGETS} | {f"{OLD:g}": final}, quad)
    fine = measures.fine_share(change_of(final, quad, CROP) * skin, skin)
    steady = {"fine": fine} | steadiness(steadied, person, near)
    look = person.look.get(bench.ager.facts.name, {})
    return {
        "quad": round(side_of(quad), 1),
        "blur": round(take.blur, 2),
        "grain": round(take.grain, 2),
        "source_age": source,
        "plate_age": round(against.age, 2),
        "look": {name: value for name, value in look.items() if name != "model"},
        "targets": targets,
        "same": round(measures.rms(change_of(results[source], quad, CROP), matte_of(final, quad, CROP)), 6),
        "steady": _rounded(steady),
        "teacher": {f"{decades:+g}": _rounded(figures) for decades, figures in teacher.figures.items()},
    }


def face_of(face: FaceAt) -> NDArray[np.float32]:
    """Where a face and its forehead are on a crop, soft: (CROP, CROP). Sharpness is told there; hair is soft."""
    drawn = draw_matte(on_crop(face, 1.0), face.yaw)
    return np.asarray(cv2.resize(drawn, (CROP, CROP), interpolation=cv2.INTER_LINEAR), np.float32)


def _rounded(figures: Figures) -> dict[str, float]:
    """Figures without those that could not be told."""
    return {name: round(float(value), 5) for name, value in figures.items() if np.isfinite(value)}


def _analysed(job: Job, path: Path) -> Tracks:
    """The plate's tracks. Faces that were found before stay; how the model answers on them is settled anew."""
    if path.exists():
        held = load_tracks(path)
        persons = [person.model_copy(update={"look": {}}) for person in held.persons]
        save_tracks(held.model_copy(update={"persons": persons}), path)
    for _ in prepare(job):
        pass
    return load_tracks(path)


def _nearest(tracks: Tracks, quad: NDArray[np.float64]) -> Person:
    """The person who is where the portrait truly is.

    Raises:
        PlateError: nobody is.
    """
    there = [person for person in tracks.persons if plates.MIDDLE in person.frames]
    off = {p.id: np.hypot(*(p.frames[plates.MIDDLE].quad_array().mean(0) - quad.mean(0))) for p in there}
    person = min(there, key=lambda p: float(off[p.id]), default=None)
    if person is None or off[person.id] > APART * side_of(quad):
        raise PlateError(f"{tracks.plate.name}: no face was found where the portrait's is")
    return person


class Frames:
    """Frames of a job, rendered in memory."""

    def __init__(self, job: Job, shot: Shot, tracks: Tracks, ager: Ager, numbers: Sequence[int]) -> None:
        """Render them.

        Raises:
            ReageError: a frame failed.
        """
        device = pick_device(job.device)
        self._scene: Scene = scene_of(job, shot, tracks, ager, None, device)
        self._rendered: dict[int, Rendered] = {}
        self._plates: dict[int, Sight] = {}
        for number, rendered in Renderer(self._scene, device, {}).frames(numbers):
            if isinstance(rendered, ReageError):
                raise rendered
            self._rendered[number] = rendered

    def plate(self, number: int) -> Sight:
        """A frame of the plate."""
        if number not in self._plates:
            view, scene = self._rendered[number].view, self._scene
            self._plates[number] = sight_of(view.colour, view.window, scene.shot.colour, scene.tracks.exposure)
        return self._plates[number]

    def result(self, number: int, output: int) -> Sight:
        """A frame of a result, as its file would be read back."""
        rendered, scene = self._rendered[number], self._scene
        plate, layers = self.plate(number), rendered.layers(output, scene)
        stored = full_colour(rendered, output, scene)[0].astype(np.float16).astype(np.float32)
        delta, matte = np.zeros_like(plate.stored), np.zeros(plate.stored.shape[:2], np.float32)
        if layers is not None:
            at = layers.window.within(plate.window)
            delta[at], matte[at] = layers.delta, layers.matte
        return result_sight(stored, (delta, matte), plate, scene.shot.colour, scene.tracks.exposure)


def steadiness(frames: Frames, person: Person, numbers: Sequence[int]) -> Figures:
    """Temporal residual of the change after motion compensation, over that of the plate's own picture."""
    rows: list[list[float]] = []
    last: dict[str, NDArray[np.float32]] = {}
    grey_before = np.empty(0, np.uint8)
    for number in numbers:
        quad = person.frames[number].quad_array()
        plate, result = frames.plate(number), frames.result(number, 0)
        code = sampled(plate.shown, plate, quad, STEADY_SIDE)
        grey = np.asarray(cv2.cvtColor(eight_bit(code), cv2.COLOR_RGB2GRAY), np.uint8)
        matte = matte_of(result, quad, STEADY_SIDE)
        now = {"plate": code, "change": change_of(result, quad, STEADY_SIDE), "matte": matte}
        if last:
            both = [(now[name], last[name]) for name in ("plate", "change")]
            weight = matte * last["matte"]
            rows.append([measures.residual(a, b, grey, grey_before, weight)[0] for a, b in both])
        last, grey_before = now, grey
    own, change = np.sqrt(np.mean(np.square(rows), 0))
    return {"residual_over_plate": change / own if own > 0.0 else float("nan")}


class Teacher:
    """The generator's own edits of a portrait: their figures, and their changes on the engine's crop."""

    def __init__(
        self, portrait: Portrait, direction: Direction | None, folder: Path, portrait_from_crop: geometry.Affine
    ) -> None:
        """Read the edits, or take the figures that are kept.

        Args:
            portrait: of the person.
            direction: the edits' way through style space; None: there are none.
            folder: where figures are kept.
            portrait_from_crop: where the engine's crop truly lies on the portrait.
        """
        self._portrait, self._at = portrait, portrait_from_crop
        self.figures: dict[float, Figures] = {}
        self._fine: dict[float, float] = {}
        if direction is None:
            return
        kept, key = folder / "teacher.json", f"{RECIPE} {direction.digest}"
        held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if held.get("key") != key:
            held = {"key": key, "figures": [[decades, figures] for decades, figures in _edits_of(portrait)]}
            write_text(kept, json.dumps(held) + "\n")
        self.figures = {float(decades): figures for decades, figures in held["figures"]}

    def compared(self, ours: Figures, matte: NDArray[np.float32]) -> Figures:
        """How sharp the teacher's edit with the nearest rise is on the same person and matte; always the same matte."""
        if not self.figures or abs(ours["rise"]) < LEAST_RISE:
            return {}
        decades = min(self.figures, key=lambda d: abs(self.figures[d]["rise"] - ours["rise"]))
        if decades not in self._fine:
            before, after = (_planes(picture) for picture in (self._portrait.picture(), self._portrait.edit(decades)))
            change = geometry.resample(after - before, self._at, CROP, CROP).numpy() * matte
            self._fine[decades] = measures.fine_share(np.asarray(change, np.float32), matte)
        rise = self.figures[decades]["rise"]
        return {"teacher_decades": decades, "teacher_rise": rise, "teacher_fine": self._fine[decades]}


def _edits_of(portrait: Portrait) -> Iterator[tuple[float, dict[str, float]]]:
    """Figures of each of the teacher's edits, judged against the portrait as a result is against its plate."""
    quad = ffhq_quad(portrait.landmarks)
    face = FaceAt(quad=[tuple(p) for p in quad.tolist()], landmarks=[tuple(p) for p in portrait.landmarks.tolist()])
    own = _plain(portrait.picture())
    against = Judge(own, face, 1.0, portrait.index)
    for decades in sorted(portrait.teacher):
        edit = _plain(portrait.edit(decades))
        whole = np.ones(edit.stored.shape[:2], np.float32)
        result = Sight(edit.stored, edit.code, edit.display, edit.window, edit.code - own.code, whole)
        yield decades, _rounded(measures.averaged([against.of(result)]))


def _planes(picture: Picture8) -> torch.Tensor:
    """(3, H, W) 0..1."""
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 255.0


def _plain(picture: Picture8) -> Sight:
    """A picture of the generator as it is."""
    code = _planes(picture)
    return Sight(np.ascontiguousarray(code.permute(1, 2, 0).numpy()), code, picture, Window(0, 0, SIDE, SIDE))


def _keep_crops(folder: Path, sights: dict[str, Sight], quad: NDArray[np.float64]) -> None:
    for name, sight in sights.items():
        write_rgb(folder / f"crop_{name}.png", crop_of(sight, quad))
