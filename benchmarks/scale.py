"""What a farm of many machines is bound by, in numbers: bytes of frames, seconds of analysis, size of tracks.

    python benchmarks/scale.py [--frames 8] [--sizes HD,UHD,4K] [--device cpu]

Seconds are of one process's processor time, all its threads together, so that other work on the machine counts little;
`docs/scale.md` says what follows from them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plates import FIRST, SIZES, make_plate

from reage.images import read_picture, write_picture
from reage.job import Job
from reage.pipeline import analyse, render
from reage.plate import open_plate
from reage.tracks import Tracks, load_tracks, save_tracks

SIZES.setdefault("4K", (4096, 2160))
COMPRESSIONS = ("none", "zip", "zips", "piz", "dwaa:45")
LONG = 10_000
"""Frames of a very long shot."""


def main() -> None:
    """Measure, and print the tables."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--frames", type=int, default=8)
    asked.add_argument("--sizes", default="HD,UHD,4K")
    asked.add_argument("--device", default="cpu")
    options = asked.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, tracks = Path(name), None
        for size in options.sizes.split(","):
            plate = make_plate(folder / "plates", size, options.frames)
            tracks = folder / f"{size}.tracks.json"
            measure_size(size, plate, tracks, folder, options.device)
        assert tracks is not None
        measure_tracks(load_tracks(tracks), folder)


def measure_size(size: str, plate: str, tracks: Path, folder: Path, device: str) -> None:
    """Seconds a frame, and bytes of a frame under each compression, with and without layers."""
    common = {"plate": plate, "tracks": str(tracks), "age": 70, "device": device}
    job = Job.make(**common, output=str(folder / size / "a.%04d.exr"), frames=str(FIRST + 1))
    found = pace(analyse(job), "detect")
    count = len(open_plate(plate).frames)
    whole = Job.make(**common, output=str(folder / f"{size}.all" / "a.%04d.exr"))
    made = pace(render(whole), "render")
    width, height = SIZES[size]
    bytes_in = megabytes(Path(plate % FIRST))
    print(f"\n{size}, {width} x {height}, {count} frames: plate {bytes_in} MB a frame (half RGB, ZIP);")
    print(f"analysis {found['each']:.2f} s a frame and {found['rest']:.1f} s a shot;", end=" ")
    print(f"render {made['each']:.2f} s a frame\n")
    print("| " + " | ".join(["MB a frame", *COMPRESSIONS]) + " |")
    print("|---" * (1 + len(COMPRESSIONS)) + "|")
    for layers in (False, True):
        target = job.model_copy(update={"layers": layers, "output": str(folder / f"{size}.{layers}" / "a.%04d.exr")})
        for _ in render(target):
            pass
        picture = read_picture(Path(target.output % (FIRST + 1)))
        cells = []
        for compression in COMPRESSIONS:
            again, started = folder / "again.exr", time.process_time()
            write_picture(again, picture, compression)
            cells.append(f"{megabytes(again)} ({time.process_time() - started:.1f} s)")
        print(f"| {'with layers' if layers else 'colour alone'} | " + " | ".join(cells) + " |", flush=True)


def pace(events: Iterator[Mapping[str, Any]], stage: str) -> dict[str, float]:
    """Processor seconds a frame of a stage, from its first frame to its last, and those after its last."""
    times = []
    for event in events:
        if event["event"] == "progress" and event.get("stage") == stage:
            times.append(time.process_time())
    return {"each": (times[-1] - times[0]) / (len(times) - 1), "rest": time.process_time() - times[-1]}


def measure_tracks(tracks: Tracks, folder: Path) -> None:
    """Size of a tracks file, and the time that every chunk takes to read it."""
    (person, *_) = tracks.persons
    face = next(iter(person.frames.values()))
    print(f"\n| people in {LONG} frames | tracks, MB | bytes a frame and face | read, s |")
    print("|---|---|---|---|")
    for people in (1, 4):
        frames = dict.fromkeys(range(1, LONG + 1), face)
        crowd = [person.model_copy(update={"id": i + 1, "frames": frames}) for i in range(people)]
        path = folder / "long.tracks.json"
        save_tracks(tracks.model_copy(update={"persons": crowd}), path)
        started = time.process_time()
        load_tracks(path)
        seconds, size = time.process_time() - started, path.stat().st_size
        print(f"| {people} | {size / 1e6:.1f} | {size / LONG / people:.0f} | {seconds:.2f} |")


def megabytes(path: Path) -> str:
    """Size of a file."""
    return f"{path.stat().st_size / 1e6:.1f}"


if __name__ == "__main__":
    main()
