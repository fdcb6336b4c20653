"""What the years do to hair: a tone between the actor's own and that of somebody alike who grew old.

Hair of the likeness, at the decades it is drawn at, tells by how many stops hair grows lighter against the skin beside
it, and what colour it has when it is white. On the actor, as much light of that colour is added to the hair as makes it
so much lighter: strands that have lost their pigment stand between those that have not. They keep their contrast, and
what is too fine to be told from grain grows less than the light.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reage.agers.planes import DARKEST, FINEST, LUMA, blurred, luma_of, sized, widely
from reage.colour import decode_srgb, encode_srgb
from reage.errors import RequestError

Colour = tuple[float, float, float]

LEAST = 0.004
"""Share of a crop that must be hair for its tone to be told."""
SURE = 0.8
"""Share of hair from which a pixel's colour counts."""
WHITEST, LIGHTEST = 0.0, 0.25
"""Stops that hair as a whole, and a strand of it, may be lighter than the skin: portraits go further than a plate could
hold."""
MOST = 3.5
"""Stops by which hair grows lighter at most: darker hair hardly shows its strands, and a dark wall is as dark."""
FLATTER, FLATTER_OVER = 0.15, 3.0
"""Share of hair's contrast, in stops, that is gone where it has grown lighter by so many stops, or by more."""
SHINE, RIM, BEND = 0.8, -0.4, 3.0
"""Stops above the hair around it, within hair and at its rim, where a strand that grew lighter begins to bend, and how
sharply. A rim is half skin or wall: it is no lighter than hair. What is lighter already stays as it is."""
INNER, WITHIN = 0.016, 0.75
"""Sigma in sides of the crop of the share of hair that tells a rim, and the share from which hair is no rim."""
EDGE, BESIDE, PRESENT = 4.0, 0.025, 0.1
"""How fast what is beside hair loses weight with the share of hair, sigma in sides of the crop of where it is looked
for, and the share of it there above which it counts wholly."""
AROUND, SMALL, SPARSE = 0.05, 128, 0.02
"""Sigma in sides of the crop of what is around, the side at which that is told, and the share of hair there below which
it is not."""
ROOM = 0.05
"""Sides of the crop around hair that are looked at with it."""
ALIKE = (0.8, 0.4)
"""Stops of light, and of red over blue, by which a pixel differs from skin where it counts as skin to 1 / e."""
STRANDS = 0.65
"""Power of the gain that strands finer than the tone get, and grain: that of photons grows with the root of light, what
is a strand with light itself."""
BRIGHTER = 1.0
"""Stops by which a dark strand may be lightened beyond the hair as a whole."""
COLOUR_FINEST = 0.01
"""Sigma in sides of the crop below which colour is left as it is, as light is below FINEST: grain would grow."""
COLDEST = 1.04
"""Red over green, and green over blue, of white hair, at least."""
USUAL_SKIN, CAST = 2.5, 0.4
"""Linear red over blue of usual skin (the median of 71 portraits), and the power of a warmer skin's that white hair has
on either side of green: what is white in warm light is warm."""
MILD = 1.9
"""Stops by which a beard grows lighter at most: among what is counted as beard there is skin."""
YOUNGER = 0.5
"""Share of the darkening that younger targets get."""
FRAME = 0.03
"""Width, in sides of the crop, of the frame in which hair that goes beyond the crop is looked for."""
CUT = 0.06
"""Share of a frame's side that is hair where it counts as going beyond."""
FADE = 0.3
"""Sides of the crop over which a change fades towards an edge that hair goes beyond: grey roots, darker lengths."""


@dataclass(frozen=True)
class Seen:
    """Hair and skin of a portrait, in one light."""

    hair: Colour  # linear
    skin: Colour  # linear

    @property
    def stops(self) -> float:
        """By how many stops hair is lighter than skin."""
        return math.log2(_luma(self.hair) / _luma(self.skin))


@dataclass(frozen=True)
class Greying:
    """What the years do to an actor's hair: settled once a shot, and kept in the look as plain values."""

    colour: Colour  # linear, of the hair as it is
    skin: Colour  # the same of the cheeks
    young: Colour  # linear, luma 1, in the actor's light: of hair in youth
    white: Colour  # the same of hair without pigment
    knots: tuple[tuple[float, float], ...]  # years, rising, and the stops by which hair is lighter then
    fades: tuple[float, ...]  # see `beyond`
    beard: float = 0.0  # 0..1: how surely there is a beard that greys

    @classmethod
    def heard(cls, told: Mapping[str, Any]) -> Greying:
        """From what `asdict` gave, through JSON.

        Raises:
            RequestError: it is none.
        """
        try:
            colour, skin, young, white = (_colour(told[name]) for name in ("colour", "skin", "young", "white"))
            knots = tuple((float(years), float(stops)) for years, stops in told["knots"])
            return cls(colour, skin, young, white, knots, tuple(map(float, told["fades"])), float(told["beard"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RequestError("tracks: the hair in a look is damaged; analyse the shot again") from error

    def stops(self, years: float) -> float:
        """By how many stops hair is lighter so many years on; darker before."""
        at, stops = zip(*self.knots, strict=True)
        return float(np.interp(years, at, stops))

    def of_beard(self) -> Greying:
        """The same for a beard."""
        return replace(self, knots=tuple((years, min(stops, MILD)) for years, stops in self.knots))


def measured(crop: Tensor, hair: Tensor) -> Colour | None:
    """Median linear colour of the hair of a (3, S, S) crop, where (S, S) `hair` tells it; None where there is none."""
    sure = hair > SURE
    if float(sure.float().mean()) < LEAST:
        return None
    return _colour(decode_srgb(crop.clamp(0.0, 1.0))[:, sure].median(1).values.clamp_min(1e-4).tolist())


def beyond(hair: Tensor) -> tuple[float, ...]:
    """Over which share of the side a change of hair fades at left, top, right and bottom of a crop: 0 or FADE."""
    width = max(1, round(FRAME * hair.shape[-1]))
    edges = (hair[:, :width], hair[:width], hair[:, -width:], hair[-width:])
    return tuple(FADE if float((edge > SURE).float().mean()) > CUT else 0.0 for edge in edges)


def greying(
    aged: Mapping[float, Seen], actor: Seen, fades: tuple[float, ...] = (0.0,) * 4, beard: float = 0.0
) -> Greying:
    """What the years do to an actor's hair, by those of somebody alike.

    Args:
        aged: the likeness by years from its own age, 0 among them.
        actor: as they are.
        fades: see `beyond`.
        beard: 0..1: how surely there is a beard that greys.
    """
    years = np.array(sorted(aged))
    stops = np.maximum.accumulate([aged[at].stops - aged[0.0].stops for at in years])
    stops -= stops[years == 0.0]
    most = min(max(WHITEST - actor.stops, 0.0), MOST)
    stops = np.where(years < 0.0, YOUNGER * stops, np.minimum(stops, most))
    knots = tuple((float(at), round(float(moved), 3)) for at, moved in zip(years, stops, strict=True))
    young, white = _lit(aged[years[0]], actor.skin), _whitened(_lit(aged[years[-1]], actor.skin), actor.skin)
    colour, skin = (_colour(round(v, 5) for v in one) for one in (actor.hair, actor.skin))
    return Greying(colour, skin, young, white, knots, fades, beard)


def _lit(seen: Seen, skin: Colour) -> Colour:
    """Colour of a portrait's hair in the light on an actor's skin, luma 1."""
    lit = np.divide(seen.hair, seen.skin) * skin
    return _colour(round(float(v), 4) for v in lit / _luma(lit))


def _whitened(colour: Colour, skin: Colour) -> Colour:
    """White hair by half the warmth of a portrait's, or by that of the light, never blue.

    Portraits know little of light that is warm throughout, as a grade makes it; the actor's skin tells it.
    """
    red, _, blue = colour
    warmth = max((red / blue) ** 0.25, (skin[0] / skin[2] / USUAL_SKIN) ** CAST, COLDEST)
    level = _luma((warmth, 1.0, 1.0 / warmth))
    return _colour(round(v / level, 4) for v in (warmth, 1.0, 1.0 / warmth))


def apply(crop: Tensor, hair: Tensor, grown: Greying, years: float) -> Tensor:
    """Bring hair to so many years from its own age.

    Args:
        crop: (3, S, S) float32, sRGB-encoded, unbounded.
        hair: (S, S), 0..1.
        grown: what the years do.
        years: negative for younger.

    Returns:
        The crop's shape; equal to the crop where there is no hair.
    """
    stops = grown.stops(years)
    window = _window(hair)
    if stops == 0.0 or window is None:
        return crop
    aged, side = crop.clone(), crop.shape[-1]
    faded = (hair * _faded(side, grown.fades).to(hair.device))[window]
    rows, columns = window
    aged[:, rows, columns] = _toned(crop[:, rows, columns], hair[window], faded, grown, stops, side)
    return aged


def _window(hair: Tensor) -> tuple[slice, slice] | None:
    """Rows and columns that hold all hair, and some more, which it is told from; None where there is none."""
    side = hair.shape[-1]
    spans = []
    for across in (1, 0):
        there = hair.amax(across).nonzero()
        if not len(there):
            return None
        room = round(ROOM * side)
        spans.append(slice(max(0, int(there[0]) - room), min(side, int(there[-1]) + 1 + room)))
    return spans[0], spans[1]


def _toned(crop: Tensor, hair: Tensor, faded: Tensor, grown: Greying, stops: float, side: int) -> Tensor:
    """A window of a crop of a side, its hair lighter by so many stops where it is not faded."""
    light = decode_srgb(crop)
    whole = luma_of(light)
    luma = blurred(whole, FINEST * side).clamp_min(0.0)
    tint = _tint(light, hair, side)
    around, mixed = _around(luma, hair, _luma(grown.colour), side)
    share = faded[None] * _no_skin(luma, tint, grown) * mixed
    within = ((widely(hair[None], INNER * side) - WITHIN) / (1.0 - WITHIN)).clamp(0.0, 1.0)
    gain = _gain(luma, around, grown, stops, RIM + (SHINE - RIM) * within)
    # What is finer grows less than the light where hair grows lighter, and keeps its share where it grows darker.
    level = luma * gain + (whole - luma) * torch.minimum(gain, gain**STRANDS)
    # What was there keeps its colour, what is added has that of white hair; where light is taken away, that of youth.
    added = light.new_tensor(grown.white if stops > 0.0 else grown.young).view(3, 1, 1)
    toned = level * torch.lerp(tint, added, 1.0 - torch.minimum(gain, 1.0 / gain))
    # Specks of colour are as strong as they were: those of dark hair beside skin would turn to fringes.
    specks = (light - whole * tint) * gain.clamp(max=1.0)
    return torch.where(share == 0.0, crop, encode_srgb(light + share * (toned + specks - light)))


def _tint(light: Tensor, hair: Tensor, side: int) -> Tensor:
    """Colour of hair nearby, luma 1, and of what is there where there is none: (3, H, W)."""
    weight = hair[None] + SPARSE
    coarse = widely(torch.cat([light * weight, weight]), COLOUR_FINEST * side)
    coarse = coarse[:3] / coarse[3:].clamp_min(1e-4)
    return coarse / luma_of(coarse).clamp_min(DARKEST)


def _no_skin(luma: Tensor, tint: Tensor, grown: Greying) -> Tensor:
    """1, less where a pixel has the light and colour of the actor's skin and their hair has not: (1, H, W)."""

    def alike(luma: Tensor, red: Tensor, blue: Tensor) -> Tensor:
        level = torch.log2((luma + DARKEST) / (_luma(grown.skin) + DARKEST)) / ALIKE[0]
        warmth = torch.log2((red + DARKEST) / (blue + DARKEST) * (grown.skin[2] / grown.skin[0])) / ALIKE[1]
        return torch.exp(-level.square() - warmth.square())

    red, _, blue = luma.new_tensor(grown.colour)
    own = alike(luma.new_tensor(_luma(grown.colour)), red, blue)
    return 1.0 - (1.0 - own) * alike(luma, tint[:1], tint[2:])


def _around(luma: Tensor, hair: Tensor, usual: float, side: int) -> tuple[Tensor, Tensor]:
    """How light hair is nearby, in stops, and usually where there is none; and its share of a pixel, by the light.

    A pixel at hair's edge is a mixture of hair and what lies beside it: Porter and Duff's over, solved for the matte.

    Returns:
        Both (1, H, W).
    """
    size = luma.shape[1], luma.shape[2]
    coarser = max(1.0, side / SMALL)
    planes = torch.stack([luma[0], hair, (1.0 - EDGE * hair).clamp_min(0.0)])
    light, sure, bare = sized(planes, (math.ceil(size[0] / coarser), math.ceil(size[1] / coarser)))
    near = blurred(torch.stack([(light + DARKEST).log2() * sure, sure]), AROUND * side / coarser)
    around = (near[:1] + SPARSE * math.log2(usual + DARKEST)) / (near[1:2] + SPARSE)
    by = blurred(torch.stack([light * bare, bare]), BESIDE * side / coarser)
    beside, there = by[:1] / by[1:2].clamp_min(1e-4), (by[1:2] / PRESENT).clamp(max=1.0)
    whole = sized(torch.cat([around, beside, there]), size)
    around, beside, there = whole[:1], whole[1:2], whole[2:]
    own = torch.exp2(around)
    apart = (beside / own - 1.0).clamp(0.0, 1.0)  # no mixture is told of what is as dark as hair
    share = ((beside - luma) / (beside - own).clamp_min(DARKEST)).clamp(0.0, 1.0)
    return around, 1.0 - there * apart * (1.0 - share)


def _gain(luma: Tensor, around: Tensor, grown: Greying, stops: float, shine: Tensor) -> Tensor:
    """Factor of the light of hair, by how light it is and is nearby, and from where strands bend."""
    if stops < 0.0:
        return torch.full_like(luma, 2.0**stops)
    light = torch.log2(luma + DARKEST)
    usual, skin = (math.log2(_luma(colour) + DARKEST) for colour in (grown.colour, grown.skin))
    kept = 1.0 - FLATTER * min(stops / FLATTER_OVER, 1.0)
    # No strand grows much lighter than the hair around it, and nothing at hair's edge that is half skin.
    strand = F.softplus(shine, BEND) - F.softplus(shine - kept * (light - around), BEND)
    level = usual + stops + kept * (around - usual) + strand
    level = level - F.softplus(level - skin - LIGHTEST, 2.0 * BEND)
    return torch.exp2((level - light).clamp(0.0, stops + BRIGHTER))


def _faded(side: int, fades: Sequence[float]) -> Tensor:
    """1, falling to 0 at the edges that hair goes beyond: (side, side)."""
    at = (torch.arange(side) + 0.5) / side
    left, top, right, bottom = (
        (way / fade).clamp(max=1.0) if fade > 0.0 else torch.ones(side)
        for way, fade in zip((at, at, 1.0 - at, 1.0 - at), fades, strict=True)
    )
    across, down = left * right, top * bottom
    both = down[:, None] * across[None]
    return both * both * (3.0 - 2.0 * both)


def _luma(colour: Sequence[float] | NDArray[Any]) -> float:
    return float(np.dot(LUMA, colour))


def _colour(values: Iterable[float]) -> Colour:
    red, green, blue = (float(v) for v in values)
    return red, green, blue
