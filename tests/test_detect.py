from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic_face import clip, detected, face_shape

from reage import detect
from reage.detect import Detector, Follower
from reage.faces.landmarks import predictor
from reage.faces.look import Look
from reage.records import Detection
from reage.track import Track, link

Frames = dict[int, NDArray[np.uint8]]


def forwards(frames: Frames) -> list[Detection]:
    detector = Detector(predictor())
    last = max(frames)
    return [found for f, picture in frames.items() for found in detector.step(f, Look(picture), last=f == last)]


def backwards(tracks: Iterable[Track], frames: Frames) -> tuple[list[Detection], list[int]]:
    follower = Follower([t.detections for t in tracks], list(frames), [], 1.0, predictor())
    found, read = [], []
    while (wanted := follower.wanted) is not None:
        read.append(wanted)
        found += follower.step(wanted, Look(frames[wanted]))
    return found, read


def test_two_people_who_tilt_their_heads_are_held_in_every_frame(shared: Path) -> None:
    frames = dict(clip(shared, "03", range(0, 30)))
    tracks = link(forwards(frames), list(frames), [], 1.0)
    assert [len(track.detections) for track in tracks] == [30, 30]
    for track, side in zip(tracks, (340, 90), strict=True):
        assert all(abs(d.landmarks[:, 0].mean() - side) < 60 for d in track.detections.values())
        roll = [np.degrees(np.arctan2(*(d.landmarks[45] - d.landmarks[36])[::-1])) for d in track.detections.values()]
        assert max(np.abs(roll)) > 30


def test_the_mission_patch_is_no_person(shared: Path) -> None:
    picture = np.ascontiguousarray(cv2.imread(str(next((shared / "media").glob("08_*.png"))))[:, :, ::-1])
    (track,) = link(forwards({1: picture}), [1], [], 1.0)
    left, top, right, bottom = track.detections[1].box
    assert left < 225 < right and top < 128 < bottom


def test_the_printed_skull_is_no_person_and_the_man_is_held(shared: Path) -> None:
    frames = dict(clip(shared, "12", range(0, 14)))
    (track,) = link(forwards(frames), list(frames), [], 1.0)
    assert list(track.detections) == list(frames)
    assert all(d.box[3] < 200 for d in track.detections.values())


def test_a_hand_before_the_mouth_does_not_lose_the_face(shared: Path) -> None:
    frames = dict(clip(shared, "11", range(10, 24)))
    (track,) = link(forwards(frames), list(frames), [], 1.0)
    assert list(track.detections) == list(frames)


def test_bottles_have_no_face(shared: Path) -> None:
    frames = dict(clip(shared, "07", range(0, 40)))
    assert forwards(frames) == []


def test_people_are_followed_back_to_where_they_came_from(shared: Path) -> None:
    frames = dict(clip(shared, "04", range(0, 22)))
    found = forwards(frames)
    before = link(found, list(frames), [], 1.0)
    extra, read = backwards(before, frames)
    assert extra and read == sorted(read, reverse=True)
    after = link(found + extra, list(frames), [], 1.0)
    assert sum(len(t.detections) for t in after) > sum(len(t.detections) for t in before)
    late = [t for t in before if min(t.detections) > 0]
    assert min(min(t.detections) for t in after if max(t.detections) > 15) < max(min(t.detections) for t in late)


def test_the_same_frames_give_the_same_bits(shared: Path) -> None:
    frames = dict(clip(shared, "02", range(6, 12)))
    first, second = forwards(frames), forwards(frames)
    assert len(first) == len(second) == 6
    assert all(
        np.array_equal(a.landmarks, b.landmarks) and a.score == b.score for a, b in zip(first, second, strict=True)
    )


def test_a_fresh_take_forgets_where_people_were(shared: Path) -> None:
    frames = dict(clip(shared, "03", range(12, 14)))
    detector = Detector(predictor())
    detector.step(12, Look(frames[12]))
    empty = np.full_like(frames[13], 90)
    assert detector.step(13, Look(empty), fresh=True) == []
    # After the cut the man is searched for in the whole frame again, though no search would be due.
    assert len(detector.step(14, Look(frames[13]), fresh=True)) >= 1


def test_detections_are_in_plate_pixels_of_the_data_window(shared: Path) -> None:
    picture = next(p for _, p in clip(shared, "12", range(0, 1)))
    (plain,) = Detector(predictor()).step(1, Look(picture))
    part = np.ascontiguousarray(picture[20:, 100:])
    (cropped,) = Detector(predictor()).step(1, Look(part, (100.0, 20.0)))
    assert np.abs(cropped.landmarks - plain.landmarks).max() < 0.5
    squeezed = np.ascontiguousarray(cv2.resize(picture, (320, 480), interpolation=cv2.INTER_AREA))
    (anamorphic,) = Detector(predictor()).step(1, Look(squeezed, (0.0, 0.0), 2.0))
    assert np.abs(anamorphic.landmarks * [2, 1] - plain.landmarks).max() < 3.0
    assert anamorphic.box[2] - anamorphic.box[0] == pytest.approx((plain.box[2] - plain.box[0]) / 2, rel=0.05)


def test_the_follower_asks_for_nothing_where_everybody_is_known_from_the_start() -> None:
    people = [{f: detected(f, face_shape((300, 200))) for f in range(1, 9)}]
    assert Follower(people, range(1, 9), [], 1.0, None).wanted is None
    assert Follower(people, range(-5, 9), [1], 1.0, None).wanted is None


def test_the_follower_gives_up_after_a_few_frames_without_a_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detect, "follow", lambda *_args, **_options: None)
    people = [{f: detected(f, face_shape((300, 200))) for f in range(50, 60)}]
    follower = Follower(people, range(0, 60), [], 1.0, None)
    read = []
    while (wanted := follower.wanted) is not None:
        read.append(wanted)
        follower.step(wanted, Look(np.zeros((8, 8, 3), np.uint8)))
    assert read == [49, 48, 47]


def test_the_follower_looks_into_gaps_backwards() -> None:
    people = [{f: detected(f, face_shape((300, 200))) for f in (*range(1, 9), *range(20, 30))}]
    assert Follower(people, range(1, 30), [], 1.0, None).wanted == 19
