"""Frame ranges, and how a Read relates its two numberings.

What artists type and see (ranges, keys of a curve, the viewer's slider) are *timeline* frames; files, jobs and results
are numbered in *file* frames. A Read's `frame_mode` and `frame` relate the two, and `FrameMap` is that relation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from reage_nuke.facts import KnobError, PlateFacts, Settings

LONGEST = 1_000_000  # frames; a longer range is a slip of the finger

_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+)(?:x(\d+))?)?")
_EXPRESSION = re.compile(r"(?:(\d+)\*)?frame(?:\*(\d+))?([+-]\d+)?|(\d+)\+frame")


def parse_range(text: str) -> list[int]:
    """The frames that a range in Nuke's syntax names: `7`, `1-10`, `1-10x2`, `-5--1`, between blanks or commas.

    Raises:
        KnobError: anything else, nothing at all, or more than a million frames.
    """
    found: set[int] = set()
    for item in re.split(r"[\s,]+", text.strip(" ,\t\n")):
        match = _RANGE.fullmatch(item)
        if not match or match[3] in ("0", "00"):
            raise KnobError(f"frames '{text}': '{item}' is not a range; write 1001-1100, 1001-1100x2 or 1001-1010,1020")
        first = int(match[1])
        last, step = int(match[2] or first), int(match[3] or 1)
        if abs(last - first) // step >= LONGEST:
            raise KnobError(f"frames '{text}': more than a million frames; give a shorter range")
        found.update(range(first, last + 1, step) if last >= first else range(first, last - 1, -step))
    return sorted(found)


def format_range(frames: Iterable[int]) -> str:
    """The text for some frames, such as `1001-1005,1007`; `parse_range` reads it back."""
    runs: list[list[int]] = []
    for frame in sorted(set(frames)):
        if runs and frame == runs[-1][-1] + 1:
            runs[-1][1:] = [frame]
        else:
            runs.append([frame])
    return ",".join("-".join(str(end) for end in run) for run in runs)


@dataclass(frozen=True)
class FrameMap:
    """How a Read relates its two numberings: file = scale · timeline + shift."""

    scale: int  # 0 where the Read holds one frame
    shift: int

    def file(self, timeline: int) -> int:
        """The file frame at a timeline frame, `before` and `after` left aside."""
        return self.scale * timeline + self.shift

    def timeline(self, file: int) -> int | None:
        """The timeline frame at which a file frame is shown; None where there is none or every one."""
        part, rest = divmod(file - self.shift, self.scale or 1)
        return None if rest or not self.scale else part


def frame_map(plate: PlateFacts) -> FrameMap:
    """Read `frame_mode` and `frame`.

    "start at" N: the first frame is shown at N. "offset" N: N is added to the timeline frame to get the file frame.
    "expression": a frame number (a held frame), or `frame` times and plus whole numbers; nothing is evaluated.
    (Foundry's reference of the Read node.)

    Raises:
        KnobError: any other expression.
    """
    text = re.sub(r"\s", "", plate.frame)
    if not text:
        return FrameMap(1, 0)
    if re.fullmatch(r"[+-]?\d+", text):
        number = int(text)
        return {"start at": FrameMap(1, plate.first - number), "offset": FrameMap(1, number)}.get(
            plate.frame_mode, FrameMap(0, number)
        )
    match = _EXPRESSION.fullmatch(text) if plate.frame_mode == "expression" else None
    if match is None or (match[1] and match[2]):
        raise KnobError(
            f"{plate.node}: the frame {plate.frame_mode} '{plate.frame}' cannot be followed; use a number with "
            "'start at' or 'offset', or an expression such as frame+100"
        )
    return FrameMap(int(match[1] or match[2] or 1), int(match[3] or match[4] or 0))


def file_frame(plate: PlateFacts, timeline: int) -> int | None:
    """The file frame that a Read shows at a timeline frame; None where it shows black, or bounces.

    (Whether a bounce repeats its end frames is not documented, so it is not guessed.)
    """
    frame = frame_map(plate).file(timeline)
    if plate.first <= frame <= plate.last:
        return frame
    beyond = plate.before if frame < plate.first else plate.after
    if beyond == "hold":
        return min(max(frame, plate.first), plate.last)
    return plate.first + (frame - plate.first) % (plate.last - plate.first + 1) if beyond == "loop" else None


def frames_of(plate: PlateFacts, settings: Settings, current_frame: int) -> list[int]:
    """The file frames that are asked for, ascending.

    Raises:
        KnobError: there are none, or the plate does not have them.
    """
    if settings.frames_mode == "current" or (settings.frames_mode == "input" and frame_map(plate).scale == 0):
        frame = plate.shown if plate.shown is not None else file_frame(plate, current_frame)
        if frame is None:
            raise KnobError(f"{plate.node} shows no frame of its plate at {current_frame}; go to a frame of it")
        return [frame]
    mapping = frame_map(plate)
    if settings.frames_mode == "custom":
        frames = sorted({mapping.file(frame) for frame in parse_range(settings.frames)})
    else:
        frames = list(range(plate.first, plate.last + 1))
    lowest, highest = _on_disk(plate)
    if not frames or frames[0] < lowest or frames[-1] > highest:
        raise KnobError(
            f"{plate.node}: frames {format_range(frames) or 'none'} are asked for, and its files are "
            f"{format_range(range(lowest, highest + 1))}; change the range in the panel"
        )
    handles = max(0, settings.handles)
    before = range(max(lowest, frames[0] - handles), frames[0])
    after = range(frames[-1] + 1, min(highest, frames[-1] + handles) + 1)
    return [*before, *frames, *after]


def frames_to_sample(plate: PlateFacts, settings: Settings, current_frame: int) -> list[int]:
    """The timeline frames at which an animated age has to be known: those of `frames_of`.

    A held frame is shown at every one; its age is that of the current frame.
    """
    mapping = frame_map(plate)
    found = [mapping.timeline(frame) for frame in frames_of(plate, settings, current_frame)]
    return [frame for frame in found if frame is not None] or [current_frame]


def _on_disk(plate: PlateFacts) -> tuple[int, int]:
    lowest = plate.first if plate.lowest is None else min(plate.lowest, plate.first)
    return lowest, plate.last if plate.highest is None else max(plate.highest, plate.last)


def result_frame(plate: PlateFacts, first: int) -> tuple[str, str]:
    """`frame_mode` and `frame` of a result's Read, which shows each file frame when the plate's does.

    Args:
        plate: its facts.
        first: the result's first file frame; "start at" is counted from it.
    """
    number = plate.frame.strip()
    if plate.frame_mode == "start at" and re.fullmatch(r"[+-]?\d+", number):
        return plate.frame_mode, str(int(number) + first - plate.first)
    return plate.frame_mode, plate.frame
