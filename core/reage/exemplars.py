"""Surface detail transfer: the skin of somebody who grew old, as a ratio of light, laid over an actor's face.

An exemplar is a synthetic person at several ages. What the years did to the skin is kept as the logarithm of the
ratio of linear light, older over young, in one canonical face frame, and multiplied onto the plate: highlights, grain
and pores stay. Sources: Shan, Liu and Zhang, Image-based surface detail transfer (CVPR 2001); Tiddeman, Burt and
Perrett, Prototyping and transforming facial textures (2001). `reage.training.bank` makes the bank.

A picture of the bank is one grey JPEG: for each older age a block of FRAME_HEIGHT rows with the fine band of luma, then
FRAME_HEIGHT / 4 rows with three tiles of a quarter of the size: the coarse band of luma, the red and the blue tint (the
log-ratio of that channel less SHADE times that of luma).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reage.colour import decode_srgb, encode_srgb
from reage.errors import ModelError, RequestError
from reage.thin_plate import Points, fit

Image = NDArray[Any]
BANK = Path(__file__).parent / "data" / "bank"
FRAME_WIDTH, FRAME_HEIGHT = 384, 528
LUMA = np.array([0.3, 0.6, 0.1], np.float32)
"""Weights of log red, green and blue in the luma of a ratio."""
SHADE = np.array([0.7, 1.1, 1.25], np.float32)
"""Log red, green and blue per unit of luma in a fold: light that leaves skin from below is red, so folds are not grey.

Measured on the old pictures of thirteen series by regression (0.56..0.78, 1.08..1.18, 1.16..1.35 for the fine band)."""
USUAL_TINT = 1.3
"""Stops of red over blue of the skins on which SHADE was measured."""
FINE_RANGE, COARSE_RANGE, TINT_RANGE = 0.7, 1.0, 0.3
"""Log-ratios that codes 1 and 255 stand for; 128 is none."""
SPLIT = 0.12
"""Sigma between coarse and fine band, in outer-eye distances."""
COARSE_GAIN, FINE_GAIN, TINT_GAIN = 0.75, 1.6, 0.5
BRIGHTEN_GAIN = 0.85
"""Of what gets brighter: folds are dark, bright lines are mostly young folds that have moved."""
DARKEN_LIMIT, BRIGHTEN_LIMIT = 0.9, 0.3
"""Log-ratios that a change approaches and never passes."""
REACH = 1.25
"""Years of the series that stand for one of the actor: skin alone reads younger than skin, hair and shape together."""
FARTHEST = 1.25
"""How far beyond its oldest picture a series is extrapolated, in lengths of the series."""
NODES = 65
"""The warp is computed at NODES x NODES places of a crop and interpolated between them."""
MASK_SIDE = 256
# fmt: off
CANONICAL: Points = np.array([
    (21.5, 221.9), (24.0, 267.8), (28.3, 312.5), (34.7, 358.0), (48.9, 400.9), (74.2, 438.2),
    (109.2, 468.8), (148.1, 493.4), (192.0, 500.8), (235.9, 493.4), (274.8, 468.8), (309.8, 438.2),
    (335.1, 400.9), (349.3, 358.0), (355.7, 312.5), (360.0, 267.8), (362.5, 221.9), (52.6, 190.7),
    (72.9, 168.9), (103.4, 160.9), (135.0, 164.9), (164.5, 176.8), (219.5, 176.8), (249.0, 164.9),
    (280.6, 160.9), (311.1, 168.9), (331.4, 190.7), (192.0, 209.0), (192.0, 239.8), (192.0, 270.0),
    (192.0, 301.7), (155.1, 319.6), (172.6, 326.6), (192.0, 332.8), (211.4, 326.6), (228.9, 319.6),
    (87.7, 216.1), (106.0, 205.1), (127.2, 205.3), (147.2, 218.8), (126.4, 221.1), (105.3, 221.5),
    (236.8, 218.8), (256.8, 205.3), (278.0, 205.1), (296.3, 216.1), (278.7, 221.5), (257.6, 221.1),
    (119.7, 374.5), (145.5, 366.0), (172.2, 362.2), (192.0, 366.4), (211.8, 362.2), (238.5, 366.0),
    (264.3, 374.5), (239.1, 398.8), (213.0, 410.0), (192.0, 412.2), (171.0, 410.0), (144.9, 398.8),
    (130.4, 376.1), (172.1, 375.5), (192.0, 377.7), (211.9, 375.5), (253.6, 376.1), (212.3, 388.2),
    (192.0, 390.8), (171.7, 388.2),
])
# fmt: on
"""68 landmarks of the mean face, in pixels of the canonical frame (the mean over the series and its mirror image)."""
STIFFNESS = np.concatenate([np.full(17, 0.03), np.full(43, 0.006), np.full(12, 0.03)])
"""Of the control points: landmarks jitter, most of all along the jaw."""


@dataclass(frozen=True)
class Exemplar:
    """One person of the bank, as `bank.json` describes it."""

    id: str
    identity: int  # number of the synthetic series
    ages: tuple[float, ...]  # years: the young picture, then the older ones, rising
    skin: tuple[float, float, float]  # linear RGB of the young cheeks
    yaw: float  # -1..1, as in the tracks file
    mouth: float  # gap between the inner lips in outer-eye distances
    strength: float  # of the fine band, so that all exemplars change a face about as much
    flags: frozenset[str]
    expression: Points  # (68, 2), see `expression`
    folder: Path

    def ratio(self, age_from: float, age_to: float, skin: tuple[float, float, float] | None = None) -> Tensor:
        """What the years from one age to the other do to this person's skin.

        Between its measured ages the series is interpolated, beyond the oldest it is extrapolated a little, and below
        the youngest nothing changes. Towards younger ages the answer is zero: it would remove the wrong wrinkles.

        Args:
            age_from: years.
            age_to: years.
            skin: mean of the actor's cheeks, linear RGB, any exposure: folds are as colourful as skin is. None: usual.

        Returns:
            (3, FRAME_HEIGHT, FRAME_WIDTH) float32: log of the ratio of linear red, green and blue.

        Raises:
            ModelError: the exemplar's picture is missing or damaged.
        """
        if age_to <= age_from:
            return torch.zeros(3, FRAME_HEIGHT, FRAME_WIDTH)
        weights = self._weights(age_to) - self._weights(age_from)
        fine, coarse = _bands(self.folder / f"{self.id}.jpg", len(self.ages) - 1)
        mixed = torch.from_numpy(np.tensordot(weights, coarse, 1))[None]
        size = (FRAME_HEIGHT, FRAME_WIDTH)
        tone, red, blue = F.interpolate(mixed, size=size, mode="bicubic", align_corners=False)[0]
        detail = torch.from_numpy(np.tensordot(weights, fine, 1))
        luma = COARSE_GAIN * tone + FINE_GAIN * self.strength * detail
        luma = torch.where(luma < 0, -_limit(-luma, DARKEN_LIMIT), _limit(BRIGHTEN_GAIN * luma, BRIGHTEN_LIMIT))
        red, blue = TINT_GAIN * red, TINT_GAIN * blue
        colourful = 1.0 if skin is None else min(max(_skin_key(skin)[1] / USUAL_TINT, 0.0), 1.3)
        shade = 1.0 + colourful * (torch.from_numpy(SHADE) - 1.0)
        green = -(float(LUMA[0]) * red + float(LUMA[2]) * blue) / float(LUMA[1])
        return luma * shade[:, None, None] + torch.stack([red, green, blue])

    def _weights(self, age: float) -> NDArray[np.float32]:
        """How much of each older picture makes an age: (K,)."""
        knots = np.asarray(self.ages)
        age = knots[0] + REACH * (age - knots[0])
        weights = np.array([np.interp(age, knots, row) for row in np.eye(len(knots))[1:]], np.float32)
        years = float(knots[-1] - knots[0])
        return weights * np.float32(min(max((age - knots[0]) / years, 1.0), FARTHEST))


@dataclass(frozen=True)
class Bank:
    """All exemplars, in the order of their ids."""

    exemplars: tuple[Exemplar, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The names an artist may choose from."""
        return tuple(one.id for one in self.exemplars)

    def __getitem__(self, name: str) -> Exemplar:
        """One exemplar by its id.

        Raises:
            RequestError: there is none of that name.
        """
        for one in self.exemplars:
            if one.id == name:
                return one
        raise RequestError(f"--exemplar {name}: choose likeness, bank or one of {', '.join(self.ids)}")

    def thumbnail(self, name: str) -> Path:
        """A JPEG of 256 x 128 pixels: young, then oldest."""
        return self[name].folder / f"{name}.thumb.jpg"

    def choose(
        self,
        landmarks: Points,
        skin: tuple[float, float, float],
        source_age: float,
        yaw: float = 0.0,
        beard: bool = False,
    ) -> str:
        """The id of the exemplar whose face, skin and pose are nearest: deterministic.

        Args:
            landmarks: (68, 2) of the face at rest, in any unit.
            skin: mean of the cheeks, linear RGB, any exposure.
            source_age: years.
            yaw: -1..1, as in the tracks file.
            beard: whether exemplars with a beard may be chosen.
        """
        usable = [one for one in self.exemplars if beard or "beard" not in one.flags]
        shape = expression(landmarks)

        def unlikeness(one: Exemplar) -> tuple[float, str]:
            tone, tint = np.subtract(_skin_key(one.skin), _skin_key(skin))
            face = float(np.sqrt(((shape - one.expression)[17:] ** 2).sum(1).mean()))
            late = max(0.0, source_age - 5.0 - one.ages[0]) + max(0.0, one.ages[0] - source_age - 10.0)
            return 0.35 * abs(tone) + 1.0 * abs(tint) + 6.0 * face + 0.6 * abs(yaw - one.yaw) + 0.02 * late, one.id

        return min(map(unlikeness, usable))[1]


@lru_cache(4)
def load_bank(folder: Path = BANK) -> Bank:
    """Read the bank's description; pictures are read when a ratio is asked for.

    Raises:
        ModelError: the bank is missing or damaged.
    """
    try:
        content = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
        entries = [_entry(raw, folder) for raw in content["exemplars"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder}: the exemplar bank cannot be read; install reage again") from error
    return Bank(tuple(sorted(entries, key=lambda one: one.id)))


def _entry(raw: dict[str, Any], folder: Path) -> Exemplar:
    return Exemplar(
        id=raw["id"],
        identity=raw["identity"],
        ages=tuple(raw["ages"]),
        skin=tuple(raw["skin"]),
        yaw=raw["yaw"],
        mouth=raw["mouth"],
        strength=raw["strength"],
        flags=frozenset(raw["flags"]),
        expression=np.asarray(raw["expression"], np.float64).reshape(68, 2),
        folder=folder,
    )


def eye_distance(landmarks: Points) -> float:
    """Distance of the outer eye corners, the unit of lengths on a face."""
    return float(np.hypot(*(landmarks[45] - landmarks[36])))


def normalised(landmarks: Points) -> Points:
    """Landmarks free of place, size and roll: the outer eye corners lie at (-0.5, 0) and (0.5, 0)."""
    x, y = landmarks[45] - landmarks[36]
    turn = np.array([[x, y], [-y, x]]) / (x * x + y * y)
    answer: Points = (landmarks - (landmarks[36] + landmarks[45]) / 2) @ turn.T
    return answer


def expression(landmarks: Points) -> Points:
    """How a face differs from the canonical one: (68, 2) in outer-eye distances."""
    return normalised(landmarks) - normalised(CANONICAL)


def control_points(landmarks: Points) -> Points:
    """(72, 2): the landmarks without the inner lips (which touch and part), and twelve points of the forehead."""
    brow = landmarks[[17, 19, 21, 22, 24, 26]]
    up = landmarks[27] - landmarks[8]
    return np.concatenate([landmarks[:60], brow + 0.28 * up, brow + 0.5 * up])


def onto_canonical(picture: Image, landmarks: Points, scale: float = 1.0) -> Image:
    """Linear light of a picture, warped onto the canonical face.

    Args:
        picture: (H, W, 3) uint8 RGB, sRGB-encoded.
        landmarks: (68, 2) in pixels of the picture.
        scale: of the answer against FRAME_WIDTH and FRAME_HEIGHT.

    Returns:
        (scale * FRAME_HEIGHT, scale * FRAME_WIDTH, 3) float32.
    """
    spline = fit(control_points(CANONICAL), control_points(landmarks), STIFFNESS, eye_distance(CANONICAL))
    x, y = np.meshgrid(np.arange(4, FRAME_WIDTH, 8), np.arange(4, FRAME_HEIGHT, 8))
    nodes = (spline(np.stack([x, y], 2).astype(np.float64)) - 0.5).astype(np.float32)
    size = (round(scale * FRAME_WIDTH), round(scale * FRAME_HEIGHT))
    source = cv2.resize(nodes, size, interpolation=cv2.INTER_CUBIC)
    warped = cv2.remap(picture.astype(np.float32), source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    code = torch.from_numpy(np.clip(warped / 255.0, 0.0, 1.0))
    return np.asarray(decode_srgb(code).numpy(), np.float32)


def encode(fine: Image, coarse: Image) -> Image:
    """One block of a picture of the bank, uint8, from (H, W) fine luma and (H, W, 3) coarse luma, red and blue."""
    quarter = cv2.resize(coarse, (FRAME_WIDTH // 4, FRAME_HEIGHT // 4), interpolation=cv2.INTER_AREA)
    tiles = [quarter[:, :, 0] / COARSE_RANGE, quarter[:, :, 1] / TINT_RANGE, quarter[:, :, 2] / TINT_RANGE]
    strip = np.hstack([*tiles, np.zeros_like(tiles[0])])
    signed = np.concatenate([fine / FINE_RANGE, strip])
    return np.clip(np.rint(128.0 + 127.0 * signed), 0, 255).astype(np.uint8)


@lru_cache(4)
def _bands(file: Path, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fine (K, H, W) and coarse (K, 3, H / 4, W / 4) bands of all older pictures."""
    data = np.fromfile(file, np.uint8) if file.is_file() else np.empty(0, np.uint8)
    sheet = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE) if data.size else None
    rows = FRAME_HEIGHT + FRAME_HEIGHT // 4
    if sheet is None or sheet.shape != (rows * count, FRAME_WIDTH):
        raise ModelError(f"{file}: the exemplar's picture is missing or damaged; install reage again")
    signed = ((sheet.astype(np.float32) - 128.0) / 127.0).reshape(count, rows, FRAME_WIDTH)
    strip = signed[:, FRAME_HEIGHT:].reshape(count, FRAME_HEIGHT // 4, 4, FRAME_WIDTH // 4).transpose(0, 2, 1, 3)
    ranges = np.array([COARSE_RANGE, TINT_RANGE, TINT_RANGE], np.float32)
    return signed[:, :FRAME_HEIGHT] * np.float32(FINE_RANGE), strip[:, :3] * ranges[:, None, None]


def _limit(value: Tensor, limit: float) -> Tensor:
    """Straight near zero, level at the limit."""
    return limit * torch.tanh(value / limit)


def _skin_key(skin: tuple[float, float, float]) -> tuple[float, float]:
    """Stops of brightness and of red over blue."""
    red, green, blue = (max(float(value), 1e-4) for value in skin)
    return math.log2(0.2126 * red + 0.7152 * green + 0.0722 * blue), math.log2(red / blue)


def cheek_mask() -> Image:
    """The cheeks of the canonical face, 0 or 1: (FRAME_HEIGHT, FRAME_WIDTH) float32."""
    plane = np.zeros((FRAME_HEIGHT, FRAME_WIDTH), np.float32)
    for jaw, eye, mouth in ((2, 41, 48), (14, 46, 54)):
        centre = (CANONICAL[jaw] + CANONICAL[eye] + CANONICAL[mouth]) / 3
        cv2.circle(plane, (round(centre[0]), round(centre[1])), round(0.14 * eye_distance(CANONICAL)), 1.0, -1)
    return plane


def face_mask(
    landmarks: Points, shape: tuple[int, int], feather: float = 0.06, crown: float = 1.0, spare: float = 1.0
) -> Image:
    """Where the skin of a face may change, 0..1: not on eyes, brows, nostrils and teeth, a little on the lips.

    Args:
        landmarks: (68, 2) in pixels of the mask.
        shape: height and width of the mask.
        feather: softness of the outline in outer-eye distances; it lies inside the outline.
        crown: how far up the forehead, 1: half the distance from nose bridge to chin above the brows.
        spare: how much brows, lids, nose wings and lips are spared; less where the exemplar has the actor's own.

    Returns:
        (height, width) float32.
    """
    unit = eye_distance(landmarks)
    top = landmarks[[26, 24, 22, 21, 19, 17]] + 0.5 * crown * (landmarks[27] - landmarks[8])
    outline = cv2.convexHull(np.concatenate([landmarks[:17], top]).astype(np.float32))[:, 0]
    mask = _polygon(outline, shape)
    if feather > 0.0:
        mask = np.clip(2.0 * _blur(mask, feather * unit) - 1.0, 0.0, 1.0)
    for part in (landmarks[36:42], landmarks[42:48]):
        mask = mask * (1.0 - _swollen(part, shape, 0.045 * spare * unit, 0.018 * unit))
    for part in (landmarks[17:22], landmarks[22:27]):
        mask = mask * (1.0 - 0.85 * spare * _swollen(part, shape, 0.05 * unit, 0.03 * unit, closed=False))
    for wing in (31, 35):  # outlines of two noses never match
        outward, up = landmarks[wing] - landmarks[33], landmarks[30] - landmarks[33]
        at = landmarks[wing : wing + 1] + 0.3 * outward + 0.2 * up
        mask = mask * (1.0 - 0.85 * spare * _swollen(at, shape, 0.065 * unit, 0.03 * unit))
    for nostril in (32, 34):
        at = landmarks[nostril : nostril + 1] + 0.12 * (landmarks[30] - landmarks[33])
        mask = mask * (1.0 - _swollen(at, shape, 0.06 * unit, 0.02 * unit))
    mask = mask * (1.0 - 0.75 * spare * _swollen(landmarks[48:60], shape, 0.0, 0.015 * unit))
    mask = mask * (1.0 - _swollen(landmarks[60:68], shape, 0.03 * unit, 0.015 * unit))
    answer: Image = mask.astype(np.float32)
    return answer


def _swollen(points: Points, shape: tuple[int, int], radius: float, feather: float, closed: bool = True) -> Image:
    """A polygon, or a line, grown by a radius and feathered: 0..1."""
    plane = _polygon(points, shape) if closed and len(points) > 2 else np.zeros(shape, np.float32)
    if radius > 0.0:
        fixed = np.rint((np.asarray(points) - 0.5) * 16).astype(np.int32)
        thick = max(1, round(2.0 * radius))
        cv2.polylines(plane, [fixed], closed, 1.0, thick, cv2.LINE_AA, 4)
    return _blur(np.clip(plane, 0.0, 1.0), feather)


def _polygon(points: Points, shape: tuple[int, int]) -> Image:
    """A filled polygon, its edge to a sixteenth of a pixel."""
    plane = np.zeros(shape, np.uint8)
    cv2.fillPoly(plane, [np.rint((np.asarray(points) - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return plane.astype(np.float32) / 255.0


def _blur(plane: Image, sigma: float) -> Image:
    answer: Image = cv2.GaussianBlur(plane, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REPLICATE)
    return answer


def warp_onto(landmarks: Points, size: int) -> tuple[Tensor, Tensor]:
    """Where each pixel of a crop lies on the canonical face.

    Args:
        landmarks: (68, 2) in pixels of the crop.
        size: side of the crop.

    Returns:
        grid: (1, size, size, 2) float32 for `grid_sample` with align_corners=False.
        trust: (1, 1, size, size) float32, 0..1: less where the warp stretches or folds.
    """
    spline = fit(control_points(landmarks), control_points(CANONICAL), STIFFNESS, eye_distance(landmarks))
    at = np.linspace(0.5, size - 0.5, NODES)
    nodes = spline(np.stack(np.meshgrid(at, at), 2)) * (2.0 / np.array([FRAME_WIDTH, FRAME_HEIGHT])) - 1.0
    down, across = np.gradient(nodes, axis=0), np.gradient(nodes, axis=1)
    area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    inside = (np.abs(nodes) < 1.0).all(2)
    usual = float(np.median(area[inside])) if inside.any() else 1.0
    trust = np.clip((3.2 - area / usual) / 1.2, 0.0, 1.0) * np.clip(area / (0.3 * usual), 0.0, 1.0)
    both = torch.from_numpy(np.concatenate([nodes, trust[..., None]], 2)).float().permute(2, 0, 1)[None]
    dense = F.interpolate(both, size=(size, size), mode="bilinear", align_corners=True)
    return dense[:, :2].permute(0, 2, 3, 1), dense[:, 2:].clamp(0.0, 1.0)


@dataclass(frozen=True)
class Laying:
    """How a ratio is laid on a face."""

    yaw: float = 0.0
    """-1..1, against the exemplar's; the side that is turned away fades."""
    detail: float = 1.0
    """Size in crop pixels of the smallest thing the plate shows: crop pixels per plate pixel, more where the plate is
    soft. Lines thinner than that would look scratched on."""
    spare: float = 1.0
    """See `face_mask`."""
    blur: float = 0.0
    """Sigma in pixels of the ratio by which it is blurred already."""


PLAIN = Laying()


def change(landmarks: Points, size: int, ratio: Tensor, laying: Laying = PLAIN) -> Tensor:
    """An exemplar's ratio on a face: (3, size, size) float32 log-ratio of linear light, masked.

    Args:
        landmarks: (68, 2) in pixels of the crop.
        size: side of the crop.
        ratio: (3, FRAME_HEIGHT, FRAME_WIDTH), or larger by one factor, from `Exemplar.ratio` or `Likeness.ratio`.
        laying: how.
    """
    grid, trust = warp_onto(landmarks, size)
    fineness = eye_distance(CANONICAL) / eye_distance(landmarks) * ratio.shape[-1] / FRAME_WIDTH
    wanted = 0.5 * max(laying.detail, 1.0) * fineness
    planes = _softened(ratio, math.sqrt(max(wanted**2 - laying.blur**2, 0.0)))[None]
    grid = grid.to(ratio.device)
    warped = F.grid_sample(planes, grid, mode="bicubic", padding_mode="zeros", align_corners=False)[0]
    mask = face_mask(landmarks * (MASK_SIDE / size), (MASK_SIDE, MASK_SIDE), spare=laying.spare)
    soft = F.interpolate(torch.from_numpy(mask)[None, None], size=(size, size), mode="bilinear", align_corners=False)
    weight = (soft * trust).to(ratio.device)[0]
    away = ((abs(laying.yaw) - 0.3) / 0.5, math.copysign(1.0, laying.yaw))
    if away[0] > 0.0:
        side = (away[1] * grid[..., 0] / 0.8).clamp(0.0, 1.0)
        weight = weight * (1.0 - min(away[0], 1.0) * side * side * (3.0 - 2.0 * side))
    return warped * weight


def _softened(ratio: Tensor, sigma: float) -> Tensor:
    """Blur by a Gaussian of sigma canonical pixels, so that nothing aliases or is sharper than the plate."""
    if sigma < 0.6:
        return ratio
    blurred = cv2.GaussianBlur(ratio.cpu().permute(1, 2, 0).numpy(), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(blurred).permute(2, 0, 1).to(ratio.device)


def apply(crop: Tensor, landmarks: Points, ratio: Tensor, gain: float = 1.0, laying: Laying = PLAIN) -> Tensor:
    """Multiply an exemplar's ratio onto a crop.

    Args:
        crop: (3, S, S) or (N, 3, S, S) float32, sRGB-encoded, unbounded.
        landmarks: (68, 2) or (N, 68, 2) in pixels of the crop.
        ratio: see `change`.
        gain: factor of the log-ratio.
        laying: how it is laid on.

    Returns:
        The crop's shape, sRGB-encoded, not clamped; equal to the crop outside the face.
    """
    if crop.ndim == 4:
        pairs = zip(crop, np.asarray(landmarks), strict=True)
        return torch.stack([apply(one, points, ratio, gain, laying) for one, points in pairs])
    return relit(crop, gain * change(np.asarray(landmarks, np.float64), crop.shape[-1], ratio, laying))


def relit(crop: Tensor, log_ratio: Tensor) -> Tensor:
    """Multiply the light of a sRGB-encoded crop by the exponential of a ratio, both (3, S, S); 0 leaves it as it is."""
    log_ratio = log_ratio.to(crop.device)
    aged = encode_srgb(decode_srgb(crop) * log_ratio.exp())
    return torch.where(log_ratio == 0.0, crop, aged)
