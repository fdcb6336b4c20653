"""What a process keeps from preview to preview: a plate's frames and crops, a model's answers, the people it saw."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.agers.base import Age, AgeCodes, Ager, CodedAger, Look
from reage.faces.identity import Descriptor, distance
from reage.job import Job
from reage.pipeline.shot import FrameView, Shot
from reage.track import SAME
from reage.tracks import FaceAt

Image = NDArray[np.uint8]  # (h, w, 3) RGB, sRGB-encoded

ROOM = 768 << 20
"""Bytes of decoded frames and crops that are kept, five frames of UHD in float and their crops; half as much again for
what the model answered on them."""

FEW = 8
"""Analyses that are kept, and plates whose people are known."""

TURNED = 0.15
"""How much further from frontal, as yaw, an earlier face may be than this one and still lend its look."""


class Recent:
    """Values by key, the least recently used forgotten first where there is no room. Threads may share it."""

    def __init__(self, room: int) -> None:
        """Take the room: the sum of all sizes."""
        self._room, self._lock = room, threading.Lock()
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """The value; None where there is none."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of a size."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value, size
            while sum(size for _, size in self._values.values()) > self._room and len(self._values) > 1:
                self._values.popitem(last=False)


class KeptShot(Shot):
    """A shot that remembers the frames and crops it was asked for last, as long as their files stay as they are."""

    def __init__(self, job: Job) -> None:
        """Open the plate; see `Shot`."""
        super().__init__(job)
        self._recent = Recent(ROOM)

    def frame(self, number: int) -> FrameView:
        """See `Shot.frame`."""
        key = ("frame", number, *file_stamp(self.plate.path(number)))
        view: FrameView | None = self._recent.get(key)
        if view is None:
            view = super().frame(number)
            planes = [plane for part in view.picture.parts for plane in part.channels.values()]
            self._recent.put(key, view, view.colour.nbytes + sum(plane.nbytes for plane in planes))
        return view

    def crop(self, frame: FrameView, face: FaceAt, size: int, exposure: float, device: torch.device) -> Tensor | None:
        """See `Shot.crop`."""
        key = ("crop", frame.number, id(frame), str(face.quad), size, exposure, str(device))
        kept: tuple[FrameView, Tensor] | None = self._recent.get(key)
        if kept is not None:
            return kept[1]
        crop = super().crop(frame, face, size, exposure, device)
        if crop is not None:
            # With the frame, so that no other one can take its id.
            self._recent.put(key, (frame, crop), crop.nbytes)
        return crop

    def alone(self, number: int) -> KeptShot:
        """The same plate as if it had one frame only; what is remembered is shared."""
        one = copy.copy(self)
        one.plate = copy.copy(self.plate)
        one.plate.frames = [number]
        return one


def remembering(ager: Ager, answers: Recent) -> Ager:
    """A model that remembers what it answered: strength, gains and regions change nothing about that."""
    return RememberingCoded(ager, answers) if isinstance(ager, CodedAger) else Remembering(ager, answers)


class Remembering:
    """See `remembering`."""

    def __init__(self, ager: Ager, answers: Recent) -> None:
        self.facts = ager.facts
        self.first_look = ager.first_look
        self._ager, self._answers = ager, answers

    def __call__(
        self,
        crops: Tensor,
        source_age: Age | None = None,
        target_age: Age = 70.0,
        *,
        landmarks: Tensor | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """See `Ager`."""
        asked = _digest(crops, source_age, target_age, landmarks, look)

        def ask() -> Tensor:
            return self._ager(crops, source_age, target_age, landmarks=landmarks, look=look)

        answer: Tensor = self._known(asked, ask)
        return answer

    def _known(self, asked: str, ask: Callable[[], Any]) -> Any:
        key = self.facts.sha256, asked
        answer = self._answers.get(key)
        if answer is None:
            answer = ask()
            tensors = [answer] if isinstance(answer, Tensor) else [answer.own, answer.shift]
            self._answers.put(key, answer, sum(tensor.nbytes for tensor in tensors))
        return answer


class RememberingCoded(Remembering):
    """See `remembering`."""

    def __init__(self, ager: CodedAger, answers: Recent) -> None:
        super().__init__(ager, answers)
        self._coded = ager

    def encode(self, crops: Tensor, source_age: Age | None, target_age: Age) -> AgeCodes:
        """See `CodedAger`."""
        asked = "encode" + _digest(crops, source_age, target_age)
        codes: AgeCodes = self._known(asked, lambda: self._coded.encode(crops, source_age, target_age))
        return codes

    def paint(self, codes: Tensor) -> Tensor:
        """See `CodedAger`."""
        painted: Tensor = self._known("paint" + _digest(codes), lambda: self._coded.paint(codes))
        return painted


def _digest(*values: Any) -> str:
    """A hash of tensors and plain values."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, Tensor):
            digest.update(str((value.shape, value.dtype)).encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
        else:
            digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Acquaintance:
    """Somebody who was seen on an earlier frame of the plate."""

    who: Descriptor
    yaw: float
    source_age: float
    look: Look


def met_before(who: Descriptor, yaw: float, known: Sequence[Acquaintance]) -> Acquaintance | None:
    """Whose face it is among those who were seen about as frontally or better; None where it is nobody's.

    Args:
        who: of the face.
        yaw: -1..1, of the face.
        known: people of earlier frames.
    """
    frontal = [one for one in known if abs(one.yaw) <= abs(yaw) + TURNED]
    nearest = min(frontal, key=lambda one: distance(who, one.who), default=None)
    return None if nearest is None or distance(who, nearest.who) > SAME else nearest


class Desk:
    """What a process keeps between previews: one plate, and the few analyses that were looked at last."""

    def __init__(self) -> None:
        self.tracks = Recent(FEW)
        self.answers = Recent(ROOM // 2)
        self.written: Mapping[Path, Image] = {}  # the last picture of a plate that was written
        self._people = Recent(FEW)
        self._shot: tuple[Hashable, KeptShot] | None = None
        self.before: tuple[FrameView, Image] | None = None  # the frame seen last, as a preview

    def shot(self, job: Job) -> KeptShot:
        """The plate of a job: the one that lies here where nothing about it has changed."""
        place = Path(job.plate)
        if self._shot is not None:
            key = self._identity(job, place, self._shot[1])
            if key is not None and key == self._shot[0]:
                return self._shot[1]
        self.clear()
        shot = KeptShot(job)
        self._shot = self._identity(job, place, shot), shot
        return shot

    def _identity(self, job: Job, place: Path, shot: Shot) -> Hashable:
        """All that an opened plate depends on; None where that cannot be told."""
        try:
            where = file_stamp(place if place.exists() else place.parent)
            first = file_stamp(shot.plate.path(shot.plate.frames[0]))
        except OSError:
            return None
        named = job.plate, job.first_frame, job.view, job.colorspace, job.ocio, job.on_error
        return (*named, os.environ.get("OCIO"), where, first)

    def key(self, job: Job, shot: Shot, ager: Ager) -> Hashable:
        """What an analysis of a lone frame depends on."""
        (number,) = shot.plate.frames
        stamp = file_stamp(shot.plate.path(number))
        plate = job.plate, number, stamp, shot.colour.identity, job.view
        return (*plate, job.landmarks, ager.facts.sha256, job.look_choices)

    def people(self, job: Job, ager: Ager) -> list[Acquaintance]:
        """Who was seen on frames of the plate that were analysed alone; to be added to; kept for a few plates."""
        plate = None if self._shot is None else self._shot[0]
        key = plate, job.landmarks, ager.facts.sha256, job.look_choices
        known: list[Acquaintance] | None = self._people.get(key)
        if known is None:
            known = []
            self._people.put(key, known, 1)
        return known

    def clear(self) -> None:
        """Let go of the plate: whatever is done next needs the memory."""
        if self._shot is not None:
            self._shot[1].plate.close()
        self._shot = self.before = None
        self.written, self.answers = {}, Recent(ROOM // 2)


def file_stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does; zeros where it is gone, so that whoever reads it says so."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_mtime_ns, facts.st_size
