from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reage.curve import Curve, parse_ages, parse_curve
from reage.errors import RequestError

keys = st.dictionaries(st.integers(-10_000, 10_000), st.floats(0, 120), min_size=1, max_size=8)


def test_a_number_holds_for_every_frame() -> None:
    assert parse_curve("45.5")(-3) == parse_curve("45.5")(9999) == 45.5


def test_a_curve_is_linear_between_keys_and_held_outside() -> None:
    curve = parse_curve("1001:30,1051:45.5,1101:70")
    assert [curve(f) for f in (900, 1001, 1026, 1051, 1101, 2000)] == [30, 30, 37.75, 45.5, 70, 70]


def test_keys_may_come_in_any_order_and_at_negative_frames() -> None:
    assert parse_curve("10:20,-10:40")(0) == 30


@given(keys)
def test_a_curve_hits_its_keys_and_never_leaves_their_range(points: dict[int, float]) -> None:
    curve = Curve(tuple(sorted(points.items())))
    for frame, age in points.items():
        assert curve(frame) == age
        assert min(points.values()) - 1e-9 <= curve(frame + 1) <= max(points.values()) + 1e-9


@given(keys)
def test_a_curve_written_out_reads_back(points: dict[int, float]) -> None:
    if len(points) > 1:
        curve = Curve(tuple(sorted(points.items())))
        again = parse_curve(str(curve))
        assert all(again(frame) == pytest.approx(curve(frame), abs=1e-6) for frame in points)


@pytest.mark.parametrize(
    "text", ["", "old", "-1", "121", "nan", "inf", "1:30,1:40", "1.5:30", "1:", ":3", "1:30,", "1:30 2:40"]
)
def test_a_bad_age_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(RequestError) as refusal:
        parse_curve(text)
    assert "\n" not in str(refusal.value)


def test_ages_per_face_leave_other_faces_alone() -> None:
    ages = parse_ages(["1=70", "3=1001:30,1011:40"])
    third = ages.of(3)
    assert third is not None and third(1006) == 35
    assert ages.of(2) is None


def test_one_face_may_differ_from_all_others() -> None:
    ages = parse_ages(["70", "2=30"])
    first, second = ages.of(1), ages.of(2)
    assert first is not None and second is not None and (first(0), second(0)) == (70, 30)


@pytest.mark.parametrize("words", [["70", "60"], ["1=70", "1=60"], ["x=70"]])
def test_contradicting_ages_are_refused(words: list[str]) -> None:
    with pytest.raises(RequestError):
        parse_ages(words)
