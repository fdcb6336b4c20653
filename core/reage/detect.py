"""Detection: every face of every frame, with subpixel landmarks.

First pass, forwards (`Detector`): the whole frame is searched now and then; whoever is known is looked for in every
frame, in a small patch that follows the head and is turned upright with it. That is cheaper than the whole frame, and
finds tilted and small faces which the detector misses there. Second pass, backwards (`Follower`): people are followed
from where they were first found, or found again, to where they came from. It asks for the few frames it needs.

The state is one target a person; no frame is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reage.faces import detector, identity
from reage.faces.landmarks import FACE, Face, locate
from reage.faces.look import Look, to_flat, to_plate
from reage.faces.shape import Shape, Upright, upright_box
from reage.records import Detection

SEARCH_EVERY = 6  # frames between searches of the whole frame: newcomers are found late, then followed back
SEARCH_SIDE = 960  # pixels of the longer side then: 50 ms, faces of 1/12 of the width and more
DEEP_EVERY = 4  # every so many searches, and at what looks like a new take, smaller faces are searched for as well
DEEP_SIDE = 1920  # pixels of the longer side then
_ENLARGE = 2.0  # small plates are enlarged up to this: faces from 40 plate pixels

_NEW_SCORE = 0.0  # least score in the whole frame; what is no face seldom reaches 0.1
_SURE_SCORE = 0.3  # from here on the landmarks need not convince as well
_NEAR_SCORE = -0.25  # least score where a person is expected: the place itself is evidence
_SPREAD = 0.065  # most disagreement of the landmark starts: faces 0.01, near profiles and glasses 0.05, emblems 0.1
_SURE_SPREAD = 0.045  # where the detector was not sure

_REACH = 0.55  # of the box's side: how far a head moves between two frames beyond its predicted place
_CLOSE = 1.15  # of the side, from the box's centre: what is converted for the face models, the rest on demand
_GROWTH = 1.6  # largest change of size from frame to frame that can be the same face; boxes come in steps of 1.2
_TOUCHING = 0.45  # of the side: two boxes nearer than this are one face
_PLAINLY = 0.25  # of the side: a box of the whole frame nearer than this to a known face needs no second look
_CROWDED = 1.6  # of the side: people nearer than this are told apart by identity in every frame

_DESCRIBE_EVERY = 12  # frames between descriptors of a person: 90 ms each
_SAME = 0.55  # identity distance up to which a face without a detector's answer is the person
_OTHER = 0.62  # identity distance from which a detected face is somebody else; turned heads reach 0.5
_PATIENCE = 12  # frames without a face after which a person is no longer looked for; the whole-frame search remains
_BACK_PATIENCE = 3  # the same backwards, where every frame has to be read again


@dataclass(frozen=True)
class Target:
    """A person as last seen."""

    frame: int
    landmarks: Shape  # (68, 2) flat space
    velocity: tuple[float, float]  # of the box's centre, flat pixels a frame
    descriptor: identity.Descriptor | None
    described: int  # frame of the descriptor

    def expected(self, frame: int) -> Upright:
        """Where the box should be in another frame: carried on for one frame, as heads do not fly."""
        box = upright_box(self.landmarks)
        steps = max(-1, min(1, frame - self.frame))
        return replace(box, x=box.x + steps * self.velocity[0], y=box.y + steps * self.velocity[1])

    def seen(self, detection: Detection, landmarks: Shape) -> Target:
        """The target after it was found in a frame."""
        before, after = upright_box(self.landmarks), upright_box(landmarks)
        steps = detection.frame - self.frame
        velocity = ((after.x - before.x) / steps, (after.y - before.y) / steps)
        known = detection.descriptor is not None
        return Target(
            frame=detection.frame,
            landmarks=landmarks,
            velocity=velocity,
            descriptor=detection.descriptor if known else self.descriptor,
            described=detection.frame if known else self.described,
        )


class Detector:
    """The first pass: give it every frame of the plate, ascending."""

    def __init__(self, model: Any) -> None:
        """Take the landmark predictor (`reage.faces.landmarks.predictor`)."""
        self._model = model
        self._targets: list[Target] = []
        self._steps = 0

    def step(
        self,
        frame: int,
        look: Look,
        fresh: bool = False,
        last: bool = False,
        searched: Sequence[detector.Found] | None = None,
    ) -> list[Detection]:
        """The faces of the next frame.

        Args:
            frame: its number, above all before.
            look: its picture.
            fresh: it looks like the first frame of a new take (`reage.cuts`): nobody is expected at a place.
            last: it is the last one: newcomers are searched for.
            searched: what `search_ahead` gave for this step, where it was asked ahead.

        Returns:
            One record a face, in plate pixels. Some may be none: `reage.track.link` judges over time.
        """
        if fresh:
            self._targets = []
        detections, targets = self._follow(frame, look)
        due = DEEP_SIDE if fresh else search_due(self._steps) or (SEARCH_SIDE if last else None)
        if due is not None:
            if searched is None or due != search_due(self._steps):
                searched = detector.search(look, due, _ENLARGE, _NEW_SCORE)
            for detection, target in self._newcomers(frame, look, targets, searched):
                detections.append(detection)
                targets.append(target)
        self._steps += 1
        found = [target for target in targets if target.frame == frame]
        lost = [t for t in targets if t.frame != frame and frame - t.frame <= _PATIENCE and not _taken(t, found)]
        self._targets = found + lost
        return detections

    def _follow(self, frame: int, look: Look) -> tuple[list[Detection], list[Target]]:
        """The known people in this frame; those who were not found stay as they were."""
        detections: list[Detection] = []
        targets: list[Target] = []
        for target in self._targets:
            others = [other for other in self._targets if other is not target]
            result = follow(frame, look, target, self._model, crowded=_crowded(target, others))
            if result is None or _near_any(result[1].landmarks, [t.landmarks for t in targets if t.frame == frame]):
                targets.append(target)
            else:
                detections.append(result[0])
                targets.append(result[1])
        return detections, targets

    def _newcomers(
        self, frame: int, look: Look, known: Sequence[Target], searched: Sequence[detector.Found]
    ) -> list[tuple[Detection, Target]]:
        """Faces of the whole frame that belong to no target of this frame."""
        taken = [target.landmarks for target in known if target.frame == frame]
        new: list[tuple[Detection, Target]] = []
        for found in searched:
            if any(_offset(found.box, upright_box(shape)) < _PLAINLY for shape in taken):
                continue
            close = look.close_up(found.box, FACE, _CLOSE)
            face = locate(close, found.box, self._model)
            if _near_any(face.landmarks, taken):
                continue
            near = [f for f in detector.search_near(close, upright_box(face.landmarks), _NEAR_SCORE) if _fits(f, face)]
            if not near or not _plausible(face, max(found.score, near[0].score)):
                continue
            descriptor = identity.describe(close, face.landmarks)
            detection = _detection(frame, look, face, max(found.score, near[0].score), descriptor)
            taken.append(face.landmarks)
            new.append((detection, Target(frame, face.landmarks, (0.0, 0.0), descriptor, frame)))
        return new


def search_due(step: int) -> int | None:
    """How long the longer side is in which a step of the first pass searches the whole frame; None where it does not.

    Args:
        step: the frame's place among all, from 0.
    """
    if step % SEARCH_EVERY:
        return None
    return DEEP_SIDE if step // SEARCH_EVERY % DEEP_EVERY == 0 else SEARCH_SIDE


def search_ahead(step: int, look: Look) -> list[detector.Found] | None:
    """What a step finds in the whole frame, where a search is due. Safe in any thread, and ahead of `Detector.step`."""
    side = search_due(step)
    return None if side is None else detector.search(look, side, _ENLARGE, _NEW_SCORE)


class Follower:
    """The second pass: frames descending, only those that `wanted` names."""

    def __init__(
        self,
        people: Iterable[Mapping[int, Detection]],
        frames: Sequence[int],
        cuts: Sequence[int],
        pixel_aspect: float,
        model: Any,
    ) -> None:
        """Prepare to look for people before they were first found, and in gaps.

        Args:
            people: the detections of each person by frame, after the first pass.
            frames: all frames of the plate, ascending.
            cuts: first frames of new takes; nobody is followed across one.
            pixel_aspect: the plate's.
            model: the landmark predictor.
        """
        self._model = model
        self._before = dict(zip(frames[1:], frames[:-1], strict=True))
        for cut in cuts:
            self._before.pop(cut, None)
        self._seen: dict[int, list[Shape]] = {}
        self._starts: dict[int, list[Target]] = {}  # by the frame that is to be looked at next
        for person in people:
            self._prepare(person, pixel_aspect)

    def _prepare(self, person: Mapping[int, Detection], pixel_aspect: float) -> None:
        """Remember where a person is known, and start a target wherever the frame before does not know them."""
        described = {frame: d.descriptor for frame, d in person.items() if d.descriptor is not None}
        after = {before: frame for frame, before in self._before.items()}
        for frame, detection in person.items():
            landmarks = to_flat(detection.landmarks, pixel_aspect)
            self._seen.setdefault(frame, []).append(landmarks)
            before = self._before.get(frame)
            if before is None or before in person:
                continue
            nearest = min(described, key=lambda at: (abs(at - frame), at)) if described else frame
            target = Target(frame, landmarks, (0.0, 0.0), described.get(nearest), frame)
            following = after.get(frame)
            if following is not None and following in person:
                then = upright_box(to_flat(person[following].landmarks, pixel_aspect))
                now = upright_box(landmarks)
                steps = following - frame
                target = replace(target, velocity=((then.x - now.x) / steps, (then.y - now.y) / steps))
            self._starts.setdefault(before, []).append(target)

    @property
    def wanted(self) -> int | None:
        """The next frame to give to `step`, lower than all before; None when there is nothing left to do."""
        return max(self._starts, default=None)

    def step(self, frame: int, look: Look) -> list[Detection]:
        """Look for the people who are expected in a wanted frame; returns those who were found."""
        detections: list[Detection] = []
        taken = list(self._seen.get(frame, ()))
        for target in self._starts.pop(frame):
            # Where somebody was lost, somebody else may stand: whoever is found there has to be the person.
            result = follow(frame, look, target, self._model, crowded=True)
            if result is not None and _near_any(result[1].landmarks, taken):
                continue  # it met a face that is known: there the first pass knows more
            if result is not None:
                detections.append(result[0])
                taken.append(result[1].landmarks)
                target = result[1]
            before = self._before.get(frame)
            if before is not None and target.frame - before <= _BACK_PATIENCE:
                self._starts.setdefault(before, []).append(target)
        return detections


def follow(
    frame: int, look: Look, target: Target, model: Any, crowded: bool = False
) -> tuple[Detection, Target] | None:
    """Find a known person in a frame near the one where they were seen.

    Args:
        frame: the frame's number.
        look: its picture.
        target: the person as last seen.
        model: the landmark predictor.
        crowded: somebody else is near, so identity is checked whatever the cost.

    Returns:
        The detection (score 0 where only landmarks and identity hold it) and the target for the next frame; None where
        the person is not to be seen.
    """
    expected = target.expected(frame)
    close = look.close_up(expected, FACE, _CLOSE)
    near = [f for f in detector.search_near(close, expected, _NEAR_SCORE) if _within_reach(f.box, expected)]
    best = max(near, key=lambda f: f.score - _offset(f.box, expected), default=None)
    face = locate(close, expected if best is None else best.box, model)
    if not _within_reach(upright_box(face.landmarks), expected):
        return None
    score = 0.0 if best is None else max(best.score, 0.0)
    if not _plausible(face, score) and (best is None or face.spread > _SPREAD):
        return None
    descriptor = None
    if best is None or crowded or abs(frame - target.described) >= _DESCRIBE_EVERY:
        descriptor = identity.describe(close, face.landmarks)
        limit = _SAME if best is None else _OTHER
        if target.descriptor is not None and identity.distance(descriptor, target.descriptor) > limit:
            return None
    detection = _detection(frame, look, face, score, descriptor)
    return detection, target.seen(detection, face.landmarks)


def _plausible(face: Face, score: float) -> bool:
    return face.spread <= (_SPREAD if score >= _SURE_SCORE else _SURE_SPREAD)


def _detection(frame: int, look: Look, face: Face, score: float, descriptor: identity.Descriptor | None) -> Detection:
    box, aspect = upright_box(face.landmarks), look.pixel_aspect
    half = box.side / 2.0
    sides = ((box.x - half) / aspect, box.y - half, (box.x + half) / aspect, box.y + half)
    return Detection(frame, sides, score, to_plate(face.landmarks, aspect), descriptor)


def _offset(box: Upright, expected: Upright) -> float:
    """Distance of two boxes in sides of the expected one."""
    return math.hypot(box.x - expected.x, box.y - expected.y) / expected.side


def _within_reach(box: Upright, expected: Upright) -> bool:
    return _offset(box, expected) <= _REACH and 1.0 / _GROWTH <= box.side / expected.side <= _GROWTH


def _fits(found: detector.Found, face: Face) -> bool:
    return _within_reach(found.box, upright_box(face.landmarks))


def _near_any(landmarks: Shape, others: Iterable[Shape]) -> bool:
    """Whether the same face is among others."""
    box = upright_box(landmarks)
    return any(_offset(box, upright_box(other)) < _TOUCHING for other in others)


def _crowded(target: Target, others: Iterable[Target]) -> bool:
    box = upright_box(target.landmarks)
    return any(_offset(upright_box(other.landmarks), box) < _CROWDED for other in others)


def _taken(target: Target, found: Sequence[Target]) -> bool:
    """Whether a lost person's place was taken over by somebody found, most likely themselves."""
    return _near_any(target.landmarks, [other.landmarks for other in found])
