"""Pictures as files hold them: read whole, changed in the chosen channels alone, written whole.

EXR goes through `reage.exr`; DPX, TIFF, PNG and JPEG through OpenImageIO. Nothing is converted on the way: channels
keep their types, integer codes stay codes (a 10-bit DPX holds 0..1023), alpha is never multiplied or divided.

Where `reage/` metadata lives: EXR, string attributes of every part; PNG, text chunks; TIFF and JPEG, one JSON text in
XMP (`photoshop:History`); DPX, a JSON text in the user data, unless the plate has user data of its own (then resume
has the manifest alone). `Part.header` is a mapping of `exr.Attribute` for EXR; for movies of plain values; for all
else it holds OpenImageIO's `spec` and the `reage/` texts. `plain_header` reads all kinds as plain values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
from numpy.typing import NDArray

from reage import exr
from reage.atomic import output_error, whole_file
from reage.errors import PlateError, RequestError
from reage.records import Beauty, Part, Picture, Plane, Window

FORMATS = {
    ".exr": "exr",
    ".dpx": "dpx",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".png": "png",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}
"""Picture.format by extension."""

HALF_MAX = 65504.0
EXACT_HALF_BITS = 11  # codes of up to so many bits come back exactly from half(code / max code)
JPEG_QUALITY = "jpeg:98"

_PREFIX = "reage/"
_STALE = ("nuke/node_hash",)  # says which Nuke script made the pixels; a copy or a change of them it does not
_OIIO_FORMATS = {"openexr": "exr", "dpx": "dpx", "tiff": "tiff", "png": "png", "jpeg": "jpeg"}
_DTYPES = {"uint8": np.uint8, "uint16": np.uint16, "half": np.float16, "float": np.float32}
_OIIO_TYPES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
_DEPTHS = {"dpx": (8, 10, 12, 16), "tiff": (8, 16), "png": (8, 16), "jpeg": (8,)}
_RGB = (("R", "G", "B", "A"), ("r", "g", "b", "a"), ("red", "green", "blue", "alpha"))
_BEAUTY_NAMES = ("", "rgba", "rgb", "beauty", "main", "combined")  # of layers and parts, best first
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # Rec.709


# ---- files -----------------------------------------------------------------------------------------------------------


def read_picture(path: Path) -> Picture:
    """A file's whole content.

    Raises:
        PlateError: it is missing, damaged, incomplete, of an unknown kind or too large.
    """
    if _is_exr(path):
        return exr.read_exr(path)
    source = _open(path)
    try:
        return _read_oiio(path, source)
    finally:
        source.close()


def write_picture(path: Path, picture: Picture, compression: str | None = None) -> None:
    """Write a picture in its own format, whole or not at all; what is written is read back and compared.

    Args:
        path: where; its extension names the picture's format.
        picture: as read, or from `with_channels` or `convert`.
        compression: of an EXR, as `exr.write_exr` takes it; nothing else may have one.

    Raises:
        RequestError: the extension and the format disagree, or the compression is unknown or not for an EXR.
        OutputError: it cannot be written; the message names path and free space.
    """
    if format_of(path) != picture.format:
        raise RequestError(f"output {str(path)!r} does not end as a file of format {picture.format} does")
    if picture.format == "exr":
        exr.write_exr(path, _without_stale(picture), compression)
        return
    if compression:
        raise RequestError(f"--compression {compression} is for EXR outputs; {str(path)!r} is none")
    with whole_file(path) as temporary:
        _write_oiio(path, temporary, picture)
        try:
            written = read_picture(temporary)
        except PlateError as error:
            raise output_error(path, str(error)) from error
        if not _came_back(picture, written):
            raise output_error(path, "it does not read back as it was written")


def verify_picture(path: Path) -> dict[str, str]:
    """Read a file to its last pixel and answer its `reage/` metadata; empty where it is not ours.

    Raises:
        PlateError: as `read_picture`.
    """
    return reage_metadata(read_picture(path).parts[0])


def read_metadata(path: Path) -> dict[str, str]:
    """The `reage/` metadata of a file, from its header alone: no proof that the pixels are whole.

    Raises:
        PlateError: the header cannot be read.
    """
    if _is_exr(path):
        return _reage_texts(exr.read_headers(path)[0])
    source = _open(path)
    try:
        return _reage_texts(_texts_of(source.spec()))
    finally:
        source.close()


def format_of(path: Path) -> str:
    """Picture.format for a path's extension.

    Raises:
        RequestError: the extension is none of an image that can be written.
    """
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise RequestError(f"output {str(path)!r}: images end in {', '.join(FORMATS)}; use one of these")
    return found


def _is_exr(path: Path) -> bool:
    return _magic(path) == exr.MAGIC


def _magic(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4)
    except OSError as error:
        raise PlateError(f"{str(path)!r} cannot be read: {error.strerror or error}; check the path") from error


# ---- OpenImageIO -----------------------------------------------------------------------------------------------------


def _open(path: Path) -> Any:
    """Open for native values: alpha as it is in the file. Refuses by the header what must not be read."""
    wanted = oiio.ImageSpec()
    wanted.attribute("oiio:UnassociatedAlpha", 1)
    try:
        source = oiio.ImageInput.open(str(path), wanted)
    except UnicodeError as error:
        raise PlateError(f"path {str(path)!r} is not valid text; rename the file") from error
    if source is None:
        raise PlateError(f"{str(path)!r} cannot be read: {exr.oiio_error(oiio)}; check that it is a whole image")
    spec = source.spec()
    reason = None
    if source.format_name() not in _OIIO_FORMATS:
        reason = f"its format ({source.format_name()}) is not supported"
    elif str(spec.format) not in _DTYPES:
        reason = f"samples of type {spec.format} are not supported"
    elif spec.image_bytes() > exr.MAX_BYTES:
        reason = f"it claims {spec.image_bytes() // 2**20} MB of pixels, more than {exr.MAX_BYTES // 2**20}"
    elif source.seek_subimage(1, 0) or source.seek_subimage(0, 1):
        reason = "it holds several pages or mip-map levels"
    if reason:
        source.close()
        raise PlateError(f"{str(path)!r}: {reason}; convert it to EXR, DPX, TIFF, PNG or JPEG first")
    source.seek_subimage(0, 0)
    return source


def _read_oiio(path: Path, source: Any) -> Picture:
    format, spec = _OIIO_FORMATS[source.format_name()], oiio.ImageSpec(source.spec())
    pixels = source.read_image(str(spec.format))
    if pixels is None or pixels.shape != (spec.height, spec.width, spec.nchannels):
        raise PlateError(f"{str(path)!r} is damaged or incomplete: {exr.oiio_error(source)}; render or copy it again")
    if format in ("jpeg", "png"):
        _refuse_cut_off(path, format)
    depth = _depth(spec, pixels.dtype)
    if depth:
        pixels = pixels >> (8 * pixels.dtype.itemsize - depth)
    if format == "dpx":  # OpenImageIO reads either byte order, and would write big-endian
        spec.attribute("oiio:Endian", "big" if _magic(path) == b"SDPX" else "little")
    channels = {name: np.ascontiguousarray(pixels[:, :, at]) for at, name in enumerate(spec.channelnames)}
    data = Window(spec.x, spec.y, spec.width, spec.height)
    display = Window(spec.full_x, spec.full_y, spec.full_width, spec.full_height)
    aspect = float(spec.get_float_attribute("PixelAspectRatio", 1.0)) or 1.0
    header = {"spec": spec, **_texts_of(spec)}
    return Picture(format, (Part(channels, data, display, aspect, header),), depth)


def _depth(spec: Any, dtype: np.dtype[Any]) -> int:
    """Bits of a code. OpenImageIO widens 10, 12 and 14 bits to 16 by repeating the top bits below."""
    if dtype.kind == "f":
        return 0
    whole = 8 * dtype.itemsize
    told = spec.get_int_attribute("oiio:BitsPerSample", whole)
    return told if 8 < told < whole else whole


def _refuse_cut_off(path: Path, format: str) -> None:
    """What is missing at the end is painted grey by libjpeg and not missed by libpng; here both are errors."""
    data = path.read_bytes()
    ends = {"jpeg": b"\xff\xd9" in data[data.rfind(b"\xff\xda") :], "png": b"IEND\xaeB`\x82" in data[-4096:]}
    if not ends.get(format, True):
        raise PlateError(f"{str(path)!r} is incomplete: it ends before its last pixel; render or copy it again")


def _write_oiio(path: Path, temporary: Path, picture: Picture) -> None:
    pixels, spec = _interleaved(picture), _spec(picture)
    oiio.attribute("tiff:half", 1)  # or half TIFFs grow to float
    target = oiio.ImageOutput.create(str(temporary))
    if target is None:
        raise output_error(path, exr.oiio_error(oiio))
    # close() answers True after a write that failed on a full disk: every answer counts.
    done = target.open(str(temporary), spec) and target.write_image(pixels)
    reason = "" if done else exr.oiio_error(target)
    if not target.close() or not done:
        raise output_error(path, reason or exr.oiio_error(target))
    if picture.format == "dpx":
        _name_dpx(temporary, path.name)


def _name_dpx(temporary: Path, name: str) -> None:
    """A DPX holds its own name (100 bytes from byte 36); the library wrote the temporary one, which is random."""
    with temporary.open("rb+") as file:
        file.seek(36)
        file.write(name.encode(errors="replace")[:99].ljust(100, b"\0"))


def _interleaved(picture: Picture) -> NDArray[Any]:
    pixels = np.stack(list(picture.parts[0].channels.values()), -1)
    spread = 8 * pixels.dtype.itemsize - picture.depth
    if picture.depth and spread:
        pixels = (pixels << spread) | (pixels >> (picture.depth - spread))
    return np.ascontiguousarray(pixels)


def _spec(picture: Picture) -> Any:
    part = picture.parts[0]
    plane = next(iter(part.channels.values()))
    spec = oiio.ImageSpec(part.header["spec"])
    spec.width, spec.height = part.data_window.width, part.data_window.height
    spec.nchannels, spec.channelnames, spec.channelformats = len(part.channels), tuple(part.channels), ()
    spec.set_format(_OIIO_TYPES[plane.dtype])
    for name in [item.name for item in spec.extra_attribs]:
        if name.startswith(("thumbnail", _PREFIX)) or name in (*_STALE, "ImageHistory"):
            spec.erase_attribute(name)
    if picture.depth:
        spec.attribute("oiio:BitsPerSample", picture.depth)
    if picture.format == "tiff" and not spec.get_string_attribute("DateTime"):
        spec.attribute("DateTime", "")  # else the library writes the clock
    if picture.format == "jpeg":
        spec.attribute("Compression", JPEG_QUALITY)
    _put_texts(spec, picture.format, _reage_texts(part.header))
    return spec


def _put_texts(spec: Any, format: str, texts: Mapping[str, str]) -> None:
    """Add `reage/` metadata where the format can hold it."""
    if not texts:
        return
    packed = json.dumps(texts, sort_keys=True)
    if format == "png":
        for name, text in texts.items():
            spec.attribute(name, text)
    elif format in ("tiff", "jpeg"):
        spec.attribute("photoshop:History", packed)
    elif spec.getattribute("dpx:UserData") is None or _unpacked(_user_data(spec)):
        data = np.frombuffer(packed.encode(), np.uint8)
        spec.attribute("dpx:UserData", oiio.TypeDesc(f"uint8[{len(data)}]"), data)


def _texts_of(spec: Any) -> dict[str, str]:
    """The `reage/` metadata of a file that OpenImageIO reads."""
    plain = {item.name: item.value for item in spec.extra_attribs if item.name.startswith(_PREFIX)}
    packed = _unpacked(spec.get_string_attribute("ImageHistory")) or _unpacked(_user_data(spec))
    return {**packed, **{name: text for name, text in plain.items() if isinstance(text, str)}}


def _user_data(spec: Any) -> str:
    data = spec.getattribute("dpx:UserData")
    return "" if data is None else bytes(np.asarray(data, np.uint8)).rstrip(b"\0").decode(errors="replace")


def _unpacked(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return _reage_texts(found) if isinstance(found, dict) else {}


def _came_back(picture: Picture, written: Picture) -> bool:
    """Whether a file holds what was to be written; of a JPEG, whose pixels differ, its size."""
    ours, theirs = picture.parts[0].channels, written.parts[0].channels
    if len(ours) != len(theirs) or picture.depth != written.depth:
        return False
    pairs = list(zip(ours.values(), theirs.values(), strict=True))
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in pairs):
        return False
    return picture.format == "jpeg" or all(exr.same_bits(a, b) for a, b in pairs)


# ---- metadata --------------------------------------------------------------------------------------------------------


def plain_header(part: Part) -> dict[str, Any]:
    """All metadata of a part as plain values (text, numbers, tuples), by the names the file's library uses."""
    spec = part.header.get("spec")
    values = {item.name: item.value for item in spec.extra_attribs} if spec is not None else {}
    own = {name: item for name, item in part.header.items() if name != "spec"}
    return values | {name: exr.value(item) if isinstance(item, exr.Attribute) else item for name, item in own.items()}


def reage_metadata(part: Part) -> dict[str, str]:
    """The `reage/` metadata of a part that was read; empty where there is none."""
    return _reage_texts(part.header)


def _reage_texts(header: Mapping[str, Any]) -> dict[str, str]:
    ours = {name: item for name, item in header.items() if name.startswith(_PREFIX)}
    return {name: exr.value(item) if isinstance(item, exr.Attribute) else item for name, item in ours.items()}


def _without_stale(picture: Picture) -> Picture:
    parts = (
        replace(part, header={name: item for name, item in part.header.items() if name not in _STALE})
        for part in picture.parts
    )
    return replace(picture, parts=tuple(parts))


# ---- which channels --------------------------------------------------------------------------------------------------


def find_beauty(picture: Picture, view: str | None = None) -> Beauty:
    """Where the colour to re-age lies.

    A part counts by its channels: R, G, B of one layer (or r, g, b; red, green, blue), else Y. Of several, one of the
    view comes first, then a layer or part without a name or named rgba, rgb, beauty, main or combined, then the
    first in the file. The view left out is the first of `multiView`, or that of the first part with colour.

    Raises:
        PlateError: there is no such channel.
        RequestError: the picture has no such view; the message names those it has.
    """
    found = [
        (rank, Beauty(index, colour, alpha, _is_premultiplied(picture.format, part)))
        for index, part in enumerate(picture.parts)
        for rank, colour, alpha in _candidates(part, view, _views(picture))
    ]
    if found:
        return min(found, key=lambda item: item[0])[1]
    if view is not None:
        views = ", ".join(_views(picture)) or "no named view"
        raise RequestError(f"--view {view}: the plate has no colour of that view; it has {views}")
    names = ", ".join(sorted({name for part in picture.parts for name in part.channels})[:12])
    raise PlateError(f"the plate has no channels R, G, B or Y (it has {names}); shuffle colour into them first")


Rank = tuple[bool, bool, int]


def _candidates(part: Part, view: str | None, views: list[str]) -> list[tuple[Rank, tuple[str, str, str], str | None]]:
    """Layers of a part that hold colour of the view, with their rank (least is best)."""
    own = plain_header(part).get("view")
    of_part = own if isinstance(own, str) else ""
    wanted = view if view is not None else next(iter(views), None)
    name = _text_of(part, "name").lower()
    result = []
    for layer, tails in exr.layer_channels(list(part.channels)).items():
        colour, alpha = _colour_of(tails)
        of_layer = of_part or _view_of_layer(layer, views, view)
        if colour is None or part.channels[colour[0]].dtype == np.uint32:
            continue
        if view is not None and of_layer != view:
            continue
        label = _plain_label(layer, of_layer), _plain_label(name, of_layer)
        place = sum(_BEAUTY_NAMES.index(text) if text in _BEAUTY_NAMES else 100 for text in label)
        is_grey = len(set(colour)) == 1
        result.append(((is_grey, wanted is not None and of_layer != wanted, place), colour, alpha))
    return result


def _colour_of(tails: Mapping[str, str]) -> tuple[tuple[str, str, str] | None, str | None]:
    for red, green, blue, alpha in _RGB:
        if red in tails and green in tails and blue in tails:
            return (tails[red], tails[green], tails[blue]), tails.get(alpha)
    grey = tails.get("Y", tails.get("y"))
    return ((grey, grey, grey), tails.get("A")) if grey else (None, None)


def _views(picture: Picture) -> list[str]:
    """Names of the views, the first of them the one that bare channels hold."""
    listed: list[str] = []
    for part in picture.parts:
        facts = plain_header(part)
        several, one = facts.get("multiView"), facts.get("view")
        listed += several if isinstance(several, list) else [one] if isinstance(one, str) else []
    return list(dict.fromkeys(listed))


def _view_of_layer(layer: str, views: list[str], wanted: str | None) -> str:
    """The view that a layer belongs to where parts do not say: the last name of `layer.view`, else the first view."""
    last = layer.rpartition(".")[2]
    if last and (last in views or last == wanted):
        return last
    return views[0] if views else ""


def _plain_label(text: str, view: str) -> str:
    """A layer's or part's name without the view in it: "rgba_left" and "left" are "rgba" and ""."""
    label, ending = text.lower(), view.lower()
    return label.removesuffix(ending).removeprefix(f"{ending}.").rstrip("._-") if ending else label


def _text_of(part: Part, name: str) -> str:
    text = plain_header(part).get(name)
    return text if isinstance(text, str) else ""


def _is_premultiplied(format: str, part: Part) -> bool:
    """EXR is by its convention, a movie is not; OpenImageIO says of others where they are not."""
    if "spec" in part.header:
        return not part.header["spec"].get_int_attribute("oiio:UnassociatedAlpha", 0)
    return format == "exr"


# ---- values ----------------------------------------------------------------------------------------------------------


def colour_planes(picture: Picture, beauty: Beauty) -> NDArray[np.float32]:
    """Colour over the data window: (H, W, 3) float32, in the plate's own encoding; integer codes over the max code."""
    part = picture.parts[beauty.part]
    return np.stack([as_float(part.channels[name], picture.depth) for name in beauty.colour], -1)


def alpha_plane(picture: Picture, beauty: Beauty) -> NDArray[np.float32] | None:
    """Alpha over the data window: (H, W) float32; None where there is none."""
    if beauty.alpha is None:
        return None
    return as_float(picture.parts[beauty.part].channels[beauty.alpha], picture.depth)


def as_float(plane: Plane, depth: int) -> NDArray[np.float32]:
    """A plane as float32; codes of `depth` bits over the max code (0: as they are)."""
    values = plane.astype(np.float32)
    return values / np.float32(2**depth - 1) if depth else values


def _as_type(values: NDArray[np.float32], dtype: np.dtype[Any], depth: int) -> Plane:
    """Float values as a channel's own type: codes rounded and clipped (NaN is 0); half held at its largest value."""
    if dtype.kind == "u":
        top = 2**depth - 1 if depth else np.iinfo(dtype).max
        scale = top if depth else 1
        codes: Plane = np.rint(np.clip(np.nan_to_num(values, nan=0.0) * np.float64(scale), 0, top)).astype(dtype)
        return codes
    if dtype == np.float16:
        values = np.where(np.isfinite(values), np.clip(values, -HALF_MAX, HALF_MAX), values)
    return values.astype(dtype)


def with_channels(
    picture: Picture,
    part: int,
    replaced: Mapping[str, NDArray[np.float32]],
    mask: NDArray[np.bool_],
    added: Mapping[str, NDArray[np.float32]] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Picture:
    """A picture with some values exchanged; everything else is the same to the bit.

    Args:
        picture: to start from; it is not changed.
        part: whose channels are meant.
        replaced: (H, W) over the data window, by name; codes as fractions of the max code. They take the channel's
            type: finite values beyond half's range become +-65504, codes are rounded and clipped.
        mask: (H, W); where it is False the old bits stay.
        added: (H, W) float32 planes for an EXR, by name; one that is there already is exchanged.
        metadata: texts to add under `reage/` names, to all parts.

    Raises:
        RequestError: planes are added to a format that takes none.
    """
    if added and picture.format != "exr":
        raise RequestError(f"layers can be written to EXR only, not to {picture.format}; leave --layers out")
    changed = picture.parts[part]
    channels = dict(changed.channels)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size:
        at = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        for name, values in replaced.items():
            plane = channels[name].copy()
            plane[at] = np.where(mask[at], _as_type(values[at], plane.dtype, picture.depth), plane[at])
            channels[name] = plane
    channels.update({name: values.astype(np.float32) for name, values in (added or {}).items()})
    parts = list(picture.parts)
    parts[part] = replace(changed, channels=channels)
    texts = {
        name: exr.text_attribute(text) if picture.format == "exr" else text for name, text in (metadata or {}).items()
    }
    stale = {"preview"} if replaced and rows.size else set()
    return replace(picture, parts=tuple(_with_header(item, texts, stale) for item in parts))


def _with_header(part: Part, texts: Mapping[str, Any], stale: set[str]) -> Part:
    kept = {name: item for name, item in part.header.items() if name not in stale}
    return replace(part, header={**kept, **texts})


# ---- other formats ---------------------------------------------------------------------------------------------------


def convert(picture: Picture, beauty: Beauty, format: str, depth: int | None = None) -> Picture:
    """The beauty as a picture of another format: R, G, B and, where the format takes it, A.

    To EXR: half, code / max code, ZIP; float stays float. Codes of up to 11 bits are exact after rounding back, of
    12 bits within 1 code, of 16 bits within 16. To integers: values as they are, clipped to 0..1 and rounded. Alpha
    is passed on, never multiplied or divided. Formats without windows get the display window, black where there are
    no pixels. Time code, frame rate and pixel aspect go along; the format that a picture has already is left alone.

    Args:
        picture: any.
        beauty: of it.
        format: "exr", "dpx", "tiff", "png" or "jpeg".
        depth: bits of an integer code; left out: the picture's, or the next the format has (10 for DPX, else 16, for
            a float picture).
    """
    if format == picture.format and depth in (None, picture.depth):
        return picture
    part = picture.parts[beauty.part]
    names = {"R": beauty.colour[0], "G": beauty.colour[1], "B": beauty.colour[2]}
    if beauty.alpha and format != "jpeg":
        names["A"] = beauty.alpha
    if format == "exr":
        planes = {new: _exr_plane(part.channels[old], picture.depth) for new, old in names.items()}
        header = exr.new_header(part.data_window, part.display_window, part.pixel_aspect) | _carried(part)
        return Picture("exr", (replace(part, channels=planes, header=header),))
    bits = depth or _nearest_depth(format, picture.depth)
    dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
    codes = {
        new: on_display(_as_type(as_float(part.channels[old], picture.depth), dtype, bits), part)
        for new, old in names.items()
    }
    window = Window(0, 0, part.display_window.width, part.display_window.height)
    spec = _new_spec(part, window, tuple(codes), dtype, beauty)
    return Picture(format, (Part(codes, window, window, part.pixel_aspect, {"spec": spec}),), bits)


def _nearest_depth(format: str, depth: int) -> int:
    depths = _DEPTHS[format]
    wanted = depth or (10 if format == "dpx" else 16)
    return next((bits for bits in depths if bits >= wanted), depths[-1])


def _exr_plane(plane: Plane, depth: int) -> Plane:
    return as_float(plane, depth).astype(np.float16) if depth else plane


def on_display(plane: NDArray[Any], part: Part) -> NDArray[Any]:
    """A plane (H, W) or (H, W, C) of the data window, moved onto the display window; 0 where there are no pixels."""
    window = part.display_window
    if window == part.data_window:
        return plane
    canvas = np.zeros((window.height, window.width, *plane.shape[2:]), plane.dtype)
    common = part.data_window.intersect(window)
    if common.width and common.height:
        canvas[common.within(window)] = plane[common.within(part.data_window)]
    return canvas


def _carried(part: Part) -> dict[str, exr.Attribute]:
    """What an EXR can say of a plate that was none."""
    facts, carried = plain_header(part), {}
    code = facts.get("smpte:TimeCode")
    if isinstance(code, tuple):
        carried["timeCode"] = exr.Attribute("timecode", np.array(code, "<u4").tobytes())
    rate = facts.get("framesPerSecond")
    if isinstance(rate, tuple):
        carried["framesPerSecond"] = exr.Attribute("rational", np.array(rate, "<u4").tobytes())
    return carried


def _new_spec(part: Part, window: Window, names: tuple[str, ...], dtype: np.dtype[Any], beauty: Beauty) -> Any:
    spec = oiio.ImageSpec(window.width, window.height, len(names), _OIIO_TYPES[dtype])
    spec.channelnames = names
    spec.attribute("PixelAspectRatio", part.pixel_aspect)
    spec.attribute("jpeg:subsampling", "4:4:4")
    if "A" in names and not beauty.premultiplied:
        spec.attribute("oiio:UnassociatedAlpha", 1)
    facts = plain_header(part)
    code = facts.get("timeCode", facts.get("smpte:TimeCode"))
    if isinstance(code, tuple):
        spec.attribute("smpte:TimeCode", "timecode", code)
    return spec


def assemble(
    picture: Picture,
    beauty: Beauty,
    format: str,
    colour: NDArray[np.float32],
    touched: NDArray[np.bool_],
    added: Mapping[str, NDArray[np.float32]] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Picture:
    """What is written for one frame: the plate with its colour exchanged where it was touched, in the format asked for.

    Args:
        picture: the plate's frame.
        beauty: of it.
        format: of the output.
        colour: (H, W, 3) over the beauty's data window, in the plate's encoding.
        touched: (H, W); elsewhere the plate's own values stay, to the bit where the format is the plate's.
        added: as for `with_channels`.
        metadata: as for `with_channels`.

    Raises:
        RequestError: as `with_channels`.
    """
    target, part = convert(picture, beauty, format), picture.parts[beauty.part]
    index, names = (beauty.part, beauty.colour) if target is picture else (0, ("R", "G", "B"))
    if target.parts[index].data_window != part.data_window:
        colour, touched = on_display(colour, part), on_display(touched, part)
    if len(set(names)) == 1:
        replaced = {names[0]: colour @ _LUMA}
    else:
        replaced = {name: colour[:, :, at] for at, name in enumerate(names)}
    return with_channels(target, index, replaced, touched, added, metadata)
