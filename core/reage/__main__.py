"""The command line: the only place that exits."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import click

from reage.errors import Interrupted, OutputError, ReageError, RequestError
from reage.job import Job, dump_job, read_job_fields
from reage.models_command import models
from reage.progress import Reporter, reporter
from reage.version import __version__

Command = TypeVar("Command", bound=Callable[..., Any])

_UNSET: Any = None


def _options(*groups: list[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return add


# Defaults are those of Job: an option that was not given is not passed on, so that a job file's value stands.
_PLATE = [
    click.option("--colorspace", metavar="NAME", help="The plate's space [EXR: scene_linear; else sRGB; DPX: needed]."),
    click.option("--ocio", metavar="CONFIG", help="OpenColorIO config [$OCIO, else a pinned ACES config]."),
    click.option("--view", metavar="NAME", help="View of a multi-view EXR."),
    click.option("--first-frame", type=int, metavar="N", help="Number of a movie's first frame [1]."),
    click.option("--landmarks", metavar="FILE", help="Another 68-point predictor of dlib."),
    click.option("--model", metavar="NAME|FILE", help="Re-ageing model [reage-1]."),
    click.option("--exemplar", metavar="ID", help="Exemplar of reage-1 [chosen once per person]."),
    click.option("--device", metavar="NAME", help="auto, cpu, cuda[:N] or mps [auto]."),
    click.option("--precision", type=click.Choice(["auto", "fp32", "fp16"]), help="Of the networks [auto]."),
]
_WHAT = [
    click.option("--frames", metavar="RANGE", help="For instance 1001-1100, 1-10x2 or 1-5,9 [all]."),
    click.option("--age", multiple=True, metavar="A", help="Years, a curve 1001:30,1050:45, or per face ID=A; repeat."),
    click.option("--ages", metavar="A,B,…", help="Several outputs from one pass; the output name holds {age}."),
]
_CHANGE = [
    click.option("--source-age", metavar="A|auto", help="The actor's age [auto: estimated once and locked]."),
    click.option("--mode", type=click.Choice(["change", "replace"]), help="What returns to the plate [change]."),
    click.option("--strength", type=float, metavar="S", help="0 leaves the plate, up to 2 [1]."),
]
_LOOK = [
    click.option("--tone", type=float, metavar="G", help="Gain of the low band [1]."),
    click.option("--detail", type=float, metavar="G", help="Gain of the high band [1]."),
    click.option("--region", metavar="NAME=G,…", help="Gains of forehead, eyes, nose, cheeks, mouth, jaw [1]."),
    click.option("--face", metavar="WHICH", help="largest, all, or ids such as 1,3 [all]."),
    click.option("--smooth", type=int, metavar="N", help="Radius in frames over which the change is steadied [2]."),
    click.option("--holdout", metavar="PATTERN[:CHANNEL]", help="The matte is multiplied by 1 - this."),
]
_WRITE = [
    click.option("--layers", is_flag=True, default=None, help="Write change, matte and regions as layers (EXR)."),
    click.option("--compression", metavar="NAME", help="Of EXR outputs [the plate's]."),
    click.option("--batch", type=int, metavar="N", help="Crops a network call takes [1]."),
    click.option("--on-missing", type=click.Choice(["stop", "skip"]), help="Frames the plate lacks [stop]."),
    click.option("--on-error", type=click.Choice(["stop", "skip", "copy"]), help="Frames that fail [stop]."),
    click.option("--overwrite", is_flag=True, default=None, help="Redo everything, replace foreign files."),
    click.option("--dry-run", is_flag=True, default=None, help="Say what would be done."),
]
_TALK = [
    click.option("--progress", type=click.Choice(["auto", "bar", "plain", "json", "openjd"]), help="[auto]"),
    click.option("--log", metavar="FILE", help="Write a log with tracebacks."),
]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="reage")
def cli() -> None:
    """Re-age faces in film plates."""


cli.add_command(models)


@cli.command()
@click.argument("plate", required=False)
@click.option("-o", "--output", metavar="OUT", help="Pattern such as out.%04d.exr, or a movie.")
@click.option("--job", "job_file", metavar="FILE", help="A job file; options given beside it win.")
@click.option("--stills", is_flag=True, default=None, help="PLATE is a folder of unrelated pictures, OUT another.")
@_options(_PLATE, _WHAT, _CHANGE, _LOOK, _WRITE, _TALK)
def run(job_file: str | None, **given: Any) -> None:
    """Analyse PLATE once, then re-age it."""
    wanted = _job(job_file, given)
    from reage.pipeline import run as run_job  # after the job: a slip of the pen is told before torch is loaded

    _follow(wanted, run_job)


@cli.command()
@click.argument("plate", required=False)
@click.option("--tracks", metavar="FILE", help="From 'reage analyse'.")
@click.option("-o", "--output", metavar="OUT", help="Pattern such as out.%04d.exr, or a movie.")
@click.option("--job", "job_file", metavar="FILE", help="A job file; options given beside it win.")
@_options(_PLATE, _WHAT, _CHANGE, _LOOK, _WRITE, _TALK)
def render(job_file: str | None, **given: Any) -> None:
    """Re-age PLATE, or any sub-range of it, from a tracks file."""
    wanted = _job(job_file, given)
    if wanted.tracks is None:
        raise RequestError("render needs --tracks FILE; 'reage analyse' makes one")
    from reage.pipeline import render as render_job

    _follow(wanted, render_job)


@cli.command()
@click.argument("plate")
@click.option("--tracks", required=True, metavar="FILE", help="Where to write the tracks.")
@_options(_PLATE, _TALK)
def analyse(**given: Any) -> None:
    """Find, identify and track the faces of PLATE; settle exposure and source ages."""
    # An analysis makes no picture: output and age are placeholders that it never reads.
    wanted = Job.make(**_given(given), output="unused.%04d.exr", age=70)
    from reage.pipeline import analyse as analyse_job

    _follow(wanted, analyse_job)


@cli.command()
@click.argument("plate")
@click.option("--frame", type=int, metavar="N", help="[the first]")
@click.option("--ages", required=True, metavar="A,B,…", help="For instance 10,20,30,40,50,60,70,80,90.")
@click.option("-o", "--output", required=True, metavar="SHEET", help="A PNG or JPEG.")
@click.option("--tracks", metavar="FILE", help="From 'reage analyse' or 'run' [SHEET's stem.tracks.json, analysed].")
@click.option("--overwrite", is_flag=True, default=None, help="Replace a foreign file.")
@_options(_PLATE, _CHANGE, _LOOK, _TALK)
def sheet(frame: int | None, output: str, **given: Any) -> None:
    """Show one frame of PLATE at several ages, side by side, labelled."""
    # A sheet writes no frames: their name is a placeholder that it never reads.
    wanted = Job.make(**_given(given), output="unused.{age}.%04d.exr")
    from reage.sheet import sheet as make_sheet

    _report(make_sheet(wanted, Path(output), frame), wanted.progress, wanted.log)


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE…")
@click.option("-o", "--output", required=True, metavar="OUT", help="A file; for several a folder, or holding {name}.")
@click.option("--age", type=float, metavar="A", help="Years.")
@click.option("--ages", metavar="A,B,…", help="Several outputs; the output name holds {age}.")
@click.option("--compression", metavar="NAME", help="Of EXR outputs [the input's].")
@click.option("--on-error", type=click.Choice(["stop", "skip"]), help="Crops that fail [stop].")
@click.option("--overwrite", is_flag=True, default=None, help="Replace foreign files.")
@_options(_PLATE, _CHANGE, _TALK)
def crop(images: tuple[str, ...], age: float | None, **given: Any) -> None:
    """Re-age crops that are aligned already (FFHQ convention); nothing is detected."""
    wanted = Job.make(**_given(given), plate=images[0], **({} if age is None else {"age": age}))
    from reage.crop import crop as re_age

    _report(re_age(wanted, images), wanted.progress, wanted.log)


@cli.group()
def job() -> None:
    """Job files."""


@job.command("check")
@click.argument("file")
def job_check(file: str) -> None:
    """Validate a job file and print it resolved."""
    import yaml

    click.echo(yaml.safe_dump(dict(dump_job(Job.load(file))), sort_keys=False), nl=False)


@cli.command()
@click.option("-o", "--output", default="demo_output", metavar="DIR", help="[demo_output]")
@_options(_TALK)
def demo(output: str, **given: Any) -> None:
    """Re-age the bundled shot; writes EXRs, a side-by-side movie and a contact sheet."""
    from reage.demo import demo as run_demo

    kind = given.get("progress") or "auto"
    made: dict[str, Any] = {}

    def watched() -> Iterator[Mapping[str, Any]]:
        for event in run_demo(Path(output)):
            made.update(event.get("paths", {}))
            yield event

    _report(watched(), kind, given.get("log"))
    if kind not in ("json", "openjd"):
        for name, path in made.items():
            click.echo(f"{name}: {path if isinstance(path, str) else ', '.join(path)}")


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def doctor(as_json: bool) -> None:
    """Say what is there: Python, torch, GPU, OCIO, models, write access, Nuke."""
    from reage.doctor import checks

    found = checks()
    if as_json:
        click.echo(json.dumps([vars(check) for check in found]))
        return
    for check in found:
        click.echo(f"{check.state:>4}  {check.name}: {check.detail}")
        if check.remedy:
            click.echo(f"      -> {check.remedy}")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
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


def _job(file: str | None, given: Mapping[str, Any]) -> Job:
    fields = _given(given)
    if file is not None:
        from_file = read_job_fields(Path(file))
        if "age" in fields or "ages" in fields:
            from_file = {key: value for key, value in from_file.items() if key not in ("age", "ages")}
        fields = from_file | fields
    for needed, how in (("plate", "the PLATE"), ("output", "-o OUT")):
        if needed not in fields:
            raise RequestError(f"{how} is missing; see 'reage run --help'")
    return Job.make(**fields)


def _follow(job: Job, call: Callable[[Job], Iterable[Mapping[str, Any]]]) -> None:
    _report(call(job), job.progress, job.log)


def _report(events: Iterable[Mapping[str, Any]], kind: Any, log: str | None) -> None:
    """Show events as they come; the log gets each as a line of JSON, and at a bad end the traceback as well."""
    for_machines = kind in ("json", "openjd")
    with _log(log) as note, reporter(kind, sys.stdout if for_machines else sys.stderr) as shown:
        try:
            for event in events:
                note(event)
                _show(shown, event)
        except BaseException as error:
            end = _end_event(error)
            note(end | {"traceback": "".join(traceback.format_exception(error))})
            if for_machines:  # people read the last line
                _show(shown, end)
            raise
        finally:
            if isinstance(events, Generator):  # lets it finish what is being written, and book it
                events.close()


def _show(shown: Reporter, event: Mapping[str, Any]) -> None:
    try:
        shown.event(event)
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains at its end
        raise OutputError("standard output was closed before the end; frames that are done stay") from error


@contextmanager
def _log(name: str | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    try:
        file = Path(name or os.devnull).open("a", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise OutputError(f"--log {name}: cannot be written: {error.strerror or error}; check the path") from error

    def note(event: Mapping[str, Any]) -> None:
        file.write(json.dumps(dict(event), default=str) + "\n")
        file.flush()

    with file:
        yield note


def _end_event(error: BaseException) -> dict[str, Any]:
    code, line = _verdict(error)
    if isinstance(error, Interrupted):
        return {"event": "cancelled", "code": code, "message": line}
    return {"event": "error", "code": code, "message": line}


def _verdict(error: BaseException) -> tuple[int, str]:
    """Exit code and last line of an error."""
    if isinstance(error, ReageError | Interrupted):
        return error.exit_code, str(error)
    return 1, f"internal error: {type(error).__name__}: {error}; set REAGE_DEBUG=1 for the traceback and report it"


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """SIGINT and SIGTERM unwind what runs, so that what is being written ends whole or is removed."""
    name, code = ("interrupted", 130) if number == signal.SIGINT else ("terminated", 143)
    raise Interrupted(f"{name}; frames that are done stay, and the same command goes on from there", code)


def main() -> NoReturn:
    """Run the command line and exit with the contract's codes."""
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGTERM, _stop)
    try:
        cli.main(standalone_mode=False)
        code = 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = 2
    except click.ClickException as error:
        _say(f"{error.format_message()}; see 'reage --help'")
        code = 2
    except (Exception, Interrupted) as error:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the end is near, and is told in one line
        if os.environ.get("REAGE_DEBUG") == "1":
            traceback.print_exception(error)
        code, line = _verdict(error)
        _say(line)
    sys.stdout.flush()
    sys.exit(code)


def _say(line: str) -> None:
    click.echo("reage: " + " ".join(line.splitlines()), err=True)


if __name__ == "__main__":
    main()
