"""How ageing series are drawn: balanced, and without what moved although it should not."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from reage.exemplars import CANONICAL
from reage.training import draw_series
from reage.training.draw_series import Face, Space, choose, gather, head, reading, refusal, rims, series
from reage.training.series import read_series

POINTS = CANONICAL * 0.75 + np.array([112.0, 80.0])


def face(age: float = 30.0, points: np.ndarray = POINTS, who: float = 0.0) -> Face:
    picture = np.full((512, 512, 3), 60, np.uint8)
    cv2.ellipse(picture, (256, 290), (140, 190), 0, 0, 360, (190, 140, 120), -1)
    return Face(picture, points, age, np.full(128, who))


class Mapper:
    """A generator whose styles are its noise."""

    def map(self, noise: np.ndarray) -> np.ndarray:
        return noise.astype(np.float32)

    def picture(self, styles: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.float32(styles[8, 0]), (8, 8, 3)).copy()


def space() -> Space:
    readings = np.zeros((3, 513))
    readings[0, 0], readings[0, -1] = 10.0, 40.0  # age
    readings[1, 1], readings[2, 2] = 1.0, 1.0
    normal = np.zeros(512, np.float32)
    normal[0] = 1.0
    return Space(np.zeros(512, np.float32), normal, readings)


def test_a_reading_finds_the_line_that_made_the_values() -> None:
    rng = np.random.default_rng(0)
    offsets = rng.standard_normal((400, 512)).astype(np.float32)
    offsets[:, :5] *= 4.0
    values = 3.0 * offsets[:, 1] + 20.0
    found = reading(offsets, values.astype(np.float64))
    assert np.corrcoef(offsets @ found[:-1] + found[-1], values)[0, 1] > 0.95


def test_styles_are_chosen_alike_from_every_cell_and_of_adults_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_series, "POOL", 4000)
    chosen = choose(Mapper(), space(), 200)  # type: ignore[arg-type]
    age, male, _ = space().read(chosen).T
    assert chosen.shape == (200, 512)
    assert age.min() > 19.0 and age.max() < 62.0
    assert 0.4 < np.mean(male > 0.0) < 0.6 and 0.4 < np.mean(age > 40.5) < 0.6


def test_another_person_pose_mouth_or_expression_is_refused() -> None:
    base = face()
    assert refusal(face(60.0, who=0.02), base) is None
    assert refusal(face(32.0, who=0.1), base) == "another person"
    turned = POINTS.copy()
    turned[30, 0] += 30.0
    assert refusal(face(points=turned), base) == "pose"
    opened = POINTS.copy()
    opened[66, 1] += 30.0
    assert refusal(face(points=opened), base) == "mouth"
    sneering = POINTS.copy()
    sneering[31:36, 1] += 40.0
    assert refusal(face(points=sneering), base) == "expression"


def test_rims_are_seen_and_refused_where_they_appeared() -> None:
    bare, worn = face(), face()
    for eye in (POINTS[36:42], POINTS[42:48]):
        x, y = eye.mean(0).astype(int)
        cv2.ellipse(worn.picture, (int(x), int(y)), (44, 32), 0, 0, 360, (20, 20, 20), 3)
    cv2.line(
        worn.picture,
        tuple((POINTS[27] - 25).astype(int).tolist()),
        tuple((POINTS[27] + 25).astype(int).tolist()),
        (20, 20, 20),
        3,
    )
    assert rims(bare.picture, bare.landmarks) < 0.05 < rims(worn.picture, worn.landmarks)
    assert refusal(worn, bare) == "glasses"
    assert refusal(bare, worn) is None


def test_the_head_is_cut_out_of_what_lies_around_it() -> None:
    mask = cv2.resize(head(face()), (512, 512), interpolation=cv2.INTER_NEAREST) > 0
    assert mask[290, 256] and mask[400, 256]
    assert not mask[:20].any() and not mask[:200, :40].any()


def test_a_series_rises_with_its_decades_and_children_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_series, "seen", lambda picture: face(35.0 + 6.0 * float(picture[0, 0, 0])))
    refused: Counter[str] = Counter()
    kept = series(Mapper(), space(), np.zeros(512, np.float32), refused)  # type: ignore[arg-type]
    decades, ages = zip(*((d, one.age) for d, one in kept), strict=True)
    assert list(decades) == sorted(decades) and list(ages) == sorted(ages)
    assert min(ages) >= 15.0 and max(ages) - min(ages) >= 18.0 and len(ages) >= 4
    monkeypatch.setattr(draw_series, "seen", lambda picture: face(8.0))
    assert not series(Mapper(), space(), np.zeros(512, np.float32), refused)  # type: ignore[arg-type]
    assert refused["no adult as sampled"] == 1


def test_parts_are_gathered_into_one_table_with_the_balance_and_the_refusals(tmp_path: Path) -> None:
    for part, rows in enumerate(
        (
            [[2, 0, 0.0, 31.0, 0.9, -1.5], [2, 1, 2.0, 60.0, "nan", "nan"]],
            [[1, 0, 0.0, 24.0, -0.8, -3.0], [1, 1, 1.5, 41.5, "nan", "nan"]],
        )
    ):
        with (tmp_path / f"ages_{part}.csv").open("w", newline="") as text:
            csv.writer(text).writerows(rows)
        (tmp_path / f"done_{part}.json").write_text(json.dumps((3, {"pose": part + 1})))
    gather(tmp_path)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["identities"] == 2 and report["pictures"] == 4 and report["refused"] == {"pose": 3}
    assert report["women, unsure, men"] == [1, 0, 1]
    assert report["apparent age by decade"] == {"20": 1, "30": 1, "40": 1, "60": 1}
    assert [one.identity for one in read_series(tmp_path)] == [1, 2]
