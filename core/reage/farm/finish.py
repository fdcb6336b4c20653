"""The last step of a farm's job: every frame is read and judged, the manifests become one, and a wrangler is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from reage.agers.base import Ager
from reage.atomic import clean_stale_temporaries
from reage.errors import PlateError, SomeFramesFailed
from reage.farm.reel import write_movie, write_sheet
from reage.images import verify_picture
from reage.job import Job
from reage.ledger import Line, Manifest, digest_of
from reage.pipeline import loaded, outputs_of, scene_of, wanted_frames
from reage.pipeline.holdout import open_holdout
from reage.pipeline.outputs import Target, manifest_beside
from reage.pipeline.scene import Scene
from reage.pipeline.shot import Shot
from reage.plate import Output
from reage.progress import Event
from reage.sequence import format_range
from reage.tracks import load_tracks

Found = Literal["damaged", "absent", "stale", "failed", "copied", "missing", "aged", "no-face"]
"""What became of a frame, the worst first. `stale`: made with other settings. `missing`: not in the plate."""

WORST_FIRST: tuple[Found, ...] = ("damaged", "absent", "stale", "failed", "copied", "missing", "aged", "no-face")
TO_RENDER = frozenset({"damaged", "absent", "stale", "failed", "copied"})
SLOWEST = 5
READERS = 4
"""Frames that are read at once: what bounds a verification is the storage."""


@dataclass(frozen=True)
class _Judged:
    """One frame of one output."""

    frame: int
    target: Target
    found: Found
    settings: str
    line: Line | None  # what the manifest had to say


def finish(job: Job, movie: str | None, sheet: str | None) -> Iterator[Event]:
    """Verify every frame of a job, merge manifests, sum up, and lay the frames out where that is asked for.

    Args:
        job: names tracks and frames. The model is loaded to know its hash, on the CPU.
        movie: of the finished frames; `{age}` in it as in the job's output.
        sheet: a contact sheet of the finished frames.

    Raises:
        SomeFramesFailed: frames are not done; the message lists them as a range.
        ReageError: plate, tracks or model are not there, or the disk refuses.
    """
    job = job.model_copy(update={"device": "cpu"})
    shot = Shot(job)
    wanted = wanted_frames(job, shot)
    scene = _scene(job, shot, (yield from loaded(job)), wanted)
    outputs = outputs_of(job, shot)
    targets = [Target(i, output, Manifest(manifest_beside(output))) for i, output in enumerate(outputs)]
    yield {"event": "stage", "name": "verify", "total": len(wanted)}
    judged: list[_Judged] = []
    for done, of_frame in enumerate(_judge_all(scene, targets, wanted), start=1):
        judged += of_frame
        worst = min((entry.found for entry in of_frame), key=WORST_FIRST.index)
        yield {"event": "progress", "stage": "verify", "frame": of_frame[0].frame, "done": done, "total": len(wanted)}
        if worst in TO_RENDER:
            yield {"event": "warning", "message": _complaint(of_frame)}
    for target in targets:
        _merge(target, [entry for entry in judged if entry.target is target])
    summary = _summary(scene, targets, judged)
    yield from _told(summary)
    if summary["rerender"]:
        yield {"event": "summary", **summary}
        raise SomeFramesFailed(
            f"{sum(summary['counts'][state] for state in summary['counts'] if state in TO_RENDER)} of {len(wanted)} "
            f"frames are not done: {summary['rerender']}; run the job again, or these frames of it"
        )
    yield from _laid_out(job, shot, targets, judged, movie, sheet)
    yield {"event": "done", **summary}


def _scene(job: Job, shot: Shot, ager: Ager, wanted: Sequence[int]) -> Scene:
    """What the render knew, so that the settings it must have written are known."""
    assert job.tracks is not None
    there = [frame for frame in wanted if frame in set(shot.plate.frames)]
    return scene_of(
        job, shot, load_tracks(Path(job.tracks)), ager, open_holdout(job.holdout, there), torch.device("cpu")
    )


def _judge_all(scene: Scene, targets: Sequence[Target], wanted: Sequence[int]) -> Iterator[list[_Judged]]:
    """Each frame in all outputs, in order."""

    def judge(frame: int) -> list[_Judged]:
        return [_judge(scene, target, frame) for target in targets]

    pool = ThreadPoolExecutor(READERS, thread_name_prefix="verify")
    try:
        yield from pool.map(judge, wanted)
    finally:
        pool.shutdown(cancel_futures=True)


def _judge(scene: Scene, target: Target, frame: int) -> _Judged:
    line = target.manifest.line(frame)
    if frame not in scene.on_disk:
        found: Found = "missing" if scene.job.on_missing == "skip" else "failed"
        return _Judged(frame, target, found, "", Line(frame, "", "missing", why="not in the plate"))
    try:
        settings = scene.settings(target.index, frame)
    except PlateError as error:
        return _Judged(frame, target, "failed", "", Line(frame, "", "failed", why=str(error)))
    if target.is_current(frame, settings):
        return _Judged(frame, target, "aged" if scene.faces(frame) else "no-face", settings, line)
    return _Judged(frame, target, _fault(target, frame, line), settings, line)


def _fault(target: Target, frame: int, line: Line | None) -> Found:
    """Why a frame is not as it should be."""
    path = target.output.path(frame)
    if not path.exists():
        return "failed" if line is not None and line.state == "failed" else "absent"
    try:
        verify_picture(path)
    except PlateError:
        return "damaged"
    return "copied" if line is not None and line.state == "copied" else "stale"


def _complaint(of_frame: Sequence[_Judged]) -> str:
    worst = min(of_frame, key=lambda entry: WORST_FIRST.index(entry.found))
    why = f": {worst.line.why}" if worst.line is not None and worst.line.why else ""
    return f"frame {worst.frame} is {worst.found}: {worst.target.output.path(worst.frame)}{why}"


def _merge(target: Target, judged: Sequence[_Judged]) -> None:
    """Correct the manifest by what was found, merge its parts, and clean up after workers that died here."""
    for entry in judged:
        line, name = entry.line, target.output.path(entry.frame).name
        if entry.found in ("aged", "no-face", "missing"):
            told = line is not None and line.state == entry.found and line.settings == entry.settings and line.file
            if not told:
                why = line.why if line is not None and entry.found == "missing" else ""
                target.manifest.add(Line(entry.frame, name, entry.found, entry.settings, why=why))
        elif entry.found in ("damaged", "absent"):
            target.manifest.add(Line(entry.frame, name, "failed", why=f"the file is {entry.found}"))
    target.manifest.merge()
    target.manifest.clean()
    clean_stale_temporaries(target.output.stem.parent, target.output.stem.name)


def _summary(scene: Scene, targets: Sequence[Target], judged: Sequence[_Judged]) -> dict[str, Any]:
    states: dict[int, Found] = {}
    for entry in judged:
        worse = [entry.found, states.get(entry.frame, entry.found)]
        states[entry.frame] = min(worse, key=WORST_FIRST.index)
    by_state = {name: [f for f, state in states.items() if state == name] for name in WORST_FIRST}
    lines = [entry.line for entry in judged if entry.found in ("aged", "no-face") and entry.line is not None]
    slowest = sorted((line for line in lines if line.seconds), key=lambda line: -line.seconds)[:SLOWEST]
    again = [frame for frame, state in states.items() if state in TO_RENDER]
    wanted = {f"{entry.target.index}.{entry.frame}": entry.settings for entry in judged}
    return {
        "counts": {name: len(frames) for name, frames in by_state.items() if frames},
        "frames": {name: format_range(frames) for name, frames in by_state.items() if frames},
        "slowest": [{"frame": line.frame, "seconds": line.seconds, "host": line.host} for line in slowest],
        "hosts": dict(Counter(line.host for line in lines if line.host).most_common()),
        "model": scene.ager.facts.name,
        "model_sha256": scene.ager.facts.sha256,
        "settings": digest_of(wanted),
        "rerender": format_range(again),
        "outputs": [target.output.name for target in targets],
    }


def _told(summary: Mapping[str, Any]) -> Iterator[Event]:
    """The summary as a wrangler reads it."""
    lines = [f"{summary['counts'][name]:6d} {name}: {frames}" for name, frames in summary["frames"].items()]
    slowest = [f"{line['frame']} ({line['seconds']:g} s)" for line in summary["slowest"]]
    if slowest:
        lines.append(f"slowest: {', '.join(slowest)}")
    if summary["hosts"]:
        lines.append(f"hosts: {', '.join(f'{host} ({count})' for host, count in summary['hosts'].items())}")
    lines.append(f"model: {summary['model']} {summary['model_sha256']}")
    lines.append(f"settings: {summary['settings']}")
    lines.append(f"render again: {summary['rerender'] or 'nothing'}")
    yield from ({"event": "note", "message": line} for line in lines)


def _laid_out(
    job: Job, shot: Shot, targets: Sequence[Target], judged: Sequence[_Judged], movie: str | None, sheet: str | None
) -> Iterator[Event]:
    """The movies and the sheet that were asked for."""
    done = sorted({entry.frame for entry in judged if entry.found in ("aged", "no-face")})
    outputs: list[Output] = [target.output for target in targets]
    if movie is not None and done:
        for output, age in zip(outputs, job.ages or [0.0], strict=True):
            path = Path(movie if job.ages is None else movie.replace("{age}", f"{age:g}"))
            write_movie(job, shot, output, done, path)
            yield {"event": "note", "message": f"movie: {path}"}
    if sheet is not None and done:
        write_sheet(job, shot, outputs, done, Path(sheet))
        yield {"event": "note", "message": f"sheet: {sheet}"}
