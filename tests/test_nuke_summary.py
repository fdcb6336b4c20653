"""What the panel says of a plate, and when a preview is out of date."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage_nuke.facts import PlateFacts, Settings
from reage_nuke.summary import of_the_picture, summary

PLATE = PlateFacts(
    "Read1", "/p/sh010.%04d.exr", first=1001, last=1100, width=4448, height=3096, pixel_aspect=2.0, colorspace="ACEScg"
)


def test_a_plate_is_summed_up_in_a_line() -> None:
    told = summary(PLATE)
    assert (told["name"], told["path"], told["trouble"]) == ("sh010.%04d.exr", "/p/sh010.%04d.exr", "")
    assert told["facts"].split("  \u00b7  ") == ["Read1", "1001\u20131100 (100)", "4448\u00d73096 @2", "ACEScg"]


def test_missing_frames_views_and_raw_plates_are_told() -> None:
    views = {"left": "/p/l.%04d.exr", "right": "/p/r.%04d.exr"}
    told = summary(replace(PLATE, missing=[1004, 1007, 1008], views=views, raw=True, first=1100))
    assert told["trouble"] == "Read1: frames 1004,1007-1008 are missing"
    assert told["facts"].split("  \u00b7  ")[1::2] == ["1100 (1)", "raw"] and told["facts"].endswith("left, right")


@pytest.mark.parametrize("name", ["output", "frames", "handles", "layers", "overwrite", "on_missing"])
def test_where_frames_go_does_not_make_a_preview_old(name: str) -> None:
    other = {"output": "/o.%04d.exr", "frames": "1-9", "handles": 4, "layers": False, "overwrite": True}
    changed = replace(Settings(), **{name: other.get(name, "skip")})
    assert changed != Settings() and of_the_picture(changed) == of_the_picture(Settings())


@pytest.mark.parametrize(("name", "value"), [("age", "30"), ("strength", 0.5), ("face", "2"), ("model", "sam")])
def test_what_changes_the_picture_does(name: str, value: object) -> None:
    assert of_the_picture(replace(Settings(), **{name: value})) != of_the_picture(Settings())  # type: ignore[arg-type]
