"""An exemplar made for one actor: somebody alike who does not exist, drawn at several ages.

A linear map reads the styles of a portrait generator off a crop. Their portrait is nobody, but has the actor's sex,
skin, build, pose and light. The layers of face and skin are moved along the normal of apparent age, and what that does
to the portrait, as the logarithm of a ratio of linear light on the canonical face, is what the years would do to the
actor: surface detail transfer (see `reage.exemplars`) from an exemplar that suits. `reage.training.fit_likeness` makes
the map.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage import exemplars
from reage.agers import hair, regions
from reage.agers.parts import PartsFinder
from reage.agers.released import DATA, released
from reage.errors import ModelError, RequestError
from reage.exemplars import CANONICAL, LUMA, Image
from reage.faces.identity import describe
from reage.faces.landmarks import locate_aligned, predictor
from reage.faces.look import Look
from reage.nets.portrait import LAYERS, STYLE, PortraitNet
from reage.thin_plate import Points

WEIGHTS = DATA / "likeness.safetensors"

GROUPS = (slice(0, 6), slice(6, 14), slice(14, LAYERS))
"""Layers of pose and build, of face and skin, of colour and light: a style is read for each."""
AGED, AGED_GAIN = GROUPS[1], 1.6
"""Layers that grow old, and by how much more than all of them would have to be moved."""
DECADES = (-3.0, 0.0, 2.0, 4.0, 6.0)
"""How far the portraits are moved along the normal of age; 0 is the actor's own age."""
YEARS = 10.0
"""A decade's, by the measure of the normal."""

READ_SIDE, TINY = 256, 20
"""Sides of the crop as it is read, and of what the map sees of its colours."""
BOLD = 1.15
"""Ridge regression shrinks; by so much its styles are taken further from the average face."""
BARE = -1.5
"""Standard deviations of the reading of glasses that a style is brought down to: rims would be printed on the actor."""

SCALE = 1.5
"""Of the planes, against the bank's: portraits have 1024 pixels."""
BLUR = 1.8
"""Sigma in pixels of the planes of the blur that a portrait has on them."""
PORE = 1.0
"""Sigma in canonical pixels of what is not divided out: the portrait's own pores would be printed upside down."""
DARKEST = 0.15
"""Light below this share of the cheeks' counts as this: ratios of shadows are noise."""
BROAD = 0.12
"""Sigma of the shading between fold and form, in outer-eye distances."""
BROAD_GAIN, FINE_GAIN, COLOUR_GAIN = 1.0, 1.3, 0.3
CALM, CALM_LIMIT = 0.3, 0.25
"""Shares of the fine gain and of the darkest change that are taken off between ear and mouth: folds of a portrait that
lie where the actor's face has none read as scars."""
CAST_KEPT = 0.6
"""Share of the cheeks' change in brightness that stays: neck and ears lie outside the matte."""
DARKEN_LIMIT, BRIGHTEN_LIMIT = 0.85, 0.35
"""Log-ratios that a change approaches and never passes."""
BEARD_AT, BEARD_BLUR = 4.0, 4.0
"""Decades at which a beard is looked for, and the blur in pixels of the planes under it."""
BEARD_STOPS = (0.6, 0.4)
"""Stops by which a beard is darker than the cheeks, and by which it grows lighter."""
BEARD_SHARES = (0.1, 0.3)
"""Shares of the lower face that are such where there is no beard yet, and where there surely is one."""


@dataclass(frozen=True, eq=False)
class Artist:
    """The generator, and the map that reads styles."""

    net: PortraitNet
    mean: NDArray[np.float32]  # (512,)
    age: NDArray[np.float32]  # (512,): added to all layers, apparent age rises by about ten years
    glasses: NDArray[np.float32]  # (512,): one standard deviation of the reading of glasses
    middle: NDArray[np.float32]  # of the readings
    spread: NDArray[np.float32]
    weights: NDArray[np.float32]  # (readings, 3 * 512)
    bias: NDArray[np.float32]
    parts: PartsFinder
    sha256: str

    def style(self, crop: Tensor, landmarks: Points) -> NDArray[np.float16]:
        """Styles of somebody alike: (3, 512), one a group of layers, less the mean.

        Args:
            crop: (3, S, S) sRGB-encoded, FFHQ-aligned.
            landmarks: (68, 2) in pixels of the crop.
        """
        side = crop.shape[-1]
        codes = (crop.clamp(0.0, 1.0) * 255.0).round().byte().permute(1, 2, 0).cpu().numpy()
        method = cv2.INTER_AREA if side > READ_SIDE else cv2.INTER_CUBIC
        picture = np.asarray(cv2.resize(codes, (READ_SIDE, READ_SIDE), interpolation=method), np.uint8)
        seen = (readings(picture, landmarks * (READ_SIDE / side)) - self.middle) / self.spread
        styles = BOLD * (seen @ self.weights + self.bias).reshape(len(GROUPS), STYLE)
        unit = self.glasses / (self.glasses @ self.glasses)
        worn = styles[0] @ unit
        return np.asarray(styles - max(worn - BARE, 0.0) * self.glasses, np.float16)

    def portrait(self, style: NDArray[np.float16], decades: float) -> NDArray[np.uint8]:
        """(1024, 1024, 3) RGB of a person so many decades from the age of their styles."""
        stack = np.empty((LAYERS, STYLE), np.float32)
        for layers, one in zip(GROUPS, style.astype(np.float32), strict=True):
            stack[layers] = self.mean + one
        stack[AGED] += AGED_GAIN * decades * self.age
        device = self.net.start.device
        with torch.inference_mode():
            drawn = self.net(torch.from_numpy(stack).to(device)).cpu()
        return np.asarray(((drawn + 1.0) * 127.5).round().clamp(0, 255).byte().permute(1, 2, 0).numpy(), np.uint8)


def readings(picture: NDArray[np.uint8], landmarks: Points) -> NDArray[np.float32]:
    """What the map sees of a (READ_SIDE, READ_SIDE, 3) crop: who, where the features lie, and the colours."""
    who = describe(Look(np.ascontiguousarray(picture)), landmarks)
    tiny = cv2.resize(picture, (TINY, TINY), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    return np.concatenate([who, (landmarks / READ_SIDE).ravel(), tiny.ravel()]).astype(np.float32)


@lru_cache(1)
def load_artist(device: torch.device) -> Artist:
    """Read generator and map.

    Args:
        device: where portraits are drawn.

    Raises:
        ModelError: the file is missing, damaged, or not the one that was released.
    """
    held = released(WEIGHTS)
    try:
        net = PortraitNet()
        net.load_state_dict({name[4:]: tensor for name, tensor in held.state.items() if name.startswith("net.")})
        facts = {name: tensor.numpy() for name, tensor in held.state.items() if not name.startswith("net.")}
        # torch's stubs know no memory_format beside a device.
        net = net.eval().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Artist(net=net, parts=PartsFinder.load(device), sha256=held.sha256, **facts)
    except (TypeError, RuntimeError) as error:
        raise ModelError(f"{WEIGHTS}: another file than this version of reage has; install it again") from error


def told(style: NDArray[np.float16]) -> str:
    """Styles as text for the tracks."""
    return base64.b64encode(style.astype("<f2").tobytes()).decode("ascii")


def heard(text: str) -> NDArray[np.float16]:
    """Styles from the text of `told`.

    Raises:
        RequestError: it is none.
    """
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), "<f2").reshape(len(GROUPS), STYLE)
    except ValueError as error:
        raise RequestError("tracks: the style in a look is damaged; analyse the shot again") from error


def told_outlines(outlines: Mapping[float, Points]) -> str:
    """Landmarks of all portraits, by decades, as text for the tracks: who has them need not look for them."""
    return base64.b64encode(np.stack([outlines[at] for at in DECADES]).astype("<f4").tobytes()).decode("ascii")


def heard_outlines(text: str) -> dict[float, Points]:
    """Landmarks by decades from the text of `told_outlines`.

    Raises:
        RequestError: it is none.
    """
    try:
        held = np.frombuffer(base64.b64decode(text, validate=True), "<f4").reshape(len(DECADES), 68, 2)
    except ValueError as error:
        raise RequestError("tracks: the outlines in a look are damaged; analyse the shot again") from error
    return dict(zip(DECADES, held.astype(np.float64), strict=True))


@dataclass(frozen=True)
class _Drawn:
    """A portrait on the canonical face, its landmarks, and its hair."""

    light: Image  # (H, W, 3) linear
    log: Image  # (H, W, 3)
    points: Points  # (68, 2), in pixels of the portrait at half its size
    hair: hair.Seen | None


@dataclass
class Likeness:
    """The exemplar of one actor. Portraits are drawn as ages ask for them, and their planes kept."""

    artist: Artist
    style: NDArray[np.float16]
    outlines: dict[float, Points] = field(default_factory=dict)
    """Landmarks of the portraits, at half their size, by decades: those that are known are not looked for."""
    _planes: dict[float, Tensor] = field(default_factory=dict)
    _seen: dict[float, hair.Seen | None] = field(default_factory=dict)
    _young: _Drawn | None = None
    _beard: float = 0.0

    def ratio(self, years: float) -> Tensor:
        """What so many years do to this face; fewer than none make it younger.

        Returns:
            (3, SCALE * FRAME_HEIGHT, SCALE * FRAME_WIDTH) float32: log of the ratio of linear red, green and blue.
        """
        decades, below, above = _between(years)
        if DECADES[above] == decades:
            return self._plane(DECADES[above])
        share = (decades - DECADES[below]) / (DECADES[above] - DECADES[below])
        return torch.lerp(self._plane(DECADES[below]), self._plane(DECADES[above]), share)

    def seen(self) -> dict[float, hair.Seen]:
        """Hair and skin by years from the own age, without ages at which there is no hair: the oldest may be bald."""
        for decades in DECADES:
            self._plane(decades)
        told = {0.0: self._own().hair, **self._seen}
        return {YEARS * decades: seen for decades, seen in told.items() if seen is not None}

    def beard(self) -> float:
        """How surely the portrait has a beard that greys, 0..1."""
        self._plane(BEARD_AT)
        return self._beard

    def _plane(self, decades: float) -> Tensor:
        if decades not in self._planes:
            young = self._own()
            if decades == 0.0:
                self._planes[decades] = torch.zeros(3, *young.log.shape[:2])
            else:
                moved = self._drawn(decades)
                self._seen[decades] = moved.hair
                if decades == BEARD_AT:
                    self._beard = _bearded(young, moved)
                ratio = _ratio(young, moved, younger=decades < 0.0)
                self._planes[decades] = torch.from_numpy(ratio).permute(2, 0, 1).contiguous()
        return self._planes[decades]

    def _own(self) -> _Drawn:
        """The portrait at the actor's age."""
        if self._young is None:
            self._young = self._drawn(0.0)
        return self._young

    def _drawn(self, decades: float) -> _Drawn:
        portrait = self.artist.portrait(self.style, decades)
        drawn = _on_canonical(portrait, self.artist.parts, self.outlines.get(decades))
        self.outlines[decades] = drawn.points
        return drawn


def exemplar_of(artist: Artist, style: str, outlines: str = "") -> Likeness:
    """The exemplar of the styles in a look, one a person and process; with its outlines where the look has them."""
    one = _exemplar_of(artist, style)
    if outlines and not one.outlines:
        one.outlines.update(heard_outlines(outlines))
    return one


@lru_cache(4)
def _exemplar_of(artist: Artist, style: str) -> Likeness:
    return Likeness(artist, heard(style))


def _between(years: float) -> tuple[float, int, int]:
    """Decades, within those that are drawn, and the places in DECADES next to them."""
    decades = min(max(years / YEARS, DECADES[0]), DECADES[-1])
    above = next(at for at, knot in enumerate(DECADES) if knot >= decades)
    return decades, max(above - 1, 0), above


def _on_canonical(picture: NDArray[np.uint8], parts: PartsFinder, outlines: Points | None) -> _Drawn:
    """A portrait on the canonical face, by its own outlines: features that sagged in it do not move the actor's."""
    half = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    # Rounded as the tracks keep them: whoever reads them there draws the same.
    found = locate_aligned(half, predictor()).astype(np.float32) if outlines is None else outlines
    on_half = np.asarray(found, np.float64)
    light = exemplars.onto_canonical(picture, 2.0 * on_half, SCALE)
    cheeks = regions.cheeks(light.shape[:2])
    floor = DARKEST * float(np.median(light[cheeks].mean(-1)))
    seen = torch.from_numpy(half).permute(2, 0, 1).float() / 255.0
    colour, skin = hair.measured(seen, parts(seen, on_half).hair), light[cheeks].mean(0)
    colours = None if colour is None else hair.Seen(colour, (float(skin[0]), float(skin[1]), float(skin[2])))
    return _Drawn(light, np.log(np.maximum(light, max(floor, 1e-3))), on_half, colours)


def _bearded(young: _Drawn, moved: _Drawn) -> float:
    """How surely a portrait has a beard that greys, 0..1: a dark lower face that the years lighten."""
    size = young.log.shape[:2]
    before, after = (_blurred(one.log @ LUMA, BEARD_BLUR) / math.log(2.0) for one in (young, moved))
    before, after = (stops - np.median(stops[regions.cheeks(size)]) for stops in (before, after))
    darker, lighter = BEARD_STOPS
    share = float(((before < -darker) & (after - before > lighter))[regions.beard(size)].mean())
    none, sure = BEARD_SHARES
    return round(min(max((share - none) / (sure - none), 0.0), 1.0), 2)


def _ratio(young: _Drawn, moved: _Drawn, younger: bool) -> Image:
    """Log-ratio of two portraits, its bands weighed, held within limits, and 0 where one of them shows no skin."""
    before, after = young.log, moved.log
    # What the actor has not, a pore or a hair of the portrait, is not divided out, nor printed by the younger one.
    if younger:
        after = _blurred(after, PORE * SCALE)
    else:
        before = _blurred(before, PORE * SCALE)
    ratio = after - before
    luma = ratio @ LUMA
    broad = _blurred_widely(luma, BROAD * SCALE * exemplars.eye_distance(CANONICAL))
    cast = float(np.median(luma[regions.cheeks(luma.shape)]))
    calm = regions.calm(luma.shape)
    toned = BROAD_GAIN * (broad - cast) + CAST_KEPT * cast + FINE_GAIN * (1.0 - CALM * calm) * (luma - broad)
    ratio = toned[..., None] + COLOUR_GAIN * (ratio - luma[..., None])
    darkest = DARKEN_LIMIT * (1.0 - CALM_LIMIT * calm)[..., None]
    limit = np.where(ratio < 0.0, darkest, np.float32(BRIGHTEN_LIMIT))
    skin = np.minimum(_skin(young), _skin(moved))
    return np.asarray(limit * np.tanh(ratio / limit) * skin[..., None], np.float32)


def _skin(drawn: _Drawn) -> Image:
    """Where a portrait shows skin or features and no hair over them, 0..1: (H, W)."""
    small = cv2.resize(drawn.log, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 1.5)
    tone, tint = small @ LUMA, small[..., 0] - small[..., 2]
    cheeks = regions.cheeks(tone.shape)
    good = (np.abs(tone - np.median(tone[cheeks])) < 0.9) & (np.abs(tint - np.median(tint[cheeks])) < 0.8)
    points = CANONICAL * (SCALE / 4.0)
    inner = cv2.convexHull(points[17:].astype(np.float32)).round().astype(np.int32)
    solid = cv2.morphologyEx(good.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    cv2.fillConvexPoly(solid, inner, 1)
    solid = cv2.erode(solid, np.ones((5, 5), np.uint8))
    feathered = np.clip(2.0 * cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 4.0) - 1.0, 0.0, 1.0)
    height, width = drawn.log.shape[:2]
    return np.asarray(cv2.resize(feathered, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _blurred(planes: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(planes, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _blurred_widely(plane: Image, sigma: float) -> Image:
    """A wide Gaussian, at a quarter of the size."""
    height, width = plane.shape
    small = cv2.resize(plane, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(_blurred(small, sigma / 4.0), (width, height), interpolation=cv2.INTER_LINEAR))
