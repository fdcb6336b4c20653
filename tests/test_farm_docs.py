"""The shell loop of docs/farm.md does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "farm.md"
FAKE = """#!/bin/sh
for word; do printf '<%s>' "$word"; done >> "$BOOK"
echo >> "$BOOK"
case "$*" in
    analyse*) : > "$4" ;;
    *1005-1008) exit "${FAILS:-0}" ;;
esac
"""


def loop(folder: Path, frames: tuple[int, int, int] = (1001, 1010, 4), **environment: str) -> tuple[int, list[str]]:
    """Run the page's loop with a stand-in for reage; answers its exit code and the commands that it ran."""
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (folder / "loop.sh").write_text(script)
    program = folder / "bin" / "reage"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    book = folder / "book"
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    words = ["sh", "loop.sh", "a b; touch x #", "$(id)/job.yaml", "it's.json", *map(str, frames)]
    done = subprocess.run(
        words, cwd=folder, env=os.environ | {"PATH": path, "BOOK": str(book)} | environment, check=False, timeout=60
    )
    return done.returncode, book.read_text().splitlines()


RENDER = "<render><--tracks><it's.json><--job><$(id)/job.yaml><--frames>"
ANALYSE = "<analyse><a b; touch x #><--tracks><it's.json>"


def test_the_loop_analyses_once_and_renders_every_chunk(tmp_path: Path) -> None:
    code, ran = loop(tmp_path)
    assert code == 0
    assert ran == [ANALYSE, *(f"{RENDER}<{frames}>" for frames in ("1001-1004", "1005-1008", "1009-1010"))]


def test_the_loop_takes_tracks_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "it's.json").touch()
    assert loop(tmp_path, (7, 7, 50)) == (0, [f"{RENDER}<7-7>"])


@pytest.mark.parametrize(("fails", "commands"), [("1", 4), ("4", 3), ("143", 3)])
def test_the_loop_goes_on_after_frames_that_failed_alone(tmp_path: Path, fails: str, commands: int) -> None:
    code, ran = loop(tmp_path, FAILS=fails)
    assert (code, len(ran)) == (int(fails), commands)
