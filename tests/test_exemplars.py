from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from reage import exemplars
from reage.colour import decode_srgb
from reage.errors import ModelError, RequestError
from reage.exemplars import CANONICAL, FRAME_HEIGHT, FRAME_WIDTH, load_bank
from reage.thin_plate import fit

SIZE = 256
FACE = CANONICAL * 0.42 + np.array([48.0, 40.0])  # the canonical face inside a crop of 256 pixels
ON_CHEEK = tuple(int(v) for v in (FACE[2] + FACE[41] + FACE[48]) / 3)
ONE_LEVEL = 1.0 / 255.0
HALF_A_CODE = 0.501 / 127.0  # of a range coded by 127 steps


@pytest.fixture(scope="module")
def ratio() -> torch.Tensor:
    return load_bank()["p102"].ratio(30.0, 70.0)


def grey(value: float = 0.5) -> torch.Tensor:
    return torch.full((3, SIZE, SIZE), value)


def inside(points: np.ndarray) -> np.ndarray:
    plane = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(plane, [np.rint(points - 0.5).astype(np.int32)], 1)
    return plane > 0


def test_the_bank_is_small_and_every_exemplar_of_it_can_be_used() -> None:
    bank = load_bank()
    assert len(bank.ids) >= 24
    assert sum(file.stat().st_size for file in exemplars.BANK.iterdir()) <= 14_000_000
    for one in bank.exemplars:
        assert one.ages[0] < 43.0 and one.ages[-1] >= 60.0 and list(one.ages) == sorted(one.ages)
        change = one.ratio(30.0, 70.0)
        assert change.shape == (3, FRAME_HEIGHT, FRAME_WIDTH) and change.dtype == torch.float32
        assert bool(change.isfinite().all()) and float(change.std()) > 0.02
        picture = cv2.imread(str(bank.thumbnail(one.id)))
        assert picture is not None and picture.shape == (128, 256, 3)


def test_the_same_age_and_a_younger_one_change_nothing() -> None:
    one = load_bank().exemplars[0]
    assert float(one.ratio(50.0, 50.0).abs().max()) == 0.0
    assert float(one.ratio(60.0, 40.0).abs().max()) == 0.0


def test_more_years_change_more_and_extrapolation_has_a_limit() -> None:
    one = load_bank()["p102"]
    depth = [float(one.ratio(30.0, age).std()) for age in (40.0, 55.0, 70.0, 85.0)]
    assert depth == sorted(depth) and depth[0] < 0.5 * depth[-1]
    assert torch.equal(one.ratio(30.0, 110.0), one.ratio(30.0, 120.0))


def test_an_older_actor_is_given_only_the_years_that_are_missing() -> None:
    one = load_bank()["p102"]
    assert float(one.ratio(55.0, 65.0).std()) < float(one.ratio(30.0, 65.0).std())


def test_a_change_never_passes_its_limits() -> None:
    for one in load_bank().exemplars[:6]:
        change = one.ratio(20.0, 120.0)
        tint = 2.0 * exemplars.TINT_GAIN * exemplars.TINT_RANGE
        assert float(change.min()) >= -exemplars.DARKEN_LIMIT * 1.25 - tint
        assert float(change.max()) <= exemplars.BRIGHTEN_LIMIT * 1.25 + tint


def test_folds_on_a_grey_plate_are_grey_and_on_skin_are_red() -> None:
    one = load_bank()["p102"]

    def redness(skin: tuple[float, float, float]) -> float:
        red, _, blue = one.ratio(30.0, 70.0, skin)
        return float((red - blue).std())

    assert redness((0.3, 0.3, 0.3)) < 0.5 * redness((0.6, 0.3, 0.2))


def test_a_crop_changes_on_the_skin_and_nowhere_else(ratio: torch.Tensor) -> None:
    crop = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    aged = exemplars.apply(crop, FACE, ratio)
    moved = (aged - crop).abs().amax(0).numpy()
    top = FACE[[17, 19, 21, 22, 24, 26]] + 0.5 * (FACE[27] - FACE[8])
    hull = inside(cv2.convexHull(np.concatenate([FACE[:17], top]).astype(np.float32))[:, 0]).astype(np.uint8)
    outside = cv2.dilate(hull, np.ones((3, 3), np.uint8)) == 0  # one pixel for the rounding of this polygon
    assert moved[outside].max() == 0.0
    assert moved[ON_CHEEK[1] - 8 : ON_CHEEK[1] + 8, ON_CHEEK[0] - 8 : ON_CHEEK[0] + 8].mean() > ONE_LEVEL


@pytest.mark.parametrize("part", [slice(36, 42), slice(42, 48), slice(60, 68)], ids=["right eye", "left eye", "teeth"])
def test_eyes_and_teeth_are_left_alone(ratio: torch.Tensor, part: slice) -> None:
    open_mouth = FACE.copy()
    open_mouth[[65, 66, 67, 55, 56, 57, 58, 59]] += [0.0, 14.0]
    moved = (exemplars.apply(grey(), open_mouth, ratio) - 0.5).abs().amax(0).numpy()
    assert moved[inside(open_mouth[part])].max() < ONE_LEVEL


def test_the_change_is_a_ratio_of_light_so_highlights_and_grain_stay(ratio: torch.Tensor) -> None:
    dim, bright = (exemplars.apply(grey(value), FACE, ratio) for value in (0.4, 0.8))
    light = [decode_srgb(picture) for picture in (dim, bright)]
    gains = [light[0] / decode_srgb(grey(0.4)), light[1] / decode_srgb(grey(0.8))]
    torch.testing.assert_close(gains[0], gains[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [-0.2, 0.0, 1.0, 6.0])
def test_values_beyond_black_and_white_stay_finite_and_keep_their_sign(ratio: torch.Tensor, value: float) -> None:
    aged = exemplars.apply(grey(value), FACE, ratio, gain=2.0)
    assert bool(aged.isfinite().all())
    assert bool((aged * value >= 0.0).all())


def test_no_gain_is_no_change_and_a_batch_is_its_crops_one_by_one(ratio: torch.Tensor) -> None:
    crops = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    points = np.stack([FACE, FACE + 5.0])
    assert torch.equal(exemplars.apply(crops, points, ratio, gain=0.0), crops)
    both = exemplars.apply(crops, points, ratio)
    assert torch.equal(both[1], exemplars.apply(crops[1], points[1], ratio))


def test_the_change_follows_the_face(ratio: torch.Tensor) -> None:
    here = exemplars.change(FACE, SIZE, ratio)
    there = exemplars.change(FACE + np.array([12.0, -4.0]), SIZE, ratio)
    back = torch.roll(there, (4, -12), (1, 2))
    assert float((back - here)[:, 20:-20, 20:-20].abs().mean()) < 0.1 * float(here.abs().mean())


def test_the_side_that_is_turned_away_fades(ratio: torch.Tensor) -> None:
    frontal, turned = (exemplars.change(FACE, SIZE, ratio, exemplars.Laying(yaw=yaw)).abs() for yaw in (0.0, -0.8))
    middle = int(FACE[30, 0])
    assert float(turned[:, :, : middle - 40].sum()) < 0.5 * float(frontal[:, :, : middle - 40].sum())
    assert torch.equal(turned[:, :, middle + 10 :], frontal[:, :, middle + 10 :])


def test_a_soft_plate_gets_soft_folds(ratio: torch.Tensor) -> None:
    sharp, soft = (exemplars.change(FACE, SIZE, ratio, exemplars.Laying(detail=detail)) for detail in (1.0, 6.0))
    assert float(soft.diff(dim=2).abs().mean()) < 0.6 * float(sharp.diff(dim=2).abs().mean())


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0, 3.0])
def test_jittering_landmarks_move_the_change_no_more_than_themselves(noise: float) -> None:
    still, squares = exemplars.warp_onto(FACE, SIZE)[0], []
    for seed in range(24):  # a single draw may lean one way
        jitter = np.random.default_rng(seed).normal(0.0, noise, FACE.shape)
        moved = exemplars.warp_onto(FACE + jitter, SIZE)[0]
        middle = (moved - still)[0, 80:230, 70:190] * torch.tensor([FRAME_WIDTH, FRAME_HEIGHT]) / 2.0 * 0.42
        squares.append(float(middle.square().sum(-1).mean()))
    assert np.sqrt(np.mean(squares)) <= 1.42 * noise + 1e-4  # sqrt 2: both axes jitter


def test_the_warp_takes_canonical_landmarks_to_themselves() -> None:
    grid, trust = exemplars.warp_onto(FACE, SIZE)
    for x, y in FACE[[2, 30, 48, 54, 14]]:
        at = grid[0, int(y), int(x)].numpy() * 0.5 + 0.5
        expected = (np.array([int(x), int(y)]) + 0.5 - [48.0, 40.0]) / 0.42
        assert np.abs(at * [FRAME_WIDTH, FRAME_HEIGHT] - expected).max() < 0.5
    assert float(trust[..., 60:230, 60:200].min()) > 0.99


def test_a_stiff_spline_is_affine_and_a_limp_one_meets_its_points() -> None:
    rng = np.random.default_rng(3)
    a = rng.uniform(0.0, 100.0, (20, 2))
    b = a @ np.array([[1.1, 0.2], [-0.1, 0.9]]) + [3.0, -2.0]
    assert np.abs(fit(a, b, np.full(20, 1e6), 50.0)(a) - b).max() < 1e-6
    noisy = b + rng.normal(0.0, 2.0, b.shape)
    assert np.abs(fit(a, noisy, np.zeros(20), 50.0)(a) - noisy).max() < 1e-6
    assert np.abs(fit(a, noisy, np.full(20, 0.05), 50.0)(a) - noisy).max() > 0.1


def test_the_choice_is_repeatable_prefers_like_skin_and_no_beard() -> None:
    bank = load_bank()
    for one in bank.exemplars:
        if "beard" not in one.flags:
            unit = exemplars.normalised(CANONICAL) + one.expression
            assert bank.choose(unit, one.skin, one.ages[0], one.yaw) == one.id
            moved = unit @ np.array([[0.0, 90.0], [-90.0, 0.0]]) + 400.0  # rolled, larger, elsewhere
            assert bank.choose(moved, one.skin, one.ages[0], one.yaw) == one.id
        else:
            assert bank.choose(exemplars.normalised(CANONICAL) + one.expression, one.skin, one.ages[0]) != one.id
    dark = bank[bank.choose(CANONICAL, (0.25, 0.12, 0.07), 30.0)]
    fair = bank[bank.choose(CANONICAL, (0.8, 0.55, 0.45), 30.0)]
    assert sum(dark.skin) < sum(fair.skin)


def test_an_unknown_exemplar_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="--exemplar nobody"):
        load_bank()["nobody"]


def test_a_missing_or_damaged_bank_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_bank(tmp_path)
    text = (exemplars.BANK / "bank.json").read_text(encoding="utf-8")
    entry = json.loads(text)["exemplars"][0]
    (tmp_path / "bank.json").write_text(json.dumps({"exemplars": [entry]}), encoding="utf-8")
    with pytest.raises(ModelError, match="missing or damaged"):
        load_bank(tmp_path).exemplars[0].ratio(30.0, 70.0)
    cut = (exemplars.BANK / f"{entry['id']}.jpg").read_bytes()[:100]
    (tmp_path / f"{entry['id']}.jpg").write_bytes(cut)
    with pytest.raises(ModelError, match="missing or damaged"):
        load_bank(tmp_path).exemplars[0].ratio(30.0, 70.0)


def test_a_block_of_the_bank_survives_being_written_and_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    fine = rng.uniform(-0.6, 0.6, (FRAME_HEIGHT, FRAME_WIDTH)).astype(np.float32)
    coarse = np.ones((FRAME_HEIGHT, FRAME_WIDTH, 3), np.float32) * [0.5, -0.1, 0.2]
    file = tmp_path / "one.png"  # lossless: the layout is under test, not the codec
    cv2.imwrite(str(file), exemplars.encode(fine, coarse))
    back_fine, back_coarse = exemplars._bands(file, 1)
    assert np.abs(back_fine[0] - fine).max() <= exemplars.FINE_RANGE * HALF_A_CODE
    assert np.abs(back_coarse[0].mean((1, 2)) - [0.5, -0.1, 0.2]).max() <= exemplars.COARSE_RANGE * HALF_A_CODE


def test_the_mask_keeps_off_the_corners_of_the_eyes_at_any_size() -> None:
    for size in (96, 256, 512):
        scale = size / SIZE
        mask = exemplars.face_mask(FACE * scale, (size, size))
        for point in (36, 39, 42, 45, 62, 66):
            x, y = (int(v * scale) for v in FACE[point])
            assert mask[y, x] < 0.12
        x, y = (int(v * scale) for v in ON_CHEEK)
        assert mask[y, x] > 0.95
