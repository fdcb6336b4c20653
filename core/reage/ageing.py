"""Age the aligned crops of one face: the only stage that calls a network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reage.agers.base import Ager, Look


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
        mode: "change" or "replace". In change mode a model that answers a new picture is asked twice, for the target
            and for the source age, and the difference is taken: what the model gets wrong about pose, expression and
            texture is in both pictures and cancels.

    Returns:
        (N, 3, S, S) signed change in the crops' encoding.
    """
    aged = ager(crops, source_age, target_ages, landmarks=landmarks, look=look)
    if mode == "change" and ager.facts.reconstructs:
        same = ager(crops, source_age, torch.full_like(target_ages, source_age), landmarks=landmarks, look=look)
        return _to_size(aged - same, crops.shape[-1])
    if aged.shape[-1] == crops.shape[-1]:
        return aged - crops
    return _to_size(aged, crops.shape[-1]) - crops


def _to_size(picture: Tensor, side: int) -> Tensor:
    """Bridge a network's own size to the crop's, anti-aliased, in float."""
    if picture.shape[-1] == side:
        return picture
    return F.interpolate(picture, size=(side, side), mode="bicubic", antialias=True, align_corners=False)


def clamped(ager: Ager, years: float) -> float:
    """A target age as the model gets it: inside its trained range where the family clamps."""
    low, high = ager.facts.ages
    return min(max(years, low), high) if ager.facts.clamps else years
