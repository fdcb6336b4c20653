"""A plate opened for work: frames as colour in a rectangle, crops out of it, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import OpenImageIO as oiio
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage import geometry
from reage.colour import Colour, default_space, shoulder
from reage.composite import rectangle
from reage.errors import PlateError
from reage.images import alpha_plane, colour_planes, find_beauty, plain_header
from reage.job import Job
from reage.plate import Plate, open_plate
from reage.records import Beauty, Part, Picture, Window
from reage.tracks import FaceAt

Array = NDArray[np.float32]


@dataclass(frozen=True)
class FrameView:
    """One decoded frame and the colour in it."""

    number: int
    picture: Picture
    beauty: Beauty
    colour: Array  # (H, W, 3) of the data window, plate's space, as stored (premultiplied where the plate is)
    alpha: Array | None  # (H, W), given only where the colour is premultiplied

    @property
    def part(self) -> Part:
        """The part that holds the beauty."""
        return self.picture.parts[self.beauty.part]

    @property
    def window(self) -> Window:
        """The data window."""
        return self.part.data_window

    def straight(self, window: Window) -> Array:
        """Colour over a rectangle of the plate, not premultiplied: (h, w, 3)."""
        at = window.within(self.window)
        if self.alpha is None:
            return self.colour[at]
        alpha = self.alpha[at][..., None]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(alpha > 0, self.colour[at] / alpha, self.colour[at]).astype(np.float32)


class Shot:
    """A plate with its colour space settled."""

    def __init__(self, job: Job) -> None:
        """Open the plate a job names.

        Raises:
            PlateError: it is missing, empty or its first frame cannot be read.
            RequestError: its colour space is not known.
        """
        oiio.attribute("threads", 1)  # frames are decoded side by side
        self.plate: Plate = open_plate(job.plate, first_frame=job.first_frame, view=job.view)
        self._view = job.view
        first = self._first_picture(job.on_error != "stop")
        part = first.parts[find_beauty(first, job.view).part]
        self.pixel_aspect = part.pixel_aspect
        self.display = part.display_window
        space = job.colorspace or default_space(first.format, plain_header(part), job.ocio)
        self.colour = Colour(space, job.ocio)

    def _first_picture(self, patient: bool) -> Picture:
        """The first frame; where it is damaged and `patient`, the first that can be read."""
        fault: PlateError | None = None
        for number in self.plate.frames if patient else self.plate.frames[:1]:
            try:
                return self.plate.read(number)
            except PlateError as error:
                fault = fault or error
        raise fault or PlateError(f"{self.plate.name}: no frame can be read; check the plate")

    def frame(self, number: int) -> FrameView:
        """Decode one frame.

        Raises:
            PlateError: it is missing or damaged.
        """
        picture = self.plate.read(number)
        beauty = find_beauty(picture, self._view)
        alpha = alpha_plane(picture, beauty) if beauty.premultiplied else None
        return FrameView(number, picture, beauty, colour_planes(picture, beauty), alpha)

    def crop(self, frame: FrameView, face: FaceAt, size: int, exposure: float, device: torch.device) -> Tensor | None:
        """The aligned crop as the networks see it: (3, size, size) float32, sRGB-encoded 0..1.

        None where the face's rectangle lies wholly outside the plate.
        """
        quad = face.quad_array()
        window = rectangle(quad, frame.window)
        if window.width == 0 or window.height == 0:
            return None
        window_from_crop = geometry.compose(geometry.shift(-window.x, -window.y), geometry.plate_from_crop(quad, size))
        pixels, part_from_crop = _shrunk(frame.straight(window), window_from_crop)
        code = shoulder(self.colour.code_from_plate(pixels, exposure)).to(device)
        return geometry.resample(code, part_from_crop, size, size).clamp(0.0, 1.0)

    def plate_change(self, frame: FrameView, face: FaceAt, window: Window, change: Tensor, exposure: float) -> Array:
        """D over a rectangle: (h, w, 3) in the plate's space, 0 outside the face's quad."""
        crop_from_plate = geometry.invert(geometry.plate_from_crop(face.quad_array(), change.shape[-1]))
        crop_from_window = geometry.compose(crop_from_plate, geometry.shift(window.x, window.y))
        moved = geometry.resample(change, crop_from_window, window.height, window.width).cpu()
        inside = torch.from_numpy(geometry.covers(crop_from_window, change.shape[-1], window.width, window.height))
        delta = self.colour.plate_change(frame.straight(window), torch.where(inside, moved, 0.0), exposure)
        if frame.alpha is not None:
            delta = delta * frame.alpha[window.within(frame.window)][..., None]
        return np.nan_to_num(delta, nan=0.0, posinf=0.0, neginf=0.0)


def _shrunk(pixels: Array, window_from_crop: geometry.Affine) -> tuple[Array, geometry.Affine]:
    """Pixels shrunk by a whole number, as light, where a crop is much coarser than the plate, and the map into them."""
    by = int(np.hypot(window_from_crop[0, :2], window_from_crop[1, :2]).min() + 0.25)
    height, width = pixels.shape[0] // by if by else 0, pixels.shape[1] // by if by else 0
    if by < 2 or not height or not width:
        return pixels, window_from_crop
    part = pixels[: height * by, : width * by]  # what a last group lacks is the border that is repeated
    small = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32), window_from_crop / by


def on_crop(face: FaceAt, size: float) -> np.ndarray:
    """Landmarks in crop pixels of a crop of a given side: (68, 2) float64."""
    crop_from_plate = geometry.invert(geometry.plate_from_crop(face.quad_array(), 1))
    return geometry.apply(crop_from_plate, face.landmark_array()) * size
