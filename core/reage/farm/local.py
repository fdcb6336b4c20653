"""The local engine: a bundle's tasks in some processes on this machine, over Open Job Description's own libraries."""

from __future__ import annotations

import logging
import os
import queue
import re
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from openjd.model import (
    Job,
    JobParameterValues,
    RevisionExtensions,
    SpecificationRevision,
    StepDependencyGraph,
    StepParameterSpaceIterator,
    create_job,
    decode_job_template,
    preprocess_job_parameters,
)
from openjd.sessions import LOG, ActionState, ActionStatus, Session

from reage.errors import (
    DeviceError,
    ModelError,
    OutputError,
    PlateError,
    ReageError,
    RequestError,
    SomeFramesFailed,
)
from reage.farm.bundle import Bundle
from reage.farm.options import Options
from reage.farm.template import NOTICE
from reage.progress import Event

EXTENSIONS = ["TASK_CHUNKING"]
ERRORS: dict[int, type[ReageError]] = {
    kind.exit_code: kind for kind in (SomeFramesFailed, RequestError, PlateError, ModelError, DeviceError, OutputError)
}
_ENDED = (ActionState.SUCCESS, ActionState.FAILED, ActionState.CANCELED, ActionState.TIMEOUT)
FRAME = re.compile(r"frame (-?\d+) (aged|no-face|copied|missing|failed|skipped)(?: (.*))?", re.DOTALL)
COUNT = re.compile(r"(\w+): frame (-?\d+) \((\d+)/(\d+)\)")
"""Status lines of a task, as the reporter for Open Job Description prints them."""


def submit(bundle: Bundle, options: Options) -> Iterator[Event]:
    """Run a bundle here, to its end.

    A task that is killed is started again. Where frames fail and the job says to go on, the others are rendered, the
    last step sums up, and the end is an error of its exit code. Run again, what is done is skipped.

    Args:
        bundle: from `read_bundle`.
        options: workers and retries.

    Yields:
        `stage` for each step, `frame` and `progress` for each frame, and what the tasks have to say.

    Raises:
        ReageError: of the class that the first failed task's exit code names.
    """
    job, values = _load(bundle)
    goes_on = _on_error(bundle) != "stop"
    with tempfile.TemporaryDirectory(prefix="reage-farm-") as folder, _Crew(bundle, values, options, folder) as crew:
        faults: list[ReageError] = []
        for step in StepDependencyGraph(job=job).topo_sorted():
            tasks = list(StepParameterSpaceIterator(space=step.parameterSpace))
            yield {"event": "stage", "name": step.name, "tasks": len(tasks), "workers": min(len(tasks), crew.workers)}
            faults += yield from crew.run(step, tasks, goes_on)
            if faults and not (goes_on and all(isinstance(fault, SomeFramesFailed) for fault in faults)):
                raise next(fault for fault in faults if not (goes_on and isinstance(fault, SomeFramesFailed)))
    if faults:
        raise faults[-1]  # the last step's, which has counted
    yield {"event": "done", "models": crew.models, "retries": crew.retried}


def _load(bundle: Bundle) -> tuple[Job, JobParameterValues]:
    """The bundle as Open Job Description sees it."""
    try:
        template = decode_job_template(
            template=yaml.safe_load((bundle.folder / "template.yaml").read_text(encoding="utf-8")),
            supported_extensions=EXTENSIONS,
        )
        listed = yaml.safe_load((bundle.folder / "parameter_values.yaml").read_text(encoding="utf-8"))
        values = preprocess_job_parameters(
            job_template=template,
            # Values for a queue itself, such as deadline:priority, are no parameters of the job.
            job_parameter_values={
                e["name"]: str(e["value"]) for e in listed["parameterValues"] if ":" not in e["name"]
            },
            job_template_dir=bundle.folder,
            current_working_dir=Path.cwd(),
        )
        return create_job(job_template=template, job_parameter_values=values), values
    except ValueError as error:
        raise RequestError(f"{bundle.folder}: {' '.join(str(error).split())}") from error


def _on_error(bundle: Bundle) -> str:
    job = yaml.safe_load((bundle.folder / "job.yaml").read_text(encoding="utf-8"))
    return str(job.get("on_error", "stop"))


@dataclass
class _Task:
    """One task: what it is called with, and how often it was begun."""

    values: Any
    begun: int = 0

    def __str__(self) -> str:
        return ", ".join(f"frames {value.value}" for value in self.values.values()) or "the step"


@dataclass
class _Hand:
    """A worker's place: its environment, and the session that runs in it."""

    number: int
    environment: dict[str, str]
    task: _Task | None = None
    session: Session | None = None
    name: str = ""  # of the session
    said: str = ""  # the last status


@dataclass
class _Word:
    """What a session has said, in the order in which it was said."""

    hand: _Hand
    session: str
    status: ActionStatus | None = None
    line: str = ""


class _Crew(logging.Handler):
    """The workers of one submission. As a log handler it hears what the tasks print."""

    def __init__(self, bundle: Bundle, values: JobParameterValues, options: Options, folder: str) -> None:
        super().__init__()
        self._bundle, self._values, self._folder, self._retries = bundle, values, Path(folder), options.retries
        gpus = _gpus(bundle)
        self.workers = options.workers or max(1, len(gpus))
        self._hands = [_Hand(i, _environment(i, self.workers, gpus)) for i in range(self.workers)]
        self._words: queue.Queue[_Word] = queue.Queue()
        self._frames: set[int] = set()
        self._sessions = 0
        self.models = self.retried = 0

    def __enter__(self) -> _Crew:
        LOG.addHandler(self)
        self._propagated, LOG.propagate = LOG.propagate, False
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._dismiss()
        finally:
            LOG.removeHandler(self)
            LOG.propagate = self._propagated

    def run(self, step: Any, tasks: Sequence[Any], goes_on: bool) -> Generator[Event, None, list[ReageError]]:
        """Run the tasks of a step; answers the errors of those that failed."""
        waiting, faults = deque(_Task(values) for values in tasks), list[ReageError]()
        while True:
            for hand in self._hands:
                if hand.session is None and waiting:
                    self._begin(hand, step, waiting.popleft())
            if all(hand.session is None for hand in self._hands):
                return faults
            word = self._next_word()
            if word is None or word.hand.session is None or word.hand.name != word.session:
                continue
            yield from self._heard(word)
            if word.status is None or word.status.state not in _ENDED:
                continue
            fault = yield from self._ended(word, waiting)
            if fault is not None:
                faults.append(fault)
                if not (goes_on and isinstance(fault, SomeFramesFailed)):
                    self._dismiss()
                    return faults

    def _begin(self, hand: _Hand, step: Any, task: _Task) -> None:
        self._sessions += 1
        name = f"reage-{os.getpid()}-{self._sessions}"
        hand.task, hand.name, hand.said, task.begun = task, name, "", task.begun + 1

        def heard(session: str, status: ActionStatus) -> None:
            self._words.put(_Word(hand, session, status=status))

        hand.session = Session(
            session_id=name,
            job_parameter_values=self._values,
            callback=heard,
            os_env_vars=hand.environment,
            session_root_directory=self._folder,
            revision_extensions=RevisionExtensions(
                spec_rev=SpecificationRevision.v2023_09, supported_extensions=EXTENSIONS
            ),
        )
        hand.session.run_task(step_script=step.script, task_parameter_values=task.values, log_task_banner=False)

    def _next_word(self) -> _Word | None:
        try:
            return self._words.get(timeout=0.5)  # bounded, so that a signal is heard
        except queue.Empty:
            return None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what a task prints, where it is a warning or its last words."""
        line, session = record.getMessage(), getattr(record, "session_id", "")
        if line.startswith(("warning: ", "reage: ")):
            for hand in self._hands:
                if hand.name == session:
                    self._words.put(_Word(hand, session, line=line))

    def _heard(self, word: _Word) -> Iterator[Event]:
        """What a word means to whoever follows the job."""
        hand, status = word.hand, word.status
        if status is None:
            if word.line.startswith("warning: "):
                yield {"event": "warning", "message": word.line.removeprefix("warning: ")}
            hand.said = word.line
            return
        text = status.status_message
        if text is None or text == hand.said:
            return
        hand.said = text
        if found := FRAME.fullmatch(text):
            yield from self._frame(hand, int(found[1]), found[2], found[3])
        elif found := COUNT.fullmatch(text):
            if found[1] != "render":
                count = {"done": int(found[3]), "total": int(found[4])}
                yield {"event": "progress", "stage": found[1], "frame": int(found[2]), **count}
        elif text not in ("done", "render", "verify", "analyse"):
            self.models += text.startswith("model ")
            yield {"event": "note", "message": text}

    def _frame(self, hand: _Hand, frame: int, state: str, rest: str | None) -> Iterator[Event]:
        self._frames.add(frame)
        yield {"event": "progress", "frame": frame, "done": len(self._frames), "total": len(self._bundle.frames)}
        told = {"path": rest} if rest else {}
        yield {"event": "frame", "frame": frame, "state": state, **told, "worker": hand.number}

    def _ended(self, word: _Word, waiting: deque[_Task]) -> Generator[Event, None, ReageError | None]:
        """Deal with a task that has ended: answers its error, if it is one that counts."""
        hand, status = word.hand, word.status
        assert status is not None and hand.task is not None
        task = hand.task
        self._release(hand)
        if status.state is ActionState.SUCCESS:
            return None
        code = status.exit_code
        if code in ERRORS:
            return ERRORS[code](status.fail_message or f"{task}: a worker ended with exit code {code}")
        if task.begun <= self._retries:
            self.retried += 1
            waiting.append(task)
            yield {"event": "warning", "message": f"{task}: the worker was killed (exit code {code}); started again"}
            return None
        return SomeFramesFailed(f"{task}: the worker was killed {task.begun} times, the last with exit code {code}")

    def _release(self, hand: _Hand) -> None:
        if hand.session is not None:
            hand.session.cleanup()
        hand.session = hand.task = None

    def _dismiss(self) -> None:
        """Ask whoever works to stop, wait, and clear up."""
        for hand in self._hands:
            if hand.session is not None:
                try:
                    hand.session.cancel_action(time_limit=timedelta(seconds=NOTICE))
                except RuntimeError:
                    continue  # it has ended
        end = time.monotonic() + NOTICE + 10
        while time.monotonic() < end and any(_works(hand.session) for hand in self._hands):
            time.sleep(0.05)
        for hand in self._hands:
            self._release(hand)


def _works(session: Session | None) -> bool:
    status = session.action_status if session is not None else None
    return status is not None and status.state not in _ENDED


def _gpus(bundle: Bundle) -> list[str]:
    """GPUs that are there and wanted, as CUDA names them."""
    job = yaml.safe_load((bundle.folder / "job.yaml").read_text(encoding="utf-8"))
    if not str(job.get("device", "auto")).startswith(("auto", "cuda")) or ":" in str(job.get("device", "")):
        return []
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return visible.split(",")
    import torch

    return [str(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []


def _environment(number: int, workers: int, gpus: Sequence[str]) -> dict[str, str]:
    """A worker's share of the machine: a GPU, and of the cores as many as make its part."""
    own = {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {}
    if workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        own["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // workers))
    return own
