from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from reage.agers import load_ager, reage1
from reage.agers.reage1 import answering, softness
from reage.errors import RequestError

FACE = Path(reage1.__file__).parents[1] / "data" / "demo" / "face.jpg"


@pytest.fixture(scope="module")
def crop() -> torch.Tensor:
    picture = cv2.imread(str(FACE))
    assert picture is not None
    return torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255.0)[None]


def test_equal_ages_are_the_crop_exactly(crop: torch.Tensor) -> None:
    assert torch.equal(load_ager("reage-1", "cpu")(crop, 40.0, 40.0), crop)


@pytest.mark.parametrize("side", [256, 512, 700])
def test_the_answer_has_the_crops_size_and_older_is_darker_in_the_folds(crop: torch.Tensor, side: int) -> None:
    sized = torch.nn.functional.interpolate(crop, size=(side, side), mode="area")
    old = load_ager("reage-1", "cpu")(sized, 36.0, 70.0)
    assert old.shape == sized.shape and bool(torch.isfinite(old).all())
    assert float((old - sized).abs().mean()) > 0.004


def test_a_batch_answers_as_its_crops_alone(crop: torch.Tensor) -> None:
    ager = load_ager("reage-1", "cpu")
    look = ager.first_look(crop[0], torch.from_numpy(reage1._on_crops(crop)[0]), 36.0, None)
    both = ager(torch.cat([crop, crop.flip(3)]), 36.0, torch.tensor([70.0, 20.0]), look=look)
    assert torch.equal(both[:1], ager(crop, 36.0, 70.0, look=look))
    assert torch.equal(both[1:], ager(crop.flip(3), 36.0, 20.0, look=look))


def test_a_source_age_is_needed(crop: torch.Tensor) -> None:
    with pytest.raises(RequestError, match="source age"):
        load_ager("reage-1", "cpu")(crop, None, 70.0)


def test_another_exemplar_is_another_face_and_an_unknown_one_is_refused(crop: torch.Tensor) -> None:
    ager, points = load_ager("reage-1", "cpu"), torch.from_numpy(reage1._on_crops(crop)[0])
    one, two = (ager.first_look(crop[0], points, 36.0, name) for name in reage1.exemplars.load_bank().ids[:2])
    assert not torch.equal(ager(crop, 36.0, 70.0, look=one), ager(crop, 36.0, 70.0, look=two))
    with pytest.raises(RequestError, match="p999"):
        ager.first_look(crop[0], points, 36.0, "p999")


def test_the_exemplar_is_a_likeness_unless_the_bank_or_one_of_it_is_asked_for(crop: torch.Tensor) -> None:
    ager, points = load_ager("reage-1", "cpu"), torch.from_numpy(reage1._on_crops(crop)[0])
    own, named = (ager.first_look(crop[0], points, 36.0, name) for name in (None, "likeness"))
    assert own == named and own["exemplar"] == "likeness" and own["style"]
    nearest = ager.first_look(crop[0], points, 36.0, "bank")
    assert nearest["exemplar"] in reage1.exemplars.load_bank().ids
    # A farm's render of the same job finds what was asked for, and settles nothing anew.
    assert nearest["wish"] == "bank" and "style" not in nearest


def test_ages_beyond_those_that_read_oldest_and_youngest_are_never_asked_for() -> None:
    look = {"exemplar": "likeness", "apparent": 30.0, "response": [[15, 27], [25, 24], [30, 30], [70, 62], [105, 58]]}
    assert answering(look, 30.0, 80.0) == pytest.approx(70.0)
    assert answering(look, 30.0, 15.0) == pytest.approx(25.0)


def test_little_more_reading_is_not_worth_a_face_that_is_asked_for_much_more() -> None:
    look = {"exemplar": "likeness", "apparent": 30.0, "response": [[20, 25], [30, 30], [70, 60], [85, 61], [105, 62]]}
    assert answering(look, 30.0, 80.0) == pytest.approx(70.0)
    # Where the model answers weakly, what it answers is asked for.
    weak = {"exemplar": "likeness", "apparent": 30.0, "response": [[20, 25], [30, 30], [70, 31], [85, 32], [105, 29]]}
    assert answering(weak, 30.0, 80.0) == pytest.approx(85.0)


def test_targets_within_what_a_reading_wanders_of_the_ends_get_them_and_nothing_jumps_on_the_way() -> None:
    look = {"exemplar": "likeness", "apparent": 30.0, "response": [[15, 20], [30, 30], [60, 58], [80, 60], [105, 50]]}
    assert answering(look, 30.0, 56.1) == answering(look, 30.0, 58.0) == answering(look, 30.0, 75.0) == 60.0
    assert answering(look, 30.0, 21.9) == answering(look, 30.0, 18.0) == 15.0
    assert answering(look, 30.0, 44.0) == pytest.approx(45.0)
    asked = [answering(look, 30.0, float(age)) for age in np.arange(15.0, 80.0, 0.1)]
    assert asked == sorted(asked) and max(np.diff(asked)) < 0.35


@pytest.mark.parametrize("readings", [(30.0, 29.0, 28.0), (30.0, 30.0, 30.0), (30.0, 28.0, 29.0)])
def test_a_face_that_never_reads_older_is_asked_for_no_younger_one(readings: tuple[float, float, float]) -> None:
    asked = (30.0, 50.0, 70.0)
    look = {
        "exemplar": "likeness",
        "apparent": 30.0,
        "response": [list(pair) for pair in zip(asked, readings, strict=True)],
    }
    assert answering(look, 30.0, 60.0) >= 30.0


def test_a_target_is_looked_up_in_the_measured_response() -> None:
    look = {"apparent": 30.0, "response": [[15, 25], [30, 30], [50, 40], [70, 60], [100, 70]]}
    assert answering(look, 30.0, 50.0) == pytest.approx(58.0)  # what an asked 60 is short of
    assert answering(look, 30.0, 30.0) == 30.0
    assert answering({}, 30.0, 65.0) == 65.0
    asked = [answering(look, 30.0, age) for age in range(15, 81)]
    assert asked == sorted(asked)
    assert max(asked) <= 88.0


def test_a_blurred_crop_measures_as_softer(crop: torch.Tensor) -> None:
    points = reage1._on_crops(crop)[0]
    soft = [
        cv2.GaussianBlur(crop[0].permute(1, 2, 0).numpy(), (0, 0), s) if s else crop[0].permute(1, 2, 0).numpy()
        for s in (0.0, 2.0, 4.0)
    ]
    sharp, blurred, more = (softness(torch.from_numpy(p).permute(2, 0, 1), points) * 512 for p in soft)
    assert sharp < blurred < more
    assert blurred == pytest.approx(np.hypot(sharp, 2.0), rel=0.3)


def test_a_changed_picture_of_the_bank_or_another_recipe_is_another_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(reage1.exemplars.BANK, tmp_path / "bank")
    monkeypatch.setattr(reage1.exemplars, "BANK", tmp_path / "bank")
    before = reage1._identity("w")
    assert before == reage1._identity("w") != reage1._identity("v")
    picture = next(file for file in sorted((tmp_path / "bank").glob("*.jpg")) if ".thumb" not in file.name)
    picture.write_bytes(picture.read_bytes() + b"\0")
    after = reage1._identity("w")
    monkeypatch.setattr(reage1, "RECIPE", "another")
    assert len({before, after, reage1._identity("w")}) == 3
