"""A folder of unrelated pictures: each is a shot of its own and keeps its name; the models are loaded once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reage.agers.base import Ager
from reage.errors import PlateError, ReageError, RequestError, SomeFramesFailed
from reage.images import FORMATS, format_of
from reage.job import Job
from reage.ledger import Line, Manifest
from reage.naming import is_folder, named, named_all
from reage.pipeline.outputs import Target, check_layers, manifest_beside, tracks_beside
from reage.pipeline.shot import Shot
from reage.plate import Output, open_plate
from reage.sequence import refuse_plate_overwrite

Event = dict[str, Any]
RunShot = Callable[[Job, Shot, Ager, Sequence[Output], Path], Iterator[Event]]
"""Analyses one shot into a tracks file and renders it into its outputs."""


@dataclass(frozen=True)
class Still:
    """One picture and where it goes."""

    picture: Path
    frame: int  # the number under which it is its plate's only frame
    outputs: tuple[Output, ...]  # one an age
    tracks: Path


@dataclass(frozen=True)
class Stills:
    """The pictures of a folder, by name, and what else lies there."""

    stills: Sequence[Still]
    passed_over: Sequence[str]


def open_stills(job: Job) -> Stills:
    """Plan the outputs of a folder; whatever can be told to be wrong is told now.

    Raises:
        PlateError: the folder is not there, or holds no picture.
        RequestError: PLATE is no folder, or OUT does not fit.
        OutputError: an output is an input, or a file that reage did not make.
    """
    pictures, passed_over = _listed(Path(job.plate))
    if "{name}" not in job.output and not is_folder(job.output):
        raise RequestError(f"output {job.output!r}: --stills needs a folder, or a pattern that holds {{name}}")
    ages: Sequence[float | None] = job.ages if job.ages is not None else [None]
    by_age = [named_all(job.output, pictures, age) for age in ages]
    refuse_plate_overwrite([path for paths in by_age for path in paths], pictures)
    if any(path.parent.resolve() == Path(job.plate).resolve() for paths in by_age for path in paths):
        raise RequestError(f"output {job.output!r}: the next run would re-age what lies beside the pictures")
    stills = [_still(job, picture, [paths[at] for paths in by_age]) for at, picture in enumerate(pictures)]
    return Stills(stills, passed_over)


def _still(job: Job, picture: Path, paths: Sequence[Path]) -> Still:
    frame = open_plate(str(picture), first_frame=job.first_frame).frames[0]
    outputs = tuple(_output(path) for path in paths)
    targets = [Target(i, output, Manifest(manifest_beside(output))) for i, output in enumerate(outputs)]
    check_layers(targets, job.layers)
    for target in targets:
        if not job.overwrite and not job.dry_run:
            target.refuse_foreign([frame])
    return Still(picture, frame, outputs, tracks_beside(_output(named(job.output, picture))))


def _listed(folder: Path) -> tuple[list[Path], list[str]]:
    """Pictures of a folder in the order of their names, and the names of other files; hidden ones do not count."""
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"plate '{folder}' is no folder, which --stills needs; leave --stills out for one picture")
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as error:
        raise PlateError(f"folder '{folder}' cannot be listed: {error.strerror}; check the path") from error
    pictures = [folder / name for name in names if Path(name).suffix.lower() in FORMATS]
    if not pictures:
        raise PlateError(f"folder '{folder}' holds no picture; they end in {', '.join(FORMATS)}")
    return pictures, [name for name in names if Path(name).suffix.lower() not in FORMATS]


def _output(path: Path) -> Output:
    """One file under exactly this name, even where it looks like a pattern."""
    return Output(str(path), format_of(path), None, path, keeps_name=True)


def run_stills(job: Job, found: Stills, ager: Ager, run_shot: RunShot) -> Iterator[Event]:
    """Run every picture; in the events `frame` counts the pictures and `name` names them.

    Raises:
        SomeFramesFailed: at the end, where `--on-error` said to go on.
        ReageError: see `reage.errors`.
    """
    states: Counter[str] = Counter()
    faults: list[str] = []
    total = len(found.stills)
    yield {"event": "stage", "name": "stills", "total": total}
    if found.passed_over:
        yield {"event": "warning", "message": f"passed over, as they are no pictures: {', '.join(found.passed_over)}"}
    for at, still in enumerate(found.stills, start=1):
        yield from _one(job, still, at, ager, run_shot, states, faults)
        yield {"event": "progress", "stage": "stills", "frame": at, "done": at, "total": total}
    summary = {"states": dict(sorted(states.items())), "outputs": [job.output]}
    if faults:
        yield {"event": "summary", **summary}
        raise SomeFramesFailed(f"{len(faults)} of {total} pictures failed, the first with: {faults[0]}")
    yield {"event": "done", **({"dry_run": True} if job.dry_run else summary)}


def _one(
    job: Job, still: Still, at: int, ager: Ager, run_shot: RunShot, states: Counter[str], faults: list[str]
) -> Iterator[Event]:
    """One picture: its frames, warnings and plans are told, and what became of it is counted."""
    name = still.picture.name
    one = job.model_copy(update={"plate": str(still.picture)})
    try:
        for event in run_shot(one, Shot(one), ager, still.outputs, still.tracks):
            if event["event"] == "frame":
                yield {**event, "frame": at, "name": name}
            elif event["event"] == "warning":
                yield {**event, "message": _naming(name, event["message"])}
            elif event["event"] == "plan":
                yield {**event, "name": name}
            elif event["event"] in ("done", "summary"):
                states.update(event.get("states", {}))
    except SomeFramesFailed as fault:
        faults.append(_naming(name, str(fault)))
    except (PlateError, RequestError) as fault:
        if job.on_error == "stop":
            raise type(fault)(_naming(name, str(fault))) from fault
        faults.append(_naming(name, str(fault)))
        states["failed"] += 1
        if not job.dry_run:
            _book(still, fault)
        yield {"event": "frame", "frame": at, "name": name, "state": "failed", "why": str(fault)}


def _book(still: Still, fault: ReageError) -> None:
    """Put a picture that could not even be opened into its manifests."""
    for output in still.outputs:
        manifest = Manifest(manifest_beside(output))
        manifest.add(Line(still.frame, Path(output.name).name, "failed", why=str(fault)))
        manifest.save()


def _naming(name: str, message: str) -> str:
    """A message that says which picture it is about."""
    return message if name in message else f"{name}: {message}"
