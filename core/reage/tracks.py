"""The tracks file: what `analyse` found out about a shot, which `render`, the panel and the farm share.

JSON, versioned, readable, editable, validated when read. Points are plate pixels in the EXR pixel space (the centre
of pixel (0, 0) is (0.5, 0.5)); on anamorphic plates they are squeezed as the plate is.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from reage.atomic import write_text
from reage.errors import PlateError, RequestError

LARGEST_TRACKS_FILE = 1 << 29
"""Bytes. A face in a frame takes 2 KB: these are a quarter of a million; anything larger is a mistake or an attack."""
LARGEST_QUAD = 12_000
"""Plate pixels, of a side: a face that fills an 8K frame has 8000; more would fill the memory."""

_Coordinate = Annotated[float, Field(ge=-1e5, le=1e5)]  # plate pixels: far beyond any plate
Point = tuple[_Coordinate, _Coordinate]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FaceAt(_Strict):
    """One person in one frame, smoothed."""

    state: Literal["found", "bridged"] = "found"  # bridged: between two frames where it was found
    score: float = 0.0  # of the detector
    yaw: float = 0.0  # -1 (turned to its right) .. 1; 0 looks at the camera
    quad: Annotated[list[Point], Field(min_length=4, max_length=4)]  # TL, BL, BR, TR of the aligned crop
    landmarks: Annotated[list[Point], Field(min_length=68, max_length=68)]

    def quad_array(self) -> NDArray[np.float64]:
        """(4, 2)."""
        return np.asarray(self.quad, np.float64)

    def landmark_array(self) -> NDArray[np.float64]:
        """(68, 2)."""
        return np.asarray(self.landmarks, np.float64)

    @field_validator("quad")
    @classmethod
    def _has_area(cls, quad: list[Point]) -> list[Point]:
        (ax, ay), (bx, by), _, (dx, dy) = quad
        if abs((bx - ax) * (dy - ay) - (by - ay) * (dx - ax)) < 1.0:
            raise ValueError("the quad has no area")
        if max(math.dist(quad[0], quad[1]), math.dist(quad[0], quad[3])) > LARGEST_QUAD:
            raise ValueError(f"the quad is larger than {LARGEST_QUAD} pixels")
        return quad


class Person(_Strict):
    """One actor through the shot."""

    id: int = Field(ge=1)
    source_age: float = Field(ge=0, le=120)  # apparent age, locked for the shot
    crop: int = Field(ge=64, le=2048)  # side of the aligned crop in pixels, fixed for the shot
    look: dict[str, Any] = {}  # what a model settled once for this person, by the model's name
    frames: dict[int, FaceAt]


class PlateFacts(_Strict):
    """Which plate was analysed."""

    name: str
    frames: str  # range in Nuke's syntax, as found on disk
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    pixel_aspect: float = Field(gt=0)
    colorspace: str
    digest: str  # of all frames' content


class Tracks(_Strict):
    """The whole file."""

    version: Literal[1] = 1
    plate: PlateFacts
    settings: str  # hash of the analysis settings and models
    exposure: float = Field(ge=-32, le=32)  # stops that bring the faces to mid grey; one value for the shot
    cuts: list[int] = []  # first frames of new takes within the plate
    persons: list[Person] = []

    @field_validator("persons")
    @classmethod
    def _told_apart(cls, persons: list[Person]) -> list[Person]:
        ids = [person.id for person in persons]
        if len(set(ids)) < len(ids):
            raise ValueError("two persons have the same id")
        return persons

    def take(self, frame: int) -> tuple[float, float]:
        """First frame and end (exclusive) of the take that a frame belongs to."""
        starts = [cut for cut in self.cuts if cut <= frame]
        ends = [cut for cut in self.cuts if cut > frame]
        return (max(starts) if starts else -math.inf, min(ends) if ends else math.inf)


def load_tracks(path: Path) -> Tracks:
    """Read and validate a tracks file.

    Raises:
        PlateError: the file is missing or cannot be read.
        RequestError: its content is not a tracks file of a version this reage knows, or larger than 512 MiB.
    """
    try:
        if path.stat().st_size > LARGEST_TRACKS_FILE:
            raise RequestError(f"{path}: larger than 512 MiB; that is not a tracks file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlateError(f"{path}: cannot read the tracks file; run 'reage analyse' first") from error
    try:
        return Tracks.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "the file"
        raise RequestError(f"{path}: not a valid tracks file: {where}: {first['msg']}") from error


def save_tracks(tracks: Tracks, path: Path) -> None:
    """Write a tracks file whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    body = json.dumps(_rounded(tracks.model_dump(mode="json")), separators=(",", ":"))
    body = body.replace('"frames":{', '"frames":{\n').replace(']]},"', ']]},\n"').replace("}}},{", "}}},\n{")
    write_text(path, body + "\n")


def _rounded(value: Any) -> Any:
    """Plate pixels to a thousandth: readable, and far below what a landmark knows."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
