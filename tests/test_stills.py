from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rig
from hypothesis import given
from hypothesis import strategies as st

import reage.pipeline
from reage.errors import OutputError, PlateError, RequestError, SomeFramesFailed
from reage.images import read_metadata, read_picture
from reage.job import Job
from reage.naming import named, without_age
from reage.pipeline import run

FACE = Path(reage.pipeline.__file__).parents[1] / "data" / "demo" / "face.jpg"


@pytest.fixture(autouse=True)
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A small model; how often it was loaded."""
    loaded: list[str] = []

    def load(name: str, *_: Any) -> rig.SmallAger:
        loaded.append(name)
        return rig.SmallAger()

    monkeypatch.setattr(reage.pipeline, "load_ager", load)
    return loaded


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A face, and two pictures without one whose names look like patterns."""
    folder = tmp_path / "in"
    folder.mkdir()
    face = cv2.resize(cv2.imread(str(FACE)), (256, 256), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "face.png"), face)
    cv2.imwrite(str(folder / "face.jpg"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(folder / "shelf #2 %04d.tif"), np.full((50, 30, 3), 700, np.uint16))
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    return folder


def go(folder: Path, output: Path | str, **options: Any) -> list[dict[str, Any]]:
    fields = {} if "ages" in options else {"age": 70}
    return list(run(Job.make(plate=str(folder), output=str(output), stills=True, **fields, **options)))


def states(events: list[dict[str, Any]]) -> dict[str, str]:
    return {event["name"]: event["state"] for event in events if event["event"] == "frame"}


def pictures(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix not in (".json", ".jsonl"))


def shape(path: Path) -> tuple[int, ...]:
    return read_picture(path).parts[0].channels["R"].shape


def test_each_picture_keeps_its_name_size_and_format(folder: Path, tmp_path: Path, loads: list[str]) -> None:
    events = go(folder, tmp_path / "out")
    names = ["face.jpg", "face.png", "shelf #2 %04d.tif"]
    assert pictures(tmp_path / "out") == names
    assert states(events) == {"face.jpg": "no-face", "face.png": "aged", "shelf #2 %04d.tif": "no-face"}
    assert all(shape(folder / name) == shape(tmp_path / "out" / name) for name in names)
    assert events[-1]["states"] == {"aged": 1, "no-face": 2} and len(loads) == 1
    assert any("notes.txt" in event.get("message", "") for event in events)
    assert read_metadata(tmp_path / "out" / "face.png")["reage/age"] == "70"


def test_a_second_run_does_nothing_and_another_age_redoes_what_has_a_face(folder: Path, tmp_path: Path) -> None:
    go(folder, tmp_path / "out")
    assert set(states(go(folder, tmp_path / "out")).values()) == {"skipped"}
    again = states(go(folder, tmp_path / "out", strength=0.5))
    assert again["face.png"] == "aged"


def test_a_bad_picture_stops_the_run_with_its_name_or_is_passed_over(folder: Path, tmp_path: Path) -> None:
    (folder / "bad.jpg").write_bytes(FACE.read_bytes()[:3000])
    with pytest.raises(PlateError, match=r"bad\.jpg"):
        go(folder, tmp_path / "out")
    with pytest.raises(SomeFramesFailed, match="1 of 4"):
        go(folder, tmp_path / "out", on_error="skip")
    assert pictures(tmp_path / "out") == ["face.jpg", "face.png", "shelf #2 %04d.tif"]
    line = json.loads((tmp_path / "out" / "bad.jpg.manifest.jsonl").read_text())
    assert line["state"] == "failed" and "bad.jpg" in line["why"]


def test_a_picture_whose_colour_is_not_known_fails_alone(folder: Path, tmp_path: Path) -> None:
    import OpenImageIO as oiio

    spec = oiio.ImageSpec(8, 8, 3, "uint16")
    scan = oiio.ImageOutput.create(str(folder / "scan.dpx"))
    assert scan.open(str(folder / "scan.dpx"), spec) and scan.write_image(np.zeros((8, 8, 3), np.uint16))
    scan.close()
    with pytest.raises(SomeFramesFailed, match=r"scan\.dpx.*--colorspace"):
        go(folder, tmp_path / "out", on_error="skip")
    assert len(pictures(tmp_path / "out")) == 3


def test_several_ages_go_into_folders_or_names_of_their_own(folder: Path, tmp_path: Path) -> None:
    go(folder, tmp_path / "age_{age}", ages=[20, 62.5])
    assert pictures(tmp_path / "age_20") == pictures(tmp_path / "age_62.5") != []
    assert sorted(p.name for p in (tmp_path / "age").iterdir())[0] == "face.jpg.tracks.json"
    (folder / "face.jpg").unlink()
    go(folder, tmp_path / "out" / "{name}_{age}.tif", ages=[20])
    assert pictures(tmp_path / "out") == ["face_20.tif", "shelf #2 %04d_20.tif"]


def test_two_pictures_never_share_a_result(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"face\.jpg.*face\.png"):
        go(folder, tmp_path / "out" / "{name}.exr")
    assert not (tmp_path / "out").exists()


def test_a_foreign_file_is_found_before_any_work(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shelf #2 %04d.tif").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match="not made by reage"):
        go(folder, tmp_path / "out")
    assert pictures(tmp_path / "out") == ["shelf #2 %04d.tif"]


def test_the_pictures_themselves_and_their_folder_are_left_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    for output in (folder, tmp_path / "link", tmp_path / "in" / "." / "{name}"):
        with pytest.raises(OutputError, match="input"):
            go(folder, output, overwrite=True)
    (folder / "face.jpg").unlink()
    with pytest.raises(RequestError, match="beside"):
        go(folder, folder / "{name}_70.tif", overwrite=True)


def test_what_is_no_folder_of_pictures_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for plate, error in ((tmp_path / "empty", PlateError), (tmp_path / "gone", PlateError), (FACE, RequestError)):
        with pytest.raises(error, match=plate.name):
            go(plate, tmp_path / "out")
    with pytest.raises(RequestError, match="folder"):
        go(folder, tmp_path / "one.png")
    with pytest.raises(RequestError, match="frames"):
        go(folder, tmp_path / "out", frames="1-3")


def test_a_dry_run_writes_nothing(folder: Path, tmp_path: Path) -> None:
    events = go(folder, tmp_path / "out", dry_run=True)
    assert sum(event["event"] == "plan" for event in events) == 3 and not (tmp_path / "out").exists()


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)


OUTS = ("out", "out_{age}", "{age}", "out/{name}", "out/{name}_{age}.png", "/o/{age}/{name}.exr")


@given(NAMES, st.sampled_from(OUTS))
def test_any_name_stays_in_the_folder_and_is_kept(name: str, out: str) -> None:
    source = Path("in") / f"{name}.png"
    path = named(out, source, 62.5)
    assert source.stem in path.name and path.name.endswith((".png", ".exr"))
    assert path.parent in {Path(p) for p in ("out", "out_62.5", "62.5", "/o/62.5")}


@pytest.mark.parametrize(
    ("out", "kept"),
    [("a_{age}.%04d.exr", "a_.%04d.exr"), ("{age}/a.%04d.exr", "a.%04d.exr"), ("/o/v_{age}/a.exr", "/o/v/a.exr")],
)
def test_what_is_kept_once_for_all_ages_stays_in_the_outputs_own_folder(out: str, kept: str) -> None:
    assert without_age(out) == kept
