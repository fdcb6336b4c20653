"""The FRAN re-implementation of timroelofs123/face_reaging: a U-Net without norms, blur-pooled both ways.

The idea is that of Zoss et al., *Production-Ready Face Re-Aging for Visual Effects*, 2022; the blur pooling that of
Zhang, *Making Convolutional Networks Shift-Invariant Again*, 2019. Scriptable by TorchScript,
which is why annotations are evaluated here.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (64, 128, 256, 512, 1024)


class BlurPool(nn.Module):
    """The 4-tap binomial low-pass over mirrored borders, then every `stride`-th pixel."""

    filt: Tensor

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("filt", (taps[:, None] * taps[None, :] / 64.0).repeat(channels, 1, 1, 1))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H / stride, W / stride), rounded up."""
        return F.conv2d(F.pad(x, (1, 2, 1, 2), mode="reflect"), self.filt, stride=self.stride, groups=x.shape[1])


def _two_convolutions(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.LeakyReLU(0.01),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.LeakyReLU(0.01),
    ]


class Down(nn.Module):
    """Half the size, more channels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.MaxPool2d(2, 1), BlurPool(inputs, 2), *_two_convolutions(inputs, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H / 2, W / 2)."""
        y: Tensor = self.layer(x)
        return y


class Up(nn.Module):
    """Twice the size, joined with the level that had it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.blur_upsample = nn.Sequential(nn.ConvTranspose2d(inputs, outputs, 2, 2), BlurPool(outputs, 1))
        self.layer = nn.Sequential(*_two_convolutions(2 * outputs, outputs))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, inputs, H, W) and (N, outputs, 2H, 2W) to (N, outputs, 2H, 2W)."""
        joined = torch.cat([self.blur_upsample(x), skip], 1)
        y: Tensor = self.layer(joined)
        return y


class FranUNet(nn.Module):
    """The change between two ages.

    Args:
        widths: channels of the five levels, from full size down.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.init_conv = nn.Sequential(*_two_convolutions(5, a))
        self.down1, self.down2, self.down3, self.down4 = Down(a, b), Down(b, c), Down(c, d), Down(d, e)
        self.up1, self.up2, self.up3, self.up4 = Up(e, d), Up(d, c), Up(c, b), Up(b, a)
        self.final_conv = nn.Conv2d(a, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predict the change.

        Args:
            x: (N, 5, H, W): RGB, sRGB-encoded, 0..1, FFHQ-aligned; source age / 100; target age / 100. H and W are
                multiples of 16, and at least 32.

        Returns:
            (N, 3, H, W) signed, in the encoding of RGB.
        """
        x0 = self.init_conv(x)
        x1 = self.down1(x0)
        x2 = self.down2(x1)
        x3 = self.down3(x2)
        y = self.up1(self.down4(x3), x3)
        y = self.up2(y, x2)
        y = self.up3(y, x1)
        y = self.up4(y, x0)
        change: Tensor = self.final_conv(y)
        return change
