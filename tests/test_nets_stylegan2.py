from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from reage.nets.stylegan2 import Blur, Doubling, EqualLinear, Generator, ModulatedConv, PixelNorm

ROUNDING = 1e-9
"""Of float64 in sums of a few hundred products."""


def zero_stuffed(x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    wide = x.new_zeros(n, c, 2 * h, 2 * w)
    wide[:, :, ::2, ::2] = x
    return wide


def by_kernels(conv: ModulatedConv, x: torch.Tensor, w: torch.Tensor, demodulates: bool) -> torch.Tensor:
    """The paper's own words: one kernel a picture, scaled, demodulated, then convolved."""
    pictures = []
    style = conv.modulation(w)
    outputs, inputs, size = conv.weight.shape[1], conv.weight.shape[2], conv.weight.shape[3]
    for one, s in zip(x, style, strict=True):
        kernel = conv.weight[0] / math.sqrt(inputs * size * size) * s[None, :, None, None]
        if demodulates:
            kernel = kernel * torch.rsqrt(kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        if conv.blur is None:
            pictures.append(F.conv2d(one[None], kernel, padding=size // 2))
        else:
            raw = F.conv_transpose2d(one[None], kernel.transpose(0, 1), stride=2)
            taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype)
            low = (taps[:, None] * taps[None, :] / 16.0).expand(outputs, 1, 4, 4)
            pictures.append(F.conv2d(F.pad(raw, (1, 1, 1, 1)), low, groups=outputs))
    return torch.cat(pictures)


@pytest.mark.parametrize(("size", "doubles", "demodulates"), [(3, False, True), (3, True, True), (1, False, False)])
def test_scaling_activations_answers_what_a_kernel_a_picture_answers(
    size: int, doubles: bool, demodulates: bool
) -> None:
    torch.manual_seed(1)
    conv = ModulatedConv(6, 5, size, 7, doubles=doubles, demodulates=demodulates).double()
    x, w = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, 6, 9, 4), (3, 7)))
    with torch.no_grad():
        expected = by_kernels(conv, x, w, demodulates)
        assert (conv(x, w) - expected).abs().max() < ROUNDING


def test_doubling_is_zeros_between_samples_and_a_low_pass() -> None:
    x = torch.randn(2, 3, 4, 6)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = (taps[:, None] * taps[None, :] / 16.0).expand(3, 1, 4, 4)
    expected = F.conv2d(F.pad(zero_stuffed(x), (2, 1, 2, 1)), kernel, groups=3)
    assert torch.allclose(Doubling()(x), expected, atol=1e-6)


def test_the_blur_after_a_transposed_convolution_takes_one_pixel_off() -> None:
    assert Blur()(torch.randn(1, 2, 9, 17)).shape == (1, 2, 8, 16)


def test_an_equalised_layer_scales_weights_and_bias_when_used() -> None:
    layer = EqualLinear(4, 3, rate=0.01, activated=True)
    with torch.no_grad():
        layer.bias.fill_(50.0)
        x = torch.randn(2, 4)
        expected = F.leaky_relu(x @ layer.weight.T * (0.01 / 2.0) + 0.5, 0.2) * math.sqrt(2.0)
        assert torch.allclose(layer(x), expected, atol=1e-6)


def test_pixel_norm_brings_vectors_to_unit_mean_square() -> None:
    assert torch.allclose(PixelNorm()(7.0 * torch.randn(3, 64)).square().mean(1), torch.ones(3), atol=1e-4)


def test_every_layer_reads_its_own_row_of_w_plus() -> None:
    torch.manual_seed(0)
    net = Generator(32, 16, (12, 10, 8, 6)).eval()
    w = torch.randn(1, net.styles, 16)
    with torch.no_grad():
        base = net(w)
        for row in range(net.styles):
            moved = w.clone()
            moved[:, row] += 1.0
            assert (net(moved) - base).abs().max() > 1e-4, row


def test_noise_is_fixed_and_counts() -> None:
    torch.manual_seed(0)
    net = Generator(16, 16, (12, 10, 8)).eval()
    w = torch.randn(1, net.styles, 16)
    with torch.no_grad():
        silent = net(w)
        net.convs[1].noise.weight.fill_(0.5)
        assert torch.equal(net(w), net(w))
        assert (net(w) - silent).abs().max() > 1e-2


def test_half_precision_stays_near_even_where_styles_are_large() -> None:
    torch.manual_seed(0)
    net = Generator(32, 16, (12, 10, 8, 6)).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, ModulatedConv) and module.weight.shape[-1] == 3:
                module.modulation.bias.fill_(3e4)  # overflows float16 when multiplied into activations
        w = torch.randn(2, net.styles, 16)
        exact = net(w)
        with torch.autocast("cpu", torch.float16):
            half = net(w)
    assert (half - exact).abs().max() < 5e-3 * exact.abs().max()
