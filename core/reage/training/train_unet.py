"""Train the U-Net of the embedded model. Stops at a time budget; goes on from its checkpoint when started again.

python -m reage.training.train_unet --pairs AGE_PAIRS --out RUN --minutes 120
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reage.nets.age_unet import AgeUNet
from reage.training.degrade import film, head_mask
from reage.training.loop import fit
from reage.training.series import Series, load_picture, read_series

SIZE = 256
STORED = 320
HELD_OUT = 17
"""Every 17th identity is kept for validation."""


class Pairs:
    """All series in memory, and a sampler of pairs."""

    def __init__(self, series: list[Series]) -> None:
        self.series = series
        self.pictures = [np.stack([load_picture(file, STORED) for file in one.files]) for one in series]

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 2, 3, S, S) pictures 0..1 and their (n,) source and target ages."""
        pairs: list[NDArray[np.uint8]] = []
        ages: list[tuple[float, float]] = []
        for person in rng.integers(0, len(self.series), n):
            one = self.series[person]
            a, b = rng.choice(len(one.ages), 2, replace=False)
            pairs.append(self.pictures[person][[a, b]])
            ages.append((float(one.ages[a]), float(one.ages[b])))
        both = torch.tensor(ages)
        return torch.from_numpy(np.stack(pairs)).float() / 255.0, both[:, 0], both[:, 1]


def loss_of(change: Tensor, wanted: Tensor) -> Tensor:
    """L1 at full size, on gradients, and on 8-pixel means."""
    error = change - wanted
    rows, columns = error.diff(dim=-2), error.diff(dim=-1)
    coarse = F.avg_pool2d(error, 8)
    return error.abs().mean() + rows.abs().mean() + columns.abs().mean() + 2.0 * coarse.abs().mean()


def train(pairs_folder: Path, out: Path, minutes: float, batch: int, widths: tuple[int, ...]) -> None:
    """Train on a folder of series; see `reage.training.loop.fit`."""
    series = read_series(pairs_folder)
    train_set = Pairs([one for one in series if one.identity % HELD_OUT])
    held_out = Pairs([one for one in series if one.identity % HELD_OUT == 0])
    mask = head_mask(STORED)

    def loss(net: AgeUNet, rng: np.random.Generator) -> Tensor:
        pair, source, target = train_set.draw(batch, rng)
        picture, wanted = film(pair, mask, SIZE, rng)
        with torch.autocast("cpu", torch.bfloat16):
            change = net(picture.contiguous(memory_format=torch.channels_last), source, target)
        return loss_of(change.float(), wanted)

    fit(AgeUNet(widths), loss, lambda net: validate(net, held_out, mask), out, minutes)


@torch.no_grad()
def validate(net: AgeUNet, pairs: Pairs, mask: Tensor) -> dict[str, float]:
    """Mean loss on held-out identities, and that of no change at all."""
    net.eval()
    rng = np.random.default_rng(1)
    got, none = [], []
    for _ in range(10):
        pair, source, target = pairs.draw(8, rng)
        picture, wanted = film(pair, mask, SIZE, rng)
        with torch.autocast("cpu", torch.bfloat16):
            change = net(picture, source, target)
        got.append(float(loss_of(change.float(), wanted)))
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
    given = parser.parse_args()
    train(given.pairs, given.out, given.minutes, given.batch, tuple(given.widths))


if __name__ == "__main__":
    main()
