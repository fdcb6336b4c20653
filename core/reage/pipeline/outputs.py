"""One output of a render: which frames are there already, whose they are, and how a frame is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reage.colour import Colour
from reage.composite import Layers
from reage.errors import OutputError, PlateError, RequestError
from reage.images import (
    HALF_MAX,
    assemble,
    convert,
    on_display,
    read_metadata,
    verify_picture,
    with_channels,
    write_picture,
)
from reage.job import REGIONS
from reage.ledger import Manifest
from reage.pipeline.placing import Rendered, recoloured
from reage.pipeline.scene import Scene
from reage.pipeline.shot import FrameView
from reage.plate import Output
from reage.records import Picture, Window
from reage.version import __version__

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Target:
    """One output, its place among the scene's targets, and its manifest."""

    index: int
    output: Output
    manifest: Manifest

    def refuse_foreign(self, frames: Sequence[int]) -> None:
        """Raise where a file that reage did not make stands in the way.

        Raises:
            OutputError: with the first such file.
        """
        for frame in frames:
            path = self.output.path(frame)
            if not self.manifest.names(frame, path.name):
                refuse_foreign(path)

    def is_current(self, frame: int, settings: str) -> bool:
        """Whether the frame stands there whole, made with these settings."""
        path = self.output.path(frame)
        if not path.exists():
            return False
        try:
            told = read_metadata(path).get("reage/settings") or self._told(frame)
            if told != settings:
                return False
            verify_picture(path)
        except PlateError:
            return False
        return True

    def _told(self, frame: int) -> str:
        """Settings by the manifest, for formats whose files cannot say."""
        line = self.manifest.line(frame)
        return line.settings if line is not None else ""


def refuse_foreign(path: Path) -> None:
    """Raise where a file stands that does not say that reage made it.

    Raises:
        OutputError: with the file's name.
    """
    if not path.exists():
        return
    try:
        ours = bool(read_metadata(path))
    except PlateError:
        ours = False
    if not ours:
        raise OutputError(
            f"{path}: this file was not made by reage and would be replaced; choose another -o, or --overwrite"
        )


def manifest_beside(output: Output) -> Path:
    """Where the manifest of an output is kept."""
    return output.stem.with_name(output.stem.name + ".manifest.jsonl")


def tracks_beside(output: Output) -> Path:
    """Where `run` keeps the tracks of an output's plate."""
    return output.stem.with_name(output.stem.name + ".tracks.json")


def metadata(scene: Scene, output: int, frame: int, settings: str, licence: str) -> dict[str, str]:
    """What a frame says of its making."""
    target, source = scene.ages_text(output, frame)
    return {
        "reage/version": __version__,
        "reage/model": scene.ager.facts.name,
        "reage/model_sha256": scene.ager.facts.sha256,
        "reage/licence": licence,
        "reage/age": target,
        "reage/source_age": source,
        "reage/settings": settings,
    }


def recoloured_picture(
    view: FrameView,
    colour: Array,
    touched: NDArray[np.bool_],
    format: str,
    space: Colour,
    texts: Mapping[str, str],
    added: Mapping[str, Array] | None = None,
) -> Picture:
    """A frame with new colour, in a format.

    Args:
        view: the plate's frame.
        colour: (H, W, 3) over the data window, in the plate's space.
        touched: (H, W) where it was changed.
        format: of the output.
        space: the plate's.
        texts: `reage/` metadata.
        added: layers, for EXR alone.
    """
    if is_scene_to_display(view.picture, format):
        return _displayed(view, colour, format, space, texts)
    return assemble(view.picture, view.beauty, format, colour, touched, added, texts)


def full_colour(rendered: Rendered, output: int, scene: Scene) -> tuple[Array, NDArray[np.bool_]]:
    """(H, W, 3) colour over the data window, and (H, W) where it was changed."""
    view = rendered.view
    touched = np.zeros(view.colour.shape[:2], np.bool_)
    changed = recoloured(rendered, output, scene)
    if changed is None:
        return view.colour, touched
    window, patch, where = changed
    at = window.within(view.window)
    colour = view.colour.copy()
    colour[at] = np.where(where[..., None], patch, colour[at])
    touched[at] = where
    return colour, touched


def display_codes(view: FrameView, colour: Array, space: Colour) -> NDArray[np.uint8]:
    """What a display shows of a frame, for people: codes that are its own as they are, light with a soft shoulder.

    Args:
        view: the plate's frame.
        colour: (H, W, 3) over the data window, in the plate's space.
        space: the plate's.

    Returns:
        (h, w, 3) sRGB-encoded over the display window.
    """
    return as_codes(on_display(colour if space.is_srgb else space.encoded(colour), view.part))


def as_codes(encoded: Array) -> NDArray[np.uint8]:
    """Encoded values as 8-bit codes; what is no number is black."""
    return np.asarray(np.rint(np.clip(np.nan_to_num(encoded, nan=0.0), 0.0, 1.0) * 255.0), np.uint8)


def is_scene_to_display(picture: Picture, format: str) -> bool:
    """Whether float light has to become display codes: an EXR plate written as an integer image or a movie."""
    return picture.depth == 0 and format not in ("exr", picture.format)


def _displayed(view: FrameView, colour: Array, format: str, space: Colour, texts: Mapping[str, str]) -> Picture:
    """A scene-linear frame as an sRGB-encoded integer image, highlights rolled off."""
    codes = space.encoded(colour)
    base = convert(view.picture, view.beauty, format)
    part = base.parts[0]
    everywhere = np.ones((part.data_window.height, part.data_window.width), np.bool_)
    planes = {name: on_display(codes[..., i], view.part) for i, name in enumerate("RGB")}
    return with_channels(base, 0, planes, everywhere, None, texts)


def movie_frame(rendered: Rendered, target: Target, scene: Scene) -> Array:
    """(H, W, 3) display codes 0..1 over the display window."""
    colour, _ = full_colour(rendered, target.index, scene)
    if is_scene_to_display(rendered.view.picture, "movie"):
        colour = scene.shot.colour.encoded(colour)
    return np.asarray(np.clip(on_display(colour, rendered.view.part), 0.0, 1.0), np.float32)


def _layers(window: Window, layers: Layers | None) -> dict[str, Array]:
    """The contract's layers over the whole data window; zeros where there is no face."""
    shape = (window.height, window.width)
    planes = {f"reage_delta.{c}": np.zeros(shape, np.float32) for c in "RGB"}
    planes["reage_matte.A"] = np.zeros(shape, np.float32)
    planes |= {f"reage_region.{name}": np.zeros(shape, np.float32) for name in REGIONS}
    if layers is not None:
        assert layers.regions is not None, "layers were asked for, so all were made"
        at = layers.window.within(window)
        for i, c in enumerate("RGB"):
            planes[f"reage_delta.{c}"][at] = layers.delta[..., i]
        planes["reage_matte.A"][at] = layers.matte
        for i, name in enumerate(REGIONS):
            planes[f"reage_region.{name}"][at] = layers.regions[..., i]
    return planes


def write_frame(rendered: Rendered, target: Target, scene: Scene, settings: str, licence: str) -> int:
    """Write one frame whole or not at all: the plate with the faces' colour exchanged, layers and metadata added.

    Returns:
        How many new values lay beyond the range of half, and were held at its end.

    Raises:
        OutputError: the disk refused.
    """
    view, format = rendered.view, target.output.format
    path = target.output.path(view.number)
    texts = metadata(scene, target.index, view.number, settings, licence)
    colour, touched = full_colour(rendered, target.index, scene)
    added = _layers(view.window, rendered.layers(target.index, scene)) if scene.job.layers else None
    picture = recoloured_picture(view, colour, touched, format, scene.shot.colour, texts, added)
    write_picture(path, picture, scene.job.compression)
    is_half = format == view.picture.format and view.part.channels[view.beauty.colour[0]].dtype == np.float16
    return int(np.count_nonzero(np.abs(colour[touched]) > HALF_MAX)) if is_half else 0


def check_layers(targets: Sequence[Target], layers: bool) -> None:
    """Layers go into EXR alone.

    Raises:
        RequestError: an output is something else.
    """
    for target in targets:
        if layers and target.output.format != "exr":
            raise RequestError(f"--layers needs EXR outputs; {target.output.name} is none")
