"""The published FRAN re-implementations: a U-Net answers the signed change between two ages, at the crop's own size."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reage.agers.base import Age, Look, ModelFacts, each_age, no_look
from reage.errors import RequestError
from reage.nets.fran_change import FranChange


class FranAger:
    """See `reage.agers.base.Ager`."""

    def __init__(self, net: FranChange, facts: ModelFacts, device: torch.device, dtype: torch.dtype) -> None:
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
        """Re-age crops; see `Ager`. (N, 3, S, S) in and out; ages are brought into the trained range."""
        if source_age is None:
            raise RequestError(f"{self.facts.name} needs a source age; give --source-age or let it be estimated")
        ages = [each_age(age, crops).clamp(*self.facts.ages).to(self._device) for age in (source_age, target_age)]
        picture = crops.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last)
        change: Tensor = self._net(picture, *ages)
        return crops + change.float().to(crops.device)

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """Nothing is settled for a person."""
        return no_look(self.facts.name, exemplar)
