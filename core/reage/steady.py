"""Steady the change over time, so that what is added does not boil on the skin.

For one frame, the changes of its neighbours in a finite, centred window are brought onto it along the motion of the
skin (dense inverse search optical flow between the aligned crops, Kroeger et al. 2016) and averaged: Gaussian in time,
less where the flow does not explain the picture. Nothing is carried from frame to frame, so the result of a frame does
not depend on where a range was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

FLOW_SIDE = 256
"""Flow is found at no more than this size: aligned crops differ by little, and smooth flow is wanted."""

RESIDUAL = 0.04
"""Difference of the flow-aligned pictures (encoded values) at which a neighbour's weight has fallen to 1/e."""


@dataclass(frozen=True)
class AgedCrop:
    """One face in one frame, after the network."""

    frame: int
    code: Tensor  # (3, S, S) float32, what the network saw: sRGB-encoded, shouldered
    change: Tensor  # (3, S, S) float32, signed, same encoding
    grey: NDArray[np.uint8]  # (F, F) for the flow


def flow_picture(code: Tensor) -> NDArray[np.uint8]:
    """Luma of a crop at the flow's size, 8 bits."""
    side = min(FLOW_SIDE, code.shape[-1])
    luma = (code * torch.tensor([0.2126, 0.7152, 0.0722], device=code.device).view(3, 1, 1)).sum(0)
    if side < luma.shape[-1]:
        luma = F.interpolate(luma[None, None], size=(side, side), mode="area")[0, 0]
    return np.ascontiguousarray((luma.clamp(0.0, 1.0) * 255.0).round().byte().cpu().numpy())


def steady(centre: AgedCrop, neighbours: Sequence[AgedCrop], radius: int) -> Tensor:
    """The steadied change of one frame.

    Args:
        centre: the frame itself.
        neighbours: frames of the same face within `radius`, in rising order, without the centre.
        radius: of the window, in frames; the weight falls to exp(-1/2) at half of it.

    Returns:
        (3, S, S) signed change; the centre's own where there are no neighbours.
    """
    total = centre.change.clone()
    weights = torch.ones_like(total[:1])
    for other in neighbours:
        near = float(np.exp(-0.5 * ((other.frame - centre.frame) / (0.5 * radius)) ** 2))
        flow = _flow(centre.grey, other.grey)
        trust = near * _explained(centre.grey, other.grey, flow)
        side = total.shape[-1]
        weight = _resized(torch.from_numpy(trust)[None].to(total.device), side)
        moved = _moved(other.change, torch.from_numpy(flow).to(total.device))
        total.addcmul_(weight, moved)
        weights.add_(weight)
    return total / weights


def _flow(centre: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(F, F, 2): where each pixel of the centre lies in the other picture, as an offset in pixels."""
    # A new object each time: a used one keeps state that would tie a result to what was computed before it.
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    return np.asarray(search.calc(centre, other, None), np.float32)


def _explained(centre: NDArray[np.uint8], other: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """0..1: how well the flow explains the picture, smoothed over a neighbourhood."""
    side = centre.shape[0]
    at = np.mgrid[0:side, 0:side].astype(np.float32)
    moved = cv2.remap(
        other, at[1] + flow[..., 0], at[0] + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    # Blurred before it is judged, so that grain does not count as a difference.
    difference = cv2.GaussianBlur((moved.astype(np.float32) - centre) / 255.0, (0, 0), 0.008 * side)
    trust = np.exp(-np.square(difference / RESIDUAL))
    return np.asarray(cv2.GaussianBlur(trust, (0, 0), 0.012 * side), np.float32)


def _moved(change: Tensor, flow: Tensor) -> Tensor:
    """Bring a change onto the centre: sample it where the flow points to."""
    side, small = change.shape[-1], flow.shape[0]
    scaled = _resized(flow.permute(2, 0, 1), side) * (2.0 / small)
    at = (torch.arange(side, device=change.device, dtype=torch.float32) + 0.5) * (2.0 / side) - 1.0
    grid = torch.empty(1, side, side, 2, device=change.device)
    torch.add(scaled[0], at[None, :], out=grid[0, ..., 0])
    torch.add(scaled[1], at[:, None], out=grid[0, ..., 1])
    return F.grid_sample(change[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]


def _resized(planes: Tensor, side: int) -> Tensor:
    if planes.shape[-1] == side:
        return planes
    return F.interpolate(planes[None], size=(side, side), mode="bilinear", align_corners=False)[0]
