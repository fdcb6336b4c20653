"""Small random networks of the published families, and the files their authors would write of them."""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from reage.nets.fast_aging_gan import FastAgingGan
from reage.nets.fran_norm_unet import FranNormUNet
from reage.nets.fran_unet import FranUNet
from reage.nets.sam import Sam

SAM_SIDE = 64
STYLES = 10


def fill_module(shared: Path) -> ModuleType:
    """The module `fill` of the goldens."""
    sys.path.insert(0, str(shared / "goldens"))
    try:
        import fill
    finally:
        sys.path.pop(0)
    return fill


def varied(net: nn.Module, seed: int = 0) -> nn.Module:
    """Fill everything that a fresh network leaves at 0 or 1, so that a forgotten term shows."""
    rng = torch.Generator().manual_seed(seed)
    for name, value in net.state_dict().items():
        if name.endswith((".kernel", ".filt", "num_batches_tracked")):
            continue
        noise = torch.randn(value.shape, generator=rng)
        if name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=rng))
        elif name.endswith("modulation.bias"):
            value.copy_(1.0 + 0.2 * noise)
        elif value.dim() <= 1 or name.endswith("latent_avg"):
            value.copy_(0.2 * noise)
        elif not any(part in name for part in ("modulation", "linear", "decoder.", "style.")):
            value.copy_(noise * (2.0 / max(1, value[0].numel())) ** 0.5)
    return net.eval()


def small_sam() -> Sam:
    """Always the same one."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = varied(Sam(SAM_SIDE, width=4, widths=(32, 32, 16, 16, 8)))
    assert isinstance(net, Sam)
    net.encoder.input_layer[0].weight.data[:, 3].mul_(8.0)  # a small encoder hardly sees the age otherwise
    for name, value in net.decoder.named_parameters():
        if name.startswith("to_rgb") and name.endswith("conv.weight"):
            value.data.mul_(0.12)
    return net


def small_fast_aging_gan() -> nn.Module:
    return varied(FastAgingGan(width=4, blocks=3))


def small_fran() -> FranUNet:
    net = varied(FranUNet((4, 8, 8, 16, 16)))
    assert isinstance(net, FranUNet)
    return net


def small_fran_norm() -> nn.Module:
    return varied(FranNormUNet((4, 8, 8, 16, 16)))


def sam_checkpoint(net: Sam) -> dict[str, Any]:
    state = OrderedDict(net.state_dict())
    average = state.pop("latent_avg")
    options = {"output_size": SAM_SIDE, "input_nc": 4, "start_from_encoded_w_plus": True, "device": "cuda:0"}
    return {"state_dict": state, "opts": options, "latent_avg": average}


def save(value: Any, path: Path, legacy: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=not legacy)
    return path


def saved_sam(path: Path) -> Path:
    return save(sam_checkpoint(small_sam()), path)


def saved_fran(path: Path) -> Path:
    return save(small_fran().state_dict(), path)


def saved_fran_norm(path: Path) -> Path:
    return save(small_fran_norm().state_dict(), path)


def saved_fast_aging_gan(path: Path) -> Path:
    """In the format before PyTorch 1.6, as published."""
    return save(small_fast_aging_gan().state_dict(), path, legacy=True)
