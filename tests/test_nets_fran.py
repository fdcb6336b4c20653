from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoints import fill_module, small_fran, small_fran_norm
from torch.nn import functional as F

from reage.nets.fran_change import FranChange
from reage.nets.fran_norm_unet import FranNormUNet, Low
from reage.nets.fran_unet import BlurPool, FranUNet

PARAMETERS_OF_RY_LU = 31_391_875
"""Its README says 31.4 million."""


def test_the_community_network_has_the_names_and_shapes_of_the_published_file(shared: Path) -> None:
    with torch.device("meta"):
        ours = {name: tuple(value.shape) for name, value in FranUNet().state_dict().items()}
    assert ours == {name: tuple(shape) for name, shape, _ in fill_module(shared).table("fran-community")}


def test_numbers_of_the_community_network_equal_those_of_the_reference(shared: Path) -> None:
    golden = np.load(shared / "goldens" / "fran_community.npz")
    with torch.device("meta"):
        net = FranUNet()
    net.load_state_dict(fill_module(shared).state_dict("fran-community"), assign=True)
    picture = torch.from_numpy(golden["crop"]).permute(2, 0, 1)[None].float() / 255.0
    source, target = (torch.tensor([float(age)]) for age in golden["ages"])
    with torch.inference_mode():
        change = FranChange(net.eval(), centred=False)(picture, source, target)
    assert np.abs(change[0].numpy() - golden["delta"]).max() < 1e-5


def test_the_other_network_has_as_many_parameters_as_its_authors_count_and_one_shared_norm() -> None:
    with torch.device("meta"):
        net = FranNormUNet()
    assert sum(value.numel() for value in net.parameters()) == PARAMETERS_OF_RY_LU
    assert sum(name.startswith("batchnorm") for name in net.state_dict()) == 5


def test_the_other_network_low_passes_a_constant_to_itself_inside_and_to_less_at_a_dark_border() -> None:
    flat = torch.ones(1, 2, 8, 8)
    assert torch.allclose(Low(0.8, 1, mirrored=True)(flat), flat, atol=1e-6)
    halved = Low(0.5, 2, mirrored=False)(F.max_pool2d(flat, 2, 1))
    assert halved.shape == (1, 2, 4, 4)
    assert halved[0, 0, 1, 1] == 1.0 and halved[0, 0, 0, 0] == pytest.approx(0.75**2)


def test_blur_pooling_keeps_a_constant_and_its_taps_lie_one_before_and_two_after() -> None:
    flat = torch.ones(1, 3, 8, 8)
    assert torch.allclose(BlurPool(3, 2)(flat), torch.ones(1, 3, 4, 4))
    dot = torch.zeros(1, 1, 8, 8)
    dot[0, 0, 4, 4] = 64.0
    spread = BlurPool(1, 1)(dot)[0, 0, 4, 2:7]
    assert torch.equal(spread, torch.tensor([3.0, 9.0, 9.0, 3.0, 0.0]))


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (20, 70)])
def test_any_size_comes_back_as_it_was(size: tuple[int, int], centred: bool) -> None:
    net = FranChange(small_fran_norm() if centred else small_fran(), centred)
    with torch.inference_mode():
        change = net(torch.rand(2, 3, *size), torch.tensor([30.0, 31.0]), torch.tensor([60.0, 61.0]))
    assert change.shape == (2, 3, *size)


class Echo(torch.nn.Module):
    """Answers the picture, and both planes on top: what a network is shown."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :3] + 10.0 * x[:, 3:4] + 100.0 * x[:, 4:5]


def test_padding_does_not_move_the_picture() -> None:
    picture, never = torch.rand(1, 3, 37, 90), torch.zeros(1)
    assert torch.equal(FranChange(Echo(), centred=False)(picture, never, never), picture)


def test_a_centred_network_sees_and_answers_twice_the_scale() -> None:
    picture = torch.full((1, 3, 32, 32), 0.75)
    ages = torch.tensor([30.0]), torch.tensor([60.0])
    assert FranChange(Echo(), centred=True)(picture, *ages)[0, 0, 0, 0] == pytest.approx((0.5 + 3.0 + 60.0) / 2.0)
    assert FranChange(Echo(), centred=False)(picture, *ages)[0, 0, 0, 0] == pytest.approx(0.75 + 3.0 + 60.0)
