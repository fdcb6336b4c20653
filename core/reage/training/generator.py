"""The portrait generator that the training pictures and the demo shot were drawn with.

MobileStyleGAN (Belousov, "MobileStyleGAN: A Lightweight Convolutional Neural Network for High-Fidelity Image
Synthesis", 2021) as the package `random-face` ships it, run by a current OpenVINO. Its synthesis graph takes one
style and feeds it to 23 layers; here each layer gets its own, from coarse (pose, shape) to fine (colour, skin).
Needs `pip install openvino` and `pip install --no-deps random-face==2021.7.21.1`, which is never imported.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.agers.likeness import AGED, AGED_GAIN
from reage.errors import ModelError
from reage.nets.portrait import LAYERS, STYLE

WIDTH = STYLE
Style = NDArray[np.float32]


def aged(style: Style, normal: Style, decades: float) -> Style:
    """(LAYERS, 512) styles of a (512,) style, its layers of face and skin moved along the normal of age."""
    stack = np.repeat(style[None], LAYERS, 0)
    stack[AGED] += AGED_GAIN * decades * normal
    return stack


class Generator:
    """Noise to styles, styles to 1024 x 1024 portraits (FFHQ-aligned) of people who do not exist."""

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Load both networks.

        Args:
            folder: the folder `data` of `random-face`; found in the installed package where it is None.
            threads: of the processor.

        Raises:
            ModelError: openvino or random-face is not installed.
        """
        try:
            import openvino
        except ImportError as error:
            raise ModelError("openvino is not installed: pip install 'reage[training]'") from error
        data = folder or installed_data()
        core = openvino.Core()
        options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        mapping = core.read_model(data / "MappingNetwork.xml")
        synthesis = core.read_model(data / "SynthesisNetwork.xml")
        _split_style(synthesis)
        self._mapping = core.compile_model(mapping, "CPU", options)
        self._synthesis = core.compile_model(synthesis, "CPU", options)

    def map(self, noise: NDArray[np.floating[Any]]) -> Style:
        """Map (N, 512) standard normal noise to (N, 512) styles, not truncated."""
        rows = [self._mapping([row[None].astype(np.float32)])[0] for row in noise]
        return np.concatenate(rows).astype(np.float32)

    def mean_style(self, count: int = 4096, seed: int = 0) -> Style:
        """The (512,) style of the average face, towards which truncation pulls."""
        mean: Style = self.map(np.random.default_rng(seed).standard_normal((count, WIDTH))).mean(0)
        return mean

    def picture(self, styles: Style) -> NDArray[np.uint8]:
        """Draw the (1024, 1024, 3) sRGB-encoded RGB portrait of a (23, 512) stack of styles, or of one (512,)."""
        stack = np.broadcast_to(styles, (LAYERS, WIDTH)).astype(np.float32)
        tensor = self._synthesis([row[None] for row in stack])[0][0]
        rgb = (tensor.transpose(1, 2, 0) + 1.0) * 127.5
        return np.ascontiguousarray(np.clip(rgb + 0.5, 0, 255).astype(np.uint8))


def installed_data() -> Path:
    """The folder `data` of the installed package.

    Raises:
        ModelError: it is not installed.
    """
    spec = find_spec("random_face")
    if spec is None or spec.origin is None:
        raise ModelError("random-face is not installed: pip install --no-deps random-face==2021.7.21.1")
    return Path(spec.origin).parent / "data"


def _split_style(model: Any) -> None:
    """Replace the graph's one input by one for each layer, in the layers' order."""
    from openvino import opset13

    (style,) = model.get_parameters()
    readers = list(style.output(0).get_target_inputs())
    layers = [reader for reader in readers if reader.get_node().get_type_name() == "MatMul"]
    layers.sort(key=lambda reader: _number(reader.get_node().get_friendly_name()))
    if len(layers) != LAYERS:
        raise ModelError(f"the portrait generator has {len(layers)} style inputs, expected {LAYERS}: another version?")
    inputs = [opset13.parameter([1, WIDTH], np.float32, name=f"style_{i:02d}") for i in range(LAYERS)]
    for reader, parameter in zip(layers, inputs, strict=True):
        reader.replace_source_output(parameter.output(0))
    for reader in readers:
        if reader not in layers:  # what asks for the batch size only
            reader.replace_source_output(inputs[0].output(0))
    model.add_parameters(inputs)
    model.remove_parameter(style)
    model.validate_nodes_and_infer_types()


def _number(name: str) -> int:
    match = re.match(r"Gemm_(\d+)", name)
    return int(match.group(1)) if match else -1
