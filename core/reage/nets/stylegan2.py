"""The StyleGAN2 generator (Karras et al., *Analyzing and Improving the Image Quality of StyleGAN*, 2020).

Parameter names are those of the public PyTorch port whose checkpoints SAM carries. The modulated convolution is written
on the activations: they are scaled by the style before one convolution with shared weights, and the result is scaled
per output channel (section 2.2 of the paper, read from right to left). That answers the same numbers as a kernel a
picture, and batches. What follows a convolution is done in place: at 1024 a copy costs as much as the arithmetic.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (512, 512, 512, 512, 512, 256, 128, 64, 32)
"""Channels at 4, 8, 16, … 1024 (config F, channel multiplier 2)."""

SLOPE = 0.2
GAIN = math.sqrt(2.0)


def _exact(x: Tensor) -> torch.autocast:
    """Under autocast, leave its half precision: for styles and for the picture that is summed up over the levels."""
    return torch.autocast(x.device.type, enabled=False)


class EqualLinear(nn.Module):
    """A linear layer with equalised learning rate: weights are kept at unit variance and scaled when used.

    Args:
        inputs: features in.
        outputs: features out.
        rate: learning-rate multiplier; scales weights and biases.
        activated: a leaky ReLU with the gain sqrt(2) follows.
    """

    def __init__(self, inputs: int, outputs: int, rate: float = 1.0, activated: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self._scale, self._rate, self._activated = rate / math.sqrt(inputs), rate, activated

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        with _exact(x):
            y = F.linear(x.to(self.weight.dtype), self.weight * self._scale, self.bias * self._rate)
        return F.leaky_relu(y, SLOPE) * GAIN if self._activated else y


class PixelNorm(nn.Module):
    """Bring every vector to unit mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) to (N, C)."""
        return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class Fir(nn.Module):
    """The 4-tap binomial low-pass, with the gain 4 that zeros between samples ask for."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("kernel", taps[:, None] * taps[None, :] / 16.0)

    def of(self, x: Tensor) -> Tensor:
        """The kernel for every channel of x: (C, 1, 4, 4)."""
        return self.kernel.to(x.dtype).expand(x.shape[1], 1, 4, 4)


class Blur(Fir):
    """Low-pass what a transposed convolution answered."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, 2H + 1, 2W + 1) to (N, C, 2H, 2W)."""
        return F.conv2d(x, self.of(x), padding=1, groups=x.shape[1])


class Doubling(Fir):
    """Twice the size: zeros between samples, then the low-pass."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 2H, 2W)."""
        return F.conv_transpose2d(x, self.of(x), stride=2, padding=1, groups=x.shape[1])


class ModulatedConv(nn.Module):
    """A convolution whose input channels are scaled by a style.

    Args:
        inputs: channels in.
        outputs: channels out.
        size: side of the kernel.
        latent: length of the style vector.
        doubles: twice the size comes out.
        demodulates: every output channel is brought back to the variance it had without the style.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int, latent: int, doubles: bool = False, demodulates: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, size, size))
        self.modulation = EqualLinear(latent, inputs)
        nn.init.ones_(self.modulation.bias)
        self.blur = Blur() if doubles else None
        self._scale, self._size, self._demodulates = 1.0 / math.sqrt(inputs * size * size), size, demodulates

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(N, I, H, W) and (N, latent) to (N, O, H, W), or (N, O, 2H, 2W) where it doubles."""
        weight = self.weight[0] * self._scale
        style = self.modulation(w)
        if not self._demodulates:
            return self._convolved(x, style, weight)
        # Demodulation undoes the style's size; taking it out beforehand keeps half precision in its range.
        peak = style.abs().amax(1, keepdim=True).clamp_min(1e-12)
        style = style / peak
        with _exact(x):
            energy = style.square() @ weight.square().sum((2, 3)).T
        factor = torch.rsqrt(energy + 1e-8 / peak.square())
        y = self._convolved(x, style, weight)
        return y.mul_(factor.to(y.dtype)[:, :, None, None])

    def _convolved(self, x: Tensor, style: Tensor, weight: Tensor) -> Tensor:
        styled = x * style.to(x.dtype)[:, :, None, None]
        if self.blur is None:
            return F.conv2d(styled, weight, padding=self._size // 2)
        blurred: Tensor = self.blur(F.conv_transpose2d(styled, weight.transpose(0, 1), stride=2))
        return blurred


class Noise(nn.Module):
    """Adds a fixed noise picture at a learned strength, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """(N, C, H, W) and (1, 1, H, W) to (N, C, H, W)."""
        return x.add_((self.weight * noise).to(x.dtype))


class Activation(nn.Module):
    """Bias, leaky ReLU and the gain sqrt(2) that keeps the variance, in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        return F.leaky_relu_(x.add_(self.bias.to(x.dtype)[:, None, None]), SLOPE).mul_(GAIN)


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, activation."""

    def __init__(self, inputs: int, outputs: int, latent: int, doubles: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, latent, doubles)
        self.noise = Noise()
        self.activate = Activation(outputs)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """(N, I, H, W), (N, latent) and the noise at the output's size to (N, O, H or 2H, W or 2W)."""
        y: Tensor = self.activate(self.noise(self.conv(x, w), noise))
        return y


class ToRgb(nn.Module):
    """Modulated 1x1 convolution to three channels, added to the enlarged picture of the level below."""

    def __init__(self, inputs: int, latent: int, doubles: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, latent, demodulates=False)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))
        self.upsample = Doubling() if doubles else None

    def forward(self, x: Tensor, w: Tensor, below: Tensor | None) -> Tensor:
        """(N, C, H, W), (N, latent) and the picture at half the size, where there is one, to (N, 3, H, W)."""
        rgb: Tensor = self.conv(x, w).float() + self.bias
        if below is None or self.upsample is None:
            return rgb
        with _exact(x):
            enlarged: Tensor = self.upsample(below)
        return rgb + enlarged


class Constant(nn.Module):
    """The learned picture at 4x4 that every synthesis starts from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(nn.Module):
    """Synthesis from one style vector a layer (W+), and the mapping network `style` from a latent to a style.

    Args:
        size: side of the picture, a power of two.
        latent: length of a style vector.
        widths: channels at 4, 8, 16, … up to `size`.
    """

    def __init__(self, size: int = 1024, latent: int = 512, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        levels = int(math.log2(size)) - 1
        widths = tuple(widths[:levels])
        self.styles = 2 * levels
        mapping = [EqualLinear(latent, latent, rate=0.01, activated=True) for _ in range(8)]
        self.style = nn.Sequential(PixelNorm(), *mapping)
        self.input = Constant(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], latent, doubles=False)
        self.to_rgb1 = ToRgb(widths[0], latent, doubles=False)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        self.noises = nn.Module()
        for below, here in itertools.pairwise(widths):
            self.convs.append(StyledConv(below, here, latent, doubles=True))
            self.convs.append(StyledConv(here, here, latent, doubles=False))
            self.to_rgbs.append(ToRgb(here, latent, doubles=True))
        for layer in range(self.styles - 1):
            side = 4 * 2 ** ((layer + 1) // 2)
            self.noises.register_buffer(f"noise_{layer}", torch.randn(1, 1, side, side))

    def forward(self, w: Tensor) -> Tensor:
        """Synthesise pictures.

        Args:
            w: (N, styles, latent), one style vector a layer.

        Returns:
            (N, 3, size, size) sRGB-encoded, nominally -1..1, not clamped.
        """
        x = self.conv1(self.input.input.expand(w.shape[0], -1, -1, -1), w[:, 0], self._noise(0))
        picture = self.to_rgb1(x, w[:, 1], None)
        for level, to_rgb in enumerate(self.to_rgbs):
            first = 1 + 2 * level
            x = self.convs[2 * level](x, w[:, first], self._noise(first))
            x = self.convs[2 * level + 1](x, w[:, first + 1], self._noise(first + 1))
            picture = to_rgb(x, w[:, first + 2], picture)
        result: Tensor = picture
        return result

    def _noise(self, layer: int) -> Tensor:
        noise: Tensor = self.noises.get_buffer(f"noise_{layer}")
        return noise
