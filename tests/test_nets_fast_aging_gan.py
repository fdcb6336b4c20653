from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from checkpoints import fill_module

from reage.nets.fast_aging_gan import FastAgingGan, ResidualBlock


def test_the_network_has_the_names_and_shapes_of_the_published_file(shared: Path) -> None:
    ours = {name: tuple(value.shape) for name, value in FastAgingGan().state_dict().items()}
    assert ours == {name: tuple(shape) for name, shape, _ in fill_module(shared).table("fast-aging-gan")}


def test_numbers_equal_those_of_the_reference(shared: Path) -> None:
    golden = np.load(shared / "goldens" / "fast_aging_gan.npz")
    net = FastAgingGan().eval()
    net.load_state_dict(fill_module(shared).state_dict("fast-aging-gan"))
    picture = torch.from_numpy(golden["crop"]).permute(2, 0, 1)[None].float() / 255.0
    with torch.inference_mode():
        assert np.abs(net(2.0 * picture - 1.0)[0].numpy() - golden["image"]).max() < 1e-5


def test_nothing_follows_the_sum_of_a_residual_block() -> None:
    block = ResidualBlock(4).eval()
    with torch.no_grad():
        block.conv_block[6].weight.zero_()
    x = torch.randn(1, 4, 8, 8)
    assert torch.equal(block(x), x)
