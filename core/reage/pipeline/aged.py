"""The aged crops of a render: made once a face and frame, kept for as long as a neighbour needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reage.ageing import age, painted, steadied
from reage.agers.base import AgeCodes, CodedAger
from reage.errors import ReageError
from reage.pipeline.scene import Scene
from reage.pipeline.shot import FrameView, on_crop
from reage.steady import AgedCrop, flow_picture
from reage.tracks import Person

Key = tuple[int, int]
"""Person and frame."""


class AgedCrops:
    """Crops and ages faces as frames come in."""

    def __init__(self, scene: Scene, device: torch.device) -> None:
        self._scene, self._device = scene, device
        self._aged: dict[Key, AgedCrop] = {}

    def crops(self, view: FrameView) -> dict[int, Tensor]:
        """The aligned crops of a frame by person: (3, S, S) each, as the networks see them. Safe in any thread."""
        scene, crops = self._scene, {}
        for person, face in scene.faces(view.number):
            crop = scene.shot.crop(view, face, person.crop, scene.tracks.exposure, self._device)
            if crop is not None:
                crops[person.id] = crop
        return crops

    def take(self, crops: Mapping[int, Mapping[int, Tensor]]) -> dict[int, ReageError]:
        """Age the crops of a few frames, at most a batch of them.

        Args:
            crops: by frame, as from `crops`.

        Returns:
            what kept a frame's faces from being aged, by frame.
        """
        faults: dict[int, ReageError] = {}
        for person in self._scene.persons:
            own = {number: by_person[person.id] for number, by_person in crops.items() if person.id in by_person}
            if not own:
                continue
            try:
                self._age(person, own)
            except ReageError as fault:
                faults.update(dict.fromkeys(own, fault))
        return faults

    def of(self, person: Person, frame: int) -> AgedCrop | None:
        """A face that was taken; None where it was not, or could not be aged.

        Raises:
            ReageError: the model failed.
        """
        return self._aged.get((person.id, frame))

    def forget(self, number: int) -> None:
        """Drop what no frame after this one can need."""
        _drop(self._aged, number - self._scene.job.smooth)

    def _age(self, person: Person, crops: Mapping[int, Tensor]) -> None:
        changes = [self._changes(person, crops, output) for output in range(len(self._scene.targets))]
        for number, crop in crops.items():
            self._keep(person, number, crop, torch.cat([by_frame[number] for by_frame in changes]))

    def _changes(self, person: Person, crops: Mapping[int, Tensor], output: int) -> dict[int, Tensor]:
        """The change of a person's crops in one output."""
        numbers, padded, years = self._batch(person, crops, output)
        none = {number: torch.zeros_like(crops[number]) for number in crops.keys() - set(numbers)}
        if not numbers:
            return none
        scene = self._scene
        landmarks = np.stack([on_crop(person.frames[n], person.crop) for n in padded])
        with torch.inference_mode():
            changes = age(
                scene.ager,
                torch.stack([crops[n] for n in padded]),
                scene.source_age(person),
                years,
                torch.from_numpy(landmarks).float(),
                scene.looks[person.id],
                scene.job.mode,
            )
        return none | dict(zip(numbers, changes, strict=False))

    def _batch(self, person: Person, crops: Mapping[int, Tensor], output: int) -> tuple[list[int], list[int], Tensor]:
        """Frames that an output re-ages, the same padded to a full batch, and the padded ones' target ages.

        Padded, so that a ragged last batch is computed as every other.
        """
        scene = self._scene
        ages = {number: scene.target_age(output, person, number) for number in crops}
        wanted = {number: years for number, years in sorted(ages.items()) if years is not None}
        numbers = list(wanted)
        padded = numbers + numbers[-1:] * (scene.job.batch - len(numbers))
        return numbers, padded, torch.tensor([wanted[n] for n in padded], dtype=torch.float32)

    def _keep(self, person: Person, number: int, crop: Tensor, change: Tensor) -> None:
        self._aged[person.id, number] = AgedCrop(number, crop, change, flow_picture(crop))


@dataclass(frozen=True)
class _Coded:
    """One face in one frame, before it is painted."""

    crop: Tensor  # (3, S, S)
    codes: list[AgeCodes | None]  # one an output, each (1, L, D); None: left alone


class CodedCrops(AgedCrops):
    """As `AgedCrops`, for a model that goes through a code, whose way between two ages is steadied over the shot.

    Faces are coded as frames come in, and painted when first asked for: by then the codes of the neighbours are there.
    """

    def __init__(self, scene: Scene, ager: CodedAger, device: torch.device) -> None:
        super().__init__(scene, device)
        self._ager = ager
        self._coded: dict[Key, _Coded] = {}

    def of(self, person: Person, frame: int) -> AgedCrop | None:
        """See `AgedCrops.of`."""
        if (person.id, frame) not in self._aged and (person.id, frame) in self._coded:
            crop = self._coded[person.id, frame].crop
            outputs = range(len(self._scene.targets))
            with torch.inference_mode():
                change = torch.cat([self._painted(person, frame, crop, output) for output in outputs])
            self._keep(person, frame, crop, change)
        return super().of(person, frame)

    def forget(self, number: int) -> None:
        """See `AgedCrops.forget`."""
        super().forget(number)
        _drop(self._coded, number - self._scene.reach)

    def _age(self, person: Person, crops: Mapping[int, Tensor]) -> None:
        by_output = [self._encoded(person, crops, output) for output in range(len(self._scene.targets))]
        for number, crop in crops.items():
            self._coded[person.id, number] = _Coded(crop, [codes.get(number) for codes in by_output])

    def _encoded(self, person: Person, crops: Mapping[int, Tensor], output: int) -> dict[int, AgeCodes]:
        numbers, padded, years = self._batch(person, crops, output)
        if not numbers:
            return {}
        with torch.inference_mode():
            batch = self._ager.encode(torch.stack([crops[n] for n in padded]), self._scene.source_age(person), years)
        return {n: AgeCodes(batch.own[i : i + 1], batch.shift[i : i + 1]) for i, n in enumerate(numbers)}

    def _painted(self, person: Person, frame: int, crop: Tensor, output: int) -> Tensor:
        radius = self._scene.job.smooth
        window = [frame, *self._scene.neighbours(person, frame, radius)]
        there = {n: self._coded[person.id, n].codes[output] for n in window if (person.id, n) in self._coded}
        near = {number: codes for number, codes in there.items() if codes is not None}
        if frame not in near:
            return torch.zeros_like(crop)
        return painted(self._ager, steadied(near, frame, radius), crop[None], self._scene.job.mode)[0]


def aged_crops(scene: Scene, device: torch.device) -> AgedCrops:
    """The crops of a scene's model."""
    if isinstance(scene.ager, CodedAger) and scene.job.smooth:
        return CodedCrops(scene, scene.ager, device)
    return AgedCrops(scene, device)


def _drop(kept: dict[Key, Any], oldest: int) -> None:
    for key in [key for key in kept if key[1] < oldest]:
        del kept[key]
