"""A worker to talk to: forked from a process that has loaded the engine already, with pipes in place of a terminal."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from checkpoints import saved_fran
from command import PATIENCE, _forks

Event = dict[str, Any]
LAST = ("done", "error", "cancelled")


def tiny_store(folder: Path) -> Path:
    """A model store with one small random network in it, named `tiny`."""
    from reage.store import Store

    store = folder / "store"
    Store(store).import_file(saved_fran(folder / "fran.pth"), name="tiny")
    return store


def slow(seconds: float) -> None:
    """The tiny model takes its time, and says nothing meanwhile."""
    from reage.agers.fran import FranAger

    quick = FranAger.__call__

    def call(self: Any, *given: Any, **named: Any) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.01)
        return quick(self, *given, **named)

    FranAger.__call__ = call  # type: ignore[method-assign]


def noisy() -> None:
    """The tiny model prints to standard output, as libraries do, and so does a child of it."""
    from reage.agers.fran import FranAger

    quick = FranAger.__call__

    def call(self: Any, *given: Any, **named: Any) -> Any:
        print("noise of Python")
        os.write(1, b"noise of C\n")
        os.system("echo noise of a child")
        return quick(self, *given, **named)

    FranAger.__call__ = call  # type: ignore[method-assign]


def buggy() -> None:
    """The tiny model has a bug."""
    from reage.agers.fran import FranAger

    def call(self: Any, *given: Any, **named: Any) -> Any:
        raise ZeroDivisionError("a\nbug")

    FranAger.__call__ = call  # type: ignore[method-assign]


class Talk:
    """A worker, what it was asked and what it said."""

    def __init__(self, spoil: Callable[..., None] | None = None, *how: Any, **environment: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="reage-talk-")
        place = Path(self._folder.name)
        os.mkfifo(place / "in")
        self._err, self._out = place / "err", place / "out"
        self._out.touch()
        self._process = _forks().Process(target=_child, args=(str(place), spoil, how, environment))
        self._process.start()
        self._in = os.open(place / "in", os.O_WRONLY)
        self._count = 0
        self._read = 0
        self.said: list[Event] = []
        self.hello = self.next()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._in, data) :]

    def send(self, method: str, params: Mapping[str, Any] | None = None, **more: Any) -> int:
        self._count += 1
        fields = {"id": self._count, "method": method, **({} if params is None else {"params": params}), **more}
        self.write(json.dumps(fields).encode() + b"\n")
        return int(fields["id"])

    def next(self) -> Event:
        """The next event."""
        end = time.monotonic() + PATIENCE
        while True:
            with self._out.open("rb") as file:
                file.seek(self._read)
                line = file.readline()
            if line.endswith(b"\n"):
                self._read += len(line)
                self.said.append(json.loads(line))
                return self.said[-1]
            assert time.monotonic() < end and self._process.is_alive(), self.err
            time.sleep(0.002)

    def until(self, kind: str, number: int | None = None) -> Event:
        """The next event of a kind."""
        while True:
            event = self.next()
            if event["event"] == kind and number in (None, event.get("id")):
                return event

    def last(self, number: int) -> Event:
        """The event that ends a request."""
        while True:
            event = self.next()
            if event["event"] in LAST and event.get("id") == number:
                return event

    def ask(self, method: str, **params: Any) -> Event:
        return self.last(self.send(method, params))

    def of(self, number: int) -> list[Event]:
        return [event for event in self.said if event.get("id") == number]

    @property
    def err(self) -> str:
        return self._err.read_text() if self._err.exists() else ""

    def hang_up(self) -> None:
        """Close its standard input."""
        if self._in >= 0:
            os.close(self._in)
            self._in = -1

    def end(self) -> int | None:
        """Its exit code, once it has ended; what it still said is read."""
        self._process.join(PATIENCE)
        code = self._process.exitcode
        if self._process.is_alive():
            self._process.kill()
        with self._out.open("rb") as file:
            file.seek(self._read)
            self.said += [json.loads(line) for line in file]
            self._read = file.tell()
        return code

    def close(self) -> None:
        self.hang_up()
        self.end()
        self._folder.cleanup()


def _child(place: str, spoil: Callable[..., None] | None, how: tuple[Any, ...], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    for number, name, flags in ((0, "in", os.O_RDONLY), (1, "out", os.O_WRONLY), (2, "err", os.O_WRONLY)):
        os.dup2(os.open(Path(place, name), flags | (os.O_CREAT | os.O_APPEND if number else 0)), number)
    if spoil is not None:
        spoil(*how)
    import sys

    sys.argv = ["reage", "worker"]
    from reage.__main__ import main

    main()
