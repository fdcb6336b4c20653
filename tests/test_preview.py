"""What a desk keeps of people between previews of a plate that was not analysed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.agers.likeness import Artist
from reage.demo_plate import build_demo_plate
from reage.desk import TURNED, Acquaintance, Desk, met_before
from reage.job import Job
from reage.preview import preview
from reage.track import SAME


def someone(first: float, yaw: float = 0.0) -> Acquaintance:
    return Acquaintance(np.r_[first, np.zeros(127)], yaw, 40.0, {})


def test_another_frame_of_a_person_draws_no_portrait_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plate = build_demo_plate(tmp_path / "plate")
    job = Job(plate=str(plate), output=str(tmp_path / "out" / "a.%04d.exr"), ages=[70.0], device="cpu")
    desk, folder = Desk(), tmp_path / "pictures"
    first = list(preview(job, 1001, folder, desk))[-1]
    drawn: list[float] = []
    monkeypatch.setattr(Artist, "portrait", lambda self, style, decades: drawn.append(decades))
    second = list(preview(job, 1024, folder, desk))[-1]
    assert first["state"] == second["state"] == "aged" and not first["locked"]
    assert first["faces"][0]["source_age"] == second["faces"][0]["source_age"]
    assert not drawn


def test_a_face_is_the_nearest_of_those_who_were_met() -> None:
    near, far = someone(0.1), someone(0.3)
    assert met_before(someone(0.0).who, 0.0, [far, near]) is near


def test_a_stranger_was_not_met() -> None:
    assert met_before(someone(SAME + 0.01).who, 0.0, [someone(0.0)]) is None
    assert met_before(someone(0.0).who, 0.0, []) is None


def test_a_face_that_was_turned_further_lends_no_look() -> None:
    turned = someone(0.0, yaw=-0.5)
    assert met_before(turned.who, 0.5 - TURNED - 0.01, [turned]) is None
    assert met_before(turned.who, 0.5, [turned]) is turned
