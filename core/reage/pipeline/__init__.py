"""The order of the stages: `analyse`, `render`, `run`. The only place that knows it.

Each answers an iterator of events, plain dictionaries, as `--progress json` prints them; the last is `done`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reage.agers import load_ager
from reage.agers.base import Ager
from reage.atomic import clean_stale_temporaries
from reage.device import pick_device
from reage.errors import OutputError, PlateError, ReageError, RequestError, SomeFramesFailed
from reage.job import Job
from reage.ledger import Line, Manifest, State
from reage.models import LANDMARKS_68
from reage.movies import MovieWriter
from reage.naming import without_age
from reage.pipeline.analysis import analyse_plate, analysis_settings, plate_digest, settle_looks, with_looks
from reage.pipeline.holdout import Holdout, open_holdout
from reage.pipeline.outputs import Target, check_layers, manifest_beside, movie_frame, tracks_beside, write_frame
from reage.pipeline.rendering import Rendered, Renderer
from reage.pipeline.scene import Scene, chosen_persons
from reage.pipeline.shot import Shot
from reage.pipeline.stills import open_stills, run_stills
from reage.pipeline.streams import Behind
from reage.plate import Output, open_output
from reage.sequence import format_range, parse_range, refuse_plate_overwrite
from reage.tracks import Person, Tracks, load_tracks, save_tracks

Event = dict[str, Any]
"""One line of `--progress json`."""

SAVE_EVERY = 2.0
"""Seconds between merges of the manifest into its file."""


def analyse(job: Job) -> Iterator[Event]:
    """Analyse the plate and write the tracks file that the job names.

    Raises:
        ReageError: see `reage.errors`.
    """
    if job.tracks is None:
        raise RequestError("analyse needs --tracks FILE, where to write")
    shot, ager = Shot(job), load_ager(job.model, job.device, job.precision)
    tracks = yield from _analysed(job, shot, ager, Path(job.tracks))
    yield _tracks_event(tracks, Path(job.tracks))
    yield {"event": "done", "tracks": job.tracks}


def run(job: Job) -> Iterator[Event]:
    """Analyse the whole plate once, beside the output, then render the job's frames.

    Raises:
        ReageError: see `reage.errors`.
    """
    if job.stills:
        pictures = open_stills(job)
        yield from run_stills(job, pictures, load_ager(job.model, job.device, job.precision), _run_shot)
        return
    shot, ager = Shot(job), load_ager(job.model, job.device, job.precision)
    outputs = _outputs(job, shot)
    path = Path(job.tracks) if job.tracks else _tracks_beside(job, shot)
    yield from _run_shot(job, shot, ager, outputs, path)


def _run_shot(job: Job, shot: Shot, ager: Ager, outputs: Sequence[Output], path: Path) -> Iterator[Event]:
    """Analyse a shot into `path`, or find it analysed there, and render it into `outputs`."""
    order = _ordered(job, shot, outputs, sub_range_of_movie=False)
    if job.dry_run and _reusable(job, shot, path) is None:
        yield _plan(job, shot, ager, order, None)
        yield {"event": "done", "dry_run": True}
        return
    tracks = yield from _settled(job, shot, ager, path)
    yield from _rendered(job, shot, tracks, ager, order)


def _settled(job: Job, shot: Shot, ager: Ager, path: Path) -> Generator[Event, None, Tracks]:
    """The tracks in a file of ours: as they are where they fit plate and settings, else made anew."""
    tracks = _reusable(job, shot, path)
    if tracks is None:
        tracks = yield from _analysed(job, shot, ager, path)
    else:
        yield {"event": "stage", "name": "analyse", "skipped": True, "tracks": str(path)}
        looks = settle_looks(job, shot, tracks, ager, pick_device(job.device))
        if not job.dry_run and job.exemplar is None and (kept := with_looks(tracks, ager, looks)) != tracks:
            save_tracks(kept, path)
            tracks = load_tracks(path)
    yield _tracks_event(tracks, path)
    return tracks


def frame_in_memory(job: Job, number: int, beside: Path) -> Generator[Event, None, tuple[Scene, Rendered]]:
    """One frame, rendered as `render` would and not written.

    Args:
        job: its outputs are not looked at; its ages are.
        number: of the frame.
        beside: where the tracks are kept, where the job names no tracks file.

    Returns:
        The scene, and the frame with the layers of every age.

    Raises:
        ReageError: see `reage.errors`.
    """
    shot, ager = Shot(job), load_ager(job.model, job.device, job.precision)
    if number not in shot.plate.frames:
        raise PlateError(f"{shot.plate.name}: no frame {number}; there are {format_range(shot.plate.frames)}")
    holdout = open_holdout(job.holdout, [number])
    if job.tracks is not None:
        tracks = load_tracks(Path(job.tracks))
        yield _tracks_event(tracks, Path(job.tracks))
    else:
        tracks = yield from _settled(job, shot, ager, beside)
    device = pick_device(job.device)
    scene = _scene(job, shot, tracks, ager, holdout, device)
    yield from _warnings(scene, [number])
    ((_, rendered),) = Renderer(scene, device, holdout.maps if holdout else {}).frames([number])
    if isinstance(rendered, ReageError):
        raise rendered
    return scene, rendered


def render(job: Job) -> Iterator[Event]:
    """Render the job's frames from a tracks file.

    Raises:
        ReageError: see `reage.errors`.
    """
    if job.tracks is None:
        raise RequestError("render needs --tracks FILE; 'reage analyse' makes one")
    tracks = load_tracks(Path(job.tracks))
    shot, ager = Shot(job), load_ager(job.model, job.device, job.precision)
    order = _ordered(job, shot, _outputs(job, shot), sub_range_of_movie=True)
    yield _tracks_event(tracks, Path(job.tracks))
    yield from _rendered(job, shot, tracks, ager, order)


def _analysed(job: Job, shot: Shot, ager: Ager, path: Path) -> Generator[Event, None, Tracks]:
    """Analyse, save, and read back: what a render uses is what the file says."""
    clean_stale_temporaries(path.parent, path.name)
    yield {"event": "stage", "name": "analyse", "total": len(shot.plate.frames)}
    if missing := shot.plate.missing:
        yield {"event": "warning", "message": f"the plate lacks frames {format_range(missing)}"}
    for event in analyse_plate(job, shot, ager, pick_device(job.device)):
        if isinstance(event, Tracks):
            save_tracks(event, path)
        else:
            yield event
    return load_tracks(path)


def _tracks_beside(job: Job, shot: Shot) -> Path:
    return tracks_beside(open_output(without_age(job.output), shot.plate, _wanted(job, shot)))


def _reusable(job: Job, shot: Shot, path: Path) -> Tracks | None:
    """Tracks that were made of this plate with these settings."""
    if not path.exists():
        return None
    try:
        tracks = load_tracks(path)
    except (PlateError, RequestError):
        if job.tracks:
            raise
        return None
    if tracks.settings != analysis_settings(job, shot) or tracks.plate.digest != plate_digest(shot):
        return None
    return tracks


def _tracks_event(tracks: Tracks, path: Path) -> Event:
    faces = [
        {"id": p.id, "source_age": p.source_age, "frames": format_range(p.frames), "crop": p.crop}
        for p in tracks.persons
    ]
    return {"event": "tracks", "path": str(path), "exposure": tracks.exposure, "cuts": tracks.cuts, "faces": faces}


def _outputs(job: Job, shot: Shot) -> list[Output]:
    frames = _wanted(job, shot)
    names = [job.output] if job.ages is None else [job.output.replace("{age}", f"{age:g}") for age in job.ages]
    return [open_output(name, shot.plate, frames) for name in names]


def _wanted(job: Job, shot: Shot) -> list[int]:
    """The job's frames, rising; all of the plate's range, gaps included, where it names none."""
    if job.frames is not None:
        return parse_range(job.frames)
    return sorted([*shot.plate.frames, *shot.plate.missing])


@dataclass(frozen=True)
class _Order:
    """What is rendered, and where it goes."""

    frames: list[int]  # on disk
    missing: list[int]
    targets: list[Target]
    holdout: Holdout | None


def _ordered(job: Job, shot: Shot, outputs: Sequence[Output], sub_range_of_movie: bool) -> _Order:
    """The order of a job; whatever can be told to be wrong is told now, before any work is done."""
    wanted, on_disk = _wanted(job, shot), set(shot.plate.frames)
    _refuse(set(wanted), shot, outputs, sub_range_of_movie)
    frames, missing = [f for f in wanted if f in on_disk], [f for f in wanted if f not in on_disk]
    if missing and (job.on_missing == "stop" or not frames):
        raise PlateError(
            f"{shot.plate.name}: frames {format_range(missing)} are missing; "
            "copy them, choose other --frames, or give --on-missing skip"
        )
    holdout = open_holdout(job.holdout, frames)
    targets = [Target(i, output, Manifest(manifest_beside(output))) for i, output in enumerate(outputs)]
    check_layers(targets, job.layers)
    if not job.dry_run:
        _claim(targets, frames, job.overwrite)
    return _Order(frames, missing, targets, holdout)


def _claim(targets: Sequence[Target], frames: Sequence[int], overwrite: bool) -> None:
    """Make folders, clean up after the dead, and refuse to harm what is not ours."""
    for target in targets:
        folder = target.output.stem.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot make the folder: {error.strerror}; check the path") from error
        clean_stale_temporaries(folder, target.output.stem.name)
        target.manifest.clean()
        if not overwrite:
            target.refuse_foreign(frames[:1] if target.output.is_movie else frames)


def _refuse(wanted: set[int], shot: Shot, outputs: Sequence[Output], sub_range_of_movie: bool) -> None:
    """Refuse parts of movies, and outputs that are the plate."""
    for output in outputs:
        if output.is_movie and sub_range_of_movie and not wanted >= set(shot.plate.frames):
            raise RequestError(f"{output.name}: a movie is written in one go; render frames, or leave --frames out")
    here = sorted(wanted & set(shot.plate.frames))
    made = [output.path(frame) for output in outputs for frame in (here[:1] if output.is_movie else here)]
    refuse_plate_overwrite(made, {shot.plate.path(frame) for frame in shot.plate.frames})


def _rendered(job: Job, shot: Shot, tracks: Tracks, ager: Ager, order: _Order) -> Iterator[Event]:
    device = pick_device(job.device)
    scene = _scene(job, shot, tracks, ager, order.holdout, device)
    yield from _warnings(scene, order.frames)
    if job.dry_run:
        yield _plan(job, shot, ager, order, scene.persons)
        yield {"event": "done", "dry_run": True}
        return
    work = _Work(scene, order.targets, device, order.holdout)
    yield from work.render(order.frames, order.missing)


def _scene(job: Job, shot: Shot, tracks: Tracks, ager: Ager, holdout: Holdout | None, device: torch.device) -> Scene:
    return Scene(
        job=job,
        shot=shot,
        tracks=tracks,
        ager=ager,
        persons=chosen_persons(tracks, job.face),
        looks=settle_looks(job, shot, tracks, ager, device),
        targets=job.target_ages(),
        holdout_digests=holdout.digests if holdout else {},
    )


def _warnings(scene: Scene, frames: Sequence[int]) -> Iterator[Event]:
    """What is worth a word before the first frame."""
    if not scene.persons:
        yield {"event": "warning", "message": "no face was found in the plate; frames are passed on as they are"}
    low, high = scene.ager.facts.ages
    curves = [target.of(person.id) for target in scene.targets for person in scene.persons]
    asked = [curve(frame) for curve in curves if curve is not None for frame in (frames[0], frames[-1])]
    outside = [age for age in asked if not low <= age <= high]
    if outside and scene.ager.facts.clamps:
        yield {
            "event": "warning",
            "message": f"age {outside[0]:g} is outside what {scene.ager.facts.name} was trained on "
            f"({low:g} to {high:g}); it is clamped",
        }


def _plan(job: Job, shot: Shot, ager: Ager, order: _Order, persons: Sequence[Person] | None) -> Event:
    """What would be done; without persons: the plate would be analysed first."""
    frames, missing = order.frames, order.missing
    size = shot.plate.path(frames[0]).stat().st_size if not shot.plate.is_movie else 0
    return {
        "event": "plan",
        "frames": format_range(frames),
        "missing": format_range(missing) if missing else "",
        "analyse": persons is None,
        "faces": {str(p.id): sum(f in p.frames for f in frames) for p in persons or ()},
        "model": ager.facts.name,
        "device": str(pick_device(job.device)),
        "outputs": [target.output.name for target in order.targets],
        "disk_mb": round(size * len(frames) * len(order.targets) * (3 if job.layers else 1) / 1e6, 1),
    }


class _Work:
    """One render in progress: what is skipped, written and failed."""

    def __init__(self, scene: Scene, targets: Sequence[Target], device: torch.device, holdout: Holdout | None) -> None:
        self._scene, self._targets, self._device, self._holdout = scene, targets, device, holdout
        self._states: Counter[str] = Counter()
        self._faults: list[str] = []
        self._hashes: dict[tuple[int, int], str] = {}
        self._saved = time.monotonic()
        self._licence = strictest_licence(scene)

    def render(self, frames: Sequence[int], missing: Sequence[int]) -> Iterator[Event]:
        """Render, write, and tell."""
        job = self._scene.job
        for frame in missing:
            for target in self._targets:
                target.manifest.add(Line(frame, target.output.path(frame).name, "missing", why="not in the plate"))
            self._states["missing"] += 1
            yield {"event": "frame", "frame": frame, "state": "missing"}
        todo, redone = [], 0
        for frame in frames:
            if not job.overwrite and all(self._is_current(target, frame) for target in self._targets):
                self._states["skipped"] += 1
                self._book_found(frame)
                yield {
                    "event": "frame",
                    "frame": frame,
                    "state": "skipped",
                    "path": str(self._targets[0].output.path(frame)),
                }
                continue
            redone += any(t.output.path(frame).exists() and not t.output.is_movie for t in self._targets)
            todo.append(frame)
        if redone:
            yield {
                "event": "warning",
                "message": f"{redone} frames were made with other settings or are damaged; redone",
            }
        total = len(todo)
        yield {"event": "stage", "name": "render", "total": total, "skipped": len(frames) - total}
        try:
            if self._targets[0].output.is_movie:
                yield from self._movies(todo)
            else:
                yield from self._files(todo)
        finally:
            for target in self._targets:
                target.manifest.save()
        yield from self._end()

    def _book_found(self, frame: int) -> None:
        """Book a frame that is there already and was not booked, as its process was killed before it could."""
        for target in self._targets:
            settings, line = self._settings(target, frame), target.manifest.line(frame)
            if line is None or line.settings != settings:
                target.manifest.add(Line(frame, target.output.path(frame).name, self._state(frame), settings))

    def _state(self, frame: int) -> State:
        return "aged" if self._scene.faces(frame) else "no-face"

    def _is_current(self, target: Target, frame: int) -> bool:
        if target.output.is_movie or not target.output.path(frame).exists():
            return False
        return target.is_current(frame, self._settings(target, frame))

    def _settings(self, target: Target, frame: int) -> str:
        """The hash of one frame, made when it is first needed: it reads the plate's content."""
        key = target.index, frame
        if key not in self._hashes:
            self._hashes[key] = self._scene.settings(target.index, frame)
        return self._hashes[key]

    def _renderer(self) -> Renderer:
        maps = self._holdout.maps if self._holdout else {}
        return Renderer(self._scene, self._device, maps)

    def _files(self, todo: Sequence[int]) -> Iterator[Event]:
        """Frames as files, encoded behind the renderer."""
        writers = Behind[tuple[int, Target, float], Path](workers=2, depth=4)
        try:
            with writers:
                yield from self._written(todo, writers)
        finally:
            for item, _ in writers.finished():  # an error or a signal came between
                self._book(*item)

    def _written(self, todo: Sequence[int], writers: Behind[tuple[int, Target, float], Path]) -> Iterator[Event]:
        scene, started = self._scene, time.monotonic()
        for number, rendered in self._renderer().frames(todo):
            for target in self._targets:
                item = (number, target, 0.0 if isinstance(rendered, ReageError) else rendered.seconds)

                def write(result: Any = rendered, target: Target = target, number: int = number) -> Path:
                    if isinstance(result, ReageError):
                        raise result
                    return write_frame(result, target, scene, self._settings(target, number), self._licence)

                for done in writers.put(item, write):
                    yield from self._finished(*done, len(todo), started)
        for done in writers.drain():
            yield from self._finished(*done, len(todo), started)

    def _finished(
        self,
        item: tuple[int, Target, float],
        future: Future[Path],
        total: int,
        started: float,
    ) -> Iterator[Event]:
        """Book one written or failed frame of one output."""
        number, target, seconds = item
        path = target.output.path(number)
        fault = future.exception()
        if fault is None:
            state = self._book(number, target, seconds)
            yield {"event": "frame", "frame": number, "state": state, "path": str(path)}
        elif not isinstance(fault, ReageError) or isinstance(fault, OutputError) or self._scene.job.on_error == "stop":
            raise fault
        else:
            state = self._failed(number, target, fault)
            yield {"event": "frame", "frame": number, "state": state, "path": str(path), "why": str(fault)}
        if target is self._targets[-1]:
            self._states[state] += 1
            done = sum(self._states.values()) - self._states["skipped"] - self._states["missing"]
            elapsed = time.monotonic() - started
            eta = round(elapsed / done * (total - done), 1)
            yield {"event": "progress", "stage": "render", "frame": number, "done": done, "total": total, "eta": eta}
        if time.monotonic() - self._saved > SAVE_EVERY:
            target.manifest.save()
            self._saved = time.monotonic()

    def _book(self, number: int, target: Target, seconds: float) -> State:
        """Enter a frame that was written into the manifest."""
        state, name = self._state(number), target.output.path(number).name
        target.manifest.add(Line(number, name, state, self._settings(target, number), round(seconds, 3)))
        return state

    def _failed(self, number: int, target: Target, fault: ReageError) -> State:
        """A frame that could not be re-aged: the plate's own pixels where that was asked for and can be read."""
        self._faults.append(str(fault))
        state: State = "failed"
        if self._scene.job.on_error == "copy":
            try:
                plain = Rendered(self._scene.shot.frame(number), [None] * len(self._targets), 0.0)
                # No settings: whoever runs this again gets another try at the frame.
                write_frame(plain, target, self._scene, "", self._licence)
                state = "copied"
            except PlateError as error:
                self._faults.append(str(error))
        name = target.output.path(number).name
        target.manifest.add(Line(number, name, state, why=str(fault)))
        return state

    def _movies(self, todo: Sequence[int]) -> Iterator[Event]:
        """Frames into movies, which appear when they are complete."""
        scene, writers = self._scene, {}
        try:
            for done, (number, rendered) in enumerate(self._renderer().frames(todo), start=1):
                if isinstance(rendered, ReageError):
                    raise rendered
                for target in self._targets:
                    pixels = movie_frame(rendered, target, scene)
                    if target.index not in writers:
                        writers[target.index] = _movie(target, scene, pixels)
                    writers[target.index].write(pixels)
                state = self._state(number)
                self._states[state] += 1
                yield {"event": "frame", "frame": number, "state": state, "path": self._targets[0].output.name}
                yield {"event": "progress", "stage": "render", "frame": number, "done": done, "total": len(todo)}
            for target in self._targets:
                writers[target.index].close()
                for number in todo:
                    target.manifest.add(Line(number, target.output.path(number).name, self._state(number)))
        except BaseException:
            for writer in writers.values():
                writer.abort()
            raise

    def _end(self) -> Iterator[Event]:
        states = {state: count for state, count in sorted(self._states.items()) if count}
        failed = states.get("failed", 0) + states.get("copied", 0)
        summary = {"states": states, "outputs": [target.output.name for target in self._targets]}
        if failed:
            yield {"event": "summary", **summary}
            raise SomeFramesFailed(f"{failed} frames failed, the first with: {self._faults[0]}")
        yield {"event": "done", **summary}


def _movie(target: Target, scene: Scene, pixels: np.ndarray) -> MovieWriter:
    plate = scene.shot.plate
    height, width = pixels.shape[:2]
    source = plate.path(plate.frames[0]) if plate.is_movie else None
    path, aspect = target.output.path(plate.frames[0]), scene.shot.pixel_aspect
    return MovieWriter(path, plate.fps or 24, width, height, audio_from=source, pixel_aspect=aspect)


def strictest_licence(scene: Scene) -> str:
    """The most restrictive licence of all model files used: the landmarks', which exclude commercial use."""
    if not scene.persons:
        return scene.ager.facts.licence
    given = scene.job.landmarks
    landmarks = f"landmarks by {Path(given).name}, whose licence you know" if given else LANDMARKS_68.licence
    return f"{landmarks}; {scene.ager.facts.licence}"
