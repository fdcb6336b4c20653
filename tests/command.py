"""`reage` in processes of its own, and a small plate with a real face in it.

Most processes are forked from one that has loaded the engine already: each has its own process id, signals and exit
code, and starts at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenEXR
import pytest

CORE = Path(__file__).resolve().parents[1] / "core"
PATIENCE = 120.0  # seconds, on a machine that does other things as well
WIDTH, HEIGHT, FACE = 300, 220, 190
FIRST = 1001


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int | None
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.err.rstrip("\n").splitlines()[-1]

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def states(self) -> dict[int, str]:
        return {event["frame"]: event["state"] for event in self.events if event["event"] == "frame"}


class Running:
    """A process that has been started."""

    def __init__(self, words: Iterable[object], environment: dict[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="reage-test-")
        self._out, self._err = (Path(self._folder.name, name) for name in ("out", "err"))
        arguments = ([str(word) for word in words], str(self._out), str(self._err), environment)
        self._process = _forks().Process(target=_child, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def told(self) -> str:
        return self._out.read_text() if self._out.exists() else ""

    def wait_for(self, there: Callable[[], object]) -> None:
        """Until something is there; fails where the process ends or patience does."""
        end = time.monotonic() + PATIENCE
        while not there():
            assert self._process.is_alive() and time.monotonic() < end, self.told()
            time.sleep(0.001)

    def end(self) -> Done:
        self._process.join(PATIENCE)
        done = Done(self._process.exitcode, self.told(), self._err.read_text() if self._err.exists() else "")
        if self._process.is_alive():
            self._process.kill()
        self._folder.cleanup()
        return done


def start(*words: object, **environment: str) -> Running:
    return Running(words, environment)


def reage(*words: object, **environment: str) -> Done:
    """Run `reage WORDS…` to its end."""
    return start(*words, **environment).end()


def fresh(*words: str, core: Path = CORE) -> subprocess.CompletedProcess[str]:
    """Run `python -m reage WORDS…` in a new interpreter, as a shell does."""
    environment = os.environ | {"PYTHONPATH": str(core), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "reage", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


def _forks() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["command", "reage.__main__", "reage.pipeline"])
    return context


@contextlib.contextmanager
def nursery() -> Iterator[None]:
    """The environment that the process to fork from is started in: it reads it once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(CORE), str(Path(__file__).parent)]))
        patch.setenv("OMP_NUM_THREADS", "1")
        _forks().Process(target=int).start()
        yield


def _child(words: list[str], out: str, err: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    for number, name in ((1, out), (2, err)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["reage", *words]
    from reage.__main__ import main

    main()


def face_picture(frame: int, across: float = 50.0, down: float = 12.0, squeeze: float = 1.0) -> np.ndarray:
    """The demo's face, linear, a few pixels further each frame, with grain: (h, w / squeeze, 3) float32."""
    coded = cv2.imread(str(CORE / "reage" / "data" / "demo" / "face.jpg"))[..., ::-1].astype(np.float32) / 255
    linear = np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4).astype(np.float32)
    step = frame - FIRST
    size, width = FACE / linear.shape[0], round(WIDTH / squeeze)
    move = np.float32([[size / squeeze, 0, (across + 1.5 * step) / squeeze], [0, size, down + 0.5 * step]])
    soft = cv2.GaussianBlur(linear, (0, 0), 0.4 / size)
    plate = cv2.warpAffine(soft, move, (width, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    grain = np.random.default_rng(frame).normal(0, 0.004, (HEIGHT, WIDTH, 3))[:, :width]
    return (plate + grain).astype(np.float32)


def write_frame(path: Path, picture: np.ndarray, pixel_aspect: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {
        "compression": OpenEXR.ZIP_COMPRESSION,
        "type": OpenEXR.scanlineimage,
        "pixelAspectRatio": pixel_aspect,
    }
    half = picture.astype(np.float16)
    channels = {name: np.ascontiguousarray(half[..., i]) for i, name in enumerate("RGB")}
    OpenEXR.File(header, channels).write(str(path))


def write_plate(folder: Path, count: int, **where: float) -> str:
    """The face in motion, half, linear; returns the pattern."""
    for frame in range(FIRST, FIRST + count):
        write_frame(folder / f"p.{frame}.exr", face_picture(frame, **where))
    return str(folder / "p.%04d.exr")


def frames_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.exr") if not path.name.startswith("."))


def contents(folder: Path) -> dict[str, str]:
    """Hash of each frame in a folder."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in frames_in(folder)}


def planes(path: Path) -> dict[str, np.ndarray]:
    file = OpenEXR.File(str(path), separate_channels=True)
    return {name: channel.pixels for name, channel in file.channels().items()}


def booked(folder: Path) -> dict[int, tuple[str, str]]:
    """State and settings of each frame, by the manifest."""
    (path,) = folder.glob("*.manifest.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return {line["frame"]: (line["state"], line["settings"]) for line in lines}


def strays(folder: Path) -> list[str]:
    """What should never stay: temporaries and locks."""
    return [p.name for p in folder.iterdir() if p.name.startswith(".") or p.name.endswith((".lock", ".tmp"))]
