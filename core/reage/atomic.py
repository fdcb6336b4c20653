"""A file on disk is whole or absent: written beside under a temporary name, flushed, renamed.

Temporaries are named `.{name}.{host}.{pid}.{random}.tmp{extension}`, so that what a killed process left behind can be
told from the work of a living one.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reage.errors import OutputError

_MAX_NAME = 255  # bytes of a file name that every file system takes
_TEMPORARY = re.compile(
    r"\.(?P<name>.+)\.(?P<host>[^.]+)\.(?P<pid>[0-9]+)\.[0-9a-f]{8}\.tmp(\.[^.]*)?", re.DOTALL | re.ASCII
)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file that appears under its name at once, or not at all.

    The body writes and checks the temporary path that it is given. When it ends, the file is flushed and renamed;
    when it raises, the temporary is removed and whatever stood under the name stays.

    Raises:
        OutputError: the system refused; the message names the path and the free space.
    """
    temporary = temporary_path(path)
    try:
        yield temporary
        publish(temporary, path)
    except OSError as error:
        raise output_error(path, error.strerror or str(error)) from error
    finally:
        with suppress(OSError):  # on a disk that became read-only: the error that is on its way says more
            temporary.unlink(missing_ok=True)


def writable_folder(folder: Path) -> None:
    """Make a folder where there is none, and prove that files can be made in it.

    Raises:
        OutputError: the system refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{folder}: nothing can be written there: {reason}; check the path and the rights") from error


def write_text(path: Path, text: str) -> None:
    """Write a small UTF-8 file whole, and its folder where there is none.

    Raises:
        OutputError: the system refused.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(path, error.strerror or str(error)) from error
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def temporary_path(path: Path) -> Path:
    """A new name of ours beside `path`, with its extension."""
    tail = f".{_host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp{path.suffix}"
    name = path.name
    while len(os.fsencode(f".{name}{tail}")) > _MAX_NAME:
        name = name[:-1]
    return path.with_name(f".{name}{tail}")


def publish(temporary: Path, path: Path) -> None:
    """Flush a finished temporary to disk and give it its name; OSError where the system refuses."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    if os.name == "nt":  # a folder cannot be opened there
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def output_error(path: Path, reason: str) -> OutputError:
    """The error for a file that could not be written: path, reason, free space."""
    try:
        room = f"{shutil.disk_usage(path.parent).free / 1e6:.1f} MB free"
    except OSError:
        room = "its folder cannot be reached"
    return OutputError(f"output {str(path)!r} cannot be written: {reason} ({room}); check the disk and the folder")


def clean_stale_temporaries(folder: Path, stem: str) -> list[Path]:
    """Remove temporaries whose file name starts with `stem` and whose process on this host is dead.

    Those of living processes and of other hosts stay: they may be writing now.

    Returns:
        The paths removed. A folder that is not there yet has none.
    """
    removed = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        found = _TEMPORARY.fullmatch(path.name)
        ours = found and found["name"].startswith(stem) and found["host"] == _host()
        if found and ours and not _is_alive(int(found["pid"])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def process_mark() -> str:
    """Who this process is, for small files that say whose they are: `host.pid`."""
    return f"{_host()}.{os.getpid()}"


def is_of_the_dead(mark: str) -> bool:
    """Whether a mark is that of a process of this host that has ended; False where nobody here can know."""
    host, _, pid = mark.rpartition(".")
    return host == _host() and pid.isdecimal() and not _is_alive(int(pid))


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63] or "host"


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # there signal 0 is Ctrl-C, not a question
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
