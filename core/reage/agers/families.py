"""The families of networks whose checkpoints Reage reads, recognised by their keys.

Widths and depths are read from a few shapes; every other key and shape must then follow from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn

from reage.agers.base import Ager, ModelFacts
from reage.agers.fast_aging_gan import FastAgingGanAger
from reage.agers.fran import FranAger
from reage.agers.sam import SamAger
from reage.errors import ModelError
from reage.nets.fast_aging_gan import FastAgingGan
from reage.nets.fran_change import FranChange
from reage.nets.fran_norm_unet import FranNormUNet
from reage.nets.fran_unet import FranUNet
from reage.nets.sam import Sam

Shapes = Mapping[str, tuple[int, ...]]
"""Tensors of a checkpoint by name."""


class _Adapter(Protocol):
    def __call__(self, net: Any, facts: ModelFacts, device: torch.device, dtype: torch.dtype) -> Ager: ...


@dataclass(frozen=True)
class Family:
    """One architecture and how it is told from others."""

    name: str
    marks: Mapping[str, tuple[int | None, ...]]  # shapes that only this family has; None is any number
    network: Callable[[Shapes], nn.Module]  # built after the shapes of a checkpoint
    adapter: _Adapter
    ages: tuple[float, float]  # trained range of target ages, years
    clamps: bool
    needs_source_age: bool
    reconstructs: bool
    takes_age: bool = True  # False: it answers one change, older, whatever age is asked for
    unet: Callable[[nn.Module], FranChange] | None = None  # a change at any size, for families that can be exported

    def empty(self, shapes: Shapes) -> nn.Module:
        """The network for a checkpoint, on the meta device.

        Raises:
            ModelError: a shape it depends on is missing or makes no sense.
        """
        try:
            with torch.device("meta"):
                return self.network(shapes)
        except (KeyError, IndexError, ValueError, ZeroDivisionError, RuntimeError) as error:
            raise ModelError(f"looks like {self.name}, but its layers do not fit together ({error})") from error

    def ager(self, net: nn.Module, facts: ModelFacts, device: torch.device, dtype: torch.dtype) -> Ager:
        """The ager around a network that holds its weights."""
        return self.adapter(self.unet(net) if self.unet else net, facts, device, dtype)


def _sam(shapes: Shapes) -> nn.Module:
    styles = shapes["latent_avg"][0]
    levels = styles // 2
    widths = [shapes["decoder.input.input"][1]]
    widths += [shapes[f"decoder.convs.{2 * level}.conv.weight"][1] for level in range(levels - 1)]
    return Sam(size=4 * 2 ** (levels - 1), width=shapes["encoder.input_layer.0.weight"][0], widths=widths)


def _fast_aging_gan(shapes: Shapes) -> nn.Module:
    blocks = sum(name.endswith(".conv_block.1.weight") for name in shapes)
    return FastAgingGan(shapes["model.1.weight"][0], blocks)


def _fran(shapes: Shapes) -> nn.Module:
    names = ("init_conv.0", *(f"down{level}.layer.2" for level in range(1, 5)))
    return FranUNet([shapes[f"{name}.weight"][0] for name in names])


def _fran_norm(shapes: Shapes) -> nn.Module:
    names = ("conv1", *(f"downlayer{level}.conv1" for level in range(1, 5)))
    return FranNormUNet([shapes[f"{name}.weight"][0] for name in names])


SAM = Family(
    name="sam",
    marks={
        "encoder.input_layer.0.weight": (None, 4, 3, 3),
        "pretrained_encoder.input_layer.0.weight": (None, 3, 3, 3),
        "decoder.input.input": (1, None, 4, 4),
        "latent_avg": (None, None),
    },
    network=_sam,
    adapter=SamAger,
    ages=(0.0, 100.0),
    clamps=False,
    needs_source_age=False,
    reconstructs=True,
)
FAST_AGING_GAN = Family(
    name="fast-aging-gan",
    marks={"model.1.weight": (None, 3, 7, 7), "model.10.conv_block.1.weight": (None, None, 3, 3)},
    network=_fast_aging_gan,
    adapter=FastAgingGanAger,
    ages=(0.0, 120.0),  # it has no age input: nothing is outside
    clamps=False,
    needs_source_age=False,
    reconstructs=False,  # there is no second answer to set its picture against
    takes_age=False,
)
FRAN = Family(
    name="fran",
    marks={"init_conv.0.weight": (None, 5, 3, 3), "down1.layer.1.filt": (None, 1, 4, 4)},
    network=_fran,
    adapter=FranAger,
    ages=(10.0, 90.0),
    clamps=True,
    needs_source_age=True,
    reconstructs=False,
    unet=lambda net: FranChange(net, centred=False),
)
FRAN_RY_LU = Family(
    name="fran-ry-lu",
    marks={"conv1.weight": (None, 5, 3, 3), "batchnorm1.running_mean": (None,)},
    network=_fran_norm,
    adapter=FranAger,
    ages=(18.0, 83.0),
    clamps=True,
    needs_source_age=True,
    reconstructs=False,
    unet=lambda net: FranChange(net, centred=True),
)
FAMILIES = {family.name: family for family in (SAM, FAST_AGING_GAN, FRAN, FRAN_RY_LU)}


def recognise(shapes: Shapes) -> Family:
    """The family of a checkpoint.

    Raises:
        ModelError: none that is known; the message lists the first keys.
    """
    for family in FAMILIES.values():
        if all(_fits(shapes.get(name), mark) for name, mark in family.marks.items()):
            return family
    first = ", ".join(f"{name} {tuple(shape)}" for name, shape in list(shapes.items())[:3]) or "none"
    raise ModelError(f"no family that reage knows ({', '.join(FAMILIES)}); its first tensors: {first}")


def _fits(shape: tuple[int, ...] | None, mark: tuple[int | None, ...]) -> bool:
    return (
        shape is not None
        and len(shape) == len(mark)
        and all(wanted in (None, size) for size, wanted in zip(shape, mark, strict=True))
    )


def fitted(family: Family, shapes: Shapes) -> nn.Module:
    """The family's network on the meta device, with every key and shape of a checkpoint held against its layers.

    Raises:
        ModelError: a tensor is missing, too many, or of another shape; the message names the first.
    """
    net = family.empty(shapes)
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    for fault, names in (
        ("lacks", wanted.keys() - shapes.keys()),
        ("has no place for", shapes.keys() - wanted.keys()),
    ):
        if names:
            raise ModelError(f"looks like {family.name}, but {fault} {_some(sorted(names))}")
    wrong = [name for name, shape in wanted.items() if shapes[name] != shape]
    if wrong:
        name = wrong[0]
        raise ModelError(
            f"looks like {family.name}, but {name} has the shape {shapes[name]} in place of {wanted[name]}"
            + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
        )
    return net


def _some(names: list[str]) -> str:
    return names[0] + (f" and {len(names) - 1} more tensors" if len(names) > 1 else "")
