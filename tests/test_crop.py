from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rig
import torch

import reage.crop
from reage.colour import decode_srgb, encode_srgb
from reage.crop import crop
from reage.errors import OutputError, PlateError, RequestError, SomeFramesFailed
from reage.faces.age import apparent_age
from reage.faces.landmarks import locate_aligned, predictor
from reage.faces.look import Look
from reage.images import read_metadata, read_picture
from reage.job import Job

FACE = Path(reage.crop.__file__).parent / "data" / "demo" / "face.jpg"
SIDE = 160


def face(side: int = SIDE) -> np.ndarray:
    """(side, side, 3) RGB codes of the demo's face."""
    return cv2.resize(cv2.imread(str(FACE)), (side, side), interpolation=cv2.INTER_AREA)[..., ::-1]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> rig.SmallAger:
    ager = rig.SmallAger()
    monkeypatch.setattr(reage.crop, "load_ager", lambda *_: ager)
    return ager


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), face()[..., ::-1])
    return path


def go(images: list[Path], output: Path | str, **options: Any) -> list[dict[str, Any]]:
    names = [str(image) for image in images]
    fields = {"age": 70.0, "source_age": 40.0, **options}
    if "ages" in options:
        del fields["age"]
    return list(crop(Job.make(plate=names[0], output=str(output), **fields), names))


def codes(path: Path) -> np.ndarray:
    found = read_picture(path)
    return np.stack([found.parts[0].channels[c] for c in "RGB"], -1)


def write_exr(path: Path, linear: np.ndarray) -> None:
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    header["colorInteropID"] = "lin_rec709_scene"
    OpenEXR.File(header, {c: np.ascontiguousarray(linear[..., i]) for i, c in enumerate("RGB")}).write(str(path))


@pytest.mark.parametrize(
    ("matte", "inside"), [(None, np.s_[:, 60:-60]), ("head", np.s_[:, 60:-60]), ("face", np.s_[120:-50, 100:-100])]
)
def test_the_embedded_model_makes_a_face_older_inside_the_matte_alone(
    tmp_path: Path, matte: str | None, inside: tuple[slice, slice]
) -> None:
    events = go([FACE], tmp_path / "old.png", age=75.0, source_age="auto", matte=matte)
    assert 20 < events[-3]["source_age"] < 60
    before, after = codes(FACE).astype(int), codes(tmp_path / "old.png")
    assert after.shape == before.shape
    points = locate_aligned(after, predictor())
    assert apparent_age(Look(after), points) > events[-3]["source_age"] + 10
    border = np.ones(before.shape[:2], bool)
    border[inside] = False
    assert np.array_equal(before[border], after[border])
    assert read_metadata(tmp_path / "old.png")["reage/model"] == "reage-1"


def test_in_mode_replace_a_crop_is_the_models_own_answer(small: rig.SmallAger, picture: Path, tmp_path: Path) -> None:
    go([picture], tmp_path / "o.png", mode="replace")
    asked = torch.from_numpy(np.ascontiguousarray(face().transpose(2, 0, 1))).float()[None] / 255.0
    answer = small(asked, 40.0, 70.0)[0].permute(1, 2, 0).numpy()
    assert np.abs(codes(tmp_path / "o.png") - answer.clip(0, 1) * 255.0).max() <= 0.51  # rounding to codes


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(("name", "kind"), [("b.png", np.uint8), ("b.png", np.uint16), ("b.jpg", np.uint8)])
def test_size_depth_and_format_are_kept(picture: Path, tmp_path: Path, name: str, kind: Any) -> None:
    source = tmp_path / "in" / name
    cv2.imwrite(str(source), face()[..., ::-1].astype(kind) * (257 if kind == np.uint16 else 1))
    go([source], tmp_path / "out")
    made = codes(tmp_path / "out" / name)
    assert made.dtype == kind and made.shape == (SIDE, SIDE, 3)
    assert (made != codes(source)).any()


@pytest.mark.usefixtures("small")
def test_light_is_changed_as_light_and_highlights_survive(picture: Path, tmp_path: Path) -> None:
    linear = decode_srgb(torch.from_numpy(face().astype(np.float32) / 255.0)).numpy()
    linear[2:5, 2:5] = 9.0
    write_exr(tmp_path / "in" / "b.exr", linear)
    go([tmp_path / "in" / "b.exr"], tmp_path / "o.exr")
    go([picture], tmp_path / "o.png")
    light = codes(tmp_path / "o.exr")
    seen = encode_srgb(torch.from_numpy(light)).numpy()
    assert np.array_equal(light[2:5, 2:5], linear[2:5, 2:5])
    middle = slice(SIDE // 3, SIDE * 2 // 3)
    # The exposure and the shoulder of light differ from a display's own codes a little.
    assert np.abs(seen[middle, middle] * 255.0 - codes(tmp_path / "o.png")[middle, middle]).mean() < 2.0
    go([tmp_path / "in" / "b.exr"], tmp_path / "shown.png")
    assert codes(tmp_path / "shown.png").dtype == np.uint16


@pytest.mark.usefixtures("small")
def test_strength_nought_leaves_the_pixels(picture: Path, tmp_path: Path) -> None:
    go([picture], tmp_path / "o.png", strength=0)
    assert np.array_equal(codes(tmp_path / "o.png"), codes(picture))


@pytest.mark.usefixtures("small")
def test_several_crops_and_ages_go_where_the_pattern_says(picture: Path, tmp_path: Path) -> None:
    other = tmp_path / "in" / "b #%04d {age}.png"
    other.write_bytes(picture.read_bytes())
    go([picture, other], tmp_path / "out" / "{name}_{age}.png", ages=[20, 70])
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a_20.png",
        "a_70.png",
        "b #%04d {age}_20.png",
        "b #%04d {age}_70.png",
    ]
    with pytest.raises(RequestError, match="both"):
        go([picture, other], tmp_path / "one.png")


@pytest.mark.usefixtures("small")
def test_inputs_and_foreign_files_are_never_replaced(picture: Path, tmp_path: Path) -> None:
    before = picture.read_bytes()
    with pytest.raises(OutputError, match="input"):
        go([picture], picture.parent, overwrite=True)
    foreign = tmp_path / "foreign.png"
    foreign.write_bytes(before)
    with pytest.raises(OutputError, match="not made by reage"):
        go([picture], foreign)
    assert picture.read_bytes() == foreign.read_bytes() == before
    go([picture], foreign, overwrite=True)
    go([picture], foreign, age=20)
    assert read_metadata(foreign)["reage/age"] == "20"


@pytest.mark.usefixtures("small")
def test_what_is_no_aligned_crop_is_refused_or_passed_over(picture: Path, tmp_path: Path) -> None:
    wide = tmp_path / "in" / "wide.png"
    cv2.imwrite(str(wide), np.zeros((80, 120, 3), np.uint8))
    with pytest.raises(RequestError, match="120x80"):
        go([wide], tmp_path / "o.png")
    with pytest.raises(PlateError, match="gone"):
        go([tmp_path / "gone.png"], tmp_path / "o.png")
    with pytest.raises(SomeFramesFailed, match="1 of 2"):
        go([wide, picture], tmp_path / "out", on_error="skip")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]


@pytest.mark.usefixtures("small")
def test_a_crop_takes_one_age_and_not_one_a_face(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="one age"):
        go([picture], tmp_path / "o.png", age="2=70")
