"""What the years do to hair."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reage.agers import hair
from reage.agers.hair import Greying, Seen
from reage.colour import decode_srgb, encode_srgb
from reage.errors import RequestError

SIDE = 128
DARK, SKIN, GREY = (0.05, 0.03, 0.02), (0.5, 0.35, 0.28), (0.35, 0.34, 0.33)
NO_FADE = (0.0,) * 4


def crop_of(colour: tuple[float, float, float], grain: float = 0.0) -> torch.Tensor:
    light = torch.tensor(colour).view(3, 1, 1).expand(3, SIDE, SIDE)
    noise = torch.from_numpy(np.random.default_rng(1).normal(0.0, 1.0, (1, SIDE, SIDE))).float()
    return encode_srgb(light * (1.0 + grain * noise))


def luma(crop: torch.Tensor) -> torch.Tensor:
    return (decode_srgb(crop) * torch.from_numpy(hair.LUMA).view(3, 1, 1)).sum(0)


def upper_half() -> torch.Tensor:
    mask = torch.zeros(SIDE, SIDE)
    mask[: SIDE // 2] = 1.0
    return mask


def greying(stops: float, white: hair.Colour = (1.0, 1.0, 1.0), colour: hair.Colour = DARK, **more: Any) -> Greying:
    """Hair that is lighter by so many stops after ten years."""
    return Greying(colour, SKIN, (1.0, 1.0, 1.0), white, ((0.0, 0.0), (10.0, stops)), more.get("fades", NO_FADE))


def grown(*at: tuple[float, float]) -> dict[float, Seen]:
    """A likeness whose hair is so many stops lighter than at its own age, by years."""
    own = np.array(DARK)
    return {years: Seen(tuple(own * 2.0**stops), SKIN) for years, stops in at}  # type: ignore[misc]


def test_hair_goes_by_so_many_stops_and_what_is_no_hair_stays_bit_for_bit() -> None:
    crop = crop_of(DARK)
    aged = hair.apply(crop, upper_half(), greying(2.0), 10.0)
    assert torch.equal(aged[:, SIDE // 2 :], crop[:, SIDE // 2 :])
    lighter = luma(aged)[: SIDE // 4] / luma(crop)[: SIDE // 4]
    assert float(lighter.median()) == pytest.approx(4.0, rel=0.02)


def test_what_is_added_to_hair_has_the_colour_it_is_given_and_what_was_there_keeps_its_own() -> None:
    crop, mask = crop_of(DARK), torch.ones(SIDE, SIDE)
    colour = tuple(np.array(GREY) / np.dot(hair.LUMA, GREY))
    level = float(np.dot(hair.LUMA, DARK))
    for stops in (0.1, 1.0, 3.0):
        seen = decode_srgb(hair.apply(crop, mask, greying(stops, colour), 10.0)).mean((1, 2))
        wanted = np.array(DARK) + (2.0**stops - 1.0) * level * np.array(colour)
        assert seen.numpy() == pytest.approx(wanted, rel=0.02)


def test_grain_grows_much_less_than_light() -> None:
    # A crop as large as plates have: what counts as grain is told in shares of the side.
    crop = crop_of((0.05, 0.05, 0.05), 0.1)
    large = torch.nn.functional.interpolate(crop[None], scale_factor=8, mode="nearest")[0]
    noise = torch.from_numpy(np.random.default_rng(2).normal(0.0, 0.005, (1, 8 * SIDE, 8 * SIDE))).float()
    grainy = encode_srgb((decode_srgb(large).mean((1, 2), keepdim=True) + noise).expand(3, -1, -1))
    aged = hair.apply(grainy, torch.ones(8 * SIDE, 8 * SIDE), greying(3.0, colour=(0.05, 0.05, 0.05)), 10.0)
    inside = slice(64, -64)
    before, after = (float(luma(one)[inside, inside].std()) for one in (grainy, aged))
    assert 2.8 * before < after < 4.0 * before  # eight times as light; photons' grows 2.8 times


@pytest.mark.parametrize("stops", [1.0, 3.0])
def test_no_rim_is_lighter_than_hair_and_the_skin_beside_it(stops: float) -> None:
    side = 4 * SIDE
    mask = torch.zeros(side, side)
    mask[: side // 2] = 1.0
    shown = torch.from_numpy(cv2.GaussianBlur(mask.numpy(), (0, 0), 3.0))
    told = torch.from_numpy(cv2.GaussianBlur(mask.numpy(), (0, 0), 5.0))  # softer than the edge, as a net's is
    # As skin lies in shadow, its light alone does not tell it from hair.
    shadow = torch.tensor(SKIN).view(3, 1, 1) / 4.0
    light = shown * torch.tensor(DARK).view(3, 1, 1) + (1.0 - shown) * shadow
    aged = luma(hair.apply(encode_srgb(light), told, greying(stops), 10.0))[:, side // 2]
    assert float(aged.max()) < 1.12 * max(float(aged[side // 8]), float(aged[-side // 8]))


def test_hair_in_shadow_stays_in_shadow() -> None:
    crop, mask = crop_of(DARK), torch.ones(SIDE, SIDE)
    light = decode_srgb(crop)
    light[:, :, SIDE // 2 :] /= 8.0
    aged = luma(hair.apply(encode_srgb(light), mask, greying(3.0), 10.0))
    lit, shadow = float(aged[:, : SIDE // 4].median()), float(aged[:, -SIDE // 4 :].median())
    assert 1.5 < lit / shadow < 6.5  # it was 8


def test_strands_keep_most_of_their_contrast_and_no_strand_shines_beyond_skin() -> None:
    crop, mask, side = crop_of(DARK), torch.ones(SIDE, SIDE), SIDE
    # Stripes half a stop darker and lighter than the hair, each a sixteenth of the side.
    stripes = torch.where(torch.arange(side) // (side // 16) % 2 == 0, -0.5, 0.5)
    light = decode_srgb(crop) * torch.exp2(stripes)
    aged = luma(hair.apply(encode_srgb(light), mask, greying(2.0), 10.0))[side // 2]
    middles = torch.log2(aged[side // 32 :: side // 16])
    assert 0.4 < float((middles[1::2] - middles[::2]).median()) < 1.0  # it was 1
    shiny = light.clone()
    shiny[:, side // 2 :] *= 4.0
    brightest = float(luma(hair.apply(encode_srgb(shiny), mask, greying(3.4), 10.0)).max())
    assert brightest < 2.0 ** (hair.LIGHTEST + 0.1) * float(np.dot(hair.LUMA, SKIN))


def test_hair_that_is_nearly_black_grows_grey_and_not_white() -> None:
    black = tuple(np.array(DARK) / 16.0)
    told = hair.greying(grown((0.0, 0.0), (60.0, 7.0)), Seen(black, SKIN))  # type: ignore[arg-type]
    assert told.stops(60.0) == hair.MOST


def test_a_beard_grows_grey_and_not_white() -> None:
    told = greying(3.0).of_beard()
    assert told.stops(10.0) == hair.MILD and told.stops(2.0) == pytest.approx(0.2 * hair.MILD)
    assert greying(1.0).of_beard() == greying(1.0)


def test_hair_that_goes_beyond_the_crop_changes_less_towards_that_edge() -> None:
    mask = torch.zeros(SIDE, SIDE)
    mask[SIDE // 2 :, SIDE // 4 : 3 * SIDE // 4] = 1.0
    fades = hair.beyond(mask)
    assert fades == (0.0, 0.0, 0.0, hair.FADE)
    aged = luma(hair.apply(crop_of(DARK), mask, greying(2.0, fades=fades), 10.0))[:, SIDE // 2]
    assert float(aged[-1]) < 1.1 * float(np.dot(hair.LUMA, DARK)) < float(aged[SIDE // 2 + 8])
    assert bool((aged[SIDE // 2 + 8 :].diff() <= 1e-6).all())


def test_no_hair_has_no_colour() -> None:
    assert hair.measured(crop_of(DARK), torch.zeros(SIDE, SIDE)) is None
    assert hair.measured(crop_of(DARK), torch.ones(SIDE, SIDE)) == pytest.approx(DARK, rel=1e-3)


def test_the_tone_lies_between_those_of_the_portraits_beside_it_and_ends_with_the_last() -> None:
    told = hair.greying(grown((0.0, 0.0), (20.0, 1.0), (40.0, 2.0)), Seen(DARK, SKIN))
    stops = [told.stops(years) for years in (0.0, 10.0, 20.0, 30.0, 40.0, 60.0)]
    assert stops == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 2.0], abs=1e-3)


def test_hair_never_darkens_with_the_years_nor_lightens_without_them() -> None:
    assert hair.greying(grown((0.0, 0.0), (20.0, -1.0)), Seen(DARK, SKIN)).stops(20.0) == 0.0
    assert hair.greying(grown((-30.0, 1.0), (0.0, 0.0)), Seen(DARK, SKIN)).stops(-30.0) == 0.0
    younger = hair.greying(grown((-30.0, -2.0), (0.0, 0.0)), Seen(DARK, SKIN)).stops(-30.0)
    assert younger == pytest.approx(-2.0 * hair.YOUNGER, abs=1e-3)


@given(st.floats(0.0, 8.0), st.floats(-6.0, 1.5))
def test_hair_becomes_no_whiter_than_a_plate_can_hold(stops: float, own: float) -> None:
    red, green, blue = (v * 2.0**own for v in SKIN)
    moved = hair.greying(grown((0.0, 0.0), (60.0, stops)), Seen((red, green, blue), SKIN)).stops(60.0)
    assert 0.0 <= moved <= stops + 1e-3
    assert own + moved <= max(own, hair.WHITEST) + 2e-3


def test_white_hair_follows_the_light_on_the_actors_skin() -> None:
    aged = {0.0: Seen(DARK, SKIN), 60.0: Seen(GREY, SKIN)}
    warm = (SKIN[0] * 1.3, SKIN[1], SKIN[2] * 0.7)
    neutral, warmer = (hair.greying(aged, Seen(DARK, skin)).white for skin in (SKIN, warm))
    # Half the warmth of a portrait in that light: it is not to be trusted with a grade. Skin tells of one.
    assert neutral[0] / neutral[2] == pytest.approx(hair.COLDEST**2, rel=1e-3)
    assert warmer[0] / warmer[2] == pytest.approx((GREY[0] / GREY[2] * 1.3 / 0.7) ** 0.5, rel=1e-3)
    orange = (SKIN[0], SKIN[1] / 2.0, SKIN[2] / 4.0)
    told = hair.greying(aged, Seen(DARK, orange)).white
    wanted = (orange[0] / orange[2] / hair.USUAL_SKIN) ** (2.0 * hair.CAST)
    assert told[0] / told[2] == pytest.approx(wanted, rel=1e-3)
    assert wanted > warmer[0] / warmer[2]
    yellow = {**aged, 60.0: Seen((0.35, 0.3, 0.1), SKIN)}
    red, _, blue = hair.greying(yellow, Seen(DARK, SKIN)).white
    assert red / blue == pytest.approx(3.5**0.5, rel=1e-3)
    assert np.dot(hair.LUMA, warmer) == pytest.approx(1.0, abs=1e-3)


def test_white_hair_is_never_blue() -> None:
    aged = {0.0: Seen(DARK, SKIN), 60.0: Seen((0.2, 0.3, 0.5), SKIN)}
    red, _, blue = hair.greying(aged, Seen(DARK, SKIN)).white
    assert blue <= 1.05 * red


def test_skin_at_the_hairline_hardly_changes() -> None:
    crop = crop_of(SKIN)
    aged = hair.apply(crop, torch.ones(SIDE, SIDE), greying(3.0, colour=(0.08, 0.06, 0.05)), 10.0)
    assert float((aged - crop).abs().max()) < 0.01


def test_what_is_like_skin_is_hair_where_the_actors_hair_is_like_skin() -> None:
    light = tuple(v / 1.5 for v in SKIN)
    crop = crop_of(light)  # type: ignore[arg-type]

    def lighter(colour: hair.Colour) -> float:
        aged = hair.apply(crop, torch.ones(SIDE, SIDE), greying(0.4, colour=colour), 10.0)
        return float(torch.log2(luma(aged) / luma(crop)).median())

    assert lighter(light) > 0.27 and lighter(DARK) < 0.15  # type: ignore[arg-type]


def test_what_is_settled_survives_the_tracks_and_what_is_damaged_is_refused() -> None:
    aged = grown((-30.0, -1.0), (0.0, 0.0), (60.0, 3.0))
    told = hair.greying(aged, Seen(DARK, SKIN), (0.0, 0.22, 0.0, 0.0), 0.7)
    plain = json.loads(json.dumps(asdict(told)))
    assert Greying.heard(plain) == told
    for broken in (
        {},
        {**plain, "white": [1.0]},
        {**plain, "knots": [1, 2]},
        {**plain, "fades": None},
        {**plain, "beard": "full"},
    ):
        with pytest.raises(RequestError, match="analyse"):
            Greying.heard(broken)


@pytest.mark.parametrize("stops", [-2.0, 4.0])
def test_highlights_beyond_white_and_negatives_stay_finite(stops: float) -> None:
    light = torch.linspace(-0.1, 6.0, SIDE).expand(3, SIDE, SIDE).contiguous()
    assert bool(torch.isfinite(hair.apply(encode_srgb(light), torch.ones(SIDE, SIDE), greying(stops), 10.0)).all())
