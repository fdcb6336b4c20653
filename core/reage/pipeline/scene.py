"""What a render knows before its first frame: who is re-aged, to which age, from which neighbours, how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from reage.ageing import clamped
from reage.agers.base import Ager, CodedAger, Look
from reage.composite import Gains, side_of
from reage.curve import Ages
from reage.errors import RequestError
from reage.job import Job, MatteShape
from reage.ledger import digest_of
from reage.pipeline.shot import Shot
from reage.tracks import FaceAt, Person, Tracks
from reage.version import __version__


def chosen_persons(tracks: Tracks, faces: str) -> list[Person]:
    """The persons `--face` names: all, the one with the largest face over the shot, or by id.

    Raises:
        RequestError: an id is not in the tracks.
    """
    if faces == "all":
        return list(tracks.persons)
    if faces == "largest":
        sized = [(sum(side_of(f.quad_array()) for f in p.frames.values()), p.id, p) for p in tracks.persons]
        return [max(sized, key=lambda entry: (entry[0], -entry[1]))[2]] if sized else []
    wanted = {int(word) for word in faces.split(",")}
    there = {person.id for person in tracks.persons}
    if missing := sorted(wanted - there):
        raise RequestError(f"--face {missing[0]}: the tracks hold {_ids(there)}; 'reage analyse' numbers them")
    return [person for person in tracks.persons if person.id in wanted]


def _ids(there: set[int]) -> str:
    return "faces " + ", ".join(map(str, sorted(there))) if there else "no face"


@dataclass(frozen=True)
class Scene:
    """Immutable context of one render."""

    job: Job
    shot: Shot
    tracks: Tracks
    ager: Ager
    persons: Sequence[Person]
    looks: Mapping[int, Look]  # by person
    targets: Sequence[Ages]  # one an output
    holdout_digests: Mapping[int, str]  # by frame; empty without a hold-out

    @cached_property
    def gains(self) -> Gains:
        """What the artist dialled."""
        job = self.job
        return Gains(job.strength, job.tone, job.detail, job.region_gains())

    @cached_property
    def on_disk(self) -> frozenset[int]:
        """Frames the plate has."""
        return frozenset(self.shot.plate.frames)

    @property
    def matte(self) -> MatteShape:
        """Where a change shows: as the artist said, or as the model says."""
        return self.job.matte or self.ager.facts.matte

    def source_age(self, person: Person) -> float:
        """The locked age of a person, or the one that was typed."""
        return person.source_age if self.job.source_age == "auto" else float(self.job.source_age)

    def faces(self, frame: int) -> list[tuple[Person, FaceAt]]:
        """Who is in a frame and is to be re-aged in any output."""
        aged = [p for p in self.persons if any(target.of(p.id) is not None for target in self.targets)]
        return [(person, person.frames[frame]) for person in aged if frame in person.frames]

    @property
    def reach(self) -> int:
        """Frames on either side that a result depends on.

        Twice the radius for a model with a code: a frame's change is steadied with those of its neighbours, each of
        which goes the way between two ages that its own neighbours steadied.
        """
        return self.job.smooth * (2 if isinstance(self.ager, CodedAger) else 1)

    def neighbours(self, person: Person, frame: int, radius: int) -> list[int]:
        """Frames that may steady a face in a frame: present, in the same take, within the radius; without the frame."""
        first, end = self.tracks.take(frame)
        near = range(frame - radius, frame + radius + 1)
        return [f for f in near if f != frame and first <= f < end and f in person.frames and f in self.on_disk]

    def reads(self, frame: int) -> list[int]:
        """All plate frames that a frame's result depends on, itself included."""
        needed = {frame}
        for person, _ in self.faces(frame):
            needed.update(self.neighbours(person, frame, self.reach))
        return sorted(needed)

    def target_age(self, output: int, person: Person, frame: int) -> float | None:
        """Age of a person at a frame in one output, as the model gets it; None: left alone."""
        curve = self.targets[output].of(person.id)
        return None if curve is None else clamped(self.ager, curve(frame))

    def ages_text(self, output: int, frame: int) -> tuple[str, str]:
        """Target and source ages of a frame, as the metadata tells them."""
        target, source = [], []
        for person, _ in self.faces(frame):
            curve = self.targets[output].of(person.id)
            if curve is not None:
                target.append((person.id, curve(frame)))
                source.append((person.id, self.source_age(person)))
        return _told(target), _told(source)

    def settings(self, output: int, frame: int) -> str:
        """Hash of all that changes this frame's pixels or channels, and of nothing else."""
        job = self.job
        people: list[dict[str, Any]] = []
        for person, _ in self.faces(frame):
            if self.target_age(output, person, frame) is None:
                continue
            frames = sorted([frame, *self.neighbours(person, frame, self.reach)])
            people.append(
                {
                    "id": person.id,
                    "crop": person.crop,
                    "source": self.source_age(person),
                    "look": self.looks[person.id],
                    "faces": [person.frames[f].model_dump(mode="json") for f in frames],
                    "ages": [self.target_age(output, person, f) for f in frames],
                }
            )
        facts = {
            "reage": __version__,
            "model": self.ager.facts.sha256,
            "mode": job.mode,
            "matte": self.matte,
            "gains": [job.strength, job.tone, job.detail, *job.region_gains()],
            "smooth": job.smooth,
            "layers": job.layers,
            "compression": job.compression or "",
            "view": job.view or "",
            "colour": [self.shot.colour.identity, self.tracks.exposure],
            "holdout": self.holdout_digests.get(frame, ""),
            "people": people,
            "plate": [self.shot.plate.digest(f) for f in self.reads(frame) if f in self.on_disk],
        }
        return digest_of(facts)


def _told(ages: list[tuple[int, float]]) -> str:
    if len(ages) == 1:
        return f"{ages[0][1]:g}"
    return " ".join(f"{face}={age:g}" for face, age in ages)
