"""How fast Reage is, as ratios against reference runs on the same frames and machine, one after the other.

    python benchmarks/speed.py                        all rows; about ten minutes on two cores
    python benchmarks/speed.py --rows hd,uhd          some of: hd, published, uhd, detect, memory, start
    python benchmarks/speed.py --frames 8             shorter plates

The plate is the demo's shot at 1920x1080 (HD) and 3840x2160 (UHD), half-float ZIP EXR with grain: a close-up, whose
face is re-aged from a crop of 1024. Times are wall-clock seconds a frame; nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from plates import FIRST, make_plate

from reage import pipeline
from reage.ageing import age
from reage.agers import load_ager
from reage.cuts import CutFinder
from reage.detect import Detector, search_ahead
from reage.faces.landmarks import predictor
from reage.faces.look import Look
from reage.images import write_picture
from reage.job import Job
from reage.nets.fran_unet import FranUNet
from reage.pipeline.analysis import LAYOUT_WIDTH, face_look, luma_at
from reage.pipeline.shot import FrameView, Shot, on_crop
from reage.pipeline.streams import Ahead, Behind
from reage.tracks import load_tracks

WORKERS = 2
"""Decoders and encoders, as a render has."""


class Bench:
    """One folder of plates and what was measured on them."""

    def __init__(self, folder: Path, frames: int) -> None:
        self.folder, self.frames = folder, frames
        self._plates: dict[str, str] = {}
        self._analysed: set[Path] = set()

    def job(self, size: str, frames: int, **more: Any) -> Job:
        """The job of a plate; its tracks lie beside it."""
        if (key := f"{size}{frames}") not in self._plates:
            self._plates[key] = make_plate(self.folder, size, frames)
        plate = self._plates[key]
        output = self.folder / "out" / f"{size}.%04d.exr"
        shutil.rmtree(output.parent, ignore_errors=True)
        return Job.make(plate=plate, output=str(output), age=70, device="cpu", **more)

    def tracks(self, size: str, frames: int) -> str:
        """The tracks file of a plate, made where it is missing."""
        path = self.folder / f"{size}{frames}.tracks.json"
        if not path.exists():
            list(pipeline.analyse(self.job(size, frames, tracks=str(path))))
        return str(path)


def a_frame(frames: int, call: Callable[[], Any]) -> float:
    """Seconds a frame."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) / frames


def decode_alone(shot: Shot) -> None:
    """Decode a plate as a render does."""
    decoder = Ahead(shot.frame, shot.plate.frames, ahead=2, workers=WORKERS)
    for number in shot.plate.frames:
        decoder.get(number)
    decoder.close()


def encode_alone(shot: Shot, folder: Path) -> float:
    """Seconds a frame of writing a plate's pictures as a render does; they are decoded before."""
    pictures = [shot.frame(number).picture for number in shot.plate.frames[:4]]
    count = len(shot.plate.frames)
    folder.mkdir(parents=True, exist_ok=True)

    def write_all() -> None:
        with Behind[int, None](workers=WORKERS, depth=4) as writers:
            for k in range(count):
                picture, path = pictures[k % len(pictures)], folder / f"e.{k:04d}.exr"
                list(writers.put(k, lambda picture=picture, path=path: write_picture(path, picture, None)))
            list(writers.drain())

    return a_frame(count, write_all)


def network_alone(job: Job, shot: Shot) -> float:
    """Seconds a frame of the model's calls; crops are made before."""
    assert job.tracks is not None
    tracks, ager = load_tracks(Path(job.tracks)), load_ager(job.model, "cpu")
    person = tracks.persons[0]
    ready = []
    for number in shot.plate.frames[:4]:
        face = person.frames[number]
        crop = shot.crop(shot.frame(number), face, person.crop, tracks.exposure, torch.device("cpu"))
        assert crop is not None
        ready.append((crop[None], torch.from_numpy(on_crop(face, person.crop)).float()[None]))
    look, count = person.look[ager.facts.name], len(shot.plate.frames)

    def call(crop: torch.Tensor, points: torch.Tensor) -> None:
        with torch.inference_mode():
            age(ager, crop, person.source_age, torch.tensor([70.0]), points, look, "change")

    call(*ready[0])
    return a_frame(count, lambda: [call(*ready[k % len(ready)]) for k in range(count)])


def stages(bench: Bench, size: str, frames: int) -> dict[str, float]:
    """Decode, network and encode alone, then `run` and `render`; seconds a frame."""
    tracks = bench.tracks(size, frames)
    job = bench.job(size, frames, tracks=tracks)
    shot = Shot(job)
    result = {"decode": a_frame(frames, lambda: decode_alone(shot))}
    result["network"] = network_alone(job, shot)
    result["encode"] = encode_alone(shot, bench.folder / "encoded")
    shutil.rmtree(bench.folder / "encoded")
    result["render"] = a_frame(frames, lambda: list(pipeline.render(bench.job(size, frames, tracks=tracks))))
    result["run"] = a_frame(frames, lambda: list(pipeline.run(bench.job(size, frames))))
    return result


def hd(bench: Bench) -> Iterator[str]:
    """The whole against its slowest part."""
    t = stages(bench, "HD", bench.frames)
    slowest = max(t["decode"], t["network"], t["encode"])
    together = t["decode"] + t["network"] + t["encode"]
    yield row(f"HD, {bench.frames} frames: decode alone", t["decode"])
    yield row("network alone", t["network"])
    yield row("encode alone", t["encode"])
    yield row(
        "`render`", t["render"], f"{t['render'] / slowest:.2f} of the slowest, {t['render'] / together:.2f} of the sum"
    )
    yield row("`run`", t["run"], f"{t['run'] / slowest:.2f} of the slowest, {t['run'] / together:.2f} of the sum")


def published(bench: Bench) -> Iterator[str]:
    """Nine windows of 512 at the published width for each crop of 1024, as face_reaging steps them; random weights."""
    nine = nine_windows()
    frames = bench.frames
    run = a_frame(frames, lambda: list(pipeline.run(bench.job("HD", frames))))
    yield row("face_reaging, nine windows, network alone", nine)
    yield row("`run` on HD, everything", run, f"{nine / run:.1f} times less")


def nine_windows() -> float:
    """Seconds that the published scheme's network takes for one frame."""
    net, window = FranUNet().eval(), torch.rand(1, 5, 512, 512)
    with torch.inference_mode():
        net(window)
        return a_frame(1, lambda: [net(window) for _ in range(9)])


def uhd(bench: Bench) -> Iterator[str]:
    """A UHD frame against its decode and encode."""
    frames = max(6, bench.frames // 3)
    for name, size in (("close-up", "UHD"), ("medium shot", "UHD-medium")):
        t = stages(bench, size, frames)
        yield row(f"UHD {name}, {frames} frames: decode alone", t["decode"])
        yield row("network alone", t["network"])
        yield row("encode alone", t["encode"])
        ratio = t["render"] / (t["decode"] + t["encode"])
        yield row("`render`", t["render"], f"{ratio:.2f} of decode + encode")


def detect(bench: Bench) -> Iterator[str]:
    """Detection and landmarks at UHD, decoded before."""
    for name, size in (("a close-up", "UHD"), ("a medium shot", "UHD-medium")):
        shot = Shot(bench.job(size, 6))
        yield row(f"detection and landmarks at UHD, {name}", detection(shot))


def detection(shot: Shot) -> float:
    """Seconds a frame, over two periods of the search for newcomers, to and fro in a few frames."""
    detector, finder = Detector(predictor()), CutFinder()
    views = [shot.frame(number) for number in shot.plate.frames[:4]]
    count = 48

    def opened(k: int) -> tuple[FrameView, Look, Any]:
        """What the analysis makes ahead, beside the detector."""
        view = views[min(k % 6, 6 - k % 6)]
        look = face_look(shot, view)
        return view, look, search_ahead(k, look)

    def all_steps(first: int, end: int) -> None:
        ahead = Ahead(opened, range(first, end), ahead=2, workers=WORKERS)
        for k in range(first, end):
            view, look, there = ahead.get(k)
            fresh = finder.step(k, look.thumbnail(LAYOUT_WIDTH))
            for found in detector.step(k, look, fresh=fresh, searched=there):
                luma_at(shot, view, found.landmarks)
        ahead.close()

    all_steps(0, 1)  # loads the models
    return a_frame(count, lambda: all_steps(1, count + 1))


WAIT = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
open(sys.argv[1], "w").write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024))
sys.exit(code)
"""
"""A small process between: a child's peak counts from what its parent held when it was started."""


def child(job: list[str]) -> tuple[float, int]:
    """Run the command; answers the seconds to its first frame, and its peak memory in MiB."""
    command = [sys.executable, "-m", "reage", *job, "--progress", "json", "--device", "cpu"]
    with tempfile.TemporaryDirectory() as folder:
        peak = Path(folder) / "peak"
        started, first = time.perf_counter(), 0.0
        with subprocess.Popen(
            [sys.executable, "-c", WAIT, str(peak), *command], stdout=subprocess.PIPE, text=True
        ) as process:
            for line in process.stdout or ():
                if not first and json.loads(line).get("event") == "frame":
                    first = time.perf_counter() - started
        if process.returncode:
            raise SystemExit(f"{command}: exit {process.returncode}")
        return first, int(peak.read_text())


def memory(bench: Bench) -> Iterator[str]:
    """Peak memory against the length of the shot."""
    peaks = {}
    for frames in (24, 240):
        job = bench.job("SD", frames)
        _, peaks[frames] = child(["run", job.plate, "-o", job.output, "--age", "70"])
        yield f"| peak memory of `run`, {frames} frames of 640x360 | {peaks[frames]} MiB | |"
    yield f"| 240 frames over 24 | | {peaks[240] / peaks[24]:.3f} |"


def start(bench: Bench) -> Iterator[str]:
    """From the command to the first frame on disk."""
    tracks = bench.tracks("HD", bench.frames)
    for name, frames in (("the first time", f"{FIRST}"), ("again", f"{FIRST + 9}")):
        job = bench.job("HD", bench.frames)
        first, _ = child(["render", job.plate, "--tracks", tracks, "-o", job.output, "--age", "70", "--frames", frames])
        yield row(f"start to first frame, {name}", first)


def row(name: str, seconds: float, ratio: str = "") -> str:
    """One line of the table."""
    return f"| {name} | {seconds:.3f} s | {ratio} |"


ROWS = {"hd": hd, "published": published, "uhd": uhd, "detect": detect, "memory": memory, "start": start}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--threads", type=int, default=0, help="of torch [its own choice]")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(f"{os.cpu_count()} cores, torch {torch.__version__} with {torch.get_num_threads()} threads")
    print("| what | figure | ratio |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.frames)
        for name in options.rows.split(","):
            for line in ROWS[name](bench):
                print(line, flush=True)


if __name__ == "__main__":
    main()
