"""Frame ranges in the syntax of Open Job Description, unlike Nuke's: steps are `1-9:2`, and nothing overlaps."""

from __future__ import annotations

from collections.abc import Sequence

from reage.sequence import format_range, parse_range

LONGEST = 1024
"""Characters of a job parameter; Open Job Description takes no more."""


def openjd_range(frames: Sequence[int], chunk: int) -> str:
    """Frames as a range, written exactly where that serves, else with gaps filled.

    A chunk never crosses a gap. Scattered frames (`1-1000x2`) would each become a chunk that loads the model for
    itself, and a long list does not fit into a parameter: then gaps are filled, the narrowest first, and the command
    that gets a chunk leaves out what the job does not name.

    Args:
        frames: ascending, each once, at least one.
        chunk: frames in a chunk.
    """
    exact = format_range(frames).replace("x", ":")
    if len(runs(frames, 1)) <= 2 * -(-len(frames) // chunk) and len(exact) <= LONGEST:
        return exact
    reach = chunk
    while True:
        text = ",".join(f"{first}-{last}" if last > first else str(first) for first, last in runs(frames, reach))
        if len(text) <= LONGEST:
            return text
        reach *= 2


def read_openjd_range(text: str) -> list[int]:
    """The frames of a range that `openjd_range` wrote, or that a chunk of it is called.

    Raises:
        RequestError: it is no range.
    """
    return parse_range(text.replace(":", "x"))


def runs(frames: Sequence[int], reach: int) -> list[tuple[int, int]]:
    """First and last of the runs of ascending frames whose steps are no wider than `reach`."""
    found = [[frames[0], frames[0]]]
    for frame in frames[1:]:
        if frame - found[-1][1] > reach:
            found.append([frame, frame])
        found[-1][1] = frame
    return [(first, last) for first, last in found]
