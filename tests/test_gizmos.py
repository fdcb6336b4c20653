"""What the gizmos do to pixels, by a reference model of Nuke's nodes, on EXRs of the engine. Never run in Nuke."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rig
from hypothesis import given, settings
from hypothesis import strategies as st
from nk.lint import lint
from nk.render import Gizmo, Image, Source, nuke_name
from nk.script import Script, can_read, read_file
from nk.toolset import GIZMOS, TOOLSET, compose, gizmo_text
from rig import FIRST, face_at
from scipy.ndimage import gaussian_filter

from reage.composite import side_of
from reage.images import read_picture
from reage.job import REGIONS, Job
from reage.pipeline import render
from reage.version import __version__

if not can_read():
    pytest.skip("needs tkinter or tclsh", allow_module_level=True)

NAMES = ("ReageApply", "ReageBlend", "ReageMatte", "ReageQC")
COLOURS = ("red", "green", "blue")
RGB = tuple(f"rgba.{colour}" for colour in COLOURS)
DELTA = tuple(f"reage_delta.{colour}" for colour in COLOURS)
ROUNDING = 3e-6  # float32 arithmetic on values up to 7
SCRIPTS: dict[str, Script] = {name: read_file(GIZMOS / f"{name}.gizmo") for name in NAMES}


def gizmo(
    name: str, *inputs: Image | Source | None, frames: tuple[int, int] = (FIRST, FIRST + 8), **knobs: Any
) -> Gizmo:
    sources = [(lambda frame, image=one: image) if isinstance(one, Image) else one for one in inputs]
    return Gizmo(SCRIPTS[name], sources, frames, **knobs)


def applied(
    plate: Image | Source, reaged: Image | Source | None, mask: Any = None, holdout: Any = None, **knobs: Any
) -> Image:
    return gizmo("ReageApply", plate, reaged, mask, holdout, **knobs).at(FIRST)


def stacked(image: Image, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([image.plane(name) for name in names], -1)


def bits(image: Image, names: tuple[str, ...] = RGB) -> bytes:
    return stacked(image, names).tobytes()


# EXRs of the engine, as Nuke reads them


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shot")
    frames = range(FIRST, FIRST + 3)
    return {
        "plate": rig.write_plate(folder / "plate", frames, extra=True, half=False),
        "tracks": str(rig.write_tracks(folder / "tracks.json", frames)),
    }


@pytest.fixture(scope="module")
def rendered(shot: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Source]:
    """Runs the engine with layers, once for each set of options; answers the result as a Read in Nuke would."""
    done: dict[str, Source] = {}

    def go(**options: Any) -> Source:
        key = repr(sorted(options.items()))
        if key not in done:
            out = str(tmp_path_factory.mktemp("out") / "a.%04d.exr")
            with pytest.MonkeyPatch.context() as patch:
                rig.use_small_ager(patch)
                list(render(Job.make(**{"age": 70, **shot, "output": out, "layers": True, **options})))
            done[key] = as_read(out)
        return done[key]

    return go


def as_read(pattern: str) -> Source:
    """A Read of an EXR sequence: the first part's channels under Nuke's names, the last frame held."""

    def frame(number: int) -> Image:
        held = min(max(number, FIRST), FIRST + 2)
        channels = read_picture(Path(pattern % held)).parts[0].channels
        height, width = channels["R"].shape
        return Image(width, height).having({nuke_name(name): plane for name, plane in channels.items()})

    return frame


@pytest.fixture(scope="module")
def plate(shot: dict[str, str]) -> Source:
    return as_read(shot["plate"])


def face_size(frame: int = FIRST) -> float:
    return side_of(face_at(frame).quad_array())


@pytest.mark.parametrize(
    "gains",
    [
        {},
        {"strength": 0.6},
        {"tone": 0.3, "detail": 1.8},
        {"strength": 1.7, "tone": 0.0, "region": {"eyes": 0.3, "jaw": 2.0, "cheeks": 0.5, "forehead": 0.0}},
    ],
    ids=str,
)
def test_apply_gives_what_the_engine_rendered(
    plate: Source, rendered: Callable[..., Source], gains: dict[str, Any]
) -> None:
    wanted = rendered(frames=str(FIRST), **gains)(FIRST)
    knobs = {name: value for name, value in gains.items() if name != "region"} | gains.get("region", {})
    got = applied(plate, rendered(), face_size=face_size(), **knobs)
    before = plate(FIRST)
    changed = np.abs(wanted.rgb() - before.rgb()).max(-1) > 1e-3
    assert changed.mean() > 0.03
    assert np.abs(got.rgb() - wanted.rgb()).max() < ROUNDING
    outside = rendered()(FIRST).plane("reage_matte.alpha") == 0
    assert outside.mean() > 0.5
    assert stacked(got, RGB)[outside].tobytes() == before.rgb()[outside].tobytes()


def test_a_curve_of_mix_is_followed_frame_by_frame(plate: Source, rendered: Callable[..., Source]) -> None:
    node = gizmo("ReageApply", plate, rendered(), mix=lambda frame: float(frame != FIRST))
    assert bits(node.at(FIRST)) == bits(plate(FIRST))
    assert np.abs(node.at(FIRST + 1).rgb() - rendered()(FIRST + 1).rgb()).max() < ROUNDING


def test_alpha_and_all_other_layers_of_the_plate_leave_untouched(
    plate: Source, rendered: Callable[..., Source]
) -> None:
    before, after = plate(FIRST), applied(plate, rendered(), regrain=1, feather=3, grow=2)
    others = tuple(name for name in before.planes if name not in RGB)
    assert len(others) > 10
    assert set(after.planes) == set(before.planes)
    assert bits(after, others) == bits(before, others)


# Small pictures with everything that film light can hold


def wild_plate(seed: int = 1, size: int = 24) -> Image:
    """HDR, negatives, minus zero, NaN and both infinities in every colour; and a layer of its own."""
    rng = np.random.default_rng(seed)
    planes = {name: rng.normal(0.4, 0.6, (size, size)).astype(np.float32) for name in RGB}
    for column, plane in enumerate(planes.values()):
        for row, value in enumerate((np.nan, np.inf, -np.inf, -0.0, 6.5)):
            plane[row::6, column::5] = value
    return Image(size, size).having(
        {**planes, "rgba.alpha": rng.random((size, size)), "light.red": planes["rgba.blue"]}
    )


def tame_plate(seed: int = 2, size: int = 24) -> Image:
    rng = np.random.default_rng(seed)
    plate = Image(size, size).having({name: rng.normal(0.4, 0.2, (size, size)).astype(np.float32) for name in RGB})
    return plate.having({"rgba.alpha": rng.random((size, size))})


def layers(seed: int = 3, size: int = 24, margin: int = 6) -> Image:
    """Made-up layers: D everywhere, M inside a margin, R that sums to 1 there."""
    rng = np.random.default_rng(seed)
    matte = np.zeros((size, size), np.float32)
    inner = slice(margin, size - margin)
    matte[inner, inner] = rng.uniform(0.2, 1.0, (size - 2 * margin,) * 2)
    shares = rng.random((6, size, size)) + 0.05
    shares = shares / shares.sum(0) * (matte > 0)
    change = {name: rng.normal(0, 0.1, (size, size)) for name in DELTA}
    regions = {f"reage_region.{name}": shares[i] for i, name in enumerate(REGIONS)}
    image = Image(size, size).having({**change, "reage_matte.alpha": matte, **regions})
    return image.having(dict(zip(RGB, np.moveaxis(tame_plate(2, size).rgb(), -1, 0), strict=True)))


def grey(value: Any, size: int = 24) -> Image:
    return Image(size, size).having({"rgba.alpha": value})


def equation(plate: Image, reaged: Image, gain: Any = 1.0, bands: np.ndarray | None = None) -> np.ndarray:
    change = stacked(reaged, DELTA) if bands is None else bands
    return plate.rgb() + (reaged.plane("reage_matte.alpha") * gain)[..., None] * change


@pytest.mark.parametrize(
    "off", [{"mix": 0}, {"strength": 0}, {"mix": 0, "regrain": 2, "grow": 5, "tone": 2, "highlights": 1}]
)
def test_at_mix_0_the_plate_comes_through_bit_for_bit(off: dict[str, float]) -> None:
    plate = wild_plate()
    names = tuple(sorted(plate.planes))
    assert np.isnan(plate.rgb()).any() and np.signbit(plate.rgb()[plate.rgb() == 0]).any()
    after = applied(plate, layers(), **off)
    assert after is plate  # the switch takes it, nothing is computed
    assert set(after.planes) == set(names) and bits(after, names) == bits(plate, names)


def test_mix_0_is_the_plate_even_without_the_switch() -> None:
    plate = wild_plate()
    inside = gizmo("ReageApply", plate, layers(), None, None, mix=0).at(FIRST, "OntoPlate")
    assert bits(inside) == bits(plate)


def test_without_a_render_the_plate_comes_through_bit_for_bit() -> None:
    assert bits(applied(wild_plate(), None)) == bits(wild_plate())


KNOBS = {
    knob.name: st.floats(*knob.range())
    for knob in SCRIPTS["ReageApply"].only().user
    if knob.type == 7 and knob.range() and not knob.name.startswith(("view", "wipe", "face_size"))
}


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({}, optional=KNOBS), st.booleans(), st.booleans())
def test_whatever_is_dialled_nothing_changes_outside_the_matte(
    knobs: dict[str, float], mask: bool, invert: bool
) -> None:
    plate, reaged = wild_plate(), layers(margin=9)
    reach = max(knobs.pop("grow", 0.0), 0.0)
    knobs.pop("feather", None)
    painted = grey(np.tri(24)) if mask else None
    after = applied(plate, reaged, painted, None, grow=min(reach, 4.0), mask_invert=invert, **knobs)
    outside = np.ones((24, 24), bool)
    outside[4:20, 4:20] = False
    assert after.rgb()[outside].tobytes() == plate.rgb()[outside].tobytes()


def test_nan_and_infinity_inside_the_matte_stay_and_do_not_spread() -> None:
    plate, reaged = wild_plate(), layers(margin=2)
    after = applied(plate, reaged, regrain=1, grain_size=5, highlights=0.5, tone=0.5)
    for test in (np.isnan, np.isposinf, np.isneginf):
        assert test(plate.rgb()).any()
        assert np.array_equal(test(after.rgb()), test(plate.rgb()))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channel", DELTA)
def test_a_change_that_is_not_finite_is_none(channel: str, value: float) -> None:
    reaged, none = layers(), layers()
    broken, zero = (image.plane(channel).copy() for image in (reaged, none))
    broken[12, 12], zero[12, 12] = value, 0.0
    got, wanted = (applied(tame_plate(), reaged.having({channel: plane}), tone=0.5) for plane in (broken, zero))
    assert np.isfinite(got.rgb()).all() and bits(got) == bits(wanted)


def test_light_above_1_and_below_0_survives_and_is_not_clamped() -> None:
    plate = tame_plate().having({"rgba.red": 6.5, "rgba.green": -0.05, "rgba.blue": 0.0})
    reaged = layers()
    after = applied(plate, reaged)
    assert after.rgb().max() > 6.5 and after.rgb().min() < -0.1
    assert np.array_equal(after.rgb(), equation(plate, reaged))


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_s_gain_weighs_its_share(region: str) -> None:
    plate, reaged = tame_plate(), layers()
    share = reaged.plane(f"reage_region.{region}")
    after = applied(plate, reaged, **{region: 2.5})
    assert np.abs(after.rgb() - equation(plate, reaged, 1.0 + 1.5 * share)).max() < ROUNDING


def test_tone_and_detail_part_at_2_percent_of_the_face() -> None:
    plate, reaged = tame_plate(), layers()
    change = stacked(reaged, DELTA)
    low = gaussian_filter(change, (0.02 * 120, 0.02 * 120, 0), mode="constant")
    after = applied(plate, reaged, tone=1.4, detail=0.2, face_size=120)
    assert np.abs(after.rgb() - equation(plate, reaged, 1.0, 1.4 * low + 0.2 * (change - low))).max() < ROUNDING


def test_the_face_s_size_does_not_matter_where_tone_and_detail_agree() -> None:
    one, other = (applied(tame_plate(), layers(), face_size=size, tone=1, detail=1) for size in (60, 1500))
    assert bits(one) == bits(other)


def test_mix_and_strength_weigh_the_whole_change() -> None:
    plate, reaged = tame_plate(), layers()
    after = applied(plate, reaged, mix=0.5, strength=1.5)
    assert np.abs(after.rgb() - equation(plate, reaged, 0.75)).max() < ROUNDING


def test_grow_and_shrink_move_the_matte_s_edge() -> None:
    plate = tame_plate().having(dict.fromkeys(RGB, 0.25))
    box = np.zeros((24, 24), np.float32)
    box[8:16, 8:16] = 1.0
    regions = {f"reage_region.{name}": box * (name == "jaw") for name in REGIONS}
    reaged = layers().having({"reage_matte.alpha": box, **regions, **dict.fromkeys(DELTA, 0.5)})

    def area(**knobs: float) -> int:
        return int((applied(plate, reaged, **knobs).plane("rgba.red") != 0.25).sum())

    assert (area(), area(grow=2), area(grow=-2)) == (64, 144, 16)
    assert area(grow=2, cheeks=0) == 64  # what was grown belongs to no region: the cheeks' gain
    assert area(grow=2, jaw=0) == 80
    soft = applied(plate, reaged, feather=4).plane("rgba.red")
    assert 0.25 < soft[12, 6] < soft[12, 8] < soft[12, 12]


def test_a_mask_limits_and_a_holdout_keeps_out() -> None:
    plate, reaged = tame_plate(), layers()
    ramp = np.linspace(0, 1, 24, dtype=np.float32)[None, :]
    for after, gain in (
        (applied(plate, reaged, grey(ramp)), ramp),
        (applied(plate, reaged, grey(ramp), mask_invert=1), 1 - ramp),
        (applied(plate, reaged, None, grey(ramp)), 1 - ramp),
        (applied(plate, reaged, grey(0.5), grey(ramp)), 0.5 * (1 - ramp)),
        (applied(plate, reaged, grey(7.0)), 1.0),
    ):
        assert np.abs(after.rgb() - equation(plate, reaged, gain)).max() < ROUNDING


def test_a_black_mask_is_the_plate_and_an_unconnected_one_is_none() -> None:
    plate, reaged = wild_plate(), layers()
    assert bits(applied(plate, reaged, grey(0))) == bits(plate)
    assert bits(applied(plate, reaged, None, grey(1))) == bits(plate)
    assert bits(applied(plate, reaged, None)) == bits(applied(plate, reaged, grey(1)))
    assert bits(applied(plate, reaged, None, mask_invert=1)) == bits(applied(plate, reaged))


def test_mask_and_holdout_may_be_other_channels() -> None:
    plate, reaged = tame_plate(), layers()
    red = Image(24, 24).having({"rgba.red": 0.25})
    after = applied(plate, reaged, red, red, mask_channel="rgba.red", holdout_channel="rgba.red")
    assert np.abs(after.rgb() - equation(plate, reaged, 0.25 * 0.75)).max() < ROUNDING


def test_the_highlight_guard_fades_the_change_where_the_plate_is_bright() -> None:
    reaged = layers()
    for light, gain in ((0.9, 1.0), (1.0, 1.0), (1.5, 0.5), (2.0, 0.0), (9.0, 0.0)):
        plate = tame_plate().having(dict.fromkeys(RGB, light))
        after = applied(plate, reaged, highlights=1.0, highlights_softness=1.0)
        assert np.abs(after.rgb() - equation(plate, reaged, gain)).max() < ROUNDING
        if gain == 0.0:
            assert bits(after) == bits(plate)
        assert bits(applied(plate, reaged, highlights=0.0, highlights_softness=0.3)) == bits(applied(plate, reaged))


def test_regrain_adds_the_plate_s_own_high_band_and_at_0_nothing() -> None:
    plate, reaged = tame_plate(), layers()
    high = plate.rgb() - gaussian_filter(plate.rgb(), (3 / 2.4, 3 / 2.4, 0), mode="nearest")
    after = applied(plate, reaged, regrain=0.8, grain_size=3)
    assert np.abs(after.rgb() - equation(plate, reaged, 1.0, stacked(reaged, DELTA) + 0.8 * high)).max() < ROUNDING
    assert bits(applied(plate, reaged, regrain=0.0, grain_size=9)) == bits(applied(plate, reaged))


def test_the_matte_s_view_is_black_outside_whatever_the_plate_holds() -> None:
    seen = applied(wild_plate(), layers(), output_view="matte", highlights=1).rgb()
    assert not seen[layers().plane("reage_matte.alpha") == 0].any()


def test_the_views_show_change_matte_regions_and_wipe() -> None:
    plate, reaged = tame_plate(), layers()
    result = applied(plate, reaged).rgb()
    change = applied(plate, reaged, output_view="change x gain", view_gain=5, view_grey=0.2)
    assert np.abs(change.rgb() - (0.2 + 5 * (result - plate.rgb()))).max() < 1e-5
    matte = applied(plate, reaged, output_view="matte", mix=0.5)
    assert np.abs(matte.rgb() - 0.5 * reaged.plane("reage_matte.alpha")[..., None]).max() < ROUNDING
    wipe = applied(plate, reaged, output_view="wipe", wipe=0.5).rgb()
    assert np.array_equal(wipe[:, :12], plate.rgb()[:, :12]) and np.array_equal(wipe[:, 12:], result[:, 12:])
    for view in ("change x gain", "matte", "regions", "wipe"):
        seen = applied(plate, reaged, output_view=view)
        assert bits(seen, ("rgba.alpha",)) == bits(plate, ("rgba.alpha",))


def test_each_region_has_a_colour_of_its_own() -> None:
    black = tame_plate().having(dict.fromkeys(RGB, 0.0))
    seen = set()
    for region in REGIONS:
        only = {f"reage_region.{name}": float(name == region) for name in REGIONS} | {"reage_matte.alpha": 1.0}
        pixel = applied(black, layers().having(only), output_view="regions").rgb()[12, 12]
        assert pixel.max() > 0.3
        seen.add(tuple(pixel.round(2)))
    assert len(seen) == 6


# ReageBlend


def blended(plate: Image, *ages: Image | None, **knobs: Any) -> Image:
    return gizmo("ReageBlend", plate, *ages, **knobs).at(FIRST)


REAGE = (*DELTA, "reage_matte.alpha", *(f"reage_region.{name}" for name in REGIONS))


@pytest.mark.parametrize(("age", "which"), [(20, 0), (45, 1), (70, 2), (5, 0), (99, 2)])
def test_at_a_rendered_age_the_blend_is_that_render(age: float, which: int) -> None:
    plate, ages = tame_plate(), [layers(seed) for seed in (3, 4, 5)]
    got = blended(plate, *ages, age=age)
    assert bits(got, REAGE) == bits(ages[which], REAGE)
    assert np.abs(got.rgb() - equation(plate, ages[which])).max() < ROUNDING


def test_between_two_ages_changes_and_mattes_are_mixed_and_the_plate_is_not() -> None:
    plate, (young, mid, old) = wild_plate(), [layers(seed) for seed in (3, 4, 5)]
    for age, one, other, part in ((32.5, young, mid, 0.5), (57.5, mid, old, 0.5), (50, mid, old, 0.2)):
        got = blended(plate, young, mid, old, age=age)
        wanted = stacked(one, REAGE) * (1 - part) + stacked(other, REAGE) * part
        assert np.abs(stacked(got, REAGE) - wanted).max() < ROUNDING
        outside = got.plane("reage_matte.alpha") == 0
        assert got.rgb()[outside].tobytes() == plate.rgb()[outside].tobytes()


def test_with_one_matte_the_middle_is_the_mean_of_the_two_changes() -> None:
    plate, young = tame_plate(), layers(3)
    old = layers(4).having({name: young.plane(name) for name in REAGE[3:]})
    mean = (equation(plate, young) + equation(plate, old)) / 2
    assert np.abs(blended(plate, young, None, old, age=45).rgb() - mean).max() < ROUNDING


@pytest.mark.parametrize(
    ("given_ages", "age", "wanted"),
    [
        ((1, 0, 1), 20, (0, None)),
        ((1, 0, 1), 45, (0, 2)),
        ((1, 0, 1), 70, (2, None)),
        ((1, 1, 0), 32.5, (0, 1)),
        ((1, 1, 0), 70, (1, None)),
        ((0, 1, 1), 57.5, (1, 2)),
        ((0, 1, 1), 20, (1, None)),
        ((1, 0, 0), 70, (0, None)),
        ((0, 1, 0), 20, (1, None)),
        ((0, 0, 1), 20, (2, None)),
    ],
)
def test_two_ages_or_one_are_enough(given_ages: tuple[int, ...], age: float, wanted: tuple[int, int | None]) -> None:
    ages = [layers(seed) for seed in (3, 4, 5)]
    got = blended(tame_plate(), *(one if there else None for one, there in zip(ages, given_ages, strict=True)), age=age)
    first, second = wanted
    mean = stacked(ages[first], REAGE)
    if second is not None:
        mean = (mean + stacked(ages[second], REAGE)) / 2
    assert np.abs(stacked(got, REAGE) - mean).max() < ROUNDING


def test_a_keyed_age_ages_over_the_shot_and_apply_follows() -> None:
    plate, young, old = tame_plate(), layers(3), layers(4)
    blend = gizmo("ReageBlend", plate, young, None, old, age=lambda frame: 20.0 + 5.0 * (frame - FIRST))
    follow = gizmo("ReageApply", plate, blend.at, None, None)
    for frame, part in ((FIRST, 0.0), (FIRST + 4, 0.4), (FIRST + 8, 0.8)):
        layer = stacked(young, REAGE) * (1 - part) + stacked(old, REAGE) * part
        wanted = plate.rgb() + layer[..., 3:4] * layer[..., :3]
        assert np.abs(blend.at(frame).rgb() - wanted).max() < ROUNDING
        assert np.abs(follow.at(frame).rgb() - wanted).max() < ROUNDING


def test_the_blend_leaves_the_plate_s_other_channels_alone() -> None:
    plate = wild_plate()
    got = blended(plate, layers(3), None, layers(4))
    assert bits(got, ("rgba.alpha", "light.red")) == bits(plate, ("rgba.alpha", "light.red"))


# ReageMatte


def matte_of(reaged: Image, paint: Image | None = None, **knobs: Any) -> Image:
    return gizmo("ReageMatte", reaged, paint, **knobs).at(FIRST)


def alpha(image: Image) -> np.ndarray:
    return image.plane("rgba.alpha")


def test_the_matte_is_the_face_or_a_region_or_a_mix() -> None:
    reaged = layers()
    face = reaged.plane("reage_matte.alpha")
    assert np.array_equal(alpha(matte_of(reaged)), face)
    for region in REGIONS:
        got = alpha(matte_of(reaged, region=region))
        assert np.abs(got - face * reaged.plane(f"reage_region.{region}")).max() < 1e-6
    assert np.abs(alpha(matte_of(reaged, region="own mix")) - face).max() < 1e-6
    own = alpha(matte_of(reaged, region="own mix", nose=0.25, jaw=0))
    shares = 1 - 0.75 * reaged.plane("reage_region.nose") - reaged.plane("reage_region.jaw")
    assert np.abs(own - face * shares).max() < 1e-6


def test_paint_adds_takes_away_or_limits() -> None:
    reaged, spot = layers(), np.zeros((24, 24), np.float32)
    spot[2:8, 2:8] = 0.75
    face = reaged.plane("reage_matte.alpha")
    for mode, wanted in (("add", np.maximum(face, spot)), ("take away", face * (1 - spot)), ("limit", face * spot)):
        assert np.abs(alpha(matte_of(reaged, grey(spot), paint_mode=mode)) - wanted).max() < 1e-6
        assert np.array_equal(alpha(matte_of(reaged, None, paint_mode=mode)), face)


def test_the_matte_grows_feathers_and_inverts() -> None:
    box = np.zeros((24, 24), np.float32)
    box[8:16, 8:16] = 1.0
    reaged = layers().having({"reage_matte.alpha": box})
    assert [alpha(matte_of(reaged, grow=n)).sum() for n in (0, 2, -2)] == [64, 144, 16]
    assert np.array_equal(alpha(matte_of(reaged, invert=1)), 1 - box)
    assert 0 < alpha(matte_of(reaged, feather=4))[12, 6] < 0.5


def test_the_matte_goes_where_it_is_sent_and_the_rest_stays() -> None:
    reaged = layers().having({"rgba.alpha": 0.3})
    names = tuple(name for name in reaged.planes if name != "rgba.alpha")
    got = matte_of(reaged, region="jaw")
    assert set(got.planes) == set(reaged.planes) and bits(got, names) == bits(reaged, names)
    sent = matte_of(reaged, out_channel="reage_work.mask")
    assert np.array_equal(alpha(sent), alpha(reaged))
    assert np.array_equal(sent.plane("reage_work.mask"), reaged.plane("reage_matte.alpha"))
    assert np.array_equal(matte_of(reaged, show=1).rgb()[..., 1], reaged.plane("reage_matte.alpha"))


def test_the_matte_of_a_region_as_the_mask_of_apply_limits_the_change_to_it() -> None:
    plate, reaged = tame_plate(), layers()
    only = gizmo("ReageMatte", reaged, None, region="jaw").at
    after = applied(plate, reaged, only)
    assert np.abs(after.rgb() - equation(plate, reaged, alpha(only(FIRST)))).max() < ROUNDING


# ReageQC


def checked(plate: Image | Source, reaged: Image | Source, frame: int = FIRST, **knobs: Any) -> np.ndarray:
    return gizmo("ReageQC", plate, reaged, **knobs).at(frame).rgb()


def test_qc_shows_result_plate_difference_and_wipe() -> None:
    plate, reaged = tame_plate(), layers(7).having({"rgba.red": 0.75})
    assert np.array_equal(checked(plate, reaged), reaged.rgb())
    assert np.array_equal(checked(plate, reaged, output_view="plate"), plate.rgb())
    change = reaged.rgb() - plate.rgb()
    assert np.abs(checked(plate, reaged, output_view="difference", gain=4) - (0.18 + 4 * change)).max() < 1e-5
    size = checked(plate, reaged, output_view="difference", gain=4, absolute=1)
    assert np.abs(size - 4 * np.abs(change)).max() < 1e-5
    wipe = checked(plate, reaged, output_view="wipe", wipe=0.25)
    assert np.array_equal(wipe[:, :6], plate.rgb()[:, :6]) and np.array_equal(wipe[:, 6:], reaged.rgb()[:, 6:])


def in_time(values: Callable[[int], float]) -> Source:
    return lambda frame: Image(24, 24).having(dict.fromkeys(RGB, values(frame)))


@pytest.mark.parametrize(
    ("change", "before", "both"),
    [
        (lambda frame: 0.25, 0.0, 0.0),
        (lambda frame: 0.125 * (frame - FIRST), 0.125, 0.0),
        (lambda frame: 0.125 * (frame % 2), 0.125, 0.125),
        (lambda frame: 0.5 * (frame == FIRST + 2), 0.5, 0.5),
        (lambda frame: -0.5 * (frame == FIRST + 2), 0.5, 0.5),
    ],
    ids=["still", "steady growth", "to and fro", "one bright frame", "one dark frame"],
)
def test_flicker_is_seen_and_steady_change_is_not(change: Callable[[int], float], before: float, both: float) -> None:
    plate = in_time(lambda frame: 0.5 * (frame % 3))  # the plate itself moves: that is no flicker of the change
    reaged = in_time(lambda frame: 0.5 * (frame % 3) + change(frame))
    for measure, wanted in (("against the frame before", before), ("against both neighbours", both)):
        seen = checked(plate, reaged, FIRST + 2, output_view="flicker", flicker_measure=measure, gain=2)
        assert np.abs(seen - 2 * wanted).max() < 1e-6


def test_the_contact_sheet_shows_nine_frames_of_the_view_in_reading_order() -> None:
    plate, reaged = in_time(float), in_time(lambda frame: float(frame - FIRST))
    sheet = checked(plate, reaged, FIRST + 1, sheet=1)
    assert sheet.shape == (24, 24, 3)
    assert sheet[4::8, 4::8, 0].round(3).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    stepped = checked(plate, reaged, sheet=1, sheet_first=FIRST + 2, sheet_step=3)
    assert stepped[4::8, 4::8, 0].round(2).tolist() == [[2, 5, 8], [11, 14, 17], [20, 23, 26]]
    plates = checked(plate, reaged, sheet=1, output_view="plate")
    assert plates[4, 4, 0] == pytest.approx(FIRST)


# What the files themselves must hold


@pytest.mark.parametrize("name", NAMES)
def test_a_gizmo_has_nothing_to_complain_about(name: str) -> None:
    assert lint(SCRIPTS[name]) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_gizmo_says_what_it_is(name: str) -> None:
    group = SCRIPTS[name].only()
    assert (group.cls, group.name) == ("Group", name)
    assert len(group.knobs["help"]) > 200 and group.knobs["tile_color"].startswith("0x")
    words = group.user_knob("version").fields["T"]
    assert f"{name}</b> {__version__}," in words and "Apache License 2.0" in words
    assert len(SCRIPTS) == len(list(GIZMOS.glob("*.gizmo")))


WIRING = {
    "ReageApply": """
        FinitePlate: plate
        GrainBlur: FinitePlate
        CopyGrainBlur: FinitePlate GrainBlur
        Grain: CopyGrainBlur
        Change: reaged
        Grow: Change
        Feather: Grow
        Regions: Feather
        CopyPlate: Regions plate
        Guard: CopyPlate
        CopyMask: Guard mask
        Mask: CopyMask
        CopyHoldout: Mask holdout
        Holdout: CopyHoldout
        Amount: Holdout
        Surround: Change
        LowBand: Surround
        CopyLow: Change LowBand
        Bands: CopyLow
        CopyChange: plate Bands
        KeepPlate: CopyChange plate
        CopyAmount: KeepPlate Amount
        CopyGrain: CopyAmount Grain
        Result: CopyGrain
        WipeView: Result
        RegionView: CopyPlate
        MatteView: Result
        ChangeView: Result
        View: Result ChangeView MatteView RegionView WipeView
        OntoPlate: plate View
        Bypass: OntoPlate plate
        Output1: Bypass
    """,
    "ReageBlend": """
        MidToOld: mid old
        YoungToMid: young mid
        YoungToOld: young old
        Pair: YoungToOld YoungToMid MidToOld
        CopyChange: plate Pair
        CopyUpperRegions: CopyChange Pair
        CopyLowerRegions: CopyUpperRegions Pair
        Result: CopyLowerRegions
        Output1: Result
    """,
    "ReageMatte": """
        Pick: reaged
        Grow: Pick
        Feather: Grow
        CopyPaint: Feather paint
        Paint: CopyPaint
        Invert: Paint
        OntoInput: reaged Invert
        Show: OntoInput Invert
        Output1: Show
    """,
    "ReageQC": """
        CopyPlate: reaged plate
        Change: CopyPlate
        After: Change
        Before: Change
        CopyBefore: Change Before
        CopyAfter: CopyBefore After
        FlickerView: CopyAfter
        WipeView: CopyPlate
        DifferenceView: Change
        View: reaged plate DifferenceView WipeView FlickerView
        Hold0: View
        Hold1: View
        Hold2: View
        Hold3: View
        Hold4: View
        Hold5: View
        Hold6: View
        Hold7: View
        Hold8: View
        Sheet: Hold0 Hold1 Hold2 Hold3 Hold4 Hold5 Hold6 Hold7 Hold8
        SheetOrView: View Sheet
        Output1: SheetOrView
    """,
}
INPUTS = {
    "ReageApply": ["plate", "reaged", "mask", "holdout"],
    "ReageBlend": ["plate", "young", "mid", "old"],
    "ReageMatte": ["reaged", "paint"],
    "ReageQC": ["plate", "reaged"],
}


@pytest.mark.parametrize("name", NAMES)
def test_a_gizmo_is_wired_as_meant(name: str) -> None:
    script = SCRIPTS[name]
    children = script.only().children
    wanted = dict(line.strip().split(": ") for line in WIRING[name].strip().splitlines())
    assert {node.name: " ".join(script.named(node)) for node in children if node.cls != "Input"} == wanted
    inputs = sorted((int(node.knobs.get("number", "0")), node.name) for node in children if node.cls == "Input")
    assert [one for _, one in inputs] == INPUTS[name]


def test_a_copy_takes_a_channel_to_its_namesake_or_a_colour_to_the_same_colour() -> None:
    for name in NAMES:
        for node in SCRIPTS[name].only().children:
            if node.cls == "Copy" and node.name not in ("Show", "CopyMask", "CopyHoldout", "CopyPaint"):
                for i in range(4):
                    if f"from{i}" in node.knobs:
                        source, target = node.knobs[f"from{i}"], node.knobs[f"to{i}"]
                        assert source.rpartition(".")[2] == target.rpartition(".")[2], node.name


def test_the_toolset_holds_the_gizmos_as_they_are() -> None:
    assert TOOLSET.read_text(encoding="utf-8") == compose(), "run: cd tests && python -m nk.toolset"
    for name in ("ReageApply", "ReageMatte", "ReageQC"):
        inside = gizmo_text(name).split(f" name {name}\n")[1]
        assert inside.rstrip() in TOOLSET.read_text(encoding="utf-8")


def test_the_toolset_is_a_whole_comp() -> None:
    script = read_file(TOOLSET)
    assert lint(script) == []
    wired = {node.name: script.named(node) for node in script.top()}
    assert wired == {
        "ReageNote": [],
        "ReagePlate": [],
        "ReageRender": [],
        "ReageApply": ["ReagePlate", "ReageRender", "0", "0"],
        "ReageMatte": ["ReageRender", "0"],
        "ReageQC": ["ReagePlate", "ReageApply"],
        "ReageWrite": ["ReageApply"],
    }
