"""Command lines for the farm, as lists of words: nothing in a file's name is ever read by a shell."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

# What belongs to this process and not to the request.
_NOT_FOR_THE_FARM = ("version", "progress", "log", "dry_run", "stills")


def bundle_words(engine: Sequence[str], job: Mapping[str, Any], bundle: str, chunk: int = 50) -> list[str]:
    """`reage farm bundle …` for a job.

    Args:
        engine: the words that call reage, such as `[python, "-s", "-m", "reage"]`.
        job: fields of a job, as the worker takes them.
        bundle: the folder to write.
        chunk: frames a task renders.
    """
    options = [f"--bundle={bundle}", f"--chunk={chunk}"]
    for name, value in sorted(job.items()):
        if name != "plate" and name not in _NOT_FOR_THE_FARM:
            options += _option(name, value)
    return [*engine, "farm", "bundle", *options, "--", str(job["plate"])]


def submit_words(engine: Sequence[str], queue: str, bundle: str) -> list[str]:
    """`reage farm submit --engine QUEUE BUNDLE`."""
    return [*engine, "farm", "submit", f"--engine={queue}", "--", bundle]


def own_words(command: str, bundle: str) -> list[str]:
    """A studio's own submit command as words; `{bundle}` in it is the folder, else the folder comes last.

    Raises:
        ValueError: the command is empty or a quote in it is left open.
    """
    words = shlex.split(command, posix=os.name != "nt")
    if os.name == "nt":
        words = [word.strip('"') for word in words]
    if not words:
        raise ValueError("the submit command is empty")
    if not any("{bundle}" in word for word in words):
        words.append("{bundle}")
    return [word.replace("{bundle}", bundle) for word in words]


def shown(words: Sequence[str]) -> str:
    """The words as a line that can be pasted into a shell."""
    if os.name == "nt":
        return subprocess.list2cmdline(words)
    return " ".join(shlex.quote(word) for word in words)


def _option(name: str, value: Any) -> list[str]:
    """An option and its value in one word, so that a value that begins with a dash stays a value."""
    option = "--" + name.replace("_", "-")
    if value is None or value is False or value in ({}, []):
        return []
    if value is True:
        return [option]
    if name == "region":
        return [option + "=" + ",".join(f"{region}={_number(gain)}" for region, gain in value.items())]
    if isinstance(value, dict):  # per face
        return [f"{option}={face}={_number(age)}" for face, age in value.items()]
    if isinstance(value, (list, tuple)):
        return [option + "=" + ",".join(_number(item) for item in value)]
    return [f"{option}={_number(value)}"]


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
