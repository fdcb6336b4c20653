"""`reage farm`: write a job, hand it to a queue, and the commands that the job's tasks run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from reage.errors import RequestError
from reage.farm.options import Options
from reage.job import Job
from reage.options import CHANGE, LOOK, PLATE, TALK, WHAT, WRITE, add_options, job_of
from reage.report import report

Event = Mapping[str, Any]

ENGINES = {
    "local": "reage.farm.local",
    "deadline-cloud": "reage.farm.deadline_cloud",
    "deadline10": "reage.farm.deadline10",
    "opencue": "reage.farm.opencue",
}
"""Queues by name, and the module whose `submit(bundle, options)` knows each."""

_TASK = [
    click.option("--job", "job_file", required=True, metavar="FILE", help="The bundle's job file."),
    click.option("--plate", metavar="PLATE", help="Instead of the job file's, as are all paths below."),
    click.option("--output", metavar="OUT"),
    click.option("--tracks", metavar="FILE"),
    click.option("--holdout", metavar="PATTERN[:CHANNEL]"),
    click.option("--landmarks", metavar="FILE"),
    click.option("--ocio", metavar="CONFIG"),
    click.option("--model", metavar="FILE"),
]


_OF_A_BUNDLE = "What a task of a bundle runs."


@click.group()
def farm() -> None:
    """Jobs for render farms: write one, submit it; and the commands of its tasks."""


@farm.command()
@click.argument("plate", required=False)
@click.option("-o", "--output", metavar="OUT", help="Pattern such as out.%04d.exr.")
@click.option("--bundle", "folder", required=True, metavar="DIR", help="Folder for the job; a bundle is replaced.")
@click.option("--chunk", type=click.IntRange(1), default=50, show_default=True, help="Frames a task renders.")
@click.option("--tracks", metavar="FILE", help="Where the analysis is kept [OUT's stem.tracks.json].")
@click.option("--movie", metavar="FILE", help="At the end, a movie of the frames.")
@click.option("--sheet", metavar="FILE", help="At the end, a contact sheet of the frames.")
@click.option("--job", "job_file", metavar="FILE", help="A job file; options given beside it win.")
@click.option("--stills", is_flag=True, default=None, hidden=True)
@add_options(PLATE, WHAT, CHANGE, LOOK, WRITE, TALK)
def bundle(folder: str, chunk: int, movie: str | None, sheet: str | None, job_file: str | None, **given: Any) -> None:
    """Write a job that re-ages PLATE on many machines."""
    wanted = job_of(job_file, given)
    from reage.farm.bundle import bundled

    # The log is that of the tasks; what is told here is short.
    report(bundled(wanted, Path(folder), chunk, movie, sheet), wanted.progress, None)


@farm.command()
@click.argument("folder", metavar="DIR")
@click.option("--engine", required=True, metavar="NAME", help="local, deadline-cloud, deadline10 or opencue.")
@click.option("--workers", type=click.IntRange(1), metavar="N", help="Processes of the local engine [one per GPU].")
@click.option("--retries", type=click.IntRange(0), default=3, show_default=True, help="Of a task that was killed.")
@click.option("--pool", metavar="NAME", help="Pool, queue or show of the job.")
@click.option("--group", metavar="NAME", help="Group or tag of the machines.")
@click.option("--priority", type=int, metavar="N")
@click.option("--write-only", is_flag=True, help="Write what would be submitted, and submit nothing.")
@add_options(TALK)
def submit(folder: str, engine: str, progress: str | None, log: str | None, **given: Any) -> None:
    """Hand the bundle DIR to a queue."""
    from reage.farm.bundle import read_bundle

    hand_over = _engine(engine)
    report(hand_over(read_bundle(Path(folder)), Options(**given)), progress or "auto", log)


def _engine(name: str) -> Callable[[Any, Options], Iterator[Event]]:
    if name not in ENGINES:
        raise RequestError(f"--engine {name}: not known; there are {', '.join(ENGINES)}")
    hand_over: Callable[[Any, Options], Iterator[Event]] = import_module(ENGINES[name]).submit
    return hand_over


@farm.command(short_help=_OF_A_BUNDLE)
@add_options(_TASK, TALK)
def analyse(**given: Any) -> None:
    """Analyse the plate, unless the tracks file fits it already."""
    job = _job_of_task(given, "analyse")
    from reage.pipeline import prepare

    report(prepare(job), job.progress, job.log)


@farm.command(short_help=_OF_A_BUNDLE)
@click.option("--frames", required=True, metavar="RANGE", help="A chunk; of these, those that the job names.")
@add_options(_TASK, TALK)
def render(frames: str, **given: Any) -> None:
    """Re-age a chunk; its part of the manifest is kept apart."""
    job = _job_of_task(given, frames.replace(":", "x"))
    from reage.farm.tasks import render_chunk

    report(render_chunk(job, frames), job.progress, job.log)


@farm.command(short_help=_OF_A_BUNDLE)
@click.option("--movie", metavar="FILE", help="A movie of the frames.")
@click.option("--sheet", metavar="FILE", help="A contact sheet of the frames.")
@add_options(_TASK, TALK)
def finish(movie: str | None, sheet: str | None, **given: Any) -> None:
    """Verify every frame, merge the manifests, and sum up; exit 1 where frames are not done."""
    job = _job_of_task(given, "finish")
    from reage.farm.finish import finish as end

    report(end(job, movie or None, sheet or None), job.progress, job.log)


def _job_of_task(given: Mapping[str, Any], task: str) -> Job:
    """The job of a task. An empty path is one that the queue does not know: the job file's stands."""
    fields = {name: value for name, value in given.items() if value}
    job = job_of(fields.pop("job_file"), fields)
    if job.tracks is None:
        raise RequestError("the job file names no tracks; 'reage farm bundle' writes one that does")
    if job.log is None:
        return job
    log = Path(job.log)  # a task has its own: machines would write over each other
    return job.model_copy(update={"log": str(log.with_name(f"{log.stem}.{task}{log.suffix}"))})
