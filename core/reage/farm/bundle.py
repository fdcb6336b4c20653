"""The bundle: a folder with a job that Open Job Description runs, and that other queues are told of.

Every path is a parameter of its own and reaches the command as an argument, so that a farm can rewrite it; the job file
holds the settings, and the paths as they are seen from its folder.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from reage.atomic import output_error, temporary_path
from reage.errors import OutputError, PlateError, RequestError
from reage.farm.ranges import LONGEST, openjd_range, read_openjd_range
from reage.farm.template import FRAMES_TOKEN, PATHS, Step, job_template, steps
from reage.images import read_metadata
from reage.job import Job
from reage.movies import WRITE_SUFFIXES, is_made_by_reage
from reage.naming import without_age
from reage.plate import Output, Plate, open_output, open_plate
from reage.progress import Event, one_line
from reage.sequence import format_range, parse_range, refuse_plate_overwrite

__all__ = ["FRAMES_TOKEN", "Bundle", "Step", "read_bundle", "write_bundle"]

FILES = ("template.yaml", "parameter_values.yaml", "asset_references.yaml", "job.yaml")
"""What a bundle is made of."""

OF_ENGINES = ("deadline10", "opencue.xml")
"""What engines write into a bundle for their own use; gone when the bundle is made anew."""

LONGEST_NAME = 120


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, as engines need it."""

    folder: Path
    name: str  # of the job: one printable line, at most 120 characters
    frames: tuple[int, ...]  # ascending
    chunk: int  # frames a task renders
    steps: tuple[Step, ...]  # commands with real paths, and without --progress
    gpu: bool  # whether a GPU is required
    outputs: tuple[str, ...]  # patterns, one an age; then the movies and the sheet, where asked for
    inputs: tuple[str, ...]  # files that are read


def write_bundle(job: Job, folder: Path, chunk: int, movie: str | None = None, sheet: str | None = None) -> Bundle:
    """Write a bundle whole or not at all.

    Args:
        job: as for `run`. Frames that its plate lacks are settled now.
        folder: made; one that is there must be empty, or a bundle, which is replaced.
        chunk: frames a task renders, at least 1.
        movie: a movie of the finished frames; holds `{age}` where the job has several ages.
        sheet: a contact sheet of the finished frames, PNG or JPEG.

    Raises:
        RequestError: the job is none for a farm, or a path does not fit into a job.
        PlateError: the plate, or frames of it, are missing.
        OutputError: something that is not ours stands in the folder's place, or the disk refuses.
    """
    order = _Order.of(job, chunk, movie, sheet)
    folder = Path(os.path.realpath(folder))
    _refuse_foreign(folder)
    temporary = temporary_path(folder)
    try:
        temporary.mkdir(parents=True)
        for name, content in order.files(folder).items():
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
            (temporary / name).write_text(text, encoding="utf-8")
        _swap(temporary, folder)
    except OSError as error:
        raise output_error(folder, error.strerror or str(error)) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return read_bundle(folder)


def bundled(job: Job, folder: Path, chunk: int, movie: str | None = None, sheet: str | None = None) -> Iterator[Event]:
    """Write a bundle, and tell of it. A dry run writes nothing.

    Raises:
        ReageError: as `write_bundle`.
    """
    if job.dry_run:
        order = _Order.of(job, chunk, movie, sheet)
        _refuse_foreign(Path(os.path.realpath(folder)))
        frames, made = order.frames, None
    else:
        made = write_bundle(job, folder, chunk, movie, sheet)
        frames = list(made.frames)
    chunks = -(-len(frames) // chunk)
    told = f"{len(frames)} frames ({format_range(frames)}) in about {chunks} chunks"
    yield {"event": "note", "message": f"{folder}: {told}" if made else f"{folder}: would hold {told}"}
    yield {"event": "done", "bundle": str(folder), "frames": format_range(frames), "dry_run": job.dry_run}


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle; what was edited by hand in its values counts.

    Raises:
        RequestError: it is none of ours.
    """
    folder = Path(os.path.realpath(folder))
    try:
        template, listed, assets, job = (yaml.safe_load((folder / name).read_text(encoding="utf-8")) for name in FILES)
        values = {entry["name"]: entry["value"] for entry in listed["parameterValues"]}
        known = {definition["name"] for definition in template["parameterDefinitions"]}
        words = {name: str(value) for name, value in values.items() if name in known}
        frames = read_openjd_range(words["Frames"])
        asked = set(parse_range(str(job["frames"])))
        outputs = [_per_age(words["Output"], job)]
        outputs += [_per_age(words["Movie"], job)] if words.get("Movie") else []
        outputs += [[words["Sheet"]]] if words.get("Sheet") else []
        return Bundle(
            folder=folder,
            name=words["Name"],
            frames=tuple(frame for frame in frames if frame in asked),
            chunk=int(words["Chunk"]),
            steps=steps(words),
            gpu=any("hostRequirements" in step for step in template["steps"]),
            outputs=tuple(path for paths in outputs for path in paths),
            inputs=tuple(assets["assetReferences"]["inputs"]["filenames"]),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError, RequestError) as error:
        why = f"{type(error).__name__}: {one_line(error)}"
        raise RequestError(f"{folder}: not a bundle that 'reage farm bundle' wrote ({why})") from error


@dataclass(frozen=True)
class _Order:
    """A job that is fit for a farm, with every path absolute."""

    job: Job
    chunk: int
    plate: Plate
    frames: list[int]  # on disk
    paths: Mapping[str, str]  # by parameter
    inputs: list[str]

    @classmethod
    def of(cls, job: Job, chunk: int, movie: str | None, sheet: str | None) -> _Order:
        """Check a job as `run` would, and settle what must not depend on the machine."""
        _refuse_job(job, chunk)
        job = job.model_copy(update=_settled_paths(job))
        plate = open_plate(job.plate, first_frame=job.first_frame, view=job.view)
        wanted = parse_range(job.frames) if job.frames else sorted([*plate.frames, *plate.missing])
        there = set(plate.frames)
        frames, missing = [f for f in wanted if f in there], [f for f in wanted if f not in there]
        if missing and (job.on_missing == "stop" or not frames):
            raise PlateError(
                f"{plate.name}: frames {format_range(missing)} are missing; "
                "copy them, choose other --frames, or give --on-missing skip"
            )
        outputs = [open_output(name, plate, wanted) for name in ages_filled(job.output, job)]
        _refuse_outputs(job, plate, outputs, frames, movie, sheet)
        tracks = job.tracks or str(_beside(open_output(without_age(job.output), plate, wanted)))
        job = job.model_copy(update={"frames": format_range(wanted), "tracks": tracks})
        given = {"plate": job.plate, "output": job.output, "tracks": tracks, "holdout": job.holdout}
        given |= {"landmarks": job.landmarks, "ocio": job.ocio, "log": job.log, "movie": movie, "sheet": sheet}
        given["model"] = job.model if Path(job.model).is_absolute() else None
        if (job.ocio or "").startswith("ocio://"):
            given["ocio"] = None
        paths = {p.parameter: _absolute(value) for p in PATHS if (value := given[p.option])}
        for name, path in paths.items():
            _refuse_path(name, path)
        return cls(job, chunk, plate, frames, paths, _inputs(job, plate, frames, paths))

    def files(self, folder: Path) -> dict[str, Any]:
        """Content of the bundle's files, by name."""
        gpu = self.job.device.startswith("cuda")
        name = one_line(f"reage {Path(without_age(self.job.output)).name}")[:LONGEST_NAME]
        plain: dict[str, str | int] = {
            "Name": name,
            "Frames": openjd_range(self.frames, self.chunk),
            "Chunk": self.chunk,
            "Python": sys.executable,
        }
        values = plain | {"Job": str(folder / "job.yaml")} | dict(self.paths)
        flows = {p.parameter: self._flow(p.parameter, p.flow) for p in PATHS if p.parameter in self.paths}
        made = {str(Path(path).parent) for name, path in self.paths.items() if flows[name][1] != "IN"}
        inputs = {"filenames": [*self.inputs, str(folder / "job.yaml")], "directories": []}
        references = {"inputs": inputs, "outputs": {"directories": sorted(made)}, "referencedPaths": []}
        return {
            "template.yaml": job_template(plain, flows, gpu),
            "parameter_values.yaml": {"parameterValues": [{"name": n, "value": v} for n, v in values.items()]},
            "asset_references.yaml": {"assetReferences": references},
            "job.yaml": self._job_file(folder),
        }

    def _flow(self, name: str, flow: str) -> tuple[str, str]:
        path = Path(self.paths[name])
        if name == "Tracks" and path.exists():  # an analysis that somebody may have corrected
            flow = "INOUT"
        return ("DIRECTORY" if path.is_dir() else "FILE"), flow

    def _job_file(self, folder: Path) -> dict[str, Any]:
        """The settings that differ from the defaults."""
        fields = self.job.model_dump(mode="json", exclude_defaults=True, exclude={"progress", "dry_run"})
        named = {p.option: self.paths[p.parameter] for p in PATHS if p.option in fields and p.parameter in self.paths}
        seen = {key: path if key == "model" else seen_from(folder, path) for key, path in named.items()}
        return {"version": 1} | fields | seen


def ages_filled(name: str, job: Job) -> list[str]:
    """A name for each of a job's outputs."""
    return [name] if job.ages is None else [name.replace("{age}", f"{age:g}") for age in job.ages]


def _per_age(name: str, fields: Mapping[str, Any]) -> list[str]:
    ages = fields.get("ages")
    return [name] if ages is None else [name.replace("{age}", f"{age:g}") for age in ages]


def seen_from(folder: Path, path: str) -> str:
    """A path as it is seen from a folder, where both lie under one top folder; else as it is.

    Links are followed, as `..` in a path leads out of the folder that a link leads to.
    """
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))  # noqa: PTH118, PTH119, PTH120
    if Path(real).parts[:2] != Path(os.path.realpath(folder)).parts[:2]:
        return path
    return os.path.relpath(real, os.path.realpath(folder))


def _refuse_job(job: Job, chunk: int) -> None:
    if job.stills:
        raise RequestError("--stills: each picture is a shot of its own; run them without a farm")
    if chunk < 1:
        raise RequestError(f"--chunk {chunk}: a chunk holds at least one frame")


def _settled_paths(job: Job) -> dict[str, str]:
    """Paths made absolute, and what this machine's environment would have given made plain."""
    names = ("plate", "output", "tracks", "holdout", "landmarks", "log")
    settled = {name: _absolute(value) for name in names if (value := getattr(job, name))}
    if config := job.ocio or os.environ.get("OCIO"):
        settled["ocio"] = config if config.startswith("ocio://") else _absolute(config)
    if _is_file_of_a_model(job.model):
        settled["model"] = _absolute(job.model)
    return settled


def _is_file_of_a_model(name: str) -> bool:
    """Whether a model is named by its file; a name in the store comes first."""
    from reage.store import EMBEDDED, Store

    return name != EMBEDDED and Store().find(name) is None and Path(name).is_file()


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _refuse_outputs(
    job: Job, plate: Plate, outputs: list[Output], frames: list[int], movie: str | None, sheet: str | None
) -> None:
    for output in outputs:
        if output.is_movie:
            raise RequestError(
                f"{output.name}: machines cannot share one movie; write frames, such as -o "
                f"{output.stem.name}.%04d.exr, and give --movie {output.stem.name}{Path(output.name).suffix}"
            )
        if job.layers and output.format != "exr":
            raise RequestError(f"--layers needs EXR outputs; {output.name} is none")
    extras = _extras(job, movie, sheet)
    made = [output.path(frame) for output in outputs for frame in frames]
    refuse_plate_overwrite([*made, *extras], {plate.path(frame) for frame in plate.frames})


def _extras(job: Job, movie: str | None, sheet: str | None) -> list[Path]:
    """The movies and the sheet; raises where they cannot be made, or would replace what reage did not make."""
    movies = [Path(name) for name in ages_filled(movie, job)] if movie is not None else []
    if len(set(movies)) < len(movies):
        raise RequestError(f"--movie {movie}: several ages need {{age}} in its name")
    if movies and movies[0].suffix.lower() not in WRITE_SUFFIXES:
        raise RequestError(f"--movie {movie}: end its name in {', '.join(sorted(WRITE_SUFFIXES))}")
    sheets = [Path(sheet)] if sheet is not None else []
    if sheets and sheets[0].suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise RequestError(f"--sheet {sheet}: end its name in .png or .jpg")
    for path in [*movies, *sheets]:
        if path.exists() and not job.overwrite and not (is_made_by_reage(path) or _says_reage(path)):
            raise OutputError(
                f"{path}: this file was not made by reage and would be replaced; choose another name, or --overwrite"
            )
    return [*movies, *sheets]


def _says_reage(picture: Path) -> bool:
    try:
        return bool(read_metadata(picture))
    except PlateError:
        return False


def _refuse_path(name: str, path: str) -> None:
    """What a job's parameter cannot hold."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{name} {path!r}: not Unicode text, which a farm's files are made of; rename it") from error
    if len(path) > LONGEST:
        raise RequestError(f"{name} {path[:60]!r}…: longer than the {LONGEST} characters that a farm's job can hold")


def _beside(output: Output) -> Path:
    """Where `run` keeps the tracks of an output's plate."""
    return output.stem.with_name(output.stem.name + ".tracks.json")


def _inputs(job: Job, plate: Plate, frames: list[int], paths: Mapping[str, str]) -> list[str]:
    """Every file that is there to be read. The analysis reads the whole plate, whatever the frames are."""
    files = {_absolute(str(plate.path(frame))): None for frame in plate.frames}
    if job.holdout is not None:
        from reage.pipeline.holdout import open_holdout, split_channel

        open_holdout(job.holdout, frames)
        mattes = open_plate(split_channel(job.holdout)[0])
        files |= {_absolute(str(mattes.path(frame))): None for frame in mattes.frames}
    for name in ("Landmarks", "Ocio", "Model", "Tracks"):
        if name in paths and Path(paths[name]).exists():
            files[paths[name]] = None
        elif name in paths and name != "Tracks":
            raise PlateError(f"--{name.lower()} {paths[name]}: not there; check the path")
    return list(files)


def _refuse_foreign(folder: Path) -> None:
    """Raise where something stands that is neither an empty folder nor a bundle."""
    try:
        there = {entry.name for entry in folder.iterdir()} if folder.exists() else set()
    except OSError as error:
        raise OutputError(f"--bundle {folder}: not a folder that can be read: {error.strerror}") from error
    if not there:
        return
    if foreign := sorted(there - {*FILES, *OF_ENGINES}):
        raise OutputError(
            f"--bundle {folder}: holds {one_line(foreign[0])!r}, which is no bundle's file; choose another folder"
        )
    try:
        read_bundle(folder)
    except RequestError as error:
        raise OutputError(f"--bundle {error}; choose another folder") from error


def _swap(temporary: Path, folder: Path) -> None:
    """Give a finished folder its name; what stood there goes when the new one stands."""
    if not folder.exists():
        temporary.rename(folder)
        return
    old = temporary_path(folder)
    folder.rename(old)
    try:
        temporary.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
