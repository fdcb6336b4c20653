"""The worker's life as Nuke sees it: a process of its own, JSON lines both ways, nothing that ever waits.

Threads read and write the pipes; whoever owns a `Client` calls `events` from a timer, which also does what is due: a
worker that does not stop when it is asked to is ended with all its children, one that has nothing to do is let go.
Every request ends in exactly one of `done`, `error` and `cancelled`, whatever becomes of the worker.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PRODUCT, PROTOCOL = "reage", 1
LONGEST = 1 << 20
"""Bytes of a request that the worker takes."""

LAST = ("done", "error", "cancelled")
"""Events that end a request."""

GREETING = 120.0
"""Seconds until a worker has to have said hello: Python may come from a slow network disk."""

TERMINATING = 2.0
"""Seconds between asking a process tree to end and making it."""

LOST = 1.0
"""Seconds after a worker's end in which what it said last has to have arrived."""

LOG_BYTES = 4 << 20
"""Size from which a log is put aside and another begun."""

TAIL = 5
"""Lines of the log that an error repeats."""

_DROPPED = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONEXECUTABLE",
    "PYTHONWARNINGS",
    "PYTHONINSPECT",
    "PYTHONDEVMODE",
    "PYTHONPLATLIBDIR",
    "__PYVENV_LAUNCHER__",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "QT_PLUGIN_PATH",
    "QT_QPA_PLATFORM_PLUGIN_PATH",
    "LD_PRELOAD",
    "DYLD_INSERT_LIBRARIES",
)
_SET = {
    "PYTHONNOUSERSITE": "1",
    "PYTHONSAFEPATH": "1",  # or a module that lies in Nuke's current folder would be taken for one of the engine's
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
}
INSTALL = "run 'python3 install.py' in Reage's folder and start Nuke again"

Event = dict[str, Any]


class ClientError(ValueError):
    """The worker cannot be found; the message says what to run."""


# ---- how it is started -----------------------------------------------------------------------------------------------


def worker_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The variables of a worker: Nuke's own without those that would make another Python load Nuke's things.

    PATH and LD_LIBRARY_PATH stay, for GPU drivers. `REAGE_WORKER_DROP` names further ones to leave out, for instance
    `LD_LIBRARY_PATH` where Nuke's libraries harm, and `REAGE_WORKER_KEEP` those to let through; commas between.

    Args:
        base: such as `os.environ`.
    """
    keep = _names(base.get("REAGE_WORKER_KEEP", ""))
    dropped = (set(_DROPPED) | _names(base.get("REAGE_WORKER_DROP", ""))) - keep
    kept = {name: value for name, value in base.items() if name not in dropped}
    return {**kept, **_SET}


def _names(text: str) -> set[str]:
    return {name.strip() for name in text.split(",") if name.strip()}


def settings_path() -> str:
    """The file that install.py writes: $REAGE_CONFIG, else .reage/settings.json in the home folder."""
    named = os.environ.get("REAGE_CONFIG")
    return str(Path(named).expanduser()) if named else str(Path.home() / ".reage" / "settings.json")


def worker_argv(settings_file: str | None = None) -> list[str]:
    """The command that starts a worker: $REAGE_PYTHON, else the Python that the settings file names.

    Args:
        settings_file: left out: `settings_path()`.

    Raises:
        ClientError: there is neither, or it is not there any more.
    """
    python, source = os.environ.get("REAGE_PYTHON", ""), "REAGE_PYTHON"
    if not python:
        source = settings_file or settings_path()
        python = _settled_python(Path(source))
    if not Path(python).is_file():
        raise ClientError(f"{source} names {python} as Reage's Python, and that is not there; {INSTALL}")
    return [python, "-s", "-m", "reage", "worker"]


def _settled_python(path: Path) -> str:
    try:
        python = json.loads(path.read_text(encoding="utf-8"))["python"]
    except FileNotFoundError as error:
        raise ClientError(f"Reage's engine is not installed for this user ({path} is missing); {INSTALL}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClientError(f"{path} cannot be read or does not name Reage's Python; {INSTALL}") from error
    if not isinstance(python, str) or not python:
        raise ClientError(f"{path} does not name Reage's Python; {INSTALL}")
    return python


# ---- the client ------------------------------------------------------------------------------------------------------


class Client:
    """Starts a worker when it is needed, talks to it, and survives it. To be used from one thread."""

    def __init__(
        self,
        argv: Sequence[str],
        log: str,
        env: Mapping[str, str] | None = None,
        patience: float = 5.0,
        idle: float = 1800.0,
    ) -> None:
        """Set up; nothing is started.

        Args:
            argv: see `worker_argv`.
            log: file for the worker's own words, and for what it says that is no event; put aside when it grows large.
            env: left out: `worker_environment` of this process.
            patience: seconds that a cancelled request may take to end by itself.
            idle: seconds without a request after which the worker is let go, so that the GPU's memory is free.
        """
        self._argv, self._env = list(argv), dict(worker_environment(os.environ) if env is None else env)
        self._log = _Log(Path(log))
        self._patience, self._idle = patience, idle
        self._ids = itertools.count(1)
        self._worker: _Worker | None = None
        self._ready: list[Event] = []  # to be handed out
        self._pending: dict[int, str] = {}  # method by request
        self._cancelling: dict[int, float] = {}  # when patience ends, by request
        self._asides: set[int] = set()  # requests of the client's own, whose answers are nobody's
        self._used = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether a worker is there, as far as `events` has told."""
        return self._worker is not None

    def start(self) -> None:
        """Start a worker where there is none. What goes wrong is an event."""
        if self._worker is None:
            self._worker = _Worker(self._argv, self._env, self._log)
            self._used = time.monotonic()

    def send(self, method: str, params: Mapping[str, Any]) -> int:
        """Send a request, to a new worker where there is none.

        Args:
            method: such as `run` or `preview`.
            params: plain values, such as a job.

        Returns:
            Its id.
        """
        number = next(self._ids)
        self._pending[number], self._used = method, time.monotonic()
        line = _line(number, method, params)
        if len(line) > LONGEST:
            self._end(number, {"event": "error", "code": 2, "message": "the request is too long to be a job"})
            return number
        self.start()
        self._write(line)
        return number

    def cancel(self, request: int) -> None:
        """Ask for a request to be ended between frames; after `patience` the worker is ended, with all its children."""
        if request not in self._pending or request in self._cancelling:
            return
        self._cancelling[request] = time.monotonic() + self._patience
        number = next(self._ids)
        self._asides.add(number)
        self._write(_line(number, "cancel", {"id": request}))

    def events(self) -> list[Event]:
        """What has arrived since the last call. Never waits."""
        worker = self._worker
        while worker is not None and worker is self._worker:
            item = worker.next()
            if item is None:
                break
            self._take(worker, *item)
        if self._worker is not None:
            self._do_what_is_due(self._worker)
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        """End the worker: asked, then forced; what still runs ends in `cancelled`. Takes about 2 s at most."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.write(_line(next(self._ids), "shutdown", {}))
            worker.close(1.0)
        for number in list(self._pending):
            self._end(number, {"event": "cancelled"})

    # ---- what the worker says ----------------------------------------------------------------------------------------

    def _take(self, worker: _Worker, kind: str, value: Any) -> None:
        if kind == "event":
            self._hear(value)
        elif kind == "foreign":
            worker.kill()
            self._lose(5, _foreign(value))
        elif kind == "failed":
            self._lose(5, f"the worker cannot be started: {value}; {INSTALL}")
        else:
            worker.kill()  # children that it may have left
            self._lose(1, self._obituary(value))

    def _hear(self, event: Event) -> None:
        number, kind = event.get("id"), event["event"]
        if number is None:
            self._ready.append(event)
        elif number in self._asides:
            self._asides.discard(number)
        elif kind in LAST:
            self._end(number, event)
        elif number in self._pending:
            self._ready.append(event)

    def _end(self, number: int, event: Event) -> None:
        """Hand out a request's last event, once."""
        if self._pending.pop(number, None) is not None:
            self._cancelling.pop(number, None)
            self._used = time.monotonic()
            self._ready.append({**event, "id": number})

    def _lose(self, code: int, message: str) -> None:
        """The worker is gone: what was cancelled is cancelled, what was not has failed."""
        asked = self._worker is not None and self._worker.released
        self._worker = None
        self._asides.clear()
        facts: Event = {"event": "error", "code": code, "message": message}
        if not self._pending and not asked:
            self._ready.append({**facts, "id": None})
        for number in list(self._pending):
            self._end(number, {"event": "cancelled"} if number in self._cancelling else dict(facts))

    def _obituary(self, code: int) -> str:
        if self._cancelling:
            why = "the worker had to be ended, as a request did not stop when it was cancelled"
        elif code == 0:
            why = "the worker ended before it had done what was asked"
        elif code in (-9, 137):
            why = "the worker was killed, perhaps as memory ran out"
        else:
            why = f"the worker ended unexpectedly ({_status(code)})"
        said = " | ".join(self._log.tail())
        last = f"; it said last: {said}" if said else ""
        return f"{why}; frames that are done stay, and the next request starts another{last} (log: {self._log.path})"

    # ---- what is due -------------------------------------------------------------------------------------------------

    def _do_what_is_due(self, worker: _Worker) -> None:
        now = time.monotonic()
        if self._cancelling and now > min(self._cancelling.values()):
            worker.terminate(now)
        if worker.greeting_is_late(now):
            worker.kill()
            self._lose(5, f"the worker said nothing for {GREETING:.0f} s (log: {self._log.path}); {INSTALL}")
        elif worker.is_lost(now):
            worker.kill()
            self._lose(1, self._obituary(worker.code() or 0))
        elif not self._pending and not worker.released and now - self._used > self._idle:
            worker.write(_line(next(self._ids), "shutdown", {}))
            worker.release()
        elif worker.released:
            worker.terminate_when_due(now)

    def _write(self, line: bytes) -> None:
        if self._worker is not None:
            if self._worker.released:  # it had nothing to do and is on its way out
                self._worker.kill()
                self._worker = _Worker(self._argv, self._env, self._log)
            self._worker.write(line)


def _line(number: int, method: str, params: Mapping[str, Any]) -> bytes:
    return (json.dumps({"id": number, "method": method, "params": dict(params)}) + "\n").encode("ascii")


def _foreign(hello: Any) -> str:
    product, protocol = (hello.get(name) for name in ("product", "protocol")) if isinstance(hello, dict) else ("", "")
    if product == PRODUCT:
        version = hello.get("version")
        return f"the worker is reage {version} and speaks protocol {protocol}, this panel {PROTOCOL}; {INSTALL}"
    return f"what was started as the worker is not Reage (it said {str(hello)[:120]}); {INSTALL}"


def _status(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit status {code}"


# ---- one process -----------------------------------------------------------------------------------------------------


class _Worker:
    """A process and its pipes. What it says lies in a queue: `event`, `foreign`, `failed`, and last `end`."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], log: _Log) -> None:
        self._argv, self._env, self._log = argv, env, log
        self._said: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._greeted, self._started = threading.Event(), threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._born = time.monotonic()
        self._seen_dead: float | None = None
        self._terminated: float | None = None
        self._due: float | None = None
        self.released = False
        """Whether it was asked to go, so that its end is no news."""
        threading.Thread(target=self._live, name="reage-worker", daemon=True).start()

    def next(self) -> tuple[str, Any] | None:
        """What it said next; None where there is nothing."""
        try:
            return self._said.get_nowait()
        except queue.Empty:
            return None

    def write(self, line: bytes) -> None:
        """Have a line written, once the worker has said who it is."""
        self._lines.put(line)

    def code(self) -> int | None:
        """Its exit status; None while it lives."""
        return None if self._process is None else self._process.poll()

    # ---- threads -----------------------------------------------------------------------------------------------------

    def _live(self) -> None:
        """Start the process, and write what it is to read."""
        try:
            self._process = process = _start(self._argv, self._env)
        except (OSError, ValueError) as error:
            self._said.put(("failed", f"{self._argv[0]}: {getattr(error, 'strerror', None) or error}"))
            return
        finally:
            self._started.set()
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        noise = threading.Thread(target=self._drain, args=(process.stderr,), daemon=True)
        noise.start()
        threading.Thread(target=self._read, args=(process, process.stdout, noise), daemon=True).start()
        self._greeted.wait()
        with contextlib.suppress(OSError, ValueError):
            while True:
                line = self._lines.get()
                if line is None:
                    break
                process.stdin.write(line)
                process.stdin.flush()
        with contextlib.suppress(OSError, ValueError):
            process.stdin.close()

    def _drain(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for raw in iter(lambda: stream.readline(LONGEST), b""):
                self._log.add(raw)

    def _read(self, process: subprocess.Popen[bytes], stream: IO[bytes], noise: threading.Thread) -> None:
        with contextlib.suppress(OSError, ValueError):
            for raw in iter(lambda: stream.readline(16 * LONGEST), b""):
                self._hear(raw)
        code = process.wait()
        noise.join(LOST / 2)  # so that its last words are in the log
        self._said.put(("end", code))
        self._lines.put(None)
        self._greeted.set()

    def _hear(self, raw: bytes) -> None:
        event = _event(raw)
        if event is None:
            self._log.add(raw)
        elif self._greeted.is_set():
            self._said.put(("event", event))
        elif (event.get("event"), event.get("product"), event.get("protocol")) == ("hello", PRODUCT, PROTOCOL):
            self._said.put(("event", event))
            self._greeted.set()
        else:
            self._said.put(("foreign", event))

    # ---- the end -----------------------------------------------------------------------------------------------------

    def greeting_is_late(self, now: float) -> bool:
        """Whether it should have said hello long ago."""
        return not self._greeted.is_set() and now - self._born > GREETING

    def is_lost(self, now: float) -> bool:
        """Whether it ended and its pipes did not, as a child of it holds them, or it does not even die."""
        if self.code() is not None and self._seen_dead is None:
            self._seen_dead = now
        dead = self._seen_dead is not None and now - self._seen_dead > LOST
        return dead or (self._terminated is not None and now - self._terminated > 2 * TERMINATING)

    def release(self) -> None:
        """Close its input: it ends when it has done what it does."""
        self.released, self._due = True, time.monotonic() + TERMINATING
        self._lines.put(None)

    def terminate_when_due(self, now: float) -> None:
        """End it where it did not go by itself."""
        if self._due is not None and now > self._due:
            self.terminate(now)

    def terminate(self, now: float) -> None:
        """Ask the process tree to end; force it where that was asked long ago."""
        if self._terminated is None:
            self._terminated = now
            if os.name == "nt":
                self.kill()
            else:
                self._signal(signal.SIGTERM)
        elif now - self._terminated > TERMINATING:
            self.kill()

    def kill(self) -> None:
        """Force the end of the whole process tree."""
        self._lines.put(None)
        self._greeted.set()
        if os.name == "nt":
            if self._process is not None:
                _taskkill(self._process.pid)
        else:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        """Signal the group that the process leads; it has its number for as long as anyone is in it."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, number)

    def close(self, seconds: float) -> None:
        """Wait for its end, then force it."""
        self.release()
        self._started.wait(0.2)
        for patience, force in ((seconds, self._end_softly), (0.4, self.kill), (0.2, None)):
            if self._ended(patience):
                break
            if force is not None:
                force()
        self.kill()  # children that it may have left
        if self._process is not None:
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    with contextlib.suppress(OSError, ValueError):
                        stream.close()

    def _end_softly(self) -> None:
        self.terminate(time.monotonic())

    def _ended(self, seconds: float) -> bool:
        if self._process is None:
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
            return True
        return False


def _start(argv: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, without a window."""
    flags = 0
    if os.name == "nt":
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(env),
        start_new_session=os.name != "nt",
        creationflags=flags,
    )


def _taskkill(pid: int) -> None:
    with contextlib.suppress(OSError):
        subprocess.Popen(
            ["taskkill", "/T", "/F", "/PID", str(pid)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )


def _event(raw: bytes) -> Event | None:
    """A line as an event; None where it is none."""
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


class _Log:
    """A file that grows to a limit and is then put aside, once; and its last lines. Never raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._last: deque[str] = deque(maxlen=TAIL)

    def add(self, raw: bytes) -> None:
        """Write a line."""
        text = raw.decode("utf-8", "replace").rstrip()
        with self._lock, contextlib.suppress(OSError):
            if text:
                self._last.append(text[:300])
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > LOG_BYTES:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            with self.path.open("ab") as file:
                file.write(raw)

    def tail(self) -> Iterable[str]:
        """Its last lines that say something, as far as this process wrote them."""
        with self._lock:
            return list(self._last)
