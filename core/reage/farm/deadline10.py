r"""Thinkbox Deadline 10: two text files a step for the CommandLine plug-in, handed to `deadlinecommand`.

The files hold one `Key=Value` a line. In `Arguments` the plug-in puts a task's frames for <STARTFRAME> and <ENDFRAME>
and a quotation mark for <QUOTE>, and hands the text to .NET (or Mono), which cuts it into words: blanks part words, `"`
holds them together, `\"` is a quotation mark. No shell is asked.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from reage.atomic import write_text
from reage.errors import RequestError
from reage.farm.bundle import FRAMES_TOKEN, Bundle, Step
from reage.farm.options import Options
from reage.progress import Event, one_line
from reage.sequence import Pattern, format_range

FOLDER = "deadline10"  # inside the bundle
_FRAMES = "<STARTFRAME>-<ENDFRAME>"
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")
_CONTROL = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # and halves of surrogate pairs: names that are no Unicode
_UNSAFE = [
    (re.compile("<(STARTFRAME|ENDFRAME|QUOTE|AUXFILE)", re.IGNORECASE), "is a token that Deadline replaces"),
    (re.compile("[\u201c\u201d]"), "is read by Deadline as a straight quotation mark"),
]
if os.name != "nt":  # .NET keeps a backslash before these, Mono eats it, and Deadline has used both
    _UNSAFE.append((re.compile(r"\\[\\$`]"), "is read differently by Deadline's releases"))
_MAC_NOTE = Path("/Users/Shared/Thinkbox/DEADLINE_PATH")  # where Deadline's installer leaves its place on macOS


def submit(bundle: Bundle, options: Options) -> Iterator[Event]:
    """Write the job files of every step, and submit them in order, each waiting for the ones it depends on.

    Args:
        bundle: its folder has to lie where the workers see it under the same path.
        options: pool, group, priority; with `write_only` nothing is submitted.

    Yields:
        A `note` a step, with `files` and, once submitted, `job` (Deadline's id); then `done`.

    Raises:
        RequestError: a name cannot be written in Deadline's files; `deadlinecommand` is not here, or refuses a job.
    """
    pairs = {step.name: write(bundle, step, options) for step in bundle.steps}
    if options.write_only:
        for name, files in pairs.items():
            yield {"event": "note", "message": f"{name}: {files[0]}, {files[1]}", "files": [*map(str, files)]}
        yield {"event": "done"}
        return
    command = find_command(f"nothing was submitted; the files are in {bundle.folder / FOLDER}")
    jobs: dict[str, str] = {}
    for step in bundle.steps:
        files = write(bundle, step, options, [jobs[name] for name in step.depends])
        jobs[step.name] = _submit(command, files, jobs)
        told = f"{step.name}: submitted to Deadline as job {jobs[step.name]}"
        yield {"event": "note", "message": told, "job": jobs[step.name], "files": [*map(str, files)]}
    yield {"event": "done", "jobs": jobs}


def find_command(consequence: str) -> str:
    """Path of `deadlinecommand`.

    Raises:
        RequestError: it is neither on PATH nor where Deadline says that it is installed.
    """
    folders = [os.environ.get("DEADLINE_PATH", "")]
    if _MAC_NOTE.is_file():
        folders.append(_MAC_NOTE.read_text(encoding="utf-8").strip())
    found = shutil.which("deadlinecommand")
    for folder in filter(None, folders):
        found = found or shutil.which("deadlinecommand", path=folder)
    if found is None:
        raise RequestError(
            f"deadlinecommand is neither on PATH nor in $DEADLINE_PATH: install Deadline 10's client; {consequence}"
        )
    return found


def write(bundle: Bundle, step: Step, options: Options, waits_for: Sequence[str] = ()) -> tuple[Path, Path]:
    """Write a step's job_info and plugin_info into the bundle; returns both paths.

    Args:
        bundle: what the step belongs to.
        step: one job of Deadline.
        options: pool, group and priority.
        waits_for: ids of the jobs that have to be complete first.

    Raises:
        RequestError: a path holds what these files cannot.
    """
    stem = bundle.folder / FOLDER / step.name
    job, plugin = stem.with_name(f"{step.name}.job_info.job"), stem.with_name(f"{step.name}.plugin_info.job")
    write_text(job, _lines(job_info(bundle, step, options, waits_for)))
    write_text(plugin, _lines(plugin_info(bundle, step)))
    return job, plugin


def job_info(bundle: Bundle, step: Step, options: Options, waits_for: Sequence[str] = ()) -> dict[str, str]:
    """What Deadline's scheduler is told of a step; see `write`."""
    info = {"Plugin": "CommandLine", "Name": one_line(f"{bundle.name} {step.name}"), "BatchName": one_line(bundle.name)}
    if step.chunked:
        # A task knows its first and its last frame alone; the command leaves out what lies between and is not wanted.
        info |= {"Frames": format_range(bundle.frames), "ChunkSize": str(bundle.chunk)}
    else:
        info |= {"Frames": "0", "ChunkSize": "1"}
    if waits_for:
        info["JobDependencies"] = ",".join(waits_for)
    given = {"Pool": options.pool, "Group": options.group, "Priority": options.priority}
    info |= {key: str(value) for key, value in given.items() if value is not None}
    return info | _outputs(bundle.outputs)


def plugin_info(bundle: Bundle, step: Step) -> dict[str, str]:
    """What the CommandLine plug-in is told of a step; see `write`."""
    program, words = step.argv[0], [*step.argv[1:], "--progress", "plain"]
    if program != program.strip():
        raise RequestError(f"{program!r}: Deadline drops blanks around a program's path; use another place")
    return {
        "Executable": program,
        "Arguments": arguments(words),
        "ShellExecute": "False",
        "SingleFramesOnly": "False",
    }


def arguments(words: Sequence[str]) -> str:
    """Words as the one text that the CommandLine plug-in cuts into the same words.

    Raises:
        RequestError: a word would reach the program as something else.
    """
    return " ".join(_FRAMES if word == FRAMES_TOKEN else _quoted(word) for word in words)


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    for pattern, why in _UNSAFE:
        if found := pattern.search(word):
            raise RequestError(f"{word!r}: {found[0]!r} in a name {why}; use another name")
    # Before a quotation mark, and so before the closing one, every backslash is doubled.
    inside = re.sub(r'(\\*)"', r"\1\1\\<QUOTE>", word)
    return "<QUOTE>" + re.sub(r"(\\+)$", r"\1\1", inside) + "<QUOTE>"


def _outputs(paths: Sequence[str]) -> dict[str, str]:
    """What lets the Monitor open a job's output; left out where it does not fit a line, as no task needs it."""
    info: dict[str, str] = {}
    for number, path in enumerate(path for path in paths if not _CONTROL.search(path)):
        pattern = Pattern.parse(path)
        name = f"{pattern.prefix}{'#' * pattern.padding}{pattern.suffix}" if pattern else Path(path).name
        info |= {f"OutputDirectory{number}": str(Path(path).parent), f"OutputFilename{number}": name}
    return info


def _lines(values: dict[str, str]) -> str:
    for key, value in values.items():
        if _CONTROL.search(value):
            raise RequestError(f"{key}: {value!r} does not fit a line of Deadline 10's files; use another name")
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _submit(command: str, files: tuple[Path, Path], before: dict[str, str]) -> str:
    """Hand one job over; returns its id."""
    try:
        done = subprocess.run(
            [command, *map(str, files)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise RequestError(f"{command}: cannot be run: {error.strerror}; check Deadline's client") from error
    found = re.search(r"^JobID=(\S+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        said = one_line((done.stdout + done.stderr).strip().rpartition("\n")[2])
        there = f"; already submitted, delete or use them: {', '.join(before.values())}" if before else ""
        raise RequestError(f"deadlinecommand refused {files[0]} (exit {done.returncode}): {said}{there}")
    return found[1]
