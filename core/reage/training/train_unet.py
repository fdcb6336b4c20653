"""Train the U-Net of the embedded model. Stops at a time budget; goes on from its checkpoint when started again.

python -m reage.training.train_unet --pairs AGE_PAIRS --out RUN --minutes 120
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from reage.nets.age_unet import AgeUNet
from reage.training.critic import Critic
from reage.training.degrade import film, head_mask, patch, reframe
from reage.training.loop import RATE, fit
from reage.training.series import Series, load_picture, read_series

SIZE = 256
STORED = 320
HELD_OUT = 17
"""Every 17th identity is kept for validation."""
COVERED = 0.2
"""Share of pairs with something in front of the head, where the change is none."""
STEADY, JITTER = 0.5, 0.3
"""Weight of the steadiness of the change under a small warp, and the warp, of that of `reframe`."""


class Pairs:
    """All series in memory, and a sampler of pairs."""

    def __init__(self, series: list[Series]) -> None:
        self.series = series
        self.pictures = [np.stack([load_picture(file, STORED) for file in one.files]) for one in series]
        self.masks = torch.stack([_mask(one) for one in series])

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(n, 2, 3, S, S) pictures 0..1, (n, 1, S, S) where they change, and their (n,) source and target ages."""
        pairs: list[NDArray[np.uint8]] = []
        ages: list[tuple[float, float]] = []
        people = rng.integers(0, len(self.series), n)
        for person in people:
            one = self.series[person]
            a, b = rng.choice(len(one.ages), 2, replace=False)
            pairs.append(self.pictures[person][[a, b]])
            ages.append((float(one.ages[a]), float(one.ages[b])))
        both, masks = torch.tensor(ages), self.masks[people].clone()
        pictures = torch.from_numpy(np.stack(pairs)).float() / 255.0
        for i in (rng.random(n) < COVERED).nonzero()[0]:
            seen = 1.0 - patch(STORED, rng)
            pictures[i] = seen * pictures[i] + (1.0 - seen) * pictures[i - 1, :1]
            masks[i] *= seen
        return pictures, masks, both[:, 0], both[:, 1]


def _mask(series: Series) -> Tensor:
    """Head, hair and neck where the series tells them, else an ellipse: (1, S, S)."""
    file = series.files[0].with_name(f"{series.identity:04d}.mask.png")
    mask = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) if file.exists() else None
    if mask is None:
        return head_mask(STORED)
    large = cv2.resize(mask.astype(np.float32) / 255.0, (STORED, STORED), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(cv2.GaussianBlur(large, (0, 0), 3.0))[None]


def loss_of(change: Tensor, wanted: Tensor) -> Tensor:
    """L1 at full size, on gradients, and on 8-pixel means."""
    error = change - wanted
    rows, columns = error.diff(dim=-2), error.diff(dim=-1)
    coarse = F.avg_pool2d(error, 8)
    return error.abs().mean() + rows.abs().mean() + columns.abs().mean() + 2.0 * coarse.abs().mean()


def answer(net: AgeUNet, picture: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """The network's change, in bf16 autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        change: Tensor = net(picture.contiguous(memory_format=torch.channels_last), source, target)
    return change.float()


def unsteadiness(
    net: AgeUNet, picture: Tensor, change: Tensor, source: Tensor, target: Tensor, rng: np.random.Generator
) -> Tensor:
    """How much the change of half of the faces differs from its own where they lie a little elsewhere."""
    half = max(1, len(picture) // 2)
    moved = reframe(torch.cat([picture, change], 1)[:half], SIZE, rng, JITTER)
    again = answer(net, moved[:, :3].detach(), source[:half], target[:half])
    return (again - moved[:, 3:]).abs().mean()


def train(
    pairs_folder: Path,
    out: Path,
    minutes: float,
    batch: int,
    widths: tuple[int, ...],
    *,
    start: Path | None = None,
    rate: float = RATE,
    adversarial: bool = False,
) -> None:
    """Train on a folder of series; see `reage.training.loop.fit`.

    Args:
        pairs_folder: the series.
        out: folder of the run.
        minutes: of the clock.
        batch: pairs a step.
        widths: of the network.
        start: released weights of the same widths to begin with.
        rate: at which it learns most.
        adversarial: with a critic.
    """
    series = read_series(pairs_folder)
    train_set = Pairs([one for one in series if one.identity % HELD_OUT])
    held_out = Pairs([one for one in series if one.identity % HELD_OUT == 0])
    critic = Critic() if adversarial else None

    def loss(net: AgeUNet, rng: np.random.Generator) -> Tensor:
        pair, mask, source, target = train_set.draw(batch, rng)
        picture, wanted = film(pair, mask, SIZE, rng)
        change = answer(net, picture, source, target)
        error = loss_of(change, wanted) + STEADY * unsteadiness(net, picture, change, source, target, rng)
        return error if critic is None else error + critic.loss(picture, change, wanted, source, target)

    net = AgeUNet(widths)
    if start is not None:
        net.load_state_dict(load_file(start), strict=False)
    fit(net, loss, lambda net: validate(net, held_out), out, minutes, rate=rate, critic=critic)


@torch.no_grad()
def validate(net: AgeUNet, pairs: Pairs) -> dict[str, float]:
    """Mean loss on held-out identities, and that of no change at all."""
    net.eval()
    rng = np.random.default_rng(1)
    got, none = [], []
    for _ in range(10):
        pair, mask, source, target = pairs.draw(8, rng)
        picture, wanted = film(pair, mask, SIZE, rng)
        got.append(float(loss_of(answer(net, picture, source, target), wanted)))
        none.append(float(loss_of(torch.zeros_like(wanted), wanted)))
    return {"held_out": round(float(np.mean(got)), 5), "no_change": round(float(np.mean(none)), 5)}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 64, 128, 192])
    parser.add_argument("--start", type=Path, help="released weights to begin with")
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--adversarial", action="store_true", help="with a critic, and its features matched")
    given = parser.parse_args()
    more = {"start": given.start, "rate": given.rate, "adversarial": given.adversarial}
    train(given.pairs, given.out, given.minutes, given.batch, tuple(given.widths), **more)


if __name__ == "__main__":
    main()
