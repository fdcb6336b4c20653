"""A worker that renders nothing and does as it is told: what an engine makes of workers, without the wait."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import yaml

_SCRIPT = """#!{python} -IS
import json, os, signal, sys, time
folder = {folder!r}
words = sys.argv[1:]
task = words[3]
if task == "render":
    task = words[words.index("--frames") + 1]
def asked(number, frame):
    with open(folder + "/asked", "a") as file:
        file.write(task + chr(10))
    sys.exit(143)
signal.signal(signal.SIGTERM, asked)
with open(folder + "/calls.jsonl", "a") as file:
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    environment = dict((name, os.environ[name]) for name in names if name in os.environ)
    file.write(json.dumps(dict(task=task, words=words, environment=environment, pid=os.getpid())) + chr(10))
with open(folder + "/calls.jsonl") as file:
    before = sum(json.loads(line)["task"] == task for line in file) - 1
with open(folder + "/plan.json") as file:
    plan = json.load(file).get(task, [])
act = plan[min(before, len(plan) - 1)] if plan else 0
first, _, last = task.partition("-") if task[0].isdigit() else ("1", "", "0")
for frame in range(int(first), int(last) + 1):
    print("openjd_status: frame %d aged /made/%d.exr" % (frame, frame), flush=True)
    if act in ("die", "hang"):
        break
if act == "die":
    os.kill(os.getpid(), signal.SIGKILL)
while act == "hang":
    time.sleep(0.01)
if isinstance(act, list):  # another task, and the exit code once that has begun
    while not any(json.loads(line)["task"] == act[0] for line in open(folder + "/calls.jsonl")):
        time.sleep(0.01)
    act = act[1]
if act:
    print("openjd_fail: it went wrong in " + task, flush=True)
    print("reage: it went wrong", file=sys.stderr, flush=True)
sys.exit(act)
"""


class FakeWorker:
    """A bundle whose Python is a script that notes how it was called."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        """Put the script into the bundle's values; its notes go into `folder`."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        script = folder / "python"
        script.write_text(_SCRIPT.format(python=sys.executable, folder=str(folder)))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        file = bundle / "parameter_values.yaml"
        values = yaml.safe_load(file.read_text())
        for entry in values["parameterValues"]:
            if entry["name"] == "Python":
                entry["value"] = str(script)
        file.write_text(yaml.safe_dump(values))
        self.plan()

    def plan(self, **acts: Any) -> None:
        """What a task does, call by call: an exit code, `die`, `hang`, or a code once another task has begun.

        `f1_4` stands for frames 1-4.
        """
        named = {
            name.removeprefix("f").replace("_", "-") if name[1:2].isdigit() else name: a for name, a in acts.items()
        }
        (self.folder / "plan.json").write_text(json.dumps(named))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every call, in the order in which they began."""
        file = self.folder / "calls.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    @property
    def tasks(self) -> list[str]:
        return [call["task"] for call in self.calls]

    @property
    def asked_to_stop(self) -> list[str]:
        file = self.folder / "asked"
        return file.read_text().splitlines() if file.exists() else []


def empty_plate(folder: Path, frames: range) -> str:
    """Names of a sequence, for what never reads it; returns the pattern."""
    folder.mkdir(parents=True)
    for frame in frames:
        (folder / f"p.{frame}.exr").touch()
    return str(folder / "p.%d.exr")
