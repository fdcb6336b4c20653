"""What the panel is doing: the state machine of previews and runs, without Qt and without Nuke.

`Session.poll` is called by a timer. It reads what the worker said and answers what happened since, as `Told` values;
the panel shows them. At any time `phase`, `line` and `share` say how things stand.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

IDLE, CANCELLING = "idle", "cancelling"
PREVIEW, RUN, FACES = "preview", "run", "faces"  # phases that are also the worker's methods

_HEADLINES = {
    2: "The request is not right",
    3: "The plate cannot be read",
    4: "The model cannot be used",
    5: "The device cannot be used",
    6: "The output cannot be written",
}
_STAGES = {
    "analyse": "Analysing",
    "compare": "Comparing the plate with its analysis,",
    "render": "Re-ageing",
    "preview": "Writing the preview",
}
_HOPELESS = (4, 5)  # what fails for one plate for such a reason fails for all
_IN_THE_PANEL = (  # what the engine calls its options, and where an artist finds them
    ("give --on-missing skip", "tick 'Skip missing frames' under Output"),
    ("choose other --frames", "choose other frames under Frames"),
    ("or leave --frames out", "or choose all frames"),
    ("--on-missing", "'Skip missing frames'"),
    ("--overwrite", "'Overwrite' under Output"),
    ("--colorspace", "the Read's colourspace"),
    ("--source-age", "Source age"),
    ("--landmarks", "Landmarks under Advanced"),
    ("--strength", "Strength"),
    ("--device", "Device"),
    ("--model", "Model"),
    ("--face", "Faces"),
    ("--layers", "Layers"),
    ("--frames", "Frames"),
    ("--ages", "Target ages"),
    ("--age", "Target age"),
    ("the same command goes on from there", "Re-age goes on from there"),
    ("see 'reage run --help'", "see the panel's help"),
)


@dataclass(frozen=True)
class Task:
    """One request: a job for the engine, and whatever its result is made from."""

    params: Mapping[str, Any]
    title: str
    about: Any = None


@dataclass(frozen=True)
class Told:
    """Something that happened.

    Kinds: started, frame, preview, faces, analysed, finished, failed, cancelled, warning, log.
    """

    kind: str
    text: str = ""
    task: Task | None = None
    facts: dict[str, Any] = field(default_factory=dict)


class Session:
    """At most one request at a time; the worker stays warm in between and is started again after a crash."""

    def __init__(self, connect: Callable[[], Any], clock: Callable[[], float] = time.monotonic, log: str = "") -> None:
        """Set up; nothing is started.

        Args:
            connect: makes a client; it may raise OSError.
            clock: seconds.
            log: where the worker's own words go, for the artist.
        """
        self.phase = IDLE
        self.line = ""
        """What is going on, for a person: 'Re-ageing frame 1012 (12 of 100), 1:32 left'."""
        self.share: float | None = None
        """How far the request is, 0 to 1; None where it cannot be said."""
        self.hello: dict[str, Any] = {}
        self._connect, self._clock, self._log = connect, clock, log
        self._client: Any = None
        self._id: Any = None
        self._method = RUN
        self._task: Task | None = None
        self._queue: deque[Task] = deque()
        self._count = 0
        self._stage = ""
        self._stage_began = 0.0
        self._paths: list[str] = []
        self._states: dict[str, int] = {}
        self._pending: list[Told] = []

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return self.phase != IDLE

    @property
    def task(self) -> Task | None:
        """What is under way."""
        return self._task

    def warm(self) -> None:
        """Start the worker ahead of the first request; where it cannot be started, that request says so."""
        if self._client is None:
            try:
                self._client = self._connect()
                self._client.start()
            except (OSError, ValueError):
                self._client = None

    def preview(self, task: Task) -> None:
        """Ask for one frame."""
        self._begin(PREVIEW, [task])

    def faces(self, task: Task) -> None:
        """Ask who is in the task's tracks, with thumbnails; where that fails it is no more than a line of the log."""
        self._begin(FACES, [task])

    def run(self, tasks: Sequence[Task]) -> None:
        """Re-age plates, one after the other."""
        self._begin(RUN, tasks)

    def cancel(self) -> None:
        """Stop what is under way and forget what waits."""
        if self.phase in (PREVIEW, RUN, FACES):
            self.phase, self.line, self.share = CANCELLING, "Stopping; frames that are done stay", None
            self._queue.clear()
            with contextlib.suppress(OSError, ValueError):  # it died; poll tells
                self._client.cancel(self._id)

    def close(self) -> None:
        """Close the worker; the session may be used again after."""
        client, self._client = self._client, None
        self._rest()
        if client is not None:
            client.close()

    def poll(self) -> list[Told]:
        """What happened since the last call. Never waits."""
        told, self._pending = self._pending, []
        if self._client is None:
            return told
        for event in self._client.events():
            told += self._take(event)
        if self._client is not None and not self._client.alive:
            for event in self._client.events():  # what it said between the reading and its end
                told += self._take(event)
            told += self._died()
        if self._pending:  # the next task could not be sent
            told, self._pending = told + self._pending, []
        return told

    # ---- sending -----------------------------------------------------------------------------------------------------

    def _begin(self, phase: str, tasks: Sequence[Task]) -> None:
        if self.busy:
            raise RuntimeError("one thing at a time")
        if not tasks:
            raise ValueError("nothing to do")
        self._method = phase
        self.phase, self._queue, self._count = phase, deque(tasks), len(tasks)
        self._next()

    def _next(self) -> None:
        self._task = self._queue.popleft()
        self._paths, self._states, self._stage, self.share = [], {}, "", None
        self.line = "Starting the worker" if self._client is None else "Waiting for the worker"
        try:
            if self._client is None or not self._client.alive:
                self._client = self._connect()
                self._client.start()
            self._id = self._client.send(self._method, dict(self._task.params))
            if self._method != FACES:
                self._pending.append(Told("started", self._task.title, self._task))
        except (OSError, ValueError) as error:
            task, self._client = self._task, None
            self._rest()
            text = f"The worker cannot be started: {error}"
            self._pending.append(Told("failed", text, task))

    # ---- listening ---------------------------------------------------------------------------------------------------

    def _take(self, event: Mapping[str, Any]) -> list[Told]:
        kind = event.get("event")
        if kind == "hello":
            self.hello = dict(event)
            return []
        if kind in ("log", "stderr"):
            return [Told("log", str(event.get("line", event.get("message", ""))))]
        if self._task is None or event.get("id") != self._id:
            # An error without a request is the client's own: a worker of another version, a line that is no JSON.
            return [Told("log", str(event))] if kind != "error" or self._task is None else self._ended(event)
        return self._listen(str(kind), event)

    def _listen(self, kind: str, event: Mapping[str, Any]) -> list[Told]:
        task = self._task
        if kind in ("progress", "stage"):
            self._measure(event)
            return []
        if kind == "warning":
            return [Told("warning", in_words(str(event.get("message", ""))), task)]
        if kind == "tracks":
            return [Told("analysed", "", task, dict(event))]
        if kind == "frame":
            state = str(event.get("state"))
            self._states[state] = self._states.get(state, 0) + 1
            if event.get("path"):
                self._paths.append(str(event["path"]))
            if state == "failed":
                return [Told("warning", f"frame {event.get('frame')}: {event.get('why', 'failed')}", task, dict(event))]
            return [Told("frame", "", task, dict(event))]
        return self._ended(event) if kind in ("done", "error", "cancelled") else []

    def _ended(self, event: Mapping[str, Any]) -> list[Told]:
        task, kind = self._task, event["event"]
        if kind == "cancelled":
            self._rest()
            return [Told("cancelled", self._stopped(), task)]
        if kind == "error":
            code, message = int(event.get("code", 1)), in_words(str(event.get("message") or "it went wrong"))
            text = f"{_HEADLINES[code]}: {message}" if code in _HEADLINES else message[:1].upper() + message[1:]
            self._go_on(stop=code in _HOPELESS or message.startswith("the worker"))
            return [Told("log" if self._method == FACES else "failed", text, task, dict(event))]
        facts = {**event, "paths": list(self._paths), "states": dict(self._states)}
        self._go_on(stop=False)
        return [Told("finished" if self._method == RUN else self._method, "", task, facts)]

    def _stopped(self) -> str:
        done = " Frames that are done stay; Re-age goes on from there."
        return "Stopped." + (done if self._method == RUN else "")

    def _go_on(self, stop: bool) -> None:
        if self._queue and not stop and self.phase == RUN:
            self._next()
        else:
            self._rest()

    def _rest(self) -> None:
        self.phase, self._task, self._id, self.line, self.share = IDLE, None, None, "", None
        self._queue.clear()

    def _died(self) -> list[Told]:
        """The worker is gone. Between requests that is no news: the next one starts another."""
        client, self._client, task, phase = self._client, None, self._task, self.phase
        client.close()
        self._rest()
        if task is None:
            return []
        if phase == CANCELLING:
            return [Told("cancelled", self._stopped(), task)]
        log = f" (log: {self._log})" if self._log else ""
        text = "The worker ended unexpectedly; frames that are done stay, and the next press starts another"
        return [Told("log" if self._method == FACES else "failed", text + log, task)]

    def _measure(self, event: Mapping[str, Any]) -> None:
        stage = str(event.get("stage") or event.get("name") or "")
        if stage != self._stage:
            self._stage, self._stage_began, self.share = stage, self._clock(), None
        if self.phase == CANCELLING:
            return
        done, total = event.get("done"), event.get("total")
        doing = _STAGES.get(stage, "Working")
        if isinstance(done, (int, float)) and isinstance(total, (int, float)) and total > 0:
            self.share = min(1.0, done / total)
            self.line = f"{doing} frame {event.get('frame')} ({done} of {total}){self._left(done, total)}"
        else:
            self.line = doing
        if self._count > 1:
            self.line += f"  \u00b7  plate {self._count - len(self._queue)} of {self._count}"

    def _left(self, done: float, total: float) -> str:
        spent = self._clock() - self._stage_began
        if done < 2 or spent < 1.0 or done >= total:
            return ""
        return f", {clock_face(spent / done * (total - done))} left"


def clock_face(seconds: float) -> str:
    """Seconds as 0:07, 12:30 or 1:02:03."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def in_words(message: str) -> str:
    """An engine's message with the panel's names in place of command line options."""
    for option, words in _IN_THE_PANEL:
        message = message.replace(option, words)
    return message
