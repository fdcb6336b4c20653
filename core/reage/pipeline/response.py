"""How a model answers on one person: the look it settles, and how old they read when it is asked for a few ages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage import matte
from reage.ageing import age
from reage.agers.base import Ager
from reage.faces.age import steady_age
from reage.faces.identity import describe, distance
from reage.faces.look import Look as FaceLook
from reage.job import MatteShape

ASKED = (15.0, 25.0, 40.0, 55.0, 70.0, 85.0, 105.0)
"""Ages a model is asked for when its response is measured; beyond what people want, so that weak answers can be
made up for."""

COST = ((0.0, 0.5), (16.0, 0.5), (21.0, 0.53), (30.0, 0.66))
"""Years by which a reading moves, and the identity distance that may cost: a little more than it costs the portrait
generator's own edits (0.47, 0.50 and 0.63 at 16, 21 and 30). A face that hardly reads older is not pushed until it is
another one; the network's own benchmark calls 0.6 another person."""

STEPS = 20
"""From a knot to the next, when the end of a response is looked for."""

Knot = tuple[float, float, float]
"""Age asked for, apparent age, identity distance from the actor."""


def settle_look(
    ager: Ager,
    crops: Sequence[Tensor],
    points: Sequence[Tensor],
    mattes: Sequence[Tensor],
    source_age: float,
    exemplar: str | None,
) -> dict[str, Any]:
    """Settle a look on crops of one person, the most frontal first, and measure how the model answers on them.

    Args:
        ager: a loaded model.
        crops: each (3, S, S) float32, sRGB-encoded 0..1.
        points: (68, 2) landmarks of each, in crop pixels.
        mattes: of each, (1, S, S) or (1, 1, 1), 0..1: where the change will show.
        source_age: years.
        exemplar: the artist's choice.

    Raises:
        RequestError: there is no such exemplar.
    """
    look = ager.first_look(crops[0], points[0], source_age, exemplar)
    look["model"] = ager.facts.sha256
    if not ager.facts.calibrates:
        return look
    pictures = [_codes(crop) for crop in crops]
    shapes = [landmarks.double().cpu().numpy() for landmarks in points]
    actor = describe(pictures[0], shapes[0])
    own = _median(steady_age(picture, shape) for picture, shape in zip(pictures, shapes, strict=True))

    def knot(asked: float) -> Knot:
        aged = []
        for i, crop in enumerate(crops):
            with torch.inference_mode():
                change = age(ager, crop[None], source_age, torch.tensor([asked]), points[i][None], look, "change")[0]
            aged.append(_codes(crop + mattes[i] * change))
        read = _median(steady_age(picture, shape) for picture, shape in zip(aged, shapes, strict=True))
        # Who it is takes ten times as long to tell as one reading of how old: the most frontal frame must do.
        return asked, read, round(distance(actor, describe(aged[0], shapes[0])), 4)

    knots = [knot(asked) for asked in ASKED if abs(asked - source_age) > 4.0]
    kept = recognised(sorted([*knots, (source_age, own, 0.0)]), source_age)
    return {**look, "apparent": own, "response": [[round(asked, 2), round(read, 2)] for asked, read, _ in kept]}


def recognised(knots: Sequence[Knot], source_age: float) -> list[Knot]:
    """The knots on both sides of the source age up to where they cost more identity than COST, and one just there.

    Args:
        knots: rising by the age asked for, the source age among them.
        source_age: years.
    """
    at = next(i for i, one in enumerate(knots) if one[0] == source_age)
    younger, older = _within(knots[at::-1]), _within(knots[at:])
    return [*younger[:0:-1], *older]


def _within(outwards: Sequence[Knot]) -> list[Knot]:
    """Knots up to the furthest that is worth its cost, and what is still worth it of the way to the next."""

    def worth(one: Knot) -> bool:
        years, costs = zip(*COST, strict=True)
        return one[2] <= float(np.interp(abs(one[1] - outwards[0][1]), years, costs))

    last = max(i for i, one in enumerate(outwards) if i == 0 or worth(one))
    kept = list(outwards[: last + 1])
    if last + 1 < len(outwards):
        way = np.linspace(outwards[last], outwards[last + 1], STEPS + 1)
        still = int(np.argmin([worth((float(a), float(r), float(d))) for a, r, d in way]))
        if still > 1:
            asked, read, away = map(float, way[still - 1])
            kept.append((asked, read, away))
    return kept


def matte_on_crop(
    landmarks: NDArray[np.float64], yaw: float, size: int, shape: MatteShape, device: torch.device
) -> Tensor:
    """The matte over an aligned crop, (1, size, size), from landmarks in units of the crop's side."""
    drawn = torch.from_numpy(matte.draw(landmarks, yaw, shape))[None, None].to(device)
    return torch.nn.functional.interpolate(drawn, size=(size, size), mode="bilinear", align_corners=False)[0]


def _codes(picture: Tensor) -> FaceLook:
    """What a display shows of an aligned crop."""
    pixels = (picture.clamp(0.0, 1.0) * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
    return FaceLook(np.ascontiguousarray(pixels))


def _median(values: Any) -> float:
    return round(float(np.median(list(values))), 4)
