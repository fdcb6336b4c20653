"""The portrait generator: 23 styles in, a portrait of somebody who does not exist out.

MobileStyleGAN (Belousov, 2021) as the package `random-face` ships it: separable convolutions whose inputs are scaled by
a linear map of the style, and an inverse Haar wavelet where other generators enlarge. Nothing is demodulated at run
time, and the noise is a constant, so the same styles give the same portrait.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STYLE = 512
CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)
"""Of the features at 4, 8, … 512 pixels; the last become the wavelets of the picture."""
LAYERS = 3 * len(CHANNELS) - 1
"""Styles: one for the first convolution, three a level, one for the picture."""
FIRST = 4
SLOPE = 0.2
SQUARE_HALF = 0.5
"""Product of the two taps of Haar's wavelet."""


def inverse_haar(planes: Tensor) -> Tensor:
    """(N, 4C, H, W) to (N, C, 2H, 2W): the first C are the low band, then three bands of detail a channel."""
    n, c, h, w = planes.shape
    c //= 4
    low, detail = planes[:, :c], planes[:, c:].view(n, c, 3, h, w)
    down, across, both = detail[:, :, 0], detail[:, :, 1], detail[:, :, 2]
    top, bottom = low + down, low - down
    top_turn, bottom_turn = across + both, across - both
    corners = (top + top_turn, top - top_turn, bottom + bottom_turn, bottom - bottom_turn)
    return F.pixel_shuffle(torch.stack(corners, 2).flatten(1, 2) * SQUARE_HALF, 2)


class StyledLayer(nn.Module):
    """Scale by the style, convolve, add noise and bias, and bend."""

    def __init__(self, inputs: int, outputs: int, side: int, separable: bool = True) -> None:
        super().__init__()
        self.style = nn.Linear(STYLE, inputs)
        self.separable = separable
        if separable:
            self.spread = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
            self.mix = nn.Conv2d(inputs, outputs, 1)
        else:
            self.mix = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.noise = nn.Parameter(torch.zeros(1, 1, side, side), requires_grad=False)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """(1, inputs, H, W) and (512,) to (1, outputs, H, W)."""
        scale = self.style(style)
        if self.separable:  # scaling the taps is a pass over the pixels less than scaling the pixels
            taps = self.spread.weight * scale[:, None, None, None]
            x = F.conv2d(x, taps, padding=1, groups=len(taps))
        else:
            x = x * scale[:, None, None]
        return F.leaky_relu_(self.mix(x).add_(self.noise), SLOPE)


class Level(nn.Module):
    """Twice the size: scale, inverse wavelet, two styled layers."""

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.style = nn.Linear(STYLE, inputs)
        self.first = StyledLayer(inputs // 4, outputs, side)
        self.second = StyledLayer(outputs, outputs, side)

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """(1, inputs, H, W) and (3, 512) to (1, outputs, 2H, 2W)."""
        x = inverse_haar(x * self.style(styles[0])[:, None, None])
        larger: Tensor = self.second(self.first(x, styles[1]), styles[2])
        return larger


class PortraitNet(nn.Module):
    """The synthesis network."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        """Random weights.

        Args:
            channels: of the features at 4, 8, 16, … pixels.
        """
        super().__init__()
        self.start = nn.Parameter(torch.randn(1, channels[0], FIRST, FIRST))
        self.first = StyledLayer(channels[0], channels[0], FIRST, separable=False)
        sides = (FIRST << level for level in range(1, len(channels)))
        pairs = zip(channels, channels[1:], sides, strict=False)
        self.levels = nn.ModuleList(Level(*one) for one in pairs)
        self.style = nn.Linear(STYLE, channels[-1])
        self.picture = nn.Conv2d(channels[-1], 12, 1)

    def forward(self, styles: Tensor) -> Tensor:
        """Draw a portrait.

        Args:
            styles: (LAYERS, 512), from coarse (pose, build) to fine (colour, light).

        Returns:
            (3, 1024, 1024) RGB, -1..1 sRGB-encoded, FFHQ-aligned.
        """
        x = self.first(self.start, styles[0])
        for at, level in enumerate(self.levels):
            x = level(x, styles[1 + 3 * at : 4 + 3 * at])
        return inverse_haar(self.picture(x * self.style(styles[-1])[:, None, None]))[0]
