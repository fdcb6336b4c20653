"""A FRAN-shaped U-Net: a picture and two ages in, a signed change out.

The layout follows what is published about FRAN (Zoss et al., *Production-Ready Face Re-Aging for Visual
Effects*, 2022): a U-Net over RGB and two age planes, blur-pooled on the way down, that answers with a signed RGB
change. Two things are ours. The change is multiplied by the age difference, so that equal ages leave the picture
exactly as it is; and two planes tell the aligned coordinates, since folds and forehead lines have their places.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reage.nets.unet import UNet, coordinates


class AgeUNet(UNet):
    """The change between two ages of one aligned face.

    Args:
        widths: channels of each level, from full size down; each level halves the size.
    """

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 160, 224)) -> None:
        super().__init__(7, 3, widths)

    def forward(self, picture: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Predict the change from one age to the other.

        Args:
            picture: (N, 3, H, W), sRGB-encoded, nominally 0..1, FFHQ-aligned; H and W multiples of 16.
            source: (N,) ages in years.
            target: (N,) ages in years.

        Returns:
            (N, 3, H, W) signed change in the picture's encoding; zero where both ages are equal.
        """
        n, _, h, w = picture.shape
        ages = [(age / 100.0).to(picture.dtype).view(n, 1, 1, 1).expand(n, 1, h, w) for age in (source, target)]
        change = self.planes(torch.cat([picture * 2.0 - 1.0, *ages, *coordinates(picture)], 1))
        return change * ((target - source) / 50.0).to(change.dtype).view(n, 1, 1, 1)
