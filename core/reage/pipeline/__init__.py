"""The order of the stages: `analyse`, `render`, `run`. The only place that knows it.

Each answers an iterator of events, plain dictionaries, as `--progress json` prints them; the last is `done`.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from reage.agers import load_ager
from reage.agers.base import Ager
from reage.atomic import clean_stale_temporaries, writable_folder
from reage.device import pick_device
from reage.errors import PlateError, ReageError, RequestError
from reage.job import Job
from reage.ledger import Manifest
from reage.naming import without_age
from reage.pipeline.analysis import analyse_plate, analysis_settings, plate_digest, settle_looks, with_looks
from reage.pipeline.holdout import Holdout, open_holdout
from reage.pipeline.outputs import Target, check_layers, manifest_beside, tracks_beside
from reage.pipeline.placing import Rendered
from reage.pipeline.rendering import Renderer
from reage.pipeline.scene import Scene, chosen_persons
from reage.pipeline.shot import Shot
from reage.pipeline.stills import open_stills, run_stills
from reage.pipeline.work import Work
from reage.plate import Output, open_output
from reage.sequence import format_range, parse_range, refuse_plate_overwrite
from reage.tracks import Person, Tracks, load_tracks, save_tracks

Event = dict[str, Any]
"""One line of `--progress json`."""

TELL_EVERY = 0.5
"""Seconds between words about what takes long before the first frame."""


def analyse(job: Job) -> Iterator[Event]:
    """Analyse the plate and write the tracks file that the job names.

    Raises:
        ReageError: see `reage.errors`.
    """
    if job.tracks is None:
        raise RequestError("analyse needs --tracks FILE, where to write")
    shot, ager = Shot(job), (yield from loaded(job))
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
        yield from run_stills(job, pictures, (yield from loaded(job)), _run_shot)
        return
    shot = Shot(job)
    path = Path(job.tracks) if job.tracks else _tracks_beside(job, shot)
    order = _ordered(job, shot, outputs_of(job, shot), sub_range_of_movie=False)
    yield from _run_ordered(job, shot, (yield from loaded(job)), order, path)


def prepare(job: Job) -> Iterator[Event]:
    """Analyse the plate into the tracks file that the job names, unless it fits plate and settings already.

    Raises:
        ReageError: see `reage.errors`.
    """
    if job.tracks is None:
        raise RequestError("to prepare a farm's job needs --tracks FILE, where to write")
    shot = Shot(job)
    tracks = yield from _settled(job, shot, (yield from loaded(job)), Path(job.tracks))
    yield {"event": "done", "tracks": job.tracks, "faces": len(tracks.persons)}


def loaded(job: Job) -> Generator[Event, None, Ager]:
    """The job's model; loaded after what is wrong with the request was told, once a request."""
    started = time.perf_counter()
    ager = load_ager(job.model, job.device, job.precision)
    facts, seconds = ager.facts, round(time.perf_counter() - started, 2)
    yield {"event": "model", "name": facts.name, "family": facts.family, "licence": facts.licence, "seconds": seconds}
    return ager


def _run_shot(job: Job, shot: Shot, ager: Ager, outputs: Sequence[Output], path: Path) -> Iterator[Event]:
    """Analyse a shot into `path`, or find it analysed there, and render it into `outputs`."""
    yield from _run_ordered(job, shot, ager, _ordered(job, shot, outputs, sub_range_of_movie=False), path)


def _run_ordered(job: Job, shot: Shot, ager: Ager, order: _Order, path: Path) -> Iterator[Event]:
    _claim(job, order)
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
        if not job.dry_run and job.look_choices == (None, None) and (kept := with_looks(tracks, ager, looks)) != tracks:
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
    shot = Shot(job)
    refuse_absent(shot, number)
    ager = yield from loaded(job)
    if job.tracks is not None:
        tracks = load_tracks(Path(job.tracks))
        yield _tracks_event(tracks, Path(job.tracks))
    else:
        tracks = yield from _settled(job, shot, ager, beside)
    return (yield from frame_of(job, shot, tracks, ager, number))


def refuse_absent(shot: Shot, number: int) -> None:
    """Raise where the plate has no such frame.

    Raises:
        PlateError: with the frames that there are.
    """
    if number not in shot.plate.frames:
        raise PlateError(f"{shot.plate.name}: no frame {number}; there are {format_range(shot.plate.frames)}")


def fitting_tracks(job: Job, shot: Shot) -> Generator[Event, None, tuple[Path, Tracks] | None]:
    """The tracks that a job's frames would be rendered from as they are: those it names, else those beside its output.

    Yields:
        How far the plate is compared with what was analysed, where that takes long.

    Returns:
        Their file and content; None where an analysis would have to come first.

    Raises:
        RequestError: what the job names is no tracks file.
    """
    if job.tracks is not None:
        named = Path(job.tracks)
        return (named, load_tracks(named)) if named.exists() else None
    path = _tracks_beside(job, shot)
    told = time.monotonic()
    for done, number in enumerate(shot.plate.frames if path.exists() else [], start=1):
        shot.plate.digest(number)  # kept for as long as the file does not change
        if time.monotonic() - told > TELL_EVERY:
            told, total = time.monotonic(), len(shot.plate.frames)
            yield {"event": "progress", "stage": "compare", "frame": number, "done": done, "total": total}
    tracks = _reusable(job, shot, path)
    return None if tracks is None else (path, tracks)


def frame_of(
    job: Job, shot: Shot, tracks: Tracks, ager: Ager, number: int
) -> Generator[Event, None, tuple[Scene, Rendered]]:
    """One frame, rendered from tracks as `render` would and not written; see `frame_in_memory`."""
    holdout = open_holdout(job.holdout, [number])
    device = pick_device(job.device)
    scene = scene_of(job, shot, tracks, ager, holdout, device)
    yield from _warnings(scene, [number])
    ((_, rendered),) = Renderer(scene, device, holdout.maps if holdout else {}).frames([number])
    if isinstance(rendered, ReageError):
        raise rendered
    return scene, rendered


def render(job: Job, apart: bool = False) -> Iterator[Event]:
    """Render the job's frames from a tracks file.

    Args:
        job: names the tracks.
        apart: keep the manifest in a part of this process, for the last step of a farm's job to merge.

    Raises:
        ReageError: see `reage.errors`.
    """
    if job.tracks is None:
        raise RequestError("render needs --tracks FILE; 'reage analyse' makes one")
    tracks = load_tracks(Path(job.tracks))
    shot = Shot(job)
    order = _ordered(job, shot, outputs_of(job, shot), sub_range_of_movie=True, apart=apart)
    ager = yield from loaded(job)
    _claim(job, order)
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
    return tracks_beside(open_output(without_age(job.output), shot.plate, wanted_frames(job, shot)))


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


def outputs_of(job: Job, shot: Shot) -> list[Output]:
    """The job's outputs, one an age."""
    frames = wanted_frames(job, shot)
    names = [job.output] if job.ages is None else [job.output.replace("{age}", f"{age:g}") for age in job.ages]
    return [open_output(name, shot.plate, frames) for name in names]


def wanted_frames(job: Job, shot: Shot) -> list[int]:
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


def _ordered(job: Job, shot: Shot, outputs: Sequence[Output], sub_range_of_movie: bool, apart: bool = False) -> _Order:
    """The order of a job; what can be told to be wrong without a look at the outputs is told now."""
    wanted, on_disk = wanted_frames(job, shot), set(shot.plate.frames)
    frames, missing = [f for f in wanted if f in on_disk], [f for f in wanted if f not in on_disk]
    if missing and (job.on_missing == "stop" or not frames):
        raise PlateError(
            f"{shot.plate.name}: frames {format_range(missing)} are missing; "
            "copy them, choose other --frames, or give --on-missing skip"
        )
    holdout = open_holdout(job.holdout, frames)
    _refuse(set(wanted), shot, outputs, holdout, sub_range_of_movie)
    targets = [Target(i, output, Manifest(manifest_beside(output), apart)) for i, output in enumerate(outputs)]
    check_layers(targets, job.layers)
    return _Order(frames, missing, targets, holdout)


def _claim(job: Job, order: _Order) -> None:
    """Make folders, clean up after the dead, and refuse to harm what is not ours; nothing in a dry run."""
    for target in order.targets if not job.dry_run else ():
        folder = target.output.stem.parent
        writable_folder(folder)
        clean_stale_temporaries(folder, target.output.stem.name)
        target.manifest.clean()
        if not job.overwrite:
            target.refuse_foreign(order.frames[:1] if target.output.is_movie else order.frames)


def _refuse(
    wanted: set[int], shot: Shot, outputs: Sequence[Output], holdout: Holdout | None, sub_range_of_movie: bool
) -> None:
    """Refuse parts of movies, and outputs that are the plate or the hold-out matte."""
    for output in outputs:
        if output.is_movie and sub_range_of_movie and not wanted >= set(shot.plate.frames):
            raise RequestError(f"{output.name}: a movie is written in one go; render frames, or leave --frames out")
    here = sorted(wanted & set(shot.plate.frames))
    made = [output.path(frame) for output in outputs for frame in (here[:1] if output.is_movie else here)]
    inputs = {shot.plate.path(frame) for frame in shot.plate.frames}
    refuse_plate_overwrite(made, inputs | (holdout.files if holdout else frozenset()))


def _rendered(job: Job, shot: Shot, tracks: Tracks, ager: Ager, order: _Order) -> Iterator[Event]:
    device = pick_device(job.device)
    scene = scene_of(job, shot, tracks, ager, order.holdout, device)
    yield from _warnings(scene, order.frames)
    if job.dry_run:
        yield _plan(job, shot, ager, order, scene.persons)
        yield {"event": "done", "dry_run": True}
        return
    work = Work(scene, order.targets, device, order.holdout)
    yield from work.render(order.frames, order.missing)


def scene_of(job: Job, shot: Shot, tracks: Tracks, ager: Ager, holdout: Holdout | None, device: torch.device) -> Scene:
    """What a render of the job knows before its first frame."""
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
    facts, at = scene.ager.facts, (frames[0], frames[-1])
    low, high = facts.ages
    curves = [(person, target.of(person.id)) for target in scene.targets for person in scene.persons]
    asked = [(curve(frame), scene.source_age(person)) for person, curve in curves if curve for frame in at]
    outside = [age for age, _ in asked if not low <= age <= high]
    if outside and facts.clamps:
        yield {
            "event": "warning",
            "message": f"age {outside[0]:g} is outside what {facts.name} was trained on ({low:g} to {high:g}); "
            "it is clamped",
        }
    if not facts.takes_age:
        younger = any(age < source for age, source in asked)
        yield {
            "event": "warning",
            "message": f"{facts.name} takes no age: it makes every face older by the same step; dial it with --strength"
            + ("; for younger faces choose another --model" if younger else ""),
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
