"""How a model answers on one person, and where that ends."""

from __future__ import annotations

from collections.abc import Sequence
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
from reage.pipeline.response import RECOGNISED, Knot, matte_on_crop, recognised, settle_look

FACE = Path(reage.__file__).parent / "data" / "demo" / "face.jpg"


def distances_of(knots: Sequence[Knot]) -> list[float]:
    return [away for _, _, away in knots]


def test_a_response_within_what_is_recognised_stays_as_it_is() -> None:
    knots = [(20.0, 22.0, 0.3), (40.0, 41.0, 0.0), (70.0, 66.0, RECOGNISED)]
    assert recognised(knots, 40.0) == knots


def test_a_response_ends_where_the_actor_is_no_longer_recognised() -> None:
    knots = [(15.0, 20.0, 2 * RECOGNISED), (40.0, 41.0, 0.0), (60.0, 55.0, 0.2), (90.0, 85.0, 2 * RECOGNISED - 0.2)]
    youngest, own, near, oldest = recognised([*knots, (105.0, 99.0, 0.0)], 40.0)
    assert (own, near) == (knots[1], knots[2])
    assert youngest == pytest.approx((27.5, 30.5, RECOGNISED)) and oldest == pytest.approx((75.0, 70.0, RECOGNISED))


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=9), st.data())
def test_what_is_kept_rises_and_holds_the_source_age(away: list[float], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(away) - 1))
    knots = [(10.0 * i, 10.0 * i, 0.0 if i == at else one) for i, one in enumerate(away)]
    kept = recognised(knots, 10.0 * at)
    asked = [one[0] for one in kept]
    assert knots[at] in kept and asked == sorted(asked)
    assert max(distances_of(kept)) <= RECOGNISED + 1e-9


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
    monkeypatch.setattr(response, "RECOGNISED", 0.3)
    assert 37.0 < oldest() < 90.0
    monkeypatch.setattr(response, "RECOGNISED", 2.0)
    assert oldest() == 105.0
