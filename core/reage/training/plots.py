"""Plots of the portraits' figures: how apparent age answers the target, and what identity it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from reage.training.report import IDENTITY, IDENTITY_RISE, apparent, teacher_points

Results = Sequence[Mapping[str, Any]]
WIDTH, HEIGHT, DPI = 7.0, 5.0, 110
OURS, THEIRS = "#1f5fa8", "#c8641e"


def response_plot(results: Results, file: Path) -> None:
    """Target against apparent age: a thin line a face, the mean thick, the range that the teacher spans shaded.

    Args:
        results: of portraits, as `reage.training.response.measured` answers them; none that failed.
        file: a PNG.
    """
    figure, axes = _axes("target age", "apparent age of the result")
    targets = sorted(float(target) for target in results[0]["targets"])
    curves = np.array([apparent(result) for result in results])
    for curve in curves:
        axes.plot(targets, curve, color=OURS, alpha=0.25, linewidth=0.8)
    axes.plot(targets, curves.mean(0), color=OURS, linewidth=3.0, label=f"mean of {len(curves)} faces")
    axes.plot(targets, targets, color="black", linewidth=0.8, linestyle="--", label="as asked")
    # The teacher knows no target: only how far its edits reach.
    reached = [[f["result_age"] for f in result["teacher"].values()] for result in results if result["teacher"]]
    if reached:
        low, high = np.mean([(min(ages), max(ages)) for ages in reached], 0)
        axes.axhspan(low, high, color=THEIRS, alpha=0.10, label="between the teacher's outermost edits, mean")
    _save(figure, axes, file)


def identity_plot(results: Results, file: Path) -> None:
    """Identity distance against the measured change of age, of the model and of the teacher.

    Args:
        results: as for `response_plot`.
        file: a PNG.
    """
    figure, axes = _axes("change of apparent age, years", "identity distance")
    ours = [(f["rise"], f["identity"]) for result in results for f in result["targets"].values()]
    for points, colour, label in ((teacher_points(results), THEIRS, "teacher"), (ours, OURS, "model")):
        if points:
            axes.scatter(*np.array(points).T, s=9, color=colour, alpha=0.4, linewidths=0)
            axes.plot(*_running(points), color=colour, linewidth=2.5, label=f"{label}, mean over 5 years")
    axes.hlines(IDENTITY, *IDENTITY_RISE, color="black", linewidth=2.0, label=f"{IDENTITY:g} at 15 to 25 years")
    _save(figure, axes, file)


def _running(points: Sequence[tuple[float, float]]) -> Any:
    """Means over 5 years, where there are three points or more: (2, K)."""
    table = np.array(points)
    bins = np.floor(table[:, 0] / 5.0)
    return np.array([table[bins == b].mean(0) for b in np.unique(bins) if (bins == b).sum() >= 3]).reshape(-1, 2).T


def _axes(x: str, y: str) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure: Any, axes: Any, file: Path) -> None:
    axes.legend(fontsize=8)
    figure.savefig(file)
