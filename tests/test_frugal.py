from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from reage.agers.base import AgeCodes, CodedAger
from reage.agers.frugal import frugal
from reage.errors import DeviceError

GPU, CPU = torch.device("cuda"), torch.device("cpu")


class Tight:
    """An ager that runs out of memory beyond so many crops; on the processor never."""

    def __init__(self, device: torch.device, room: int) -> None:
        self.facts: Any = None
        self.room = 99 if device.type == "cpu" else room
        self.sizes: list[int] = []

    def __call__(
        self, crops: Tensor, source_age: Any = None, target_age: Any = 70.0, *, landmarks: Any = None, look: Any = None
    ) -> Tensor:
        self._need(crops.shape[0])
        return crops + target_age[:, None, None, None] + landmarks[:, :1, :1, None]

    def first_look(self, *_: Any) -> dict[str, Any]:
        return {"seen": True}

    def _need(self, count: int) -> None:
        self.sizes.append(count)
        if count > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")


class TightCoded(Tight):
    def encode(self, crops: Tensor, source_age: Any, target_age: Any) -> AgeCodes:
        self._need(crops.shape[0])
        return AgeCodes(crops.flatten(1)[:, None] + source_age[:, None, None], target_age[:, None, None])

    def paint(self, codes: Tensor) -> Tensor:
        self._need(codes.shape[0])
        return codes * 2.0


CROPS, AGES, POINTS = torch.rand(4, 3, 2, 2), torch.arange(4.0), torch.arange(8.0).view(4, 1, 2)


@pytest.mark.parametrize("room", [4, 2, 1, 0])
def test_a_batch_is_halved_until_it_fits_and_then_the_processor_takes_over(
    room: int, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[Tight] = []

    def make(device: torch.device, dtype: torch.dtype) -> Tight:
        made.append(Tight(device, room))
        return made[-1]

    ager = frugal(make, GPU, torch.float16, may_leave=True)
    with caplog.at_level(logging.WARNING):
        out = ager(CROPS, None, AGES, landmarks=POINTS)
    assert torch.equal(out, CROPS + AGES[:, None, None, None] + POINTS[:, :1, :1, None])
    assert len(caplog.records) == {4: 0, 2: 1, 1: 2, 0: 3}[room]
    assert len(made) == (2 if room == 0 else 1)


def test_a_device_that_was_asked_for_is_not_left() -> None:
    ager = frugal(lambda device, _: Tight(device, 0), GPU, torch.float16, may_leave=False)
    with pytest.raises(DeviceError, match="--device cpu"):
        ager(CROPS, None, AGES, landmarks=POINTS)


def test_a_model_that_does_not_fit_at_all_is_loaded_on_the_processor() -> None:
    def make(device: torch.device, dtype: torch.dtype) -> Tight:
        if device.type != "cpu":
            raise torch.OutOfMemoryError("CUDA out of memory")
        assert dtype == torch.float32
        return Tight(device, 0)

    assert frugal(make, GPU, torch.float16, may_leave=True)(CROPS, None, AGES, landmarks=POINTS).shape == CROPS.shape


def test_codes_are_made_and_painted_in_parts_too() -> None:
    ager = frugal(lambda device, _: TightCoded(device, 1), GPU, torch.float16, may_leave=True)
    assert isinstance(ager, CodedAger)
    codes = ager.encode(CROPS, AGES, AGES)
    assert torch.equal(codes.own[:, 0], CROPS.flatten(1) + AGES[:, None]) and codes.shift.shape == (4, 1, 1)
    assert torch.equal(ager.paint(codes.own), codes.own * 2.0)


def test_an_ager_without_codes_does_not_pretend_to_have_them_and_the_processor_needs_no_help() -> None:
    ager = frugal(lambda device, _: Tight(device, 4), GPU, torch.float16, may_leave=True)
    assert not isinstance(ager, CodedAger)
    assert ager.first_look(CROPS[0], POINTS[0], 30.0, None) == {"seen": True}
    assert isinstance(frugal(lambda device, _: Tight(device, 4), CPU, torch.float32, may_leave=True), Tight)
