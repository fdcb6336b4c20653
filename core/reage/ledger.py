"""What was made, and with which settings: the settings hash of a frame, and the manifest beside the output.

The manifest is JSON lines, one a frame, sorted, last state kept. Several processes may work on one output: each merges
under a lock, so that no line is lost. On a farm, where a thousand would wait for one lock, each process keeps a part of
its own, `<manifest>.<host>.<pid>.jsonl`, and the job's last step merges them.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from reage.atomic import is_of_the_dead, process_mark, write_text
from reage.errors import OutputError

_PART = re.compile(r"[A-Za-z0-9_-]+\.[0-9]+\.jsonl")  # host.pid, see reage.atomic.process_mark
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
    host: str = ""  # that made it


class Manifest:
    """The lines of one output. Kept in memory, merged into the file by `save`."""

    def __init__(self, path: Path, apart: bool = False) -> None:
        """Read what is known.

        Args:
            path: of the manifest.
            apart: keep new lines in a part of this process.
        """
        self.path = path
        self._part = path.with_name(f"{path.stem}.{process_mark()}.jsonl") if apart else None
        self._new: dict[int, Line] = {}
        self._lines = _known(path)

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
        if self._part is not None:
            _write(self._part, {**_read(self._part), **self._new})
            return
        self._lines, self._new = _undisturbed(self._add_new), {}

    def merge(self) -> None:
        """Save, with the parts of all processes, which are removed; a living process writes its own again.

        Raises:
            OutputError: the folder cannot be written.
        """
        self._lines, self._new = _undisturbed(self._join_parts), {}

    def _add_new(self) -> dict[int, Line]:
        with _locked(self.path):
            merged = {**_read(self.path), **self._new}
            _write(self.path, merged)
        return merged

    def _join_parts(self) -> dict[int, Line]:
        with _locked(self.path):
            parts = _parts(self.path)
            merged = {**_known(self.path), **self._new}
            _write(self.path, merged)
            for part in parts:
                part.unlink(missing_ok=True)
        return merged


def _undisturbed(merge: Callable[[], dict[int, Line]]) -> dict[int, Line]:
    """Merge in a thread of its own: signals raise in the main one, so none comes between a lock and its release."""
    with ThreadPoolExecutor(1, "ledger") as beside:
        return beside.submit(merge).result()


def _parts(path: Path) -> list[Path]:
    """Parts beside a manifest."""
    start = f"{path.stem}."
    names = path.parent.iterdir() if path.parent.is_dir() else ()
    return [p for p in names if p.name.startswith(start) and _PART.fullmatch(p.name[len(start) :])]


def _known(path: Path) -> dict[int, Line]:
    """Lines of a manifest and its parts; where two tell of one frame, those of the younger file stay."""
    dated = []
    for file in [path, *_parts(path)]:
        with suppress(OSError):
            dated.append((file.stat().st_mtime_ns, str(file), _read(file)))
    return {frame: line for _, _, lines in sorted(dated, key=lambda entry: entry[:2]) for frame, line in lines.items()}


def _write(path: Path, lines: Mapping[int, Line]) -> None:
    write_text(path, "".join(json.dumps(asdict(lines[frame])) + "\n" for frame in sorted(lines)))


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
