"""Where an aligned crop shows hair, and where skin: a small network, its edges brought to those of the picture.

Fine edges are found by a guided filter (He, Sun and Tang, Guided image filtering, 2013; computed small and applied
large, He and Sun, Fast guided filter, 2015). Heads beside the actor's are left out. `reage.training.train_parts` makes
the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reage.agers.planes import LUMA
from reage.agers.released import DATA, released_unet
from reage.nets.parts_unet import PARTS, PartsUNet
from reage.thin_plate import Points

WEIGHTS = DATA / "parts.safetensors"

SEEN, SIDE = 256, 128
"""The network was trained on crops of this size and always sees them so; its answer has half their size."""
NEAR, FLAT = 2, 1e-3
"""Radius of the guided filter in pixels of SIDE, and the variance of luma up to which a place counts as flat."""
FAINT, SURE = 0.28, 0.9
"""Shares that count as none and as all: half a strand before a wall would grey the wall."""
REACH = 5
"""Pixels of SIDE by which the actor's own head is grown before it cuts others off."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Hair and skin of one crop."""

    hair: Tensor  # (S, S), 0..1
    skin: Tensor  # (S, S), 0..1: face, ears, neck, beard


@dataclass(frozen=True, eq=False)
class PartsFinder:
    """The network, loaded."""

    net: PartsUNet
    device: torch.device
    sha256: str

    @classmethod
    def load(cls, device: torch.device) -> PartsFinder:
        """Read the network.

        Raises:
            ModelError: its file is missing or damaged.
        """
        net, digest = released_unet(WEIGHTS, PartsUNet)
        # torch's stubs know no memory_format beside a device.
        net = net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(net, device, digest)

    @torch.inference_mode()
    def __call__(self, crop: Tensor, landmarks: Points) -> Parts:
        """Find hair and skin.

        Args:
            crop: (3, S, S) float32, sRGB-encoded, FFHQ-aligned.
            landmarks: (68, 2) in pixels of the crop.
        """
        side = crop.shape[-1]
        seen = crop[None].clamp(0.0, 1.0)
        method = "area" if side > SEEN else "bicubic"
        sized = seen if side == SEEN else F.interpolate(seen, size=(SEEN, SEEN), mode=method)
        logits = self.net(sized.to(self.device, memory_format=torch.channels_last))
        found = torch.softmax(logits.float(), 1)[0].cpu().numpy()
        own = _own_head(found[PARTS.index("rest")], landmarks * (SIDE / side))
        planes = [found[PARTS.index(name)] * own for name in ("hair", "skin")]
        hair, skin = _guided(planes, _luma(F.avg_pool2d(sized, SEEN // SIDE))[0, 0].cpu().numpy(), _luma(seen))
        return Parts(hair, skin)


def _own_head(rest: NDArray[np.float32], landmarks: Points) -> NDArray[np.float32]:
    """1 on the head that holds the landmarks and a little beyond, 0 on others: (SIDE, SIDE)."""
    _, labels = cv2.connectedComponents((rest < 0.5).astype(np.uint8))
    at = np.clip(landmarks, 0, SIDE - 1).astype(int)
    inside = labels[at[:, 1], at[:, 0]]
    inside = inside[inside > 0]
    if not inside.size:
        return np.zeros_like(rest)
    own = (labels == np.bincount(inside).argmax()).astype(np.uint8)
    grown = cv2.dilate(own, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * REACH + 1, 2 * REACH + 1)))
    return np.asarray(cv2.GaussianBlur(grown.astype(np.float32), (0, 0), REACH / 3.0))


def _guided(planes: list[NDArray[np.float32]], small: NDArray[np.float32], large: Tensor) -> list[Tensor]:
    """Planes of SIDE at the size of a picture's luma (1, 1, S, S), their edges on its edges: each (S, S), 0..1."""
    box = (2 * NEAR + 1, 2 * NEAR + 1)

    def mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(plane, box, borderType=cv2.BORDER_REPLICATE))

    middle = mean(small)
    spread = mean(small * small) - middle * middle + FLAT
    answers = []
    for plane in planes:
        own = mean(plane)
        slope = np.asarray((mean(small * plane) - middle * own) / spread, np.float32)
        lines = torch.from_numpy(np.stack([mean(slope), mean(own - slope * middle)]))[None].to(large.device)
        lines = F.interpolate(lines, size=large.shape[-2:], mode="bilinear", align_corners=False)
        share = ((lines[0, 0] * large[0, 0] + lines[0, 1] - FAINT) / (SURE - FAINT)).clamp(0.0, 1.0)
        answers.append(share * share * (3.0 - 2.0 * share))
    return answers


def _luma(pictures: Tensor) -> Tensor:
    """(N, 3, H, W) to (N, 1, H, W)."""
    return (pictures * pictures.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
