"""Which part of an aligned crop is hair and which is skin."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from reage.nets.unet import UNet, coordinates

PARTS = ("rest", "hair", "skin")
"""Planes of the answer. Skin holds face, ears, neck, beard and what is worn on the face; hats and cloth are rest."""


class PartsUNet(UNet):
    """Parts of one aligned head. It works at half the picture's size, to which its pixels are brought four to a place.

    Args:
        widths: channels of each level, from half size down; each level halves the size.
    """

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 128)) -> None:
        super().__init__(14, len(PARTS), widths)

    def forward(self, picture: Tensor) -> Tensor:
        """Tell the parts apart.

        Args:
            picture: (N, 3, H, W), sRGB-encoded, nominally 0..1, FFHQ-aligned; H and W multiples of 16.

        Returns:
            (N, 3, H / 2, W / 2) logits of PARTS.
        """
        x = F.pixel_unshuffle(picture * 2.0 - 1.0, 2)
        return self.planes(torch.cat([x, *coordinates(x)], 1))
