"""What to do when a GPU's memory is too small: a smaller batch, then the processor where the user left the choice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from reage.agers.base import Age, AgeCodes, Ager, CodedAger, Look, ModelFacts, each_age
from reage.errors import DeviceError

Make = Callable[[torch.device, torch.dtype], Ager]
_log = logging.getLogger(__name__)


def frugal(make: Make, device: torch.device, dtype: torch.dtype, may_leave: bool) -> Ager:
    """An ager that copes with a lack of GPU memory, each step with a warning in the log.

    A batch is halved down to one crop; then, where it may leave the GPU, the model is loaded again on the processor.
    Smaller batches change a result by rounding alone (1e-5); the processor works in float32.

    Args:
        make: loads the model on a device.
        device: where to begin.
        dtype: precision there.
        may_leave: the user said auto.

    Raises:
        DeviceError: not even the model fits, and it may not leave.
    """
    if device.type == "cpu":
        return make(device, dtype)
    moved = False
    try:
        ager = make(device, dtype)
    except torch.OutOfMemoryError as error:
        ager, moved = _moved(make, device, may_leave, error), True
    coded = isinstance(ager, CodedAger)
    return (_FrugalCoded if coded else _Frugal)(ager, make, device, may_leave, moved)


def has_moved(ager: Ager) -> bool:
    """Whether an ager has left its GPU for the processor, so that loading it again may be worth the while."""
    return isinstance(ager, _Frugal) and ager.moved


def _moved(make: Make, device: torch.device, may_leave: bool, error: torch.OutOfMemoryError) -> Ager:
    if not may_leave:
        raise DeviceError(f"{device}: its memory is too small for one crop; give --device cpu") from error
    _log.warning("%s: out of memory; going on on the processor, which is slower", device)
    torch.cuda.empty_cache()
    return make(torch.device("cpu"), torch.float32)


class _Frugal:
    """See `frugal`."""

    def __init__(self, ager: Ager, make: Make, device: torch.device, may_leave: bool, moved: bool) -> None:
        self.facts: ModelFacts = ager.facts
        self.moved = moved  # to the processor
        self._ager, self._make, self._device, self._may_leave = ager, make, device, may_leave

    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """Re-age crops; see `Ager`."""
        source = None if source_age is None else each_age(source_age, crops)
        target = each_age(target_age, crops)

        def call(part: slice) -> Tensor:
            return self._ager(
                crops[part],
                None if source is None else source[part],
                target[part],
                landmarks=None if landmarks is None else landmarks[part],
                look=look,
            )

        return torch.cat(self._in_parts(call, crops.shape[0]))

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """What the model settles; see `Ager`."""
        return self._ager.first_look(crop, landmarks, source_age, exemplar)

    def _in_parts(self, call: Callable[[slice], Any], count: int) -> list[Any]:
        """Results over all crops, in as few calls as memory allows."""
        size = count
        while True:
            try:
                return [call(slice(first, min(first + size, count))) for first in range(0, count, size)]
            except torch.OutOfMemoryError as error:
                if size > 1:
                    _log.warning("%s: out of memory with %d crops at once; trying %d", self._device, size, size // 2)
                    torch.cuda.empty_cache()
                    size //= 2
                else:
                    self._ager = _moved(self._make, self._device, self._may_leave, error)
                    self.moved = True


class _FrugalCoded(_Frugal):
    """See `frugal`."""

    def encode(self, crops: Tensor, source_age: Age | None, target_age: Age) -> AgeCodes:
        """Code crops; see `CodedAger`."""
        source = None if source_age is None else each_age(source_age, crops)
        target = each_age(target_age, crops)

        def call(part: slice) -> AgeCodes:
            return self._coded.encode(crops[part], None if source is None else source[part], target[part])

        parts: Sequence[AgeCodes] = self._in_parts(call, crops.shape[0])
        return AgeCodes(torch.cat([part.own for part in parts]), torch.cat([part.shift for part in parts]))

    def paint(self, codes: Tensor) -> Tensor:
        """Paint codes; see `CodedAger`."""
        return torch.cat(self._in_parts(lambda part: self._coded.paint(codes[part]), codes.shape[0]))

    @property
    def _coded(self) -> CodedAger:
        assert isinstance(self._ager, CodedAger)
        return self._ager
