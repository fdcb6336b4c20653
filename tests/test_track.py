from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from synthetic_face import detected, face_shape, who

from reage.records import Detection
from reage.track import MAX_GAP, choose_reference_frames, link, takes
from reage.tracks import FaceAt


def still(
    frames: Sequence[int], x: float, number: int | None, size: float = 1.0, score: float = 1.0
) -> list[Detection]:
    descriptor = None if number is None else who(number)
    return [detected(frame, face_shape((x, 200.0), 0.0, size), score, descriptor) for frame in frames]


def spans(found: Sequence[Detection], frames: Sequence[int], cuts: Sequence[int] = ()) -> dict[int, list[int]]:
    return {track.id: list(track.detections) for track in link(found, frames, cuts, 1.0)}


def test_people_are_numbered_by_first_appearance_then_by_size() -> None:
    found = still(range(5, 20), 100, 1, 2.0) + still(range(1, 20), 500, 2, 0.5) + still(range(1, 20), 900, 3)
    tracks = link(found, range(1, 20), [], 1.0)
    assert [t.detections[19].landmarks[:, 0].mean() for t in tracks] == pytest.approx([900, 500, 100], abs=1)


def test_a_short_gap_is_continued_by_place_and_a_long_one_by_identity() -> None:
    short = [*range(1, 10), *range(10 + MAX_GAP, 40)]
    assert spans(still(short, 100, None), range(1, 40)) == {1: short}
    long = [*range(1, 10), *range(11 + MAX_GAP, 40)]
    assert spans(still(long, 100, 1), range(1, 40)) == {1: long}
    assert len(spans(still(long, 100, None), range(1, 40))) == 2


def test_ids_survive_a_crossing_and_a_swap_across_a_cut() -> None:
    found = []
    for frame in range(1, 31):
        found.append(detected(frame, face_shape((100 + 20 * frame, 200.0)), 1.0, who(1)))
        found.append(detected(frame, face_shape((720 - 20 * frame, 215.0)), 1.0, who(2)))
    found += still(range(31, 50), 700, 2) + still(range(31, 50), 100, 1)
    tracks = link(found, range(1, 50), [31], 1.0)
    assert [sorted({float(d.descriptor @ who(1)) for d in t.detections.values()}) for t in tracks] == [[0.36], [0.0]]
    assert [len(track.detections) for track in tracks] == [49, 49]


def test_nobody_is_continued_by_place_across_a_cut() -> None:
    assert len(spans(still(range(1, 21), 100, None), range(1, 21), [11])) == 2


def test_somebody_else_in_the_same_place_is_another_person() -> None:
    found = still(range(1, 11), 100, 1) + still(range(11, 21), 100, 2)
    assert spans(found, range(1, 21)) == {1: list(range(1, 11)), 2: list(range(11, 21))}


def test_nobody_is_at_two_places_at_once() -> None:
    assert len(spans(still(range(1, 21), 100, 1) + still(range(1, 21), 600, 1), range(1, 21))) == 2


def test_glimpses_and_unsure_faces_are_dropped() -> None:
    real = still(range(1, 101), 100, 1)
    glimpse, unsure = still(range(50, 52), 500, 2), still(range(1, 101), 900, 3, score=0.2)
    followed = still(range(1, 2), 1300, 4) + still(range(2, 40), 1300, 4, score=0.0)
    assert spans(real + glimpse + unsure + followed, range(1, 101)) == {1: list(range(1, 101))}


def test_a_still_needs_a_surer_face_than_a_shot() -> None:
    assert spans(still([1], 100, 1, score=0.4), [1]) == {}
    assert spans(still([1], 100, 1, score=0.8), [1]) == {1: [1]}
    assert list(spans(still(range(1, 9), 100, 1, score=0.4), range(1, 9))) == [1]


def test_a_squeezed_plate_links_as_the_flat_one_does() -> None:
    flat = [detected(f, face_shape((100.0 + 55.0 * f, 200.0))) for f in range(1, 15)]
    squeezed = [detected(f, face_shape((100.0 + 55.0 * f, 200.0)) / [2.0, 1.0]) for f in range(1, 15)]
    assert len(link(flat, range(1, 15), [], 1.0)) == len(link(squeezed, range(1, 15), [], 2.0)) == 1


def test_takes_split_frames_before_each_cut() -> None:
    assert takes([1, 2, 5, 6, 9], [5, 9]) == [[1, 2], [5, 6], [9]]
    assert takes([3, 4], []) == [[3, 4]]


def test_no_detections_are_no_tracks() -> None:
    assert link([], range(1, 10), [], 1.0) == []


def face_at(yaw: float, state: str = "found") -> FaceAt:
    quad = [(0.0, 0.0), (0.0, 9.0), (9.0, 9.0), (9.0, 0.0)]
    return FaceAt(state=state, score=1.0, yaw=yaw, quad=quad, landmarks=[(0.0, 0.0)] * 68)


def test_reference_frames_are_frontal_found_and_spread() -> None:
    faces = {f: face_at(0.9 if f < 50 else 0.3 * np.sin(f)) for f in range(100)}
    faces[60] = face_at(0.0, "bridged")
    chosen = choose_reference_frames(faces)
    assert len(chosen) == 9 and chosen == sorted(chosen) and 60 not in chosen
    assert min(chosen) >= 50 and max(np.diff(chosen)) < 12
    assert all(abs(faces[f].yaw) < 0.15 for f in chosen)


def test_reference_frames_of_a_profile_are_the_least_turned() -> None:
    faces = {f: face_at(0.5 + f / 100) for f in range(30)}
    assert choose_reference_frames(faces, 3) == [0, 1, 2]
    assert choose_reference_frames({}) == []
    assert choose_reference_frames({7: face_at(0.0)}) == [7]
