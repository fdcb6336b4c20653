"""What both published FRAN U-Nets need around them: planes of ages, their range of RGB, and sizes they take."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FranChange(nn.Module):
    """The signed change between two ages at any size. Scriptable by TorchScript.

    Args:
        net: takes (N, 5, H, W): RGB and two planes of age / 100; answers (N, 3, H, W).
        centred: the network sees RGB in -1..1 rather than 0..1, and answers on that scale.
    """

    def __init__(self, net: nn.Module, centred: bool) -> None:
        super().__init__()
        self.net = net
        self.centred = centred
        self.multiple = 16  # the U-Nets halve the size four times
        self.least = 32  # below, their deepest level is smaller than its mirrored border

    def forward(self, picture: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Predict the change.

        Args:
            picture: (N, 3, H, W), sRGB-encoded, FFHQ-aligned; clamped to the 0..1 that the network knows.
            source: (N,) years.
            target: (N,) years.

        Returns:
            (N, 3, H, W) signed, in the picture's encoding.
        """
        n, _, height, width = picture.shape
        x = picture.clamp(0.0, 1.0)
        if self.centred:
            x = x * 2.0 - 1.0
        ages = torch.stack([source, target], 1).to(x.dtype) / 100.0
        x = torch.cat([x, ages[:, :, None, None].expand(n, 2, height, width)], 1)
        below = max(self.least, height + (-height) % self.multiple) - height
        right = max(self.least, width + (-width) % self.multiple) - width
        if below > 0 or right > 0:
            x = F.pad(x, [0, right, 0, below], mode="replicate")
        change: Tensor = self.net(x)[:, :, :height, :width]
        if self.centred:
            change = change / 2.0
        return change
