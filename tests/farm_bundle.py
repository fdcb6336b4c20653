"""A farm bundle as a value, for the tests of what is told to each queue; and names that no shell should see."""

from __future__ import annotations

from pathlib import Path

from reage.farm.bundle import FRAMES_TOKEN, Bundle, Step

PYTHON = "/opt/reage/bin/python"
GOLDEN = Path(__file__).parent / "golden_farm"

HOSTILE = (
    "a b; touch x #",
    "it's",
    '"quoted"',
    "$(id)",
    "`id`",
    "$HOME/~",
    "-o",
    "--",
    "ünï ✓ 年",
    "&|<>^%PATH%",
    "*?[a]{b,c}",
    "wow!",
    "!!",
    "back\\slash",
    "last\\",
    '\\"',
    "#FRAME#IFRAME##",
    "#FRAMESPEC#",
    "",
    " ",
    "{{Param.Frames}}",
    "<b>&amp;</b>]]>",
)
"""Words that a command may be given."""


def bundle(folder: Path, *words: str, frames: tuple[int, ...] = tuple(range(1001, 1011)), gpu: bool = True) -> Bundle:
    """Three steps, as every bundle has them; `words` are arguments of the second."""
    job = str(folder / "job.yaml")
    reage = (PYTHON, "-m", "reage", "farm")
    return Bundle(
        folder=folder,
        name="sh010 to 70 years",
        frames=frames,
        chunk=4,
        steps=(
            Step("analyse", (*reage, "analyse", "--job", job, "--tracks", "/out/a b.json"), (), False),
            Step("render", (*reage, "render", "--job", job, *words, "--frames", FRAMES_TOKEN), ("analyse",), True),
            Step("finish", (*reage, "finish", "--job", job), ("render",), False),
        ),
        gpu=gpu,
        outputs=("/out/sh010 70.%04d.exr", "/out/sh010.mov"),
        inputs=("/plates/sh010.1001.exr",),
    )


def golden(name: str, folder: Path, **values: str) -> str:
    """A golden file with the bundle's folder, and whatever else differs between machines, filled in."""
    text = (GOLDEN / name).read_text(encoding="utf-8")
    for key, value in {"folder": str(folder), **values}.items():
        text = text.replace(f"@{key}@", value)
    return text
