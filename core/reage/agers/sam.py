"""SAM: any target age, 256 in and 1024 out; a new picture of the face rather than a change of it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from reage.agers.base import Age, AgeCodes, Look, ModelFacts, each_age, no_look
from reage.nets.sam import SIDE, Sam

REMEMBERED = 256
"""Codes kept, 37 kB each: two for every crop of the steadying windows of a few faces."""


class SamAger:
    """See `reage.agers.base.CodedAger`.

    The inversion of a crop does not see the target age, and its shift to the source age is asked for by every target:
    both are remembered by the crop's content, so that a second age of one crop costs one encoder less.
    """

    def __init__(self, net: Sam, facts: ModelFacts, device: torch.device, dtype: torch.dtype) -> None:
        """Move a loaded network to its device; half precision is left to autocast, which keeps styles in float32."""
        self.facts = facts
        self._net = net.eval().to(device)
        self._device, self._half = device, dtype == torch.float16
        self._codes: OrderedDict[tuple[str, float | None], Tensor] = OrderedDict()
        self._pictures: OrderedDict[str, Tensor] = OrderedDict()

    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """Re-age crops; see `Ager`. (N, 3, S, S) in, (N, 3, 1024, 1024) out. The source age is in the picture."""
        codes = self.encode(crops, None, target_age)
        return self.paint(codes.own + codes.shift)

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """Nothing is settled for a person."""
        return no_look(self.facts.name, exemplar)

    @torch.no_grad()
    def encode(self, crops: Tensor, source_age: Age | None, target_age: Age) -> AgeCodes:
        """Code crops at both ages; see `CodedAger`."""
        picture = self._seen(crops)
        keys = [_digest(one) for one in picture]
        inversion = self._remembered(keys, [None] * len(keys), lambda: self._net.inversion(picture))
        target = self._shift(picture, keys, each_age(target_age, crops))
        if source_age is None:
            return AgeCodes(inversion, target)
        source = self._shift(picture, keys, each_age(source_age, crops))
        return AgeCodes(inversion + source, target - source)

    @torch.no_grad()
    def paint(self, codes: Tensor) -> Tensor:
        """Paint codes: (N, 18, 512) to (N, 3, 1024, 1024), sRGB-encoded, nominally 0..1, not clamped.

        The last two batches are remembered: in change mode several targets are set against one picture.
        """
        key = _digest(codes)
        picture = self._pictures.pop(key, None)
        if picture is None:
            # A processor has nothing to gain from a batch, and its caches something to lose.
            parts = torch.split(codes.to(self._device), 1 if self._device.type == "cpu" else codes.shape[0])
            with self._precision():
                picture = (torch.cat([self._net.decoder(part).float() for part in parts]) + 1.0) / 2.0
        self._pictures[key] = picture
        if len(self._pictures) > 2:
            self._pictures.popitem(last=False)
        return picture.clone()

    def _shift(self, picture: Tensor, keys: list[str], ages: Tensor) -> Tensor:
        return self._remembered(keys, ages.tolist(), lambda: self._net.shift(picture, ages.to(self._device)))

    def _remembered(self, keys: list[str], ages: list[Any], compute: Callable[[], Tensor]) -> Tensor:
        """Codes of a batch, from memory only where all are there: a batch cut short could round differently."""
        wanted = list(zip(keys, ages, strict=True))
        if any(key not in self._codes for key in wanted):
            with self._precision():
                codes = compute().float()
            self._codes.update(zip(wanted, codes, strict=True))
            while len(self._codes) > max(REMEMBERED, 3 * len(wanted)):
                self._codes.popitem(last=False)
            return codes
        for key in wanted:
            self._codes.move_to_end(key)
        return torch.stack([self._codes[key] for key in wanted])

    def _seen(self, crops: Tensor) -> Tensor:
        """Crops as the encoders were trained on them: 256, -1..1."""
        picture = crops.to(self._device)
        if crops.shape[-1] != SIDE:
            picture = F.interpolate(picture, size=(SIDE, SIDE), mode="bicubic", antialias=True, align_corners=False)
        return picture.clamp(0.0, 1.0) * 2.0 - 1.0

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.float16, enabled=self._half)


def _digest(values: Tensor) -> str:
    return hashlib.blake2b(values.cpu().numpy().tobytes(), digest_size=16).hexdigest()
