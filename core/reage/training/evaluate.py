"""Measure what the embedded model does to real plates, and lay it out to be looked at.

python -m reage.training.evaluate --out DIR [--plates PLATE …] [--frames RANGE] [--ages 20,70]

Renders each plate into DIR (frames that are there and current are kept), measures every person at every target age,
and writes DIR/results.json, DIR/results.md and a contact sheet a person. Without plates, the demo's is built and
measured. Plates are taken as not premultiplied. See `reage.training.measures` for what the figures mean.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage import geometry
from reage.atomic import write_text
from reage.composite import side_of
from reage.demo_plate import build_demo_plate
from reage.exemplars import BANK
from reage.faces.age import apparent_age
from reage.faces.identity import describe, distance
from reage.faces.landmarks import locate, predictor
from reage.faces.look import Look, grey, to_flat, to_plate
from reage.faces.shape import Shape, ffhq_quad, upright_box
from reage.images import colour_planes, convert, find_beauty, read_metadata, read_picture
from reage.job import Job
from reage.ledger import digest_of
from reage.models import sha256_of
from reage.pipeline import run
from reage.pipeline.shot import Shot, on_crop
from reage.records import Window
from reage.sequence import Pattern, format_range, parse_range
from reage.tracks import Person, Tracks, load_tracks
from reage.training import measures

Figures = dict[str, float]
Picture8 = NDArray[np.uint8]

SAMPLES = 12
"""Frames a person on which a single picture is judged."""
RUN = 24
"""Consecutive frames on which steadiness and lag are measured."""
SAME = 4
"""Frames on which the target is the source age."""
RECIPE = 2
"""To be raised with any change of what is measured, so that kept figures are measured again."""

CROP = 512
STEADY_SIDE, LAG_SIDE, TILE = 384, 192, 384
HALF_A_CODE = 0.5 / 255.0
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
    "lag": "lag",
    "steadying's lag": "steadying_lag",
}
"""Columns of the table, and the figures in them."""
PERCENT = {"landmarks", "landmarks_noise", "landmarks_once", "landmarks_once_noise", "same"}


@dataclass(frozen=True)
class Sight:
    """One frame, of the plate or of a result, as it is measured."""

    stored: NDArray[np.float32]  # (H, W, 3) as an EXR holds it
    code: Tensor  # (3, H, W) sRGB-encoded, unbounded
    display: Picture8  # (H, W, 3)
    window: Window
    change: Tensor | None = None  # (3, H, W) of the code, by the layers: M times D; None for a plate
    matte: NDArray[np.float32] | None = None  # (H, W)

    @cached_property
    def shown(self) -> Tensor:
        """(3, H, W) 0..1 of the display."""
        return torch.from_numpy(self.display).permute(2, 0, 1).float() / 255.0


class Case:
    """One plate, its tracks, and the results of it."""

    def __init__(self, name: str, plate: str, folder: Path, frames: str | None, ages: Sequence[float]) -> None:
        self.name, self.folder, self.ages = name, folder, ages
        self._fields: dict[str, Any] = {"plate": plate, "tracks": str(folder / "shot.tracks.json"), "layers": True}
        folder.mkdir(parents=True, exist_ok=True)
        self.shot = Shot(Job.make(**self._fields, output="none.%04d.exr", age=ages[0]))
        # A run analyses the whole plate, or takes the tracks that fit; which frames are worth it, they tell.
        self._run("aged", ages=ages, frames=str(self.shot.plate.frames[0]))
        self.tracks: Tracks = load_tracks(folder / "shot.tracks.json")
        self.wanted = set(parse_range(frames)) if frames else set(self.shot.plate.frames)

    def samples(self, person: Person) -> list[int]:
        """Frames on which single pictures of a person are judged."""
        found = sorted(f for f, face in person.frames.items() if face.state == "found" and f in self.wanted)
        return measures.spread_out(found, SAMPLES)

    def run_of(self, person: Person) -> list[int]:
        """Consecutive frames in which a person moves the most."""
        motion: dict[int, float] = {}
        for frame in sorted(self.wanted & person.frames.keys() & set(self.shot.plate.frames)):
            before, face = person.frames.get(frame - 1), person.frames[frame]
            away = 0.0 if before is None else measures.landmark_shift(before.landmark_array(), face.landmark_array())
            motion[frame] = away
        return measures.liveliest_run(motion, RUN)

    def render(self) -> None:
        """Render what is measured; what stands there already is kept."""
        people = self.tracks.persons
        runs = {frame for person in people for frame in self.run_of(person)}
        shown = {frame for person in people for frame in self.samples(person)}
        same = {frame for person in people for frame in measures.spread_out(self.samples(person), SAME)}
        if not shown:
            return
        self._run("aged", ages=self.ages, frames=format_range(shown | runs))
        self._run("unsteady", ages=self.ages, frames=format_range(runs), smooth=0)
        own: dict[int, str | float] = {person.id: person.source_age for person in people}
        self._run("same", age=own, frames=format_range(same))

    def _run(self, kind: str, **fields: Any) -> None:
        name = f"{kind}.%04d.exr" if "age" in fields else f"{kind}_{{age}}.%04d.exr"
        for _ in run(Job.make(**self._fields, output=str(self.folder / name), **fields)):
            pass

    def pattern(self, kind: str, age: float | None = None) -> Pattern:
        """Where results of a kind lie."""
        name = f"{kind}.%04d.exr" if age is None else f"{kind}_{age:g}.%04d.exr"
        found = Pattern.parse(str(self.folder / name))
        assert found is not None
        return found

    def state(self) -> str:
        """A text that changes with any result, and with what is measured."""
        files = sorted(self.folder.glob("*.exr"))
        return digest_of({"recipe": RECIPE, **{f.name: read_metadata(f).get("reage/settings", "") for f in files}})

    def plate(self, frame: int) -> Sight:
        """A frame of the plate."""
        view = self.shot.frame(frame)
        held = convert(view.picture, view.beauty, "exr")
        stored = colour_planes(held, find_beauty(held))
        return self._sight(stored, view.window)

    def result(self, frame: int, kind: str, age: float | None = None) -> Sight:
        """A frame of a result, with the change that its layers tell."""
        picture = read_picture(self.pattern(kind, age).path(frame))
        beauty = find_beauty(picture)
        part = picture.parts[beauty.part]
        delta = np.stack([part.channels[f"reage_delta.{c}"] for c in "RGB"], -1)
        matte = part.channels["reage_matte.A"].astype(np.float32)
        plate = self.plate(frame)
        sight = self._sight(colour_planes(picture, beauty), part.data_window)
        aged = self.shot.colour.code_from_plate(plate.stored + matte[..., None] * delta, self.tracks.exposure)
        return Sight(sight.stored, sight.code, sight.display, sight.window, aged - plate.code, matte)

    def _sight(self, stored: NDArray[np.float32], window: Window) -> Sight:
        code = self.shot.colour.code_from_plate(stored, self.tracks.exposure)
        return Sight(stored, code, self.shot.colour.display(stored, self.tracks.exposure), window)

    def flat(self, sight: Sight, points: Shape) -> tuple[Look, Shape]:
        """A frame and landmarks as the face models take them, in the frame's own corner."""
        moved = points - np.array([sight.window.x, sight.window.y])
        return Look(sight.display, pixel_aspect=self.shot.pixel_aspect), to_flat(moved, self.shot.pixel_aspect)


def sampled(planes: Tensor, sight: Sight, quad: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """Planes of a frame over a quad: (C, side, side)."""
    corner = geometry.shift(-sight.window.x, -sight.window.y)
    at = geometry.compose(corner, geometry.plate_from_crop(quad, side))
    return np.asarray(geometry.resample(planes, at, side, side).numpy(), np.float32)


def matte_of(sight: Sight, quad: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """The matte over a quad: (side, side)."""
    assert sight.matte is not None
    return np.asarray(sampled(torch.from_numpy(sight.matte)[None], sight, quad, side)[0])


def change_of(sight: Sight, quad: NDArray[np.float64], side: int) -> NDArray[np.float32]:
    """The change of the code over a quad: (3, side, side)."""
    assert sight.change is not None
    return sampled(sight.change, sight, quad, side)


def eight_bit(planes: NDArray[np.float32]) -> Picture8:
    """(3, S, S) 0..1 to (S, S, 3)."""
    codes = np.rint(np.clip(planes, 0.0, 1.0) * 255.0).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


def found_on_crop(crop: Picture8, landmarks: Shape) -> tuple[Shape, Shape]:
    """Landmarks on a crop from the box of given ones: by the pipeline's averaged starts, and by one start alone."""
    import dlib

    look, box = Look(crop), upright_box(landmarks)
    left, top = box.x - box.side / 2, box.y - box.side / 2
    rectangle = dlib.rectangle(round(left), round(top), round(left + box.side) - 1, round(top + box.side) - 1)
    parts = predictor()(grey(crop), rectangle).parts()
    once = np.array([(point.x, point.y) for point in parts], np.float64) + 0.5
    return locate(look, box, predictor()).landmarks, once


def ages_of(look: Look, landmarks: Shape) -> tuple[float, float, NDArray[np.float64]]:
    """Apparent age, the same at half resolution, and (8,) with the box moved."""
    moved = [apparent_age(look, points) for points in measures.moved_boxes(landmarks)]
    return apparent_age(look, landmarks), apparent_age(*measures.halved(look, landmarks)), np.array(moved)


def judge(case: Case, person: Person, frame: int) -> dict[float, tuple[Figures, NDArray[np.float64]]]:
    """Figures of one frame by target age, each with the eight changes of apparent age under moved boxes."""
    plate, face = case.plate(frame), person.frames[frame]
    look, points = case.flat(plate, face.landmark_array())
    age, half, moved = ages_of(look, points)
    who = describe(look, points)
    crop = sampled(plate.shown, plate, face.quad_array(), CROP)
    noise = np.random.default_rng(frame).normal(0.0, HALF_A_CODE, crop.shape).astype(np.float32)
    on = on_crop(face, CROP)
    own, noisy = found_on_crop(eight_bit(crop), on), found_on_crop(eight_bit(crop + noise), on)
    answers = {}
    for target in case.ages:
        result = case.result(frame, "aged", target)
        there, _ = case.flat(result, face.landmark_array())
        result_age, result_half, result_moved = ages_of(there, points)
        seen = found_on_crop(eight_bit(sampled(result.shown, result, face.quad_array(), CROP)), on)
        assert result.matte is not None
        figures = {
            "plate_age": age,
            "result_age": result_age,
            "rise": result_age - age,
            "rise_half": result_half - half,
            "identity": distance(who, describe(there, points)),
            "landmarks": measures.landmark_shift(own[0], seen[0]),
            "landmarks_noise": measures.landmark_shift(own[0], noisy[0]),
            "landmarks_once": measures.landmark_shift(own[1], seen[1]),
            "landmarks_once_noise": measures.landmark_shift(own[1], noisy[1]),
            "outside": measures.outside_share(plate.stored, result.stored, result.matte),
            "change": measures.rms(
                change_of(result, face.quad_array(), CROP), matte_of(result, face.quad_array(), CROP)
            ),
        }
        answers[target] = figures, result_moved - moved
    return answers


def averaged(frames: Iterable[tuple[Figures, NDArray[np.float64]]]) -> Figures:
    """Means over frames; of the moved boxes, the mean over all and that of the box with the least change."""
    entries = list(frames)
    means = {name: float(np.mean([figures[name] for figures, _ in entries])) for name in entries[0][0]}
    boxes = np.mean([moved for _, moved in entries], 0)
    least = float(boxes[np.abs(boxes).argmin()])
    return means | {"rise_moved": float(boxes.mean()), "rise_moved_least": least}


def same_age(case: Case, person: Person) -> Figures:
    """What a target that is the source age changes, rms of the code on skin."""
    values = []
    for frame in measures.spread_out(case.samples(person), SAME):
        sight, quad = case.result(frame, "same"), person.frames[frame].quad_array()
        values.append(measures.rms(change_of(sight, quad, CROP), matte_of(sight, quad, CROP)))
    return {"same": float(np.mean(values))}


def steadiness(case: Case, person: Person, age: float) -> Figures:
    """Temporal residual of the change, with and without steadying, beside that of the plate's own picture."""
    frames = case.run_of(person)
    rows: list[list[float]] = []
    last: dict[str, Sight] = {}
    for frame in frames:
        quad = person.frames[frame].quad_array()
        side = min(STEADY_SIDE, person.crop)
        now = {"plate": case.plate(frame)} | {kind: case.result(frame, kind, age) for kind in ("aged", "unsteady")}
        if last:
            weight = matte_of(now["aged"], quad, side) * matte_of(last["aged"], quad, side)
            codes = [sampled(sights["plate"].shown, sights["plate"], quad, side) for sights in (now, last)]
            greys = [cv2.cvtColor(eight_bit(code), cv2.COLOR_RGB2GRAY) for code in codes]
            row = [measures.residual(codes[0], codes[1], greys[0], greys[1], weight)[0]]
            for kind in ("aged", "unsteady"):
                both = [change_of(sights[kind], quad, side) for sights in (now, last)]
                row += measures.residual(both[0], both[1], greys[0], greys[1], weight)
            rows.append(row)
        last = now
    if not rows:
        return {}
    # A target near the source age may change nothing: then there is nothing to steady.
    plate, aged, aged_size, unsteady, unsteady_size = np.sqrt(np.mean(np.square(rows), 0))
    if min(plate, aged, aged_size, unsteady_size) == 0.0:
        return {}
    return {
        "residual": aged / aged_size,
        "residual_unsteady": unsteady / unsteady_size,
        "steadier": (unsteady / unsteady_size) / (aged / aged_size),
        "residual_over_plate": aged / plate,
    }


def lags(case: Case, person: Person, age: float) -> Figures:
    """How far the change lies behind the landmarks, and the steadied change behind the unsteadied one, in frames.

    The landmarks are found anew in every frame and not smoothed. A lag is left out where motion is too little for it.
    """
    frames = case.run_of(person)
    if len(frames) <= 2 * measures.LAGS + 2:
        return {}
    quads = {frame: _fresh_quad(case, person, frame) for frame in frames}
    kept: dict[str, dict[tuple[int, int], NDArray[np.float32]]] = {"aged": {}, "unsteady": {}}
    for kind, samples in kept.items():
        for frame in frames:
            sight = case.result(frame, kind, age)
            near = [at for at in frames if abs(at - frame) <= measures.LAGS]
            samples |= {(frame, at): change_of(sight, quads[at], LAG_SIDE) for at in near}
    middle = frames[len(frames) // 2]
    weight = matte_of(case.result(middle, "aged", age), quads[middle], LAG_SIDE)
    aged, unsteady = kept["aged"], kept["unsteady"]
    spread = measures.wander(lambda frame, at: aged[frame, at], frames, weight)
    apart = measures.unlikeness(lambda frame: aged[frame, frame], lambda f, at: unsteady[f, at], frames, weight)
    places = np.stack([quads[frame].mean(0) / side_of(quads[frame]) for frame in frames])
    told = {"lag": measures.least_lag(spread), "steadying_lag": measures.least_lag(apart)}
    answer = {name: value for name, value in told.items() if value is not None}
    answer |= {f"wander{step:+d}": value for step, value in spread.items()}
    answer |= {f"unlikeness{step:+d}": value for step, value in apart.items()}
    return answer | {"motion": float(np.mean(np.hypot(*np.diff(places, axis=0).T)))}


def _fresh_quad(case: Case, person: Person, frame: int) -> NDArray[np.float64]:
    """The quad of landmarks found in this frame alone."""
    sight, face = case.plate(frame), person.frames[frame]
    look, points = case.flat(sight, face.landmark_array())
    found = locate(look, upright_box(points), predictor()).landmarks
    corner = np.array([sight.window.x, sight.window.y], np.float64)
    return np.asarray(to_plate(ffhq_quad(found), case.shot.pixel_aspect) + corner, np.float64)


def measure(case: Case) -> dict[str, Any]:
    """All figures of one plate, by person and age, and which frames they come from."""
    people: dict[str, Any] = {}
    for person in case.tracks.persons:
        samples = case.samples(person)
        if not samples:
            continue
        frames = {frame: judge(case, person, frame) for frame in samples}
        by_age: dict[str, Figures] = {}
        for age in case.ages:
            figures = averaged(answers[age] for answers in frames.values())
            figures |= same_age(case, person) | steadiness(case, person, age) | lags(case, person, age)
            by_age[f"{age:g}"] = {name: round(float(value), 5) for name, value in figures.items()}
        people[str(person.id)] = {
            "source_age": person.source_age,
            "crop": person.crop,
            "quad": round(float(np.median([side_of(face.quad_array()) for face in person.frames.values()])), 1),
            "look": {k: v for model in person.look.values() for k, v in model.items() if k in ("exemplar", "softness")},
            "frames": samples,
            "run": format_range(case.run_of(person)),
            "rises": {f"{age:g}": [round(frames[f][age][0]["rise"], 2) for f in samples] for age in case.ages},
            "ages": by_age,
        }
    return people


def contact_sheet(case: Case, person: Person, file: Path) -> None:
    """Plate and results side by side on first, middle and last frame, cut out along the quad."""
    rows = []
    for frame in measures.spread_out(case.samples(person), 3):
        quad = person.frames[frame].quad_array()
        sights = {"plate": case.plate(frame)} | {f"{age:g}": case.result(frame, "aged", age) for age in case.ages}
        tiles = [eight_bit(sampled(sight.shown, sight, quad, TILE)) for sight in sights.values()]
        rows.append(np.hstack([_labelled(t, f"{frame} {name}") for t, name in zip(tiles, sights, strict=True)]))
    cv2.imwrite(str(file), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])


def _labelled(tile: Picture8, text: str) -> Picture8:
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, width, cv2.LINE_AA)
    return tile


def overall(results: Mapping[str, Mapping[str, Any]], age: str) -> Figures:
    """Means over all persons of all plates; every person counts once."""
    entries = [person["ages"][age] for people in results.values() for person in people.values()]
    names = {name for entry in entries for name in entry}
    return {name: float(np.mean([entry[name] for entry in entries if name in entry])) for name in sorted(names)}


def table(results: Mapping[str, Mapping[str, Any]], ages: Sequence[float]) -> str:
    """The results in Markdown."""
    lines = [f"| clip | person | target | {' | '.join(TABLE)} |", f"|---|---|---|{'---|' * len(TABLE)}"]

    def line(clip: str, person: str, age: str, figures: Figures) -> str:
        cells = [_cell(name, figures.get(name)) for name in TABLE.values()]
        return f"| {clip} | {person} | {age} | {' | '.join(cells)} |"

    for age in (f"{age:g}" for age in ages):
        for clip, people in results.items():
            lines += [line(clip, person, age, entry["ages"][age]) for person, entry in people.items()]
        lines.append(line("**all**", "", age, overall(results, age)))
    return "\n".join(lines) + "\n"


def _cell(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{100.0 * value:.2f}" if name in PERCENT else f"{value:.3g}"


def evaluate(
    out: Path, plates: Mapping[str, str], frames: str | None, ages: Sequence[float], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Render, measure and report; figures of a plate whose results did not change are kept.

    Args:
        out: folder of everything that is written.
        plates: plates by the names that the report gives them.
        frames: range in Nuke's syntax; None: all.
        ages: target ages.
        tell: gets a line as each plate begins.

    Returns:
        What `results.json` holds.

    Raises:
        ReageError: see `reage.errors`.
    """
    results: dict[str, Any] = {}
    for name, plate in plates.items():
        tell(f"{name}: {plate}")
        case = Case(name, plate, out / name, frames, ages)
        case.render()
        kept, state = out / name / "figures.json", f"{case.state()} {sorted(case.wanted)} {list(ages)}"
        held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        if held.get("state") != state:
            held = {"state": state, "people": measure(case)}
            for person in case.tracks.persons:
                if case.samples(person):
                    contact_sheet(case, person, out / f"{name}_{person.id}.jpg")
            write_text(kept, json.dumps(held))
        results[name] = held["people"]
    weights = BANK.parent / "reage-1.safetensors"
    report = {
        "weights": sha256_of(weights),
        "bank": sha256_of(BANK / "bank.json"),
        "plates": results,
        "overall": {f"{age:g}": overall(results, f"{age:g}") for age in ages},
    }
    write_text(out / "results.json", json.dumps(report, indent=1) + "\n")
    write_text(out / "results.md", table(results, ages))
    return report


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of results, figures and sheets")
    parser.add_argument("--plates", nargs="*", default=[], help="movies or patterns [the demo's plate]")
    parser.add_argument("--frames", help="range of every plate [all]")
    parser.add_argument("--ages", default="20,70", help="target ages [20,70]")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    plates = arguments.plates or [build_demo_plate(arguments.out / "plate")]
    named = {Path(plate).name.split(".")[0]: plate for plate in plates}
    if len(named) < len(plates):
        parser.error("two plates have the same name; give them in two runs")
    ages = [float(age) for age in arguments.ages.split(",")]
    evaluate(arguments.out, named, arguments.frames, ages, lambda text: print(text, flush=True))
    print((arguments.out / "results.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
