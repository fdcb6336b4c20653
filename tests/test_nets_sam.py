from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import SAM_SIDE, STYLES, fill_module, small_sam
from torch.nn import functional as F

from reage.nets.gradual_style_encoder import GradualStyleEncoder, Unit
from reage.nets.sam import SIDE, Sam


def test_the_full_network_has_the_names_and_shapes_of_the_published_file(shared: Path) -> None:
    with torch.device("meta"):
        net = Sam()
    ours = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    assert ours.pop("latent_avg") == (18, 512)
    assert ours == {name: tuple(shape) for name, shape, _ in fill_module(shared).table("sam")}


def test_a_unit_of_equal_width_subsamples_and_nothing_follows_its_sum() -> None:
    unit = Unit(32, 32, 2).eval()
    with torch.no_grad():
        for name, value in unit.res_layer.named_parameters():
            if name.startswith("3"):
                value.zero_()
    x = torch.randn(1, 32, 6, 8)
    assert torch.equal(unit(x), x[:, :, ::2, ::2])


def test_heads_are_dealt_over_three_levels_by_their_depth() -> None:
    net = GradualStyleEncoder(3, styles=9, width=16)
    assert [len(head.convs) // 2 for head in net.styles] == [4, 4, 4, 5, 5, 5, 5, 6, 6]


def test_the_age_moves_the_shift_and_not_the_inversion() -> None:
    net, picture = small_sam(), torch.rand(1, 3, SIDE, SIDE) * 2.0 - 1.0
    with torch.inference_mode():
        young, old = (net.shift(picture, torch.tensor([age])) for age in (20.25, 80.0))
        inversion = net.inversion(picture)
        assert young.shape == inversion.shape == (1, STYLES, 32)
        assert (young - old).abs().max() > 1e-3
        whole = net(picture, torch.tensor([80.0]))
        assert torch.allclose(whole, net.decoder(inversion + old), atol=1e-5)
    assert whole.shape == (1, 3, SAM_SIDE, SAM_SIDE)


def test_the_age_plane_is_years_by_a_hundred() -> None:
    net, picture = small_sam(), torch.rand(1, 3, SIDE, SIDE)
    plane = torch.full((1, 1, SIDE, SIDE), 0.345)
    with torch.inference_mode():
        expected = net.encoder(torch.cat([picture, plane], 1))
        assert torch.allclose(net.shift(picture, torch.tensor([34.5])), expected, atol=1e-6)


@pytest.mark.skipif(os.environ.get("REAGE_SLOW") != "1", reason="set REAGE_SLOW=1: fills 2.27 GB, takes minutes")
def test_numbers_equal_those_of_the_reference(shared: Path) -> None:
    fill, golden = fill_module(shared), np.load(shared / "goldens" / "sam.npz")
    with torch.device("meta"):
        net = Sam()
    average = torch.from_numpy(fill.value("sam", "latent_avg", (18, 512)))
    net.load_state_dict({**fill.state_dict("sam"), "latent_avg": average}, assign=True)
    picture = torch.from_numpy(golden["crop"]).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    with torch.inference_mode():
        w_plus = net.eval().inversion(picture) + net.shift(picture, torch.tensor([float(golden["age"])]))
        image = net.decoder(w_plus)
    assert np.abs(w_plus[0].numpy() - golden["w_plus"]).max() < 1e-4
    assert np.abs(F.avg_pool2d(image, 4)[0].numpy() - golden["image_box256"]).max() < 1e-3
    row, column = golden["detail_at"]
    detail = image[0, :, row : row + 128, column : column + 128].numpy()
    assert np.abs(detail - golden["detail"]).max() < 1e-3
