"""What a task of a bundle does that `reage render` does not: it takes from its chunk what the job names."""

from __future__ import annotations

from collections.abc import Iterator

from reage.farm.ranges import read_openjd_range
from reage.job import Job
from reage.pipeline import render
from reage.plate import open_plate
from reage.progress import Event
from reage.sequence import format_range, parse_range


def render_chunk(job: Job, frames: str) -> Iterator[Event]:
    """Render the frames of a chunk that the job names.

    A queue's chunk may reach over gaps, past the end, or into frames that the plate lacks and the job skips: there is
    nothing to do then, and that is no error.

    Args:
        job: names tracks and frames.
        frames: of the chunk, `A-B`; steps are `A-BxN` or `A-B:N`.

    Raises:
        ReageError: as `reage.pipeline.render`.
    """
    chunk = read_openjd_range(frames)
    named = chunk if job.frames is None else sorted(set(chunk) & set(parse_range(job.frames)))
    todo = named
    if job.on_missing == "skip":
        there = set(open_plate(job.plate, first_frame=job.first_frame, view=job.view).frames)
        todo = [frame for frame in named if frame in there]
    if not todo:
        yield {"event": "note", "message": f"frames {frames}: nothing to do; the job names none of them"}
        yield {"event": "done", "states": {}}
        return
    yield from render(job.model_copy(update={"frames": format_range(named)}), apart=True)
