from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic_face import EYE_DISTANCE, face_shape, shot

from reage.faces.shape import ffhq_quad
from reage.smooth import BRIDGE, crop_side, smooth, steady, stretches
from reage.tracks import FaceAt

NOISE = 0.005 * EYE_DISTANCE  # per point, per axis: more than the landmark adapter's own
STILL = 0.3  # % of the eye distance: rms second difference of the eyes' centre on a still head
EXACT = 1e-6  # px: float sums


def noisy(shapes: list[NDArray[np.float64]], seed: int = 0) -> list[NDArray[np.float64]]:
    random = np.random.default_rng(seed)
    return [shape + random.normal(0, NOISE, shape.shape) + random.normal(0, NOISE, 2) for shape in shapes]


def jitter(shapes: list[NDArray[np.float64]]) -> float:
    centres = np.stack([shape[36:48].mean(0) for shape in shapes])
    return 100 * float(np.sqrt((np.diff(centres, 2, axis=0) ** 2).sum(1).mean())) / EYE_DISTANCE


def meshes(faces: dict[int, FaceAt]) -> list[NDArray[np.float64]]:
    return [face.landmark_array() for face in faces.values()]


def worst(shapes: list[NDArray[np.float64]], truth: list[NDArray[np.float64]]) -> float:
    """Largest error of the face's centre over the shot, in % of the eye distance."""
    return max(100 * float(np.hypot(*(a - b).mean(0))) / EYE_DISTANCE for a, b in zip(shapes, truth, strict=True))


def test_a_still_head_stands_still() -> None:
    truth = [face_shape((300, 200), 0.2)] * 40
    before = noisy(truth)
    faces = smooth(shot(before), [], 1.0)
    assert jitter(before) > 3 * STILL
    assert jitter(meshes(faces)) < STILL
    quads = np.stack([face.quad_array() for face in faces.values()])
    corners = np.sqrt((np.diff(quads, 2, axis=0) ** 2).sum(2).mean())
    assert 100 * corners / EYE_DISTANCE < STILL


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ramp", lambda f: 8.0 * f),
        ("step", lambda f: 120.0 * (f >= 20)),
        ("start and stop", lambda f: 10.0 * min(max(f - 10, 0), 15)),
        ("sinus of 10 frames", lambda f: 40.0 * np.sin(2 * np.pi * f / 10)),
        ("sinus of 30 frames", lambda f: 90.0 * np.sin(2 * np.pi * f / 30)),
    ],
)
def test_fast_motion_is_followed_without_lag(name: str, path: Callable[[int], float]) -> None:
    truth = [face_shape((300 + path(f), 200 - 0.3 * path(f)), 0.002 * path(f)) for f in range(50)]
    assert worst(meshes(smooth(shot(truth), [], 1.0)), truth) < 1.0, name
    # With noise the error is the noise's own: the smoother adds no more than that.
    assert worst(meshes(smooth(shot(noisy(truth)), [], 1.0)), truth) < 3.0, name


def test_smoothing_is_the_same_forwards_and_backwards() -> None:
    shapes = noisy([face_shape((300 + 4 * f, 200), 0.01 * f) for f in range(30)])
    forwards = meshes(smooth(shot(shapes), [], 1.0))
    backwards = meshes(smooth(shot(shapes[::-1]), [], 1.0))[::-1]
    assert np.allclose(forwards, backwards, atol=EXACT)


@pytest.mark.parametrize("length", [1, 2])
def test_one_and_two_frames_stay_as_they_were(length: int) -> None:
    shapes = noisy([face_shape((300, 200))] * length)
    faces = smooth(shot(shapes), [], 1.0)
    assert np.allclose(meshes(faces), shapes, atol=EXACT)
    assert np.allclose(faces[1001].quad_array(), ffhq_quad(shapes[0]), atol=EXACT)


@pytest.mark.parametrize("length", [3, 4, 5, 7])
def test_a_shot_shorter_than_the_window_works(length: int) -> None:
    truth = [face_shape((300, 200))] * length
    assert worst(meshes(smooth(shot(noisy(truth)), [], 1.0)), truth) < 3.0


def test_radius_0_leaves_the_landmarks_as_detected() -> None:
    shapes = noisy([face_shape((300, 200))] * 20)
    faces = smooth(shot(shapes), [], 1.0, radius=0)
    assert np.allclose(meshes(faces), shapes, atol=EXACT)
    assert np.allclose(faces[1005].quad_array(), ffhq_quad(shapes[4]), atol=EXACT)


def test_nothing_leaks_across_a_cut() -> None:
    first, second = noisy([face_shape((300, 200))] * 12), noisy([face_shape((600, 100), 0.3, 1.4)] * 12, 1)
    together = meshes(smooth(shot(first + second), [1013], 1.0))
    assert np.array_equal(together[:12], meshes(smooth(shot(first), [], 1.0)))


def test_a_gap_is_bridged_between_found_frames_and_nothing_beyond_them() -> None:
    truth = {frame: face_shape((300 + 3 * frame, 200), 0.01 * frame) for frame in range(1001, 1041)}
    full = shot(truth.values())
    gap = range(1015, 1015 + BRIDGE)
    faces = smooth({f: d for f, d in full.items() if f not in gap and f > 1004}, [], 1.0)
    assert list(faces) == list(range(1005, 1041))
    assert [f for f, face in faces.items() if face.state == "bridged"] == list(gap)
    assert all(faces[f].score == 0.0 for f in gap) and faces[1014].score == 1.0
    assert worst(meshes(faces), [truth[f] for f in faces]) < 2.0


def test_a_gap_that_is_too_long_or_holds_a_cut_stays_open() -> None:
    full = shot([face_shape((300, 200))] * 40)
    long = {f: d for f, d in full.items() if not 1010 <= f < 1011 + BRIDGE}
    assert list(smooth(long, [], 1.0)) == list(long)
    short = {f: d for f, d in full.items() if not 1010 <= f < 1014}
    assert list(smooth(short, [1012], 1.0)) == list(short)


def test_a_head_that_turns_through_half_a_circle_does_not_spin() -> None:
    truth = [face_shape((300, 200), 3.0 + 0.02 * f) for f in range(20)]
    assert worst(meshes(smooth(shot(truth), [], 1.0)), truth) < 1.0


def test_a_blink_survives() -> None:
    shapes = [face_shape((300, 200)) for _ in range(40)]
    for shape in shapes[18:22]:
        shape[[37, 38, 43, 44], 1] += 7.0
    after = np.stack(meshes(smooth(shot(shapes), [], 1.0)))
    closed = after[19:21, [37, 38, 43, 44], 1] - shapes[0][[37, 38, 43, 44], 1]
    assert closed.min() > 6.0
    assert np.abs(after[:, :17] - shapes[0][:17]).max() < 0.5  # the jaw does not blink


def test_a_trembling_jaw_is_calmed_more_than_a_trembling_mouth() -> None:
    random = np.random.default_rng(3)
    shapes = np.stack([face_shape((300, 200))] * 60)
    shapes[:, :17] += random.normal(0, NOISE, (60, 17, 2))
    shapes[:, 48:] += random.normal(0, NOISE, (60, 20, 2))
    after = np.stack(meshes(smooth(shot(list(shapes)), [], 1.0)))
    left = [
        np.diff(after, 2, axis=0)[:, group].std() / np.diff(shapes, 2, axis=0)[:, group].std()
        for group in (slice(0, 17), slice(48, 68))
    ]
    assert left[0] < 0.2 and left[0] < left[1] < 0.6


def test_a_squeezed_plate_gives_the_squeezed_result() -> None:
    shapes = noisy([face_shape((300 + 2 * f, 200), 0.02 * f) for f in range(20)])
    flat, squeezed = smooth(shot(shapes), [], 1.0), smooth(shot([s / [2.0, 1.0] for s in shapes]), [], 2.0)
    for frame, face in flat.items():
        assert np.allclose(squeezed[frame].quad_array() * [2.0, 1.0], face.quad_array(), atol=EXACT)
        assert np.allclose(squeezed[frame].landmark_array() * [2.0, 1.0], face.landmark_array(), atol=EXACT)
        assert squeezed[frame].yaw == pytest.approx(face.yaw)


@pytest.mark.parametrize(("side", "crop"), [(200, 256), (284, 256), (286, 512), (568, 512), (570, 1024), (3000, 1024)])
def test_the_crop_is_the_smallest_that_keeps_nine_tenths_of_the_face(side: float, crop: int) -> None:
    size = side / (4.0 * EYE_DISTANCE)
    faces = smooth(shot([face_shape((900, 900), 0.4, size) / [2.0, 1.0]] * 5), [], 2.0)
    assert crop_side(faces, 2.0) == crop


def test_a_moment_near_the_lens_does_not_set_the_crop() -> None:
    faces = smooth(shot([face_shape((900, 900))] * 40 + [face_shape((900, 900), 0.0, 4.0)] * 3), [], 1.0)
    assert crop_side(faces, 1.0) == 256


def test_stretches_end_at_cuts_and_long_gaps() -> None:
    assert stretches([1, 2, 3, 3 + BRIDGE + 1, 30, 31], [31]) == [[1, 2, 3, 16], [30], [31]]
    assert stretches([], []) == []


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40), st.integers(0, 12))
def test_steady_answers_finite_numbers_that_do_not_fly_off(values: list[float], radius: int) -> None:
    signal = np.array(values)[:, None]
    answer = steady(signal, radius, 60.0)
    assert answer.shape == signal.shape and np.isfinite(answer).all()
    assert np.abs(answer - signal).max() <= 3.0 * np.ptp(signal) + 1e-6


@given(st.floats(-50, 50), st.floats(-5, 5), st.floats(-0.2, 0.2), st.integers(3, 40))
def test_steady_keeps_parabolas(a: float, b: float, c: float, n: int) -> None:
    t = np.arange(n, dtype=float)[:, None]
    assert np.allclose(steady(a + b * t + c * t * t, 8, 60.0), a + b * t + c * t * t, atol=1e-5)
