"""What is done to planes of light at any size: luma, blur, another size. All are (C, H, W) float32."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec.709
DARKEST = 2e-3
"""Linear light that is added before stops are counted."""
FINEST = 0.003
"""Sigma in sides of a crop of what is too fine to be told from grain."""


def luma_of(planes: Tensor) -> Tensor:
    """(3, H, W) to (1, H, W)."""
    return (planes * planes.new_tensor(LUMA).view(3, 1, 1)).sum(0, keepdim=True)


def sized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """At another height and width."""
    return F.interpolate(planes[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]


def blurred(planes: Tensor, sigma: float) -> Tensor:
    """Blurred; a kernel below a third of a pixel is none."""
    if sigma < 0.3:
        return planes
    done = np.stack(
        [cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) for plane in planes.cpu().numpy()]
    )
    return torch.from_numpy(done).to(planes.device)


def widely(planes: Tensor, sigma: float) -> Tensor:
    """Blurred at a size at which the kernel is small."""
    height, width = planes.shape[-2:]
    coarser = max(1.0, sigma / 2.5)
    small = sized(planes, (max(1, round(height / coarser)), max(1, round(width / coarser))))
    return sized(blurred(small, sigma / coarser), (height, width))
