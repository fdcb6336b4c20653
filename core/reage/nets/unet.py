"""The U-Net that the embedded networks share: blur-pooled on the way down, bilinear on the way up."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class BlurPool(nn.Module):
    """Halve the size after a 3-tap binomial low-pass, so that a shifted face gives a shifted change."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.0]) / 4.0
        kernel = (taps[:, None] * taps[None, :]).expand(channels, 1, 3, 3).contiguous()
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / 2, W / 2), borders repeated."""
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, self.kernel.to(x.dtype), stride=2, groups=x.shape[1])


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch norm (folded at inference) and a leaky ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.LeakyReLU(0.1, inplace=True),
        )


class UNet(nn.Module):
    """Planes to planes of the same size.

    Args:
        inputs: planes in.
        outputs: planes out.
        widths: channels of each level, from full size down; each level halves the size.
    """

    def __init__(self, inputs: int, outputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.widths = widths
        self.down = nn.ModuleList(ConvBlock(a, b) for a, b in zip((inputs, *widths[:-1]), widths, strict=True))
        self.pool = nn.ModuleList(BlurPool(w) for w in widths[:-1])
        self.up = nn.ModuleList(
            ConvBlock(below + here, here) for below, here in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], outputs, 1)

    def planes(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W); H and W are multiples of 2 to the number of levels less one."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(x)
            if level < len(self.pool):
                skips.append(x)
                x = self.pool[level](x)
        for block in self.up:
            skip = skips.pop()
            x = F.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], 1))
        answer: Tensor = self.head(x)
        return answer


def coordinates(picture: Tensor) -> list[Tensor]:
    """Planes of the row and of the column, each (N, 1, H, W) from -1 to 1: aligned faces have their places."""
    n, _, h, w = picture.shape
    row = torch.linspace(-1.0, 1.0, h, device=picture.device, dtype=picture.dtype)
    column = torch.linspace(-1.0, 1.0, w, device=picture.device, dtype=picture.dtype)
    return [row.view(1, 1, h, 1).expand(n, 1, h, w), column.view(1, 1, 1, w).expand(n, 1, h, w)]


Net = TypeVar("Net", bound=UNet)


def folded(net: Net) -> Net:
    """A copy for inference with every batch norm folded into the convolution before it."""
    net = copy.deepcopy(net).eval()
    for block in (*net.down, *net.up):
        assert isinstance(block, ConvBlock)
        for at in (0, 3):
            convolution, norm = block[at], block[at + 1]
            assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
            block[at] = fuse_conv_bn_eval(convolution, norm)
            block[at + 1] = nn.Identity()
    return net
