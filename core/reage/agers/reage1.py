"""The embedded model `reage-1`: what the years do to an exemplar's skin, and a small U-Net that helps younger targets.

Both work on the aligned crop. Their sum is what the model answers; which exemplar, and how much of it, is settled once
a shot and person and comes in as the look:

    {"exemplar": "likeness", "style": "…", "outlines": "…", "yaw": 0.1, "skin": [r, g, b], "softness": 0.004,
     "hair": {…}, "apparent": 34.5, "response": [[asked, apparent], …]}

`style`, `outlines` and `yaw` are of the likeness, the exemplar that is drawn for this actor: its styles, the landmarks
of its portraits, its pose. One of the bank has none of them, and a name of its own. `skin` is the linear colour of the
cheeks and `softness` the blur of the plate in sides of the crop.
`hair` (see `reage.agers.hair.Greying`) is there where an actor with a likeness has hair.
`apparent` is the person's age as measured, and `response` what the model was measured to give on this person when
asked for ages; a target is looked up in it backwards, so that "70" reads as 70.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reage import exemplars
from reage.agers import facial_hair, hair, likeness, regions
from reage.agers.base import Age, ModelFacts, each_age
from reage.agers.base import Look as PersonLook
from reage.agers.parts import Parts
from reage.agers.planes import luma_of
from reage.agers.released import DATA, released_unet
from reage.colour import decode_srgb
from reage.errors import RequestError
from reage.faces.landmarks import locate_aligned, predictor
from reage.faces.shape import yaw
from reage.models import sha256_of
from reage.nets.age_unet import AgeUNet

WEIGHTS = DATA / "reage-1.safetensors"
RECIPE = "6"
"""To be raised with any change of what this module, `likeness` or `exemplars` computes: older frames are redone."""

NETWORK_SIDE = 256
"""The U-Net was trained at this size and always runs at it; its change is smooth and enlarges well."""

TRAINED = (15.0, 80.0)
REACH = {True: (40.0, 18.0), False: (40.0, 8.0)}
"""Years beyond a younger and an older target that may be asked for, to make up for a face on which the model answers
weakly, with a likeness and with the bank. Little for older ones: folds far beyond those of the target age please the
age network and no eye; least for the bank's, which are drawn larger and not older beyond their series."""

ENOUGH = 0.85
"""Share of the most that the reading rises beyond which no older age is asked for."""

WANDERS = 2.0
"""Years by which a reading wanders: a target that is as near to what can be reached gets all of it."""

KEPT_COLOUR = 0.5
"""Share of the change's colour, against its luma, that is used: lips and cheeks that change hue look made up."""

KEPT_CAST = 0.3
"""Share of the change's mean over the skin that stays: neck and ears do not follow the U-Net, and a face that turns
darker or paler than they are looks like a mask."""

LIKENESS, NEAREST = "likeness", "bank"
"""The exemplar that is made for the actor, and the person of the bank who suits best; others go by their names."""

TONE = {True: (0.6, 0.0), False: (0.85, 0.65)}
"""Share of the U-Net's change for younger and for older targets, with the actor's likeness and with an exemplar of the
bank. It moves the outlines of brows, mouth and jaw, which landmarks (and eyes) follow; a likeness has tone."""

SPARED = {True: 0.5, False: 1.0}
"""How much brows, lids and lips are spared: a likeness has the actor's own."""

SOFTEST = 0.65
"""Share of the actor's own creases that the youngest target takes away."""

SOFTENED_OVER = 30.0
"""Years younger at which that share is reached."""

BROWS, BEARD = 0.25, 0.85
"""Share of the hair's change that brows, and the darkest of a beard, get."""

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
        net, digest = released_unet(WEIGHTS, AgeUNet)
        self._device, self._dtype = device, dtype
        # torch's stubs know no memory_format beside a device.
        self._net = net.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._bank = exemplars.load_bank()
        self._artist = likeness.load_artist(device)
        self._last: tuple[tuple[Any, ...], Tensor, Tensor] | None = None
        self.facts = ModelFacts(
            name="reage-1",
            family="reage",
            sha256=_identity(digest, self._artist.sha256, self._artist.parts.sha256),
            licence=LICENCE,
            ages=TRAINED,
            clamps=True,
            needs_source_age=True,
            reconstructs=False,
            calibrates=True,
            matte="head",
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
        source, target = each_age(source_age, crops).cpu(), each_age(target_age, crops).cpu()
        asked = torch.tensor([answering(look, float(s), float(t)) for s, t in zip(source, target, strict=True)])
        points = _on_crops(crops) if landmarks is None else landmarks.double().cpu().numpy()
        if "exemplar" not in look:
            look = {**self.first_look(crops[0], torch.from_numpy(points[0]), float(source[0]), None), **look}
        tones = self._tone(crops, points, source, asked, look["exemplar"] == LIKENESS)
        return torch.stack(
            [self._aged(crops[i], tones[i], points[i], float(source[i]), float(asked[i]), look) for i in range(n)]
        )

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        """The exemplar for a person (the artist's, or the one that suits best), their skin and the plate's softness."""
        points = landmarks.double().cpu().numpy()
        skin = cheeks(crop, points)
        look: dict[str, Any] = {"skin": [round(v, 5) for v in skin], "softness": round(softness(crop, points), 5)}
        if exemplar == NEAREST:
            return {"exemplar": self._bank.choose(points, skin, source_age, yaw(points)), "wish": NEAREST, **look}
        if exemplar not in (None, LIKENESS):
            return {"exemplar": self._bank[exemplar].id, **look}
        style = likeness.told(self._artist.style(crop, points))
        look = {"exemplar": LIKENESS, "style": style, "yaw": round(yaw(points), 3), **look}
        shown = self._artist.parts(crop, points).hair
        alike = likeness.exemplar_of(self._artist, style)
        colour, aged = hair.measured(crop, shown), alike.seen()
        look["outlines"] = likeness.told_outlines(alike.outlines)
        if colour is not None and 0.0 in aged:
            look["hair"] = asdict(hair.greying(aged, hair.Seen(colour, skin), hair.beyond(shown), alike.beard()))
        return look

    @torch.inference_mode()
    def _tone(self, crops: Tensor, points: NDArray[np.float64], source: Tensor, target: Tensor, alike: bool) -> Tensor:
        """The U-Net's change at the crops' size, on the face, without most of its cast; 0 where none is used."""
        younger, older = TONE[alike]
        share = torch.where(target < source, younger, torch.where(target > source, older, 0.0))
        if not share.any():
            return torch.zeros_like(crops)
        side = crops.shape[-1]
        ages = [age.clamp(*TRAINED).to(self._device) for age in (source, target)]
        sight = _sized(crops, NETWORK_SIDE).clamp(0.0, 1.0)
        change: Tensor = self._net(sight.to(self._device, self._dtype, memory_format=torch.channels_last), *ages)
        change = change.float().to(crops.device)
        scale = NETWORK_SIDE / side
        change = torch.stack([_without_cast(one, points[i] * scale) for i, one in enumerate(change)])
        change = change * torch.stack([_on_face(one * scale, NETWORK_SIDE) for one in points])[:, None].to(
            change.device
        )
        return _sized(share.to(change.device).view(-1, 1, 1, 1) * change, side)

    def _aged(
        self,
        crop: Tensor,
        tone: Tensor,
        landmarks: NDArray[np.float64],
        source: float,
        asked: float,
        look: PersonLook,
    ) -> Tensor:
        """One crop at the asked age: the U-Net's tone, the exemplar's skin, fewer creases for younger targets, hair."""
        if asked == source:
            return crop
        parts = self._artist.parts(crop, landmarks)
        bare = 1.0 - parts.hair
        aged = crop + bare * tone
        if look["exemplar"] == LIKENESS or asked > source:
            aged = exemplars.relit(aged, self._light(crop.shape[-1], landmarks, source, asked, look, parts))
        share = SOFTEST * min((source - asked) / SOFTENED_OVER, 1.0)
        if share > 0.0:
            aged = aged + share * bare * creases(aged, landmarks)
        return aged if "hair" not in look else self._greyed(aged, crop, landmarks, parts, look, asked - source)

    def _greyed(
        self, aged: Tensor, crop: Tensor, landmarks: NDArray[np.float64], parts: Parts, look: PersonLook, years: float
    ) -> Tensor:
        """A crop with hair, brows and beard of so many years later, as they are found on the crop as it was."""
        grown = hair.Greying.heard(look["hair"])
        brows = BROWS * facial_hair.brows(crop, landmarks).to(parts.hair.device)
        aged = hair.apply(aged, torch.maximum(parts.hair, brows), grown, years)
        if grown.beard == 0.0:
            return aged
        beard = BEARD * grown.beard * facial_hair.beard(crop, landmarks).to(parts.hair.device)
        return hair.apply(aged, beard * (1.0 - parts.hair), grown.of_beard(), years)

    def _light(
        self,
        side: int,
        landmarks: NDArray[np.float64],
        source: float,
        asked: float,
        look: PersonLook,
        parts: Parts,
    ) -> Tensor:
        """What the exemplar's years do to the light of the skin: (3, side, side), log.

        Ears and neck get what the cheeks get on the whole, so that the face does not look like a mask.
        """
        alike = look["exemplar"] == LIKENESS
        laying = exemplars.Laying(
            yaw=yaw(landmarks) - float(look.get("yaw", 0.0)),
            detail=2.0 * look["softness"] * side,
            spare=SPARED[alike],
            blur=likeness.BLUR if alike else 0.0,
        )
        ratio, cast = self._ratio(look, source, asked)
        face = exemplars.change(landmarks, side, ratio, laying)
        around = parts.skin * (1.0 - _on_face(landmarks, side).to(parts.skin.device))
        return (1.0 - parts.hair) * face.to(parts.hair.device) + around * cast.view(3, 1, 1).to(around.device)

    def _ratio(self, look: PersonLook, source: float, asked: float) -> tuple[Tensor, Tensor]:
        """The exemplar's ageing for a wish and its median on the cheeks; kept: most shots ask for one age alone."""
        name, skin = look["exemplar"], tuple(look["skin"])
        key = name, look.get("style"), source, asked, skin
        if self._last is None or self._last[0] != key:
            if name == LIKENESS:
                ratio = likeness.exemplar_of(self._artist, look["style"], look.get("outlines", "")).ratio(
                    asked - source
                )
            else:
                ratio = self._bank[name].ratio(source, asked, skin)
                luma = (ratio * torch.from_numpy(exemplars.LUMA).view(3, 1, 1)).sum(0, keepdim=True)
                ratio = luma + KEPT_COLOUR * (ratio - luma)
            cheeks_of = torch.from_numpy(regions.cheeks((ratio.shape[1], ratio.shape[2])))
            self._last = key, ratio.to(self._device), ratio[:, cheeks_of].median(1).values
        return self._last[1:]


def _without_cast(change: Tensor, landmarks: NDArray[np.float64]) -> Tensor:
    """A change with less colour, and with most of its mean over the skin taken away: (3, S, S)."""
    luma = luma_of(change)
    change = luma + KEPT_COLOUR * (change - luma)
    skin = torch.from_numpy(exemplars.face_mask(landmarks, (change.shape[1], change.shape[2]))).to(change.device)
    cast = (change * skin).sum((1, 2), keepdim=True) / skin.sum().clamp_min(1.0)
    return change - (1.0 - KEPT_CAST) * cast


def _on_face(landmarks: NDArray[np.float64], side: int) -> Tensor:
    """1 on the face, 0 around it, soft: (side, side)."""
    scale = exemplars.MASK_SIDE / side
    mask = exemplars.face_mask(landmarks * scale, (exemplars.MASK_SIDE,) * 2, spare=0.0)
    return _sized(torch.from_numpy(mask)[None, None], side)[0, 0]


def _sized(pictures: Tensor, side: int) -> Tensor:
    """(N, C, S, S) at another size, anti-aliased."""
    if pictures.shape[-1] == side:
        return pictures
    size = (side, side)
    if side < pictures.shape[-1]:
        return F.interpolate(pictures, size=size, mode="area")
    return F.interpolate(pictures, size=size, mode="bicubic", align_corners=False)


def answering(look: PersonLook, source: float, target: float) -> float:
    """The age to ask for so that the result reads as the target on this person.

    Without a measured response that is the target itself.
    """
    response = look.get("response")
    if not response or abs(target - source) < 1e-6:
        return target
    asked, apparent = (np.asarray(column, np.float64) for column in zip(*response, strict=True))
    # What is asked beyond the wish that reads youngest or nearly oldest changes the face and not its age.
    own = float(np.interp(source, asked, apparent))
    nearly = apparent >= own + ENOUGH * (apparent.max() - own)
    inside = slice(int(apparent.argmin()), int((nearly & (asked > source)).argmax()) + 1)
    if inside.start < inside.stop - 1:
        asked, apparent = asked[inside], apparent[inside]
    # A typed source age says how the age network misreads this actor: it will misread the result alike.
    misread = source - float(look.get("apparent", source))
    apparent = np.maximum.accumulate(apparent) + misread + 1e-6 * np.arange(len(apparent))
    wish = float(np.interp(_nearing(target, source, float(apparent[0]), float(apparent[-1])), apparent, asked))
    younger, older = REACH[look.get("exemplar") == LIKENESS]
    low, high = (target - younger, source) if target < source else (source, target + older)
    return min(max(wish, low), high)


def _nearing(target: float, source: float, youngest: float, oldest: float) -> float:
    """A target, twice as fast on the last way to what can be reached, so that it is there WANDERS years before."""
    end, ahead = (oldest, 1.0) if target > source else (youngest, -1.0)
    room = min(max(ahead * (end - source), 0.0), 2.0 * WANDERS)
    into = ahead * (target - end) + room
    return target + ahead * min(max(into, 0.0), 0.5 * room)


def cheeks(crop: Tensor, landmarks: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean linear colour of both cheeks."""
    patches = [crop[:, rows, columns] for _, (rows, columns) in regions.cheek_patches(landmarks, crop.shape[-1])]
    tones = [decode_srgb(patch.flatten(1).clamp(0.0, 1.0)).mean(1) for patch in patches]
    red, green, blue = (float(v) for v in torch.stack(tones).mean(0))
    return red, green, blue


def softness(crop: Tensor, landmarks: NDArray[np.float64]) -> float:
    """Sigma of the plate's blur in sides of the crop, from the sharpest edges of eyes, brows and mouth.

    Source: Zhuo and Sim, Defocus map estimation from a single image (2011): an edge of blur s, blurred again by s0,
    keeps 1 / R of its gradient, with s = s0 / sqrt(R^2 - 1).
    """
    side = crop.shape[-1]
    grey = _grey(crop)
    low, high = (np.clip(v, 0, side).astype(int) for v in (landmarks[17:].min(0), landmarks[17:].max(0)))
    again = max(1.0, 0.004 * side)
    # A little blur first, so that grain makes no edges; it is taken off the answer.
    first = cv2.GaussianBlur(grey, (0, 0), again)
    second = cv2.GaussianBlur(first, (0, 0), again)
    steep, flat = (np.hypot(*np.gradient(p))[low[1] : high[1], low[0] : high[0]] for p in (first, second))
    if steep.size == 0:
        return 0.0
    edges = steep >= np.quantile(steep, 0.99)
    ratio = float(np.median(steep[edges] / np.maximum(flat[edges], 1e-6)))
    sigma = again / np.sqrt(max(ratio, 1.01) ** 2 - 1.0)
    return float(np.sqrt(max(sigma**2 - again**2, 0.0))) / side


def creases(crop: Tensor, landmarks: NDArray[np.float64]) -> Tensor:
    """What to add to a crop to take its dark lines away: (3, S, S) >= 0, on skin alone.

    Lines are what a band-pass between pores (kept: they are texture, like grain) and shading (kept) finds darker than
    its surroundings. It is taken from luma and added to all channels, so that no colour is moved.
    """
    side = crop.shape[-1]
    luma = _grey(crop)
    fine = cv2.GaussianBlur(luma, (0, 0), 0.0035 * side)
    broad = cv2.GaussianBlur(luma, (0, 0), 0.018 * side)
    lines = np.clip(broad - fine, 0.0, 0.25)
    mask = exemplars.face_mask(landmarks * (256.0 / side), (256, 256))
    soft = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(lines * soft).to(crop.device).expand(3, side, side)


def _grey(crop: Tensor) -> NDArray[np.float32]:
    """Luma of a crop: (S, S)."""
    return np.asarray(luma_of(crop)[0].cpu().numpy(), np.float32)


def _on_crops(crops: Tensor) -> NDArray[np.float64]:
    """Landmarks found on the crops themselves."""
    pictures = (crops.clamp(0.0, 1.0) * 255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    model = predictor()
    return np.stack([locate_aligned(one, model) for one in pictures])


def _identity(*weights: str) -> str:
    """Hash of all that makes the model: recipe, weights, and every file of the bank (thumbnails are only looked at)."""
    files = sorted(file for file in exemplars.BANK.iterdir() if not file.name.endswith(".thumb.jpg"))
    told = [RECIPE, *weights, *(f"{file.name} {sha256_of(file)}" for file in files)]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
