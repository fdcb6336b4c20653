"""One render in progress: what is skipped, rendered, written, booked and told."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reage.atomic import process_mark
from reage.errors import OutputError, PlateError, ReageError, SomeFramesFailed
from reage.ledger import Line, State
from reage.models import LANDMARKS_68
from reage.movies import MovieWriter
from reage.pipeline.holdout import Holdout
from reage.pipeline.outputs import Target, movie_frame, write_frame
from reage.pipeline.placing import Rendered
from reage.pipeline.rendering import Renderer
from reage.pipeline.scene import Scene
from reage.pipeline.streams import Behind
from reage.sequence import format_range

Event = dict[str, Any]

SAVE_EVERY = 2.0
"""Seconds between merges of the manifest into its file."""


class Work:
    """One render in progress: what is skipped, written and failed."""

    def __init__(self, scene: Scene, targets: Sequence[Target], device: torch.device, holdout: Holdout | None) -> None:
        self._scene, self._targets, self._device, self._holdout = scene, targets, device, holdout
        self._states: Counter[str] = Counter()
        self._faults: list[str] = []
        self._held: dict[int, int] = {}  # by frame: values beyond the range of half
        self._hashes: dict[tuple[int, int], str] = {}
        self._saved = time.monotonic()
        self._licence = strictest_licence(scene)

    def render(self, frames: Sequence[int], missing: Sequence[int]) -> Iterator[Event]:
        """Render, write, and tell."""
        job = self._scene.job
        for frame in missing:
            for target in self._targets:
                target.manifest.add(Line(frame, target.output.path(frame).name, "missing", why="not in the plate"))
            self._states["missing"] += 1
            yield {"event": "frame", "frame": frame, "state": "missing"}
        todo, redone = [], 0
        for frame in frames:
            if not job.overwrite and all(self._is_current(target, frame) for target in self._targets):
                self._states["skipped"] += 1
                self._book_found(frame)
                yield {
                    "event": "frame",
                    "frame": frame,
                    "state": "skipped",
                    "path": str(self._targets[0].output.path(frame)),
                }
                continue
            redone += any(t.output.path(frame).exists() and not t.output.is_movie for t in self._targets)
            todo.append(frame)
        if redone:
            yield {
                "event": "warning",
                "message": f"{redone} frames were made with other settings or are damaged; redone",
            }
        total = len(todo)
        yield {"event": "stage", "name": "render", "total": total, "skipped": len(frames) - total}
        try:
            if self._targets[0].output.is_movie:
                yield from self._movies(todo)
            else:
                yield from self._files(todo)
        finally:
            for target in self._targets:
                target.manifest.save()
        yield from self._end()

    def _book_found(self, frame: int) -> None:
        """Book a frame that is there already and was not booked, as its process was killed before it could."""
        for target in self._targets:
            settings, line = self._settings(target, frame), target.manifest.line(frame)
            if line is None or line.settings != settings:
                target.manifest.add(Line(frame, target.output.path(frame).name, self._state(frame), settings))

    def _state(self, frame: int) -> State:
        return "aged" if self._scene.faces(frame) else "no-face"

    def _is_current(self, target: Target, frame: int) -> bool:
        if target.output.is_movie or not target.output.path(frame).exists():
            return False
        return target.is_current(frame, self._settings(target, frame))

    def _settings(self, target: Target, frame: int) -> str:
        """The hash of one frame, made when it is first needed: it reads the plate's content."""
        key = target.index, frame
        if key not in self._hashes:
            self._hashes[key] = self._scene.settings(target.index, frame)
        return self._hashes[key]

    def _renderer(self) -> Renderer:
        maps = self._holdout.maps if self._holdout else {}
        return Renderer(self._scene, self._device, maps)

    def _files(self, todo: Sequence[int]) -> Iterator[Event]:
        """Frames as files, encoded behind the renderer."""
        writers = Behind[tuple[int, Target, float], int](workers=2, depth=4)
        try:
            with writers:
                yield from self._written(todo, writers)
        finally:
            for item, _ in writers.finished():  # an error or a signal came between
                self._book(*item)

    def _written(self, todo: Sequence[int], writers: Behind[tuple[int, Target, float], int]) -> Iterator[Event]:
        scene, started = self._scene, time.monotonic()
        for number, rendered in self._renderer().frames(todo):
            for target in self._targets:
                item = (number, target, 0.0 if isinstance(rendered, ReageError) else rendered.seconds)

                def write(result: Any = rendered, target: Target = target, number: int = number) -> int:
                    if isinstance(result, ReageError):
                        raise result
                    return write_frame(result, target, scene, self._settings(target, number), self._licence)

                for done in writers.put(item, write):
                    yield from self._finished(*done, len(todo), started)
        for done in writers.drain():
            yield from self._finished(*done, len(todo), started)

    def _finished(
        self,
        item: tuple[int, Target, float],
        future: Future[int],
        total: int,
        started: float,
    ) -> Iterator[Event]:
        """Book one written or failed frame of one output."""
        number, target, seconds = item
        path = target.output.path(number)
        fault = future.exception()
        if fault is None:
            state = self._book(number, target, seconds)
            if held := future.result():
                self._held[number] = self._held.get(number, 0) + held
            yield {"event": "frame", "frame": number, "state": state, "path": str(path)}
        elif not isinstance(fault, ReageError) or isinstance(fault, OutputError) or self._scene.job.on_error == "stop":
            raise fault
        else:
            state = self._failed(number, target, fault)
            yield {"event": "frame", "frame": number, "state": state, "path": str(path), "why": str(fault)}
        if target is self._targets[-1]:
            self._states[state] += 1
            done = sum(self._states.values()) - self._states["skipped"] - self._states["missing"]
            elapsed = time.monotonic() - started
            eta = round(elapsed / done * (total - done), 1)
            yield {"event": "progress", "stage": "render", "frame": number, "done": done, "total": total, "eta": eta}
        if time.monotonic() - self._saved > SAVE_EVERY:
            target.manifest.save()
            self._saved = time.monotonic()

    def _book(self, number: int, target: Target, seconds: float) -> State:
        """Enter a frame that was written into the manifest."""
        state, name = self._state(number), target.output.path(number).name
        settings, host = self._settings(target, number), process_mark().rpartition(".")[0]
        target.manifest.add(Line(number, name, state, settings, round(seconds, 3), host=host))
        return state

    def _failed(self, number: int, target: Target, fault: ReageError) -> State:
        """A frame that could not be re-aged: the plate's own pixels where that was asked for and can be read."""
        self._faults.append(str(fault))
        state: State = "failed"
        if self._scene.job.on_error == "copy":
            try:
                plain = Rendered(self._scene.shot.frame(number), [], None, 0.0)
                # No settings: whoever runs this again gets another try at the frame.
                write_frame(plain, target, self._scene, "", self._licence)
                state = "copied"
            except PlateError as error:
                self._faults.append(str(error))
        name = target.output.path(number).name
        target.manifest.add(Line(number, name, state, why=str(fault)))
        return state

    def _movies(self, todo: Sequence[int]) -> Iterator[Event]:
        """Frames into movies, which appear when they are complete."""
        scene, writers = self._scene, {}
        try:
            for done, (number, rendered) in enumerate(self._renderer().frames(todo), start=1):
                if isinstance(rendered, ReageError):
                    raise rendered
                for target in self._targets:
                    pixels = movie_frame(rendered, target, scene)
                    if target.index not in writers:
                        writers[target.index] = _movie(target, scene, pixels)
                    writers[target.index].write(pixels)
                state = self._state(number)
                self._states[state] += 1
                yield {"event": "frame", "frame": number, "state": state, "path": self._targets[0].output.name}
                yield {"event": "progress", "stage": "render", "frame": number, "done": done, "total": len(todo)}
            for target in self._targets:
                writers[target.index].close()
                for number in todo:
                    target.manifest.add(Line(number, target.output.path(number).name, self._state(number)))
        except BaseException:
            for writer in writers.values():
                writer.abort()
            raise

    def _end(self) -> Iterator[Event]:
        states = {state: count for state, count in sorted(self._states.items()) if count}
        failed = states.get("failed", 0) + states.get("copied", 0)
        if self._held:
            yield {
                "event": "warning",
                "message": f"{sum(self._held.values())} values beyond what half floats hold became +-65504, "
                f"in frames {format_range(self._held)}",
            }
        summary = {"states": states, "outputs": [target.output.name for target in self._targets]}
        if failed:
            yield {"event": "summary", **summary}
            raise SomeFramesFailed(f"{failed} frames failed, the first with: {self._faults[0]}")
        yield {"event": "done", **summary}


def _movie(target: Target, scene: Scene, pixels: np.ndarray) -> MovieWriter:
    plate = scene.shot.plate
    height, width = pixels.shape[:2]
    source = plate.path(plate.frames[0]) if plate.is_movie else None
    path, aspect = target.output.path(plate.frames[0]), scene.shot.pixel_aspect
    return MovieWriter(path, plate.fps or 24, width, height, audio_from=source, pixel_aspect=aspect)


def strictest_licence(scene: Scene) -> str:
    """The most restrictive licence of all model files used: the landmarks', which exclude commercial use."""
    if not scene.persons:
        return scene.ager.facts.licence
    given = scene.job.landmarks
    landmarks = f"landmarks by {Path(given).name}, whose licence you know" if given else LANDMARKS_68.licence
    return f"{landmarks}; {scene.ager.facts.licence}"
