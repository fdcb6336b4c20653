"""Tracking: which detections are the same person, and which are nobody.

Detections are linked from frame to frame within a take by place, size and identity; the pieces are joined over gaps
and cuts by identity alone; what lives too briefly or never looked much like a face is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reage.faces.identity import distance
from reage.faces.look import to_flat
from reage.faces.shape import eye_distance, upright_box
from reage.records import Detection
from reage.tracks import FaceAt

MAX_GAP = 12  # frames that a person may be missing and still be continued by place: half a second
_REACH = 0.5  # of the box's side: how far a face may be from where it was, for neighbouring frames
_REACH_PER_FRAME = 0.1  # and so much more for each frame of a gap
_LOST = 0.1  # cost of each frame of a gap: who was seen a moment ago is continued before who has been lost
_GROWTH = math.log(1.5)  # change of size within a piece
_OTHER = 0.62  # identity distance from which a neighbour in place is somebody else; turned heads reach 0.5
SAME = 0.44  # identity distance between the means of two pieces of one person: 0.1 to 0.41, strangers from 0.47
_IDENTITY_WEIGHT = 0.5  # of identity against place where both are known

_LEAST_SCORE = 0.35  # best score that a person reaches at least once; emblems and prints stay below
_LEAST_FRAMES = 3  # frames with a detector's answer, in takes that long
_STILL_SCORE = 0.5  # best score in shorter takes, where time tells nothing; portraits have 0.6 and more
_LEAST_SHARE = 0.02  # and this share of the take: glimpses of half a second in a shot of half a minute go

_FRONTAL = 0.35  # |yaw| up to which a face tells its age well


@dataclass(frozen=True)
class Track:
    """One person: where they were detected, by frame."""

    id: int
    detections: Mapping[int, Detection]


@dataclass
class _Piece:
    """Detections that belong together for certain."""

    detections: dict[int, Detection] = field(default_factory=dict)

    @property
    def last(self) -> Detection:
        return self.detections[max(self.detections)]

    def descriptor(self) -> NDArray[np.float64] | None:
        """Mean of the known descriptors, those of faces that the detector answered for where there are any."""
        known = [d for d in self.detections.values() if d.descriptor is not None]
        sure = [d.descriptor for d in known if d.score > 0.0 and d.descriptor is not None]
        every = sure or [d.descriptor for d in known if d.descriptor is not None]
        return np.asarray(np.mean(every, 0), np.float64) if every else None


def link(
    detections: Iterable[Detection], frames: Sequence[int], cuts: Sequence[int], pixel_aspect: float
) -> list[Track]:
    """Tell who is who.

    Args:
        detections: all of the shot, in any order.
        frames: all frames that were looked at, ascending.
        cuts: first frames of new takes.
        pixel_aspect: the plate's.

    Returns:
        One track a person, numbered from 1 by the frame of first appearance, the larger face first where two appear
        in one frame.
    """
    by_frame: dict[int, list[Detection]] = {}
    for detection in detections:
        by_frame.setdefault(detection.frame, []).append(detection)
    pieces: list[_Piece] = []
    for take in takes(frames, cuts):
        pieces += _pieces([by_frame[frame] for frame in take if frame in by_frame], pixel_aspect)
    people = [piece for piece in _joined(pieces) if _is_person(piece, frames, cuts)]
    people.sort(key=lambda piece: _appearance(piece, pixel_aspect))
    return [Track(number, dict(sorted(p.detections.items()))) for number, p in enumerate(people, start=1)]


def takes(frames: Sequence[int], cuts: Sequence[int]) -> list[list[int]]:
    """The frames of each take, in order."""
    starts = sorted(cuts)
    groups: dict[int, list[int]] = {}
    for frame in frames:
        groups.setdefault(sum(cut <= frame for cut in starts), []).append(frame)
    return list(groups.values())


def _pieces(by_frame: Sequence[list[Detection]], pixel_aspect: float) -> list[_Piece]:
    """Link the detections of one take from frame to frame."""
    pieces: list[_Piece] = []
    for found in by_frame:
        frame = found[0].frame
        alive = [piece for piece in pieces if frame - piece.last.frame <= MAX_GAP + 1]
        costs = np.array([[_cost(piece, new, pixel_aspect) for new in found] for piece in alive]).reshape(
            len(alive), len(found)
        )
        rows, columns = linear_sum_assignment(np.minimum(costs, 1e6))
        taken = {int(c): alive[int(r)] for r, c in zip(rows, columns, strict=True) if costs[r, c] < math.inf}
        for number, detection in enumerate(found):
            if number not in taken:
                pieces.append(taken.setdefault(number, _Piece()))
            taken[number].detections[frame] = detection
    return pieces


def _cost(piece: _Piece, new: Detection, pixel_aspect: float) -> float:
    """How badly a detection continues a piece; infinite where it cannot."""
    last = piece.last
    before, after = (upright_box(to_flat(d.landmarks, pixel_aspect)) for d in (last, new))
    gap = new.frame - last.frame - 1
    away = math.hypot(after.x - before.x, after.y - before.y) / before.side
    growth = abs(math.log(after.side / before.side))
    if away > _REACH + _REACH_PER_FRAME * gap or growth > _GROWTH:
        return math.inf
    known = piece.descriptor() if new.descriptor is not None else None
    placed = away + growth + _LOST * gap
    if known is None or new.descriptor is None:
        return placed
    unlike = distance(known, new.descriptor)
    return math.inf if unlike > _OTHER else placed + _IDENTITY_WEIGHT * unlike


def _joined(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Join pieces of one person, the most alike first; nobody is at two places at once."""
    people = list(pieces)
    while True:
        means = [piece.descriptor() for piece in people]
        best, pair = SAME, (-1, -1)
        for i, a in enumerate(means):
            for j in range(i + 1, len(people)):
                b = means[j]
                if a is None or b is None or people[i].detections.keys() & people[j].detections.keys():
                    continue
                unlike = distance(a, b)
                if unlike < best:
                    best, pair = unlike, (i, j)
        if pair == (-1, -1):
            return people
        people[pair[0]] = _Piece(people[pair[0]].detections | people.pop(pair[1]).detections)


def _is_person(piece: _Piece, frames: Sequence[int], cuts: Sequence[int]) -> bool:
    scores = [detection.score for detection in piece.detections.values()]
    answered = sum(score > 0.0 for score in scores)
    lengths = [len(take) for take in takes(frames, cuts) if not piece.detections.keys().isdisjoint(take)]
    longest = max(lengths)
    if longest < _LEAST_FRAMES:
        return max(scores) >= _STILL_SCORE
    return max(scores) >= _LEAST_SCORE and answered >= max(_LEAST_FRAMES, _LEAST_SHARE * longest)


def _appearance(piece: _Piece, pixel_aspect: float) -> tuple[int, float]:
    first = min(piece.detections)
    return first, -eye_distance(to_flat(piece.detections[first].landmarks, pixel_aspect))


def choose_reference_frames(faces: Mapping[int, FaceAt], count: int = 9) -> list[int]:
    """Frames that show a person well, spread over the shot: for what is settled once, such as the apparent age.

    Args:
        faces: the person's smoothed track.
        count: most frames to choose.

    Returns:
        Up to `count` frames, ascending: the most frontal found one of each of `count` equal parts of the track; faces
        turned far away only where there are no others.
    """
    found = sorted(frame for frame, face in faces.items() if face.state == "found") or sorted(faces)
    frontal = [frame for frame in found if abs(faces[frame].yaw) <= _FRONTAL]
    pool = frontal or sorted(found, key=lambda frame: (abs(faces[frame].yaw), frame))[:count]
    parts = np.array_split(np.array(sorted(pool)), min(count, len(pool))) if pool else []
    return [min((int(f) for f in part), key=lambda f: (abs(faces[f].yaw), -faces[f].score, f)) for part in parts]
