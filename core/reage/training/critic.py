"""The second network of an adversarial training: it tells changes that the years made from those that were painted.

After Isola et al., *Image-to-Image Translation with Conditional Adversarial Networks* (2017): a judgement a patch,
under the hinge loss, with spectral norm; its features are matched as in Wang et al., *pix2pixHD* (2018).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

ADVERSARIAL, FEATURES = 0.05, 0.5
"""Weights of the judgement, as published for FRAN, and of matching features, beside an L1 of weight 1."""
RATE = 4e-4
WIDTHS = (32, 64, 128, 128)
TOLD_APART = 4.0
"""Changes are small: so many times larger they are shown to the critic."""


class Critic(nn.Module):
    """Judges changes of pictures between two ages, and learns from each batch it judges.

    Args:
        widths: channels of its levels; each but the last halves the size.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        strides = [*(2 for _ in widths[:-1]), 1]
        self.levels = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4 if s == 2 else 3, stride=s, padding=1))
            for a, b, s in zip((8, *widths[:-1]), widths, strides, strict=True)
        )
        self.verdict = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))
        self._optimiser = torch.optim.Adam(self.parameters(), lr=RATE, betas=(0.5, 0.99))

    def forward(self, picture: Tensor, change: Tensor, source: Tensor, target: Tensor) -> list[Tensor]:
        """Features of each level, and the verdict on each patch last.

        Args:
            picture: (N, 3, H, W), 0..1, as the first network saw it.
            change: (N, 3, H, W), signed.
            source: (N,) years.
            target: (N,) years.
        """
        n, _, h, w = picture.shape
        ages = [(age / 50.0 - 1.0).view(n, 1, 1, 1).expand(n, 1, h, w) for age in (source, target)]
        x = torch.cat([picture * 2.0 - 1.0, TOLD_APART * change, *ages], 1)
        seen = []
        for level in self.levels:
            x = F.leaky_relu(level(x), 0.2)
            seen.append(x)
        return [*seen, self.verdict(x)]

    def loss(self, picture: Tensor, painted: Tensor, true: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """What the first network is to make smaller. The critic has learnt from the batch before it judges."""
        told = picture, source, target
        self._learn(*told, painted.detach(), true)
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        real, made = (self(picture, change, source, target) for change in (true, painted))
        for parameter in self.parameters():
            parameter.requires_grad_(True)
        apart = [(a - b.detach()).abs().mean() for a, b in zip(made[:-1], real[:-1], strict=True)]
        wanted: Tensor = FEATURES * torch.stack(apart).mean() - ADVERSARIAL * made[-1].mean()
        return wanted

    def _learn(self, picture: Tensor, source: Tensor, target: Tensor, painted: Tensor, true: Tensor) -> None:
        real, made = (self(picture, change, source, target)[-1] for change in (true, painted))
        error = F.relu(1.0 - real).mean() + F.relu(1.0 + made).mean()
        self._optimiser.zero_grad(set_to_none=True)
        error.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        self._optimiser.step()

    def state(self) -> dict[str, Any]:
        """Weights and optimiser, to go on from."""
        return {"net": self.state_dict(), "optimiser": self._optimiser.state_dict()}

    def go_on(self, state: dict[str, Any]) -> None:
        """Take up what `state` answered."""
        self.load_state_dict(state["net"])
        self._optimiser.load_state_dict(cast(dict[str, Any], state["optimiser"]))
