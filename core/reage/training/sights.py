"""A frame of a plate or of a result as the evaluation sees it, and what a face in it reads as."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage import geometry
from reage.colour import Colour
from reage.faces.age import apparent_age
from reage.faces.identity import describe, distance
from reage.faces.landmarks import locate, predictor
from reage.faces.look import Look, grey, to_flat
from reage.faces.shape import Shape, upright_box
from reage.pipeline.shot import on_crop
from reage.records import Window
from reage.tracks import FaceAt
from reage.training import measures

Figures = dict[str, float]
Picture8 = NDArray[np.uint8]

CROP = 512
HALF_A_CODE = 0.5 / 255.0


@dataclass(frozen=True)
class Sight:
    """One frame, of the plate or of a result, as it is measured."""

    stored: NDArray[np.float32]  # (H, W, 3) as an EXR holds it
    code: Tensor  # (3, H, W) sRGB-encoded, unbounded
    display: Picture8  # (H, W, 3)
    window: Window
    change: Tensor | None = None  # (3, H, W) of the code, by the layers: M times D; None for a plate
    matte: NDArray[np.float32] | None = None  # (H, W), 0 too where the model changes nothing: a head's matte is wide

    @cached_property
    def shown(self) -> Tensor:
        """(3, H, W) 0..1 of the display."""
        return torch.from_numpy(self.display).permute(2, 0, 1).float() / 255.0


def sight_of(stored: NDArray[np.float32], window: Window, colour: Colour, exposure: float) -> Sight:
    """A frame of the plate, from its stored colour."""
    return Sight(stored, colour.code_from_plate(stored, exposure), colour.display(stored, exposure), window)


def result_sight(
    stored: NDArray[np.float32],
    layers: tuple[NDArray[np.float32], NDArray[np.float32]],
    plate: Sight,
    colour: Colour,
    exposure: float,
) -> Sight:
    """A frame of a result, over the plate's window, from its stored colour and its layers: D (H, W, 3) and M (H, W)."""
    delta, matte = layers
    aged = colour.code_from_plate(plate.stored + matte[..., None] * delta, exposure)
    shown = np.where((delta != 0.0).any(-1), matte, np.float32(0.0))
    return Sight(stored, aged, colour.display(stored, exposure), plate.window, aged - plate.code, shown)


def flat(sight: Sight, points: Shape, pixel_aspect: float) -> tuple[Look, Shape]:
    """A frame and landmarks as the face models take them, in the frame's own corner."""
    moved = points - np.array([sight.window.x, sight.window.y])
    return Look(sight.display, pixel_aspect=pixel_aspect), to_flat(moved, pixel_aspect)


def sampled(planes: Tensor, sight: Sight, quad: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Planes of a frame over a quad: (C, side, side)."""
    corner = geometry.shift(-sight.window.x, -sight.window.y)
    at = geometry.compose(corner, geometry.plate_from_crop(quad, side))
    return np.asarray(geometry.resample(planes, at, side, side).numpy(), np.float32)


def matte_of(sight: Sight, quad: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """The matte over a quad: (side, side)."""
    assert sight.matte is not None
    return np.asarray(sampled(torch.from_numpy(sight.matte)[None], sight, quad, side)[0])


def change_of(sight: Sight, quad: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """The change of the code over a quad: (3, side, side)."""
    assert sight.change is not None
    return sampled(sight.change, sight, quad, side)


def crop_of(sight: Sight, quad: NDArray[np.float64], side: int = CROP) -> Picture8:
    """What a display shows over a quad: (side, side, 3)."""
    return eight_bit(sampled(sight.shown, sight, quad, side))


def eight_bit(planes: NDArray[np.float32]) -> Picture8:
    """(3, S, S) 0..1 to (S, S, 3)."""
    codes = np.rint(np.clip(planes, 0.0, 1.0) * 255.0).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


def found_on_crop(crop: Picture8, landmarks: Shape) -> tuple[Shape, Shape]:
    """Landmarks on a crop from the box of given ones: by the pipeline's averaged starts, and by one start alone."""
    import dlib

    look, box = Look(crop), upright_box(landmarks)
    left, top = box.x - box.side / 2, box.y - box.side / 2
    rectangle = dlib.rectangle(round(left), round(top), round(left + box.side) - 1, round(top + box.side) - 1)
    parts = predictor()(grey(crop), rectangle).parts()
    once = np.array([(point.x, point.y) for point in parts], np.float64) + 0.5
    return locate(look, box, predictor()).landmarks, once


def ages_of(look: Look, landmarks: Shape) -> tuple[float, float, NDArray[np.float64]]:
    """Apparent age, the same at half resolution, and (8,) with the box moved."""
    moved = [apparent_age(look, points) for points in measures.moved_boxes(landmarks)]
    return apparent_age(look, landmarks), apparent_age(*measures.halved(look, landmarks)), np.array(moved)


class Judge:
    """A face in a frame of the plate, against which results of that frame are judged."""

    def __init__(self, plate: Sight, face: FaceAt, pixel_aspect: float, seed: int) -> None:
        """Read the plate.

        Args:
            plate: the frame.
            face: where the face is.
            pixel_aspect: width of a pixel over its height.
            seed: of the noise under which the landmarks' own scatter is told.
        """
        self._plate, self._aspect = plate, pixel_aspect
        self._points, self._quad = face.landmark_array(), face.quad_array()
        look, points = flat(plate, self._points, pixel_aspect)
        self.age, self._half, self._moved = ages_of(look, points)
        self._who = describe(look, points)
        crop = sampled(plate.shown, plate, self._quad, CROP)
        noise = np.random.default_rng(seed).normal(0.0, HALF_A_CODE, crop.shape).astype(np.float32)
        self.on_crop: Shape = on_crop(face, CROP)
        self._own = found_on_crop(eight_bit(crop), self.on_crop)
        self._noisy = found_on_crop(eight_bit(crop + noise), self.on_crop)

    def of(self, result: Sight) -> tuple[Figures, NDArray[np.float64]]:
        """Figures of a result, and the eight changes of apparent age under moved boxes."""
        look, points = flat(result, self._points, self._aspect)
        age, half, moved = ages_of(look, points)
        seen = found_on_crop(crop_of(result, self._quad), self.on_crop)
        assert result.matte is not None
        figures = {
            "plate_age": self.age,
            "result_age": age,
            "rise": age - self.age,
            "rise_half": half - self._half,
            "identity": distance(self._who, describe(look, points)),
            "landmarks": measures.landmark_shift(self._own[0], seen[0]),
            "landmarks_noise": measures.landmark_shift(self._own[0], self._noisy[0]),
            "landmarks_once": measures.landmark_shift(self._own[1], seen[1]),
            "landmarks_once_noise": measures.landmark_shift(self._own[1], self._noisy[1]),
            "outside": measures.outside_share(self._plate.stored, result.stored, result.matte),
            "change": measures.rms(change_of(result, self._quad, CROP), matte_of(result, self._quad, CROP)),
        }
        return figures, moved - self._moved
