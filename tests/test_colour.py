from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reage.colour import Colour, decode_srgb, default_space, encode_srgb, shoulder
from reage.errors import RequestError

ROUND_TRIP = 3e-6  # relative; float32 through two matrices and two power functions

PLATE = np.array([[[0.18, 0.2, 0.1], [6.0, 6.2, 5.9], [-0.05, 0.1, 0.3], [0.0, 0.0, 0.0]]], np.float32)


@given(st.floats(-50, 1000, width=32))
def test_the_curve_goes_on_below_0_and_above_1(value: float) -> None:
    linear = torch.tensor([value], dtype=torch.float32)
    assert decode_srgb(encode_srgb(linear)).item() == pytest.approx(value, rel=2e-5, abs=1e-6)


def test_mid_grey_has_the_published_code() -> None:
    assert encode_srgb(torch.tensor([0.18])).item() == pytest.approx(0.46135, abs=1e-5)


@given(st.floats(width=32))
def test_the_shoulder_keeps_its_promise_for_every_float(value: float) -> None:
    code = shoulder(torch.tensor([value], dtype=torch.float32)).item()
    assert 0.0 <= code <= 1.0
    if 0.0 <= value <= 0.8:
        assert code == pytest.approx(value)


def test_the_shoulder_rises_everywhere() -> None:
    codes = shoulder(torch.linspace(0.0, 20.0, 2001))
    assert bool((codes.diff() > 0).all())


@pytest.mark.parametrize("space", ["ACEScg", "ACES2065-1", "Linear Rec.709 (sRGB)", "scene_linear"])
@pytest.mark.parametrize("exposure", [-3.0, 0.0, 2.5])
def test_no_change_is_exactly_none_and_a_change_moves_only_what_it_says(space: str, exposure: float) -> None:
    colour = Colour(space)
    code = colour.code_from_plate(PLATE, exposure)
    nothing = torch.zeros_like(code)
    assert np.array_equal(colour.plate_change(PLATE, nothing, exposure), np.zeros_like(PLATE))
    one = nothing.clone()
    one[:, 0, 0] = -0.05
    change = colour.plate_change(PLATE, one, exposure)
    assert (change[0, 0] < 0).all() and not change[0, 1:].any()


@pytest.mark.parametrize("space", ["ACEScg", "Linear Rec.709 (sRGB)"])
def test_highlights_above_1_and_negatives_survive_a_change(space: str) -> None:
    colour = Colour(space)
    code = colour.code_from_plate(PLATE, 0.0)
    aged = PLATE + colour.plate_change(PLATE, torch.full_like(code, -0.03), 0.0)
    assert (aged[0, 1] > 5.0).all()
    assert aged[0, 2, 0] < 0.0


@pytest.mark.parametrize("space", ["ACEScg", "ACEScct", "sRGB Encoded Rec.709 (sRGB)"])
@pytest.mark.parametrize("exposure", [0.0, 1.5])
def test_a_changed_plate_reads_as_its_code_and_the_change(space: str, exposure: float) -> None:
    colour = Colour(space)
    pixels = np.random.default_rng(4).uniform(0.05, 0.6, (5, 7, 3)).astype(np.float32)
    code = colour.code_from_plate(pixels, exposure)
    change = 0.1 * torch.rand(code.shape, generator=torch.Generator().manual_seed(5)) - 0.05
    after = colour.code_from_plate(pixels + colour.plate_change(pixels, change, exposure), exposure)
    assert (after - code - change).abs().max() < 2e-4  # a log space's tables


def test_a_change_means_the_same_colour_in_every_space() -> None:
    """The same light in two spaces, changed by the same code, is still the same light."""
    a, b = Colour("ACEScg"), Colour("Linear Rec.709 (sRGB)")
    light: NDArray[np.float32] = np.array([[[0.3, 0.2, 0.15]]], np.float32)
    code = a.code_from_plate(light, 0.0)
    same = decode_srgb(code).permute(1, 2, 0).numpy()
    step = torch.full_like(code, 0.04)
    in_a = a.code_from_plate(light + a.plate_change(light, step, 0.0), 0.0)
    in_b = b.code_from_plate(same + b.plate_change(same, step, 0.0), 0.0)
    assert torch.allclose(in_a, in_b, atol=1e-5)
    assert torch.allclose(in_a, code + step, atol=1e-5)


def test_an_srgb_plate_is_what_the_networks_see() -> None:
    colour = Colour("sRGB - Texture")
    plate = np.array([[[0.1, 0.5, 0.9]]], np.float32)
    assert np.allclose(colour.code_from_plate(plate, 0.0).permute(1, 2, 0).numpy(), plate, atol=ROUND_TRIP)


def test_one_stop_of_exposure_doubles_the_light() -> None:
    colour = Colour("ACEScg")
    once, twice = (decode_srgb(colour.code_from_plate(PLATE, stops)) for stops in (0.0, 1.0))
    assert torch.allclose(twice, 2.0 * once, rtol=1e-4)


def test_red_stays_red() -> None:
    red = Colour("Linear Rec.709 (sRGB)").display(np.array([[[0.5, 0.0, 0.0]]], np.float32))
    assert red.shape == (1, 1, 3) and red[0, 0, 0] > 150 and red[0, 0, 1] == red[0, 0, 2] == 0


def test_defaults_follow_the_contract() -> None:
    assert default_space("exr", {}) == "ACEScg"
    assert default_space("exr", {"colorInteropID": "lin_rec709_scene"}) == "Linear Rec.709 (sRGB)"
    assert default_space("exr", {"oiio:ColorSpace": "no such space"}) == "ACEScg"
    assert default_space("png", {}) == "sRGB Encoded Rec.709 (sRGB)"
    with pytest.raises(RequestError, match="--colorspace"):
        default_space("dpx", {})


@pytest.mark.parametrize("space, config", [("NoSuchSpace", None), ("Raw", None), ("ACEScg", "/no/config.ocio")])
def test_an_unknown_space_or_config_is_refused(space: str, config: str | None) -> None:
    with pytest.raises(RequestError):
        Colour(space, config)
