"""Re-age pictures that are aligned crops already (FFHQ's convention), without detection.

As on a plate, the change shows inside the matte of the face. In mode "replace" there is none: the whole crop is what
the model answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.ageing import age, clamped
from reage.agers import load_ager
from reage.agers.base import Ager, Look
from reage.atomic import writable_folder
from reage.colour import shoulder
from reage.errors import PlateError, RequestError, SomeFramesFailed
from reage.faces.age import apparent_age
from reage.faces.landmarks import locate_aligned, predictor
from reage.faces.shape import yaw
from reage.images import format_of, write_picture
from reage.job import Job
from reage.models import LANDMARKS_68
from reage.naming import named_all
from reage.pipeline.analysis import face_look, luma_at, settle_exposure
from reage.pipeline.outputs import recoloured_picture, refuse_foreign
from reage.pipeline.response import matte_on_crop, settle_look
from reage.pipeline.shot import FrameView, Shot
from reage.sequence import refuse_plate_overwrite
from reage.version import __version__

Event = dict[str, Any]

SMALLEST = 64
"""Side of a crop in pixels below which no face is to be made out."""


@dataclass(frozen=True)
class Crop:
    """One crop, seen and measured."""

    shot: Shot
    view: FrameView
    sight: Tensor  # (3, S, S) what networks see of it, 0..1
    landmarks: Tensor  # (68, 2) crop pixels
    matte: Tensor  # (1, S, S), or (1, 1, 1) of 1 where the whole crop may change
    exposure: float  # stops
    source_age: float
    look: Look


def crop(job: Job, images: Sequence[str]) -> Iterator[Event]:
    """Re-age crops; each keeps its size.

    Args:
        job: its plate is not looked at; its output is a file, or for several images a folder or a pattern that holds
            `{name}`. Used are ages, source age, model, exemplar, matte, mode, strength, colour, view, device,
            landmarks, compression, overwrite and on_error.
        images: files, square.

    Yields:
        A `frame` event an image and age, in which `frame` counts the images and `name` names them; last `done`.

    Raises:
        OutputError: an output is an input, or a file that reage did not make.
        ReageError: see `reage.errors`.
    """
    sources = [Path(image) for image in images]
    ages = [target.of(1) for target in job.target_ages()]
    years = [curve(1) for curve in ages if curve is not None]
    if len(years) < len(ages):
        raise RequestError("--age: a crop holds one face; give one age")
    paths = [named_all(job.output, sources, asked) for asked in years]
    _claim(job, [path for by_age in paths for path in by_age], sources)
    ager = load_ager(job.model, job.device, job.precision)
    yield {"event": "stage", "name": "crop", "total": len(sources)}
    yield from _warnings(ager, years)
    faults: list[str] = []
    for at, source in enumerate(sources):
        told = {"event": "frame", "frame": at + 1, "name": source.name}
        try:
            opened = _opened(job, source, ager)
            for asked, by_age in zip(years, paths, strict=True):
                _write(job, opened, ager, asked, by_age[at])
                yield {**told, "state": "aged", "path": str(by_age[at]), "source_age": opened.source_age}
        except (PlateError, RequestError) as fault:
            if job.on_error == "stop":
                raise
            faults.append(str(fault))
            yield {**told, "state": "failed", "why": str(fault)}
        yield {"event": "progress", "stage": "crop", "frame": at + 1, "done": at + 1, "total": len(sources)}
    summary = {"states": {"aged": len(sources) - len(faults), "failed": len(faults)}, "outputs": [job.output]}
    if faults:
        yield {"event": "summary", **summary}
        raise SomeFramesFailed(f"{len(faults)} of {len(sources)} crops failed, the first with: {faults[0]}")
    yield {"event": "done", **summary}


def _claim(job: Job, paths: Sequence[Path], sources: Sequence[Path]) -> None:
    """Refuse to harm what is not ours before any work is done, and make folders."""
    refuse_plate_overwrite(paths, sources)
    for path in paths:
        format_of(path)
        if path.is_dir():
            raise RequestError(f"output '{path}' is a folder; name a file in it")
        if not job.overwrite:
            refuse_foreign(path)
    for folder in {path.parent for path in paths}:
        writable_folder(folder)


def _warnings(ager: Ager, years: Sequence[float]) -> Iterator[Event]:
    (low, high), facts = ager.facts.ages, ager.facts
    if facts.clamps and (outside := [asked for asked in years if not low <= asked <= high]):
        message = f"age {outside[0]:g} is outside what {facts.name} was trained on ({low:g} to {high:g}); it is clamped"
        yield {"event": "warning", "message": message}


def _opened(job: Job, source: Path, ager: Ager) -> Crop:
    """Read a crop, find its landmarks, and settle exposure, source age and look.

    Raises:
        PlateError: it cannot be read.
        RequestError: it is not square, or too small.
    """
    if not source.is_file():
        raise PlateError(f"{source}: there is no such picture; check the path")
    shot = Shot(job.model_copy(update={"plate": str(source)}))
    view = shot.frame(shot.plate.frames[0])
    side, height = view.window.width, view.window.height
    if side != height:
        raise RequestError(f"{source}: {side}x{height} is no aligned crop, which is square; 'reage run' finds faces")
    if side < SMALLEST:
        raise RequestError(f"{source}: {side} pixels wide, too small for a face; give at least {SMALLEST}")
    pixels = view.straight(view.window)
    seen = face_look(shot, view)
    picture = seen.display(seen.pixels)
    points = locate_aligned(picture, predictor(Path(job.landmarks) if job.landmarks else None))
    exposure = _exposure(shot, view, points)
    code = shot.colour.code_from_plate(pixels, exposure)
    # Codes that are a display's own go in as they are, as in the Python call: no light above white is to be rolled off.
    sight = torch.nan_to_num(code, nan=0.0) if shot.colour.is_srgb else shoulder(code)
    sight, landmarks = sight.clamp(0.0, 1.0), torch.from_numpy(points).float()
    settled = job.source_age
    years = round(apparent_age(face_look(shot, view, exposure), points), 1) if settled == "auto" else float(settled)
    shape = torch.ones(1, 1, 1)
    if job.mode == "change":
        shape = matte_on_crop(points / side, yaw(points), side, job.matte or ager.facts.matte, torch.device("cpu"))
    look = settle_look(ager, [sight], [landmarks], [shape], years, job.exemplar)
    return Crop(shot, view, sight, landmarks, shape, exposure, years, look)


def _exposure(shot: Shot, view: FrameView, points: NDArray[np.float64]) -> float:
    """Stops that bring the face of a scene-linear crop into sight; 0 for a display's own codes."""
    if shot.colour.is_srgb:
        return 0.0
    luma = luma_at(shot, view, points + np.array([view.window.x, view.window.y]))[2]
    return settle_exposure([luma] if math.isfinite(luma) else [])


def _write(job: Job, crop: Crop, ager: Ager, asked: float, path: Path) -> None:
    """Re-age a crop to one age and write it."""
    target = torch.tensor([clamped(ager, asked)], dtype=torch.float32)
    with torch.inference_mode():
        change = age(ager, crop.sight[None], crop.source_age, target, crop.landmarks[None], crop.look, job.mode)[0]
    shown = crop.matte.permute(1, 2, 0).numpy()
    straight = crop.view.straight(crop.view.window)
    delta = shown * crop.shot.colour.plate_change(straight, change.float().cpu(), crop.exposure)
    if crop.view.alpha is not None:
        delta = delta * crop.view.alpha[..., None]
    with np.errstate(invalid="ignore", over="ignore"):
        colour = crop.view.colour + np.float32(job.strength) * delta
    finite = np.isfinite(crop.view.colour).all(-1) & np.isfinite(colour).all(-1)
    touched = np.asarray(finite & (shown[..., 0] > 0.0) & (job.strength != 0.0), np.bool_)
    texts = _texts(job, ager, asked, crop.source_age)
    picture = recoloured_picture(crop.view, colour, touched, format_of(path), crop.shot.colour, texts)
    write_picture(path, picture, job.compression)


def _texts(job: Job, ager: Ager, asked: float, source_age: float) -> dict[str, str]:
    """What a crop says of its making."""
    landmarks = f"landmarks by {Path(job.landmarks).name}" if job.landmarks else LANDMARKS_68.licence
    return {
        "reage/version": __version__,
        "reage/model": ager.facts.name,
        "reage/model_sha256": ager.facts.sha256,
        "reage/licence": f"{landmarks}; {ager.facts.licence}",
        "reage/age": f"{asked:g}",
        "reage/source_age": f"{source_age:g}",
    }
