"""What was made, and with which settings: the settings hash of a frame, and the manifest beside the output.

The manifest is JSON lines, one a frame, sorted, last state kept. Several processes may work on one output: each writes
under a lock file's name of its own and merges what is there, so that no line is lost.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from reage.atomic import is_of_the_dead, process_mark, write_text
from reage.errors import OutputError

State = Literal["aged", "no-face", "copied", "missing", "failed"]
LOCK_PATIENCE = 30.0
"""Seconds after which a lock is taken from a process elsewhere that died holding it; merging takes milliseconds."""


def digest_of(facts: Mapping[str, Any]) -> str:
    """A stable hash of plain values: 32 hex digits of SHA-256 over canonical JSON."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Line:
    """One frame in the manifest."""

    frame: int
    file: str  # name of the file, without its folder
    state: State
    settings: str = ""  # hash of what made it
    seconds: float = 0.0
    why: str = ""  # of "failed" and "missing"


class Manifest:
    """The lines of one output. Kept in memory, merged into the file by `save`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._new: dict[int, Line] = {}
        self._lines = _read(path)

    def line(self, frame: int) -> Line | None:
        """What is known of a frame."""
        return self._lines.get(frame)

    def names(self, frame: int, file: str) -> bool:
        """Whether the manifest says that reage made this file."""
        line = self._lines.get(frame)
        return line is not None and line.file == file and line.state in ("aged", "no-face", "copied")

    def clean(self) -> None:
        """Remove the lock of a process of this host that was killed while it merged."""
        _break_dead(_lock_of(self.path))

    def add(self, line: Line) -> None:
        """Set the state of a frame."""
        self._lines[line.frame] = self._new[line.frame] = line

    def save(self) -> None:
        """Merge the new lines into the file.

        Raises:
            OutputError: the folder cannot be written.
        """
        if not self._new:
            return
        with _locked(self.path):
            merged = {**_read(self.path), **self._new}
            body = "".join(json.dumps(asdict(merged[frame])) + "\n" for frame in sorted(merged))
            write_text(self.path, body)
        self._lines, self._new = merged, {}


def _read(path: Path) -> dict[int, Line]:
    """Lines of a manifest; what is not a line (a foreign or damaged file) is passed over: it only speeds things up."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    lines: dict[int, Line] = {}
    for row in text.splitlines():
        try:
            line = Line(**json.loads(row))
        except (ValueError, TypeError):
            continue
        lines[line.frame] = line
    return lines


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold `<path>.lock` while merging. Made with O_EXCL, which holds on shared file systems too."""
    lock = _lock_of(path)
    started = time.monotonic()
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with lock.open("x", encoding="ascii") as file:
                file.write(process_mark())
            break
        except FileExistsError:
            if time.monotonic() - started > LOCK_PATIENCE:
                lock.unlink(missing_ok=True)
                started = time.monotonic()
            _break_dead(lock)
            time.sleep(0.02)
        except OSError as error:
            raise OutputError(f"{path}: cannot write the manifest: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _lock_of(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _break_dead(lock: Path) -> None:
    try:
        if is_of_the_dead(lock.read_text(encoding="ascii")):
            lock.unlink(missing_ok=True)
    except (OSError, UnicodeDecodeError):
        return  # it is gone, or not ours to judge
