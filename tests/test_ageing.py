from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from reage.ageing import age, painted, steadied
from reage.agers.base import AgeCodes

SOURCE = 40.0


class Inverting:
    """A coded ager that gets a face wrong in a way of its own: what SAM does, in a few numbers.

    It paints the mean of a code everywhere, twice as large as a crop, plus an error that no age changes.
    """

    def __init__(self, error: Tensor) -> None:
        self.facts: Any = None
        self.error = error

    def __call__(self, crops: Tensor, source_age: Any = None, target_age: Any = 70.0, **_: Any) -> Tensor:
        codes = self.encode(crops, None, target_age)
        return self.paint(codes.own + codes.shift)

    def first_look(self, *_: Any) -> dict[str, Any]:
        return {}

    def encode(self, crops: Tensor, source_age: Any, target_age: Any) -> AgeCodes:
        mean = crops.mean((1, 2, 3))[:, None, None]
        shift = torch.as_tensor(target_age).view(-1, 1, 1) / 100.0
        if source_age is None:
            return AgeCodes(mean, shift.expand_as(mean))
        return AgeCodes(mean + source_age / 100.0, shift - source_age / 100.0)

    def paint(self, codes: Tensor) -> Tensor:
        return codes[:, :, :, None].expand(-1, 3, 8, 8) + self.error


class Adding:
    """A U-Net: the crop and a change come back."""

    facts: Any = None

    def __call__(self, crops: Tensor, source_age: Any, target_age: Tensor, **_: Any) -> Tensor:
        return crops + (target_age[:, None, None, None] - source_age) / 100.0

    def first_look(self, *_: Any) -> dict[str, Any]:
        return {}


CROPS = torch.rand(2, 3, 4, 4)
POINTS = torch.zeros(2, 68, 2)


def aged(ager: Any, targets: list[float], mode: str) -> Tensor:
    return age(ager, CROPS, SOURCE, torch.tensor(targets), POINTS, {}, mode)


def test_in_change_mode_what_the_model_gets_wrong_cancels() -> None:
    errors = torch.zeros(3, 8, 8), 0.3 * torch.randn(3, 8, 8)
    right, wrong = (aged(Inverting(error), [60.0, 20.0], "change") for error in errors)
    assert (right - wrong).abs().max() < 1e-5
    assert right[0].mean() == pytest.approx(0.2, abs=1e-5) and right[1].mean() == pytest.approx(-0.2, abs=1e-5)


def test_in_change_mode_the_persons_own_age_changes_nothing() -> None:
    assert aged(Inverting(torch.randn(3, 8, 8)), [SOURCE, SOURCE], "change").abs().max() < 1e-6


def test_in_replace_mode_the_models_picture_returns_errors_and_all() -> None:
    ager = Inverting(torch.full((3, 8, 8), 0.25))
    expected = CROPS.mean((1, 2, 3)) + torch.tensor([0.6, 0.2]) + 0.25
    assert torch.allclose((CROPS + aged(ager, [60.0, 20.0], "replace")).mean((1, 2, 3)), expected, atol=1e-5)


def test_a_model_that_answers_a_change_is_asked_once_in_either_mode() -> None:
    for mode in ("change", "replace"):
        assert torch.allclose(aged(Adding(), [60.0, 30.0], mode)[:, 0, 0, 0], torch.tensor([0.2, -0.1]), atol=1e-6)


def coded(own: float, shift: float) -> AgeCodes:
    return AgeCodes(torch.full((1, 2, 3), own), torch.full((1, 2, 3), shift))


def test_steadying_smooths_the_way_between_ages_and_leaves_the_performance() -> None:
    generator = torch.Generator().manual_seed(0)
    boil = torch.randn(41, generator=generator)
    codes = {k: coded(float(k), 1.0 + 0.3 * float(boil[k])) for k in range(41)}
    smooth = {k: steadied(codes, k, 3) for k in range(41)}
    assert all(torch.equal(smooth[k].own, codes[k].own) for k in codes)
    before = torch.stack([codes[k].shift.mean() for k in range(3, 38)]).diff().std()
    after = torch.stack([smooth[k].shift.mean() for k in range(3, 38)]).diff().std()
    assert after < 0.45 * before


def test_a_steady_ramp_of_ages_is_kept() -> None:
    codes = {k: coded(0.0, 0.1 * k) for k in range(9)}
    assert torch.allclose(steadied(codes, 4, 3).shift, codes[4].shift, atol=1e-6)


@given(st.integers(0, 4), st.integers(0, 20), st.lists(st.integers(-30, 50), unique=True, max_size=12))
def test_frames_beyond_the_radius_do_not_count(radius: int, centre: int, others: list[int]) -> None:
    codes = {frame: coded(float(frame), float(frame**2)) for frame in {centre, *others}}
    near = {frame: code for frame, code in codes.items() if abs(frame - centre) <= radius}
    assert torch.equal(steadied(codes, centre, radius).shift, steadied(near, centre, radius).shift)
    if len(near) == 1:
        assert torch.equal(steadied(codes, centre, radius).shift, codes[centre].shift)


def test_painting_steadied_codes_gives_the_change_they_stand_for() -> None:
    ager = Inverting(torch.randn(3, 8, 8))
    codes = AgeCodes(torch.zeros(2, 1, 1), torch.tensor([0.5, -0.25]).view(2, 1, 1))
    change = painted(ager, codes, CROPS, "change")
    assert torch.allclose(change.mean((1, 2, 3)), torch.tensor([0.5, -0.25]), atol=1e-5)
    assert change.shape == CROPS.shape
