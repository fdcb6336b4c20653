"""The embedded model `reage-1`: an exemplar's skin for older targets, a small U-Net for tone, greying and younger ones.

Both work on the aligned crop. Their sum is what the model answers; which exemplar, and how much of it, is settled once
a shot and person and comes in as the look:

    {"exemplar": "0042", "apparent": 34.5, "response": [[asked, apparent], …]}

`apparent` is the person's age as measured, and `response` what the model was measured to give on this person when asked
for ages; a target is looked up in it backwards, so that "70" reads as 70.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.nn import functional as F

from reage import exemplars
from reage.agers.base import Age, ModelFacts
from reage.agers.base import Look as PersonLook
from reage.errors import ModelError, RequestError
from reage.faces.landmarks import locate, predictor
from reage.faces.look import Look
from reage.faces.shape import Upright, yaw
from reage.models import sha256_of
from reage.nets.age_unet import AgeUNet, folded

WEIGHTS = Path(__file__).parents[1] / "data" / "reage-1.safetensors"
NETWORK_SIDE = 256
"""The U-Net was trained at this size and always runs at it; its change is smooth and enlarges well."""

TRAINED = (15.0, 80.0)
REACH = 40.0
"""Years beyond a target that may be asked for, to make up for a face on which the model answers weakly."""

KEPT_CAST = 0.3
"""Share of the change's mean over the skin that stays: neck and ears lie outside the matte, and a face that turns
darker or paler than they are looks like a mask."""

SOFTEST = 0.65
"""Share of the actor's own creases that the youngest target takes away."""

SOFTENED_OVER = 30.0
"""Years younger at which that share is reached."""

LICENCE = (
    "Apache-2.0 for our files; generator weights behind them were distilled from a StyleGAN2 trained on FFHQ, "
    "which NVIDIA released for non-commercial use: see data/LICENSE-WEIGHTS"
)


class Reage1:
    """See `reage.agers.base.Ager`."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        """Load weights and bank.

        Raises:
            ModelError: they are missing or damaged.
        """
        net, digest = _network()
        self._device, self._dtype = device, dtype
        self._net = net.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._bank = exemplars.load_bank()
        bank = sha256_of(exemplars.BANK / "bank.json")
        self.facts = ModelFacts(
            name="reage-1",
            family="reage",
            sha256=f"{digest[:32]}{bank[:32]}",
            licence=LICENCE,
            ages=TRAINED,
            clamps=True,
            needs_source_age=True,
            reconstructs=False,
            calibrates=True,
        )

    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: PersonLook | None = None,
    ) -> Tensor:
        """Re-age crops of one person; see `Ager`. (N, 3, S, S) in, (N, 3, S, S) out."""
        if source_age is None:
            raise RequestError("reage-1 needs a source age; give --source-age or let it be estimated")
        n, look = crops.shape[0], look or {}
        source, target = _each(source_age, n), _each(target_age, n)
        asked = torch.tensor([answering(look, float(s), float(t)) for s, t in zip(source, target, strict=True)])
        points = _on_crops(crops) if landmarks is None else landmarks.double().cpu().numpy()
        name = look.get("exemplar") or choose(self._bank, crops[0], points[0], float(source[0]))
        tone = self._tone(crops, source, asked)
        aged = crops + torch.stack([_without_cast(change, points[i]) for i, change in enumerate(tone)])
        return torch.stack([self._skin(aged[i], points[i], float(source[i]), float(asked[i]), name) for i in range(n)])

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """The exemplar for a person: the artist's, or the one that suits best."""
        if exemplar is not None:
            return {"exemplar": self._bank[exemplar].id}
        return {"exemplar": choose(self._bank, crop, landmarks.double().cpu().numpy(), source_age)}

    @torch.inference_mode()
    def _tone(self, crops: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """The U-Net's change at the crops' size."""
        side = crops.shape[-1]
        small = (
            crops
            if side == NETWORK_SIDE
            else F.interpolate(
                crops, size=(NETWORK_SIDE, NETWORK_SIDE), mode="bicubic", antialias=True, align_corners=False
            )
        )
        ages = [age.clamp(*TRAINED).to(self._device) for age in (source, target)]
        sight = small.to(device=self._device, dtype=self._dtype, memory_format=torch.channels_last).clamp(0.0, 1.0)
        change: Tensor = self._net(sight, *ages).float().to(crops.device)
        if side == NETWORK_SIDE:
            return change
        return F.interpolate(change, size=(side, side), mode="bicubic", antialias=True, align_corners=False)

    def _skin(self, crop: Tensor, landmarks: NDArray[np.float64], source: float, asked: float, name: str) -> Tensor:
        """Folds and pores of the exemplar for older targets; fewer of the actor's own creases for younger ones."""
        if asked > source:
            return exemplars.apply(crop, landmarks, self._ratio(name, source, asked), yaw=yaw(landmarks))
        share = SOFTEST * min((source - asked) / SOFTENED_OVER, 1.0)
        return crop + share * creases(crop, landmarks) if share > 0.0 else crop

    def _ratio(self, name: str, source: float, asked: float) -> Tensor:
        """The exemplar's ageing for a wish: as many years along its own series as are asked of the actor."""
        exemplar = self._bank[name]
        start = max(exemplar.ages[0], min(source, exemplar.ages[0] + 15.0))
        return exemplar.ratio(exemplar.ages[0], start + (asked - source)).to(self._device)


def _without_cast(change: Tensor, landmarks: NDArray[np.float64]) -> Tensor:
    """A change whose mean over the skin is mostly taken away, on the skin alone: (3, S, S)."""
    side = change.shape[-1]
    mask = exemplars.face_mask(landmarks * (256.0 / side), (256, 256))
    skin = torch.from_numpy(cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)).to(change.device)
    cast = (change * skin).sum((1, 2), keepdim=True) / skin.sum().clamp_min(1.0)
    return change - (1.0 - KEPT_CAST) * cast * skin


def answering(look: PersonLook, source: float, target: float) -> float:
    """The age to ask for so that the result reads as the target on this person.

    Without a measured response that is the target itself.
    """
    response = look.get("response")
    if not response or abs(target - source) < 1e-6:
        return target
    asked, apparent = (np.asarray(column, np.float64) for column in zip(*response, strict=True))
    # A typed source age says how the age network misreads this actor: it will misread the result alike.
    misread = source - float(look.get("apparent", source))
    apparent = np.maximum.accumulate(apparent) + misread + 1e-6 * np.arange(len(apparent))
    wish = float(np.interp(target, apparent, asked))
    if target > apparent[-1]:
        wish = float(asked[-1])
    low, high = (target - REACH, source) if target < source else (source, target + REACH)
    return min(max(wish, low), high)


def choose(bank: exemplars.Bank, crop: Tensor, landmarks: NDArray[np.float64], source: float) -> str:
    """The exemplar that suits a face, from its shape and the skin of its cheeks."""
    side = crop.shape[-1]
    tone = []
    for jaw, eye, mouth in ((2, 41, 48), (14, 46, 54)):
        x, y = (landmarks[jaw] + landmarks[eye] + landmarks[mouth]) / 3
        r = max(2, round(0.03 * side))
        left, top = (int(np.clip(v, r, side - r - 1)) for v in (x, y))
        tone.append(crop[:, top - r : top + r + 1, left - r : left + r + 1].flatten(1).clamp(0.0, 1.0).pow(2.2).mean(1))
    red, green, blue = (float(v) for v in torch.stack(tone).mean(0))
    return bank.choose(landmarks, (red, green, blue), source)


def creases(crop: Tensor, landmarks: NDArray[np.float64]) -> Tensor:
    """What to add to a crop to take its dark lines away: (3, S, S) >= 0, on skin alone.

    Lines are what a band-pass between pores (kept: they are texture, like grain) and shading (kept) finds darker than
    its surroundings. It is taken from luma and added to all channels, so that no colour is moved.
    """
    side = crop.shape[-1]
    luma = (crop * torch.tensor([0.2126, 0.7152, 0.0722], device=crop.device).view(3, 1, 1)).sum(0).cpu().numpy()
    fine = cv2.GaussianBlur(luma, (0, 0), 0.0035 * side)
    broad = cv2.GaussianBlur(luma, (0, 0), 0.018 * side)
    lines = np.clip(broad - fine, 0.0, 0.25)
    mask = exemplars.face_mask(landmarks * (256.0 / side), (256, 256))
    soft = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(lines * soft).to(crop.device).expand(3, side, side)


def _each(age: Age, n: int) -> Tensor:
    """(n,) float32."""
    ages = torch.as_tensor(age, dtype=torch.float32).cpu().reshape(-1)
    if ages.numel() not in (1, n):
        raise RequestError(f"{ages.numel()} ages for {n} crops; give one, or one for each")
    return ages.expand(n) if ages.numel() == 1 else ages


def _on_crops(crops: Tensor) -> NDArray[np.float64]:
    """Landmarks found on the crops themselves, starting from where the alignment puts every face."""
    side = crops.shape[-1]
    start = Upright(x=0.488 * side, y=0.596 * side, side=0.605 * side, roll=0.0)
    pictures = (crops.clamp(0.0, 1.0) * 255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    model = predictor()
    return np.stack([locate(Look(np.ascontiguousarray(one)), start, model).landmarks for one in pictures])


@lru_cache(1)
def _network() -> tuple[AgeUNet, str]:
    """The U-Net, batch norms folded, and the hash of its file."""
    try:
        with safe_open(WEIGHTS, "pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["reage"])
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        net = AgeUNet(tuple(facts["widths"]))
        # Whole-number counters of the batch norms are not in the file.
        missing, unexpected = net.load_state_dict(state, strict=False)
        if unexpected or any(not name.endswith("num_batches_tracked") for name in missing):
            raise ModelError(f"{WEIGHTS}: not the weights of reage-1; install reage again")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{WEIGHTS}: missing or damaged; install reage again") from error
    return folded(net), sha256_of(WEIGHTS)
