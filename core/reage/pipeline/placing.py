"""Bring the changes of a frame's faces onto the plate. It runs where frames are written, beside the compute thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from reage import geometry, matte
from reage.composite import (
    Layers,
    composite,
    low_band,
    matte_on_plate,
    merge,
    rectangle,
    regions_on_plate,
    side_of,
)
from reage.pipeline.scene import Scene
from reage.pipeline.shot import FrameView, on_crop
from reage.records import Window
from reage.tracks import FaceAt, Person

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ChangedFace:
    """One face of a frame and its steadied changes, before they return to the plate."""

    person: Person
    face: FaceAt
    changes: Sequence[Tensor | None]  # one an output: (3, S, S) signed; None where that output leaves the face alone


@dataclass(frozen=True)
class Rendered:
    """One frame before it is written."""

    view: FrameView
    faces: Sequence[ChangedFace]
    holdout: Callable[[Window], np.ndarray] | None  # (h, w) over a rectangle, 0..1
    seconds: float
    _layers: dict[int, Layers | None] = field(default_factory=dict)

    def layers(self, output: int, scene: Scene) -> Layers | None:
        """The layers of all faces in one output, made when first asked for; None where none is re-aged."""
        if output not in self._layers:
            faces = [_placed(self, changed, output, scene) for changed in self.faces]
            found = [layers for layers in faces if layers is not None]
            self._layers[output] = merge(found, _around([face.window for face in found])) if found else None
        return self._layers[output]


def _placed(frame: Rendered, changed: ChangedFace, output: int, scene: Scene) -> Layers | None:
    """The layers of one face over its rectangle, or over as much of it as is needed."""
    change, view, face = changed.changes[output], frame.view, changed.face
    if change is None:
        return None
    quad, gains, everything = face.quad_array(), scene.gains, scene.job.layers
    landmarks, banded = on_crop(face, 1.0), gains.tone != gains.detail
    drawn, window = matte.draw(landmarks, face.yaw, scene.matte), rectangle(quad, view.window)
    if not everything and not banded:
        window = _where_drawn(drawn, quad, window)
    shown = matte_on_plate(drawn, quad, window, view.window)
    if frame.holdout is not None:
        shown = np.asarray(shown * (1.0 - frame.holdout(window)), np.float32)
    delta = scene.shot.plate_change(view, face, window, change, scene.tracks.exposure)
    low = low_band(delta, side_of(quad)) if banded else None
    varied = everything or len(set(gains.regions)) > 1
    regions = regions_on_plate(matte.draw_regions(landmarks), quad, window, shown) if varied else None
    return Layers(window, delta, low, shown, regions)


def _where_drawn(drawn: Array, quad: NDArray[np.float64], window: Window) -> Window:
    """The part of a face's rectangle on which its matte can be more than 0; at least a pixel, where there is one."""
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    if not rows.size:
        return Window(window.x, window.y, min(1, window.width), min(1, window.height))
    # A sample reaches one further.
    left, right, top, bottom = columns[0] - 1, columns[-1] + 2, rows[0] - 1, rows[-1] + 2
    corners = np.array([[left, top], [left, bottom], [right, bottom], [right, top]], np.float64)
    inner = rectangle(geometry.apply(geometry.plate_from_crop(quad, drawn.shape[0]), corners), window)
    return inner if inner.width and inner.height else Window(window.x, window.y, 1, 1)


def _around(windows: Sequence[Window]) -> Window:
    """The smallest window that holds all."""
    x, y = min(w.x for w in windows), min(w.y for w in windows)
    return Window(x, y, max(w.right for w in windows) - x, max(w.bottom for w in windows) - y)


def recoloured(rendered: Rendered, output: int, scene: Scene) -> tuple[Window, np.ndarray, np.ndarray] | None:
    """New colour over a rectangle and where it counts: window, (h, w, 3), (h, w); None where nothing is re-aged."""
    layers = rendered.layers(output, scene)
    if layers is None:
        return None
    plate = rendered.view.colour[layers.window.within(rendered.view.window)]
    colour, touched = composite(plate, layers, scene.gains)
    return layers.window, colour, touched
