"""Re-age frames: the streaming half of the pipeline.

Frames are decoded a few ahead; each face is cropped and aged once (in batches), kept for as long as a neighbour needs
it, and its change steadied. Behind, where frames are written, the change is brought onto the plate. What is kept is
bounded by the steadying window, never by the length of the shot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from reage.errors import ReageError
from reage.pipeline.aged import aged_crops
from reage.pipeline.placing import ChangedFace, Rendered
from reage.pipeline.scene import Scene
from reage.pipeline.shot import FrameView
from reage.pipeline.streams import Ahead
from reage.records import Window
from reage.steady import steady
from reage.tracks import FaceAt, Person

_Opened = tuple[FrameView, dict[int, Tensor]]
"""A frame, and its crops by person."""


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
        decoder = Ahead(self._opened, order, ahead=2, workers=2)
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

    def _opened(self, number: int) -> _Opened:
        """A decoded frame and its crops; made ahead, beside the compute thread."""
        view = self._scene.shot.frame(number)
        return view, self._crops.crops(view)

    def _age_group(self, group: Sequence[int], decoder: Ahead[_Opened], kept: _Kept, todo: set[int]) -> None:
        """Take a few frames, and age every face in them."""
        crops: dict[int, dict[int, Tensor]] = {}
        for number in group:
            try:
                view, crops[number] = decoder.get(number)
            except ReageError as fault:
                kept.faults[number] = fault
                continue
            if number in todo:
                kept.views[number] = view
        kept.faults.update(self._crops.take(crops))

    def _finish(self, number: int, kept: _Kept, started: float) -> Rendered | ReageError:
        if number in kept.faults:
            return kept.faults[number]
        view = kept.views[number]
        try:
            faces = [self._changed(number, person, face) for person, face in self._scene.faces(number)]
        except ReageError as fault:
            return fault
        there = [face for face in faces if face is not None]
        return Rendered(view, there, self._holdouts.get(number), time.perf_counter() - started)

    def _changed(self, number: int, person: Person, face: FaceAt) -> ChangedFace | None:
        """A face with its steadied changes; None where it lies outside the plate."""
        scene = self._scene
        own = self._crops.of(person, number)
        if own is None:
            return None
        around = [self._crops.of(person, n) for n in scene.neighbours(person, number, scene.job.smooth)]
        changes = torch.split(steady(own, [crop for crop in around if crop is not None], scene.job.smooth), 3)
        wanted = [scene.target_age(output, person, number) is not None for output in range(len(scene.targets))]
        return ChangedFace(
            person, face, [change if want else None for change, want in zip(changes, wanted, strict=True)]
        )

    def _forget(self, number: int, kept: _Kept) -> None:
        """Drop what no later frame can need."""
        kept.views.pop(number, None)
        self._crops.forget(number)
