"""Make the exemplar bank: how the skin of clean synthetic people changes with age, in one canonical face frame.

    python -m reage.training.bank --pairs AGE_PAIRS --out core/reage/data/bank

Each person of `curate.CHOICES` becomes one grey JPEG (see `reage.exemplars` for its layout), one thumbnail, and one
entry of `bank.json`. The change is a log-ratio of linear light, free of the skin's colour and the light.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reage import exemplars
from reage.exemplars import CANONICAL, FRAME_HEIGHT, FRAME_WIDTH, Image
from reage.thin_plate import Points
from reage.training.curate import CHOICES, Choice
from reage.training.series import Series, read_series

DLIB_BOX = (95.0, 150.0, 405.0, 460.0)
"""Left, top, right, bottom of dlib's own face box on a 512-pixel FFHQ-aligned picture."""
JITTER = ((0, 0, 0), (6, 0, 0), (-6, 0, 0), (0, 6, 0), (0, -6, 0), (0, 0, 4), (0, 0, -4), (4, 4, 2), (-4, -4, -2))
"""Shifts in pixels and growth in per cent of the boxes whose landmarks are averaged."""
YOUNG = (24.0, 43.0)
OLDEST_AT_LEAST = 60.0
MOST_AGES = 4
"""Older pictures stored per person."""
DARKEST = 0.02
"""Linear light below this counts as this: ratios of shadows are noise."""
CHROMA_LIMIT = 0.12
TINT_SIGMA = 0.15
"""Of the tint, in outer-eye distances: finer colour is blotches."""
NOISE = 9.0
"""Strength of the non-local means filter of the fine band, in codes."""
SPECKLE = 0.6
"""Share of the fine band's speckle that is kept, so that skin stays skin."""
USUAL_DEPTH, WEAKEST, STRONGEST = 0.11, 0.75, 1.4
"""Standard deviation of the oldest picture's fine band that counts as usual, and how far others are brought to it."""
JPEG_QUALITY = 97


@dataclass(frozen=True)
class Measured:
    """Landmarks of the pictures of one series, in pixels of the 512-pixel pictures."""

    series: Series
    landmarks: tuple[Points, ...]  # (68, 2) each
    young: int  # index of the picture that counts as young


@functools.lru_cache(1)
def _predictor() -> Any:
    import dlib

    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(next(iter(spec.submodule_search_locations))) / "models"
    return dlib.shape_predictor(str(folder / "shape_predictor_68_face_landmarks.dat"))


def find_landmarks(picture: Image) -> Points:
    """(68, 2) landmarks of a 512-pixel FFHQ-aligned uint8 RGB picture: mean over jittered boxes, at twice its size."""
    import dlib

    large = np.ascontiguousarray(cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    left, top, right, bottom = DLIB_BOX
    found = []
    for dx, dy, growth in JITTER:
        x, y, half = (left + right) / 2 + dx, (top + bottom) / 2 + dy, (right - left) / 2 * (1 + growth / 100)
        box = dlib.rectangle(*(round(2 * v) for v in (x - half, y - half, x + half, y + half)))
        found.append([(point.x, point.y) for point in _predictor()(large, box).parts()])
    answer: Points = (np.mean(found, 0) + 0.5) / 2
    return answer


def measure(series: Series) -> Measured | None:
    """Landmarks of a series, or None where it has no picture of a young adult or does not get old."""
    distance = np.where((series.ages >= YOUNG[0]) & (series.ages <= YOUNG[1]), abs(series.ages - 32.0), np.inf)
    young = int(distance.argmin())
    if not np.isfinite(distance[young]) or series.ages[-1] < OLDEST_AT_LEAST or young == len(series.ages) - 1:
        return None
    return Measured(series, tuple(find_landmarks(read_picture(file)) for file in series.files), young)


def read_picture(file: Path) -> Image:
    """(512, 512, 3) uint8 RGB."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(f"{file}: not a picture")
    rgb: Image = picture[:, :, ::-1]
    return rgb


def turn(landmarks: Points) -> float:
    """Yaw, about -1..1: how far the nose tip is from the middle of the eyes, in outer-eye distances, times 2.5."""
    across = landmarks[45] - landmarks[36]
    offset = landmarks[30] - (landmarks[36] + landmarks[45]) / 2
    return float(2.5 * offset @ across / (across @ across))


def mouth_opening(landmarks: Points) -> float:
    """Gap between the inner lips in outer-eye distances."""
    return float(np.linalg.norm(landmarks[62] - landmarks[66]) / exemplars.eye_distance(landmarks))


def refused(measured: Measured) -> str | None:
    """The rule by which a series cannot be an exemplar, or None."""
    young, old = measured.landmarks[measured.young], measured.landmarks[-1]
    moved = np.abs(exemplars.normalised(young) - exemplars.normalised(old)).max(1)
    if abs(turn(young)) > 0.33:
        return "turned"
    if abs(mouth_opening(young) - mouth_opening(old)) > 0.09:
        return "mouth"
    if moved[17:].max() > 0.13:
        return "expression"
    return None


def settle(older: Image, young: Image) -> Image:
    """Shift the older picture by a smooth flow of a few pixels, so that brows, lids and lips lie on one another."""
    planes = []
    for picture in (young, older):
        tone = np.log(np.maximum(picture.mean(2), DARKEST))
        tone -= cv2.GaussianBlur(tone, (0, 0), 20)
        planes.append(np.clip(128 + 90 * cv2.GaussianBlur(tone, (0, 0), 1.5), 0, 255).astype(np.uint8))
    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.clip(finder.calc(planes[0], planes[1], None), -6.0, 6.0)
    flow = cv2.GaussianBlur(flow, (0, 0), 11)
    x, y = np.meshgrid(np.arange(FRAME_WIDTH, dtype=np.float32), np.arange(FRAME_HEIGHT, dtype=np.float32))
    at = np.stack([x, y], 2) + flow
    shifted: Image = cv2.remap(older, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return shifted


def skin(pictures: list[Image], crown: float) -> Image:
    """Where all pictures show skin and not hair or background, 0..1, feathered: (H, W)."""
    cheeks = exemplars.cheek_mask() > 0.5
    good = exemplars.face_mask(CANONICAL, (FRAME_HEIGHT, FRAME_WIDTH), feather=0.0, crown=crown) > 0.5
    for picture in pictures:
        blurred = cv2.GaussianBlur(np.log(np.maximum(picture, DARKEST)), (0, 0), 4)
        tone = blurred.mean(2)
        tint = blurred[:, :, 0] - blurred[:, :, 2]
        good &= np.abs(tone - np.median(tone[cheeks])) < 1.1
        good &= np.abs(tint - np.median(tint[cheeks])) < 0.8
    solid = cv2.morphologyEx(good.astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    solid = cv2.erode(solid, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13)))
    feathered: Image = np.clip(cv2.GaussianBlur(solid.astype(np.float32), (0, 0), 7) * 2 - 1, 0, 1)
    return feathered


def bands(older: Image, young: Image, mask: Image) -> tuple[Image, Image]:
    """Fine luma (H, W) and coarse luma, red and blue (H, W, 3) of the log-ratio, masked."""
    unit = exemplars.eye_distance(CANONICAL)
    floor = max(DARKEST, 0.3 * float(np.median(young.mean(2)[mask > 0.5])))
    # The young skin's own pores and noise would be printed upside down, so only what is larger is divided out.
    before = cv2.GaussianBlur(np.log(np.maximum(young, floor)), (0, 0), 1.8)
    ratio = np.log(np.maximum(older, floor)) - before
    luma = ratio @ exemplars.LUMA
    inside = mask > 0.5
    luma -= np.median(luma[inside])
    low = smooth_inside(luma, mask, exemplars.SPLIT * unit)
    # What is left of a brightness change over half the face is light, not age.
    low_kept = low - 0.5 * smooth_inside(luma, mask, 0.35 * unit)
    tints = []
    for channel in (0, 2):
        tint = smooth_inside(ratio[:, :, channel] - exemplars.SHADE[channel] * luma, mask, TINT_SIGMA * unit)
        tints.append(CHROMA_LIMIT * np.tanh((tint - np.median(tint[inside])) / CHROMA_LIMIT))
    return clean(luma - low) * mask, np.stack([low_kept, *tints], 2) * mask[:, :, None]


def clean(fine: Image) -> Image:
    """Keep lines and folds, take away most of the speckle between them."""
    code = np.clip(127.5 + 127.5 * fine / exemplars.FINE_RANGE, 0, 255).astype(np.uint8)
    calm = cv2.fastNlMeansDenoising(code, None, NOISE, 5, 17)
    calm_fine = (calm.astype(np.float32) - 127.5) / 127.5 * exemplars.FINE_RANGE
    answer: Image = (1.0 - SPECKLE) * calm_fine + SPECKLE * fine
    return answer


def smooth_inside(plane: Image, mask: Image, sigma: float) -> Image:
    """Gaussian mean over the masked pixels alone."""
    weight = cv2.GaussianBlur(mask, (0, 0), sigma)
    mean: Image = cv2.GaussianBlur(plane * mask, (0, 0), sigma) / np.maximum(weight, 1e-3)
    return mean


def make(measured: Measured, choice: Choice, folder: Path) -> dict[str, Any]:
    """Write one exemplar's pictures and answer its entry of `bank.json`."""
    series, first = measured.series, measured.young
    later = list(range(first + 1, len(series.ages)))[-MOST_AGES:]
    warped = [exemplars.onto_canonical(read_picture(series.files[i]), measured.landmarks[i]) for i in (first, *later)]
    young, olders = warped[0], [settle(older, warped[0]) for older in warped[1:]]
    mask = skin([young, *olders], choice.crown)
    made = [bands(older, young, mask) for older in olders]
    sheet = np.concatenate([exemplars.encode(*both) for both in made])
    depth = float(made[-1][0][mask > 0.5].std())
    name = f"p{series.identity:03d}"
    cv2.imwrite(str(folder / f"{name}.jpg"), sheet, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    both = np.hstack([read_picture(series.files[i])[40:512, 20:492, ::-1] for i in (first, later[-1])])
    cv2.imwrite(str(folder / f"{name}.thumb.jpg"), cv2.resize(both, (256, 128), interpolation=cv2.INTER_AREA))
    landmarks = measured.landmarks[first]
    cheeks = exemplars.cheek_mask() > 0.5
    return {
        "id": name,
        "identity": series.identity,
        "ages": [round(float(series.ages[i]), 1) for i in (first, *later)],
        "skin": [round(float(v), 4) for v in np.median(young[cheeks], 0)],
        "yaw": round(turn(landmarks), 3),
        "mouth": round(mouth_opening(landmarks), 3),
        "strength": round(min(max(USUAL_DEPTH / depth, WEAKEST), STRONGEST), 3),
        "flags": list(choice.flags),
        "expression": np.round(exemplars.expression(landmarks), 3).tolist(),
    }


def candidates(folder: Path) -> Iterator[tuple[Measured, str | None]]:
    """Every series that is long enough, and the rule that refuses it."""
    for series in read_series(folder):
        measured = measure(series)
        if measured is not None:
            yield measured, refused(measured)


def main() -> None:
    """Make the bank."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="folder of the synthetic ageing series")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bank")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = {choice.identity: choice for choice in CHOICES}
    entries, counts = [], dict.fromkeys(("turned", "mouth", "expression", "by eye", "kept"), 0)
    for measured, rule in candidates(arguments.pairs):
        choice = chosen.get(measured.series.identity)
        counts[rule or ("kept" if choice else "by eye")] += 1
        if rule is None and choice is not None:
            entries.append(make(measured, choice, arguments.out))
    text = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in entries)
    (arguments.out / "bank.json").write_text(f'{{"version": 1, "exemplars": [\n{text}\n]}}\n', encoding="utf-8")
    print(counts)


if __name__ == "__main__":
    main()
