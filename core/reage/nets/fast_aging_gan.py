"""The generator of Fast-AgingGAN (Hasnain Raza, 2020): a CycleGAN ResNet that makes a face one fixed step older.

The shape is that of Zhu et al., *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks*,
2017, with batch norm, so that `eval()` matters.
"""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; nothing follows the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        y: Tensor = x + self.conv_block(x)
        return y


class FastAgingGan(nn.Module):
    """A picture to an older one.

    Args:
        width: channels of the first level.
        blocks: residual blocks at a quarter of the size.
    """

    def __init__(self, width: int = 32, blocks: int = 9) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_block(nn.Conv2d(3, width, 7))]
        for here in (width, 2 * width):
            layers += _block(nn.Conv2d(here, 2 * here, 3, 2, padding=1))
        layers += [ResidualBlock(4 * width) for _ in range(blocks)]
        for here in (4 * width, 2 * width):
            layers += _block(nn.ConvTranspose2d(here, here // 2, 3, 2, padding=1, output_padding=1))
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, picture: Tensor) -> Tensor:
        """Make faces older.

        Args:
            picture: (N, 3, H, W), sRGB-encoded, -1..1; H and W multiples of 4.

        Returns:
            (N, 3, H, W) in -1..1.
        """
        older: Tensor = self.model(picture)
        return older


def _block(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]
