#!/usr/bin/env python3
"""Installs Reage: its private environment in this checkout, and its plug-in into Nuke.

    python3 install.py                    make .venv/, and have Nuke load the plug-in from here (~/.nuke/init.py)
    python3 install.py --uninstall        take the plug-in out again; ~/.nuke is as it was before
    python3 install.py --print-env        print what a launcher sets instead; touches nothing
    python3 install.py env                make .venv/ alone and print the path of its Python
    python3 install.py demo [args ...]    make it, then re-age the bundled shot into ./demo_output
    python3 install.py test [args ...]    make it, then run the tests with pytest
    python3 install.py doctor             say what is there and what mends what is not

Needs Python 3.9 or later, and one of Python 3.11 to 3.13 for the environment, which it looks for. Everything is
installed from requirements.lock. Only `install.py` without a command changes files outside the checkout: a marked block
in Nuke's init.py (after a copy of it was made) and one settings file, which tells the plug-in where the environment is.
A second run finds nothing to do.
"""

from __future__ import annotations  # where this line is an error: install.py needs Python 3.9 or later

import argparse
import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
TEST_LOCK = ROOT / "requirements-test.lock"
STAMP = "reage-stamp.json"
TEST_STAMP = "reage-test-stamp"
COMMANDS = ("env", "demo", "test", "doctor")
OLDEST = (3, 9)
ROOM = 2 * 10**9
"""Bytes; the smallest environment (torch for the processor) takes a little less."""
SUPPORTED = ((3, 11), (3, 12), (3, 13))

INDEXES = {"cpu": "https://download.pytorch.org/whl/cpu", "cuda": "https://download.pytorch.org/whl/cu130"}
MEND_CUDA = "python3 install.py env --torch cuda"

PROBE = (
    "import sys, json, venv, ensurepip; "
    "print(json.dumps([sys.version_info[0], sys.version_info[1], sys.maxsize > 2**32, sys.version.split()[0]]))"
)
TORCH_PROBE = (
    "import json, torch; "
    "print(json.dumps([torch.__version__, torch.version.cuda, "
    "torch.cuda.get_device_name(0) if torch.cuda.is_available() else None]))"
)
NETWORK_SIGNS = (
    "NewConnectionError",
    "NameResolutionError",
    "name resolution",
    "Network is unreachable",
    "ConnectTimeoutError",
    "Connection refused",
    "ProxyError",
    "Connection broken",
    "Read timed out",
)
SHOWN = ("Collecting ", "Downloading ", "Installing ")


class InstallError(Exception):
    """What went wrong, where, and what to do, in one line."""


def main(arguments: list[str]) -> int:
    """Carry out one command and answer the exit status."""
    check_version(sys.version_info[:2])
    options, rest = parse(arguments)
    if options.command is None:
        return install(options)
    if options.command == "doctor":
        return doctor(options, rest)
    if options.command == "env" and rest:
        raise InstallError(f"'env' takes no such argument: {' '.join(rest)}")
    folder = full_path(options.venv) if options.venv else ENVIRONMENT
    python = ensure_environment(options.torch, folder, options.wheelhouse)
    if options.command == "env":
        say(str(python))
        return 0
    if options.command == "test":
        ensure_test_packages(folder, options.wheelhouse)
        return run([str(python), "-m", "pytest", *rest], ROOT)
    named = any(item in ("-o", "--output") or item.startswith(("-o", "--output=")) for item in rest)
    return run([str(python), "-m", "reage", "demo", *([] if named else ["-o", "demo_output"]), *rest], Path.cwd())


def answer(arguments: list[str]) -> int | str:
    """Carry out one command; answers its exit status, or the line that says what went wrong."""
    try:
        return main(arguments)
    except InstallError as failed:
        return f"install.py: {failed}"
    except OSError as failed:
        return f"install.py: {failed.filename or 'a file'}: {why(failed)}"


def check_version(version: Sequence[int]) -> None:
    """Refuse a Python that is too old for this file."""
    if tuple(version[:2]) < OLDEST:
        here = ".".join(str(number) for number in version[:2])
        raise InstallError(f"Python {here} is too old for install.py: start it with Python 3.9 or later")


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the command line into our options and what goes on to the demo or to pytest, in its order."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours, others = arguments[:end], arguments[end + 1 :]
    if "-h" in ours or "--help" in ours:
        install_parser().parse_args(["--help"])
    options, rest = environment_parser().parse_known_args(ours)
    if rest and rest[0] in COMMANDS:
        options.command = rest.pop(0)
        return options, rest + others
    options = install_parser().parse_args(ours + others)
    options.command = None
    return options, []


def environment_parser() -> argparse.ArgumentParser:
    """What every command takes."""
    parser = argparse.ArgumentParser(prog="install.py", add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--torch",
        metavar="auto|cpu|cuda|PATH_OR_INDEX",
        help="which build of torch: auto takes what the package index gives, cpu and cuda take PyTorch's own index; "
        "or a wheel, a folder of wheels, or the address of an index [what was chosen before, at first auto]",
    )
    parser.add_argument("--venv", metavar="DIR", help="where the environment is; one per machine [.venv]")
    parser.add_argument("--wheelhouse", metavar="DIR", help="take all packages from this folder, without a network")
    return parser


def install_parser() -> argparse.ArgumentParser:
    """What `install.py` takes without a command; its help tells the commands as well."""
    summary, _, _ = (__doc__ or "").partition("\n\nNeeds")
    parser = argparse.ArgumentParser(
        prog="install.py",
        usage="install.py [options] [env | demo | test | doctor] [args ...]",
        description=summary,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[environment_parser()],
    )
    parser.add_argument("--nuke-dir", metavar="DIR", help="whose init.py gets the block [~/.nuke]")
    parser.add_argument("--dry-run", action="store_true", help="say each step and change nothing")
    parser.add_argument("--venv-too", action="store_true", help="with --uninstall: remove the environment as well")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--uninstall", action="store_true", help="take the plug-in out of Nuke again")
    what.add_argument("--print-env", action="store_true", help="print what a launcher sets instead of an init.py")
    return parser


# ---- the environment -------------------------------------------------------------------------------------------------


def ensure_environment(
    torch: str | None, folder: Path | None = None, wheelhouse: str | None = None, dry: bool = False
) -> Path:
    """Make the environment where it is missing, unfinished or of another lock, and answer its Python.

    `torch` is what `--torch` says; None keeps what was chosen before. `dry` says what would be done.

    The stamp says `begun` until all is done: an environment without a valid one was interrupted, and is made anew,
    since pip cannot tell a half-installed package from a whole one.
    """
    folder = folder or ENVIRONMENT
    stamp = read_stamp(folder)
    wanted = wanted_stamp(absolute(torch) if torch else stamp["torch"] if stamp else "auto")
    python = environment_python(folder)
    if stamp == wanted and works(python):
        say(f"{folder} is up to date: nothing to do")
        return python
    source = package_source(wanted["torch"], wheelhouse)
    base = find_python()
    check_is_ours(folder)
    check_rights(folder, "give another folder with --venv")
    check_room(folder)
    if dry:
        say(f"would make {folder} with {base} and install the pinned packages in it")
        return python
    make_environment(folder, base, source)
    write_stamp(folder, wanted)
    say(device_line(python))
    return python


def make_environment(folder: Path, base: str, source: list[str]) -> None:
    """Make an environment and install everything in it."""
    say(f"making {folder} with {base}")
    if folder.exists():
        (folder / STAMP).write_text("begun", encoding="utf-8")
    step([base, "-m", "venv", "--clear", str(folder)], "the environment cannot be made")
    (folder / STAMP).write_text("begun", encoding="utf-8")
    say("installing the pinned packages: some minutes the first time")
    pip = pip_install(folder)
    step([*pip, "-r", str(LOCK), *source], "the packages cannot be installed")
    step([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], "reage itself cannot be installed")


def ensure_test_packages(folder: Path, wheelhouse: str | None = None) -> None:
    """Add what only the tests need.

    The stamp says `begun` meanwhile: what was interrupted, or is of another lock, is installed over.
    """
    stamp = folder / TEST_STAMP
    try:
        wanted = hashlib.sha256(TEST_LOCK.read_bytes()).hexdigest()
    except OSError as error:
        raise InstallError(f"{TEST_LOCK} cannot be read: get the whole checkout again") from error
    there = stamp.read_text(encoding="utf-8") if stamp.is_file() else None
    if there == wanted:
        return
    say("adding the packages of the tests")
    stamp.write_text("begun", encoding="utf-8")
    again = ["--force-reinstall"] if there is not None else []
    source = package_source("auto", wheelhouse)
    pip = [*pip_install(folder), "--no-deps", *again]
    step([*pip, "-r", str(TEST_LOCK), *source], "the packages of the tests cannot be installed")
    stamp.write_text(wanted, encoding="utf-8")


def pip_install(folder: Path) -> list[str]:
    """The command that installs into an environment."""
    python = str(environment_python(folder))
    return [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--retries", "2"]


def environment_python(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / python_within(os.name)


def python_within(system: str) -> PurePath:
    """Where an environment's Python lies in it; `system` is an `os.name`."""
    return PurePath("Scripts", "python.exe") if system == "nt" else PurePath("bin", "python")


def check_is_ours(folder: Path) -> None:
    """Refuse to clear a folder that is no environment, or an environment elsewhere that was not made by this file."""
    ours = (folder / (STAMP if folder != ENVIRONMENT else "pyvenv.cfg")).is_file()
    if folder.exists() and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise InstallError(f"{folder} is in the way and is not a Python environment of Reage: move it away")


def check_room(folder: Path) -> None:
    """Refuse a disk on which the environment has no room."""
    free = shutil.disk_usage(nearest(folder)).free
    if free < ROOM:
        raise InstallError(
            f"{nearest(folder)} has room for {free / 1e9:.1f} GB and the environment takes {ROOM / 1e9:.0f} GB or "
            "more: make room, or give a folder on another disk with --venv"
        )


def package_source(torch: str, wheelhouse: str | None) -> list[str]:
    """The arguments that tell pip where packages come from."""
    if wheelhouse is None:
        return torch_source(torch)
    folder = full_path(wheelhouse)
    if not any(folder.glob("*.whl")):
        raise InstallError(
            f"--wheelhouse {wheelhouse}: no folder with wheels; 'python3.11 -m pip wheel -w "
            "DIR -r requirements.lock' fills one where there is a network"
        )
    if torch in INDEXES or torch.startswith(("http://", "https://", "file://")):
        raise InstallError(f"--torch {torch} needs a network: have that build in the wheelhouse and say --torch auto")
    return ["--no-index", "--find-links", str(folder), *torch_source(torch)]


def absolute(choice: str) -> str:
    """What `--torch` says, so that it means the same in another folder."""
    path = Path(choice).expanduser()
    return str(path.resolve()) if choice != "auto" and choice not in INDEXES and path.exists() else choice


def torch_source(choice: str) -> list[str]:
    """The arguments that tell pip where torch comes from."""
    if choice == "auto":
        return []
    if choice in INDEXES or choice.startswith(("http://", "https://", "file://")):
        return ["--extra-index-url", INDEXES.get(choice, choice)]
    path = Path(choice)
    if path.is_dir():
        return ["--find-links", choice]
    if path.suffix == ".whl" and path.is_file():
        return [choice]
    raise InstallError(f"--torch {choice}: neither auto, cpu, cuda, a wheel, a folder of wheels nor an index's address")


# ---- the stamp -------------------------------------------------------------------------------------------------------


def wanted_stamp(torch: str) -> dict[str, str]:
    """What the finished environment is made from."""
    digest = hashlib.sha256()
    for name in (LOCK, ROOT / "pyproject.toml"):
        try:
            digest.update(name.read_bytes())
        except OSError as error:
            raise InstallError(f"{name} cannot be read: get the whole checkout again") from error
    return {"packages": digest.hexdigest(), "torch": torch, "root": str(ROOT)}


def read_stamp(folder: Path) -> dict[str, str] | None:
    """What an environment says it was made from; None where the stamp is missing or damaged."""
    try:
        stamp = json.loads((folder / STAMP).read_text(encoding="utf-8"))
        return {key: str(stamp[key]) for key in ("packages", "torch", "root")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_stamp(folder: Path, stamp: dict[str, str]) -> None:
    """Write the stamp at once or not at all."""
    beside = folder / (STAMP + ".tmp")
    beside.write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    beside.replace(folder / STAMP)


# ---- Python ----------------------------------------------------------------------------------------------------------


def find_python() -> str:
    """The path of a Python that the environment can be made with, 3.11 before 3.12 before 3.13."""
    for command in candidates():
        if is_supported(probe(command)):
            return executable(command)
    wanted = " or ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
    raise InstallError(f"no Python {wanted} (64 bits, with venv) found: install one, so that 'python3.11' finds it")


def candidates() -> list[list[str]]:
    """Commands that may start a supported Python, best first."""
    commands: list[list[str]] = []
    for major, minor in SUPPORTED:
        found = shutil.which(f"python{major}.{minor}")
        commands += [[found]] if found else []
        if sys.version_info[:2] == (major, minor):
            commands.append([sys.executable])
        launcher = shutil.which("py") if os.name == "nt" else None
        commands += [[launcher, f"-{major}.{minor}"]] if launcher else []
        usual = Path(f"/usr/bin/python{major}.{minor}")  # where a version manager's shim hides it
        commands += [[str(usual)]] if usual.is_file() else []
    return commands


def probe(command: list[str]) -> list[Any] | None:
    """What a Python says of itself: major, minor, 64 bits, version; None where it does not start or has no venv."""
    answer = ask([*command, "-c", PROBE])
    facts: list[Any] | None = json.loads(answer) if answer else None
    return facts


def is_supported(facts: list[Any] | None) -> bool:
    """Whether a Python's answer makes it fit for the environment."""
    return facts is not None and (facts[0], facts[1]) in SUPPORTED and bool(facts[2])


def executable(command: list[str]) -> str:
    """The real path behind a launcher or a version manager's shim."""
    return ask([*command, "-c", "import sys; print(sys.executable)"]) or command[0]


def works(python: Path) -> bool:
    """Whether the environment's Python still starts; it does not once the Python it was made with is gone."""
    return python.is_file() and ask([str(python), "-c", "print('yes')"]) == "yes"


def device_line(python: Path) -> str:
    """One line on whether torch can use the GPU that is there, and the command that mends it."""
    answer = ask([str(python), "-c", TORCH_PROBE], seconds=300)
    if not answer:
        raise InstallError(f"torch does not start: run '{python} -c \"import torch\"' to see why")
    version, cuda, device = json.loads(answer)
    if device:
        return f"torch {version} can use the GPU: {device}"
    present = gpu_name()
    if present is None:
        return f"torch {version}; no NVIDIA GPU found, work is done on the processor"
    if cuda is None:
        return f"torch {version} cannot use the GPU ({present}), it is a build without CUDA; to mend it: {MEND_CUDA}"
    return (
        f"torch {version} cannot use the GPU ({present}), its driver is too old for CUDA {cuda}; to mend it: update "
        "the driver, or take an older CUDA: python3 install.py env --torch https://download.pytorch.org/whl/cu126"
    )


def gpu_name() -> str | None:
    """The first NVIDIA GPU that the driver knows."""
    tool = shutil.which("nvidia-smi")
    names = ask([tool, "--query-gpu=name", "--format=csv,noheader"], seconds=30) if tool else None
    return names.splitlines()[0].strip() if names else None


# ---- the plug-in in Nuke ---------------------------------------------------------------------------------------------

START, END = "# >>> reage >>>", "# <<< reage <<<"
BLOCK = """# >>> reage >>>
# Added by Reage's install.py (NOTE); "python3 install.py --uninstall" takes it out again.
try:
    import nuke

    if nuke.NUKE_VERSION_MAJOR >= 14:
        nuke.pluginAddPath(PLUGIN)
except BaseException:  # whatever is broken here, Nuke starts
    import traceback

    traceback.print_exc()
# <<< reage <<<
"""
NOTE = re.compile(r"install\.py \((.*?)\);")
PLAIN, LINE_END, FILE, FOLDER = "only this block", "and a line end before it", "with the file", "with file and folder"
"""What was added to `~/.nuke`, so that just that is taken away again."""


class Place(NamedTuple):
    """Where things go on this machine."""

    nuke: Path  # the folder whose init.py gets the block
    settings: Path  # the file that tells the plug-in where the environment is
    environment: Path


class Change(NamedTuple):
    """A file that gets another content; None stands for no file."""

    path: Path
    before: bytes | None
    after: bytes | None
    words: str


def install(options: argparse.Namespace) -> int:
    """Install, uninstall, or tell what a launcher sets."""
    place = place_of(options)
    if options.print_env:
        return print_variables(place)
    if options.venv_too and not options.uninstall:
        raise InstallError("--venv-too goes with --uninstall")
    if options.uninstall:
        return uninstall(place, options.venv_too, options.dry_run)
    check_user(options.nuke_dir is not None)
    changes = install_changes(place)  # refuses what cannot work now, and not after minutes
    ensure_environment(options.torch, place.environment, options.wheelhouse, options.dry_run)
    if options.dry_run:
        tell(changes)
        return 0
    changes = install_changes(place)
    carry_out(changes)
    say(f"Nuke loads Reage from {ROOT}" if changes else f"Nuke loads Reage from {ROOT} already: nothing to do")
    return 0


def print_variables(place: Place) -> int:
    """Print the variables that have Nuke load the plug-in without any file changed."""
    python = environment_python(place.environment)
    say(f"NUKE_PATH={plugin_path(ROOT)}")
    say(f"REAGE_PYTHON={python}")
    if not python.is_file():
        print(f"install.py: {python} is not there yet; 'python3 install.py env' makes it", file=sys.stderr)
    return 0


def doctor(options: argparse.Namespace, rest: list[str]) -> int:
    """Run `reage doctor` in the environment."""
    options.nuke_dir = None
    folder = place_of(options).environment
    if read_stamp(folder) is None or not works(environment_python(folder)):
        raise InstallError(f"no environment in {folder}, or an unfinished one: 'python3 install.py env' makes it")
    return run([str(environment_python(folder)), "-m", "reage", "doctor", *rest], Path.cwd())


# ---- where things are ------------------------------------------------------------------------------------------------


def place_of(options: argparse.Namespace) -> Place:
    """Where things go; the environment is the one that was installed with last, unless `--venv` says another."""
    nuke = full_path(options.nuke_dir) if options.nuke_dir else Path(nuke_folder(os.name, os.environ, Path.home()))
    settings = settings_file(os.environ, Path.home())
    known = read_settings(settings)
    environment = ENVIRONMENT
    if options.venv:
        environment = full_path(options.venv)
    elif isinstance(known.get("python"), str):
        installed = Path(known["python"]).parent.parent
        environment = installed if (read_stamp(installed) or {}).get("root") == str(ROOT) else ENVIRONMENT
    return Place(nuke, settings, environment)


def nuke_folder(system: str, environ: Mapping[str, str], home: PurePath) -> PurePath:
    """The user's folder that Nuke reads: in the home folder, on Windows in %HOME% where that is set.

    `system` is an `os.name`.
    """
    base = environ.get("HOME") if system == "nt" else None
    return (type(home)(base) if base else home) / ".nuke"


def settings_file(environ: Mapping[str, str], home: Path) -> Path:
    """The file that the plug-in reads: $REAGE_CONFIG, else .reage/settings.json in the home folder."""
    named = environ.get("REAGE_CONFIG")
    return full_path(named) if named else home / ".reage" / "settings.json"


def plugin_path(root: PurePath) -> str:
    """The plug-in's folder as Nuke wants it, with forward slashes on every system."""
    return (root / "nuke_plugin").as_posix()


def full_path(name: str) -> Path:
    """A path that means the same in another folder; links are left as they are."""
    return Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111


def nearest(path: Path) -> Path:
    """A path, or the closest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


# ---- what is refused -------------------------------------------------------------------------------------------------


def check_user(chosen: bool) -> None:
    """Refuse root by way of sudo, whose `~/.nuke` is not the artist's; `chosen` is whether a folder was named."""
    if not chosen and effective_user() == 0 and os.environ.get("SUDO_UID", "0") != "0":
        who = os.environ.get("SUDO_USER", "yourself")
        raise InstallError(f"this runs as root: run it without sudo as {who}, or name the folder with --nuke-dir")


def effective_user() -> int | None:
    """The number of the user; None on Windows."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def check_rights(path: Path, remedy: str) -> None:
    """Refuse a place that this user cannot write; a file is replaced, so its folder is looked at as well."""
    there = nearest(path)
    if path != there and not there.is_dir():
        raise InstallError(f"{there} is a file and {path} should lie in it: move it away, or {remedy}")
    for place in (there,) if there.is_dir() else (there, there.parent):
        if not os.access(place, os.W_OK):
            raise InstallError(f"{place} cannot be written by this user: have its rights changed, or {remedy}")


def check_owner(path: Path) -> None:
    """Refuse as root to leave files in a folder of another user, who could not change them then."""
    there = nearest(path)
    owner = there.stat().st_uid
    if effective_user() == 0 and owner != 0:
        raise InstallError(f"this runs as root and {there} is another user's (number {owner}): run it as that user")


def read_init(folder: Path) -> tuple[Path, bytes | None]:
    """Nuke's init.py, behind a link where it is one, and its content; None where it is not there."""
    remedy = "give another folder with --nuke-dir"
    if folder.exists() and not folder.is_dir():
        raise InstallError(f"{folder} is a file and not a folder: move it away, or {remedy}")
    if folder.is_symlink() and not folder.exists():
        raise InstallError(f"{folder} is a link to nothing: mend or remove the link, or {remedy}")
    path = Path(os.path.realpath(folder / "init.py"))
    if (folder / "init.py").is_symlink() and not path.exists():
        raise InstallError(f"{folder / 'init.py'} is a link to {path}, which is not there: mend or remove the link")
    if path.exists() and not path.is_file():
        raise InstallError(f"{path} is not a file: move it away, or {remedy}")
    check_owner(path)
    check_rights(path, remedy)
    check_rights(folder, remedy)
    try:
        content = path.read_bytes() if path.exists() else None
        (content or b"").decode("utf-8")
    except OSError as error:
        raise InstallError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InstallError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8 first") from error
    return path, content


def read_settings(path: Path) -> dict[str, Any]:
    """The settings file's content; empty where it is not there.

    Raises:
        InstallError: it is another kind of file.
    """
    try:
        settings = json.loads(path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise InstallError(f"{path} is no settings file of Reage ({error}): move it away first") from error
    if not isinstance(settings, dict):
        raise InstallError(f"{path} is no settings file of Reage: move it away first")
    return settings


# ---- the block -------------------------------------------------------------------------------------------------------


def block(plugin: str, note: str, newline: str) -> str:
    """The lines that have Nuke load the plug-in: ASCII, in the file's own kind of line end."""
    return BLOCK.replace("NOTE", note).replace("PLUGIN", ascii(plugin)).replace("\n", newline)


def parted(text: str, path: Path) -> tuple[str, str, str]:
    """What stands before the block, the block, and what stands after it; all of it before where there is no block.

    Raises:
        InstallError: the block has lost its beginning or its end, or there are two.
    """
    lines = text.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + lines[-1:]
    starts, ends = ([i for i, line in enumerate(lines) if line.strip() == mark] for mark in (START, END))
    if not starts and not ends:
        return text, "", ""
    if len(starts) != 1 or len(ends) != 1 or ends[0] < starts[0]:
        at = ", ".join(str(i + 1) for i in sorted(starts + ends))
        raise InstallError(f"{path}: the block of Reage is damaged (lines {at}): delete it by hand first")
    first, beyond = starts[0], ends[0] + 1
    return "".join(lines[:first]), "".join(lines[first:beyond]), "".join(lines[beyond:])


def block_in(content: bytes, path: Path) -> str:
    """The block that an init.py holds; empty where there is none."""
    return parted(content.decode("utf-8"), path)[1]


def with_block(content: bytes | None, plugin: str, path: Path, folder_there: bool = True) -> bytes:
    """The content of an init.py with the block in it, at the end or where it was."""
    text = (content or b"").decode("utf-8")
    before, old, after = parted(text, path)
    newline = "\r\n" if "\r\n" in text else "\n"
    if old:
        note = note_of(old)
    elif content is None:
        note = FILE if folder_there else FOLDER
    else:
        note = LINE_END if before and not before.endswith("\n") else PLAIN
        before += newline if note == LINE_END else ""
    return (before + block(plugin, note, newline) + after).encode("utf-8")


def without_block(content: bytes, path: Path) -> bytes | None:
    """The content of an init.py without the block; None where the file was made for it and holds nothing else."""
    before, old, after = parted(content.decode("utf-8"), path)
    note = note_of(old)
    if note == LINE_END and not after:
        before = before[:-2] if before.endswith("\r\n") else before[:-1]
    left = (before + after).encode("utf-8")
    return None if not left and note in (FILE, FOLDER) else left


def note_of(text: str) -> str:
    """What a block says was added with it."""
    found = NOTE.search(text)
    return found[1] if found else PLAIN


# ---- what is changed -------------------------------------------------------------------------------------------------


def install_changes(place: Place) -> list[Change]:
    """The files to change so that Nuke loads the plug-in; empty where all is as it should be.

    Raises:
        InstallError: something is in the way.
    """
    if not (ROOT / "nuke_plugin" / "init.py").is_file():
        raise InstallError(f"{ROOT / 'nuke_plugin'} is not whole: get the whole checkout again")
    path, content = read_init(place.nuke)
    wanted = with_block(content, plugin_path(ROOT), path, place.nuke.is_dir())
    changes = [settings_change(place)]
    if content is not None and not block_in(content, path):
        backup = backup_of(place.nuke)
        changes.append(Change(backup, file_bytes(backup), content, f"keep a copy of {path} as"))
    changes.append(Change(path, content, wanted, "write the block of Reage into"))
    return [change for change in changes if change.before != change.after]


def settings_change(place: Place) -> Change:
    """The settings file as the plug-in needs it; what else is in it stays."""
    check_owner(place.settings)
    check_rights(place.settings, "name another file in REAGE_CONFIG")
    known = read_settings(place.settings)
    python = str(environment_python(place.environment))
    wanted = {**known, "python": python, "root": str(ROOT), "version": product_version()}
    before = file_bytes(place.settings)
    after = before if wanted == known else (json.dumps(wanted, indent=1) + "\n").encode()
    return Change(place.settings, before, after, "write the settings file")


def uninstall(place: Place, environment_too: bool, dry: bool) -> int:
    """Take the plug-in out of Nuke; what was not made by the installation stays byte for byte."""
    changes, folders = uninstall_changes(place)
    remove = environment_too and place.environment.exists()
    if remove and (read_stamp(place.environment) or {}).get("root") != str(ROOT):
        raise InstallError(f"{place.environment} was not made from this checkout: remove it by hand")
    if dry:
        tell(changes)
        say(f"would remove {place.environment}" if remove else "would leave the environment as it is")
        return 0
    carry_out(changes)
    for folder in folders:
        with contextlib.suppress(OSError):  # where it is not empty, it is in use
            folder.rmdir()
    if remove:
        shutil.rmtree(place.environment)
        say(f"removed {place.environment}")
    if not changes and not remove:
        say(f"Reage is not in {place.nuke}: nothing to do; if it was installed elsewhere, name that with --nuke-dir")
    return 0


def uninstall_changes(place: Place) -> tuple[list[Change], list[Path]]:
    """The files to change so that Reage is gone, and the folders that were made for them."""
    changes, folders = [], []
    path, content = read_init(place.nuke)
    if content is not None and block_in(content, path):
        left = without_block(content, path)
        changes.append(Change(path, content, left, "take the block of Reage out of" if left is not None else "remove"))
        copy = file_bytes(backup_of(place.nuke))
        if copy is not None and copy == left:
            changes.append(Change(backup_of(place.nuke), copy, None, "remove the copy"))
        folders += [place.nuke] if note_of(block_in(content, path)) == FOLDER else []
    known = file_bytes(place.settings)
    if known is not None:
        read_settings(place.settings)
        check_rights(place.settings, "name another file in REAGE_CONFIG")
        changes.append(Change(place.settings, known, None, "remove the settings file"))
        folders += [place.settings.parent] if place.settings.parent.name == ".reage" else []
    return changes, folders


def backup_of(folder: Path) -> Path:
    """Where the init.py is kept as it was."""
    return folder / "init.py.before-reage"


def product_version() -> str:
    """The version that the checkout holds."""
    text = file_bytes(ROOT / "core" / "reage" / "version.py") or b""
    found = re.search(rb'__version__ = "(.+?)"', text)
    if found is None:
        raise InstallError(f"{ROOT / 'core'} is not whole: get the whole checkout again")
    return found[1].decode()


def file_bytes(path: Path) -> bytes | None:
    """A file's content; None where it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InstallError(f"{path} cannot be read: {error.strerror}") from error


def tell(changes: list[Change]) -> None:
    """Say what would be done."""
    for change in changes:
        say(f"would {change.words} {change.path}")
    if not changes:
        say("would change no file: nothing to do")


def carry_out(changes: list[Change]) -> None:
    """Make all changes, or none: where one fails, those before it are taken back."""
    done: list[Change] = []
    made: list[Path] = []
    change = None
    try:
        for change in changes:
            for folder in missing(change.path.parent):
                folder.mkdir()
                made.append(folder)
            write(change.path, change.after)
            done.append(change)
    except BaseException as error:
        left = take_back(done, made)
        if isinstance(error, OSError) and change is not None:
            end = f"could not be put back: {', '.join(left)}" if left else "nothing was changed"
            raise InstallError(f"{change.path} cannot be written: {why(error)}; {end}") from error
        raise
    for change in changes:
        say(f"{change.words} {change.path}: done")


def take_back(done: list[Change], made: list[Path]) -> list[str]:
    """Undo changes, the last first; answers what could not be undone."""
    left = []
    for change in reversed(done):
        try:
            write(change.path, change.before)
        except OSError:
            left.append(str(change.path))
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            folder.rmdir()
    return left


def missing(folder: Path) -> list[Path]:
    """A folder and those above it as far as they are not there, the highest first."""
    return [path for path in (folder, *folder.parents) if not path.exists()][::-1]


def write(path: Path, content: bytes | None) -> None:
    """Give a file its content at once or not at all, with the rights that it had; None removes it."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    with beside(path) as temporary:
        temporary.write_bytes(content)
        if path.exists():
            shutil.copymode(path, temporary)
        temporary.replace(path)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file to write in the same folder, which is gone at the end."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def why(error: OSError) -> str:
    """The reason for a failed write, and what to do."""
    if error.errno == errno.ENOSPC:
        return "the disk is full; make room, then run this again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "this user has no right to; have the rights changed, then run this again"
    return error.strerror or str(error)


# ---- processes -------------------------------------------------------------------------------------------------------


def clean_environment() -> dict[str, str]:
    """This process's variables without those that would make a Python load or install something else."""
    harmful = ("PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV")
    kept = {name: value for name, value in os.environ.items() if name not in harmful and name != "__PYVENV_LAUNCHER__"}
    return {**kept, "PYTHONNOUSERSITE": "1"}


def ask(command: list[str], seconds: float = 60.0) -> str | None:
    """A command's output without blanks around it; None where it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, env=clean_environment()
        )
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def step(command: list[str], failure: str) -> None:
    """Run one step of the installation, showing the lines that tell how far it is."""
    tail: list[str] = []
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env={**clean_environment(), "PYTHONUNBUFFERED": "1"},
        )
    except OSError as error:
        raise InstallError(f"{failure}: {command[0]}: {error.strerror}") from error
    with process:
        try:
            for line in process.stdout or ():
                tail = [*tail[-80:], line.rstrip()]
                if line.lstrip().startswith(SHOWN):
                    say("  " + line.strip()[:160])
        except BaseException:
            process.terminate()  # or it would go on behind the back of the next run
            raise
    if process.returncode != 0:
        raise InstallError(f"{failure}: {reason(tail)}")


def reason(lines: list[str]) -> str:
    """The one line that explains pip's failure, and what to do."""
    if any(sign in line for line in lines for sign in NETWORK_SIGNS):
        return "the package index cannot be reached; check the network or the proxy (HTTPS_PROXY), then run this again"
    if any("No space left" in line for line in lines):
        return f"the disk is full; make room beside {ROOT} and in the temporary folder, then run this again"
    pips = [line for line in lines if line.lstrip().startswith("ERROR:")]  # also from within a build
    errors = pips or [line for line in lines if "error" in line.lower()] or lines or ["it said nothing"]
    return f"{errors[-1].strip()}; run this again once that is mended"


def run(command: list[str], folder: Path) -> int:
    """Run the demo or the tests in the foreground and answer their exit status."""
    status = subprocess.call(command, cwd=str(folder), env=clean_environment())
    return 128 - status if status < 0 else status


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(answer(sys.argv[1:]))
    except KeyboardInterrupt:
        print("install.py: interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
