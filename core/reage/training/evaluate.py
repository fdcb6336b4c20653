"""Measure what a model does to real plates and to held-out portraits, and lay it out to be looked at.

    python -m reage.training.evaluate --out DIR [--plates PLATE …] [--frames RANGE] [--ages 20,70]
        [--portraits N [--drawn DIR] [--direction FILE]] [--model NAME]

Renders each plate into DIR (frames that are there and current are kept), measures every person at every target age,
and writes DIR/results.json, DIR/results.md and a contact sheet a person. With neither plates nor portraits, the demo's
plate is built and measured. Plates are taken as not premultiplied.

Portraits are drawn by the generator from seeds that no training uses, filmed (`reage.training.portrait_plates`), and
re-aged to 20, 30 … 80; DIR/portraits.json holds their figures, the rest is named in `reage.training.held_out`. They
need the extra `training`; what was drawn and measured before is kept. `--direction` (an .npz that holds the direction
of age in style space) adds the generator's own edits, which a model is held against. See `reage.training.measures`
for what the figures mean, and `reage.training.report` for the bars.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.atomic import write_text
from reage.composite import side_of
from reage.demo_plate import build_demo_plate
from reage.errors import ReageError
from reage.exemplars import BANK
from reage.faces.landmarks import locate, predictor
from reage.faces.look import to_plate
from reage.faces.shape import ffhq_quad, upright_box
from reage.images import colour_planes, convert, find_beauty, read_metadata, read_picture
from reage.job import Job
from reage.ledger import digest_of
from reage.models import sha256_of
from reage.pipeline import run
from reage.pipeline.shot import Shot
from reage.sequence import Pattern, format_range, parse_range
from reage.store import EMBEDDED
from reage.tracks import Person, Tracks, load_tracks
from reage.training import measures
from reage.training.held_out import HeldOut, evaluate_portraits, report
from reage.training.portraits import Direction
from reage.training.report import bars, markdown, overall, table
from reage.training.sheets import write_sheet
from reage.training.sights import (
    CROP,
    Figures,
    Judge,
    Sight,
    change_of,
    crop_of,
    eight_bit,
    flat,
    matte_of,
    result_sight,
    sampled,
    sight_of,
)

SAMPLES = 12
"""Frames a person on which a single picture is judged."""
RUN = 24
"""Consecutive frames on which steadiness and lag are measured."""
SAME = 4
"""Frames on which the target is the source age."""
RECIPE = 2
"""To be raised with any change of what is measured, so that kept figures are measured again."""

STEADY_SIDE, LAG_SIDE, TILE = 384, 192, 384


class Case:
    """One plate, its tracks, and the results of it."""

    def __init__(self, plate: str, folder: Path, frames: str | None, ages: Sequence[float], model: str) -> None:
        self.folder, self.ages = folder, ages
        self._fields: dict[str, Any] = {"plate": plate, "tracks": str(folder / "shot.tracks.json"), "layers": True}
        self._fields["model"] = model
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
        return sight_of(stored, view.window, self.shot.colour, self.tracks.exposure)

    def result(self, frame: int, kind: str, age: float | None = None) -> Sight:
        """A frame of a result, with the change that its layers tell."""
        picture = read_picture(self.pattern(kind, age).path(frame))
        beauty = find_beauty(picture)
        part = picture.parts[beauty.part]
        delta = np.stack([part.channels[f"reage_delta.{c}"] for c in "RGB"], -1)
        layers = delta, part.channels["reage_matte.A"].astype(np.float32)
        stored = colour_planes(picture, beauty)
        return result_sight(stored, layers, self.plate(frame), self.shot.colour, self.tracks.exposure)


def judge(case: Case, person: Person, frame: int) -> dict[float, tuple[Figures, NDArray[np.float64]]]:
    """Figures of one frame by target age, each with the eight changes of apparent age under moved boxes."""
    against = Judge(case.plate(frame), person.frames[frame], case.shot.pixel_aspect, frame)
    return {target: against.of(case.result(frame, "aged", target)) for target in case.ages}


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
    look, points = flat(sight, face.landmark_array(), case.shot.pixel_aspect)
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
            figures = measures.averaged(answers[age] for answers in frames.values())
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
        rows.append([(crop_of(sight, quad, TILE), f"{frame} {name}") for name, sight in sights.items()])
    write_sheet(rows, file)


def evaluate_plates(
    out: Path,
    plates: Mapping[str, str],
    frames: str | None,
    ages: Sequence[float],
    model: str,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Render and measure plates; figures of a plate whose results did not change are kept.

    Args:
        out: folder of everything that is written.
        plates: plates by the names that the report gives them.
        frames: range in Nuke's syntax; None: all.
        ages: target ages.
        model: name of the model.
        tell: gets a line as each plate begins.

    Returns:
        By plate and person, what `measure` answers.

    Raises:
        ReageError: see `reage.errors`.
    """
    results: dict[str, Any] = {}
    for name, plate in plates.items():
        tell(f"{name}: {plate}")
        case = Case(plate, out / name, frames, ages, model)
        case.render()
        kept, state = out / name / "figures.json", f"{case.state()} {sorted(case.wanted)} {list(ages)}"
        held = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        current = held.get("state") == state
        if not current:
            held = {"state": state, "people": measure(case)}
        for person in case.tracks.persons:
            drawn = out / f"{name}_{person.id}.jpg"
            if case.samples(person) and not (current and drawn.exists()):
                contact_sheet(case, person, drawn)
        write_text(kept, json.dumps(held))
        results[name] = held["people"]
    return results


def write_report(
    out: Path, model: str, plates: Mapping[str, Any], ages: Sequence[float], portraits: HeldOut | None
) -> None:
    """Write `results.json` and `results.md`: the bars first, then what they are made of."""
    means = {f"{age:g}": overall(plates, f"{age:g}") for age in ages} if plates else {}
    told = bars(portraits.results if portraits else [], means)
    told = told if portraits else [bar for bar in told if bar.met is not None]
    facts: dict[str, Any] = {"model": model}
    if model == EMBEDDED:
        facts |= {"weights": sha256_of(BANK.parent / "reage-1.safetensors"), "bank": sha256_of(BANK / "bank.json")}
    facts |= {"bars": [asdict(bar) for bar in told], "plates": plates, "overall": means}
    write_text(out / "results.json", json.dumps(facts, indent=1) + "\n")
    text = [markdown(["bar", "wanted", "measured", "met"], [bar.row() for bar in told])]
    text += [report(portraits)] if portraits else []
    text += [table(plates, ages)] if plates else []
    write_text(out / "results.md", "\n".join(text))


def main() -> None:
    """Evaluate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of results, figures and sheets")
    parser.add_argument("--plates", nargs="*", default=[], help="movies or patterns [the demo's plate]")
    parser.add_argument("--frames", help="range of every plate [all]")
    parser.add_argument("--ages", default="20,70", help="target ages of the plates [20,70]")
    parser.add_argument("--portraits", type=int, default=0, metavar="N", help="held-out portraits [0: none]")
    parser.add_argument("--drawn", type=Path, help="folder where the portraits are kept [OUT/portraits]")
    parser.add_argument("--direction", type=Path, help="direction of age of the generator's own edits [no edits]")
    parser.add_argument("--model", default=EMBEDDED, help=f"model [{EMBEDDED}]")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    demo = [] if given.portraits else [build_demo_plate(given.out / "plate")]
    named = {Path(plate).name.split(".")[0]: plate for plate in given.plates or demo}
    if len(named) < len(given.plates):
        parser.error("two plates have the same name; give them in two runs")
    ages = [float(age) for age in given.ages.split(",")]
    try:
        direction = Direction.load(given.direction) if given.direction else None
        portraits = None
        if given.portraits:
            drawn = given.drawn or given.out / "portraits"
            portraits = evaluate_portraits(given.out, drawn, given.portraits, given.model, direction, tell)
        plates = evaluate_plates(given.out, named, given.frames, ages, given.model, tell)
    except ReageError as error:
        parser.exit(error.exit_code, f"evaluate: {error}\n")
    write_report(given.out, given.model, plates, ages, portraits)
    print((given.out / "results.md").read_text(encoding="utf-8"))


def tell(text: str) -> None:
    """Say how far the evaluation is."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
