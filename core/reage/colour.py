"""From a plate's own colour space to what the networks saw in training, and back.

Networks see *display* values: Rec.709 primaries, sRGB-encoded, faces near mid grey, highlights rolled off softly above
0.8. What they answer returns to the plate as a change of the encoded value (the D of the contract):

    D = plate_from_linear(decode(encode(x) + change) / gain) - plate_from_linear(x / gain)

with x the plate's pixel in linear Rec.709, times one gain per shot. The sRGB curve is used without a clamp: its power
piece goes on above 1 and its linear piece below 0, so highlights and negatives survive, and no change is exactly 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import PyOpenColorIO as ocio
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.errors import RequestError

PINNED_CONFIG = "ocio://cg-config-v2.2.0_aces-v1.3_ocio-v2.4"
"""Named by version: `ocio://default` changes with the library."""

LINEAR_709 = "Linear Rec.709 (sRGB)"
SRGB_709 = "sRGB Encoded Rec.709 (sRGB)"
SHOULDER = 0.8
"""Encoded value above which highlights are rolled off for the network."""

Pixels = NDArray[np.float32]  # (H, W, 3)


def encode_srgb(linear: Tensor) -> Tensor:
    """The sRGB curve (IEC 61966-2-1), continued below 0 (linear piece) and above 1 (power piece)."""
    power = linear.clamp_min(0.0031308).pow_(1.0 / 2.4).mul_(1.055).sub_(0.055)
    # Each piece is the lower one where it holds.
    return torch.minimum(12.92 * linear, power)


def decode_srgb(code: Tensor) -> Tensor:
    """Inverse of `encode_srgb`."""
    power = code.clamp_min(0.04045).add_(0.055).div_(1.055).pow_(2.4)
    return torch.where(code <= 0.04045, code / 12.92, power)


def shoulder(code: Tensor) -> Tensor:
    """Roll values above 0.8 off towards 1.0 and lift nothing: identity, slope and value continuous at 0.8.

    Negative codes are held at 0; NaN becomes 0.
    """
    room = 1.0 - SHOULDER
    finite = torch.nan_to_num(code, nan=0.0, posinf=1e4, neginf=0.0).clamp_(0.0, 1e4)
    over = (finite - SHOULDER).clamp_min_(0.0)
    return finite.clamp_max_(SHOULDER).add_(room * over / (over + room))


class Colour:
    """Conversions for one plate: made once a process, used for all frames."""

    def __init__(self, space: str, config: str | None = None) -> None:
        """Find the plate's space.

        Args:
            space: a name, alias or role of the config.
            config: path or `ocio://` name; left out: `$OCIO` where it is set, else the pinned ACES config.

        Raises:
            RequestError: the config cannot be read, or does not know the space.
        """
        self.config_name = config or os.environ.get("OCIO") or PINNED_CONFIG
        source = _load(self.config_name)
        found = source.getColorSpace(space)
        if found is None:
            names = ", ".join(list(source.getColorSpaceNames())[:12])
            raise RequestError(f"--colorspace {space}: {self.config_name} has no such space; it has {names}, …")
        if found.isData():
            raise RequestError(f"--colorspace {space}: a data space has no colour; name the plate's colour space")
        self.space = found.getName()
        pinned = _load(PINNED_CONFIG)
        try:
            forward = ocio.Config.GetProcessorFromConfigs(source, self.space, pinned, LINEAR_709)
            back = ocio.Config.GetProcessorFromConfigs(pinned, LINEAR_709, source, self.space)
        except ocio.Exception as error:
            raise RequestError(
                f"--ocio {self.config_name}: cannot relate '{self.space}' to linear Rec.709 "
                "(the config needs the role aces_interchange)"
            ) from error
        self.identity = str(forward.getCacheID())  # of what is computed, whatever the config is called
        self._forward, self._is_matrix = _conversion(forward)
        self._back, _ = _conversion(back)
        self._is_srgb = self._matches_srgb(pinned)

    def _matches_srgb(self, pinned: Any) -> bool:
        """Whether the plate's codes are the networks' own, so that no conversion need be computed."""
        probe = np.array([[[0.02, 0.3, 0.7], [0.9, 0.5, 0.001]]], np.float32)
        ours, theirs = self._forward(probe), probe.copy()
        pinned.getProcessor(SRGB_709, LINEAR_709).getDefaultCPUProcessor().applyRGB(theirs)
        return bool(np.abs(ours - theirs).max() < 1e-6)

    @property
    def is_srgb(self) -> bool:
        """Whether the plate holds sRGB-encoded Rec.709: what a display shows."""
        return self._is_srgb

    def linear(self, pixels: Pixels) -> Pixels:
        """(H, W, 3) linear Rec.709, unbounded, of plate pixels."""
        return _interleave(decode_srgb(_planes(pixels))) if self._is_srgb else self._forward(pixels)

    def code_from_plate(self, pixels: Pixels, exposure: float) -> Tensor:
        """Encode plate pixels for the networks, before the shoulder.

        Args:
            pixels: (H, W, 3) in the plate's space, unbounded.
            exposure: stops.

        Returns:
            (3, H, W) float32, sRGB-encoded, unbounded.
        """
        linear = decode_srgb(_planes(pixels)) if self._is_srgb else _planes(self._forward(pixels))
        return encode_srgb(linear * 2.0**exposure)

    def plate_change(self, pixels: Pixels, change: Tensor, exposure: float) -> Pixels:
        """The change D in the plate's space that a change of the encoded values makes.

        Args:
            pixels: (H, W, 3) in the plate's space.
            change: (3, H, W) signed, in the encoding of `code_from_plate`.
            exposure: stops, as given there.

        Returns:
            (H, W, 3) float32; exactly 0 where `change` is 0, and finite where the plate is.
        """
        with np.errstate(invalid="ignore"):
            delta = self._moved(pixels, change, 2.0**exposure)
        result: Pixels = np.where(change.permute(1, 2, 0).numpy() == 0.0, np.float32(0.0), delta)
        return result

    def _moved(self, pixels: Pixels, change: Tensor, gain: float) -> Pixels:
        if self._is_srgb and gain == 1.0:
            return _interleave(change)
        linear = _planes(self.linear(pixels)) * gain
        light = (decode_srgb(encode_srgb(linear) + change) - linear) / gain
        if self._is_matrix:
            return self._back(_interleave(light))
        after = linear / gain + light
        if self._is_srgb:
            return _interleave(encode_srgb(after)) - pixels
        return self._back(_interleave(after)) - self._back(_interleave(linear / gain))

    def display(self, pixels: Pixels, exposure: float = 0.0) -> NDArray[np.uint8]:
        """(H, W, 3) sRGB-encoded 8-bit picture for detectors, thumbnails and movies; highlights rolled off.

        Values pass through half float on the way, which moves one in a hundred by one code value at most.
        """
        values = pixels if self._is_srgb else self._forward(pixels)
        halves = torch.from_numpy(np.ascontiguousarray(values, np.float32)).half().numpy()
        return np.asarray(cv2.LUT(halves.view(np.uint16), _display_codes(self._is_srgb, exposure)), np.uint8)

    def encoded(self, pixels: Pixels, exposure: float = 0.0) -> Pixels:
        """(H, W, 3) sRGB-encoded float32 picture, 0..1; highlights rolled off."""
        return _interleave(shoulder(self.code_from_plate(pixels, exposure)))


def _conversion(processor: Any) -> tuple[Callable[[Pixels], Pixels], bool]:
    """A processor as a function of (H, W, 3) pixels that leaves them as they are, and whether it is but a matrix.

    Spaces that differ by their primaries alone are related by a matrix, which is ten times quicker by itself.
    """
    cpu = processor.getDefaultCPUProcessor()

    def apply(pixels: Pixels) -> Pixels:
        copy = np.array(pixels, np.float32, order="C")
        cpu.applyRGB(copy)
        return copy

    if processor.isNoOp():
        return (lambda pixels: np.array(pixels, np.float32, order="C")), True
    matrix = apply(np.eye(3, dtype=np.float32)[None])[0].T.astype(np.float64)
    probe = np.random.default_rng(0).normal(0.0, 1.0, (1, 256, 3)) * np.logspace(-4.0, 3.0, 256)[None, :, None]
    if not np.allclose(apply(probe.astype(np.float32)), probe @ matrix.T, rtol=1e-4, atol=1e-6):
        return apply, False
    return (lambda pixels: np.asarray(cv2.transform(np.ascontiguousarray(pixels, np.float32), matrix))), True


@lru_cache(maxsize=8)
def _display_codes(is_srgb: bool, exposure: float) -> NDArray[np.uint8]:
    """What a display shows for each half float: (65536,) by its bits, of linear Rec.709 or of an sRGB code."""
    halves = torch.from_numpy(np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32))
    code = encode_srgb((decode_srgb(halves) if is_srgb else halves) * 2.0**exposure)
    return np.asarray(np.rint(shoulder(code).numpy() * 255.0), np.uint8)


def _planes(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _interleave(planes: Tensor) -> Pixels:
    return np.ascontiguousarray(planes.permute(1, 2, 0).numpy())


def _load(name: str) -> Any:
    try:
        return ocio.Config.CreateFromFile(name)
    except (ocio.Exception, ocio.ExceptionMissingFile) as error:
        raise RequestError(f"--ocio {name}: not a readable OpenColorIO config") from error


def default_space(format: str, header: Mapping[str, Any], config: str | None = None) -> str:
    """The space of a plate that was not told one.

    Args:
        format: of the picture ("exr", "dpx", "png", "movie", …).
        header: metadata of its beauty part; `oiio:ColorSpace`, `colorInteropID` or `colorspace` may name a space.
        config: as for `Colour`.

    Returns:
        A name the config knows: for EXR the space its header names, else the role scene_linear; for all else
        sRGB-encoded Rec.709 of the config.

    Raises:
        RequestError: a DPX, which has to be told, or a config without the space that is needed.
    """
    name = config or os.environ.get("OCIO") or PINNED_CONFIG
    known = _load(name)
    if format == "dpx":
        raise RequestError("a DPX plate does not say what its codes mean; give --colorspace (for instance ACEScct)")
    if format == "exr":
        for key in ("oiio:ColorSpace", "colorInteropID", "colorspace"):
            told = header.get(key)
            found = known.getColorSpace(told) if isinstance(told, str) else None
            if found is not None and not found.isData():
                return str(found.getName())
        if known.hasRole("scene_linear"):
            return str(known.getRoleColorSpace("scene_linear"))
        raise RequestError(f"--ocio {name}: the config has no role scene_linear; give --colorspace")
    for alias in ("srgb_rec709_scene", SRGB_709, "sRGB - Texture", "Utility - sRGB - Texture", "sRGB"):
        found = known.getColorSpace(alias)
        if found is not None:
            return str(found.getName())
    raise RequestError(f"--ocio {name}: the config has no sRGB-encoded Rec.709; give --colorspace")
