#!/usr/bin/env python3
"""Makes Reage's private environment in this checkout, and runs the demo or the tests in it.

    python3 install.py env                make .venv/ and print the path of its Python
    python3 install.py demo [args ...]    make it, then re-age the bundled shot into ./demo_output
    python3 install.py test [args ...]    make it, then run the tests with pytest

Needs Python 3.9 or later, and one of Python 3.11 to 3.13 for the environment, which it looks for. Everything is
installed from requirements.lock; nothing outside the checkout is changed. A second run finds nothing to do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = "reage-stamp.json"
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
    options, rest = parse(arguments)
    if options.command == "env" and rest:
        raise InstallError(f"'env' takes no such argument: {' '.join(rest)}")
    python = ensure_environment(options.torch)
    if options.command == "env":
        say(str(python))
        return 0
    if options.command == "test":
        return run([str(python), "-m", "pytest", *rest], ROOT)
    named = any(item in ("-o", "--output") or item.startswith(("-o", "--output=")) for item in rest)
    return run([str(python), "-m", "reage", "demo", *([] if named else ["-o", "demo_output"]), *rest], Path.cwd())


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """Split the command line into our options and what goes on to the demo or to pytest, in its order."""
    summary, _, _ = (__doc__ or "").partition("\n\nNeeds")
    parser = argparse.ArgumentParser(
        prog="install.py", description=summary, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("command", choices=("env", "demo", "test"))
    parser.add_argument(
        "--torch",
        metavar="auto|cpu|cuda|PATH_OR_INDEX",
        help="which build of torch: auto takes what the package index gives, cpu and cuda take PyTorch's own index; "
        "or a wheel, a folder of wheels, or the address of an index [what was chosen before, at first auto]",
    )
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = parser.parse_known_args(arguments[:end])
    return options, rest + arguments[end + 1 :]


# ---- the environment -------------------------------------------------------------------------------------------------


def ensure_environment(torch: str | None) -> Path:
    """Make the environment where it is missing, unfinished or of another lock, and answer its Python.

    `torch` is what `--torch` says; None keeps what was chosen before.

    The stamp is written last and removed first: an environment without a valid one was interrupted, and is made anew,
    since pip cannot tell a half-installed package from a whole one.
    """
    stamp = read_stamp(ENVIRONMENT)
    wanted = wanted_stamp(absolute(torch) if torch else stamp["torch"] if stamp else "auto")
    python = environment_python(ENVIRONMENT)
    if stamp == wanted and works(python):
        say(f"{ENVIRONMENT} is up to date: nothing to do")
        return python
    source = torch_source(wanted["torch"])
    base = find_python()
    check_is_ours(ENVIRONMENT)
    (ENVIRONMENT / STAMP).unlink(missing_ok=True)
    say(f"making {ENVIRONMENT} with {base}")
    step([base, "-m", "venv", "--clear", str(ENVIRONMENT)], "the environment cannot be made")
    say("installing the pinned packages: some minutes the first time")
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--retries", "2"]
    step([*pip, "-r", str(LOCK), *source], "the packages cannot be installed")
    step([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], "reage itself cannot be installed")
    write_stamp(ENVIRONMENT, wanted)
    say(device_line(python))
    return python


def environment_python(folder: Path) -> Path:
    """The Python of an environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def check_is_ours(folder: Path) -> None:
    """Refuse to clear a folder that is no environment."""
    if folder.exists() and not (folder / "pyvenv.cfg").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InstallError(f"{folder} is in the way and is not a Python environment: move it away")


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
    errors = [line for line in lines if "error" in line.lower()] or lines or ["it said nothing"]
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
        sys.exit(main(sys.argv[1:]))
    except InstallError as failed:
        sys.exit(f"install.py: {failed}")
    except KeyboardInterrupt:
        print("install.py: interrupted; run it again to go on", file=sys.stderr)
        sys.exit(130)
