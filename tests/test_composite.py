from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from reage import composite as c
from reage.composite import Gains, Layers
from reage.matte import draw, draw_regions
from reage.records import Window

FLOAT32 = 2e-6


def square(x: float, y: float, side: float) -> np.ndarray:
    return np.array([[x, y], [x, y + side], [x + side, y + side], [x + side, y]], float)


def layers(window: Window, seed: int = 0) -> Layers:
    rng = np.random.default_rng(seed)
    shape = (window.height, window.width)
    delta = rng.normal(0, 0.1, (*shape, 3)).astype(np.float32)
    regions = rng.random((*shape, 6)).astype(np.float32)
    regions /= regions.sum(-1, keepdims=True)
    matte = rng.random(shape).astype(np.float32) * (rng.random(shape) > 0.3)
    return Layers(window, delta, c.low_band(delta, 40), matte.astype(np.float32), regions)


def plate(shape: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(9).normal(0.4, 2.0, (*shape, 3)).astype(np.float32)


def test_the_equation_of_the_contract_holds_to_float32_rounding() -> None:
    one, picture = layers(Window(3, 4, 30, 20)), plate((20, 30))
    gains = Gains(1.3, 0.7, 1.6, (0.5, 1.0, 2.0, 0.0, 1.5, 1.0))
    colour, touched = c.composite(picture, one, gains)
    d, low = one.delta.astype(float), gaussian_filter(one.delta.astype(float), (0.8, 0.8, 0), mode="constant")
    region = (one.regions * np.array(gains.regions)).sum(-1)
    wanted = picture + 1.3 * (one.matte * region)[..., None] * (0.7 * low + 1.6 * (d - low))
    assert np.abs(colour - wanted).max() < FLOAT32
    assert np.array_equal(touched, one.matte > 0)


def test_strength_0_touches_nothing() -> None:
    _, touched = c.composite(plate((5, 6)), layers(Window(0, 0, 6, 5)), Gains(0, 1, 1, (1,) * 6))
    assert not touched.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_plate_pixel_that_is_not_finite_is_left_alone_and_does_not_spread(bad: float) -> None:
    picture = plate((8, 9))
    picture[3, 4, 1] = bad
    colour, touched = c.composite(picture, layers(Window(0, 0, 9, 8)), Gains(1, 1, 1, (1,) * 6))
    assert not touched[3, 4]
    assert np.isfinite(colour[touched]).all()


def test_the_rectangle_ends_at_the_data_window() -> None:
    assert c.rectangle(square(-10.5, 5.2, 30), Window(0, 0, 100, 20)) == Window(0, 5, 20, 15)
    assert c.rectangle(square(500, 500, 30), Window(0, 0, 100, 20)).width == 0


DRAWN = np.ones((64, 64), np.float32)


@given(st.integers(-40, 90), st.integers(-40, 60), st.integers(20, 120))
def test_the_matte_fades_to_nothing_at_the_plates_border(x: int, y: int, side: int) -> None:
    whole = Window(0, 0, 100, 80)
    quad = square(x, y, side)
    window = c.rectangle(quad, whole)
    if window.width and window.height:
        face = c.matte_on_plate(DRAWN, quad, window, whole)
        regions = c.regions_on_plate(np.stack([0.1 * DRAWN] * 5), quad, window, face)
        assert face.shape == (window.height, window.width)
        whole_matte = np.zeros((80, 100), np.float32)
        whole_matte[window.within(whole)] = face
        rim = np.concatenate([whole_matte[0], whole_matte[-1], whole_matte[:, 0], whole_matte[:, -1]])
        assert rim.max() < 0.5 * (0.5 / (c.BORDER_FADE * side)) ** 2 * 8 + 1e-6
        assert np.allclose(regions.sum(-1)[face > 0], 1.0, atol=1e-6)


def test_faces_apart_keep_their_own_layers_and_faces_together_share() -> None:
    a, b = layers(Window(0, 0, 10, 8), 1), layers(Window(20, 2, 6, 8), 2)
    both = c.merge([a, b], Window(0, 0, 26, 10))
    assert np.array_equal(both.delta[:8, :10], a.delta) and np.array_equal(both.delta[2:10, 20:26], b.delta)
    assert np.array_equal(both.matte[:8, :10], a.matte)
    same = c.merge([a, a], a.window)
    assert np.allclose(same.delta, a.delta) and np.allclose(same.regions[a.matte > 0], a.regions[a.matte > 0])


def test_regions_of_a_drawn_face_lie_where_their_names_say() -> None:
    shape = mean_face()
    drawn, regions = draw(shape), draw_regions(shape)
    names = ("forehead", "eyes", "nose", "mouth", "jaw")
    planes = zip(names, regions, strict=True)
    at = {name: np.array(np.unravel_index(plane.argmax(), plane.shape)) for name, plane in planes}
    assert at["forehead"][0] < at["eyes"][0] < at["nose"][0] < at["mouth"][0] < at["jaw"][0]
    assert regions.sum(0).max() <= 1.0 + 1e-6
    assert drawn[0].max() == drawn[:, 0].max() == 0.0
    eye = (shape[36:42].mean(0) * 512).astype(int)
    cheek = ((shape[31] + shape[4]) / 2 * 512).astype(int)
    assert drawn[eye[1], eye[0]] < 0.3 < 0.9 < drawn[cheek[1], cheek[0]]


def test_a_profile_has_no_matte() -> None:
    assert draw(mean_face(), yaw=1.0).max() == 0.0
    assert draw(mean_face(), yaw=1.0, shape="head").max() == 0.0


def test_the_matte_of_a_head_holds_that_of_its_face_and_leaves_eyes_and_the_crops_edge_out() -> None:
    shape = mean_face()
    face, head = draw(shape), draw(shape, shape="head")
    assert float((face - head).max()) < 1e-3
    assert max(edge.max() for edge in (head[0], head[-1], head[:, 0], head[:, -1])) < c.FAINTEST
    eye = (shape[36:42].mean(0) * 512).astype(int)
    assert head[eye[1], eye[0]] < 0.3
    for x, y in ((0.5, 0.06), (0.1, 0.5), (0.9, 0.5), (0.5, 0.94)):
        assert head[int(y * 512), int(x * 512)] > 0.4, (x, y)


def mean_face() -> np.ndarray:
    """A plain frontal face of 68 points in a unit crop, drawn from proportions."""
    t = np.linspace(np.pi, 0, 17)
    jaw = np.stack([0.5 + 0.26 * np.cos(t), 0.48 + 0.36 * np.sin(t)], 1)
    arch = [0.40 - 0.02 * np.sin(np.pi * k / 4) for k in range(5)]
    brows = [[x0 + 0.04 * k, y] for x0 in (0.29, 0.55) for k, y in enumerate(arch)]
    bridge = [[0.5, y] for y in np.linspace(0.47, 0.58, 4)]
    nostrils = [[x, 0.62] for x in np.linspace(0.45, 0.55, 5)]

    def ring(x: float, y: float, a: float, b: float, n: int) -> list[list[float]]:
        turn = np.linspace(np.pi, -np.pi, n, endpoint=False)
        return [[x + a * np.cos(u), y - b * np.sin(u)] for u in turn]

    eyes = ring(0.38, 0.47, 0.045, 0.015, 6) + ring(0.62, 0.47, 0.045, 0.015, 6)
    mouth = ring(0.5, 0.71, 0.09, 0.035, 12) + ring(0.5, 0.71, 0.07, 0.01, 8)
    return np.concatenate([jaw, brows, bridge, nostrils, eyes, mouth])
