"""Where the panel puts what lies beside the output."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "nuke_plugin"))

from reage_nuke import places

JOB = {"plate": "/p/sh010_bg.%04d.exr", "output": "/s/reage/sh010_bg/v002/sh010_bg_v002.%04d.exr", "age": "70"}


@pytest.mark.parametrize(
    ("plate", "output", "tracks"),
    [
        (JOB["plate"], JOB["output"], "/s/reage/sh010_bg/sh010_bg.tracks.json"),
        ("/p/a_####.exr", "/o/a.%04d.exr", "/o/a.tracks.json"),
        ("/p/clip.mov", "/o/V12/v003/clip.%04d.exr", "/o/clip.tracks.json"),
        ("/p/%04d.exr", "/o/x.%04d.exr", "/o/plate.tracks.json"),
        ("/p/a.v2.%V.%04d.exr", "/o/a.%04d.exr", "/o/a.v2.tracks.json"),
    ],
)
def test_all_versions_of_a_plate_share_its_analysis(plate: str, output: str, tracks: str) -> None:
    assert places.tracks_file({"plate": plate, "output": output}) == tracks


def test_views_of_one_file_are_analysed_apart() -> None:
    assert places.tracks_file({**JOB, "view": "left"}).endswith("/sh010_bg_left.tracks.json")


def test_tracks_that_were_named_are_used() -> None:
    assert places.run_params({**JOB, "tracks": "/t.json"})["tracks"] == "/t.json"
    assert places.run_params(JOB)["tracks"] == places.tracks_file(JOB)


def test_a_preview_asks_for_one_age_of_one_frame_with_tracks_that_the_engine_checks() -> None:
    job = {**JOB, "ages": [20.0, 60.0], "frames": "1001-1003", "output": "/o/v001/a_{age}.%04d.exr"}
    del job["age"]
    params = places.preview_params(job, 1002)
    assert params == {"plate": JOB["plate"], "age": 20.0, "output": "/o/sh010_bg.%04d.exr", "frame": 1002}
    beside = params["output"].replace(".%04d.exr", ".tracks.json")
    assert beside == places.run_params(job)["tracks"]


@pytest.mark.parametrize(
    ("folder", "output", "bundle"),
    [
        ("/s", "/o/sh010_v002.%04d.exr", "/s/reage_farm/sh010_v002"),
        ("", "/o/sh010.%04d.exr", "/o/reage_farm/sh010"),
        ("/s", "/o/x_{age}.%04d.exr", "/s/reage_farm/x_age"),
        ("/s", "/o/%04d.exr", "/s/reage_farm/04d"),
    ],
)
def test_a_bundle_lies_beside_the_script(folder: str, output: str, bundle: str) -> None:
    assert places.bundle_folder(folder, output) == bundle
