"""`reage worker`: one process that serves requests one after the other, JSON lines in and out, models kept loaded.

The main thread computes; another reads requests, so that a cancellation is heard at once. Standard output carries
answers alone: what libraries print there goes to standard error. Nothing heavy is loaded before `hello` is said.

Requests are `{"id": N, "method": NAME, "params": {…}}`. Beyond the contract's methods there are `render`, `analyse` and
`faces`. `cancel` takes `{"id": N}`, a request that waits or runs; without it, the one that runs. It is answered with
`done` after that request's `cancelled`. `progress` and `log` of a job are not looked at: events go to whoever asked.
"""

from __future__ import annotations

import _thread
import contextlib
import json
import os
import platform
import queue
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from reage.atomic import is_of_the_dead, process_mark
from reage.errors import Interrupted, RequestError
from reage.job import Job
from reage.report import verdict
from reage.version import __version__

if TYPE_CHECKING:
    from reage.desk import Desk

Event = dict[str, Any]

PROTOCOL = 1
LONGEST = 1 << 20
"""Bytes of a request; a job is a page of text."""

GRACE = 1.5
"""Seconds in which a cancelled request may come to its next event; then it is interrupted where it is."""

_FOLDER = "reage-preview+"
_OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError")


def serve() -> None:
    """Serve standard input until it closes or `shutdown` is asked for.

    Raises:
        Interrupted: a signal; whatever was running has been told to be cancelled.
    """
    with _channel() as (reading, channel), _temporary() as folder:
        before = signal.getsignal(signal.SIGINT)
        worker = _Worker(channel, folder, before)
        signal.signal(signal.SIGINT, worker.interrupted)
        try:
            channel.say(_hello())
            threading.Thread(target=worker.listen, args=(reading,), daemon=True).start()
            worker.work()
        finally:
            signal.signal(signal.SIGINT, before)


def _hello() -> Event:
    """What the process is; the device in words that cost nothing to find out."""
    return {
        "event": "hello",
        "product": "reage",
        "protocol": PROTOCOL,
        "version": __version__,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "device": {"cpus": os.cpu_count(), "nvidia": shutil.which("nvidia-smi") is not None},
    }


# ---- requests and answers --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Request:
    id: int
    method: str
    params: Mapping[str, Any]


class _Refused(Exception):
    """A line that is no request; the id is None where it has none."""

    def __init__(self, id: int | None, why: str) -> None:
        super().__init__(why)
        self.id = id


def _lines(reading: int) -> Iterator[bytes | None]:
    """Lines of a file descriptor; None for one that is too long, of which nothing is kept."""
    held, skipping = b"", False
    while data := os.read(reading, 1 << 16):
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole, held = held + line, b""
            if not skipping and whole.strip():
                yield whole if len(whole) <= LONGEST else None
            skipping = False
        held += rest
        if len(held) > LONGEST:
            if not skipping:
                yield None
            held, skipping = b"", True


def _parsed(line: bytes | None) -> _Request:
    if line is None:
        raise _Refused(None, f"a request of more than {LONGEST} bytes; a job is a page of text")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _Refused(None, "a line that is not JSON; write one object a line") from error
    if not isinstance(fields, dict):
        raise _Refused(None, 'a line that is not an object such as {"id": 1, "method": "run", "params": {}}')
    number, method, params = fields.get("id"), fields.get("method"), fields.get("params")
    if method in ("cancel", "shutdown") and number is None:
        number = 0
    if not isinstance(number, int) or isinstance(number, bool):
        raise _Refused(None, "a request without a whole number as its id")
    if not isinstance(method, str) or method not in (*_METHODS, "cancel", "shutdown"):
        raise _Refused(number, f"method {method!r}: there are {', '.join(_METHODS)}, cancel, shutdown")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise _Refused(number, f"params of {method} are not an object such as a job")
    return _Request(number, method, params)


class _Channel:
    """Writes events; a reader that has gone is noticed and no error."""

    def __init__(self, writing: int) -> None:
        self._writing, self._lock = writing, threading.Lock()

    def say(self, event: Mapping[str, Any]) -> None:
        """Write one event as a line of ASCII."""
        data = (json.dumps(dict(event), default=str) + "\n").encode("ascii")
        with self._lock, contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._writing, data) :]


@contextlib.contextmanager
def _channel() -> Iterator[tuple[int, _Channel]]:
    """Take standard input and output for the protocol: whoever else writes to the latter writes to standard error."""
    sys.stdout.flush()
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    yield reading, _Channel(writing)
    sys.stdout.flush()


@contextlib.contextmanager
def _temporary() -> Iterator[Callable[[], Path]]:
    """A folder for previews that were given none, made when it is needed; the dead ones' are removed."""
    place, made = Path(tempfile.gettempdir()), list[Path]()
    for path in place.glob(_FOLDER + "*"):
        if is_of_the_dead(path.name.split("+")[1]):
            shutil.rmtree(path, ignore_errors=True)

    def folder() -> Path:
        if not made:
            path = place / f"{_FOLDER}{process_mark()}+{secrets.token_hex(8)}"
            path.mkdir(mode=0o700)
            made.append(path)
        return made[0]

    try:
        yield folder
    finally:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)


# ---- methods ---------------------------------------------------------------------------------------------------------


@dataclass
class _Bench:
    """What the methods work with."""

    folder: Callable[[], Path]
    _desk: Desk | None = field(default=None)

    @property
    def desk(self) -> Desk:
        from reage.desk import Desk

        self._desk = self._desk or Desk()
        return self._desk


def _run(bench: _Bench, params: Mapping[str, Any]) -> Iterator[Event]:
    job = Job.make(**params)
    from reage.pipeline import run

    bench.desk.clear()
    yield from run(job)


def _render(bench: _Bench, params: Mapping[str, Any]) -> Iterator[Event]:
    job = Job.make(**params)
    from reage.pipeline import render

    bench.desk.clear()
    yield from render(job)


def _analyse(bench: _Bench, params: Mapping[str, Any]) -> Iterator[Event]:
    """Analyse, and show who was found."""
    job, folder = _job_of_pictures(bench, {**params, "age": 70, "ages": None}), _folder(bench, params)
    from reage.pipeline import analyse
    from reage.preview import faces

    bench.desk.clear()
    for event in analyse(job):
        yield event if event["event"] != "done" else event | {"faces": faces(job, folder)}


def _faces(bench: _Bench, params: Mapping[str, Any]) -> Iterator[Event]:
    """Show who is in a tracks file."""
    job, folder = _job_of_pictures(bench, {**params, "age": 70, "ages": None}), _folder(bench, params)
    if job.tracks is None:
        raise RequestError("faces needs a tracks file; 'analyse' makes one")
    from reage.preview import faces

    yield {"event": "done", "faces": faces(job, folder)}


def _preview(bench: _Bench, params: Mapping[str, Any]) -> Iterator[Event]:
    frame = params.get("frame")
    if not isinstance(frame, int) or isinstance(frame, bool):
        raise RequestError(f"frame: a preview needs the number of a frame, not {frame!r}")
    job, folder = _job_of_pictures(bench, params), _folder(bench, params)
    from reage.preview import preview

    yield from preview(job, frame, folder, bench.desk)


def _job_of_pictures(bench: _Bench, params: Mapping[str, Any]) -> Job:
    """A job that makes no frames: its output, where `run` would keep tracks, may be left out."""
    fields = {name: value for name, value in params.items() if name not in ("frame", "out")}
    if not fields.get("output"):
        fields["output"] = str(bench.folder() / "none.{age}.%04d.exr")
    return Job.make(**fields)


def _folder(bench: _Bench, params: Mapping[str, Any]) -> Path:
    out = params.get("out")
    if out is not None and (not isinstance(out, str) or not out):
        raise RequestError(f"out: the name of a folder, not {out!r}")
    return Path(out) if out else bench.folder()


_METHODS: dict[str, Callable[[_Bench, Mapping[str, Any]], Iterator[Event]]] = {
    "run": _run,
    "render": _render,
    "analyse": _analyse,
    "preview": _preview,
    "faces": _faces,
}


def _warm_up() -> None:
    """Load what every request needs while nobody waits; whatever is wrong is told when it is asked for."""
    with contextlib.suppress(Exception):
        import dlib  # noqa: F401
        import onnxruntime  # noqa: F401

        from reage import preview  # noqa: F401
        from reage.agers import load_ager

        load_ager("reage-1")


# ---- the process -----------------------------------------------------------------------------------------------------


class _Cancelled(Interrupted):
    """The request that runs was cancelled. No Exception, for the reason that `Interrupted` is none."""


class _Worker:
    """The state of the process: which requests wait, which runs, which are to be cancelled."""

    def __init__(self, channel: _Channel, folder: Callable[[], Path], before: Any) -> None:
        """Take what answers, where previews go, and how the process takes an interrupt."""
        self._channel, self._bench, self._before = channel, _Bench(folder), before
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._waiting: dict[int, _Request] = {}
        self._running: int | None = None
        self._wanted_off: int | None = None  # the running request, once it is cancelled
        self._after: list[Event] = []  # what is to be said when the running request has ended
        self._inside = False  # in the work of a request, where an interrupt may strike
        self._sent = 0  # interrupts of our own that have not struck yet

    def listen(self, reading: int) -> None:
        """Take requests until there are no more; runs in a thread of its own."""
        with contextlib.suppress(OSError):
            for line in _lines(reading):
                try:
                    request = _parsed(line)
                except _Refused as fault:
                    self._channel.say({"event": "error", "id": fault.id, "code": 2, "message": str(fault)})
                    continue
                if request.method == "shutdown":
                    self._close({"event": "done", "id": request.id})
                    return
                self._take(request)
        self._close(None)

    def _take(self, request: _Request) -> None:
        with self._lock:
            if request.method == "cancel":
                self._cancel(request)
            elif request.id in self._waiting or request.id == self._running:
                why = f"id {request.id} belongs to a request that waits or runs; count on"
                self._channel.say({"event": "error", "id": None, "code": 2, "message": why})
            else:
                self._waiting[request.id] = request
                self._queue.put(request)

    def _cancel(self, request: _Request) -> None:
        target = request.params.get("id", self._running)
        answer = {"event": "done", "id": request.id, "cancelled": target}
        if target is not None and target == self._running:
            # A request that is cancelled under its own id has said so with `cancelled`.
            self._after += [answer] if request.id != target else []
            self._stop_running()
            return
        if self._waiting.pop(target, None) is not None:
            self._channel.say({"event": "cancelled", "id": target})
        self._channel.say(answer)

    def _stop_running(self) -> None:
        if self._running is None or self._wanted_off == self._running:
            return
        self._wanted_off = self._running
        timer = threading.Timer(GRACE, self._interrupt, [self._running])
        timer.daemon = True
        timer.start()

    def _interrupt(self, target: int) -> None:
        """Wake the main thread, where the request still runs."""
        with self._lock:
            if self._wanted_off != target:
                return
            self._sent += 1
            if os.name == "nt":
                _thread.interrupt_main()
            else:  # a real signal, which also ends a wait for a lock
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def interrupted(self, number: int, frame: FrameType | None) -> None:
        """SIGINT: ours, to end a cancelled request that takes long between events, or somebody's."""
        ours = self._sent > 0
        if ours:
            self._sent -= 1
            if not self._inside or self._wanted_off is None:
                return
        try:
            self._before(number, frame)
        except Interrupted as error:
            if ours:
                raise _Cancelled("cancelled") from error
            raise
        self._sent += ours  # it was put off, since a module is being loaded

    def _close(self, last: Event | None) -> None:
        """Drop what waits, stop what runs, and let the main thread end."""
        with self._lock:
            for number in list(self._waiting):
                del self._waiting[number]
                self._channel.say({"event": "cancelled", "id": number})
            if last is not None and self._running is not None:
                self._after.append(last)
            elif last is not None:
                self._channel.say(last)
            self._stop_running()
        self._queue.put(None)

    def work(self) -> None:
        """Serve what comes until it closes; runs in the main thread."""
        try:
            _warm_up()
            while (request := self._queue.get()) is not None:
                self._serve(request)
        except Interrupted:
            with self._lock:
                for number in ([] if self._running is None else [self._running]) + list(self._waiting):
                    self._channel.say({"event": "cancelled", "id": number})
            raise

    def _serve(self, request: _Request) -> None:
        with self._lock:
            if self._waiting.pop(request.id, None) is None:
                return  # cancelled before it began
            self._running = request.id
        end = self._outcome(request)
        with self._lock:
            self._running = self._wanted_off = None
            said, self._after = [{**end, "id": request.id}, *self._after], []
            for event in said:
                self._channel.say(event)

    def _outcome(self, request: _Request) -> Event:
        """Do the work and answer its last event."""
        try:
            return self._followed(request.id, _METHODS[request.method](self._bench, request.params))
        except _Cancelled:
            return {"event": "cancelled"}
        except Exception as error:  # the process lives on, whatever it was
            if type(error).__name__ in _OUT_OF_MEMORY:
                return {"event": "error", "code": 5, "message": f"out of memory: {_short(error)}; see the log"}
            code, line = verdict(error)
            if line.startswith("internal error"):
                traceback.print_exception(error)
                line = f"internal error: {type(error).__name__}: {_short(error)}; the log has the traceback"
            return {"event": "error", "code": code, "message": " ".join(line.split())}

    def _followed(self, number: int, events: Iterator[Event]) -> Event:
        """Pass a request's events on, and answer the last."""
        end: Event = {"event": "done"}
        try:
            while True:
                self._inside = True
                event = next(events, None)
                self._inside = False
                if event is None:
                    return end
                if event["event"] == "done":
                    end = event
                elif self._wanted_off == number:
                    raise _Cancelled("cancelled")
                else:
                    self._channel.say({**event, "id": number})
        finally:
            self._inside = False
            if isinstance(events, Generator):  # lets it finish what is being written, and book it
                events.close()


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
