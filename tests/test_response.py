"""How a model answers on one person, and where that ends."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reage
from reage.agers import load_ager
from reage.faces.landmarks import locate_aligned, predictor
from reage.pipeline import response
from reage.pipeline.response import Knot, matte_on_crop, recognised, settle_look

FACE = Path(reage.__file__).parent / "data" / "demo" / "face.jpg"


COST = ((0.0, 0.48), (16.0, 0.48), (21.0, 0.5), (30.0, 0.63))


def worth(knot: Knot, own: float) -> bool:
    return knot[2] <= float(np.interp(abs(knot[1] - own), *zip(*COST, strict=True))) + 1e-9


@pytest.fixture(autouse=True)
def cost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response, "COST", COST)


def test_a_response_that_is_worth_what_it_costs_stays_as_it_is() -> None:
    knots = [(20.0, 22.0, 0.3), (40.0, 41.0, 0.0), (70.0, 66.0, 0.48)]
    assert recognised(knots, 40.0) == knots


def test_a_response_ends_where_years_cost_too_much_of_who_it_is() -> None:
    knots = [(20.0, 35.0, 0.96), (40.0, 41.0, 0.0), (60.0, 45.0, 0.2), (90.0, 50.0, 0.6)]
    youngest, own, near, oldest = recognised(knots, 40.0)
    assert (own, near) == (knots[1], knots[2])
    assert youngest == pytest.approx((30.0, 38.0, 0.48)) and oldest == pytest.approx((81.0, 48.5, 0.48))


def test_many_years_may_cost_more_than_few_and_are_reached_by_way_of_what_costs_too_much() -> None:
    knots = [(40.0, 41.0, 0.0), (60.0, 45.0, 0.49), (90.0, 75.0, 0.6), (105.0, 76.0, 0.8)]
    assert recognised(knots, 40.0)[:3] == knots[:3]


@given(st.lists(st.tuples(st.floats(0.0, 90.0), st.floats(0.0, 1.0)), min_size=1, max_size=9), st.data())
def test_what_is_kept_rises_and_ends_worth_its_cost(told: list[tuple[float, float]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(told) - 1))
    knots = [(10.0 * i, read, 0.0 if i == at else away) for i, (read, away) in enumerate(told)]
    kept = recognised(knots, 10.0 * at)
    asked = [one[0] for one in kept]
    assert knots[at] in kept and asked == sorted(set(asked))
    assert all(worth(one, knots[at][1]) for one in (kept[0], kept[-1]))


def test_the_embedded_model_asks_for_no_more_than_the_actor_is_recognised_by(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.ascontiguousarray(cv2.imread(str(FACE))[..., ::-1])
    crop = torch.from_numpy(picture).permute(2, 0, 1).float() / 255.0
    points = locate_aligned(picture, predictor())
    mattes = [matte_on_crop(points / 512.0, 0.0, 512, "head", torch.device("cpu"))]
    ager = load_ager("reage-1", "cpu")

    def oldest() -> float:
        look = settle_look(ager, [crop], [torch.from_numpy(points)], mattes, 36.0, None)
        return max(asked for asked, _ in look["response"])

    monkeypatch.setattr(response, "ASKED", (20.0, 105.0))
    monkeypatch.setattr(response, "COST", ((0.0, 0.25), (90.0, 0.25)))
    assert 37.0 < oldest() < 90.0
    monkeypatch.setattr(response, "COST", ((0.0, 2.0), (90.0, 2.0)))
    assert oldest() == 105.0
