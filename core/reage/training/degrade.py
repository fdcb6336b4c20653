"""Film-like augmentation: what happens to a face between a clean portrait and a graded, grainy plate.

What changes the scene (framing, exposure, casts, blur) is done to both pictures of a pair; what is only noise (grain,
compression) is done to the network's input alone, so that the change that is learnt carries no grain.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def head_mask(size: int) -> Tensor:
    """A soft ellipse over the head of an FFHQ-aligned crop: (1, size, size), 1 on the face, 0 at the background."""
    at = (torch.arange(size) + 0.5) / size
    y, x = torch.meshgrid(at, at, indexing="ij")
    radius = ((x - 0.5) / 0.36).square() + ((y - 0.52) / 0.44).square()
    return ((1.25 - radius.sqrt()) / 0.35).clamp(0.0, 1.0)[None]


def reframe(planes: Tensor, size: int, rng: np.random.Generator, amount: float = 1.0) -> Tensor:
    """Jitter shift, scale and roll, mirror half of them: (N, C, S, S) to (N, C, size, size)."""
    n = planes.shape[0]
    roll = torch.from_numpy(rng.normal(0.0, amount * math.radians(5.0), n)).float()
    scale = torch.from_numpy(np.exp(rng.normal(0.0, amount * 0.05, n))).float()
    mirror = torch.from_numpy(np.where(rng.random(n) < 0.5, -1.0, 1.0)).float()
    shift = torch.from_numpy(rng.normal(0.0, amount * 0.03, (n, 2))).float()
    cos, sin = roll.cos() * scale, roll.sin() * scale
    rows = [torch.stack([cos * mirror, -sin, shift[:, 0]], 1), torch.stack([sin * mirror, cos, shift[:, 1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [n, planes.shape[1], size, size], align_corners=False)
    return F.grid_sample(planes, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def patch(size: int, rng: np.random.Generator) -> Tensor:
    """Something in front of a head, an ellipse or a bar: (1, size, size), 0..1."""
    plane, unit = np.zeros((size, size), np.float32), size / 256.0
    centre, half = rng.uniform(20.0, 236.0, 2) * unit, rng.uniform(8.0, 60.0, 2) * unit
    turn = math.degrees(rng.uniform(0.0, math.pi))
    if rng.random() < 0.5:
        cv2.ellipse(plane, centre.astype(int).tolist(), half.astype(int).tolist(), turn, 0, 360, 1.0, -1, cv2.LINE_AA)
    else:
        box = cv2.boxPoints((centre.tolist(), (2 * half).tolist(), turn))
        cv2.fillPoly(plane, [box.astype(np.int32)], 1.0, cv2.LINE_AA)
    soft = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.5, 3.0) * unit))
    return torch.from_numpy(np.minimum(soft, 1.0))[None]


def relight(pairs: Tensor, rng: np.random.Generator) -> Tensor:
    """Exposure, colour cast, contrast and saturation, the same for all pictures of a sample: (N, P, 3, H, W)."""
    n = pairs.shape[0]

    def draw(sigma: float, *shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(0.0, sigma, (n, *shape))).float()

    gain = torch.exp2(draw(0.45, 1, 1, 1, 1) + draw(0.10, 1, 3, 1, 1))
    contrast = torch.exp2(draw(0.15, 1, 1, 1, 1))
    linear = pairs.clamp_min(1e-4).pow(2.2 * contrast) * gain * 0.2 ** (2.2 - 2.2 * contrast)
    grey = linear.mean(2, keepdim=True)
    linear = grey + (linear - grey) * (1.0 + draw(0.2, 1, 1, 1, 1)).clamp(0.3, 1.6)
    return linear.clamp(0.0, 1.0).pow(1.0 / 2.2)


def soften(planes: Tensor, rng: np.random.Generator) -> tuple[Tensor, int]:
    """What a small or blurred face has lost: (1, C, S, S), and the side in plate pixels it was squeezed to."""
    size = planes.shape[-1]
    side = size if rng.random() < 0.4 else int(96 * (size / 96) ** rng.random())
    if side < size:
        planes = F.interpolate(planes, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    if rng.random() < 0.15:
        length = int(rng.integers(3, 8)) | 1
        shape = (length, 1) if rng.random() < 0.5 else (1, length)
        pad = (shape[1] // 2, shape[1] // 2, shape[0] // 2, shape[0] // 2)
        planes = F.avg_pool2d(F.pad(planes, pad, mode="replicate"), shape, stride=1)
    return planes, side


def grain(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Grain that grows towards the shadows of the encoding, partly shared by the three channels."""
    strength = float(rng.choice([0.0, 0.01, 0.02, 0.04])) * rng.random()
    shape = tuple(picture.shape)
    noise = rng.normal(0.0, 1.0, shape) * 0.6 + rng.normal(0.0, 1.0, (shape[0], 1, *shape[2:])) * 0.8
    return picture + torch.from_numpy(noise).float() * strength * (1.3 - picture.clamp(0.0, 1.0))


def compress(picture: Tensor, rng: np.random.Generator) -> Tensor:
    """Block compression at a random quality: (1, 3, H, W)."""
    image = (picture[0].clamp(0.0, 1.0) * 255.0).round().byte().numpy().transpose(1, 2, 0)
    quality = int(rng.integers(30, 96))
    _, code = cv2.imencode(".jpg", np.ascontiguousarray(image), [cv2.IMWRITE_JPEG_QUALITY, quality])
    back = cv2.imdecode(code, cv2.IMREAD_COLOR)
    assert back is not None
    return torch.from_numpy(back.transpose(2, 0, 1)[None].astype(np.float32) / 255.0)


def film(pair: Tensor, mask: Tensor, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Turn clean pairs into what the network sees and should answer.

    Args:
        pair: (N, 2, 3, S, S), sRGB-encoded 0..1, source and target picture of one person.
        mask: (1, S, S) or (N, 1, S, S), where a change may be learnt.
        size: side of the network's input.
        rng: of the draw.

    Returns:
        input (N, 3, size, size) and change (N, 3, size, size).
    """
    n, _, _, side, _ = pair.shape
    framed = reframe(torch.cat([pair.flatten(1, 2), mask.expand(n, 1, side, side)], 1), size, rng)
    lit = relight(framed[:, :6].view(n, 2, 3, size, size), rng).flatten(1, 2)
    inputs, changes = [], []
    for i in range(n):
        soft, _ = soften(lit[i : i + 1], rng)
        noisy = grain(soft[:, :3], rng)
        if rng.random() < 0.25:
            noisy = compress(noisy, rng)
        both = torch.cat([noisy, soft[:, 3:] - soft[:, :3]], 1)
        if both.shape[-1] != size:
            both = F.interpolate(both, size=(size, size), mode="bicubic", align_corners=False)
        inputs.append(both[:, :3])
        changes.append(both[:, 3:])
    return torch.cat(inputs), torch.cat(changes) * framed[:, 6:]
