"""SAM (Alaluf et al., *Only a Matter of Style: Age Transformation Using a Style-Based Regression Model*, 2021).

The sum of two codes makes a face of another age: one encoder inverts the picture, the other, which sees the target age
as a fourth plane, answers by how much the code has to move. StyleGAN2 paints the sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from reage.nets.gradual_style_encoder import GradualStyleEncoder
from reage.nets.stylegan2 import WIDTHS, Generator

SIDE = 256
"""Side of the picture that the encoders take."""


class Sam(nn.Module):
    """Both encoders and the generator.

    Args:
        size: side of the picture that comes out.
        width: channels of the encoders' first level; style vectors are eight times as long.
        widths: channels of the generator at 4, 8, 16, … up to `size`.
    """

    latent_avg: Tensor

    def __init__(self, size: int = 1024, width: int = 64, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        latent = 8 * width
        self.decoder = Generator(size, latent, widths)
        styles = self.decoder.styles
        self.encoder = GradualStyleEncoder(4, styles, width)
        self.pretrained_encoder = GradualStyleEncoder(3, styles, width)
        self.register_buffer("latent_avg", torch.zeros(styles, latent))

    def inversion(self, picture: Tensor) -> Tensor:
        """The code of a picture as it is; it does not depend on an age.

        Args:
            picture: (N, 3, 256, 256), sRGB-encoded, -1..1, FFHQ-aligned.

        Returns:
            (N, styles, latent).
        """
        code: Tensor = self.pretrained_encoder(picture) + self.latent_avg
        return code

    def shift(self, picture: Tensor, age: Tensor) -> Tensor:
        """What to add to the inversion so that the face has an age.

        Args:
            picture: as for `inversion`.
            age: (N,) years; fractions are just numbers to the network, which was trained on whole years 0 to 100.

        Returns:
            (N, styles, latent).
        """
        plane = (age / 100.0).to(picture.dtype)[:, None, None, None].expand(-1, 1, *picture.shape[-2:])
        code: Tensor = self.encoder(torch.cat([picture, plane], 1))
        return code

    def forward(self, picture: Tensor, age: Tensor) -> Tensor:
        """Paint faces at an age: (N, 3, 256, 256) and (N,) to (N, 3, size, size), nominally -1..1, not clamped."""
        painted: Tensor = self.decoder(self.inversion(picture) + self.shift(picture, age))
        return painted
