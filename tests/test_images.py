"""Pictures survive reading and writing to the bit, and damage is an error."""

from __future__ import annotations

import dataclasses
import os
import resource
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO as oiio
import pytest

from reage import exr, images
from reage.atomic import clean_stale_temporaries, temporary_path
from reage.errors import OutputError, PlateError, RequestError
from reage.records import Beauty, Part, Picture, Window

Array = np.ndarray[Any, Any]
TEXTS = {"reage/version": "0.1.0", "reage/settings": "ab" * 32, "reage/licence": "Apache-2.0; größe"}
LOSSLESS = ["none", "rle", "zips", "zip", "piz"]


def noise(height: int, width: int, dtype: str = "float16", seed: int = 0) -> Array:
    values = np.random.default_rng(seed).standard_normal((height, width)) * 3
    return (np.abs(values) * 1000).astype(dtype) if dtype.startswith("u") else values.astype(dtype)


def box(x: int, y: int, width: int, height: int) -> tuple[Array, Array]:
    return np.array([x, y], np.int32), np.array([x + width - 1, y + height - 1], np.int32)


def save(path: Path, *parts: tuple[dict[str, Any], dict[str, Array]]) -> Path:
    """An EXR made by the reference library alone."""
    made = [OpenEXR.Part(dict(header), dict(channels)) for header, channels in parts]
    OpenEXR.File(made).write(str(path))
    return path


def rgb(height: int = 24, width: int = 32, dtype: str = "float16") -> dict[str, Array]:
    return {name: noise(height, width, dtype, seed) for seed, name in enumerate("RGB")}


def header(compression: str = "ZIP", **more: Any) -> dict[str, Any]:
    return {
        "compression": getattr(OpenEXR, f"{compression}_COMPRESSION"),
        "type": OpenEXR.scanlineimage,
        **more,
    }


def all_true(part: Part) -> Array:
    return np.ones((part.data_window.height, part.data_window.width), bool)


def nothing(picture: Picture) -> Picture:
    return images.with_channels(picture, 0, {}, ~all_true(picture.parts[0]), metadata=TEXTS)


def assert_same_but_ours(a: Picture, b: Picture) -> None:
    assert len(a.parts) == len(b.parts)
    for one, two in zip(a.parts, b.parts, strict=True):
        assert one.channels.keys() == two.channels.keys()
        assert all(exr.same_bits(plane, two.channels[name]) for name, plane in one.channels.items())
        assert all(plane.dtype == two.channels[name].dtype for name, plane in one.channels.items())
        assert {k: v for k, v in two.header.items() if not k.startswith("reage/")} == dict(one.header)


def rich_attributes() -> dict[str, Any]:
    code = OpenEXR.TimeCode()
    code.hours, code.minutes, code.seconds, code.frame, code.userData = 11, 22, 33, 12, 0x1234
    preview = np.zeros((3, 5), [("r", "u1"), ("g", "u1"), ("b", "u1"), ("a", "u1")])
    preview["g"] = 7
    return {
        "timeCode": code,
        "framesPerSecond": Fraction(24000, 1001),
        "notReduced": OpenEXR.OpaqueAttribute(struct.pack("<iI", 48, 2), "rational"),
        "keyCode": OpenEXR.KeyCode(1, 2, 3, 4, 5, 6, 64),
        "worldToCamera": np.arange(16, dtype=np.float32).reshape(4, 4),
        "m33": np.arange(9, dtype=np.float64).reshape(3, 3),
        "chromaticities": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
        "v2f": np.array([1.5, -2], np.float32),
        "v3i": np.array([1, 2, -3], np.int32),
        "v3d": np.array([1, 2, -3], np.float64),
        "originalDataWindow": box(-5, 3, 100, 50),
        "box2f": (np.array([1, 2], np.float32), np.array([3, 4], np.float32)),
        "names": ["left", "right", "ünï"],
        "empty": OpenEXR.OpaqueAttribute(b"", "stringvector"),
        "floats": [1.0, 2.5],
        "double": np.array([np.pi]),
        "int": -7,
        "float": 0.1,
        "owner": "Ünïcode; 'quotes' \n newline",
        "own": OpenEXR.OpaqueAttribute(b"\0\1\2", "facility"),
        "preview": OpenEXR.PreviewImage(preview),
        "nuke/version": "15.1v3",
        "envmap": OpenEXR.ENVMAP_LATLONG,
        "a_name_of_more_than_thirty_one_characters_which_needs_a_flag": 1,
    }


# ---- EXR, to the bit -------------------------------------------------------------------------------------------------


def test_a_twenty_channel_multipart_with_two_windows_round_trips_to_the_bit(tmp_path: Path) -> None:
    display = box(0, 0, 64, 48)
    names = [*"RGBA", "Z", "id", *(f"layer{n}.{tail}" for n in range(4) for tail in "xyz"), "N.x", "N.y"]
    first = {
        name: noise(30, 40, ("float16", "float32", "uint32")[at % 3 if at > 3 else 0], at)
        for at, name in enumerate(names)
    }
    second = {name: noise(11, 7, "float32", 90 + at) for at, name in enumerate(("Z", "forward.u"))}
    path = save(
        tmp_path / "in.exr",
        (header("PIZ", name="rgba", dataWindow=box(-10, 5, 40, 30), displayWindow=display, **rich_attributes()), first),
        (
            header("ZIPS", name="depth", dataWindow=box(60, 40, 7, 11), displayWindow=display, **rich_attributes()),
            second,
        ),
    )
    plate = images.read_picture(path)
    assert sum(len(part.channels) for part in plate.parts) == 22
    assert plate.parts[0].data_window == Window(-10, 5, 40, 30)
    images.write_picture(tmp_path / "out.exr", nothing(plate))
    written = images.read_picture(tmp_path / "out.exr")
    assert_same_but_ours(plate, written)
    assert all(images.reage_metadata(part) == TEXTS for part in written.parts)
    reference = OpenEXR.File(str(tmp_path / "out.exr"), separate_channels=True)
    for part, channels in zip(reference.parts, (first, second), strict=True):
        assert all(exr.same_bits(part.channels[name].pixels, plane) for name, plane in channels.items())
        assert part.header["framesPerSecond"] == Fraction(24000, 1001)
        assert part.header["timeCode"] == rich_attributes()["timeCode"]


@pytest.mark.parametrize("compression", LOSSLESS)
@pytest.mark.parametrize("order", ["INCREASING_Y", "DECREASING_Y"])
def test_lossless_compression_and_line_order_are_kept(tmp_path: Path, compression: str, order: str) -> None:
    word = "NO" if compression == "none" else compression.upper()
    path = save(tmp_path / "in.exr", (header(word, lineOrder=getattr(OpenEXR, order)), rgb()))
    plate = images.read_picture(path)
    images.write_picture(tmp_path / "out.exr", plate)
    written = images.read_picture(tmp_path / "out.exr")
    assert_same_but_ours(plate, written)
    assert exr.compression_name(written.parts[0].header) == compression


@pytest.mark.parametrize("compression", ["DWAA", "DWAB", "B44", "B44A", "PXR24"])
def test_a_lossy_plate_is_written_as_zip_without_another_loss(tmp_path: Path, compression: str) -> None:
    plate = images.read_picture(save(tmp_path / "in.exr", (header(compression), rgb())))
    images.write_picture(tmp_path / "out.exr", plate)
    written = images.read_picture(tmp_path / "out.exr")
    assert exr.compression_name(written.parts[0].header) == "zip"
    assert all(exr.same_bits(plane, written.parts[0].channels[name]) for name, plane in plate.parts[0].channels.items())


def test_tiles_are_kept(tmp_path: Path) -> None:
    tiles = OpenEXR.TileDescription()
    tiles.xSize, tiles.ySize, tiles.mode = 16, 8, OpenEXR.ONE_LEVEL
    path = save(
        tmp_path / "in.exr", ({**header(lineOrder=OpenEXR.RANDOM_Y), "type": OpenEXR.tiledimage, "tiles": tiles}, rgb())
    )
    plate = images.read_picture(path)
    images.write_picture(tmp_path / "out.exr", plate)
    assert_same_but_ours(plate, images.read_picture(tmp_path / "out.exr"))
    assert oiio.ImageInput.open(str(tmp_path / "out.exr")).spec().tile_width == 16


@pytest.mark.parametrize(
    ("data", "display"),
    [
        ((0, 0), (1, 1, 32, 24)),
        ((0, 0), (30, 20, 2, 4)),
        ((-40, -40), (-41, -41, 90, 80)),
        ((0, 0), (400, 0, 200, 300)),
    ],
)
def test_windows_and_pixel_aspect_are_kept(
    tmp_path: Path, data: tuple[int, int], display: tuple[int, int, int, int]
) -> None:
    facts = {"dataWindow": box(*data, 32, 24), "displayWindow": box(*display), "pixelAspectRatio": 2.0}
    plate = images.read_picture(save(tmp_path / "in.exr", (header(**facts), rgb())))
    assert (plate.parts[0].pixel_aspect, plate.parts[0].display_window) == (2.0, Window(*display))
    images.write_picture(tmp_path / "out.exr", plate)
    assert_same_but_ours(plate, images.read_picture(tmp_path / "out.exr"))


def test_nan_payloads_infinities_and_signed_zeros_survive(tmp_path: Path) -> None:
    every_half = np.arange(65536, dtype=np.uint16).reshape(256, 256).view(np.float16)
    words = np.array([0x7F800001, 0x7FC12345, 0xFFFFFFFF, 0xFF800000, 0x80000000, 1], np.uint32)
    floats = np.resize(words, (256, 256)).view(np.float32)
    channels = {"R": every_half, "G": every_half.copy(), "B": every_half.copy(), "Z": floats}
    plate = images.read_picture(save(tmp_path / "in.exr", (header(), channels)))
    images.write_picture(tmp_path / "out.exr", nothing(plate))
    written = images.read_picture(tmp_path / "out.exr").parts[0].channels
    assert all(exr.same_bits(plane, written[name]) for name, plane in channels.items())


def test_no_clock_is_written_and_two_writes_are_one_file(tmp_path: Path) -> None:
    plate = nothing(images.read_picture(save(tmp_path / "in.exr", (header(), rgb()))))
    for name in ("a.exr", "b.exr"):
        images.write_picture(tmp_path / name, plate)
    assert (tmp_path / "a.exr").read_bytes() == (tmp_path / "b.exr").read_bytes()
    assert "capDate" not in exr.read_headers(tmp_path / "a.exr")[0]


def test_text_that_is_not_utf8_is_read_as_latin1(tmp_path: Path) -> None:
    path = save(tmp_path / "in.exr", (header(owner="K~ln"), rgb()))
    path.write_bytes(path.read_bytes().replace(b"K~ln", b"K\xf6ln"))
    plate = images.read_picture(path)
    images.write_picture(tmp_path / "out.exr", plate)
    assert images.plain_header(images.read_picture(tmp_path / "out.exr").parts[0])["owner"] == "Köln"


def test_a_stale_hash_and_thumbnail_do_not_travel_with_changed_pixels(tmp_path: Path) -> None:
    more = {"nuke/node_hash": "abc", "nuke/version": "15", "preview": rich_attributes()["preview"]}
    plate = images.read_picture(save(tmp_path / "in.exr", (header(**more), rgb())))
    part = plate.parts[0]
    changed = images.with_channels(plate, 0, {"R": np.zeros((24, 32), np.float32)}, all_true(part))
    images.write_picture(tmp_path / "out.exr", changed)
    kept = exr.read_headers(tmp_path / "out.exr")[0]
    assert "nuke/node_hash" not in kept
    assert "preview" not in kept
    assert "nuke/version" in kept


# ---- compression -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word", ["none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "DWAB", "dwaa:90"]
)
def test_the_compression_asked_for_is_written(tmp_path: Path, word: str) -> None:
    plate = images.read_picture(save(tmp_path / "in.exr", (header(), rgb())))
    images.write_picture(tmp_path / "out.exr", plate, word)
    written = exr.read_headers(tmp_path / "out.exr")[0]
    assert exr.compression_name(written) == word.lower().partition(":")[0]
    assert (exr.value(written["dwaCompressionLevel"]) == 90) if ":" in word else ("dwaCompressionLevel" not in written)


@pytest.mark.parametrize("word", ["gzip", "zip:4", "dwaa:high", "", ":45"])
def test_an_unknown_compression_is_a_wrong_request(word: str) -> None:
    with pytest.raises(RequestError):
        exr.check_compression(word)


def test_compression_is_for_exr_alone(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="EXR"):
        images.write_picture(tmp_path / "a.png", integer_picture("png", 8), "zip")


# ---- damage ----------------------------------------------------------------------------------------------------------


def plate_bytes(tmp_path: Path, compression: str = "ZIP", parts: int = 1) -> bytes:
    made = [(header(compression, name=f"p{n}"), rgb(64, 48)) for n in range(parts)]
    return save(tmp_path / "whole.exr", *made).read_bytes()


@pytest.mark.parametrize("share", [0.999, 0.99, 0.5, 0.1, 0.01, 0.0])
@pytest.mark.parametrize("kind", [("NO", 1), ("ZIP", 1), ("ZIPS", 2), ("PIZ", 1), ("DWAA", 1)])
def test_a_truncated_frame_is_an_error_and_not_black(tmp_path: Path, share: float, kind: tuple[str, int]) -> None:
    data = plate_bytes(tmp_path, *kind)
    path = tmp_path / "cut.exr"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PlateError, match=r"cut\.exr"):
        images.verify_picture(path)


@pytest.mark.parametrize("lines", [1, 16])
def test_a_hole_of_zeros_where_a_chunk_was_is_an_error(tmp_path: Path, lines: int) -> None:
    data = bytearray(plate_bytes(tmp_path, "ZIPS" if lines == 1 else "ZIP"))
    count = 64 // lines
    table = next(at for at in range(300, 2000) if struct.unpack_from("<Q", data, at)[0] == at + 8 * count)
    second, third = struct.unpack_from("<QQ", data, table + 8)
    data[table + 8 : table + 16] = bytes(8)
    data[second:third] = bytes(third - second)
    path = tmp_path / "hole.exr"
    path.write_bytes(data)
    with pytest.raises(PlateError):
        images.read_picture(path)


@pytest.mark.parametrize("compression", ["ZIP", "ZIPS"])
def test_a_changed_byte_in_a_chunk_is_an_error_where_the_format_has_a_checksum(
    tmp_path: Path, compression: str
) -> None:
    ramp = np.add.outer(np.arange(64), np.arange(48)).astype(np.float16)
    data = bytearray(save(tmp_path / "whole.exr", (header(compression), dict.fromkeys("RGB", ramp))).read_bytes())
    data[-20] ^= 0x55
    path = tmp_path / "bad.exr"
    path.write_bytes(data)
    with pytest.raises(PlateError):
        images.read_picture(path)


def test_random_damage_is_an_error_or_a_picture_but_never_a_crash(tmp_path: Path) -> None:
    data = plate_bytes(tmp_path, "PIZ")
    rng = np.random.default_rng(5)
    path = tmp_path / "bad.exr"
    for _ in range(150):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, 700, 4)] = rng.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            picture = images.read_picture(path)
        except PlateError:
            continue
        assert picture.parts


def test_a_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    data = bytearray(plate_bytes(tmp_path))
    at = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    data[at : at + 16] = struct.pack("<4i", 0, 0, 65535, 65535)
    path = tmp_path / "bomb.exr"
    path.write_bytes(data)
    with pytest.raises(PlateError, match="24576 MB"):
        images.read_picture(path)


def test_a_message_that_cannot_be_decoded_does_not_hide_the_error() -> None:
    class Source:
        def geterror(self) -> str:
            return b"\xff\xfe".decode()

    assert exr.oiio_error(Source())


def test_deep_files_are_refused(tmp_path: Path) -> None:
    deep = np.empty((4, 5), object)
    deep.fill(np.array([1.0], np.float32))
    path = tmp_path / "deep.exr"
    OpenEXR.File({"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}, {"Z": deep}).write(str(path))
    with pytest.raises(PlateError, match="deep"):
        images.read_picture(path)


def test_luminance_chroma_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "y.exr", (header(), {name: noise(24, 32) for name in ("Y", "RY", "BY")}))
    data = bytearray(path.read_bytes())
    at = data.index(b"\0RY\0") + 4 + 8
    data[at : at + 8] = struct.pack("<ii", 2, 2)
    path.write_bytes(data)
    with pytest.raises(PlateError, match="luminance-chroma"):
        images.read_picture(path)


@pytest.mark.parametrize("mode", [1, 2])
def test_mip_mapped_files_are_refused(tmp_path: Path, mode: int) -> None:
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 16
    tiles.mode = OpenEXR.ONE_LEVEL
    data = bytearray(
        save(tmp_path / "m.exr", ({**header(), "type": OpenEXR.tiledimage, "tiles": tiles}, rgb())).read_bytes()
    )
    data[data.index(b"tiles\0tiledesc\0") + 15 + 4 + 8] = mode
    (tmp_path / "m.exr").write_bytes(data)
    with pytest.raises(PlateError, match="mip-mapped"):
        images.read_picture(tmp_path / "m.exr")


@pytest.mark.parametrize("content", [b"", b"hello", exr.MAGIC, exr.MAGIC + b"\2\0\0\0", b"\x89PNG\r\n\x1a\n"])
def test_files_that_are_no_pictures_are_plate_errors(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.exr"
    path.write_bytes(content)
    for read in (images.read_picture, images.verify_picture, images.read_metadata):
        with pytest.raises(PlateError):
            read(path)


def test_a_missing_file_is_a_plate_error(tmp_path: Path) -> None:
    with pytest.raises(PlateError, match="No such file"):
        images.read_picture(tmp_path / "no.exr")


# ---- other formats ---------------------------------------------------------------------------------------------------


def integer_picture(format: str, depth: int, names: str = "RGB", **attributes: Any) -> Picture:
    dtype = np.dtype(np.uint8 if depth == 8 else np.uint16)
    rng = np.random.default_rng(depth)
    channels = {name: rng.integers(0, 2**depth, (21, 31)).astype(dtype) for name in names}
    spec = oiio.ImageSpec(31, 21, len(names), str(dtype))
    spec.channelnames = tuple(names)
    for name, item in attributes.items():
        spec.attribute(name.replace("__", ":"), item)
    window = Window(0, 0, 31, 21)
    return Picture(format, (Part(channels, window, window, 1.0, {"spec": spec}),), depth)


@pytest.mark.parametrize(
    ("format", "depth", "name"),
    [
        ("png", 8, "a.png"),
        ("png", 16, "a.png"),
        ("tiff", 8, "a.tif"),
        ("tiff", 10, "a.tif"),
        ("tiff", 12, "a.tiff"),
        ("tiff", 16, "a.TIF"),
        ("dpx", 8, "a.dpx"),
        ("dpx", 10, "a.dpx"),
        ("dpx", 12, "a.dpx"),
        ("dpx", 16, "a.dpx"),
    ],
)
def test_integer_pictures_keep_codes_depth_and_our_metadata(tmp_path: Path, format: str, depth: int, name: str) -> None:
    made = nothing(integer_picture(format, depth))
    images.write_picture(tmp_path / name, made)
    plate = images.read_picture(tmp_path / name)
    assert (plate.format, plate.depth) == (format, depth)
    assert all(exr.same_bits(plane, plate.parts[0].channels[c]) for c, plane in made.parts[0].channels.items())
    assert images.verify_picture(tmp_path / name) == images.read_metadata(tmp_path / name) == TEXTS
    images.write_picture(tmp_path / f"again{Path(name).suffix}", nothing(plate))
    again = images.read_picture(tmp_path / f"again{Path(name).suffix}")
    assert all(exr.same_bits(plane, again.parts[0].channels[c]) for c, plane in made.parts[0].channels.items())


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dpx", "a.jpg"])
def test_other_formats_get_no_clock_and_no_random_name(tmp_path: Path, name: str) -> None:
    picture = nothing(integer_picture(images.FORMATS[Path(name).suffix], 8))
    images.write_picture(tmp_path / name, picture)
    first = (tmp_path / name).read_bytes()
    images.write_picture(tmp_path / name, picture)
    assert (tmp_path / name).read_bytes() == first
    assert "DateTime" not in images.plain_header(images.read_picture(tmp_path / name).parts[0])


@pytest.mark.parametrize("packing", ["Packed", "Filled, method A", "Filled, method B"])
@pytest.mark.parametrize("endian", ["big", "little"])
def test_a_dpx_keeps_its_header_packing_and_byte_order(tmp_path: Path, packing: str, endian: str) -> None:
    facts: dict[str, Any] = {
        "dpx__Packing": packing,
        "oiio__Endian": endian,
        "dpx__FrameRate": 24.0,
        "DocumentName": "show",
    }
    facts |= {"dpx__SlateInfo": "42A", "DateTime": "2020:01:02 03:04:05", "dpx__Transfer": "Printing density"}
    made = integer_picture("dpx", 10, **facts)
    made.parts[0].header["spec"].attribute("smpte:TimeCode", "timecode", (0x01020304, 9))
    images.write_picture(tmp_path / "a.dpx", made)
    plate = images.read_picture(tmp_path / "a.dpx")
    assert images.plain_header(plate.parts[0])["smpte:TimeCode"] == (0x01020304, 9)
    assert images.plain_header(plate.parts[0])["dpx:Packing"] == packing
    (tmp_path / "out").mkdir()
    images.write_picture(tmp_path / "out" / "a.dpx", plate)
    assert (tmp_path / "out" / "a.dpx").read_bytes() == (tmp_path / "a.dpx").read_bytes()


def test_a_dpx_with_user_data_of_its_own_keeps_it(tmp_path: Path) -> None:
    made = integer_picture("dpx", 10)
    data = np.frombuffer(b"camera facts", np.uint8)
    made.parts[0].header["spec"].attribute("dpx:UserData", oiio.TypeDesc(f"uint8[{len(data)}]"), data)
    images.write_picture(tmp_path / "a.dpx", nothing(made))
    assert (
        bytes(images.plain_header(images.read_picture(tmp_path / "a.dpx").parts[0])["dpx:UserData"]) == b"camera facts"
    )
    assert images.read_metadata(tmp_path / "a.dpx") == {}


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_straight_alpha_is_not_multiplied(tmp_path: Path, name: str) -> None:
    made = integer_picture(images.FORMATS[Path(name).suffix], 8, "RGBA", oiio__UnassociatedAlpha=1)
    images.write_picture(tmp_path / name, made)
    plate = images.read_picture(tmp_path / name)
    assert all(exr.same_bits(plane, plate.parts[0].channels[c]) for c, plane in made.parts[0].channels.items())
    assert images.find_beauty(plate) == Beauty(0, ("R", "G", "B"), "A", premultiplied=False)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_float_tiff_keeps_its_type_and_values(tmp_path: Path, dtype: str) -> None:
    made = integer_picture("tiff", 16)
    part = dataclasses.replace(made.parts[0], channels=rgb(21, 31, dtype))
    images.write_picture(tmp_path / "a.tif", nothing(Picture("tiff", (part,))))
    plate = images.read_picture(tmp_path / "a.tif")
    assert plate.depth == 0
    assert all(exr.same_bits(plane, plate.parts[0].channels[c]) for c, plane in part.channels.items())


def test_a_jpeg_tells_whose_it_is(tmp_path: Path) -> None:
    images.write_picture(tmp_path / "a.jpg", nothing(integer_picture("jpeg", 8, ImageDescription="hello")))
    assert images.read_metadata(tmp_path / "a.jpg") == TEXTS
    assert images.plain_header(images.read_picture(tmp_path / "a.jpg").parts[0])["ImageDescription"] == "hello"


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.dpx", "a.jpg"])
@pytest.mark.parametrize("share", [0.999, 0.5, 0.1, 0.01, 0.0])
def test_other_truncated_frames_are_errors_too(tmp_path: Path, name: str, share: float) -> None:
    images.write_picture(tmp_path / name, integer_picture(images.FORMATS[Path(name).suffix], 8))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PlateError):
        images.read_picture(tmp_path / name)


def test_several_pages_and_strange_formats_are_refused(tmp_path: Path) -> None:
    spec = oiio.ImageSpec(4, 3, 3, "uint8")
    pixels = np.zeros((3, 4, 3), np.uint8)
    pages = oiio.ImageOutput.create(str(tmp_path / "a.tif"))
    assert pages.open(str(tmp_path / "a.tif"), (spec, spec))
    assert pages.write_image(pixels)
    assert pages.open(str(tmp_path / "a.tif"), spec, "AppendSubimage")
    assert pages.write_image(pixels)
    assert pages.close()
    other = oiio.ImageOutput.create(str(tmp_path / "a.bmp"))
    assert other.open(str(tmp_path / "a.bmp"), spec)
    assert other.write_image(pixels)
    assert other.close()
    for name, reason in (("a.tif", "pages"), ("a.bmp", "bmp")):
        with pytest.raises(PlateError, match=reason):
            images.read_picture(tmp_path / name)


# ---- which channels --------------------------------------------------------------------------------------------------


def picture_of(*parts: tuple[dict[str, Any], list[str]]) -> Picture:
    window = Window(0, 0, 2, 2)
    made = []
    for facts, names in parts:
        attributes = exr.new_header(window, window, 1.0)
        for name, item in facts.items():
            packed = b"".join(struct.pack("<i", len(text)) + text.encode() for text in item)
            listed = exr.Attribute("stringvector", packed)
            attributes[name] = listed if isinstance(item, list) else exr.text_attribute(item)
        planes = {name: np.zeros((2, 2), np.float16) for name in names}
        made.append(Part(planes, window, window, 1.0, attributes))
    return Picture("exr", tuple(made))


RGBA = ["R", "G", "B", "A"]
TWO_PARTS = picture_of(
    ({"name": "depth", "view": "right"}, ["Z"]),
    ({"name": "rgba_right", "view": "right"}, RGBA),
    ({"name": "diffuse_left", "view": "left"}, RGBA),
    ({"name": "rgba_left", "view": "left"}, RGBA),
)
ONE_PART = picture_of(
    ({"multiView": ["right", "left"]}, [*RGBA, "left.R", "left.G", "left.B", "left.A", "left.Z", "Z"])
)


@pytest.mark.parametrize(
    ("picture", "view", "expected"),
    [
        (picture_of(({}, ["B", "G", "R"])), None, Beauty(0, ("R", "G", "B"), None, True)),
        (picture_of(({}, ["Z"]), ({}, RGBA)), None, Beauty(1, ("R", "G", "B"), "A", True)),
        (TWO_PARTS, None, Beauty(1, ("R", "G", "B"), "A", True)),
        (TWO_PARTS, "left", Beauty(3, ("R", "G", "B"), "A", True)),
        (ONE_PART, None, Beauty(0, ("R", "G", "B"), "A", True)),
        (ONE_PART, "right", Beauty(0, ("R", "G", "B"), "A", True)),
        (ONE_PART, "left", Beauty(0, ("left.R", "left.G", "left.B"), "left.A", True)),
        (picture_of(({}, ["diffuse.R", "diffuse.G", "diffuse.B", *RGBA])), None, Beauty(0, ("R", "G", "B"), "A", True)),
        (
            picture_of(({"name": "diffuse"}, RGBA), ({"name": "rgba"}, RGBA)),
            None,
            Beauty(1, ("R", "G", "B"), "A", True),
        ),
        (
            picture_of(({}, ["aov.red", "aov.green", "aov.blue", "beauty.red", "beauty.green", "beauty.blue"])),
            None,
            Beauty(0, ("beauty.red", "beauty.green", "beauty.blue"), None, True),
        ),
        (picture_of(({}, ["Y", "Z"])), None, Beauty(0, ("Y", "Y", "Y"), None, True)),
        (
            picture_of(({}, ["Y", "spec.R", "spec.G", "spec.B"])),
            None,
            Beauty(0, ("spec.R", "spec.G", "spec.B"), None, True),
        ),
    ],
)
def test_the_beauty_is_found_by_channels_and_view(picture: Picture, view: str | None, expected: Beauty) -> None:
    assert images.find_beauty(picture, view) == expected


def test_a_view_that_is_not_there_is_a_wrong_request_that_names_those_that_are() -> None:
    with pytest.raises(RequestError, match="right, left"):
        images.find_beauty(ONE_PART, "middle")
    with pytest.raises(RequestError, match="no named view"):
        images.find_beauty(picture_of(({}, RGBA)), "left")


def test_a_plate_without_colour_is_a_plate_error_that_names_its_channels() -> None:
    with pytest.raises(PlateError, match="Z"):
        images.find_beauty(picture_of(({}, ["Z"])))


# ---- values ----------------------------------------------------------------------------------------------------------


def test_only_the_chosen_channels_change_and_only_under_the_mask(tmp_path: Path) -> None:
    channels = {**rgb(), "A": noise(24, 32, seed=7), "Z": noise(24, 32, "float32"), "id": noise(24, 32, "uint32")}
    channels["R"].view(np.uint16)[0, 0] = 0x7E55  # a NaN with a payload
    plate = images.read_picture(save(tmp_path / "in.exr", (header(), channels)))
    mask = np.zeros((24, 32), bool)
    mask[5:9, 5:9] = True
    wild = np.full((24, 32), 1e6, np.float32)
    wild[5, 5:8] = [np.inf, -1e9, np.nan]
    result = images.with_channels(plate, 0, {"R": wild}, mask, {"reage_matte.A": mask.astype(np.float32)}, TEXTS)
    new = result.parts[0].channels
    assert all(exr.same_bits(new[name], plane) for name, plane in channels.items() if name != "R")
    assert exr.same_bits(new["R"][~mask], channels["R"][~mask])
    assert new["R"].dtype == np.float16
    assert new["R"][6, 6] == 65504
    assert new["R"][5, 5] == np.inf
    assert new["R"][5, 6] == -65504
    assert np.isnan(new["R"][5, 7])
    images.write_picture(tmp_path / "out.exr", result)
    assert images.read_picture(tmp_path / "out.exr").parts[0].channels["reage_matte.A"].dtype == np.float32


def test_codes_are_rounded_and_clipped() -> None:
    plate = integer_picture("dpx", 10)
    values = np.full((21, 31), np.nan, np.float32)
    values[0, :5] = [0.0, 1.0, 2.0, -1.0, 512.4 / 1023]
    new = images.with_channels(plate, 0, {"G": values}, np.ones((21, 31), bool)).parts[0].channels["G"]
    assert new.dtype == np.uint16
    assert new[0, :6].tolist() == [0, 1023, 1023, 0, 512, 0]


@pytest.mark.parametrize("depth", [8, 10, 12, 16])
def test_codes_as_fractions_come_back_exactly(depth: int) -> None:
    plate = integer_picture("png", depth)
    beauty = images.find_beauty(plate)
    colour = images.colour_planes(plate, beauty)
    assert colour.shape == (21, 31, 3)
    assert colour.max() <= 1
    replaced = {name: colour[..., at] for at, name in enumerate("RGB")}
    again = images.with_channels(plate, 0, replaced, np.ones((21, 31), bool))
    assert all(exr.same_bits(plane, again.parts[0].channels[name]) for name, plane in plate.parts[0].channels.items())


@pytest.mark.parametrize(("depth", "off_by"), [(8, 0), (10, 0), (11, 0), (12, 1), (16, 16)])
def test_codes_in_a_half_exr_come_back_exactly_up_to_eleven_bits(depth: int, off_by: int) -> None:
    codes = np.arange(2**depth, dtype=np.uint16 if depth > 8 else np.uint8)[None]
    window = Window(0, 0, codes.shape[1], 1)
    part = Part(
        dict.fromkeys("RGB", codes), window, window, 1.0, {"spec": oiio.ImageSpec(window.width, 1, 3, "uint16")}
    )
    plate = Picture("tiff", (part,), depth)
    as_exr = images.convert(plate, images.find_beauty(plate), "exr").parts[0].channels["G"]
    assert as_exr.dtype == np.float16
    back = np.rint(as_exr.astype(np.float64) * (2**depth - 1))
    assert np.abs(back - codes).max() == off_by
    assert (depth <= images.EXACT_HALF_BITS) == (off_by == 0)


def test_from_exr_to_codes_the_display_window_is_cut_out(tmp_path: Path) -> None:
    facts = {"dataWindow": box(-4, 2, 32, 24), "displayWindow": box(0, 0, 20, 10)}
    values = {name: np.full((24, 32), level, np.float16) for name, level in zip("RGB", (0.5, 2.0, -1.0), strict=True)}
    plate = images.read_picture(save(tmp_path / "in.exr", (header(**facts), values)))
    result = images.convert(plate, images.find_beauty(plate), "png")
    images.write_picture(tmp_path / "out.png", result)
    written = images.read_picture(tmp_path / "out.png")
    assert written.depth == 16
    planes = written.parts[0].channels
    assert planes["R"].shape == (10, 20)
    assert planes["R"][:, 0].tolist() == [0, 0] + [32768] * 8
    assert planes["G"][5, 0] == 65535
    assert planes["B"][5, 0] == 0


def test_a_frame_is_assembled_in_another_format_from_unrounded_colour() -> None:
    plate = integer_picture("png", 8)
    beauty = images.find_beauty(plate)
    colour = images.colour_planes(plate, beauty)
    touched = np.zeros((21, 31), bool)
    touched[3:6, 3:6] = True
    result = images.assemble(
        plate, beauty, "exr", colour + np.float32(0.001), touched, {"reage_matte.A": colour[..., 0]}, TEXTS
    )
    red = result.parts[0].channels["R"]
    assert red[4, 4] == np.float16(colour[4, 4, 0] + np.float32(0.001))
    assert np.array_equal(np.rint(red[~touched].astype(np.float64) * 255), plate.parts[0].channels["R"][~touched])
    same = images.assemble(plate, beauty, "png", colour, np.ones_like(touched), None, TEXTS)
    assert all(exr.same_bits(plane, same.parts[0].channels[name]) for name, plane in plate.parts[0].channels.items())
    with pytest.raises(RequestError, match="--layers"):
        images.assemble(plate, beauty, "png", colour, touched, {"reage_matte.A": colour[..., 0]}, TEXTS)


def test_a_grey_frame_gets_the_luma_of_the_colour() -> None:
    plate = integer_picture("png", 8, "Y")
    beauty = images.find_beauty(plate)
    colour = np.zeros((21, 31, 3), np.float32)
    colour[..., 1] = 1.0
    result = images.assemble(plate, beauty, "png", colour, np.ones((21, 31), bool))
    assert np.unique(result.parts[0].channels["Y"]).tolist() == [round(0.7152 * 255)]


def test_a_time_code_goes_along_from_dpx_to_exr_and_back() -> None:
    plate = integer_picture("dpx", 10)
    plate.parts[0].header["spec"].attribute("smpte:TimeCode", "timecode", (0x01020304, 9))
    as_exr = images.convert(plate, images.find_beauty(plate), "exr")
    assert images.plain_header(as_exr.parts[0])["timeCode"] == (0x01020304, 9)
    back = images.convert(as_exr, images.find_beauty(as_exr), "dpx")
    assert back.depth == 10
    assert images.plain_header(back.parts[0])["smpte:TimeCode"] == (0x01020304, 9)


# ---- whole or absent -------------------------------------------------------------------------------------------------


def test_a_failed_write_leaves_what_was_there_and_no_temporary(tmp_path: Path) -> None:
    plate = images.read_picture(save(tmp_path / "in.exr", (header(), rgb())))
    (tmp_path / "out.exr").write_bytes(b"before")
    wrong = dataclasses.replace(plate.parts[0], channels={**plate.parts[0].channels, "Z": noise(3, 3)})
    with pytest.raises((OutputError, ValueError)):
        images.write_picture(tmp_path / "out.exr", Picture("exr", (wrong,)))
    assert (tmp_path / "out.exr").read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.exr", "out.exr"]


@pytest.mark.parametrize("name", ["out.exr", "out.png", "out.dpx"])
def test_a_full_disk_is_an_output_error_that_names_path_and_space(tmp_path: Path, name: str) -> None:
    """A limit on the size of files stands in for the full disk; it is set in a process of its own."""
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import numpy as np
from pathlib import Path
from reage import images
from reage.errors import OutputError
plate = images.read_picture(Path({str(tmp_path / "in.exr")!r}))
out = images.convert(plate, images.find_beauty(plate), images.format_of(Path({name!r})))
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    images.write_picture(Path({str(tmp_path / name)!r}), out)
except OutputError as error:
    print("refused", error)
"""
    save(tmp_path / "in.exr", (header("NO"), rgb(200, 200)))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "refused" in done.stdout, done.stderr
    assert name in done.stdout
    assert "MB free" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["in.exr"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 20000


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    for picture, name in ((integer_picture("png", 8), "a.png"), (picture_of(({}, RGBA)), "a.exr")):
        with pytest.raises(OutputError, match="nowhere"):
            images.write_picture(tmp_path / "nowhere" / name, picture)


def test_only_temporaries_of_dead_processes_on_this_host_are_removed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    living = temporary_path(tmp_path / "sh010.0001.exr")
    dead = living.with_name(living.name.replace(f".{os.getpid()}.", f".{child.pid}."))
    elsewhere = dead.with_name(dead.name.replace(dead.name.split(".")[-5], "another-host"))
    unlike = dead.with_name(dead.name.replace("sh010", "sh020"))
    bystanders = [living, elsewhere, unlike, tmp_path / "sh010.0001.exr", tmp_path / ".sh010.tmp"]
    for path in (dead, *bystanders):
        path.write_bytes(b"")
    assert clean_stale_temporaries(tmp_path, "sh010") == [dead]
    assert sorted(tmp_path.iterdir()) == sorted(bystanders)
    assert clean_stale_temporaries(tmp_path / "nowhere", "sh010") == []


def test_a_temporary_of_a_long_name_fits_the_file_system(tmp_path: Path) -> None:
    name = f"{'ü' * 120}.exr"
    images.write_picture(tmp_path / name, picture_of(({}, RGBA)))
    assert images.verify_picture(tmp_path / name) == {}


@pytest.mark.parametrize("name", ["a b.exr", "it's; touch x.exr", "$(id).exr", "-rf.exr", "new\nline.exr", "größe.png"])
def test_hostile_names_are_written_and_read(tmp_path: Path, name: str) -> None:
    picture = picture_of(({}, RGBA)) if name.endswith("exr") else integer_picture("png", 8)
    images.write_picture(tmp_path / name, images.with_channels(picture, 0, {}, np.zeros((2, 2), bool), metadata=TEXTS))
    assert images.read_metadata(tmp_path / name) == TEXTS


def test_an_extension_of_another_format_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        images.write_picture(tmp_path / "a.png", picture_of(({}, RGBA)))
    with pytest.raises(RequestError, match=r"\.exr"):
        images.format_of(tmp_path / "a.psd")
