"""The alignment of a tracks file as nodes for Nuke: an artist paints on the stabilised face and puts it back.

What is written was never run inside Nuke: it follows Foundry's description of the nodes and scripts that Nuke saved.

Nuke's points are x, y with y up, and (0, 0) is the lower left corner of the plate's display window; pixel centres lie
at .5 as they do here. Frames are numbered as the plate's files are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reage import exr, geometry
from reage.atomic import output_error, writable_folder, write_text
from reage.errors import OutputError, RequestError
from reage.images import find_beauty, write_picture
from reage.pipeline.outputs import refuse_foreign
from reage.plate import open_plate
from reage.records import Part, Picture, Window
from reage.sequence import Pattern, format_range
from reage.tracks import FaceAt, Person, PlateFacts, Tracks
from reage.version import __version__

Event = dict[str, Any]
Kind = Literal["cornerpin", "tracker", "stmap"]
Points = NDArray[np.float64]  # (n, 2)

MARK = "# Made by reage nodes"
"""First line of what is written, by which it is known again."""
HEAD = "set cut_paste_input [stack 0]\nversion 14.0 v1\npush $cut_paste_input\n"
CORNERS = np.array([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
"""BL, BR, TR, TL of a crop of side 1 with y down: the order of a CornerPin2D's four points."""
RIGHT_EYE, LEFT_EYE, NOSE = slice(36, 42), slice(42, 48), slice(30, 31)
"""Of the 68 landmarks; right and left are the actor's."""
STEP = 80
"""Between two nodes of the graph, in its own units."""


@dataclass(frozen=True)
class Canvas:
    """The plate's display window, and how it is seen in Nuke."""

    window: Window
    pixel_aspect: float  # width of a pixel over its height

    @classmethod
    def of(cls, plate: PlateFacts, origin: tuple[int, int] = (0, 0)) -> Canvas:
        """The canvas of an analysed plate whose display window has its top-left pixel at `origin`."""
        return cls(Window(*origin, plate.width, plate.height), plate.pixel_aspect)

    def nuke(self, points: Points) -> Points:
        """Plate pixels, (..., 2), as Nuke counts them."""
        return np.stack([points[..., 0] - self.window.x, self.window.bottom - points[..., 1]], -1)

    def crop(self, person: Person) -> tuple[int, int]:
        """Width and height of a person's crop in pixels of the plate's own shape, as upright as the engine's crop."""
        return max(1, round(person.crop / self.pixel_aspect)), person.crop


def write_nodes(
    tracks: Tracks,
    output: Path,
    *,
    kind: Kind | None = None,
    face: str = "all",
    stmap: str | None = None,
    plate: str | None = None,
    overwrite: bool = False,
) -> Iterator[Event]:
    """Write a `.nk` snippet to paste, and with `stmap` the maps that it reads.

    Args:
        tracks: of the shot.
        output: the snippet.
        kind: `cornerpin` (the default) and `stmap` stabilise the face, and add to the plate what was painted on it;
            `tracker` gives the points of the alignment. `stmap` is the default where a pattern is given.
        face: `all`, or ids such as `1,3`.
        stmap: pattern of EXRs, which gets `_face1_stabilise` and `_face1_return` before its frame number.
        plate: needed only where the plate's display window does not begin at (0, 0).
        overwrite: replace files that reage did not make.

    Yields:
        `progress` for each map, a `note` with the snippet's name, and `done` with all names.

    Raises:
        RequestError: nobody of that id, no frames, a pattern that is none, or another plate than the analysed one.
        OutputError: a file that reage did not make is in the way, or the disk refuses.
        PlateError: the plate cannot be read.
    """
    kind = kind or ("stmap" if stmap else "cornerpin")
    if (kind == "stmap") != (stmap is not None):
        raise RequestError("--kind stmap and --stmap PATTERN.exr go together: give both, or neither")
    people = chosen(tracks, face)
    canvas = Canvas.of(tracks.plate, _origin(plate, tracks.plate) if plate else (0, 0))
    if not overwrite:
        _refuse_foreign_text(output)
    written: list[str] = []
    if stmap is None:
        text = corner_pins(people, canvas) if kind == "cornerpin" else trackers(people, canvas)
    else:
        for names, done, total, frame in _write_maps(people, canvas, _pattern(stmap), overwrite):
            written += [names] if names not in written else []
            yield {"event": "progress", "stage": "stmap", "frame": frame, "done": done, "total": total}
        text = maps(people, canvas, _pattern(stmap))
    write_text(output, f"{MARK} {__version__}.\n{HEAD}{text}")
    yield {"event": "note", "message": f"{output}: open it in an editor, copy all, select the plate in Nuke and paste"}
    yield {"event": "done", "outputs": [str(output), *written]}


def chosen(tracks: Tracks, face: str) -> list[Person]:
    """The people that `--face` names and that are seen at all.

    Raises:
        RequestError: there is nobody.
    """
    seen = [person for person in tracks.persons if person.frames]
    words = None if face == "all" else [word.strip() for word in face.split(",")]
    unknown = set(words or ()) - {str(person.id) for person in seen}
    if unknown or not seen:
        ids = ", ".join(str(person.id) for person in seen) or "nobody"
        raise RequestError(f"--face {face}: not in the tracks file, which holds {ids}")
    return [person for person in seen if words is None or str(person.id) in words]


def corners(face: FaceAt) -> Points:
    """BL, BR, TR, TL of the aligned crop in plate pixels; the map is affine, as the engine's is: (4, 2)."""
    return geometry.apply(geometry.plate_from_crop(face.quad_array(), 1), CORNERS)


# ---- snippets --------------------------------------------------------------------------------------------------------


def corner_pins(people: Sequence[Person], canvas: Canvas) -> str:
    """Nodes that stabilise each face by a corner pin, and put back what is painted."""
    text = _node("Dot", ["name Reage_plate"], 0, 0)
    for column, person in enumerate(people):
        width, height = canvas.crop(person)
        fixed = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        moving = {frame: canvas.nuke(corners(face)) for frame, face in sorted(person.frames.items())}
        there = [f"from{i + 1} {_curves({frame: at[i] for frame, at in moving.items()})}" for i in range(4)]
        back = [line.replace("from", "to", 1) for line in there]
        to = [f"to{i + 1} {{{_number(x)} {_number(y)}}}" for i, (x, y) in enumerate(fixed)]
        from_ = [line.replace("to", "from", 1) for line in to]
        box = f"box {{0 0 {width} {height}}}"
        text += _painted(
            person,
            column,
            _node("CornerPin2D", [*to, *there, _name(person, "stabilise")], column, 1)
            + _node("Crop", [box, "reformat true", _name(person, "crop")], column, 2),
            _node("CornerPin2D", [*back, *from_, _name(person, "return")], column, 5),
        )
    return text


def maps(people: Sequence[Person], canvas: Canvas, pattern: Pattern) -> str:
    """Nodes that stabilise each face by STMaps, and put back what is painted; the crop is the engine's, square."""
    text = _node("Dot", ["name Reage_plate"], 0, 0)
    uv = ["inputs 2", "uv rgb"]
    for column, person in enumerate(people):
        change, home = f"reage_change{person.id}", f"reage_map{person.id}"
        there, back = (
            _node("Read", [*_read(_way(pattern, person, way), person), _name(person, f"{way}_map")], column + 0.5, row)
            for way, row in (("stabilise", 1), ("return", 4))
        )
        text += _painted(
            person,
            column,
            f"{there}push $reage_plate{person.id}\n" + _node("STMap", [*uv, _name(person, "stabilise")], column, 2),
            f"set {change} [stack 0]\n{back}set {home} [stack 0]\npush ${home}\npush ${change}\n"
            + _node("STMap", [*uv, _name(person, "return")], column, 5)
            + _node("Copy", ["inputs 2", "from0 rgba.alpha", "to0 rgba.alpha", _name(person, "inside")], column, 6)
            + _node("Premult", [_name(person, "cut")], column, 7),
        )
    return text


def _painted(person: Person, column: int, there: str, back: str) -> str:
    """The frame around a face's branch: paint on the stabilised face, and add the difference to the plate.

    Where nothing is painted the difference is 0 and the plate comes through bit for bit.
    """
    here = "seen in " + format_range(person.frames)
    paint = [f'label "paint below; face {person.id}, {here}"', _name(person, "paint")]
    colour = ["Achannels rgb", "Bchannels rgb", "output rgb"]
    mix = f"mix {{{_switch(person.frames)}}}"
    return (
        f"set reage_plate{person.id} [stack 0]\n"
        + there
        + f"set reage_crop{person.id} [stack 0]\n"
        + _node("NoOp", paint, column, 3)
        + f"push $reage_crop{person.id}\n"
        + _node("Merge2", ["inputs 2", "operation minus", *colour, _name(person, "change")], column, 4)
        + back
        + f"push $reage_plate{person.id}\n"
        + _node("Merge2", ["inputs 2", "operation plus", "bbox B", *colour, mix, _name(person, "result")], column, 8)
    )


def trackers(people: Sequence[Person], canvas: Canvas) -> str:
    """A Tracker4 for each face: the corners of its aligned crop, its eyes and its nose."""
    text = _node("Dot", ["name Reage_plate"], 0, 0) + "set reage_plate [stack 0]\n"
    for column, person in enumerate(people):
        faces = sorted(person.frames.items())
        rows = [_row(name, {frame: canvas.nuke(at(face)) for frame, face in faces}, eye) for name, eye, at in _POINTS]
        table = f"tracks {{ {{ 1 31 {len(rows)} }}\n{{ {_COLUMNS} }}\n{{\n" + "\n".join(rows) + "\n}\n}"
        first = f"reference_frame {faces[0][0]}"
        text += "push $reage_plate\n" + _node("Tracker4", [table, first, _name(person, "tracker")], column, 1)
    return text


def _middle(part: slice) -> Any:
    return lambda face: face.landmark_array()[part].mean(0)


def _corner(index: int) -> Any:
    return lambda face: corners(face)[index]


_POINTS = (
    ("right eye of the actor", True, _middle(RIGHT_EYE)),
    ("left eye of the actor", True, _middle(LEFT_EYE)),
    ("nose", False, _middle(NOSE)),
    ("crop bottom left", False, _corner(0)),
    ("crop bottom right", False, _corner(1)),
    ("crop top right", False, _corner(2)),
    ("crop top left", False, _corner(3)),
)
"""Name, whether the tracker's own transform uses it, and where it is in a face: (2,)."""

_SIDES = ("x", "y", "r", "t")
_LABELS = {"enable": "e"}
_COLUMNS = " ".join(
    f"{{ {kind} {name} {_LABELS.get(name, name)} 1 }}"
    for kind, names in (
        ("5 1 20", ["enable"]),
        ("3 1 75", ["name"]),
        ("2 1 58", ["track_x", "track_y"]),
        ("2 1 63", ["offset_x", "offset_y"]),
        ("4 1 27", ["T", "R", "S"]),
        ("2 0 45", ["error"]),
        ("1 1 0", ["error_min", "error_max"]),
        ("1 1 0", [f"pattern_{side}" for side in _SIDES] + [f"search_{side}" for side in _SIDES]),
        ("2 1 0", ["key_track", *(f"key_search_{side}" for side in _SIDES)]),
        ("2 1 0", [*(f"key_track_{side}" for side in _SIDES), "key_centre_offset_x", "key_centre_offset_y"]),
    )
    for name in names
)
"""The table's head as Nuke saves it: type, whether it is saved, width, name, label of 31 columns."""


def _row(name: str, at: Mapping[int, Points], used: bool) -> str:
    first = min(at)
    zero, uses = f"{{curve K x{first} 0}}", "1 1 1" if used else "0 0 0"
    x, y = ({frame: float(point[axis]) for frame, point in at.items()} for axis in (0, 1))
    boxes = "0 0 -32 -32 32 32 -22 -22 22 22"
    keys = " ".join(["{}"] * 11)
    return (
        f'{{ {{curve K x{first} 1}} "{name}" {{{_curve(x)}}} {{{_curve(y)}}} {zero} {zero} {uses} '
        f"{{curve x{first} 0}} {boxes} {keys} }}"
    )


# ---- words of a script -----------------------------------------------------------------------------------------------


def _node(kind: str, knobs: Iterable[str], column: float, row: int) -> str:
    place = [f"xpos {round(4 * STEP * column)}", f"ypos {STEP * row}"]
    return f"{kind} {{\n" + "".join(f" {knob}\n" for knob in [*knobs, *place]) + "}\n"


def _name(person: Person, what: str) -> str:
    return f"name Reage_face{person.id}_{what}"


def _curves(at: Mapping[int, Points]) -> str:
    """An animated point: a key a frame on x and on y."""
    return "{" + " ".join(f"{{{_curve({frame: float(p[axis]) for frame, p in at.items()})}}}" for axis in (0, 1)) + "}"


def _curve(values: Mapping[int, float]) -> str:
    return "curve " + " ".join(f"x{frame} {_number(value)}" for frame, value in sorted(values.items()))


def _switch(frames: Iterable[int]) -> str:
    """A curve that is 1 in some frames and 0 in all others, without anything between."""
    on = set(frames)
    keys = sorted({frame - 1 for frame in on} | on | {frame + 1 for frame in on})
    states = [(frame, frame in on) for frame in keys]
    kept = [states[0], *(now for before, now in pairwise(states) if now[1] != before[1])]
    return "{curve " + " ".join(f"K x{frame} {int(state)}" for frame, state in kept) + "}"


def _number(value: float) -> str:
    """A ten-thousandth of a pixel is kept; no exponent, no -0."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _read(pattern: Pattern, person: Person) -> list[str]:
    first, last = min(person.frames), max(person.frames)
    path = "".join("\\" + c if c in '\\"$[]{}' else c for c in Path(str(pattern)).absolute().as_posix())
    frames = [f"first {first}", f"last {last}", f"origfirst {first}", f"origlast {last}"]
    return ["inputs 0", f'file "{path}"', *frames, "before black", "after black", "on_error black", "raw true"]


# ---- maps ------------------------------------------------------------------------------------------------------------


def stabilise_map(face: FaceAt, canvas: Canvas, size: int) -> Picture:
    """Where each pixel of the crop lies in the plate.

    Args:
        face: in one frame.
        canvas: of the plate.
        size: side of the crop.

    Returns:
        An EXR of size x size square pixels, float32: R, G are x, y over the plate's width and height, 0..1 from the
        lower left (STMap's u, v); B is 0, A is 1.
    """
    centres = (np.arange(size) + 0.5) / size
    at = geometry.apply(geometry.plate_from_crop(face.quad_array(), 1), np.stack(np.meshgrid(centres, centres), -1))
    uv = canvas.nuke(at) / (canvas.window.width, canvas.window.height)
    window = Window(0, 0, size, size)
    return _map(uv, np.ones((size, size), np.float32), window, window, 1.0)


def return_map(face: FaceAt, canvas: Canvas) -> Picture | None:
    """Where each pixel of the plate lies in the crop.

    Args:
        face: in one frame.
        canvas: of the plate.

    Returns:
        An EXR of the plate's display window, float32: R, G are x, y over the crop's side, 0..1 from the lower left; A
        is 1 where the crop covers a pixel's centre. Its data window is the face's rectangle and a pixel more. None
        where the face lies outside the plate.
    """
    quad = corners(face)
    low, high = np.floor(quad.min(0)).astype(int) - 1, np.ceil(quad.max(0)).astype(int) + 1
    window = Window(int(low[0]), int(low[1]), int(high[0] - low[0]), int(high[1] - low[1])).intersect(canvas.window)
    if window.width == 0 or window.height == 0:
        return None
    x, y = np.arange(window.x, window.right) + 0.5, np.arange(window.y, window.bottom) + 0.5
    crop_from_plate = geometry.invert(geometry.plate_from_crop(face.quad_array(), 1))
    at = geometry.apply(crop_from_plate, np.stack(np.meshgrid(x, y), -1))
    inside = np.asarray(((at >= 0) & (at <= 1)).all(-1), np.float32)
    return _map(np.stack([at[..., 0], 1.0 - at[..., 1]], -1), inside, window, canvas.window, canvas.pixel_aspect)


def _map(uv: Points, alpha: NDArray[np.float32], data: Window, display: Window, pixel_aspect: float) -> Picture:
    u, v = (np.ascontiguousarray(uv[..., axis], np.float32) for axis in (0, 1))
    header = exr.new_header(data, display, pixel_aspect) | {"reage/version": exr.text_attribute(__version__)}
    channels = {"R": u, "G": v, "B": np.zeros_like(u), "A": alpha}
    return Picture("exr", (Part(channels, data, display, pixel_aspect, header),))


def _write_maps(
    people: Sequence[Person], canvas: Canvas, pattern: Pattern, overwrite: bool
) -> Iterator[tuple[str, int, int, int]]:
    """Write all maps; answers pattern, maps done, maps in all, and frame, for each."""
    files = [
        (person, way, frame) for person in people for frame in sorted(person.frames) for way in ("stabilise", "return")
    ]
    if not overwrite:
        for person, way, frame in files:
            refuse_foreign(_way(pattern, person, way).path(frame))
    writable_folder(pattern.folder)
    for done, (person, way, frame) in enumerate(files, 1):
        face, names = person.frames[frame], _way(pattern, person, way)
        picture = stabilise_map(face, canvas, person.crop) if way == "stabilise" else return_map(face, canvas)
        if picture is not None:
            write_picture(names.path(frame), picture)
        yield str(names), done, len(files), frame


def _way(pattern: Pattern, person: Person, way: str) -> Pattern:
    """The names of one face's maps in one direction."""
    stem = pattern.prefix.rstrip("._-")
    tag = f"face{person.id}_{way}"
    prefix = f"{stem}_{tag}{pattern.prefix[len(stem) :] or '.'}" if stem else f"{tag}."
    return Pattern(pattern.folder, prefix, pattern.suffix, pattern.padding)


def _pattern(text: str) -> Pattern:
    pattern = Pattern.parse(text)
    if pattern is None or not pattern.suffix.lower().endswith(".exr"):
        raise RequestError(f"--stmap {text}: give a pattern of EXRs, such as st.%04d.exr")
    return pattern


# ---- what is read and refused ----------------------------------------------------------------------------------------


def _origin(text: str, facts: PlateFacts) -> tuple[int, int]:
    """The top-left pixel of the plate's display window."""
    plate = open_plate(text)
    picture = plate.read(plate.frames[0])
    window = picture.parts[find_beauty(picture).part].display_window
    if (window.width, window.height) != (facts.width, facts.height):
        raise RequestError(
            f"--plate {text}: it has {window.width} x {window.height} pixels and the analysed plate "
            f"{facts.width} x {facts.height}; give the plate that was analysed"
        )
    return window.x, window.y


def _refuse_foreign_text(path: Path) -> None:
    try:
        ours = not path.exists() or path.read_bytes().startswith(MARK.encode())
    except OSError as error:
        raise output_error(path, error.strerror or str(error)) from error
    if not ours:
        raise OutputError(f"{path}: this file was not made by reage nodes; choose another -o, or --overwrite")
