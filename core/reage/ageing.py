"""Age the aligned crops of one face: the only stage that calls a network."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor
from torch.nn import functional as F

from reage.agers.base import AgeCodes, Ager, CodedAger, Look


def age(
    ager: Ager,
    crops: Tensor,
    source_age: float,
    target_ages: Tensor,
    landmarks: Tensor,
    look: Look,
    mode: str,
) -> Tensor:
    """The change that brings crops to their target ages.

    Args:
        ager: a loaded model.
        crops: (N, 3, S, S) float32, sRGB-encoded 0..1.
        source_age: years, one for the person.
        target_ages: (N,) years.
        landmarks: (N, 68, 2) in crop pixels.
        look: what the model settled for the person.
        mode: "change" or "replace"; see `painted`.

    Returns:
        (N, 3, S, S) signed change in the crops' encoding.
    """
    if isinstance(ager, CodedAger):
        return painted(ager, ager.encode(crops, source_age, target_ages), crops, mode)
    aged = ager(crops, source_age, target_ages, landmarks=landmarks, look=look)
    return _to_size(aged, crops.shape[-1]) - crops


def painted(ager: CodedAger, codes: AgeCodes, crops: Tensor, mode: str) -> Tensor:
    """The change that the codes of a coded model stand for.

    Args:
        ager: a loaded model.
        codes: of these crops; their shift may have been steadied over the shot.
        crops: (N, 3, S, S) float32, sRGB-encoded 0..1.
        mode: "change": the face is painted at its own age too, and the difference of both is taken, so that what the
            model gets wrong about pose, expression and texture is in both and cancels. "replace": the picture that the
            model paints takes the place of the crop.

    Returns:
        (N, 3, S, S) signed change in the crops' encoding.
    """
    side = crops.shape[-1]
    if mode == "replace":
        return _to_size(ager.paint(codes.own + codes.shift).to(crops.device), side) - crops
    own = ager.paint(codes.own)
    return _to_size(ager.paint(codes.own + codes.shift) - own, side).to(crops.device)


def steadied(codes: Mapping[int, AgeCodes], centre: int, radius: int) -> AgeCodes:
    """The codes of one frame, with the way between its two ages averaged over its neighbours.

    The face's own code, which carries pose and expression, stays that of the frame, so that the performance is kept.
    The window is finite and centred, its weight falls to exp(-1/2) at half the radius, as that of `steady`.

    Args:
        codes: by frame, each (1, L, D), of one face in one take; frames beyond the radius are not looked at.
        centre: the frame.
        radius: in frames; 0 answers the frame's own codes.
    """
    own = codes[centre]
    near = sorted(frame for frame in codes if abs(frame - centre) <= radius and frame != centre)
    total, weights = own.shift.clone(), 1.0
    for frame in near:
        weight = math.exp(-0.5 * ((frame - centre) / (0.5 * radius)) ** 2)
        total = total + weight * codes[frame].shift
        weights += weight
    return AgeCodes(own.own, total / weights)


def _to_size(picture: Tensor, side: int) -> Tensor:
    """Bridge a network's own size to the crop's, anti-aliased, in float."""
    if picture.shape[-1] == side:
        return picture
    return F.interpolate(picture, size=(side, side), mode="bicubic", antialias=True, align_corners=False)


def clamped(ager: Ager, years: float) -> float:
    """A target age as the model gets it: inside its trained range where the family clamps."""
    low, high = ager.facts.ages
    return min(max(years, low), high) if ager.facts.clamps else years
