"""The encoder of pixel2style2pixel (Richardson et al., *Encoding in Style*, 2021): a picture to W+.

An IR-SE-50 trunk (Deng et al., *ArcFace*, 2019; squeeze and excitation after Hu et al., 2018), a feature pyramid over
three of its levels, and one small head for each style vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reage.nets.stylegan2 import EqualLinear

UNITS = (3, 4, 14, 3)
"""Units at each width of the trunk."""
COARSE, MIDDLE = 3, 7
"""Heads before the first read the deepest level, those before the second the one above, the others the third."""


class SqueezeExcite(nn.Module):
    """Scale channels by what their means say."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        squeezed = max(1, channels // reduction)
        self.fc1 = nn.Conv2d(channels, squeezed, 1, bias=False)
        self.fc2 = nn.Conv2d(squeezed, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class Unit(nn.Module):
    """A residual unit of the trunk; nothing follows the sum."""

    def __init__(self, inputs: int, depth: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if inputs == depth:
            self.shortcut_layer = nn.MaxPool2d(1, stride)  # plain subsampling
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inputs, depth, 1, stride, bias=False), nn.BatchNorm2d(depth))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, depth, 3, padding=1, bias=False),
            nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(depth),
            SqueezeExcite(depth),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, depth, H / stride, W / stride)."""
        y: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return y


class StyleHead(nn.Module):
    """Halves a feature map until one pixel is left, and answers a style vector."""

    def __init__(self, width: int, halvings: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(halvings):
            layers += [nn.Conv2d(width, width, 3, 2, padding=1), nn.LeakyReLU(0.01)]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, S, S) to (N, C), S = 2 ** halvings."""
        style: Tensor = self.linear(self.convs(x)[:, :, 0, 0])
        return style


class GradualStyleEncoder(nn.Module):
    """A picture to one style vector a layer of a generator.

    Args:
        inputs: channels of the picture.
        styles: number of style vectors.
        width: channels of the first level; style vectors are eight times as long.
    """

    def __init__(self, inputs: int, styles: int = 18, width: int = 64) -> None:
        super().__init__()
        self.input_layer = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width)
        )
        units: list[nn.Module] = []
        channels = width
        for level, count in enumerate(UNITS):
            depth = width * 2**level
            units += [Unit(channels, depth, 2), *(Unit(depth, depth, 1) for _ in range(count - 1))]
            channels = depth
        self.body = nn.Sequential(*units)
        halvings = [4 if j < COARSE else 5 if j < MIDDLE else 6 for j in range(styles)]
        self.styles = nn.ModuleList(StyleHead(channels, count) for count in halvings)
        self.latlayer1 = nn.Conv2d(channels // 2, channels, 1)
        self.latlayer2 = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            picture: (N, inputs, 256, 256), -1..1, FFHQ-aligned.

        Returns:
            (N, styles, 8 * width).
        """
        x = self.input_layer(picture)
        levels: list[Tensor] = []
        first = 0
        for count in UNITS:
            x = self.body[first : first + count](x)
            first += count
            levels.append(x)
        _, fine, middle, coarse = levels
        middle = _enlarged(coarse, middle) + self.latlayer1(middle)
        fine = _enlarged(middle, fine) + self.latlayer2(fine)
        read = [coarse if j < COARSE else middle if j < MIDDLE else fine for j in range(len(self.styles))]
        return torch.stack([head(x) for head, x in zip(self.styles, read, strict=True)], 1)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Corners on corners: the published encoder was trained so."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)
