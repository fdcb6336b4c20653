"""Re-age frames: the streaming half of the pipeline.

Frames are decoded a few ahead; each face is cropped and aged once (in batches), kept for as long as a neighbour needs
it, steadied, and composited; results are encoded behind. What is kept is bounded by the steadying window, never by the
length of the shot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from reage import matte
from reage.composite import Layers, composite, low_band, matte_on_plate, merge, side_of
from reage.errors import ReageError
from reage.pipeline.aged import aged_crops
from reage.pipeline.scene import Scene
from reage.pipeline.shot import FrameView, on_crop
from reage.pipeline.streams import Ahead
from reage.records import Window
from reage.steady import steady
from reage.tracks import FaceAt, Person


@dataclass(frozen=True)
class Rendered:
    """One frame before it is written."""

    view: FrameView
    layers: Sequence[Layers | None]  # one an output; None where no face is in the frame
    seconds: float


@dataclass
class _Kept:
    """What neighbours still need."""

    views: dict[int, FrameView] = field(default_factory=dict)
    faults: dict[int, ReageError] = field(default_factory=dict)


class Renderer:
    """Renders the frames of one scene in rising order."""

    def __init__(
        self, scene: Scene, device: torch.device, holdouts: Mapping[int, Callable[[Window], np.ndarray]]
    ) -> None:
        self._scene = scene
        self._device = device
        self._holdouts = holdouts
        self._crops = aged_crops(scene, device)

    def frames(self, numbers: Sequence[int]) -> Iterator[tuple[int, Rendered | ReageError]]:
        """Render frames, or say what kept one from being rendered.

        Args:
            numbers: frames on disk, rising.
        """
        scene, kept = self._scene, _Kept()
        order = sorted({f for number in numbers for f in scene.reads(number)})
        todo, at = set(numbers), 0
        decoder = Ahead(scene.shot.frame, order, ahead=2, workers=2)
        try:
            for number in numbers:
                started = time.perf_counter()
                last = scene.reads(number)[-1]
                while at < len(order) and order[at] <= last:
                    group = order[at : at + scene.job.batch]
                    self._age_group(group, decoder, kept, todo)
                    at += len(group)
                yield number, self._finish(number, kept, started)
                self._forget(number, kept)
        finally:
            decoder.close()

    def _age_group(self, group: Sequence[int], decoder: Ahead[FrameView], kept: _Kept, todo: set[int]) -> None:
        """Decode a few frames, and crop and age every face in them."""
        views: dict[int, FrameView] = {}
        for number in group:
            try:
                views[number] = decoder.get(number)
            except ReageError as fault:
                kept.faults[number] = fault
        kept.faults.update(self._crops.take(views))
        kept.views.update({number: view for number, view in views.items() if number in todo})

    def _finish(self, number: int, kept: _Kept, started: float) -> Rendered | ReageError:
        if number in kept.faults:
            return kept.faults[number]
        view = kept.views[number]
        try:
            faces = [self._face_layers(view, person, face) for person, face in self._scene.faces(number)]
        except ReageError as fault:
            return fault
        layers = []
        for output in range(len(self._scene.targets)):
            there = [by_output[output] for by_output in faces if by_output is not None]
            found = [face for face in there if face is not None]
            layers.append(merge(found, _around([face.window for face in found])) if found else None)
        return Rendered(view, layers, time.perf_counter() - started)

    def _face_layers(self, view: FrameView, person: Person, face: FaceAt) -> list[Layers | None] | None:
        """Layers of one face, one an output (None where that output leaves the face alone)."""
        scene = self._scene
        own = self._crops.of(person, view.number)
        if own is None:
            return None
        around = [self._crops.of(person, n) for n in scene.neighbours(person, view.number, scene.job.smooth)]
        changes = torch.split(steady(own, [crop for crop in around if crop is not None], scene.job.smooth), 3)
        quad = face.quad_array()
        shapes = matte.draw(on_crop(face, 1.0), face.yaw)
        result: list[Layers | None] = []
        for output, change in enumerate(changes):
            if scene.target_age(output, person, view.number) is None:
                result.append(None)
                continue
            window, delta = scene.shot.plate_change(view, face, change, scene.tracks.exposure)
            shown, regions = matte_on_plate(shapes, quad, window, view.window)
            if view.number in self._holdouts:
                shown = np.asarray(shown * (1.0 - self._holdouts[view.number](window)), np.float32)
            same = scene.gains.tone == scene.gains.detail
            low = np.zeros_like(delta) if same else low_band(delta, side_of(quad))
            result.append(Layers(window, delta, low, shown, regions))
        return result

    def _forget(self, number: int, kept: _Kept) -> None:
        """Drop what no later frame can need."""
        kept.views.pop(number, None)
        self._crops.forget(number)


def _around(windows: Sequence[Window]) -> Window:
    """The smallest window that holds all."""
    x, y = min(w.x for w in windows), min(w.y for w in windows)
    return Window(x, y, max(w.right for w in windows) - x, max(w.bottom for w in windows) - y)


def recoloured(rendered: Rendered, output: int, scene: Scene) -> tuple[Window, np.ndarray, np.ndarray] | None:
    """New colour over a rectangle and where it counts: window, (h, w, 3), (h, w); None where nothing is re-aged."""
    layers = rendered.layers[output]
    if layers is None:
        return None
    plate = rendered.view.colour[layers.window.within(rendered.view.window)]
    colour, touched = composite(plate, layers, scene.gains)
    return layers.window, colour, touched
