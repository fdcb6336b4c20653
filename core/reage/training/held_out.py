"""The evaluation on held-out portraits from beginning to end: drawn, measured, plotted, laid out to be looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from reage.atomic import write_text
from reage.training import plots, response
from reage.training.portraits import Direction, Drawn, Portrait, draw, read_rgb
from reage.training.report import markdown, target_table
from reage.training.sheets import Picture8, Tile, write_blind, write_sheet

SHOWN = (20, 30, 50, 60, 70, 80)
TILE = 288
ROWS = 6
"""Portraits on a sheet."""
BLIND_SEED = 77


@dataclass(frozen=True)
class HeldOut:
    """What was found out: figures of each portrait, those that failed apart, and the counts of the draw."""

    results: list[dict[str, Any]]
    failed: list[dict[str, Any]]
    counts: Mapping[str, int]


def evaluate_portraits(
    out: Path, portraits: Path, count: int, model: str, direction: Direction | None, tell: Callable[[str], None]
) -> HeldOut:
    """Measure a model on held-out portraits.

    Writes `portraits.json`, `response.png`, `identity.png`, `portraits_NN.jpg` and `blind/` into `out`, and keeps
    what was measured on each portrait in `out/faces`.

    Args:
        out: folder.
        portraits: folder where the portraits are kept; one may serve several evaluations.
        count: of portraits.
        model: name of the model.
        direction: of the teacher; None: without a teacher.
        tell: gets a line now and then.

    Raises:
        ReageError: the generator or the model is missing, or the folder cannot be written.
    """
    drawn = draw(portraits, count, direction, tell)
    bench = response.Bench.open(model, out / "faces", direction)
    found = HeldOut([], [], drawn.counts)
    for number, portrait in enumerate(drawn.portraits, start=1):
        result = response.measured(portrait, bench)
        (found.failed if "failed" in result else found.results).append(result)
        tell(line(number, len(drawn.portraits), result))
    raw: dict[str, Any] = {"model": model, "sha256": bench.ager.facts.sha256, "draw": drawn.counts}
    raw["portraits"] = [*found.results, *found.failed]
    write_text(out / "portraits.json", json.dumps(raw, indent=1) + "\n")
    if found.results:
        plots.response_plot(found.results, out / "response.png")
        plots.identity_plot(found.results, out / "identity.png")
        _lay_out(out, drawn, found.results)
    return found


def line(number: int, total: int, result: Mapping[str, Any]) -> str:
    """What is said of a portrait once it is measured."""
    head = f"portrait {number} of {total}"
    if "failed" in result:
        return f"{head}: failed: {result['failed']}"
    ages = ", ".join(f"{target}: {figures['result_age']:.0f}" for target, figures in result["targets"].items())
    return f"{head}: reads {result['plate_age']:.0f}; asked for {ages}"


def report(found: HeldOut) -> str:
    """Counts, failures and means by target in Markdown."""
    counts = ", ".join(f"{name} {count}" for name, count in found.counts.items())
    lines = [f"Portraits: {counts}; measured {len(found.results)}, failed {len(found.failed)}.\n"]
    if found.failed:
        rows = [[str(result["index"]), f"{result['portrait_age']:.0f}", result["failed"]] for result in found.failed]
        lines.append(markdown(["portrait", "age", "failed"], rows))
    lines.append(target_table(found.results))
    return "\n".join(lines)


def _lay_out(out: Path, drawn: Drawn, results: Sequence[Mapping[str, Any]]) -> None:
    """Contact sheets, and the pairs for fresh eyes."""
    by_index = {portrait.index: portrait for portrait in drawn.portraits}
    rows, pairs = [], []
    for result in sorted(results, key=lambda r: float(r["plate_age"])):
        folder = out / "faces" / f"{result['index']:05d}"
        rows.append(_row(folder, by_index[result["index"]], result))
        pairs.append((read_rgb(folder / "crop_plate.png"), read_rgb(folder / "crop_70.png")))
    for old in out.glob("portraits_*.jpg"):
        old.unlink()
    for at in range(0, len(rows), ROWS):
        write_sheet(rows[at : at + ROWS], out / f"portraits_{at // ROWS:02d}.jpg")
    write_blind(pairs, out / "blind", BLIND_SEED)


def _row(folder: Path, portrait: Portrait, result: Mapping[str, Any]) -> list[Tile]:
    """Plate, results, and the teacher's edit whose rise is nearest to that of the result at 70."""
    row = [(_tile(read_rgb(folder / "crop_plate.png")), f"{portrait.index} plate, reads {result['plate_age']:.0f}")]
    for target in SHOWN:
        reads = result["targets"][str(target)]["result_age"]
        row.append((_tile(read_rgb(folder / f"crop_{target}.png")), f"{target}, reads {reads:.0f}"))
    if result["teacher"]:
        wanted = result["targets"]["70"]["rise"]
        shift = min(result["teacher"], key=lambda shift: abs(result["teacher"][shift]["rise"] - wanted))
        reads = result["teacher"][shift]["result_age"]
        row.append((_tile(portrait.edit(float(shift))), f"teacher {shift}, reads {reads:.0f}"))
    return row


def _tile(picture: Picture8) -> Picture8:
    return np.asarray(cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA), np.uint8)
