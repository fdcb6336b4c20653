"""A small shot with a drawn face, tracks made by hand, and a small model: the pipeline without real faces."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import torch
from synthetic_face import face_shape
from torch import Tensor
from torch.nn import functional as F

import reage.pipeline
from reage.agers.base import AgeCodes, ModelFacts
from reage.align import ffhq_quad
from reage.tracks import FaceAt, Person, PlateFacts, Tracks, save_tracks

WIDTH, HEIGHT = 192, 144
FIRST = 1001


def texture(frame: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Soft colour that drifts with the face, plus grain; some values above 1 and below 0: (h, w, 3) float32."""
    rng = np.random.default_rng(5)
    coarse = torch.from_numpy(rng.random((1, 3, 24, 32))).float()
    picture = F.interpolate(coarse, size=(height, width + 64), mode="bicubic", align_corners=False)[0]
    moved = picture[:, :, 32 - (frame - FIRST) : 32 - (frame - FIRST) + width].permute(1, 2, 0).numpy()
    grain = np.random.default_rng(frame).normal(0, 0.01, moved.shape)
    plate = 0.1 + 0.4 * moved + grain
    plate[5:9, 5:9] = 6.5
    plate[60:63, 70:73] = 5.0
    plate[64:66, 80:82] = -0.05
    return plate.astype(np.float32)


def write_plate(folder: Path, frames: range, extra: bool = False, half: bool = True) -> str:
    """An EXR sequence; with `extra` a multipart of 20 channels of three types. Returns its pattern."""
    folder.mkdir(parents=True, exist_ok=True)
    for frame in frames:
        picture = texture(frame).astype(np.float16 if half else np.float32)
        channels: dict[str, Any] = {c: np.ascontiguousarray(picture[..., i]) for i, c in enumerate("RGB")}
        header: dict[str, Any] = {
            "compression": OpenEXR.ZIP_COMPRESSION,
            "type": OpenEXR.scanlineimage,
            "worldToCamera": np.arange(16, dtype=np.float32).reshape(4, 4),
            "owner": "the plate's own",
        }
        parts = []
        if extra:
            rng = np.random.default_rng(frame)
            shape = picture.shape[:2]
            channels |= {f"light{i}.{c}": rng.random(shape).astype(np.float16) for i in range(4) for c in "RGB"}
            channels["Z"] = rng.random(shape).astype(np.float32)
            depth = {"id": rng.integers(0, 2**32 - 1, (40, 50), dtype=np.uint32)}
            depth |= {f"motion.{c}": rng.normal(0, 1, (40, 50)).astype(np.float32) for c in "xyz"}
            window = (np.array([7, 9], np.int32), np.array([56, 48], np.int32))
            own = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.PIZ_COMPRESSION, "dataWindow": window}
            display = (np.array([0, 0], np.int32), np.array([WIDTH - 1, HEIGHT - 1], np.int32))
            parts.append(OpenEXR.Part({**own, "displayWindow": display}, depth, "depth"))
        parts.insert(0, OpenEXR.Part(header, channels, "rgba"))
        OpenEXR.File(parts).write(str(folder / f"plate.{frame}.exr"))
    return str(folder / "plate.%04d.exr")


def face_at(frame: int, size: float = 0.6) -> FaceAt:
    shape = face_shape((90.0 + (frame - FIRST), 66.0), roll=0.05, size=size)
    return FaceAt(
        score=1.0,
        quad=[(float(x), float(y)) for x, y in ffhq_quad(shape)],
        landmarks=[(float(x), float(y)) for x, y in shape],
    )


def write_tracks(path: Path, frames: Any, people: Mapping[int, Any] | None = None, **more: Any) -> Path:
    """Tracks with one face in the given frames, or the given people."""
    faces = {1: {frame: face_at(frame) for frame in frames}} if people is None else people
    facts = PlateFacts(
        name="plate", frames="1", width=WIDTH, height=HEIGHT, pixel_aspect=1.0, colorspace="ACEScg", digest="-"
    )
    persons = [Person(id=i, source_age=30, crop=128, frames=f) for i, f in faces.items()]
    save_tracks(Tracks(plate=facts, settings="-", exposure=0.25, persons=persons, **more), path)
    return path


class SmallAger:
    """A fixed random convolution, scaled by the years: real arithmetic, no weights."""

    def __init__(self) -> None:
        self.facts = ModelFacts("small", "small", "5a" * 32, "a test's own", (10.0, 90.0), True, True, False, False)
        rng = torch.Generator().manual_seed(1)
        self._kernel = torch.randn(3, 3, 5, 5, generator=rng) * 0.05

    def __call__(
        self, crops: Tensor, source_age: Any = None, target_age: Any = 70.0, *, landmarks: Any = None, look: Any = None
    ) -> Tensor:
        years = (torch.as_tensor(target_age, dtype=torch.float32).reshape(-1) - float(source_age)) / 40.0
        return crops + years.view(-1, 1, 1, 1) * F.conv2d(crops - 0.5, self._kernel, padding=2).tanh() * 0.2

    def first_look(self, crop: Tensor, landmarks: Tensor, source_age: float, exemplar: str | None) -> dict[str, Any]:
        return {}


class SmallCodedAger(SmallAger):
    """A model that goes through a code, as SAM does: it paints 16 pixels wide, with an error of its own, and boils."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = ModelFacts("coded", "small", "c0" * 32, "a test's own", (0.0, 120.0), False, True, True, False)
        self.error = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(2)) * 0.2
        self.pattern = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(3)) * 0.3

    def encode(self, crops: Tensor, source_age: Any, target_age: Any) -> AgeCodes:
        mean = crops.mean((1, 2, 3))[:, None, None]
        boil = 1.0 + 0.5 * torch.sin(1e5 * mean)  # the grain alone makes it another number
        years = torch.as_tensor(target_age, dtype=torch.float32).reshape(-1, 1, 1) - float(source_age)
        return AgeCodes(mean, years / 40.0 * boil)

    def paint(self, codes: Tensor) -> Tensor:
        return codes[..., None] * self.pattern + self.error


class SmallAgelessAger(SmallAger):
    """A model that takes no age, as Fast-AgingGAN."""

    def __init__(self) -> None:
        super().__init__()
        self.facts = dataclasses.replace(self.facts, takes_age=False, clamps=False)


def use_small_ager(monkeypatch: Any, kind: type[SmallAger] = SmallAger) -> None:
    monkeypatch.setattr(reage.pipeline, "load_ager", lambda *_: kind())
