"""Tells people, scripts and farms how far a run is: one event in, a line of the wanted dialect out.

An event is a dict with a key `event`: `model` (name, seconds), `stage` (name), `progress` (frame, done, total;
`stage` where no event `frame` will follow), `frame` (frame, state, path, why), `warning` and `note`
(message), `plan` (of a dry run), and at the end `done`, `error` (code, message) or `cancelled`.
Kinds that a reporter does not know are no error: it says nothing of them.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal, Self, TextIO

Event = Mapping[str, Any]
Kind = Literal["auto", "bar", "plain", "json", "openjd"]


class Reporter(ABC):
    """Takes events; closes itself at the end of a `with` block."""

    @abstractmethod
    def event(self, event: Event) -> None:
        """Tell one event."""

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """End the report; nothing may follow."""

    def __enter__(self) -> Self:
        """Answer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def reporter(kind: Kind, stream: TextIO) -> Reporter:
    """The reporter for `--progress`.

    Args:
        kind: `auto` is `bar` on a terminal and `plain` elsewhere.
        stream: where lines go; flushed after each.
    """
    if kind == "auto":
        kind = "bar" if stream.isatty() else "plain"
    if kind == "bar":
        return _Bar(stream)
    lines: dict[str, type[_Lines]] = {"plain": _Plain, "json": _Json, "openjd": _OpenJd}
    return lines[kind](stream)


def one_line(text: object) -> str:
    """Text as one line: whatever ends a line or is no printable character becomes its escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def percent(event: Event) -> float | None:
    """How far an event says the run is, 0 to 100; None where it does not say."""
    done, total = event.get("done"), event.get("total")
    if not isinstance(done, int | float) or not isinstance(total, int | float) or total <= 0:
        return None
    return min(100.0, max(0.0, 100.0 * done / total))


def sentence(event: Event) -> str | None:
    """What a person reads of an event, on one line; None where there is nothing to say."""
    kind = event.get("event")
    if kind == "stage":
        return one_line(event.get("name", ""))
    if kind == "progress" and event.get("stage"):
        count = f" ({event['done']}/{event['total']})" if percent(event) is not None else ""
        return one_line(f"{event['stage']}: frame {event.get('frame')}{count}")
    if kind == "frame":
        why = f": {event['why']}" if event.get("why") else ""
        path = f" {event['path']}" if event.get("path") else ""
        return one_line(f"frame {event.get('frame')} {event.get('state')}{path}{why}")
    if kind == "model":
        return one_line(f"model {event.get('name')} loaded in {event.get('seconds')} s")
    if kind == "plan":
        return one_line(_plan(event))
    if kind == "warning":
        return one_line(f"warning: {event.get('message', '')}")
    if kind == "note":
        return one_line(event.get("message", ""))
    if kind == "error":
        return one_line(f"error: {event.get('message', '')}")
    return str(kind) if kind in ("done", "cancelled") else None


def _plan(event: Event) -> str:
    """What a dry run found: frames, faces, model, device, outputs, disk."""
    counts = [f"face {face} in {frames} frames" for face, frames in event["faces"].items()]
    faces = "not known before the plate is analysed" if event["analyse"] else ", ".join(counts) or "none"
    missing = f" ({event['missing']} are missing)" if event.get("missing") else ""
    return (
        f"would render frames {event['frames']}{missing} into {', '.join(event['outputs'])}; faces: {faces}; "
        f"model {event['model']} on {event['device']}; about {event['disk_mb']:g} MB of disk"
    )


class _Lines(Reporter, ABC):
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def _say(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


class _Json(_Lines):
    """One JSON object a line, every event as it came. ASCII, so that no encoding and no line separator can harm it."""

    def event(self, event: Event) -> None:
        self._say(json.dumps(dict(event), default=str))


class _Plain(_Lines):
    """One line a frame, with the share that is done in the words that Deadline looks for."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._share = ""

    def event(self, event: Event) -> None:
        share = percent(event)
        if event.get("event") == "progress":
            self._share = "" if share is None else f"Progress: {share:.0f}% "
        line = sentence(event)
        if line is None:
            return
        self._say(_harmless(f"{self._share}{line}" if event.get("event") in ("frame", "progress") else line))


class _OpenJd(_Lines):
    """The lines that Open Job Description reads: progress, status, and the reason of a failure."""

    def event(self, event: Event) -> None:
        share = percent(event)
        if event.get("event") == "progress" and share is not None:
            self._say(f"openjd_progress: {share:.1f}")
        line = sentence(event)
        if line is None:
            return
        if event.get("event") == "error":
            self._say(f"openjd_fail: {line.removeprefix('error: ')}")
        elif event.get("event") == "warning":
            self._say(_harmless(line))  # in the log; a status would hide it at the next frame
        else:
            self._say(f"openjd_status: {line}")


def _harmless(line: str) -> str:
    """A line that no runner takes for a command: what begins with `openjd_` is quoted.

    Open Job Description ignores case and leading blanks when it looks for malformed commands.
    """
    return f"'{line}'" if re.match(r"\s*openjd_", line, re.IGNORECASE) else line


class _Bar(Reporter):
    """A bar for a person at a terminal, drawn by rich; warnings stay above it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(file=stream, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: Any = None

    def event(self, event: Event) -> None:
        kind = event.get("event")
        if kind in ("plan", "warning", "error", "note"):
            self._console.print(sentence(event), markup=False, soft_wrap=True)
        elif kind == "stage":
            self._finish_task()
            self._task = self._progress.add_task(sentence(event) or "", total=None)
            self._progress.start()
        elif percent(event) is not None:
            if self._task is None:
                self._task = self._progress.add_task("frames")
                self._progress.start()
            self._progress.update(self._task, completed=event["done"], total=event["total"])

    def _finish_task(self) -> None:
        if self._task is not None:
            self._progress.stop_task(self._task)
        self._task = None

    def close(self) -> None:
        self._progress.stop()
