"""AWS Deadline Cloud: a bundle goes there unchanged, through Amazon's own `deadline` command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator

from reage.errors import RequestError
from reage.farm.bundle import Bundle
from reage.farm.options import Options
from reage.progress import Event, one_line

_JOB = re.compile(r"\bjob-[0-9a-f]{32}\b")


def submit(bundle: Bundle, options: Options) -> Iterator[Event]:
    """Submit a bundle to the farm and queue that `deadline config` holds.

    Args:
        bundle: files that it names are uploaded or mapped as the queue's storage profile says.
        options: priority; pool is a queue's id in place of the configured one; with `write_only` the command is told.

    Yields:
        A `note` for each line that the command says, with `job`, Deadline Cloud's id, where it holds one; then `done`.

    Raises:
        RequestError: `deadline` is not on PATH, or refuses the bundle; a group is given.
    """
    if options.group is not None:
        raise RequestError("--group: Deadline Cloud has none; --pool names a queue's id, and the queue has fleets")
    words = ["bundle", "submit", "--yes"]
    words += [] if options.pool is None else ["--queue-id", options.pool]
    words += [] if options.priority is None else ["--priority", str(options.priority)]
    words.append(str(bundle.folder))
    if options.write_only:
        yield {"event": "note", "message": f"ready for: deadline {shlex.join(words)}", "files": [str(bundle.folder)]}
        yield {"event": "done"}
        return
    command = shutil.which("deadline")
    if command is None:
        raise RequestError(
            f"the command 'deadline' is not on PATH: pip install deadline, then 'deadline config'; "
            f"nothing was submitted, the bundle {bundle.folder} is ready"
        )
    yield from _run([command, *words])


def _run(command: list[str]) -> Iterator[Event]:
    """Run `deadline`, passing on what it says."""
    said = ""
    try:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None  # a pipe was asked for
            try:
                for line in filter(None, map(one_line, map(str.strip, process.stdout))):
                    said = line
                    job = _JOB.search(line)
                    yield {"event": "note", "message": line} | ({"job": job[0]} if job else {})
            except BaseException:  # whoever listens has stopped
                process.terminate()
                raise
    except OSError as error:
        raise RequestError(f"{command[0]}: cannot be run: {error.strerror}; check how deadline is installed") from error
    if process.returncode:
        raise RequestError(f"deadline refused the bundle (exit {process.returncode}): {said}")
    yield {"event": "done"}
