"""What the farm's path costs: one plain command against the same shot as a bundle in 1, 2 and 4 local processes.

    python benchmarks/farm.py [--frames 96] [--chunk 48] [--size HD] [--device cpu] [--workers 1,2,4]

A bundle pays for processes: one analyses, one for each chunk loads libraries and model, one verifies. The table gives
seconds, the share above the plain command, seconds of processor time (which other work on the machine disturbs less),
loads of the model with their seconds, and how many of the frames are byte for byte those of the plain command (all of
them on one machine where threads are equal: set OMP_NUM_THREADS).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from plates import SIZES, make_plate

CORE = Path(__file__).resolve().parents[1] / "core"


@dataclass
class Measured:
    """One way to render the shot."""

    seconds: float = 0.0
    processor: float = 0.0
    loads: int = 0
    load_seconds: float = 0.0
    stages: dict[str, float] = field(default_factory=dict)  # when each began, in seconds


def main() -> None:
    """Measure, and print the table."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--frames", type=int, default=96)
    asked.add_argument("--chunk", type=int, default=48)
    asked.add_argument("--size", choices=SIZES, default="HD")
    asked.add_argument("--device", default="cpu")
    asked.add_argument("--workers", default="1,2,4")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plate = make_plate(folder, options.size, options.frames)
        what = ["--age", "70", "--device", options.device]
        plain = timed("run", plate, "-o", str(folder / "plain" / "a.%04d.exr"), *what)
        print(f"{options.frames} frames {options.size}, {options.device}, {os.cpu_count()} cores, ", end="")
        print(f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'not set')}\n")
        print("| way | seconds | analyse, render, verify | against plain | processor | model loads | frames alike |")
        print("|---|---|---|---|---|---|---|")
        print(row("plain command", plain, plain, ""))
        for workers in [int(word) for word in options.workers.split(",")]:
            # Fewer chunks than workers would leave some idle.
            chunk = min(options.chunk, -(-options.frames // workers))
            out = folder / f"farm{workers}"
            words = [plate, "-o", str(out / "a.%04d.exr"), *what, "--bundle", str(folder / f"job{workers}")]
            timed("farm", "bundle", *words, "--chunk", str(chunk))
            job = [str(folder / f"job{workers}"), "--engine", "local", "--workers", str(workers)]
            made = timed("farm", "submit", *job)
            print(row(f"{workers} local, chunks of {chunk}", made, plain, alike(folder / "plain", out)), flush=True)


def timed(*words: str) -> Measured:
    """Run `reage WORDS…` in a new process and follow its events."""
    environment = os.environ | {"PYTHONPATH": str(CORE)}
    command = [sys.executable, "-m", "reage", *words, "--progress", "json"]
    made, started, before = Measured(), time.perf_counter(), _processor()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "stage":
                made.stages.setdefault(event["name"], time.perf_counter() - started)
            told = event.get("message", "").split()
            if event["event"] == "model":
                made.loads, made.load_seconds = made.loads + 1, made.load_seconds + event["seconds"]
            elif told[:1] == ["model"] and told[2:4] == ["loaded", "in"]:  # a task's own words
                made.loads, made.load_seconds = made.loads + 1, made.load_seconds + float(told[4])
    made.seconds, made.processor = time.perf_counter() - started, _processor() - before
    if process.returncode:
        raise SystemExit(f"reage {' '.join(words)} ended with exit code {process.returncode}")
    return made


def _processor() -> float:
    """Processor seconds of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(way: str, made: Measured, plain: Measured, same: str) -> str:
    """A line of the table."""
    starts = [made.stages.get(name) for name in ("analyse", "render", "finish")]
    ends = [*starts[1:], made.seconds]
    if starts[2] is None:
        ends[1] = made.seconds
    parts = [f"{b - a:.1f}" if a is not None and b is not None else "-" for a, b in zip(starts, ends, strict=True)]
    share = f"{100 * (made.seconds / plain.seconds - 1):+.0f} %"
    work = f"{made.processor:.1f} s ({100 * (made.processor / plain.processor - 1):+.0f} %)"
    loads = f"{made.loads} ({made.load_seconds:.1f} s)"
    return f"| {way} | {made.seconds:.1f} | {', '.join(parts)} | {share} | {work} | {loads} | {same} |"


def alike(one: Path, other: Path) -> str:
    """How many frames are the same file."""
    names = sorted(path.name for path in one.glob("a.*.exr"))
    same = sum(_hash(one / name) == _hash(other / name) for name in names)
    return f"{same} of {len(names)}"


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
