"""The evaluation's figures, on inputs whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from reage.exemplars import CANONICAL
from reage.faces.look import Look
from reage.faces.shape import eye_distance, upright_box
from reage.training import measures
from reage.training.report import overall, table

FLOW = 0.05
"""What optical flow gets wrong on a smooth, moving texture, over what it follows."""


def texture(shift: float, side: int = 128) -> NDArray[np.float32]:
    """Smooth, aperiodic blobs moved to the right: (side, side), about 0..1."""
    y, x = np.indices((side, side), np.float32)
    x = x - shift
    return np.asarray(0.5 + 0.2 * np.sin(x / 5.0 + np.sin(y / 9.0)) + 0.2 * np.cos(y / 6.0 + x / 23.0), np.float32)


def grey(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(picture, 0.0, 1.0) * 255.0), np.uint8)


def three(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.stack([plane] * 3)


def test_moved_boxes_are_eight_boxes_off_by_six_per_cent_each_way() -> None:
    own = upright_box(CANONICAL)
    boxes = [upright_box(points) for points in measures.moved_boxes(CANONICAL)]
    signs = {
        (round((box.x - own.x) / own.side, 2), round((box.y - own.y) / own.side, 2), round(box.side / own.side, 2))
        for box in boxes
    }
    # The box's centre lies above the landmarks' mean, so that its scale moves it by another 0.2 %.
    assert signs == {(x, y, s) for x in (-0.06, 0.06) for y in (-0.06, 0.06) for s in (0.94, 1.06)}


def test_half_resolution_averages_two_by_two_and_keeps_landmarks_on_their_pixels() -> None:
    pixels = np.zeros((4, 7, 3), np.uint8)
    pixels[2:4, 4:6] = 200
    small, points = measures.halved(Look(pixels, pixel_aspect=2.0), np.array([[5.0, 3.0]]))
    assert small.pixels.shape == (2, 3, 3)
    assert small.pixel_aspect == 2.0
    assert small.pixels[1, 2, 0] == 200
    assert int(small.pixels.astype(int).sum()) == 600
    assert points.tolist() == [[2.5, 1.5]]


def test_landmark_shift_is_in_interocular_distances() -> None:
    moved = CANONICAL + np.array([3.0, 4.0])
    assert measures.landmark_shift(CANONICAL, moved) == pytest.approx(5.0 / eye_distance(CANONICAL))


def test_rms_looks_only_where_the_weight_is() -> None:
    change = np.zeros((3, 4, 4), np.float32)
    change[:, :2] = 0.5
    change[:, 2:] = 9.0
    weight = np.zeros((4, 4), np.float32)
    weight[:2] = 0.3
    assert measures.rms(change, weight) == pytest.approx(0.5)
    assert measures.rms(change, np.zeros((4, 4), np.float32)) == 0.0


def test_a_change_beyond_the_matte_is_told_even_among_not_a_numbers() -> None:
    plate = np.full((2, 4, 3), 0.25, np.float32)
    plate[0, 0] = np.nan
    matte = np.array([[0, 0, 1, 1]] * 2, np.float32)
    inside = plate.copy()
    inside[:, 2:] += 0.5
    assert measures.outside_share(plate, plate, matte) == 0.0
    assert measures.outside_share(plate, inside, matte) == 0.0
    inside[1, 1] += 0.5
    assert measures.outside_share(plate, inside, matte) == pytest.approx(1.0 / 5.0)
    inside[0, 0] = 1.0
    assert measures.outside_share(plate, inside, matte) > 1.0 / 5.0


def test_a_change_that_sticks_to_a_moving_picture_is_steady_and_one_that_boils_is_not() -> None:
    before, now = texture(0.0), texture(2.5)
    weight = np.zeros((128, 128), np.float32)
    weight[20:-20, 20:-20] = 1.0
    stuck, size = measures.residual(three(now - 0.5), three(before - 0.5), grey(now), grey(before), weight)
    boil = np.random.default_rng(1).normal(0.0, 0.2, (2, 3, 128, 128)).astype(np.float32)
    boiling, boil_size = measures.residual(boil[0], boil[1], grey(now), grey(before), weight)
    unmoved = measures.rms(three(now - before), weight)
    assert stuck < FLOW * size < unmoved
    assert boiling > boil_size


def swaying(lag: int, frame: int, at: int) -> NDArray[np.float32]:
    """What sits where a swaying face was `lag` frames before a frame, as seen from where the face is at another."""
    face, behind = (6.0 * np.sin(time / 2.0) for time in (at, frame - lag))
    return three(texture(float(behind - face), 48))


@pytest.mark.parametrize("lag", [-1, 0, 1])
def test_a_change_that_drags_behind_the_face_is_found_out(lag: int) -> None:
    weight = np.ones((48, 48), np.float32)
    spread = measures.wander(lambda frame, at: swaying(lag, frame, at), range(20), weight)
    assert measures.least_lag(spread) == pytest.approx(lag, abs=0.1)


@pytest.mark.parametrize("lag", [-1, 0, 1])
def test_a_steadied_change_that_drags_behind_the_raw_one_is_found_out(lag: int) -> None:
    weight = np.ones((48, 48), np.float32)
    apart = measures.unlikeness(lambda f: swaying(lag, f, f), lambda f, at: swaying(0, f, at), range(20), weight)
    assert measures.least_lag(apart) == pytest.approx(lag, abs=0.1)


def test_without_motion_no_lag_is_told() -> None:
    assert measures.least_lag({-1: 0.3, 0: 0.299, 1: 0.3}) is None
    assert measures.least_lag({-1: 0.0, 0: 0.0, 1: 0.0}) is None


def test_a_lag_at_the_end_of_the_search_is_answered_as_it_is() -> None:
    assert measures.least_lag({-1: 0.9, 0: 0.5, 1: 0.2}) == 1.0


@given(st.sets(st.integers(-50, 50), min_size=1), st.integers(2, 12))
def test_samples_hold_both_ends_and_are_no_more_than_asked_for(frames: set[int], count: int) -> None:
    ordered = sorted(frames)
    chosen = measures.spread_out(ordered, count)
    assert len(chosen) == min(count, len(ordered))
    assert chosen == sorted(set(chosen))
    assert {chosen[0], chosen[-1]} == {ordered[0], ordered[-1]}


def test_the_run_is_the_longest_there_is_and_then_the_liveliest() -> None:
    motion = {1: 9.0, 2: 9.0, 10: 0.1, 11: 0.1, 12: 0.1, 13: 0.5, 14: 0.4}
    assert measures.liveliest_run(motion, 3) == [12, 13, 14]
    assert measures.liveliest_run(motion, 24) == [10, 11, 12, 13, 14]
    assert measures.liveliest_run({}, 3) == []


def test_of_moved_boxes_the_one_that_shows_the_least_change_is_reported_with_its_sign() -> None:
    frames = [({"rise": -8.0}, np.array([-9.0, -4.0])), ({"rise": -10.0}, np.array([-11.0, -2.0]))]
    assert measures.averaged(frames) == {"rise": -9.0, "rise_moved": -6.5, "rise_moved_least": -3.0}


def test_the_table_has_a_line_for_each_person_and_the_mean_of_all() -> None:
    def person(rise: float, **more: float) -> dict[str, dict[str, dict[str, float]]]:
        return {"ages": {"70": {"rise": rise, "landmarks": 0.0123, **more}}}

    results = {"a": {"1": person(10.0), "2": person(20.0, lag=0.5)}}
    assert overall(results, "70") == {"rise": 15.0, "landmarks": 0.0123, "lag": 0.5}
    head, rule, *lines = table(results, [70.0]).splitlines()
    starts = [line.split(" | ")[:3] for line in lines]
    assert starts == [["| a", "1", "70"], ["| a", "2", "70"], ["| **all**", "", "70"]]
    assert {line.count("|") for line in (head, rule, *lines)} == {head.count("|")}
    assert " 1.23 " in lines[0]
    assert " – " in lines[0]
