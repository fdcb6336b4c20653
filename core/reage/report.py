"""How a command follows its events: what people, scripts and farms are shown, the log, and the end."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from reage.errors import Interrupted, OutputError, ReageError
from reage.progress import Reporter, reporter


def report(events: Iterable[Mapping[str, Any]], kind: Any, log: str | None) -> None:
    """Show events as they come; the log gets each as a line of JSON, and at a bad end the traceback as well."""
    for_machines = kind in ("json", "openjd")
    with _log(log) as note, reporter(kind, sys.stdout if for_machines else sys.stderr) as shown:

        def tell(event: Mapping[str, Any]) -> None:
            note(event)
            _show(shown, event)

        try:
            with _steps(tell):
                for event in events:
                    tell(event)
        except BaseException as error:
            end = _end_event(error)
            with suppress(OutputError):  # where the log itself is what failed
                note(end | {"traceback": "".join(traceback.format_exception(error))})
            if for_machines:  # people read the last line
                _show(shown, end)
            raise
        finally:
            if isinstance(events, Generator):  # lets it finish what is being written, and book it
                events.close()


class _Telling(logging.Handler):
    """Hands records on as warnings among the events."""

    def __init__(self, tell: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        self._tell({"event": "warning", "message": record.getMessage()})


@contextmanager
def _steps(tell: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """What our modules log on the way, such as what was done about a lack of memory, as warnings among the events."""
    handler = _Telling(tell)
    logger = logging.getLogger("reage")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _show(shown: Reporter, event: Mapping[str, Any]) -> None:
    try:
        shown.event(event)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        what = "was closed" if isinstance(error, BrokenPipeError) else f"takes no more ({error.strerror})"
        raise OutputError(f"standard output {what} before the end; frames that are done stay") from error


@contextmanager
def _log(name: str | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    try:
        file = Path(name or os.devnull).open("ab", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise OutputError(f"--log {name}: cannot be written: {error.strerror or error}; check the path") from error

    def note(event: Mapping[str, Any]) -> None:
        try:
            file.write((json.dumps(dict(event), default=str) + "\n").encode())
        except OSError as error:
            raise OutputError(f"--log {name}: takes no more: {error.strerror or error}; check the disk") from error

    with file:
        yield note


def _end_event(error: BaseException) -> dict[str, Any]:
    code, line = verdict(error)
    if isinstance(error, Interrupted):
        return {"event": "cancelled", "code": code, "message": line}
    return {"event": "error", "code": code, "message": line}


def verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and last line of an error."""
    if isinstance(error, ReageError | Interrupted):
        return error.exit_code, str(error)
    return 1, f"internal error: {type(error).__name__}: {error}; set REAGE_DEBUG=1 for the traceback and report it"
