"""The portrait generator as a torch network."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch

from reage.nets.portrait import LAYERS, STYLE, PortraitNet, inverse_haar

SMALL = (16, 16, 8)


@pytest.fixture(scope="module")
def net() -> PortraitNet:
    torch.manual_seed(3)
    return PortraitNet(SMALL).eval()


def styles() -> torch.Tensor:
    return torch.randn(3 * len(SMALL) - 1, STYLE, generator=torch.Generator().manual_seed(5))


def test_each_level_doubles_the_size_and_the_picture_once_more(net: PortraitNet) -> None:
    assert net(styles()).shape == (3, 32, 32)


def test_the_same_styles_give_the_same_portrait(net: PortraitNet) -> None:
    assert torch.equal(net(styles()), net(styles()))


def test_every_layer_has_a_style_of_its_own(net: PortraitNet) -> None:
    one = styles()
    before = net(one)
    for layer in range(len(one)):
        other = one.clone()
        other[layer] += 1.0
        assert not torch.allclose(net(other), before), layer


def test_the_inverse_wavelet_undoes_haars_transform() -> None:
    picture = torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(1))
    a, b, c, d = (picture[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1))
    low, down, across, both = (a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d)
    detail = torch.stack([down, across, both], 2).flatten(1, 2)
    torch.testing.assert_close(inverse_haar(torch.cat([low, detail], 1) * 0.5), picture)


@pytest.mark.skipif(
    find_spec("openvino") is None or find_spec("random_face") is None, reason="needs openvino and random-face"
)
def test_the_port_draws_what_the_original_draws() -> None:
    from reage.training.export_portrait import read
    from reage.training.generator import Generator, installed_data

    generator, port = Generator(), PortraitNet()
    port.load_state_dict(read(installed_data()))
    stack = generator.mean_style(64) + 0.3 * np.random.default_rng(0).standard_normal((LAYERS, STYLE))
    with torch.inference_mode():
        drawn = port(torch.from_numpy(stack).float()).permute(1, 2, 0).numpy()
    codes = np.clip((drawn + 1.0) * 127.5 + 0.5, 0, 255).astype(np.uint8).astype(int)
    assert np.abs(codes - generator.picture(stack.astype(np.float32))).max() <= 1
