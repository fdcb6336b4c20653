"""Ages: a number, a curve of keys, or one of these per face."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass

from reage.errors import RequestError

OLDEST = 120.0


@dataclass(frozen=True)
class Curve:
    """A value over frames: linear between keys, held outside."""

    keys: tuple[tuple[int, float], ...]  # (frame, years), frames rising

    def __call__(self, frame: int) -> float:
        """Years at a frame."""
        frames = [key[0] for key in self.keys]
        right = bisect.bisect_left(frames, frame)
        if right == 0:
            return self.keys[0][1]
        if right == len(self.keys):
            return self.keys[-1][1]
        (f0, a0), (f1, a1) = self.keys[right - 1], self.keys[right]
        part = (frame - f0) / (f1 - f0)
        # From the nearer key: exact at both, and between keys that are equal, since a frame's hash is made of it.
        return a0 + (a1 - a0) * part if part < 0.5 else a1 - (a1 - a0) * (1.0 - part)

    def __str__(self) -> str:
        if len(self.keys) == 1:
            return f"{self.keys[0][1]:g}"
        return ",".join(f"{frame}:{value:.10g}" for frame, value in self.keys)


def parse_curve(text: str | float, option: str = "--age") -> Curve:
    """Read `70`, `45.5` or `1001:30,1050:45.5`.

    Raises:
        RequestError: not a number, outside 0..120, or two keys at one frame.
    """
    words = str(text).strip()
    if ":" not in words:
        return Curve(((0, _years(words, option)),))
    keys: dict[int, float] = {}
    for word in words.split(","):
        frame_text, _, value_text = word.partition(":")
        try:
            frame = int(frame_text.strip())
        except ValueError as error:
            raise RequestError(f"{option} {words}: '{word}' is not FRAME:AGE with a whole frame") from error
        if frame in keys:
            raise RequestError(f"{option} {words}: two keys at frame {frame}; keep one")
        keys[frame] = _years(value_text, option)
    return Curve(tuple(sorted(keys.items())))


def _years(text: str, option: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise RequestError(f"{option}: '{text}' is not an age in years") from error
    if not math.isfinite(value) or not 0.0 <= value <= OLDEST:
        raise RequestError(f"{option}: {text} is not an age from 0 to 120")
    return value


@dataclass(frozen=True)
class Ages:
    """Target ages of a shot: one curve for all faces, or one per face id."""

    everyone: Curve | None
    by_face: Mapping[int, Curve]

    def of(self, face: int) -> Curve | None:
        """The curve of a face; None where it is not to be re-aged."""
        return self.by_face.get(face, self.everyone)


def parse_ages(words: list[str]) -> Ages:
    """Read the values of repeated `--age` options: one for everyone, and/or `ID=CURVE` per face.

    Raises:
        RequestError: as `parse_curve`, or a face named twice.
    """
    everyone: Curve | None = None
    by_face: dict[int, Curve] = {}
    for word in words:
        face_text, equals, curve_text = word.partition("=")
        if not equals:
            if everyone is not None:
                raise RequestError(f"--age {word}: an age for all faces was given already; use --age ID=AGE per face")
            everyone = parse_curve(word)
            continue
        try:
            face = int(face_text)
        except ValueError as error:
            raise RequestError(f"--age {word}: '{face_text}' is not a face id (a whole number)") from error
        if face in by_face:
            raise RequestError(f"--age {word}: face {face} was given an age already")
        by_face[face] = parse_curve(curve_text)
    return Ages(everyone, by_face)
