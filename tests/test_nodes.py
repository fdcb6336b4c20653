"""The snippets are read by a real Tcl interpreter, and their numbers held against the engine's geometry.

None of this is Nuke: what a CornerPin2D, a Merge2 and an STMap do is taken from Foundry's description of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from nk.script import Node, Script, read
from rig import face_at, write_tracks

from reage import geometry
from reage.__main__ import cli
from reage.errors import OutputError, PlateError, RequestError
from reage.images import read_metadata, read_picture
from reage.nodes import Canvas, chosen, return_map, stabilise_map, write_nodes
from reage.tracks import FaceAt, Person, PlateFacts, Tracks, load_tracks, save_tracks

WIDTH, HEIGHT = 320, 200

# Facts of Nuke 17.0v3: the knobs of the classes that are written, beside those of every node.
KNOBS = {
    "Dot": set(),
    "NoOp": set(),
    "CornerPin2D": {f"{end}{i}" for end in ("to", "from") for i in (1, 2, 3, 4)},
    "Crop": {"box", "reformat"},
    "Merge2": {"operation", "Achannels", "Bchannels", "output", "bbox", "mix"},
    "STMap": {"uv"},
    "Copy": {"from0", "to0"},
    "Premult": set(),
    "Read": {"file", "first", "last", "origfirst", "origlast", "before", "after", "on_error", "raw"},
    "Tracker4": {"tracks", "reference_frame"},
}
EVERY = {"inputs", "name", "label", "xpos", "ypos"}


def face(left: float, top: float, side: float, turn: float = 0.3) -> FaceAt:
    """A square that is turned, so that x and y, up and down, cannot be exchanged unseen."""
    x, y = side * np.array([np.cos(turn), np.sin(turn)]), side * np.array([-np.sin(turn), np.cos(turn)])
    start = np.array([left, top])
    quad = [start, start + y, start + x + y, start + x]
    marks = [(left + 1.7 * i, top + 0.6 * i + 3.0) for i in range(68)]
    return FaceAt(quad=[(float(px), float(py)) for px, py in quad], landmarks=marks)


def shot(people: Mapping[int, Mapping[int, FaceAt]], pixel_aspect: float = 1.0, crop: int = 128) -> Tracks:
    facts = PlateFacts(
        name="p", frames="1-9", width=WIDTH, height=HEIGHT, pixel_aspect=pixel_aspect, colorspace="ACEScg", digest="-"
    )
    persons = [Person(id=i, source_age=40, crop=crop, frames=dict(frames)) for i, frames in people.items()]
    return Tracks(plate=facts, settings="-", exposure=0.0, persons=persons)


MOVING = {frame: face(90.0 + 3 * (frame - 1001), 60.0 - 2 * (frame - 1001), 90.0) for frame in range(1001, 1005)}


def written(tracks: Tracks, folder: Path, **options: object) -> tuple[str, list[dict[str, object]]]:
    events = list(write_nodes(tracks, folder / "out.nk", **options))  # type: ignore[arg-type]
    return (folder / "out.nk").read_text(encoding="utf-8"), events


def script(tracks: Tracks, folder: Path, **options: object) -> Script:
    found = read(written(tracks, folder, **options)[0])
    # The reader wants quotes around what looks like an expression; Nuke saves curves without any.
    assert [error for error in found.errors if not error.partition("needs quotes: ")[2].startswith("curve ")] == []
    return found


def named(found: Script, name: str) -> Node:
    (node,) = [node for node in found.nodes if node.name == f"Reage_{name}"]
    return node


def curve(text: str) -> dict[int, float]:
    """The keys of `curve x1001 12.5 x1002 13`, whatever stands before a key."""
    assert text.startswith("curve ")
    return {int(frame): float(value) for frame, value in re.findall(r"x(-?\d+) (-?[\d.]+)", text)}


def corner(node: Node, knob: str, frame: int) -> tuple[float, float]:
    """Value of an XY knob in a frame."""
    words = re.findall(r"\{(curve [^{}]*)\}", node.knobs[knob])
    if words:
        return curve(words[0])[frame], curve(words[1])[frame]
    x, y = node.knobs[knob].split()
    return float(x), float(y)


def homography(node: Node, frame: int) -> np.ndarray:
    """What a CornerPin2D does to a point: from1..from4 go to to1..to4."""
    before, after = (
        np.array([corner(node, f"{end}{i}", frame) for i in (1, 2, 3, 4)], np.float32) for end in ("from", "to")
    )
    return cv2.getPerspectiveTransform(before, after)


def moved(matrix: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    x, y, w = matrix @ np.array([*point, 1.0])
    return np.array([x / w, y / w])


# ---- corner pins -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", sorted(MOVING))
@pytest.mark.parametrize("point", [(91.25, 77.5), (140.0, 60.5), (0.5, 0.5)])
def test_the_pin_takes_a_plate_point_where_the_engine_takes_it(
    tmp_path: Path, frame: int, point: tuple[float, float]
) -> None:
    pin = named(script(shot({1: MOVING}), tmp_path), "face1_stabilise")
    crop_from_plate = geometry.invert(geometry.plate_from_crop(MOVING[frame].quad_array(), 128))
    x, y = geometry.apply(crop_from_plate, np.array(point))
    got = moved(homography(pin, frame), (point[0], HEIGHT - point[1]))  # Nuke's y goes up, ours down
    assert got == pytest.approx([x, 128 - y], abs=2e-3)


def test_the_way_back_undoes_the_way_there(tmp_path: Path) -> None:
    found = script(shot({1: MOVING}), tmp_path)
    there, back = (homography(named(found, f"face1_{way}"), 1003) for way in ("stabilise", "return"))
    point = np.array([31.0, 77.0])
    assert moved(back, tuple(moved(there, tuple(point)))) == pytest.approx(point, abs=1e-2)


def test_the_first_corner_is_the_bottom_left_of_the_face_in_the_plate(tmp_path: Path) -> None:
    pin = named(script(shot({1: {7: face(100, 50, 80, turn=0.0)}}), tmp_path), "face1_stabilise")
    assert [corner(pin, f"from{i}", 7) for i in (1, 2, 3, 4)] == [(100, 70), (180, 70), (180, 150), (100, 150)]
    assert [corner(pin, f"to{i}", 7) for i in (1, 2, 3, 4)] == [(0, 0), (128, 0), (128, 128), (0, 128)]


def test_a_quad_that_was_edited_into_no_parallelogram_is_used_as_the_engine_uses_it(tmp_path: Path) -> None:
    edited = face(100, 50, 80).model_copy()
    top_left, bottom_left, _, top_right = edited.quad
    edited = FaceAt(quad=[top_left, bottom_left, (300.0, 190.0), top_right], landmarks=edited.landmarks)
    pin = named(script(shot({1: {7: edited}}), tmp_path), "face1_stabilise")
    crop_from_plate = geometry.invert(geometry.plate_from_crop(edited.quad_array(), 128))
    x, y = geometry.apply(crop_from_plate, np.array([120.0, 90.0]))
    assert moved(homography(pin, 7), (120.0, HEIGHT - 90.0)) == pytest.approx([x, 128 - y], abs=2e-3)


def test_on_an_anamorphic_plate_the_crop_is_as_squeezed_as_the_plate(tmp_path: Path) -> None:
    squeezed = face(100, 50, 80, turn=0.0)
    quad = [(100 + (x - 100) / 2, y) for x, y in squeezed.quad]
    found = script(shot({1: {7: FaceAt(quad=quad, landmarks=squeezed.landmarks)}}, pixel_aspect=2.0), tmp_path)
    assert corner(named(found, "face1_stabilise"), "to3", 7) == (64, 128)
    assert named(found, "face1_crop").knobs["box"] == "0 0 64 128"


def test_a_display_window_that_begins_elsewhere_is_where_nuke_counts_from() -> None:
    facts = shot({}).plate
    assert Canvas.of(facts, (10, -20)).nuke(np.array([10.0, -20.0])) == pytest.approx([0, HEIGHT])
    assert Canvas.of(facts, (10, -20)).nuke(np.array([11.0, HEIGHT - 20.0])) == pytest.approx([1, 0])


def test_the_keys_are_the_frames_of_the_plate(tmp_path: Path) -> None:
    people = {frame: face(100 + frame, 50, 80) for frame in (-2, -1, 0, 5)}
    pin = named(script(shot({1: people}), tmp_path), "face1_stabilise")
    (x, y) = re.findall(r"\{(curve [^{}]*)\}", pin.knobs["from1"])
    assert sorted(curve(x)) == sorted(curve(y)) == [-2, -1, 0, 5]


def test_paint_is_added_to_the_plate_as_a_difference(tmp_path: Path) -> None:
    found = script(shot({1: MOVING}), tmp_path)
    change, result = named(found, "face1_change"), named(found, "face1_result")
    assert found.named(change) == ["Reage_face1_crop", "Reage_face1_paint"]  # B, A: A - B
    assert change.knobs["operation"] == "minus"
    assert found.named(result) == ["Reage_plate", "Reage_face1_return"]
    assert result.knobs["operation"] == "plus"
    assert found.named(named(found, "face1_return")) == ["Reage_face1_change"]
    assert found.named(named(found, "face1_paint")) == ["Reage_face1_crop"]
    assert found.named(named(found, "face1_crop")) == ["Reage_face1_stabilise"]
    assert found.named(named(found, "face1_stabilise")) == ["Reage_plate"]


def test_a_second_face_is_painted_on_the_result_of_the_first(tmp_path: Path) -> None:
    found = script(shot({1: MOVING, 3: MOVING}), tmp_path)
    assert found.named(named(found, "face3_stabilise")) == ["Reage_face1_result"]
    assert found.named(named(found, "face3_result")) == ["Reage_face1_result", "Reage_face3_return"]


@given(st.sets(st.integers(-20, 20), min_size=1))
def test_nothing_is_added_where_the_face_is_not_seen(frames: set[int]) -> None:
    from reage.nodes import _switch

    keys = re.findall(r"K x(-?\d+) ([01])", _switch(frames))
    for frame in range(-22, 23):
        before = [value for key, value in keys if int(key) <= frame]
        assert (before[-1] if before else keys[0][1]) == str(int(frame in frames))


def test_every_node_and_knob_is_one_that_nuke_has(tmp_path: Path) -> None:
    for kind in ({}, {"kind": "tracker"}, {"stmap": str(tmp_path / "st.%04d.exr")}):
        for node in script(shot({1: MOVING, 2: MOVING}), tmp_path, **kind).nodes:
            assert set(node.knobs) <= KNOBS[node.cls] | EVERY, node.name


@given(st.floats(-1e5, 1e5))
def test_a_number_is_written_without_exponent_and_to_a_ten_thousandth(value: float) -> None:
    from reage.nodes import _number

    assert re.fullmatch(r"-?\d+(\.\d{1,4})?", _number(value))
    assert float(_number(value)) == pytest.approx(value, abs=5.1e-5)
    assert _number(-1e-9) == "0"


# ---- trackers --------------------------------------------------------------------------------------------------------


def test_a_tracker_has_a_row_for_each_point_with_as_many_words_as_columns(tmp_path: Path) -> None:
    tkinter = pytest.importorskip("tkinter")

    tracker = named(script(shot({1: MOVING}), tmp_path, kind="tracker"), "face1_tracker")
    split = tkinter.Tcl().splitlist
    head, columns, rows = split(tracker.knobs["tracks"])
    assert split(head) == ("1", "31", "7")
    assert len(split(columns)) == 31
    table = {split(row)[1]: split(row) for row in split(rows)}
    assert {len(row) for row in table.values()} == {31}
    assert [name for name, row in table.items() if row[6:9] == ("1", "1", "1")] == [
        "right eye of the actor",
        "left eye of the actor",
    ]
    eye = MOVING[1002].landmark_array()[36:42].mean(0)
    x, y = (curve(table["right eye of the actor"][i])[1002] for i in (2, 3))
    assert (x, y) == pytest.approx((eye[0], HEIGHT - eye[1]), abs=1e-3)
    top_right = MOVING[1004].quad_array()[3]
    x, y = (curve(table["crop top right"][i])[1004] for i in (2, 3))
    assert (x, y) == pytest.approx((top_right[0], HEIGHT - top_right[1]), abs=1e-3)
    assert tracker.knobs["reference_frame"] == "1001"


# ---- maps ------------------------------------------------------------------------------------------------------------


def picture() -> np.ndarray:
    """Soft colour without a symmetry: (h, w, 3) float32."""
    noise = np.random.default_rng(3).random((HEIGHT, WIDTH, 3)).astype(np.float32)
    ramp = np.linspace(0, 1, WIDTH, dtype=np.float32)[None, :, None] + np.linspace(0, 3, HEIGHT)[:, None, None]
    return (cv2.GaussianBlur(noise, (0, 0), 4.0) + ramp).astype(np.float32)


def st_map(source: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """What an STMap does: u, v are positions over the source's size, (0, 0) its lower left corner."""
    height, width = source.shape[:2]
    x, y = (u * width - 0.5).astype(np.float32), ((1 - v) * height - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def test_the_map_through_remap_is_the_engines_crop() -> None:
    plate, at = picture(), face(110, 40, 100)
    canvas = Canvas.of(shot({}).plate)
    part = stabilise_map(at, canvas, 100).parts[0]
    got = st_map(plate, part.channels["R"], part.channels["G"])
    image = torch.from_numpy(np.ascontiguousarray(plate.transpose(2, 0, 1)))
    want = geometry.resample(image, geometry.plate_from_crop(at.quad_array(), 100), 100, 100)
    assert got == pytest.approx(want.numpy().transpose(1, 2, 0), abs=0.02)  # remap counts in 1/32 of a pixel
    assert np.abs(got[::-1] - got).mean() > 0.2  # it would not pass upside down


def test_the_maps_know_left_from_right_and_up_from_down() -> None:
    at = face(64, 20, 100, turn=0.0)  # to the left and above the middle of 320 x 200
    part = stabilise_map(at, Canvas.of(shot({}).plate), 10).parts[0]
    assert part.channels["R"][0, 0] == pytest.approx((64 + 5) / 320)
    assert part.channels["G"][0, 0] == pytest.approx(1 - (20 + 5) / 200)
    assert part.channels["R"][0, -1] > part.channels["R"][0, 0]
    assert part.channels["G"][-1, 0] < part.channels["G"][0, 0]


def test_what_was_painted_on_the_crop_comes_back_where_it_belongs() -> None:
    at, canvas = face(110, 40, 100), Canvas.of(shot({}).plate)
    paint = np.zeros((100, 100, 3), np.float32)
    paint[20:30, 60:75] = 1.0
    found = return_map(at, canvas)
    assert found is not None
    part = found.parts[0]
    change = st_map(paint, part.channels["R"], part.channels["G"]) * part.channels["A"][..., None]
    plate = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    plate[part.data_window.within(canvas.window)] = change
    ys, xs = np.nonzero(plate[..., 0] > 0.5)
    middle = geometry.apply(geometry.plate_from_crop(at.quad_array(), 100), np.array([67.5, 25.0]))
    assert [xs.mean() + 0.5, ys.mean() + 0.5] == pytest.approx(middle, abs=0.3)
    assert len(xs) == pytest.approx(150, rel=0.05)


def test_alpha_is_where_the_engine_changes_pixels() -> None:
    at, canvas = face(110, 40, 100), Canvas.of(shot({}).plate)
    found = return_map(at, canvas)
    assert found is not None
    window = found.parts[0].data_window
    crop_from_window = geometry.compose(
        geometry.invert(geometry.plate_from_crop(at.quad_array(), 100)), geometry.shift(window.x, window.y)
    )
    covered = geometry.covers(crop_from_window, 100, window.width, window.height)
    assert np.array_equal(found.parts[0].channels["A"] == 1, covered)
    edge = [found.parts[0].channels["A"][side] for side in (0, -1)]
    assert not np.any(edge)  # so that nothing is drawn out beyond the data window


def test_a_face_at_the_border_gets_a_map_within_the_display_window() -> None:
    facts = shot({}).plate
    for origin in ((0, 0), (-30, 12)):
        canvas = Canvas.of(facts, origin)
        found = return_map(face(origin[0] - 40, origin[1] - 30, 100), canvas)
        assert found is not None
        window = found.parts[0].data_window
        assert window == window.intersect(canvas.window)
        assert found.parts[0].display_window == canvas.window
    assert return_map(face(-400, 40, 100), Canvas.of(facts)) is None


def test_the_maps_are_float_exrs_with_the_right_windows_and_pixel_aspect(tmp_path: Path) -> None:
    tracks = shot({1: {1001: face(100, 50, 80)}}, pixel_aspect=2.0)
    written(tracks, tmp_path, stmap=str(tmp_path / "maps" / "st.%04d.exr"))
    there, back = (
        read_picture(tmp_path / "maps" / f"st_face1_{way}.1001.exr").parts[0] for way in ("stabilise", "return")
    )
    assert (there.display_window.width, there.display_window.height, there.pixel_aspect) == (128, 128, 1.0)
    assert (back.display_window.width, back.display_window.height, back.pixel_aspect) == (WIDTH, HEIGHT, 2.0)
    for part in (there, back):
        assert {name: plane.dtype.name for name, plane in part.channels.items()} == dict.fromkeys("RGBA", "float32")
    assert back.data_window.width < WIDTH


def test_the_nodes_read_the_maps_raw_and_wire_them_as_maps(tmp_path: Path) -> None:
    found = script(shot({1: MOVING, 2: MOVING}), tmp_path, stmap=str(tmp_path / "st.%04d.exr"))
    for one, plate in ((1, "Reage_plate"), (2, "Reage_face1_result")):
        stabilise, back = named(found, f"face{one}_stabilise"), named(found, f"face{one}_return")
        assert found.named(stabilise) == [plate, f"Reage_face{one}_stabilise_map"]  # src, stmap
        assert found.named(back) == [f"Reage_face{one}_change", f"Reage_face{one}_return_map"]
        inside = named(found, f"face{one}_inside")
        assert found.named(inside) == [f"Reage_face{one}_return", f"Reage_face{one}_return_map"]  # B, A
        assert found.named(named(found, f"face{one}_cut")) == [f"Reage_face{one}_inside"]
        assert found.named(named(found, f"face{one}_change")) == [
            f"Reage_face{one}_stabilise",
            f"Reage_face{one}_paint",
        ]
        assert found.named(named(found, f"face{one}_result")) == [plate, f"Reage_face{one}_cut"]
        knobs = named(found, f"face{one}_return_map").knobs
        assert knobs["file"] == (tmp_path / f"st_face{one}_return.%04d.exr").as_posix()
        assert (knobs["raw"], knobs["first"], knobs["last"]) == ("true", "1001", "1004")
        assert (tmp_path / f"st_face{one}_return.1001.exr").is_file()


def test_a_folder_with_signs_that_tcl_knows_is_written_so_that_it_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a [b] {c} $d"
    found = script(shot({1: MOVING}), tmp_path, stmap=str(folder / "st.%04d.exr"))
    assert named(found, "face1_return_map").knobs["file"] == (folder / "st_face1_return.%04d.exr").as_posix()


# ---- what is chosen and refused --------------------------------------------------------------------------------------


def test_the_faces_that_are_named_are_written_and_no_other(tmp_path: Path) -> None:
    tracks = shot({1: MOVING, 2: MOVING, 5: {}})
    assert [person.id for person in chosen(tracks, "all")] == [1, 2]
    text, _ = written(tracks, tmp_path, face="2")
    assert "face2" in text and "face1" not in text


@pytest.mark.parametrize("face", ["3", "1,3", "5", "x", ""])
def test_a_face_that_is_not_there_is_refused_with_those_that_are(face: str) -> None:
    with pytest.raises(RequestError, match="which holds 1, 2"):
        chosen(shot({1: MOVING, 2: MOVING, 5: {}}), face)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "stmap"}, "go together"),
        ({"kind": "tracker", "stmap": "st.%04d.exr"}, "go together"),
        ({"stmap": "st.exr"}, "a pattern of EXRs"),
        ({"stmap": "st.%04d.png"}, "a pattern of EXRs"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(tmp_path: Path, options: dict[str, str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        written(shot({1: MOVING}), tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_reage_did_not_make_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.nk").write_text("Root {\n}\n")
    with pytest.raises(OutputError, match=r"out\.nk.*--overwrite"):
        written(shot({1: MOVING}), tmp_path)
    written(shot({1: MOVING}), tmp_path, overwrite=True)
    written(shot({1: MOVING}), tmp_path)  # its own is replaced
    (tmp_path / "st_face1_return.1003.exr").write_bytes(b"somebody's")
    with pytest.raises(OutputError, match=r"st_face1_return\.1003\.exr"):
        written(shot({1: MOVING}), tmp_path, stmap=str(tmp_path / "st.%04d.exr"))
    assert not (tmp_path / "st_face1_return.1001.exr").exists()


def test_the_maps_say_that_reage_made_them(tmp_path: Path) -> None:
    _, events = written(shot({1: MOVING}), tmp_path, stmap=str(tmp_path / "st.%04d.exr"))
    assert read_metadata(tmp_path / "st_face1_stabilise.1002.exr")["reage/version"]
    written(shot({1: MOVING}), tmp_path, stmap=str(tmp_path / "st.%04d.exr"))
    assert [event["done"] for event in events if event["event"] == "progress"] == list(range(1, 9))
    assert events[-1]["outputs"] == [
        str(tmp_path / name) for name in ("out.nk", "st_face1_stabilise.%04d.exr", "st_face1_return.%04d.exr")
    ]


def test_the_plates_display_window_is_read_where_it_is_named(tmp_path: Path) -> None:
    import OpenEXR

    window = (np.array([10, 20], np.int32), np.array([10 + WIDTH - 1, 20 + HEIGHT - 1], np.int32))
    planes = {name: np.zeros((HEIGHT, WIDTH), np.float16) for name in "RGB"}
    header = {"dataWindow": window, "displayWindow": window, "type": OpenEXR.scanlineimage}
    header["compression"] = OpenEXR.ZIP_COMPRESSION
    OpenEXR.File(header, planes).write(str(tmp_path / "p.1001.exr"))
    tracks = shot({1: {1001: face(100, 50, 80, turn=0.0)}})
    found = script(tracks, tmp_path, plate=str(tmp_path / "p.%04d.exr"))
    assert corner(named(found, "face1_stabilise"), "from4", 1001) == (90, HEIGHT - 30)
    smaller = tracks.model_copy(update={"plate": tracks.plate.model_copy(update={"width": WIDTH - 2})})
    with pytest.raises(RequestError, match="analysed"):
        written(smaller, tmp_path, plate=str(tmp_path / "p.%04d.exr"))
    with pytest.raises(PlateError):
        written(tracks, tmp_path, plate=str(tmp_path / "q.%04d.exr"))


# ---- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_snippet_of_a_tracks_file(tmp_path: Path) -> None:
    tracks = write_tracks(tmp_path / "s.tracks.json", range(1001, 1004), {2: {1001: face_at(1001)}})
    words = ["nodes", str(tracks), "-o", str(tmp_path / "align.nk"), "--face", "2", "--progress", "json"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["outputs"] == [str(tmp_path / "align.nk")]
    found = read((tmp_path / "align.nk").read_text())
    want = load_tracks(tracks).persons[0].frames[1001].quad_array()[0]
    assert corner(named(found, "face2_stabilise"), "from4", 1001) == pytest.approx((want[0], 144 - want[1]), abs=1e-3)


def test_the_command_refuses_what_is_not_there(tmp_path: Path) -> None:
    save_tracks(shot({1: MOVING}), tmp_path / "s.tracks.json")
    words = ["nodes", str(tmp_path / "s.tracks.json"), "-o", str(tmp_path / "a.nk"), "--face", "9"]
    assert isinstance(CliRunner().invoke(cli, words).exception, RequestError)
    words[1] = str(tmp_path / "none.json")
    assert isinstance(CliRunner().invoke(cli, words).exception, PlateError)
    assert not (tmp_path / "a.nk").exists()
