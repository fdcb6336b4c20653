"""From the click to the picture: previews of a 1080p frame through the panel's client and the real worker.

    python benchmarks/preview.py

The model is loaded before; the plate is the demo's shot at 1920x1080, a close-up. Wall-clock seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from plates import FIRST, make_plate

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "nuke_plugin"))

from reage_nuke.client import Client, worker_environment  # noqa: E402 - it lies beside the engine, not in it

ENDS = ("done", "error", "cancelled")


class Panel:
    """What the panel does between a click and the picture."""

    def __init__(self, folder: Path) -> None:
        environment = {**worker_environment(os.environ), "PYTHONPATH": str(ROOT / "core")}
        argv = [sys.executable, "-s", "-m", "reage", "worker"]
        self.client = Client(argv, str(folder / "worker.log"), environment)

    def preview(self, name: str, **params: Any) -> None:
        """Ask for a preview, and print how long its picture took."""
        started = time.perf_counter()
        request = self.client.send("preview", {"device": "cpu", **params})
        while True:
            for event in self.client.events():
                if event.get("id") == request and event["event"] in ENDS:
                    if event["event"] != "done":
                        raise SystemExit(f"{name}: {event}")
                    if name:
                        print(f"| {name} | {time.perf_counter() - started:.2f} s |", flush=True)
                    return
            time.sleep(0.005)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plate = make_plate(folder, "HD", 24)
        tracks = str(folder / "t.json")
        command = [sys.executable, "-m", "reage", "analyse", plate, "--tracks", tracks, "--device", "cpu"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "core")}
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        new = {"plate": plate, "output": str(folder / "new" / "a.%04d.exr")}
        known = {"plate": plate, "tracks": tracks, "output": str(folder / "known" / "a.%04d.exr")}
        panel = Panel(folder)
        panel.preview("", age=70, frame=FIRST, **new)  # loads the models
        print("| preview of a 1080p frame | click to picture |\n|---|---|")
        other = {"plate": make_plate(folder / "other", "HD", 4), "output": str(folder / "other_out" / "a.%04d.exr")}
        panel.preview("not analysed, the first of a plate", age=70, frame=FIRST + 3, **other)
        panel.preview("", age=70, frame=FIRST, **new)
        panel.preview("not analysed, another frame", age=70, frame=FIRST + 2, **new)
        panel.preview("not analysed, another age", age=50, frame=FIRST + 2, **new)
        panel.preview("not analysed, another strength", age=50, frame=FIRST + 2, strength=0.5, **new)
        panel.preview("analysed, the first of a plate", age=70, frame=FIRST + 6, **known)
        panel.preview("analysed, another age", age=60, frame=FIRST + 6, **known)
        panel.preview("analysed, another strength", age=60, frame=FIRST + 6, strength=0.5, **known)
        panel.preview("analysed, the next frame", age=60, frame=FIRST + 7, **known)
        panel.client.close()


if __name__ == "__main__":
    main()
