"""Weights that come with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from reage.agers.released import DATA, released, released_unet
from reage.errors import ModelError
from reage.nets.age_unet import AgeUNet
from reage.nets.parts_unet import PartsUNet

NAMES = ("reage-1", "likeness", "parts")


def copied(name: str, folder: Path) -> Path:
    for suffix in (".safetensors", ".sha256"):
        shutil.copy(DATA / f"{name}{suffix}", folder)
    return folder / f"{name}.safetensors"


@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_noticed(name: str, tmp_path: Path) -> None:
    weights = copied(name, tmp_path)
    assert released(weights).sha256
    data = bytearray(weights.read_bytes())
    data[-1000] ^= 1
    weights.write_bytes(data)
    with pytest.raises(ModelError, match="not the weights that were released"):
        released(weights)


def test_a_missing_file_and_one_cut_short_are_named(tmp_path: Path) -> None:
    weights = copied("parts", tmp_path)
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"parts\.safetensors: missing or damaged"):
        released(weights)
    weights.unlink()
    with pytest.raises(ModelError, match=r"parts\.safetensors"):
        released(weights)


def test_a_unet_is_ready_for_inference_and_another_kind_is_refused() -> None:
    net, digest = released_unet(DATA / "parts.safetensors", PartsUNet)
    assert not net.training and len(digest) == 64
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in net.modules())
    with pytest.raises(ModelError, match="another network"):
        released_unet(DATA / "parts.safetensors", AgeUNet)
