"""The options of the command line that more than one command has, and how they become a job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from reage.errors import RequestError
from reage.job import Job, read_job_fields

Command = TypeVar("Command", bound=Callable[..., Any])

_UNSET: Any = None


def add_options(*groups: list[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Some groups of options for a command, in their order."""

    def add(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return add


# Defaults are those of Job: an option that was not given is not passed on, so that a job file's value stands.
PLATE = [
    click.option("--colorspace", metavar="NAME", help="The plate's space [EXR: scene_linear; else sRGB; DPX: needed]."),
    click.option("--ocio", metavar="CONFIG", help="OpenColorIO config [$OCIO, else a pinned ACES config]."),
    click.option("--view", metavar="NAME", help="View of a multi-view EXR."),
    click.option("--first-frame", type=int, metavar="N", help="Number of a movie's first frame [1]."),
    click.option("--landmarks", metavar="FILE", help="Another 68-point predictor of dlib."),
    click.option("--model", metavar="NAME|FILE", help="Re-ageing model [reage-1]."),
    click.option("--exemplar", metavar="likeness|bank|ID", help="Of reage-1 [likeness: drawn for the actor]."),
    click.option("--matte", type=click.Choice(["face", "head"]), help="Where a change may show [the model's own]."),
    click.option("--device", metavar="NAME", help="auto, cpu, cuda[:N] or mps [auto]."),
    click.option("--precision", type=click.Choice(["auto", "fp32", "fp16"]), help="Of the networks [auto]."),
]
WHAT = [
    click.option("--frames", metavar="RANGE", help="For instance 1001-1100, 1-10x2 or 1-5,9 [all]."),
    click.option("--age", multiple=True, metavar="A", help="Years, a curve 1001:30,1050:45, or per face ID=A; repeat."),
    click.option("--ages", metavar="A,B,…", help="Several outputs from one pass; the output name holds {age}."),
]
CHANGE = [
    click.option("--source-age", metavar="A|auto", help="The actor's age [auto: estimated once and locked]."),
    click.option("--mode", type=click.Choice(["change", "replace"]), help="What returns to the plate [change]."),
    click.option("--strength", type=float, metavar="S", help="0 leaves the plate, up to 2 [1]."),
]
LOOK = [
    click.option("--tone", type=float, metavar="G", help="Gain of the low band [1]."),
    click.option("--detail", type=float, metavar="G", help="Gain of the high band [1]."),
    click.option("--region", metavar="NAME=G,…", help="Gains of forehead, eyes, nose, cheeks, mouth, jaw [1]."),
    click.option("--face", metavar="WHICH", help="largest, all, or ids such as 1,3 [all]."),
    click.option("--smooth", type=int, metavar="N", help="Radius in frames over which the change is steadied [2]."),
    click.option("--holdout", metavar="PATTERN[:CHANNEL]", help="The matte is multiplied by 1 - this."),
]
WRITE = [
    click.option("--layers", is_flag=True, default=None, help="Write change, matte and regions as layers (EXR)."),
    click.option("--compression", metavar="NAME", help="Of EXR outputs [the plate's]."),
    click.option("--batch", type=int, metavar="N", help="Crops a network call takes [1]."),
    click.option("--on-missing", type=click.Choice(["stop", "skip"]), help="Frames the plate lacks [stop]."),
    click.option("--on-error", type=click.Choice(["stop", "skip", "copy"]), help="Frames that fail [stop]."),
    click.option("--overwrite", is_flag=True, default=None, help="Redo everything, replace foreign files."),
    click.option("--dry-run", is_flag=True, default=None, help="Say what would be done."),
]
TALK = [
    click.option("--progress", type=click.Choice(["auto", "bar", "plain", "json", "openjd"]), help="[auto]"),
    click.option("--log", metavar="FILE", help="Write a log with tracebacks."),
]


def given_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that were given, as job fields."""
    fields = {name: value for name, value in options.items() if value is not _UNSET and value != ()}
    if "age" in fields:
        fields["age"] = _age_field(fields["age"])
    if "ages" in fields:
        fields["ages"] = _numbers("--ages", fields["ages"])
    if "region" in fields:
        fields["region"] = _gains(fields["region"])
    if fields.get("source_age", "auto") != "auto":
        fields["source_age"] = _numbers("--source-age", fields["source_age"])[0]
    return fields


def _age_field(words: tuple[str, ...]) -> str | dict[int, str]:
    """`70` or a curve stays text; `1=70` `2=30` become a mapping, as in a job file."""
    from reage.curve import parse_ages

    parse_ages(list(words))
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    return ";".join(words)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        raise RequestError(f"{option} {text}: not a number, or numbers with commas between") from error


def _gains(text: str) -> dict[str, float]:
    gains = {}
    for word in text.split(","):
        name, equals, value = word.partition("=")
        if not equals:
            raise RequestError(f"--region {text}: '{word}' is not NAME=GAIN")
        gains[name.strip()] = _numbers("--region", value)[0]
    return gains


def job_of(file: str | None, given: Mapping[str, Any]) -> Job:
    """The job of a command: a job file's fields where one is named, and options, which win.

    Raises:
        RequestError: an option is wrong, or plate or output is missing.
        PlateError: the job file cannot be read.
    """
    fields = given_fields(given)
    if file is not None:
        from_file = read_job_fields(Path(file))
        if "age" in fields or "ages" in fields:
            from_file = {key: value for key, value in from_file.items() if key not in ("age", "ages")}
        fields = from_file | fields
    for needed, how in (("plate", "the PLATE"), ("output", "-o OUT")):
        if needed not in fields:
            raise RequestError(f"{how} is missing; see 'reage run --help'")
    return Job.make(**fields)
