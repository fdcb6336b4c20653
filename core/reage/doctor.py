"""Looks at what Reage needs on this machine and says of each whether it is well, and what mends it if not."""

from __future__ import annotations

import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from reage.errors import ModelError, ReageError
from reage.models import FACE_MODELS, FaceModel, verified
from reage.version import __version__

SUPPORTED = ((3, 11), (3, 12), (3, 13))
INSTALL = "python3 install.py env"
MEND_CUDA = "python3 install.py env --torch cuda"
ROOM = 2 * 10**9
"""Bytes; a shot of 100 frames of UHD half-float EXR takes about as much."""
OLDEST_NUKE = 14
"""The first with Python 3.9, which the panel needs."""
INSTALL_IN_NUKE = "python3 install.py"
BLOCK_START, BLOCK_END = "# >>> reage >>>", "# <<< reage <<<"
"""What install.py puts around its lines in Nuke's init.py."""

LIBRARIES = (
    ("numpy", "numpy"),
    ("opencv-python-headless", "cv2"),
    ("dlib-bin", "dlib"),
    ("OpenImageIO", "OpenImageIO"),
    ("OpenEXR", "OpenEXR"),
    ("opencolorio", "PyOpenColorIO"),
    ("av", "av"),
    ("onnxruntime", "onnxruntime"),
    ("safetensors", "safetensors"),
    ("scipy", "scipy"),
    ("pydantic", "pydantic"),
)
"""Distribution and module of what the stages call."""

NUKE_PLACES = (
    ("/usr/local", "Nuke*"),
    ("/opt", "Nuke*"),
    ("/opt/foundry", "Nuke*"),
    ("/Applications", "Nuke*"),
    ("C:/Program Files", "Nuke*"),
)

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Check:
    """What was found of one thing."""

    name: str
    state: State  # warn: works, but not as well as it could; fail: something does not work
    detail: str  # one line
    remedy: str = ""  # a command or a sentence; empty where the state is ok


def checks(ocio: str | None = None, folder: Path | None = None) -> list[Check]:
    """Look at everything; no check raises, and none changes anything.

    Args:
        ocio: the config that `--ocio` names; None is `$OCIO`, else the pinned one.
        folder: where output will go; the current folder where it is None.

    Returns:
        The findings, in the order in which they should be read and mended.
    """
    sections: tuple[Callable[[], Iterator[Check]], ...] = (
        _python,
        _torch,
        _libraries,
        lambda: _ocio(ocio),
        _embedded,
        _face_models,
        lambda: _places(folder or Path.cwd()),
        _nuke,
        _plugin,
    )
    return [check for section in sections for check in section()]


def _python() -> Iterator[Check]:
    here = f"{platform.python_version()} ({sys.executable}), reage {__version__}"
    if sys.version_info[:2] in SUPPORTED:
        yield Check("Python", "ok", here)
    else:
        yield Check("Python", "warn", f"{here}: not one of 3.11 to 3.13, which are tested", INSTALL)


def _torch() -> Iterator[Check]:
    try:
        torch = import_module("torch")
    except (ImportError, OSError) as error:
        yield Check("torch", "fail", f"does not start: {_first_line(error)}", INSTALL)
        return
    yield Check("torch", "ok", f"{torch.__version__}, {torch.get_num_threads()} threads")
    device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    yield gpu_check(torch.version.cuda, device, torch.backends.mps.is_available(), nvidia_gpu())


def gpu_check(cuda: str | None, device: str | None, metal: bool, present: str | None) -> Check:
    """Whether torch can use the GPU that is there.

    Args:
        cuda: the CUDA version that torch was built for; None for a build without.
        device: the GPU that torch can use; None where it can use none.
        metal: whether Apple's Metal can be used.
        present: the NVIDIA GPU that the driver knows; None where there is none.
    """
    if device is not None:
        return Check("GPU", "ok", f"{device}, CUDA {cuda}")
    if metal:
        return Check("GPU", "ok", "Apple Metal (mps)")
    if present is None:
        return Check("GPU", "ok", "none found; work is done on the processor")
    if cuda is None:
        return Check("GPU", "warn", f"{present} is present, but this torch is a build without CUDA", MEND_CUDA)
    return Check(
        "GPU",
        "warn",
        f"{present} is present, but its driver is too old for CUDA {cuda}, for which this torch is built",
        "update the driver, or: python3 install.py env --torch https://download.pytorch.org/whl/cu126",
    )


def nvidia_gpu() -> str | None:
    """The first NVIDIA GPU that the driver knows, whether torch can use it or not."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    names = answer.stdout.split("\n") if answer.returncode == 0 else [""]
    return names[0].strip() or None


def _libraries() -> Iterator[Check]:
    for distribution, module in LIBRARIES:
        try:
            import_module(module)
        except (ImportError, OSError) as error:
            yield Check(distribution, "fail", f"does not start: {_first_line(error)}", INSTALL)
            continue
        try:
            yield Check(distribution, "ok", version(distribution))
        except PackageNotFoundError:
            yield Check(distribution, "ok", "found, of unknown version")


def _ocio(config: str | None) -> Iterator[Check]:
    from reage.colour import Colour

    said = f"$OCIO is {os.environ['OCIO']!r}" if os.environ.get("OCIO") else "$OCIO is not set"
    try:
        colour = Colour("scene_linear", config)
    except ReageError as error:
        yield Check("OpenColorIO config", "fail", f"{error} ({said})", "mend $OCIO, or give --ocio and --colorspace")
        return
    yield Check("OpenColorIO config", "ok", f"{colour.config_name}, scene_linear is {colour.space} ({said})")


def _embedded() -> Iterator[Check]:
    name = "embedded model"
    try:
        from reage.agers import load_ager
        from reage.store import EMBEDDED

        facts = load_ager(EMBEDDED, "cpu").facts
    except (ReageError, ImportError, OSError) as error:
        yield Check(name, "fail", _first_line(error), "get the whole checkout again, then: " + INSTALL)
        return
    yield Check(name, "ok", f"{facts.name}, sha256 {facts.sha256}, licence: {facts.licence}")


def _face_models() -> Iterator[Check]:
    for model in FACE_MODELS:
        yield _face_model(model)


def _face_model(model: FaceModel) -> Check:
    try:
        verified(model)
    except ModelError as error:
        return Check(model.name, "fail", str(error), INSTALL)
    return Check(model.name, "ok", f"sha256 {model.sha256}, licence: {model.licence}")


def _places(folder: Path) -> Iterator[Check]:
    for name, place in (("output folder", folder), ("temporary folder", Path(tempfile.gettempdir()))):
        yield place_check(name, place)


def place_check(name: str, folder: Path) -> Check:
    """Whether a folder can be written, and has room for a shot."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".reage-doctor-", dir=folder) as probe:
            probe.write(b"reage")
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Check(name, "fail", f"{folder} cannot be written: {error.strerror}", "choose another folder with -o")
    room = f"{folder} can be written, {free / 1e9:.1f} GB free"
    if free < ROOM:
        return Check(name, "warn", room, "make room: a shot takes gigabytes")
    return Check(name, "ok", room)


def _nuke() -> Iterator[Check]:
    found = [folder for place, pattern in NUKE_PLACES for folder in sorted(Path(place).glob(pattern))]
    yield nuke_check([folder for folder in found if folder.is_dir()])


def nuke_check(folders: list[Path]) -> Check:
    """Which Nukes are installed in the usual folders; none is fine, since Reage works without."""
    if not folders:
        return Check("Nuke", "ok", "none in the usual folders; Reage works without it")
    listed = ", ".join(str(folder) for folder in folders)
    old = [folder.name for folder in folders if 0 < _major(folder.name) < OLDEST_NUKE]
    if old:
        return Check("Nuke", "warn", listed, f"the panel needs Nuke {OLDEST_NUKE} or later, not {', '.join(old)}")
    return Check("Nuke", "ok", listed)


def _plugin() -> Iterator[Check]:
    home = Path.home()
    nuke = (Path(os.environ["HOME"]) if os.name == "nt" and os.environ.get("HOME") else home) / ".nuke"
    config = os.environ.get("REAGE_CONFIG")
    yield plugin_check(nuke / "init.py", os.environ.get("NUKE_PATH", ""))
    settings = Path(config).expanduser() if config else home / ".reage" / "settings.json"
    yield settings_check(settings, os.environ.get("REAGE_PYTHON", ""))


def plugin_check(init: Path, nuke_path: str) -> Check:
    """Whether a Nuke of this user loads the plug-in; not to load it is fine, since Reage works without.

    Args:
        init: the user's init.py, whether it is there or not.
        nuke_path: what `$NUKE_PATH` holds.
    """
    name = "Nuke plug-in"
    places = [Path(entry) for entry in nuke_path.split(os.pathsep) if entry]
    launched = [place for place in places if (place / "reage_nuke").is_dir()]
    if launched:
        return Check(name, "ok", f"{launched[0]}, by $NUKE_PATH")
    try:
        lines = init.read_text(encoding="utf-8").splitlines() if init.exists() else []
    except (OSError, UnicodeDecodeError) as error:
        return Check(name, "warn", f"{init} cannot be read: {_first_line(error)}", "save it as UTF-8, readable by you")
    marks = [line.strip() for line in lines if line.strip() in (BLOCK_START, BLOCK_END)]
    if not marks:
        return Check(name, "ok", f"not in {init}; '{INSTALL_IN_NUKE}' puts it there")
    if marks != [BLOCK_START, BLOCK_END]:
        return Check(
            name, "warn", f"{init}: the block of Reage is damaged", f"delete it by hand, then {INSTALL_IN_NUKE}"
        )
    folder = next((literal for line in lines if (literal := _added_path(line))), "")
    if not (Path(folder) / "reage_nuke").is_dir():
        return Check(name, "warn", f"{init} names {folder or 'no folder'}, which is not there", INSTALL_IN_NUKE)
    return Check(name, "ok", f"{folder}, by {init}")


def _added_path(line: str) -> str:
    """The folder that a line of init.py adds to Nuke's path for Reage; empty where it adds none."""
    call, _, rest = line.strip().partition("nuke.pluginAddPath(")
    try:
        path = ast.literal_eval(rest.removesuffix(")")) if rest and not call else ""
    except (ValueError, SyntaxError):
        return ""
    return path if isinstance(path, str) and path.endswith("/nuke_plugin") else ""


def settings_check(path: Path, python: str) -> Check:
    """Whether the plug-in finds this environment.

    Args:
        path: the settings file, whether it is there or not.
        python: what `$REAGE_PYTHON` holds, which goes before the file.
    """
    name = "plug-in settings"
    if python:
        if Path(python).is_file():
            return Check(name, "ok", f"{python}, by $REAGE_PYTHON")
        return Check(name, "warn", f"$REAGE_PYTHON is {python}, which is not there", "set it to a Python with Reage")
    if not path.exists():
        return Check(name, "ok", f"no {path}; '{INSTALL_IN_NUKE}' writes it")
    try:
        named = Path(json.loads(path.read_text(encoding="utf-8"))["python"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Check(name, "warn", f"{path} cannot be used: {_first_line(error)}", f"remove it, then {INSTALL_IN_NUKE}")
    if not named.is_file():
        return Check(name, "warn", f"{path} names {named}, which is not there", INSTALL_IN_NUKE)
    return Check(name, "ok", f"{named}, by {path}")


def _major(name: str) -> int:
    """14 of `Nuke14.0v5`; 0 where the name holds no version."""
    digits = name.removeprefix("Nuke").split(".")[0]
    return int(digits) if digits.isdecimal() else 0


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
