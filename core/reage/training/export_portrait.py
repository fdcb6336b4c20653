"""Read the portrait generator out of `random-face`: `read(folder)` answers the state of a `PortraitNet`.

The constants are taken from the OpenVINO graph in the order in which they are used, layer by layer.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reage.errors import ModelError
from reage.nets.portrait import CHANNELS, SLOPE

Constants = dict[str, Any]


def read(folder: Path) -> dict[str, Tensor]:
    """State of a `PortraitNet`, float32.

    Args:
        folder: the folder `data` of `random-face`.

    Raises:
        ModelError: openvino is not installed, or the graph is another one.
    """
    try:
        import openvino
    except ImportError as error:
        raise ModelError("openvino is not installed: pip install 'reage[training]'") from error
    nodes = {
        node.get_friendly_name(): node
        for node in openvino.Core().read_model(folder / "SynthesisNetwork.xml").get_ordered_ops()
    }
    state: dict[str, Tensor] = {}
    gemms = sorted((n for n in nodes if re.fullmatch(r"Gemm_\d+", n)), key=lambda n: int(n[5:]))
    convolutions = sorted((n for n in nodes if re.fullmatch(r"Conv_\d+", n)), key=lambda n: int(n[5:]))
    names = _names()
    if len(gemms) != len(names) or any(_slope(n) != SLOPE for n in nodes.values() if n.get_type_name() == "PRelu"):
        raise ModelError(f"{folder}: another portrait generator than random-face 2021.7.21.1 holds")
    for name, gemm in zip(names, gemms, strict=True):
        scale = _scale_after(nodes[gemm])
        state[f"{name}.weight"] = scale * _constant(_source(nodes[gemm], 0), 1)
        state[f"{name}.bias"] = scale * _constant(nodes[gemm]).flatten()
    state["start"] = next(
        _constant(n, 0)
        for n in nodes.values()
        if n.get_type_name() == "Broadcast" and n.shape[1:] == [CHANNELS[0], 4, 4]
    )
    at = iter(convolutions)
    for layer in ("first", *(f"levels.{i}.{part}" for i in range(len(CHANNELS) - 1) for part in ("first", "second"))):
        if layer != "first":
            state[f"{layer}.spread.weight"] = _constant(nodes[next(at)], 1).squeeze(1)
        mix = nodes[next(at)]
        noise = _reader(mix)
        bias = _reader(noise)
        state[f"{layer}.mix.weight"], state[f"{layer}.noise"] = _constant(mix, 1), _constant(noise)
        state[f"{layer}.mix.bias"] = _constant(bias).flatten()
    picture = nodes[next(at)]
    state["picture.weight"], state["picture.bias"] = _constant(picture, 1), _constant(_reader(picture)).flatten()
    return state


def _names() -> list[str]:
    """Names of the style maps in the order of use."""
    parts = ("style", "first.style", "second.style")
    return ["first.style", *(f"levels.{i}.{part}" for i in range(len(CHANNELS) - 1) for part in parts), "style"]


def _source(node: Any, port: int) -> Any:
    return node.input_value(port).get_node()


def _reader(node: Any) -> Any:
    (reader,) = node.output(0).get_target_inputs()
    return reader.get_node()


def _constant(node: Any, port: int | None = None) -> Tensor:
    """The constant that a node reads at a port; at whichever it is without one."""
    ports = range(node.get_input_size()) if port is None else (port,)
    found = [source for source in (_source(node, p) for p in ports) if source.get_type_name() == "Constant"]
    return torch.from_numpy(np.array(found[0].get_data(), np.float32))


def _scale_after(gemm: Any) -> float:
    """The constant that a mapped style is multiplied by."""
    reshape = next(
        r.get_node() for r in gemm.output(0).get_target_inputs() if r.get_node().get_type_name() == "Reshape"
    )
    product = _reader(reshape)
    sources = [_source(product, port) for port in (0, 1)]
    scales = [source for source in sources if source.get_type_name() == "Constant"]
    return float(np.array(scales[0].get_data()).reshape(-1)[0]) if scales else 1.0


def _slope(node: Any) -> float:
    return round(float(_constant(node, 1)), 6)
