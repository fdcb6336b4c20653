from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rig
from rig import FIRST, face_at, write_plate, write_tracks
from scipy.ndimage import gaussian_filter

from reage.composite import side_of
from reage.errors import OutputError, PlateError, ReageError, RequestError, SomeFramesFailed
from reage.images import read_picture
from reage.job import REGIONS, Job
from reage.pipeline import render
from reage.tracks import load_tracks, save_tracks

FRAMES = range(FIRST, FIRST + 12)
ROUNDING = 3e-6  # float32 arithmetic on values up to 7


@pytest.fixture(autouse=True)
def _small_ager(monkeypatch: pytest.MonkeyPatch) -> None:
    rig.use_small_ager(monkeypatch)


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shot")
    return {
        "plate": write_plate(folder / "plate", FRAMES, extra=True),
        "tracks": str(write_tracks(folder / "tracks.json", FRAMES)),
    }


def go(output: Path, shot: dict[str, str], **options: Any) -> list[dict[str, Any]]:
    fields = {"age": 70, **shot, "output": str(output), **options}
    return list(render(Job.make(**fields)))


def states(events: list[dict[str, Any]]) -> dict[int, str]:
    return {event["frame"]: event["state"] for event in events if event["event"] == "frame"}


def redone(events: list[dict[str, Any]]) -> list[int]:
    return [frame for frame, state in states(events).items() if state == "aged"]


def contents(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.exr"))}


def planes(path: Path) -> dict[str, np.ndarray]:
    return {name: plane for part in read_picture(path).parts for name, plane in part.channels.items()}


def plate_path(shot: dict[str, str], frame: int) -> Path:
    return Path(shot["plate"] % frame)


def test_everything_but_the_face_is_the_plate_to_the_bit(shot: dict[str, str], tmp_path: Path) -> None:
    go(tmp_path / "a.%04d.exr", shot, frames="1001-1002", layers=True)
    before, after = (read_picture(p) for p in (plate_path(shot, 1001), tmp_path / "a.1001.exr"))
    matte = after.parts[0].channels["reage_matte.A"]
    assert 0.0 < (matte > 0).mean() < 0.5
    changed = 0
    for old, new in zip(before.parts, after.parts, strict=True):
        assert (old.data_window, old.display_window, old.pixel_aspect) == (
            new.data_window,
            new.display_window,
            new.pixel_aspect,
        )
        assert {k: v for k, v in new.header.items() if not k.startswith("reage/") and k != "channels"} == {
            k: v for k, v in old.header.items() if k != "channels"
        }
        for name, plane in old.channels.items():
            got = new.channels[name]
            assert got.dtype == plane.dtype
            if name in "RGB":
                outside = matte == 0
                assert np.array_equal(got[outside].view(np.uint16), plane[outside].view(np.uint16))
                changed += int((got != plane).sum())
            else:
                assert got.tobytes() == plane.tobytes()
    assert changed > 1000
    assert sum(len(part.channels) for part in before.parts) == 20


def test_highlights_and_negatives_survive_inside_the_matte(shot: dict[str, str], tmp_path: Path) -> None:
    go(tmp_path / "a.%04d.exr", shot, frames="1001")
    got = planes(tmp_path / "a.1001.exr")["R"].astype(float)
    assert got[60:63, 70:73].min() > 3.0
    assert got[64:66, 80:82].max() < 0.0


@pytest.mark.parametrize(
    "gains",
    [
        {},
        {"strength": 1.7, "tone": 0.4, "detail": 1.9, "region": {"eyes": 0.3, "jaw": 2.0}},
        {"tone": 0.0, "detail": 1.0, "smooth": 0},
    ],
)
def test_the_layers_satisfy_the_equation_of_the_contract(
    shot: dict[str, str], tmp_path: Path, gains: dict[str, Any]
) -> None:
    go(tmp_path / "a.%04d.exr", shot, frames="1003", layers=True, **gains)
    got, plate = planes(tmp_path / "a.1003.exr"), planes(plate_path(shot, 1003))
    delta = np.stack([got[f"reage_delta.{c}"] for c in "RGB"], -1).astype(float)
    matte = got["reage_matte.A"].astype(float)
    regions = np.stack([got[f"reage_region.{name}"] for name in REGIONS], -1).astype(float)
    assert all(got[name].dtype == np.float32 for name in got if name.startswith("reage_"))
    assert np.allclose(regions.sum(-1)[matte > 0], 1.0, atol=ROUNDING)
    assert matte.min() >= 0.0 and matte.max() <= 1.0
    sigma = 0.02 * side_of(face_at(1003).quad_array())
    low = gaussian_filter(delta, (sigma, sigma, 0), mode="constant")
    gain = (regions * [gains.get("region", {}).get(name, 1.0) for name in REGIONS]).sum(-1)
    bands = gains.get("tone", 1.0) * low + gains.get("detail", 1.0) * (delta - low)
    amount = gains.get("strength", 1.0) * matte * gain
    before = np.stack([plate[c] for c in "RGB"], -1).astype(np.float32)
    wanted = before + amount[..., None] * bands
    after = np.stack([got[c] for c in "RGB"], -1)
    half_steps = np.abs(np.spacing(wanted.astype(np.float16)).astype(float))
    assert (np.abs(after.astype(float) - wanted) <= 0.51 * half_steps + ROUNDING).all()
    quad = face_at(1003).quad_array()
    box = np.zeros(matte.shape, bool)
    (x0, y0), (x1, y1) = np.floor(quad.min(0)).astype(int), np.ceil(quad.max(0)).astype(int)
    box[max(y0, 0) : y1, max(x0, 0) : x1] = True
    assert not delta[~box].any()


def test_layers_do_not_depend_on_what_the_artist_dials(shot: dict[str, str], tmp_path: Path) -> None:
    go(tmp_path / "a.%04d.exr", shot, frames="1003", layers=True)
    go(tmp_path / "b.%04d.exr", shot, frames="1003", layers=True, strength=0.2, tone=2.0, region={"nose": 0.1})
    a, b = planes(tmp_path / "a.1003.exr"), planes(tmp_path / "b.1003.exr")
    assert all(np.array_equal(a[name], b[name]) for name in a if name.startswith("reage_"))
    assert not np.array_equal(a["G"], b["G"])


def test_strength_0_and_frames_without_a_face_are_the_plate(shot: dict[str, str], tmp_path: Path) -> None:
    nobody = {**shot, "tracks": str(write_tracks(tmp_path / "t.json", range(FIRST, FIRST + 2)))}
    go(tmp_path / "a.%04d.exr", shot, frames="1001", strength=0)
    events = go(tmp_path / "b.%04d.exr", nobody, frames="1002-1003", layers=True)
    assert states(events) == {1002: "aged", 1003: "no-face"}
    for made, frame in ((tmp_path / "a.1001.exr", 1001), (tmp_path / "b.1003.exr", 1003)):
        new, old = planes(made), planes(plate_path(shot, frame))
        assert all(new[name].tobytes() == plane.tobytes() for name, plane in old.items())
    assert not planes(tmp_path / "b.1003.exr")["reage_delta.R"].any()
    texts = {k: v for k, v in read_picture(tmp_path / "a.1001.exr").parts[0].header.items() if k.startswith("reage/")}
    assert set(texts) == {
        f"reage/{name}" for name in ("version", "model", "model_sha256", "licence", "age", "source_age", "settings")
    }


@pytest.mark.parametrize("batch", [1, 4, 5])
def test_any_cut_of_the_range_gives_the_same_bytes(shot: dict[str, str], tmp_path: Path, batch: int) -> None:
    curve = {"age": "1001:40,1012:75", "batch": batch, "layers": True}
    go(tmp_path / "one" / "a.%04d.exr", shot, **curve)
    for chunk in ("1010-1012", "1001-1005", "1006-1009"):
        go(tmp_path / "cut" / "a.%04d.exr", shot, frames=chunk, **curve)
    assert contents(tmp_path / "one") == contents(tmp_path / "cut")
    assert len(contents(tmp_path / "one")) == 12


def test_a_cut_ends_what_neighbours_may_say(shot: dict[str, str], tmp_path: Path) -> None:
    """The frame after a cut is the same whether or not there are frames before the cut."""
    cut = write_tracks(tmp_path / "cut.json", FRAMES, cuts=[1005])
    alone = write_tracks(tmp_path / "alone.json", range(1005, 1013))
    go(tmp_path / "a.%04d.exr", {**shot, "tracks": str(cut)}, frames="1005")
    go(tmp_path / "b.%04d.exr", {**shot, "tracks": str(alone)}, frames="1005")
    a, b = planes(tmp_path / "a.1005.exr"), planes(tmp_path / "b.1005.exr")
    assert np.array_equal(a["R"], b["R"])


def test_several_ages_come_from_one_pass(shot: dict[str, str], tmp_path: Path) -> None:
    go(tmp_path / "a_{age}.%04d.exr", shot, age=None, ages=[20, 45.5], frames="1001-1002")
    go(tmp_path / "one.%04d.exr", shot, age=45.5, frames="1001-1002")
    wanted = {f"a_{age}.{frame}.exr" for age in ("20", "45.5") for frame in (1001, 1002)}
    assert {path.name for path in tmp_path.glob("a_*.exr")} == wanted
    assert np.array_equal(planes(tmp_path / "a_45.5.1002.exr")["G"], planes(tmp_path / "one.1002.exr")["G"])


def test_each_face_has_its_own_age_and_others_are_left_alone(tmp_path: Path, shot: dict[str, str]) -> None:
    people = {
        1: {f: face_at(f, 0.3) for f in FRAMES},
        2: {f: shifted(face_at(f, 0.3), 60.0) for f in FRAMES},
    }
    two = {**shot, "tracks": str(write_tracks(tmp_path / "t.json", FRAMES, people))}
    go(tmp_path / "a.%04d.exr", two, frames="1001", age={2: 70})
    new, old = planes(tmp_path / "a.1001.exr"), planes(plate_path(shot, 1001))
    difference = (new["R"] != old["R"]).any(0)
    assert difference[125:].any() and not difference[:110].any()
    assert read_picture(tmp_path / "a.1001.exr").parts[0].header["reage/age"].data.decode().strip("\0") == "70"
    with pytest.raises(RequestError, match="faces 1, 2"):
        go(tmp_path / "b.%04d.exr", two, face="3")


def shifted(face: Any, by: float) -> Any:
    move = lambda points: [(x + by, y) for x, y in points]  # noqa: E731
    return face.model_copy(update={"quad": move(face.quad), "landmarks": move(face.landmarks)})


def test_a_second_run_skips_what_is_there_and_other_settings_redo_it(shot: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "a.%04d.exr"
    go(out, shot, frames="1001-1003")
    first = contents(tmp_path)
    assert set(states(go(out, shot, frames="1001-1003", device="cpu", batch=3)).values()) == {"skipped"}
    events = go(out, shot, frames="1001-1003", strength=0.5)
    assert set(states(events).values()) == {"aged"} and contents(tmp_path) != first
    assert any("3 frames" in event.get("message", "") for event in events)


def test_an_age_curve_redoes_only_frames_near_what_changed(shot: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "a.%04d.exr"
    go(out, shot, age="1001:40,1006:40,1012:70", smooth=1)
    again = states(go(out, shot, age="1001:40,1006:40,1012:75", smooth=1))
    assert [again[f] for f in (1001, 1004, 1005)] == ["skipped"] * 3
    assert [again[f] for f in (1006, 1007, 1012)] == ["aged"] * 3


def test_an_edited_track_and_a_plate_replaced_in_place_are_noticed(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate", FRAMES)
    tracks = write_tracks(tmp_path / "t.json", FRAMES)
    shot, out = {"plate": plate, "tracks": str(tracks)}, tmp_path / "a.%04d.exr"
    go(out, shot, frames="1001-1009", smooth=1)
    loaded = load_tracks(tracks)
    person = loaded.persons[0]
    moved = {**person.frames, 1005: shifted(person.frames[1005], 0.5)}
    save_tracks(loaded.model_copy(update={"persons": [person.model_copy(update={"frames": moved})]}), tracks)
    assert redone(go(out, shot, frames="1001-1009", smooth=1)) == [1004, 1005, 1006]
    Path(plate % 1002).write_bytes(Path(plate % 1012).read_bytes())
    assert redone(go(out, shot, frames="1001-1009", smooth=1)) == [1001, 1002, 1003]


def test_a_truncated_result_is_redone(shot: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "a.%04d.exr"
    go(out, shot, frames="1001-1002")
    whole = contents(tmp_path)
    damaged = tmp_path / "a.1002.exr"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    assert states(go(out, shot, frames="1001-1002")) == {1001: "skipped", 1002: "aged"}
    assert contents(tmp_path) == whole


def test_a_foreign_file_is_not_touched_and_found_before_any_work(shot: dict[str, str], tmp_path: Path) -> None:
    foreign = tmp_path / "a.1003.exr"
    foreign.write_bytes(plate_path(shot, 1003).read_bytes())
    before = foreign.read_bytes()
    with pytest.raises(OutputError, match=r"a\.1003\.exr"):
        go(tmp_path / "a.%04d.exr", shot, frames="1001-1003")
    assert foreign.read_bytes() == before and not (tmp_path / "a.1001.exr").exists()
    go(tmp_path / "a.%04d.exr", shot, frames="1003", overwrite=True)
    assert foreign.read_bytes() != before


def test_the_plate_is_never_overwritten_however_it_is_spelt(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate", range(FIRST, FIRST + 2))
    shot = {"plate": plate, "tracks": str(write_tracks(tmp_path / "t.json", FRAMES))}
    (tmp_path / "link").symlink_to(tmp_path / "plate")
    before = contents(tmp_path / "plate")
    for spelt in ("plate/plate.####.exr", "link/plate.%04d.exr", "plate/../plate/plate.$F4.exr"):
        with pytest.raises(OutputError):
            go(tmp_path / spelt, shot, overwrite=True)
    assert contents(tmp_path / "plate") == before


def test_missing_frames_stop_before_any_work_or_are_skipped(tmp_path: Path) -> None:
    plate = write_plate(tmp_path / "plate", range(FIRST, FIRST + 5))
    Path(plate % 1003).unlink()
    shot = {"plate": plate, "tracks": str(write_tracks(tmp_path / "t.json", FRAMES))}
    with pytest.raises(PlateError, match="1003"):
        go(tmp_path / "a.%04d.exr", shot)
    assert not list(tmp_path.glob("a.*"))
    events = go(tmp_path / "a.%04d.exr", shot, on_missing="skip")
    assert states(events)[1003] == "missing"
    lines = [json.loads(row) for row in (tmp_path / "a.manifest.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["aged", "aged", "missing", "aged", "aged"]


def damaged(tmp_path: Path) -> dict[str, str]:
    plate = write_plate(tmp_path / "plate", range(FIRST, FIRST + 6))
    path = Path(plate % 1003)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return {"plate": plate, "tracks": str(write_tracks(tmp_path / "t.json", FRAMES))}


def test_a_damaged_frame_stops_the_run_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="1003"):
        go(tmp_path / "a.%04d.exr", damaged(tmp_path))
    assert (tmp_path / "a.1002.exr").exists() and not (tmp_path / "a.1003.exr").exists()


def test_a_damaged_frame_may_be_skipped_and_the_end_says_so(tmp_path: Path) -> None:
    shot, events = damaged(tmp_path), []
    with pytest.raises(SomeFramesFailed, match="1 frame"):
        for event in render(Job.make(age=70, output=str(tmp_path / "a.%04d.exr"), on_error="skip", **shot)):
            events.append(event)
    assert states(events) == {f: "failed" if f == 1003 else "aged" for f in range(FIRST, FIRST + 6)}
    assert '"state": "failed"' in (tmp_path / "a.manifest.jsonl").read_text()


def test_a_failing_network_may_leave_the_plate_and_the_next_run_tries_again(
    shot: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Any, crops: Any, *_: Any, **__: Any) -> Any:
        raise ReageError("the network gave up")

    out = tmp_path / "a.%04d.exr"
    with monkeypatch.context() as patch:
        patch.setattr(rig.SmallAger, "__call__", broken)
        with pytest.raises(SomeFramesFailed, match="gave up"):
            go(out, shot, frames="1001", on_error="copy")
    assert planes(tmp_path / "a.1001.exr")["R"].tobytes() == planes(plate_path(shot, 1001))["R"].tobytes()
    assert states(go(out, shot, frames="1001")) == {1001: "aged"}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_stay_and_do_not_spread(tmp_path: Path, bad: float) -> None:
    import OpenEXR

    plate = write_plate(tmp_path / "plate", range(FIRST, FIRST + 1))
    file = OpenEXR.File(plate % FIRST, separate_channels=True)
    channels = file.channels()
    channels["G"].pixels[70, 90] = bad
    file.write(plate % FIRST)
    shot = {"plate": plate, "tracks": str(write_tracks(tmp_path / "t.json", [FIRST]))}
    go(tmp_path / "a.%04d.exr", shot, layers=True)
    new, old = planes(tmp_path / "a.1001.exr"), planes(Path(plate % FIRST))
    assert np.array_equal(np.isfinite(new["G"]), np.isfinite(old["G"])) and np.isfinite(new["reage_delta.G"]).all()
    assert (new["G"] != old["G"]).sum() > 1000


def test_a_holdout_keeps_the_plate_where_it_is_white(shot: dict[str, str], tmp_path: Path) -> None:
    import OpenEXR

    mask = np.zeros((rig.HEIGHT, rig.WIDTH), np.float32)
    mask[:, :90] = 1.0
    for frame in (1001, 1002):
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {"R": mask * 0, "hand": mask}).write(str(tmp_path / f"m.{frame}.exr"))
    go(tmp_path / "a.%04d.exr", shot, frames="1001-1002", holdout=f"{tmp_path}/m.%04d.exr:hand")
    new, old = planes(tmp_path / "a.1001.exr"), planes(plate_path(shot, 1001))
    assert np.array_equal(new["R"][:, :90], old["R"][:, :90]) and (new["R"][:, 90:] != old["R"][:, 90:]).any()
    with pytest.raises(PlateError, match="holdout"):
        go(tmp_path / "b.%04d.exr", shot, holdout=f"{tmp_path}/m.%04d.exr:hand")


def test_premultiplied_colour_changes_in_proportion_to_its_alpha(tmp_path: Path) -> None:
    import OpenEXR

    rng = np.random.default_rng(1)
    alpha = rng.uniform(0.2, 1.0, (rig.HEIGHT, rig.WIDTH)).astype(np.float32)
    alpha[66:70] = 0.0
    straight = rig.texture(FIRST)
    for name, a in (("solid", np.ones_like(alpha)), ("thin", alpha)):
        (tmp_path / name).mkdir()
        channels = {c: np.ascontiguousarray(straight[..., i] * a) for i, c in enumerate("RGB")}
        header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
        OpenEXR.File(header, {**channels, "A": a}).write(str(tmp_path / name / "p.1001.exr"))
        shot = {"plate": str(tmp_path / name / "p.%04d.exr"), "tracks": str(write_tracks(tmp_path / "t.json", [FIRST]))}
        go(tmp_path / f"{name}.%04d.exr", shot, layers=True)
    solid, thin = planes(tmp_path / "solid.1001.exr"), planes(tmp_path / "thin.1001.exr")
    assert np.array_equal(thin["A"], alpha)
    # Where alpha is 0 there is no colour to crop; rows beside it see that in their crop.
    rows = np.r_[20:50, 90:120]
    error = thin["reage_delta.G"][rows] - alpha[rows] * solid["reage_delta.G"][rows]
    assert np.abs(error).max() < 0.02 * np.abs(solid["reage_delta.G"]).max()
    assert not thin["reage_delta.G"][66:70].any()


def test_an_image_of_codes_becomes_half_exr_that_rounds_back_exactly(tmp_path: Path) -> None:
    import cv2

    codes = (rig.texture(FIRST).clip(0, 1) * 255).round().astype(np.uint8)
    cv2.imwrite(str(tmp_path / "p.1001.png"), codes[..., ::-1])
    shot = {"plate": str(tmp_path / "p.%04d.png"), "tracks": str(write_tracks(tmp_path / "t.json", [FIRST]))}
    go(tmp_path / "a.%04d.exr", shot, strength=0)
    go(tmp_path / "a.%04d.png", shot)
    exr = planes(tmp_path / "a.1001.exr")
    assert all(exr[c].dtype == np.float16 for c in "RGB")
    assert np.array_equal((np.stack([exr[c] for c in "RGB"], -1).astype(float) * 255).round(), codes)
    png = np.stack([planes(tmp_path / "a.1001.png")[c] for c in "RGB"], -1)
    assert 0.05 < (png != codes).any(-1).mean() < 0.6
    with pytest.raises(RequestError, match="EXR"):
        go(tmp_path / "b.%04d.png", shot, layers=True)


def test_a_scene_linear_plate_goes_into_a_movie_as_it_looks(shot: dict[str, str], tmp_path: Path) -> None:
    from reage.plate import open_plate

    go(tmp_path / "a.mov", shot)
    movie = open_plate(str(tmp_path / "a.mov"))
    assert len(movie.frames) == 12
    seen = movie.read(1).parts[0].channels["G"].astype(float) / (2 ** movie.read(1).depth - 1)
    linear = planes(plate_path(shot, 1001))["G"].astype(float)[100, 20]
    assert seen[100, 20] == pytest.approx(1.055 * linear ** (1 / 2.4) - 0.055, abs=0.06)
    with pytest.raises(RequestError, match="one go"):
        go(tmp_path / "b.mov", shot, frames="1001-1004")
    assert not (tmp_path / "b.mov").exists()


def test_a_dry_run_tells_and_writes_nothing(shot: dict[str, str], tmp_path: Path) -> None:
    events = go(tmp_path / "out" / "a.%04d.exr", shot, dry_run=True)
    plan = next(event for event in events if event["event"] == "plan")
    assert plan["frames"] == "1001-1012" and plan["faces"] == {"1": 12} and not (tmp_path / "out").exists()


def test_ages_outside_the_trained_range_are_clamped_with_one_warning(shot: dict[str, str], tmp_path: Path) -> None:
    events = go(tmp_path / "a.%04d.exr", shot, age=110, frames="1001-1002")
    assert sum("clamped" in event.get("message", "") for event in events) == 1
    go(tmp_path / "b.%04d.exr", shot, age=90, frames="1001-1002")
    assert np.array_equal(planes(tmp_path / "a.1001.exr")["R"], planes(tmp_path / "b.1001.exr")["R"])


@pytest.mark.parametrize(("years", "advised"), [(70, False), (20, True)])
def test_a_model_without_an_age_says_so(
    shot: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: int, advised: bool
) -> None:
    rig.use_small_ager(monkeypatch, rig.SmallAgelessAger)
    events = go(tmp_path / "a.%04d.exr", shot, age=years, frames="1001")
    (told,) = (event["message"] for event in events if event["event"] == "warning")
    assert "takes no age" in told and ("another --model" in told) == advised


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"version": 2}', "\0", '{"version": 1, "extra": 3}'])
def test_a_tracks_file_that_is_none_is_refused(shot: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(RequestError, match=r"t\.json"):
        go(tmp_path / "a.%04d.exr", {**shot, "tracks": str(tmp_path / "t.json")})
