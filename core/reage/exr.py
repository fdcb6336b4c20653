"""OpenEXR files, kept to the bit: attributes as the bytes they are, channels in their own types.

The header is read here, so that no attribute is interpreted and thereby changed (a rational 48/2, a text that is not
UTF-8), and so that a file is refused before a pixel is allocated. Pixels are read by OpenImageIO, which answers None
for a chunk that is missing or damaged, and written by the OpenEXR module, which takes every type of attribute.
Only ZIP, ZIPS and DWA hold a checksum, and none where a chunk did not shrink: elsewhere a changed byte that leaves the
structure whole cannot be told from a right one.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenEXR
import OpenImageIO as oiio
from numpy.typing import NDArray

from reage.atomic import output_error, whole_file
from reage.errors import PlateError, RequestError
from reage.records import Part, Picture, Plane, Window

MAGIC = b"\x76\x2f\x31\x01"
MAX_BYTES = 4096 * 2**20  # of all pixels of a file, uncompressed: more is a damaged or hostile header

_MAX_ATTRIBUTE = 64 * 2**20
_TILED, _DEEP, _MULTIPART = 0x200, 0x800, 0x1000
_TYPES = ("uint32", "float16", "float32")  # by the pixel type's code in a channel list
_OIIO_TYPES = {"uint32": "uint", "float16": "half", "float32": "float"}
_LOSSY = frozenset({"pxr24", "b44", "b44a", "dwaa", "dwab"})
_COMPRESSIONS = ("none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab")  # by code

# What the OpenEXR module wants as arrays of a type and shape; all else is handed over as bytes.
_ARRAYS = {
    "double": ("<f8", (1,)),
    "v2i": ("<i4", (2,)),
    "v2f": ("<f4", (2,)),
    "v2d": ("<f8", (2,)),
    "v3i": ("<i4", (3,)),
    "v3f": ("<f4", (3,)),
    "v3d": ("<f8", (3,)),
    "m33f": ("<f4", (3, 3)),
    "m33d": ("<f8", (3, 3)),
    "m44f": ("<f4", (4, 4)),
    "m44d": ("<f8", (4, 4)),
}


class Attribute(NamedTuple):
    """An attribute of a header: the name of its type, and its value as the file holds it."""

    type: str
    data: bytes


class Channel(NamedTuple):
    """An entry of a channel list."""

    name: str
    dtype: str  # "float16", "float32" or "uint32"
    linear: bool  # pLinear: a hint to B44
    sampling: tuple[int, int]


def text_attribute(text: str) -> Attribute:
    """A string attribute."""
    return Attribute("string", text.encode())


def value(attribute: Attribute) -> Any:
    """An attribute as plain Python: text, numbers, tuples of numbers, a list of texts; bytes where it is another type.

    A rational is (numerator, denominator), a box (x min, y min, x max, y max), a time code (time and flags, user data).
    """
    kind, data = attribute
    if kind == "string":
        return _text(data)
    if kind == "stringvector":
        return _texts(data)
    formats = {
        "int": "<i",
        "float": "<f",
        "rational": "<iI",
        "timecode": "<II",
        "chromaticities": "<8f",
        "box2i": "<4i",
    }
    if kind in formats:
        numbers = struct.unpack(formats[kind], data)
        return numbers[0] if len(numbers) == 1 else numbers
    if kind in _ARRAYS:
        numbers = tuple(np.frombuffer(data, _ARRAYS[kind][0]).tolist())
        return numbers[0] if len(numbers) == 1 else numbers
    return data


def read_headers(path: Path) -> list[dict[str, Attribute]]:
    """The headers of all parts, without pixels.

    Raises:
        PlateError: the file is missing, damaged, or of a kind that cannot be worked on: deep, sub-sampled
            (luminance-chroma), mip-mapped, or larger than MAX_BYTES.
    """
    try:
        with path.open("rb") as file:
            headers = _parse(file)
        for header in headers:
            _refuse_unsupported(path, header)
            _check_attributes(header)
        total = sum(_pixel_bytes(header) for header in headers)
    except OSError as error:
        raise PlateError(f"{str(path)!r} cannot be read: {error.strerror or error}; check the file") from error
    except (EOFError, LookupError, ValueError, struct.error) as error:
        raise PlateError(f"{str(path)!r} is damaged: its header cannot be read ({error}); render it again") from error
    if total > MAX_BYTES:
        raise PlateError(f"{str(path)!r} claims {total // 2**20} MB of pixels, more than {MAX_BYTES // 2**20}; refused")
    return headers


def read_exr(path: Path) -> Picture:
    """A whole file: all parts, all channels in their own types.

    Raises:
        PlateError: as `read_headers`, or a chunk of pixels is missing or damaged.
    """
    headers = read_headers(path)
    source = oiio.ImageInput.open(str(path))
    if source is None:
        raise _damaged(path, oiio_error(oiio))
    try:
        parts = tuple(_read_part(path, source, index, header) for index, header in enumerate(headers))
    finally:
        source.close()
    return Picture("exr", parts)


def write_exr(path: Path, picture: Picture, compression: str | None = None) -> None:
    """Write a file as a whole: temporary, read back and compared, renamed.

    Args:
        path: where.
        picture: of format "exr"; the headers of its parts are written as they are.
        compression: none, rle, zips, zip, piz, pxr24, b44, b44a, dwaa or dwab, the last two with a level (`dwaa:45`);
            None keeps each part's own, with ZIP in place of a lossy one.

    Raises:
        RequestError: an unknown compression.
        OutputError: it cannot be written, or does not read back as it should.
    """
    override = _compression(compression) if compression else {}
    headers = [_with_compression(part.header, override) for part in picture.parts]
    parts = [_module_part(part, header) for part, header in zip(picture.parts, headers, strict=True)]
    with whole_file(path) as temporary:
        try:
            with OpenEXR.File(parts, num_threads=0) as file:
                file.write(str(temporary))
            written = read_exr(temporary)
        except (PlateError, RuntimeError, ValueError, UnicodeError) as error:
            raise output_error(path, _one_line(str(error))) from error
        for part, header, check in zip(picture.parts, headers, written.parts, strict=True):
            if not _same(part, check, exact=compression_name(header) not in _LOSSY):
                raise output_error(path, "it does not read back as it was written")


def new_header(data: Window, display: Window, pixel_aspect: float) -> dict[str, Attribute]:
    """The header of a new part: scan lines, ZIP."""
    return {
        "compression": Attribute("compression", bytes([_COMPRESSIONS.index("zip")])),
        "dataWindow": Attribute("box2i", _box(data)),
        "displayWindow": Attribute("box2i", _box(display)),
        "lineOrder": Attribute("lineOrder", b"\0"),
        "pixelAspectRatio": Attribute("float", struct.pack("<f", pixel_aspect)),
        "screenWindowCenter": Attribute("v2f", bytes(8)),
        "screenWindowWidth": Attribute("float", struct.pack("<f", 1.0)),
        "type": text_attribute("scanlineimage"),
    }


def compression_name(header: Mapping[str, Attribute]) -> str:
    """How a part is compressed, as users say it; "other" for kinds that came after OpenEXR 3.3."""
    code = header["compression"].data[0]
    return _COMPRESSIONS[code] if code < len(_COMPRESSIONS) else "other"


def oiio_error(source: Any) -> str:
    """OpenImageIO's last message in one line; it may quote raw bytes, and then asking for it raises."""
    try:
        return _one_line(source.geterror()) or "no reason given"
    except UnicodeDecodeError:
        return "damaged, with a message that is not text"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _damaged(path: Path, reason: str) -> PlateError:
    return PlateError(f"{str(path)!r} is damaged or incomplete: {reason}; render or copy it again")


# ---- header ----------------------------------------------------------------------------------------------------------


def _parse(file: BufferedReader) -> list[dict[str, Attribute]]:
    if file.read(4) != MAGIC:
        raise ValueError("not an OpenEXR file")
    (version,) = struct.unpack("<I", _exactly(file, 4))
    if version & 0xFF != 2:
        raise ValueError(f"version {version & 0xFF}")
    headers = []
    while header := _parse_attributes(file):
        kind = "tiledimage" if version & _TILED else "scanlineimage"
        header.setdefault("type", text_attribute("deep" if version & _DEEP else kind))
        headers.append(header)
        if not version & _MULTIPART:
            break
    if not headers:
        raise ValueError("no part")
    return headers


def _parse_attributes(file: BufferedReader) -> dict[str, Attribute]:
    header = {}
    while name := _until_nul(file):
        kind = _until_nul(file)
        (size,) = struct.unpack("<i", _exactly(file, 4))
        if not 0 <= size <= _MAX_ATTRIBUTE:
            raise ValueError(f"attribute {name!r} of {size} bytes")
        header[name] = Attribute(kind, _exactly(file, size))
    return header


def _until_nul(file: BufferedReader) -> str:
    data = bytearray()
    while (byte := _exactly(file, 1)) != b"\0":
        data += byte
        if len(data) > 255:
            raise ValueError("a name without end")
    return _text(bytes(data))


def _exactly(file: BufferedReader, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise EOFError("it ends early")
    return data


def _text(data: bytes) -> str:
    """Old files hold Latin-1 where UTF-8 is the rule; every byte is a character there."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _texts(data: bytes) -> list[str]:
    texts, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<i", data, at)
        texts.append(_text(data[at + 4 : at + 4 + size]))
        at += 4 + max(0, size)
    return texts


def channel_list(header: Mapping[str, Attribute]) -> list[Channel]:
    """The channels that a header declares."""
    data, channels, at = header["channels"].data, [], 0
    while data[at : at + 1] not in (b"\0", b""):
        end = data.index(b"\0", at)
        code, linear, across, down = struct.unpack_from("<iB3xii", data, end + 1)
        if not 0 <= code < len(_TYPES):
            raise ValueError(f"pixel type {code}")
        channels.append(Channel(_text(data[at:end]), _TYPES[code], bool(linear), (across, down)))
        at = end + 17
    return channels


def _box(window: Window) -> bytes:
    return struct.pack("<4i", window.x, window.y, window.right - 1, window.bottom - 1)


def _window(header: Mapping[str, Attribute], name: str) -> Window:
    left, top, right, bottom = struct.unpack("<4i", header[name].data)
    if right < left or bottom < top:
        raise ValueError(f"{name} is empty")
    return Window(left, top, right - left + 1, bottom - top + 1)


def _aspect(header: Mapping[str, Attribute]) -> float:
    return float(struct.unpack("<f", header["pixelAspectRatio"].data)[0])


def _check_attributes(header: Mapping[str, Attribute]) -> None:
    """Raise ValueError, LookupError or struct.error where something that is always needed is missing or malformed."""
    _window(header, "displayWindow")
    if not _aspect(header) > 0:
        raise ValueError("pixel aspect of 0")
    if min(len(header[name].data) for name in ("compression", "lineOrder")) != 1:
        raise ValueError("no compression")
    for attribute in header.values():
        value(attribute)


def _pixel_bytes(header: Mapping[str, Attribute]) -> int:
    window = _window(header, "dataWindow")
    return window.width * window.height * sum(np.dtype(channel.dtype).itemsize for channel in channel_list(header))


def _refuse_unsupported(path: Path, header: Mapping[str, Attribute]) -> None:
    if value(header["type"]) not in ("scanlineimage", "tiledimage"):
        raise PlateError(f"{str(path)!r} is a deep EXR, which is not supported; flatten it first")
    if any(channel.sampling != (1, 1) for channel in channel_list(header)):
        raise PlateError(f"{str(path)!r} is a luminance-chroma EXR (Y, RY, BY), not supported; convert it to RGB first")
    if "tiles" in header and header["tiles"].data[8] & 0x0F:
        raise PlateError(
            f"{str(path)!r} is a mip-mapped EXR (a texture), not supported; convert it to a plain EXR first"
        )


# ---- reading ---------------------------------------------------------------------------------------------------------


def _read_part(path: Path, source: Any, index: int, header: dict[str, Attribute]) -> Part:
    window = _window(header, "dataWindow")
    dtypes = {channel.name: channel.dtype for channel in channel_list(header)}
    if not source.seek_subimage(index, 0):
        raise _damaged(path, oiio_error(source))
    names = source.spec().channelnames
    if sorted(names) != sorted(dtypes):
        raise _damaged(path, f"part {index} holds channels {', '.join(names)}")
    planes: dict[str, Plane] = {}
    for dtype, run in groupby(names, key=lambda name: dtypes[name]):
        group, first = list(run), len(planes)
        pixels = source.read_image(index, 0, first, first + len(group), _OIIO_TYPES[dtype])
        if pixels is None:
            raise _damaged(path, oiio_error(source))
        for position, name in enumerate(group):
            planes[name] = np.ascontiguousarray(pixels[:, :, position])
    return Part(planes, window, _window(header, "displayWindow"), _aspect(header), header)


# ---- writing ---------------------------------------------------------------------------------------------------------


def _compression(text: str) -> dict[str, Attribute]:
    """The attributes that a user's word for a compression stands for."""
    name, _, level = text.lower().partition(":")
    try:
        wanted = {"compression": Attribute("compression", bytes([_COMPRESSIONS.index(name)]))}
        if level:
            wanted["dwaCompressionLevel"] = Attribute("float", struct.pack("<f", float(level)))
    except ValueError:
        name = ""
    if not name or (level and name not in ("dwaa", "dwab")):
        raise RequestError(f"compression {text!r} is not known; use {', '.join(_COMPRESSIONS)}, or dwaa:45 for a level")
    return wanted


def check_compression(text: str) -> None:
    """RequestError where `text` names no compression of an EXR."""
    _compression(text)


def _with_compression(header: Mapping[str, Attribute], override: dict[str, Attribute]) -> dict[str, Attribute]:
    if not override and compression_name(header) in _LOSSY:
        return {**header, **_compression("zip")}
    return {**header, **override}


def _module_part(part: Part, header: Mapping[str, Attribute]) -> Any:
    known = {channel.name: channel.linear for channel in channel_list(header)} if "channels" in header else {}
    channels = {
        name: OpenEXR.Channel(np.ascontiguousarray(plane), 1, 1, known.get(name, False))
        for name, plane in part.channels.items()
    }
    # The library writes the channel list and the counts of chunks itself.
    kept = {name: item for name, item in header.items() if name not in ("channels", "chunkCount", "version")}
    return OpenEXR.Part({name: _module_value(item) for name, item in kept.items()} | _storage(header), channels)


def _storage(header: Mapping[str, Attribute]) -> dict[str, Any]:
    """The attributes whose type the OpenEXR module reads itself."""
    special: dict[str, Any] = {
        "type": OpenEXR.tiledimage if value(header["type"]) == "tiledimage" else OpenEXR.scanlineimage,
        "compression": OpenEXR.Compression(header["compression"].data[0]),
        "lineOrder": OpenEXR.LineOrder(header["lineOrder"].data[0]),
    }
    if "tiles" in header:
        tiles = OpenEXR.TileDescription()
        tiles.xSize, tiles.ySize = struct.unpack_from("<II", header["tiles"].data)
        tiles.mode = OpenEXR.ONE_LEVEL
        tiles.roundingMode = OpenEXR.LevelRoundingMode(header["tiles"].data[8] >> 4)
        special["tiles"] = tiles
    if "envmap" in header:
        special["envmap"] = OpenEXR.Envmap(header["envmap"].data[0])
    return special


def _module_value(attribute: Attribute) -> Any:
    kind, data = attribute
    if kind in ("string", "int", "float"):
        return value(attribute)
    if kind == "chromaticities":
        return struct.unpack("<8f", data)
    if kind in ("box2i", "box2f"):
        corners = np.frombuffer(data, "<i4" if kind == "box2i" else "<f4")
        return corners[:2].copy(), corners[2:].copy()
    if kind in _ARRAYS:
        dtype, shape = _ARRAYS[kind]
        return np.frombuffer(data, dtype).reshape(shape).copy()
    return OpenEXR.OpaqueAttribute(data, kind)


def _same(part: Part, written: Part, exact: bool) -> bool:
    if (part.data_window, part.display_window) != (written.data_window, written.display_window):
        return False
    if part.channels.keys() != written.channels.keys():
        return False
    pairs = [(plane, written.channels[name]) for name, plane in part.channels.items()]
    return all(a.dtype == b.dtype and a.shape == b.shape and (not exact or same_bits(a, b)) for a, b in pairs)


def same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two planes of one type are equal to the bit, NaN payloads and signs of zero included."""
    unsigned = f"u{a.dtype.itemsize}"
    return bool(np.array_equal(np.ascontiguousarray(a).view(unsigned), np.ascontiguousarray(b).view(unsigned)))


def layer_channels(channels: Sequence[str]) -> dict[str, dict[str, str]]:
    """Channels by layer: `{"left": {"R": "left.R"}}`; the layer of a bare name is the empty text."""
    layers: dict[str, dict[str, str]] = {}
    for name in channels:
        layer, _, tail = name.rpartition(".")
        layers.setdefault(layer, {})[tail] = name
    return layers
