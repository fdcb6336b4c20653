"""The evaluation's figures as tables: of plates, of portraits, and of the bars that a model is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from reage.training.portraits import OLDER, YOUNGER

Figures = dict[str, float]
Results = Sequence[Mapping[str, Any]]
"""Of portraits, as `reage.training.response.measured` answers them, without those that failed."""

TABLE = {
    "plate age": "plate_age",
    "result age": "result_age",
    "change": "rise",
    "box moved": "rise_moved",
    "worst box": "rise_moved_least",
    "half size": "rise_half",
    "identity": "identity",
    "landmarks %": "landmarks",
    "noise %": "landmarks_noise",
    "one start %": "landmarks_once",
    "noise %, one start": "landmarks_once_noise",
    "outside": "outside",
    "rms": "change",
    "same age, rms %": "same",
    "steadier by": "steadier",
    "residual over plate's": "residual_over_plate",
    "lag": "lag",
    "steadying's lag": "steadying_lag",
}
"""Columns of the plates' table, and the figures in them."""
BY_TARGET = {
    "apparent age": "result_age",
    "error": "error",
    "error, absolute": "error_absolute",
    "change": "rise",
    "box moved": "rise_moved",
    "half size": "rise_half",
    "identity": "identity",
    "landmarks %": "landmarks",
    "noise %": "landmarks_noise",
    "rms": "change",
    "fine share %": "fine",
    "teacher's fine share %": "teacher_fine",
}
"""Columns of the portraits' table."""
PERCENT = {"landmarks", "landmarks_noise", "landmarks_once", "landmarks_once_noise", "same", "fine", "teacher_fine"}

RISE, FALL = 20.0, 10.0
MONOTONE, TOLERANCE = 0.9, 1.0
IDENTITY, IDENTITY_RISE = 0.45, (15.0, 25.0)
LANDMARKS, SAME, SHARPNESS, STEADINESS = 0.015, 0.005, 0.6, 1.3
BIN = 5.0
"""Years of rise over which the teacher's identity distances are averaged."""


@dataclass(frozen=True)
class Bar:
    """One thing a model is held to."""

    name: str
    wanted: str
    measured: str
    met: bool | None  # None: nothing to measure it on

    def row(self) -> list[str]:
        """Cells of the table."""
        return [self.name, self.wanted, self.measured, {True: "yes", False: "**no**", None: "–"}[self.met]]


def overall(results: Mapping[str, Mapping[str, Any]], age: str) -> Figures:
    """Means over all persons of all plates; every person counts once."""
    return means([person["ages"][age] for people in results.values() for person in people.values()])


def means(entries: Sequence[Mapping[str, float]]) -> Figures:
    """The mean of every figure over the entries that have it."""
    names = {name for entry in entries for name in entry}
    return {name: float(np.mean([entry[name] for entry in entries if name in entry])) for name in sorted(names)}


def table(results: Mapping[str, Mapping[str, Any]], ages: Sequence[float]) -> str:
    """The plates' results in Markdown."""
    rows = []
    for age in (f"{age:g}" for age in ages):
        for clip, people in results.items():
            rows += [[clip, person, age, *cells(TABLE, entry["ages"][age])] for person, entry in people.items()]
        rows.append(["**all**", "", age, *cells(TABLE, overall(results, age))])
    return markdown(["clip", "person", "target", *TABLE], rows)


def cells(columns: Mapping[str, str], figures: Mapping[str, float]) -> list[str]:
    """Figures as a table shows them."""
    return [_cell(name, figures.get(name)) for name in columns.values()]


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100.0 * value:.2f}" if name in PERCENT else f"{value:.3g}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def target_table(results: Results) -> str:
    """Means over the portraits, by target."""
    rows = []
    for target in results[0]["targets"] if results else ():
        entries = [with_error(result["targets"][target], float(target)) for result in results]
        rows.append([target, str(len(entries)), *cells(BY_TARGET, means(entries))])
    return markdown(["target", "n", *BY_TARGET], rows)


def with_error(figures: Mapping[str, float], target: float) -> Figures:
    """Figures with how far the apparent age is off its target."""
    error = figures["result_age"] - target
    return {**figures, "error": error, "error_absolute": abs(error)}


def bars(results: Results, plates: Mapping[str, Mapping[str, float]]) -> list[Bar]:
    """Every bar that portraits and plates can tell.

    Args:
        results: of the portraits.
        plates: means over real footage by target; empty where none was given.
    """
    younger = [r["targets"]["70"] for r in results if YOUNGER[0] <= r["plate_age"] <= YOUNGER[1]]
    older = [r["targets"]["20"] for r in results if OLDER[0] <= r["plate_age"] <= OLDER[1]]
    told = []
    for suffix, name in (("", "rise"), (", box moved", "rise_moved"), (", half size", "rise_half")):
        told.append(_mean_bar(f"rise at 70 from 25–45{suffix}", f"≥ {RISE:g}", younger, name, lambda v: v >= RISE))
    for suffix, name in (("", "rise"), (", box moved", "rise_moved"), (", half size", "rise_half")):
        told.append(_mean_bar(f"change at 20 from 40–60{suffix}", f"≤ -{FALL:g}", older, name, lambda v: v <= -FALL))
    told += [_monotone(results, 0.0), _monotone(results, TOLERANCE), _monotone(results, 0.0, "rise_moved")]
    told += [_identity(results), _beyond(results)]
    for target in ("70", "20"):
        entries = [r["targets"][target] for r in results]
        told.append(
            _mean_bar(f"landmarks at {target}, %", "< 1.5", entries, "landmarks", lambda v: v < LANDMARKS, 100.0)
        )
    told += [_same(results), _sharpness(results), _steadiness(plates)]
    return told


def _mean_bar(
    name: str,
    wanted: str,
    entries: Sequence[Mapping[str, float]],
    figure: str,
    meets: Callable[[float], bool],
    times: float = 1.0,
) -> Bar:
    values = np.array([entry[figure] for entry in entries])
    if not values.size:
        return Bar(name, wanted, "no such face", None)
    mean = float(values.mean())
    spread = f"{times * mean:.3g} ({times * values.min():.3g} to {times * values.max():.3g}; n {values.size})"
    return Bar(name, wanted, spread, meets(mean))


def apparent(result: Mapping[str, Any], figure: str = "result_age") -> list[float]:
    """Apparent ages, or another figure, over the rising targets."""
    rising = sorted(result["targets"].items(), key=lambda item: float(item[0]))
    return [figures[figure] for _, figures in rising]


def is_monotone(ages: Sequence[float], tolerance: float) -> bool:
    """Whether no age falls below the one before by more than the tolerance."""
    return all(b >= a - tolerance for a, b in pairwise(ages))


def _monotone(results: Results, tolerance: float, figure: str = "result_age") -> Bar:
    name = "faces whose apparent age never falls from a target to the next, 20…80"
    name += f", but for {tolerance:g} year" if tolerance else ""
    name += ", mean of eight moved boxes" if figure == "rise_moved" else ""
    if not results:
        return Bar(name, "≥ 90 %", "no face", None)
    count = sum(is_monotone(apparent(result, figure), tolerance) for result in results)
    share = count / len(results)
    return Bar(name, "≥ 90 %", f"{100.0 * share:.0f} % ({count} of {len(results)})", share >= MONOTONE)


def _identity(results: Results) -> Bar:
    name, wanted = "identity distance at a rise of 15–25", f"≤ {IDENTITY:g}"
    low, high = IDENTITY_RISE
    found = [(r["index"], f["identity"]) for r in results for f in r["targets"].values() if low <= f["rise"] <= high]
    if not found:
        return Bar(name, wanted, "no such result", None)
    mean = float(np.mean([distance for _, distance in found]))
    faces = len({index for index, _ in found})
    return Bar(name, wanted, f"{mean:.3f} ({len(found)} results of {faces} faces)", mean <= IDENTITY)


def teacher_points(results: Results) -> list[tuple[float, float]]:
    """Rise and identity distance of every edit of the teacher."""
    return [(f["rise"], f["identity"]) for r in results for f in r["teacher"].values()]


def teacher_at(points: Sequence[tuple[float, float]], rise: float) -> float | None:
    """The teacher's mean identity distance at a rise, between means over `BIN` years; None beyond what it reaches."""
    bins: dict[int, list[tuple[float, float]]] = {}
    for years, distance in points:
        if years > 0.0:
            bins.setdefault(int(years // BIN), []).append((years, distance))
    middle = np.array([(0.0, 0.0), *(np.mean(entries, 0) for _, entries in sorted(bins.items()))])
    if rise > middle[-1, 0] + BIN or len(middle) == 1:
        return None
    return float(np.interp(rise, *middle.T))


def _beyond(results: Results) -> Bar:
    name, wanted = "identity distance at a rise beyond 25, against the teacher's at the same rise", "no more"
    points, pairs = teacher_points(results), []
    for result in results:
        for figures in result["targets"].values():
            theirs = teacher_at(points, figures["rise"]) if figures["rise"] > IDENTITY_RISE[1] else None
            if theirs is not None:
                pairs.append((figures["identity"], theirs))
    if not pairs:
        return Bar(name, wanted, "no such result, or no teacher", None)
    ours, theirs = np.mean(pairs, 0)
    return Bar(name, wanted, f"{ours:.3f} against {theirs:.3f} (n {len(pairs)})", bool(ours <= theirs))


def _same(results: Results) -> Bar:
    name, wanted = "target = source age, rms %", "< 0.5"
    if not results:
        return Bar(name, wanted, "no face", None)
    worst = max(float(r["same"]) for r in results)
    mean = float(np.mean([r["same"] for r in results]))
    return Bar(name, wanted, f"{100.0 * mean:.3g} (worst {100.0 * worst:.3g})", worst < SAME)


def _sharpness(results: Results) -> Bar:
    name, wanted = "fine share of the change at 70, of the teacher's with the nearest rise", "≥ 60 %"
    pairs = [(r["steady"]["fine"], f["teacher_fine"]) for r in results if "teacher_fine" in (f := r["targets"]["70"])]
    pairs = [pair for pair in pairs if min(pair) > 0.0]
    if not pairs:
        return Bar(name, wanted, "no teacher: give --direction", None)
    ours, theirs = np.mean(pairs, 0)
    single = np.median([a / b for a, b in pairs])
    told = f"{100.0 * ours / theirs:.0f} % ({100.0 * ours:.1f} % of {100.0 * theirs:.1f} %; "
    told += f"median face {100.0 * single:.0f} %; n {len(pairs)})"
    return Bar(name, wanted, told, bool(ours / theirs >= SHARPNESS))


def _steadiness(plates: Mapping[str, Mapping[str, float]]) -> Bar:
    name, wanted = "residual of the change over the plate's own, steadied, real footage", f"≤ {STEADINESS:g}"
    told = {age: f["residual_over_plate"] for age, f in plates.items() if "residual_over_plate" in f}
    if not told:
        return Bar(name, wanted, "no plates were given", None)
    text = ", ".join(f"{value:.2f} at {age}" for age, value in told.items())
    return Bar(name, wanted, text, max(told.values()) <= STEADINESS)
