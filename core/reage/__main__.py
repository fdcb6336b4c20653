"""The command line: the only place that exits."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn


def _early(number: int, _: object) -> None:
    """A signal while modules are loaded: nothing was begun, nothing has to be undone."""
    os.write(2, b"reage: stopped before anything was begun\n")
    os._exit(128 + number)


if __name__ == "__main__" or Path(sys.argv[0]).stem == "reage":  # as a command, by either name
    signal.signal(signal.SIGINT, _early)
    signal.signal(signal.SIGTERM, _early)

import click

from reage.errors import Interrupted, RequestError
from reage.farm.command import farm
from reage.job import Job, dump_job
from reage.models_command import models
from reage.options import CHANGE, LOOK, PLATE, TALK, WHAT, WRITE, add_options, given_fields, job_of
from reage.report import report, verdict
from reage.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="reage")
def cli() -> None:
    """Re-age faces in film plates."""


cli.add_command(farm)
cli.add_command(models)


@cli.command()
@click.argument("plate", required=False)
@click.option("-o", "--output", metavar="OUT", help="Pattern such as out.%04d.exr, or a movie.")
@click.option("--job", "job_file", metavar="FILE", help="A job file; options given beside it win.")
@click.option("--stills", is_flag=True, default=None, help="PLATE is a folder of unrelated pictures, OUT another.")
@add_options(PLATE, WHAT, CHANGE, LOOK, WRITE, TALK)
def run(job_file: str | None, **given: Any) -> None:
    """Analyse PLATE once, then re-age it."""
    wanted = job_of(job_file, given)
    from reage.pipeline import run as run_job  # after the job: a slip of the pen is told before torch is loaded

    _follow(wanted, run_job)


@cli.command()
@click.argument("plate", required=False)
@click.option("--tracks", metavar="FILE", help="From 'reage analyse'.")
@click.option("-o", "--output", metavar="OUT", help="Pattern such as out.%04d.exr, or a movie.")
@click.option("--job", "job_file", metavar="FILE", help="A job file; options given beside it win.")
@add_options(PLATE, WHAT, CHANGE, LOOK, WRITE, TALK)
def render(job_file: str | None, **given: Any) -> None:
    """Re-age PLATE, or any sub-range of it, from a tracks file."""
    wanted = job_of(job_file, given)
    if wanted.tracks is None:
        raise RequestError("render needs --tracks FILE; 'reage analyse' makes one")
    from reage.pipeline import render as render_job

    _follow(wanted, render_job)


@cli.command()
@click.argument("plate")
@click.option("--tracks", required=True, metavar="FILE", help="Where to write the tracks.")
@add_options(PLATE, TALK)
def analyse(**given: Any) -> None:
    """Find, identify and track the faces of PLATE; settle exposure and source ages."""
    # An analysis makes no picture: output and age are placeholders that it never reads.
    wanted = Job.make(**given_fields(given), output="unused.%04d.exr", age=70)
    from reage.pipeline import analyse as analyse_job

    _follow(wanted, analyse_job)


@cli.command()
@click.argument("plate")
@click.option("--frame", type=int, metavar="N", help="[the first]")
@click.option("--ages", required=True, metavar="A,B,…", help="For instance 10,20,30,40,50,60,70,80,90.")
@click.option("-o", "--output", required=True, metavar="SHEET", help="A PNG or JPEG.")
@click.option("--tracks", metavar="FILE", help="From 'reage analyse' or 'run' [SHEET's stem.tracks.json, analysed].")
@click.option("--overwrite", is_flag=True, default=None, help="Replace a foreign file.")
@add_options(PLATE, CHANGE, LOOK, TALK)
def sheet(frame: int | None, output: str, **given: Any) -> None:
    """Show one frame of PLATE at several ages, side by side, labelled."""
    # A sheet writes no frames: their name is a placeholder that it never reads.
    wanted = Job.make(**given_fields(given), output="unused.{age}.%04d.exr")
    from reage.sheet import sheet as make_sheet

    report(make_sheet(wanted, Path(output), frame), wanted.progress, wanted.log)


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE…")
@click.option("-o", "--output", required=True, metavar="OUT", help="A file; for several a folder, or holding {name}.")
@click.option("--age", type=float, metavar="A", help="Years.")
@click.option("--ages", metavar="A,B,…", help="Several outputs; the output name holds {age}.")
@click.option("--compression", metavar="NAME", help="Of EXR outputs [the input's].")
@click.option("--on-error", type=click.Choice(["stop", "skip"]), help="Crops that fail [stop].")
@click.option("--overwrite", is_flag=True, default=None, help="Replace foreign files.")
@add_options(PLATE, CHANGE, TALK)
def crop(images: tuple[str, ...], age: float | None, **given: Any) -> None:
    """Re-age crops that are aligned already (FFHQ convention); nothing is detected."""
    wanted = Job.make(**given_fields(given), plate=images[0], **({} if age is None else {"age": age}))
    from reage.crop import crop as re_age

    report(re_age(wanted, images), wanted.progress, wanted.log)


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
@add_options(TALK)
def demo(output: str, **given: Any) -> None:
    """Re-age the bundled shot; writes EXRs, a side-by-side movie and a contact sheet."""
    from reage.demo import demo as run_demo

    kind = given.get("progress") or "auto"
    made: dict[str, Any] = {}

    def watched() -> Iterator[Mapping[str, Any]]:
        for event in run_demo(Path(output)):
            made.update(event.get("paths", {}))
            yield event

    report(watched(), kind, given.get("log"))
    if kind not in ("json", "openjd"):
        for name, path in made.items():
            click.echo(f"{name}: {path if isinstance(path, str) else ', '.join(path)}")


@cli.command()
@click.argument("tracks", metavar="TRACKS")
@click.option("-o", "--output", required=True, metavar="OUT.nk", help="The snippet.")
@click.option("--kind", type=click.Choice(["cornerpin", "tracker", "stmap"]), help="[cornerpin]")
@click.option("--face", default="all", metavar="ID,…", help="[all]")
@click.option("--stmap", metavar="PATTERN", help="Write maps as EXRs, such as st.%04d.exr, and nodes that read them.")
@click.option("--plate", metavar="PLATE", help="Needed where its display window does not begin at (0, 0).")
@click.option("--overwrite", is_flag=True, help="Replace foreign files.")
@add_options(TALK)
def nodes(tracks: str, output: str, progress: str | None, log: str | None, **given: Any) -> None:
    """Write the alignment of TRACKS as nodes for Nuke: paint on the stabilised face, put it back."""
    from reage.nodes import write_nodes
    from reage.tracks import load_tracks

    report(write_nodes(load_tracks(Path(tracks)), Path(output), **given), progress or "auto", log)


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


@cli.command()
def worker() -> None:
    """Serve a panel: JSON lines on standard input and output."""
    from reage.worker import serve

    serve()


def _follow(job: Job, call: Callable[[Job], Iterable[Mapping[str, Any]]]) -> None:
    report(call(job), job.progress, job.log)


def _stop(number: int, frame: FrameType | None) -> None:
    """SIGINT and SIGTERM unwind what runs, so that what is being written ends whole or is removed."""
    if _is_importing(frame):  # libraries that are interrupted while they load abort, or make another error of it
        again = threading.Timer(0.05, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()
        return
    name, code = ("interrupted", 130) if number == signal.SIGINT else ("terminated", 143)
    raise Interrupted(f"{name}; frames that are done stay, and the same command goes on from there", code)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


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
        code, line = verdict(error)
        _say(line)
    sys.stdout.flush()
    sys.exit(code)


def _say(line: str) -> None:
    click.echo("reage: " + " ".join(line.splitlines()), err=True)


if __name__ == "__main__":
    try:
        main()
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(int(end.code or 0))  # all is written and closed; to take torch apart would cost half a second
