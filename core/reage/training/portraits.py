"""Portraits of people who do not exist, held out for the evaluation: drawn, read, chosen, and kept as files.

Each comes with the generator's own way of making it older and younger: the teacher, whose edits moved the styles of
face and skin along the direction of age, and which a model is held against.

FOLDER holds `facts.json` (of every draw: apparent age and landmarks, or that no face was found), `NNNNN.png` (1024 x
1024, the chosen ones), and `teacher-DIGEST/NNNNN_SHIFT.png` for each direction that was asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.atomic import whole_file, write_text
from reage.errors import ModelError, OutputError, RequestError
from reage.faces.age import apparent_age
from reage.faces.landmarks import locate, predictor
from reage.faces.look import Look
from reage.faces.shape import Shape, Upright
from reage.training.bank import DLIB_BOX
from reage.training.generator import WIDTH, Generator, Style, aged

Picture8 = NDArray[np.uint8]

SEED = 20_000_000
"""Draw i of the evaluation takes its noise from `default_rng(SEED + i)`. Reserved: no training may draw from it."""
TRUNCATION = 0.75
SIDE = 1024
SHIFTS = (-2.0, -1.0, 1.0, 2.0, 3.0, 4.0)
"""Decades by which the teacher's edits move a style."""
YOUNGER, OLDER = (25.0, 45.0), (40.0, 60.0)
"""Apparent ages from which a target of 70, and one of 20, are judged."""
MOST_DRAWS = 14
"""Draws a portrait that is wanted; after that, what was found must do."""
UNSURE = 0.065
"""Disagreement of the landmark starts beyond which a draw shows no face."""
RECIPE = 1
"""To be raised with any change of what is drawn or read, so that kept facts are read again."""


@dataclass(frozen=True)
class Direction:
    """The way in style space along which the teacher ages: added to all inputs, about ten years."""

    per_decade: Style  # (512,)

    @classmethod
    def load(cls, file: Path) -> Direction:
        """Read `age_normal_per_decade`, or `age_normal`, of an .npz.

        Raises:
            RequestError: there is no such file, or it holds neither.
        """
        try:
            with np.load(file) as held:
                name = next(name for name in ("age_normal_per_decade", "age_normal") if name in held)
                per_decade = np.asarray(held[name], np.float32)
        except (OSError, ValueError, StopIteration) as error:
            raise RequestError(f"--direction {file}: not an .npz with age_normal_per_decade") from error
        if per_decade.shape != (WIDTH,):
            raise RequestError(f"--direction {file}: {per_decade.shape} numbers, {WIDTH} are needed")
        return cls(per_decade)

    @cached_property
    def digest(self) -> str:
        """Tells one direction from another: 12 hex digits."""
        return hashlib.sha256(self.per_decade.tobytes()).hexdigest()[:12]

    def moved(self, style: Style, decades: float) -> Style:
        """(23, 512) styles of a (512,) style that is that much older."""
        return aged(style, self.per_decade, decades)


@dataclass(frozen=True)
class Portrait:
    """One person, and where their pictures lie."""

    index: int
    age: float  # apparent, of the picture as drawn
    landmarks: Shape  # (68, 2) pixels of the picture
    file: Path
    teacher: dict[float, Path]  # by decades; empty without a direction

    def picture(self) -> Picture8:
        """(1024, 1024, 3) RGB, sRGB-encoded, FFHQ-aligned."""
        return read_rgb(self.file)

    def edit(self, decades: float) -> Picture8:
        """The teacher's picture of this person so many decades older."""
        return read_rgb(self.teacher[decades])


@dataclass(frozen=True)
class Drawn:
    """The chosen portraits, and what became of every draw."""

    portraits: list[Portrait]
    counts: dict[str, int]


class Studio:
    """Draws by index; the generator is loaded when something has to be drawn."""

    @cached_property
    def _generator(self) -> Generator:
        return Generator()

    @cached_property
    def _mean(self) -> Style:
        return self._generator.mean_style()

    def style(self, index: int) -> Style:
        """(512,), truncated."""
        noise = np.random.default_rng(SEED + index).standard_normal((1, WIDTH))
        offset = self._generator.map(noise)[0] - self._mean
        return np.asarray(self._mean + TRUNCATION * offset, np.float32)

    def picture(self, styles: Style) -> Picture8:
        """(1024, 1024, 3) RGB of one style, or of one for each input."""
        return self._generator.picture(styles)


def draw(folder: Path, count: int, direction: Direction | None, tell: Callable[[str], None]) -> Drawn:
    """Draw until there are enough portraits of either range of age; what is there already is not drawn again.

    Args:
        folder: where they are kept.
        count: how many; half of them from each of `YOUNGER` and `OLDER`, as far as `MOST_DRAWS` gives them.
        direction: of the teacher; None: without a teacher.
        tell: gets a line now and then.

    Raises:
        ModelError: the generator is needed and not installed.
        OutputError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    studio, facts_file = Studio(), folder / "facts.json"
    facts = _facts(facts_file)
    ages: list[float | None] = []
    chosen, counts = choose(ages, count)
    while len(chosen) < count and len(ages) < MOST_DRAWS * count:
        index = len(ages)
        if index == len(facts):
            picture = studio.picture(studio.style(index))
            facts.append(read_facts(picture))
            chosen, counts = choose([*ages, facts[index]["age"]], count)
            if index in chosen:
                write_rgb(folder / f"{index:05d}.png", picture)
            write_text(facts_file, json.dumps({"recipe": RECIPE, "draws": facts}))
            if index % 25 == 24:
                tell(f"portraits: {index + 1} drawn, {len(chosen)} of {count} chosen")
        ages.append(facts[index]["age"])
        chosen, counts = choose(ages, count)
    portraits = [_kept(folder, index, facts[index], direction, studio) for index in chosen]
    return Drawn(portraits, {"drawn": len(ages), **counts})


def _facts(file: Path) -> list[dict[str, Any]]:
    """What is known of the draws so far."""
    held = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    draws: list[dict[str, Any]] = held["draws"] if held.get("recipe") == RECIPE else []
    return draws


def read_facts(picture: Picture8) -> dict[str, Any]:
    """Apparent age (None: no face) and landmarks of a portrait of the generator."""
    look, scale = Look(picture), picture.shape[0] / 512.0
    left, top, right, bottom = (scale * v for v in DLIB_BOX)
    face = locate(look, Upright((left + right) / 2, (top + bottom) / 2, right - left, 0.0), predictor())
    age = round(apparent_age(look, face.landmarks), 2) if face.spread <= UNSURE else None
    return {"age": age, "landmarks": np.round(face.landmarks, 2).tolist()}


def choose(ages: Sequence[float | None], count: int) -> tuple[list[int], dict[str, int]]:
    """Which draws to take, the first ones that fit, and why the others are left out.

    Who fits both ranges fills the older one first, as fewer faces are old.

    Args:
        ages: of the draws in their order; None: no face was found.
        count: how many are wanted; the larger half younger.
    """
    room = {"younger": count - count // 2, "older": count // 2}
    chosen: list[int] = []
    counts: Counter[str] = Counter()
    for index, age in enumerate(ages):
        if age is None:
            counts["no face found"] += 1
        elif age < YOUNGER[0]:
            counts[f"reads younger than {YOUNGER[0]:g}"] += 1
        elif age > OLDER[1]:
            counts[f"reads older than {OLDER[1]:g}"] += 1
        elif age >= OLDER[0] and room["older"]:
            room["older"] -= 1
            chosen.append(index)
        elif age <= YOUNGER[1] and room["younger"]:
            room["younger"] -= 1
            chosen.append(index)
        else:
            counts[f"enough of the {'older' if age >= OLDER[0] else 'younger'}"] += 1
    return chosen, {"chosen": len(chosen), **dict(sorted(counts.items()))}


def _kept(folder: Path, index: int, facts: dict[str, Any], direction: Direction | None, studio: Studio) -> Portrait:
    """A portrait whose files are there."""
    wanted: list[tuple[Path, float | None]] = [(folder / f"{index:05d}.png", None)]
    if direction is not None:
        beside = folder / f"teacher-{direction.digest}"
        beside.mkdir(exist_ok=True)
        wanted += [(beside / f"{index:05d}_{decades:+g}.png", decades) for decades in SHIFTS]
    for file, shift in wanted:
        if not file.exists():
            style = studio.style(index)
            moved = style if direction is None or shift is None else direction.moved(style, shift)
            write_rgb(file, studio.picture(moved))
    edits = {shift: file for file, shift in wanted if shift is not None}
    return Portrait(index, facts["age"], np.asarray(facts["landmarks"], np.float64), wanted[0][0], edits)


def read_rgb(file: Path) -> Picture8:
    """(H, W, 3) RGB of an 8-bit picture.

    Raises:
        ModelError: it cannot be read.
    """
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise ModelError(f"{file}: cannot be read; delete it, and it is made again")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def write_rgb(file: Path, picture: Picture8) -> None:
    """Write an (H, W, 3) RGB picture as a PNG, whole or not at all.

    Raises:
        OutputError: the system refused.
    """
    with whole_file(file) as beside:
        if not cv2.imwrite(str(beside), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1]):
            raise OutputError(f"{file}: cannot be written; check the path and the free space")
