from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from reage.steady import AgedCrop, flow_picture, steady

SIDE = 128


def skin(seed: int = 0) -> torch.Tensor:
    """A picture with texture at several scales, so that flow has something to hold on to: (3, 2 SIDE, 2 SIDE)."""
    rng, size = np.random.default_rng(seed), (2 * SIDE, 2 * SIDE)
    layers = [
        F.interpolate(
            torch.from_numpy(rng.random((1, 3, n, n))).float(), size=size, mode="bicubic", align_corners=False
        )
        for n in (8, 20, 60)
    ]
    return (sum(layers) / 3.0)[0].clamp(0, 1)


def at(frame: int, dx: int, change: torch.Tensor) -> AgedCrop:
    """The picture moved right by dx pixels, with a change that is pinned to it."""
    code = skin()[:, 40 : 40 + SIDE, 60 - dx : 60 - dx + SIDE]
    return AgedCrop(frame, code, change[:, 40 : 40 + SIDE, 60 - dx : 60 - dx + SIDE].clone(), flow_picture(code))


def test_a_frame_without_neighbours_keeps_its_change() -> None:
    one = at(1, 0, skin(1))
    assert torch.equal(steady(one, [], 2), one.change)


def test_boiling_noise_is_reduced_and_what_is_pinned_to_skin_stays_put_while_it_moves() -> None:
    pinned = 0.2 * (skin(1) - 0.5)
    rng = torch.Generator().manual_seed(3)
    frames = []
    for k in range(5):
        clean = at(k, 3 * k, pinned)
        noisy = clean.change + 0.05 * torch.randn(clean.change.shape, generator=rng)
        frames.append(AgedCrop(k, clean.code, noisy, clean.grey))
    truth = at(2, 6, pinned).change
    result = steady(frames[2], [frames[i] for i in (0, 1, 3, 4)], 2)
    inner = (slice(None), slice(16, -16), slice(16, -16))
    before = float((frames[2].change - truth)[inner].pow(2).mean().sqrt())
    after = float((result - truth)[inner].pow(2).mean().sqrt())
    assert after < 0.65 * before
    # Lag would show as the change of frame 2 being found nearer to where frame 1 or 3 had it.
    lagging = [float((result - at(2, 6 + s, pinned).change)[inner].pow(2).mean().sqrt()) for s in (-2, -1, 0, 1, 2)]
    assert int(np.argmin(lagging)) == 2


def test_a_neighbour_that_shows_something_else_has_no_say_there() -> None:
    """A hand comes into one half of the picture: its change must not leak there, and still helps in the other half."""
    one, other = at(1, 0, skin(1) - 0.5), at(2, 0, skin(1) - 0.5)
    code = other.code.clone()
    code[:, :, : SIDE // 2] = 0.05
    hand = AgedCrop(2, code, torch.full_like(one.change, 5.0), flow_picture(code))
    weight = (steady(one, [hand], 2) - one.change).abs() / (5.0 - one.change)
    assert float(weight[:, 12:-12, 12 : SIDE // 2 - 12].mean()) < 0.02
    assert float(weight[:, 12:-12, SIDE // 2 + 12 : -12].mean()) > 0.1


def test_the_result_does_not_depend_on_calls_before_it() -> None:
    frames = [at(k, 2 * k, skin(1)) for k in range(3)]
    first = steady(frames[1], [frames[0], frames[2]], 2)
    steady(frames[2], [frames[0]], 2)
    assert torch.equal(steady(frames[1], [frames[0], frames[2]], 2), first)
