"""The exemplar that is drawn for one actor."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from reage import exemplars
from reage.agers import hair, likeness, regions
from reage.agers.likeness import DECADES, Artist, Likeness
from reage.errors import RequestError
from reage.exemplars import FRAME_HEIGHT, FRAME_WIDTH
from reage.faces.age import apparent_age
from reage.faces.identity import describe, distance
from reage.faces.landmarks import locate_aligned, predictor
from reage.faces.look import Look

FACE = Path(likeness.__file__).parents[1] / "data" / "demo" / "face.jpg"


@pytest.fixture(scope="module")
def artist() -> Artist:
    return likeness.load_artist(torch.device("cpu"))


@pytest.fixture(scope="module")
def crop() -> torch.Tensor:
    picture = cv2.imread(str(FACE))
    assert picture is not None
    return torch.from_numpy(picture[..., ::-1].transpose(2, 0, 1).astype(np.float32) / 255.0)


@pytest.fixture(scope="module")
def landmarks(crop: torch.Tensor) -> np.ndarray:
    return locate_aligned(np.ascontiguousarray((crop * 255).byte().permute(1, 2, 0).numpy()), predictor())


@pytest.fixture(scope="module")
def style(artist: Artist, crop: torch.Tensor, landmarks: np.ndarray) -> np.ndarray:
    return artist.style(crop, landmarks)


def look_of(picture: np.ndarray) -> tuple[Look, np.ndarray]:
    small = np.asarray(cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA), np.uint8)
    return Look(small), locate_aligned(small, predictor())


def test_the_portrait_is_nearer_to_the_actor_than_the_average_face_is(
    artist: Artist, style: np.ndarray, crop: torch.Tensor, landmarks: np.ndarray
) -> None:
    actor = describe(Look(np.ascontiguousarray((crop * 255).byte().permute(1, 2, 0).numpy())), landmarks)
    alike, average = (artist.portrait(one, 0.0) for one in (style, np.zeros_like(style)))
    assert distance(actor, describe(*look_of(alike))) < distance(actor, describe(*look_of(average))) - 0.1


def test_portraits_read_older_the_further_they_are_moved(artist: Artist, style: np.ndarray) -> None:
    ages = [apparent_age(*look_of(artist.portrait(style, decades))) for decades in (-3.0, 0.0, 4.0)]
    assert ages[0] + 5.0 < ages[1] < ages[2] - 15.0


def test_no_years_change_nothing_and_years_between_portraits_lie_between(artist: Artist, style: np.ndarray) -> None:
    one = Likeness(artist, style)
    assert not one.ratio(0.0).any()
    half, whole = one.ratio(10.0 * DECADES[2] / 2), one.ratio(10.0 * DECADES[2])
    torch.testing.assert_close(half, whole / 2)
    assert torch.equal(one.ratio(500.0), one.ratio(10.0 * DECADES[-1]))
    shape = (3, likeness.SCALE * exemplars.FRAME_HEIGHT, likeness.SCALE * exemplars.FRAME_WIDTH)
    assert whole.shape == shape


def test_a_ratio_stays_within_its_limits_and_darkens_folds(artist: Artist, style: np.ndarray) -> None:
    ratio = Likeness(artist, style).ratio(60.0)
    assert float(ratio.max()) <= likeness.BRIGHTEN_LIMIT and float(ratio.min()) >= -likeness.DARKEN_LIMIT
    assert float(ratio.min()) < -0.3


def test_styles_survive_the_tracks_and_damaged_ones_are_refused(style: np.ndarray) -> None:
    assert np.array_equal(likeness.heard(likeness.told(style)), style)
    for text in ("", "AAAA", "not base64!", likeness.told(style)[:-8]):
        with pytest.raises(RequestError, match="analyse"):
            likeness.heard(text)


def test_who_is_told_the_outlines_draws_the_same_without_looking_for_them(
    artist: Artist, style: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Likeness(artist, style)
    found.seen()
    text, planes = likeness.told_outlines(found.outlines), found.ratio(30.0)

    def search(*_: object) -> None:
        raise AssertionError("landmarks were looked for")

    monkeypatch.setattr(likeness, "locate_aligned", search)
    monkeypatch.setattr(likeness, "predictor", search)
    knows = Likeness(artist, style, likeness.heard_outlines(text))
    assert torch.equal(knows.ratio(30.0), planes)
    for damaged in ("AAAA", "not base64!", text[:-8]):
        with pytest.raises(RequestError, match="analyse"):
            likeness.heard_outlines(damaged)


def test_glasses_are_taken_off_a_style(artist: Artist, crop: torch.Tensor, landmarks: np.ndarray) -> None:
    unit = artist.glasses / (artist.glasses @ artist.glasses)
    read = artist.style(crop, landmarks)[0].astype(np.float32) @ unit
    assert read <= likeness.BARE + 0.01


def test_hair_greys_with_the_decades_of_the_likeness(artist: Artist, style: np.ndarray) -> None:
    seen = Likeness(artist, style).seen()
    assert {0.0, 40.0} <= seen.keys() <= {likeness.YEARS * decades for decades in DECADES}
    told = hair.greying(seen, hair.Seen((0.05, 0.03, 0.02), (0.45, 0.3, 0.22)))
    assert told.stops(0.0) == 0.0 < told.stops(20.0) <= told.stops(40.0)
    assert told.stops(60.0) > 1.5
    assert told.white[0] / told.white[2] < 0.8 * 0.05 / 0.02


@pytest.mark.parametrize(
    ("young", "old", "there"),
    [
        ((-2.0, 0.0), (-0.3, 0.0), 1.0),  # a dark beard turns white
        ((-2.0, 0.0), (-2.0, 0.0), 0.0),  # a chin in shadow stays in it
        ((0.0, 0.0), (0.4, 0.0), 0.0),  # a clean chin
        ((-2.0, 0.0), (-1.0, 1.0), 0.0),  # more light on all of it
    ],
)
def test_a_beard_is_a_dark_lower_face_that_the_years_lighten(
    young: tuple[float, float], old: tuple[float, float], there: float
) -> None:
    size = round(likeness.SCALE * FRAME_HEIGHT), round(likeness.SCALE * FRAME_WIDTH)

    def drawn(chin: float, cheeks: float) -> likeness._Drawn:
        stops = np.where(regions.beard(size), chin, 0.0) + np.where(regions.cheeks(size), cheeks, 0.0) - 2.0
        log = (stops[..., None] * np.log(2.0)).repeat(3, -1).astype(np.float32)
        return likeness._Drawn(np.exp(log), log, np.zeros((68, 2)), None)

    assert likeness._bearded(drawn(*young), drawn(*old)) == there


def test_a_beard_is_told_of_whoever_is_drawn(artist: Artist, style: np.ndarray) -> None:
    one = Likeness(artist, style)
    assert 0.0 <= one.beard() <= 1.0
    assert one.beard() == Likeness(artist, style).beard()
