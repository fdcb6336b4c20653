"""Train the network that finds hair and skin on an actor. Goes on from its checkpoint when started again.

python -m reage.training.label_portraits --out SET
python -m reage.training.train_parts --set SET --out RUN --minutes 25
python -m reage.training.export_unet RUN/net.pt core/reage/data/parts.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reage.nets.parts_unet import PartsUNet
from reage.training.degrade import compress, grain, patch, reframe, relight, soften
from reage.training.label_portraits import read_set
from reage.training.loop import fit

SIZE = 256
HELD_OUT = 17
"""Every 17th portrait is kept for validation."""
REPLACED, COVERED = 0.4, 0.3
"""Share of heads that are put before another picture, and of pictures with something in front of the head."""
ZOOM = (1.0, 4.0)
"""Of the picture behind: portraits have soft backgrounds, plates have any."""


class Heads:
    """Labelled portraits in memory, and a sampler of batches."""

    def __init__(self, pictures: np.ndarray, parts: np.ndarray) -> None:
        self._pictures, self._parts = pictures, parts

    def __len__(self) -> int:
        return len(self._pictures)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """(n, 3, S, S) pictures as plates show them, 0..1, and (n, 2, S, S) hair and skin."""
        pictures, parts = self._taken(rng.integers(0, len(self), n))
        behind, _ = self._taken(rng.integers(0, len(self), n))
        for i in range(n):
            other = _enlarged(behind[i], rng)
            if rng.random() < REPLACED:
                head = parts[i].sum(0, keepdim=True)
                pictures[i] = head * pictures[i] + (1.0 - head) * other
            if rng.random() < COVERED:
                seen = 1.0 - patch(SIZE, rng)
                pictures[i] = seen * pictures[i] + (1.0 - seen) * other
                parts[i] = seen * parts[i]
        framed = reframe(torch.cat([pictures, parts], 1), SIZE, rng)
        lit = relight(framed[:, None, :3], rng)[:, 0]
        return torch.cat([_filmed(one[None], rng) for one in lit]), framed[:, 3:]

    def _taken(self, numbers: np.ndarray) -> tuple[Tensor, Tensor]:
        pictures = torch.from_numpy(self._pictures[numbers]).permute(0, 3, 1, 2).float() / 255.0
        parts = torch.from_numpy(self._parts[numbers]).float() / 255.0
        return pictures, F.interpolate(parts, size=(SIZE, SIZE), mode="bilinear", align_corners=False)


def _enlarged(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """A part of a picture at full size, mirrored or not: (3, S, S)."""
    side = int(SIZE / ZOOM[1] ** rng.random())
    x, y = rng.integers(0, SIZE - side + 1, 2)
    part = picture[None, :, y : y + side, x : x + side]
    if rng.random() < 0.5:
        part = part.flip(-1)
    return F.interpolate(part, size=(SIZE, SIZE), mode="bilinear", align_corners=False)[0]


def _filmed(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """(1, 3, S, S) after a lens, film and a codec."""
    soft, _ = soften(picture, rng)
    noisy = grain(soft, rng)
    if rng.random() < 0.25:
        noisy = compress(noisy, rng)
    return F.interpolate(noisy, size=(SIZE, SIZE), mode="bicubic", align_corners=False).clamp(0.0, 1.0)


def loss_of(logits: Tensor, parts: Tensor) -> Tensor:
    """Cross entropy against soft parts."""
    return -(_all(parts, logits) * torch.log_softmax(logits, 1)).sum(1).mean()


def _all(parts: Tensor, logits: Tensor) -> Tensor:
    """Rest, hair and skin at the size of an answer: (N, 3, H, W)."""
    sized = F.adaptive_avg_pool2d(parts, (logits.shape[-2], logits.shape[-1]))
    return torch.cat([(1.0 - sized.sum(1, keepdim=True)).clamp_min(0.0), sized], 1)


@torch.no_grad()
def validate(net: PartsUNet, heads: Heads) -> dict[str, float]:
    """Mean loss, and overlap (intersection over union) of hair and of skin, on portraits that were held out."""
    net.eval()
    rng = np.random.default_rng(1)
    losses, shared, joined = [], np.zeros(2), np.zeros(2)
    for _ in range(10):
        pictures, parts = heads.draw(16, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(pictures).float()
        losses.append(float(loss_of(logits, parts)))
        found, true = logits.argmax(1), _all(parts, logits).argmax(1)
        for part in (1, 2):
            shared[part - 1] += float(((found == part) & (true == part)).sum())
            joined[part - 1] += float(((found == part) | (true == part)).sum())
    hair, skin = (round(float(share), 4) for share in shared / joined)
    return {"held_out": round(float(np.mean(losses)), 5), "hair": hair, "skin": skin}


def train(folder: Path, out: Path, minutes: float, batch: int, widths: tuple[int, ...]) -> None:
    """Train on a folder of labelled portraits; see `reage.training.loop.fit`."""
    pictures, parts = read_set(folder)
    kept = np.arange(len(pictures)) % HELD_OUT > 0
    heads, held_out = Heads(pictures[kept], parts[kept]), Heads(pictures[~kept], parts[~kept])

    def loss(net: PartsUNet, rng: np.random.Generator) -> Tensor:
        net.train()
        seen, wanted = heads.draw(batch, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(seen.contiguous(memory_format=torch.channels_last))
        return loss_of(logits.float(), wanted)

    fit(PartsUNet(widths), loss, lambda net: validate(net, held_out), out, minutes)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", type=Path, required=True, help="folder of label_portraits")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--widths", type=int, nargs="+", default=[24, 48, 96, 128])
    given = parser.parse_args()
    train(given.set, given.out, given.minutes, given.batch, tuple(given.widths))


if __name__ == "__main__":
    main()
