"""The FRAN re-implementation of ry-lu/pytorch-face-reaging-network: a U-Net with batch norm.

The idea is that of Zoss et al., *Production-Ready Face Re-Aging for Visual Effects*, 2022. Scriptable by TorchScript.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (64, 128, 256, 512, 1024)

SIGMA = 1.5
"""Of the 3x3 Gaussian before an enlargement, in pixels."""


class Low(nn.Module):
    """A 3-tap separable low-pass, every `stride`-th pixel.

    Args:
        outer: tap beside a middle one of 1; the three are brought to the sum 1.
        stride: 1 or 2.
        mirrored: borders are mirrored; else there are zeros beyond them.
    """

    def __init__(self, outer: float, stride: int, mirrored: bool) -> None:
        super().__init__()
        self.outer, self.stride, self.mirrored = outer, stride, mirrored

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / stride, W / stride), rounded up."""
        channels = x.shape[1]
        row = torch.tensor([self.outer, 1.0, self.outer], dtype=x.dtype, device=x.device) / (1.0 + 2.0 * self.outer)
        kernel = (row[:, None] * row[None, :]).expand(channels, 1, 3, 3)
        padded = F.pad(x, (1, 1, 1, 1), mode="reflect") if self.mirrored else F.pad(x, (1, 1, 1, 1))
        return F.conv2d(padded, kernel, stride=self.stride, groups=channels)


class TwoConvolutions(nn.Module):
    """Two times 3x3 convolution, batch norm, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(outputs)

    def convolved(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        x = F.leaky_relu(self.bn1(self.conv1(x)), 0.01)
        return F.leaky_relu(self.bn2(self.conv2(x)), 0.01)


class DownLayer(TwoConvolutions):
    """Half the size (the maximum of 2x2 at every pixel, low-passed, every second), more channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.low = Low(0.5, stride=2, mirrored=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        return self.convolved(self.low(F.max_pool2d(x, 2, 1)))


class UpLayer(TwoConvolutions):
    """Twice the size (low-passed, then bilinear), joined with the level that had it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs + outputs, outputs)
        self.low = Low(math.exp(-0.5 / SIGMA**2), stride=1, mirrored=True)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, outputs, 2H, 2W) to (N, outputs, 2H, 2W)."""
        x = F.interpolate(self.low(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.convolved(torch.cat([x, skip], 1))


class FranNormUNet(nn.Module):
    """The change between two ages.

    Args:
        widths: channels of the five levels, from full size down.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.conv1 = nn.Conv2d(5, a, 3, padding=1)
        self.conv2 = nn.Conv2d(a, a, 3, padding=1)
        self.batchnorm1 = nn.BatchNorm2d(a)  # one, after both convolutions
        self.downlayer1, self.downlayer2 = DownLayer(a, b), DownLayer(b, c)
        self.downlayer3, self.downlayer4 = DownLayer(c, d), DownLayer(d, e)
        self.uplayer1, self.uplayer2 = UpLayer(e, d), UpLayer(d, c)
        self.uplayer3, self.uplayer4 = UpLayer(c, b), UpLayer(b, a)
        self.conv3 = nn.Conv2d(a, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict the change.

        Args:
            x: (N, 5, H, W): RGB, sRGB-encoded, -1..1, FFHQ-aligned; source age / 100; target age / 100. H and W are
                multiples of 16, and at least 32.

        Returns:
            (N, 3, H, W) signed, in the encoding of RGB: 2 is the whole range.
        """
        x0 = F.leaky_relu(self.batchnorm1(self.conv1(x)), 0.01)
        x0 = F.leaky_relu(self.batchnorm1(self.conv2(x0)), 0.01)
        x1 = self.downlayer1(x0)
        x2 = self.downlayer2(x1)
        x3 = self.downlayer3(x2)
        y = self.uplayer1(self.downlayer4(x3), x3)
        y = self.uplayer2(y, x2)
        y = self.uplayer3(y, x1)
        y = self.uplayer4(y, x0)
        change: Tensor = self.conv3(y)
        return change
