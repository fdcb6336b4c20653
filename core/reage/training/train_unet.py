"""Train the U-Net of the embedded model. Stops at a time budget; goes on from its checkpoint when started again.

python -m reage.training.train_unet --pairs AGE_PAIRS --out RUN --minutes 120
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reage.nets.age_unet import AgeUNet
from reage.training.degrade import film, head_mask
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


@torch.no_grad()
def validate(net: AgeUNet, pairs: Pairs, mask: Tensor) -> tuple[float, float]:
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
    net.train()
    return float(np.mean(got)), float(np.mean(none))


def train(pairs_folder: Path, out: Path, minutes: float, batch: int, widths: tuple[int, ...]) -> None:
    """Run until the budget (summed over restarts) is spent; writes `state.pt`, `net.pt` and `log.jsonl`."""
    out.mkdir(parents=True, exist_ok=True)
    series = read_series(pairs_folder)
    train_set = Pairs([one for one in series if one.identity % HELD_OUT])
    held_out = Pairs([one for one in series if one.identity % HELD_OUT == 0])
    mask = head_mask(STORED)
    # torch's stubs know no memory_format alone.
    net = AgeUNet(widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
    step, spent = 0, 0.0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
    rng = np.random.default_rng(1000 + step)
    last, saved, total = time.monotonic(), spent, 0.0
    while spent < minutes * 60:
        rate = 2e-3 * min(1.0, (step + 1) / 200) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, spent / (minutes * 60))))
        for group in optimiser.param_groups:
            group["lr"] = max(rate, 1e-5)
        pair, source, target = train_set.draw(batch, rng)
        picture, wanted = film(pair, mask, SIZE, rng)
        picture = picture.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            change = net(picture, source, target)
        loss = loss_of(change.float(), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(0.999, step / (step + 50))
        with torch.no_grad():
            for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
                old.lerp_(new, 1.0 - decay) if old.is_floating_point() else old.copy_(new)
        total += float(loss.detach())
        now = time.monotonic()
        spent, last = spent + now - last, now
        if step % 100 == 0:
            line = {"step": step, "minutes": round(spent / 60, 2), "loss": round(total / 100, 5)}
            total = 0.0
            if step % 500 == 0:
                line["held_out"], line["no_change"] = (round(x, 5) for x in validate(average, held_out, mask))
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        if spent - saved > 120 or spent >= minutes * 60:
            saved = spent
            state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            torch.save({**state, "step": step, "spent": spent}, out / "state.tmp")
            (out / "state.tmp").replace(out / "state.pt")
            torch.save({"widths": list(widths), "state_dict": average.state_dict()}, out / "net.tmp")
            (out / "net.tmp").replace(out / "net.pt")


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
