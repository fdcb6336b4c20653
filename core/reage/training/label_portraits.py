"""Draw portraits whose hair and skin are known, for the network that finds them on an actor.

    python -m reage.training.label_portraits --out DIR --count 4000 --part 0/2

The features of the generator know what they paint. Those at 32, 64 and 128 pixels of 160 portraits were put into 36
clusters by k-means; a person named each cluster once (hair, skin, rest, or none of them), and a linear softmax was
fitted to the named pixels: PARTS_READING, which agrees with the names on 99.3 % of pixels of portraits held out.
Writes 50 portraits a file; what is there is kept, and several processes may share the work. Half a second each.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reage.agers.likeness import AGED, AGED_GAIN, load_artist
from reage.nets.portrait import LAYERS, STYLE, PortraitNet
from reage.training.generator import Generator

PARTS_READING = Path(__file__).with_name("parts_reading.npz")

SEED, CHUNK = 55_000_000, 50
TRUNCATION = (0.6, 1.0)
AGED_BY = (-1.5, 4.5)
"""Decades by which every second portrait is moved along the normal of age."""
PICTURE_SIDE, LABEL_SIDE = 256, 128
LEVELS = (2, 3, 4, 5)
"""Of the generator: features at 32, 64, 128 and 256 pixels."""
FARTHEST = 5.0
"""Standard deviations at which a feature is cut."""


@dataclass(frozen=True)
class Reader:
    """The linear reading of a generator's features, and the features of the portrait that it drew last."""

    features: dict[int, Tensor]
    middle: list[Tensor]
    spread: list[Tensor]
    weights: Tensor  # (channels, 3): rest, hair, skin
    bias: Tensor

    @classmethod
    def of(cls, net: PortraitNet) -> Reader:
        """Listen to a generator."""
        held = np.load(PARTS_READING)
        features: dict[int, Tensor] = {}

        def listen(level: int, module: nn.Module) -> None:
            def keep(_module: nn.Module, _inputs: Any, features_out: Tensor) -> None:
                features[level] = features_out

            module.register_forward_hook(keep)

        for level in LEVELS:
            listen(level, net.levels[level])
        middle, spread = ([torch.from_numpy(held[f"{name}{i}"]) for i in range(len(LEVELS))] for name in ("mu", "sd"))
        return cls(features, middle, spread, torch.from_numpy(held["W"]), torch.from_numpy(held["b"]))

    def parts(self) -> Tensor:
        """(3, LABEL_SIDE, LABEL_SIDE) rest, hair and skin of the portrait that was drawn last, summing to 1."""
        size = (LABEL_SIDE, LABEL_SIDE)
        logits = self.bias[:, None, None].expand(-1, *size)
        start = 0
        for level, middle, spread in zip(LEVELS, self.middle, self.spread, strict=True):
            planes = self.features[level]
            smaller = planes.shape[-1] < LABEL_SIDE
            seen = F.interpolate(planes, size=size, mode="bilinear") if smaller else F.adaptive_avg_pool2d(planes, size)
            unit = ((seen[0] - middle[:, None, None]) / spread[:, None, None]).clamp(-FARTHEST, FARTHEST)
            weights = self.weights[start : start + len(middle)]
            logits = logits + torch.einsum("chw,ck->khw", unit * 4.0 / len(middle) ** 0.5, weights)
            start += len(middle)
        return torch.softmax(logits, 0)


def draw_chunk(number: int, generator: Generator, file: Path) -> None:
    """Draw 50 portraits and write them with their hair and skin."""
    artist = load_artist(torch.device("cpu"))
    reader = Reader.of(artist.net)
    rng = np.random.default_rng(SEED + number)
    offsets = generator.map(rng.standard_normal((CHUNK, STYLE))) - artist.mean
    pictures, parts = [], []
    for k, offset in enumerate(offsets):
        stack = np.repeat((artist.mean + rng.uniform(*TRUNCATION) * offset)[None], LAYERS, 0).astype(np.float32)
        if k % 2:
            stack[AGED] += AGED_GAIN * rng.uniform(*AGED_BY) * artist.age
        with torch.inference_mode():
            drawn = artist.net(torch.from_numpy(stack))
            found = reader.parts()[1:]
        code = ((drawn + 1.0) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
        pictures.append(cv2.resize(code, (PICTURE_SIDE, PICTURE_SIDE), interpolation=cv2.INTER_AREA))
        parts.append((found * 255.0).round().byte().numpy())
    temporary = file.with_suffix(".tmp.npz")
    np.savez_compressed(temporary, pics=np.array(pictures), probs=np.array(parts))
    temporary.replace(file)


def read_set(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """All portraits of a folder: (N, 256, 256, 3) RGB and (N, 2, 128, 128) hair and skin, 255 is 1."""
    files = [file for file in sorted(folder.glob("*.npz")) if ".tmp" not in file.name]
    held = [np.load(file) for file in files]
    return np.concatenate([one["pics"] for one in held]), np.concatenate([one["probs"] for one in held])


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=4000, help="portraits [4000]")
    parser.add_argument("--part", default="0/1", help="which share of the work this process does, as in 0/2")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    part, parts = (int(text) for text in given.part.split("/"))
    generator = Generator()
    for number in range(part, given.count // CHUNK, parts):
        file = given.out / f"{number:04d}.npz"
        if not file.exists():
            draw_chunk(number, generator, file)


if __name__ == "__main__":
    main()
