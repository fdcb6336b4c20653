from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reage.cuts import CutFinder, difference, thumbnail


def place(seed: int, width: int = 320) -> NDArray[np.uint8]:
    """A picture of random blocks."""
    blocks = np.random.default_rng(seed).integers(20, 220, (9, width // 20, 3), np.uint8)
    return np.kron(blocks, np.ones((20, 20, 1), np.uint8))


def cuts_of(frames: list[NDArray[np.uint8]], first: int = 1001) -> list[int]:
    finder = CutFinder()
    for number, frame in enumerate(frames, start=first):
        finder.step(number, frame)
    return finder.cuts


def test_another_place_is_a_cut_at_its_first_frame() -> None:
    assert cuts_of([place(1)] * 6 + [place(2)] * 6 + [place(1)] * 6) == [1007, 1013]


def test_a_cut_before_the_last_frame_counts() -> None:
    assert cuts_of([place(1)] * 6 + [place(2)]) == [1007]


def test_a_flash_is_no_cut_whether_it_brightens_or_burns_out() -> None:
    a = place(1)
    bright, white = np.minimum(a.astype(int) * 2 + 40, 255).astype(np.uint8), np.full_like(a, 255)
    assert cuts_of([a] * 5 + [bright, white, bright] + [a] * 5) == []


def test_something_before_the_lens_for_three_frames_is_no_cut() -> None:
    assert cuts_of([place(1)] * 5 + [place(2)] * 3 + [place(1)] * 8) == []


def test_a_change_of_light_that_stays_is_no_cut() -> None:
    assert cuts_of([place(1)] * 6 + [(place(1) * 0.4).astype(np.uint8)] * 6) == []


def test_a_pan_is_no_cut_and_a_whip_pan_at_most_one() -> None:
    wide = place(3, 1600)
    assert cuts_of([wide[:, x : x + 320] for x in range(0, 1200, 30)]) == []
    assert len(cuts_of([wide[:, x : x + 320] for x in range(0, 1200, 90)])) <= 1


def test_a_dissolve_is_no_cut() -> None:
    a, b = place(1).astype(float), place(2).astype(float)
    assert cuts_of([(a + (b - a) * t).astype(np.uint8) for t in np.linspace(0, 1, 25)]) == []


def test_difference_ignores_level_and_contrast_and_knows_flat_pictures() -> None:
    a, black = thumbnail(place(1)), thumbnail(np.zeros((90, 160, 3), np.uint8))
    assert difference(a, thumbnail((place(1) // 2 + 20).astype(np.uint8))) < 0.02
    assert difference(a, thumbnail(place(2))) > 0.5
    assert (difference(black, black), difference(a, black)) == (0.0, 1.0)
