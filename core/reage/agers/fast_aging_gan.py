"""Fast-AgingGAN: one fixed step older, at the crop's own size; it has no age input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from reage.agers.base import Age, Look, ModelFacts, no_look
from reage.nets.fast_aging_gan import FastAgingGan

MULTIPLE = 4
"""The network halves the size twice; other sizes would come back larger."""


class FastAgingGanAger:
    """See `reage.agers.base.Ager`."""

    def __init__(self, net: FastAgingGan, facts: ModelFacts, device: torch.device, dtype: torch.dtype) -> None:
        """Move a loaded network to its device and precision."""
        self.facts = facts
        # torch's stubs know no memory_format beside a device.
        self._net = net.eval().to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device, self._dtype = device, dtype

    @torch.no_grad()
    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """Make crops older; see `Ager`. (N, 3, S, S) in and out; both ages are ignored.

        What lies outside 0..1 is kept: the network's change of the clamped crop is added to it.
        """
        seen = crops.clamp(0.0, 1.0)
        height, width = crops.shape[-2:]
        picture = seen.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last) * 2.0 - 1.0
        picture = F.pad(picture, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="reflect")
        older: Tensor = (self._net(picture)[..., :height, :width].float().to(crops.device) + 1.0) / 2.0
        return crops + (older - seen)

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """Nothing is settled for a person."""
        return no_look(self.facts.name, exemplar)
