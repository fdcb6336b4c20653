"""One re-ageing request as a value: checked when made, frozen, unknown keys refused.

The command line, job files, the worker and Python all end in a `Job`. Field names are the long option names with
underscores; a job file adds `version: 1` and may give paths relative to itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reage.curve import Ages, parse_ages, parse_curve
from reage.errors import PlateError, RequestError
from reage.sequence import parse_range

REGIONS = ("forehead", "eyes", "nose", "cheeks", "mouth", "jaw")
MatteShape = Literal["face", "head"]
LARGEST_JOB_FILE = 1 << 20
"""Bytes. A job is a page of text; anything larger is a mistake or an attack."""
DEEPEST_JOB_FILE = 8
"""Mappings and lists within each other; a job has three."""

_PATHS = ("plate", "output", "tracks", "holdout", "landmarks", "ocio", "log")


class Job(BaseModel):
    """Everything that `run` or `render` needs to know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: Literal[1] = 1
    plate: str = Field(min_length=1)
    output: str = Field(min_length=1)
    stills: bool = False  # the plate is a folder of unrelated pictures, each a shot of its own
    tracks: str | None = None  # render from this file; left out: analyse first
    frames: str | None = None
    age: str | float | dict[int, str | float] | None = None
    ages: list[float] | None = None
    source_age: float | Literal["auto"] = "auto"
    model: str = "reage-1"
    mode: Literal["change", "replace"] = "change"
    strength: float = Field(default=1.0, ge=0.0, le=2.0)
    tone: float = Field(default=1.0, ge=0.0, le=4.0)
    detail: float = Field(default=1.0, ge=0.0, le=4.0)
    region: dict[str, float] = {}
    face: str = "all"
    smooth: int = Field(default=2, ge=0, le=8)
    holdout: str | None = None
    landmarks: str | None = None
    exemplar: str | None = None
    matte: MatteShape | None = None  # left out: the model's own
    colorspace: str | None = None
    ocio: str | None = None
    view: str | None = None
    layers: bool = False
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$")
    precision: Literal["auto", "fp32", "fp16"] = "auto"
    batch: int = Field(default=1, ge=1, le=64)
    on_missing: Literal["stop", "skip"] = "stop"
    on_error: Literal["stop", "skip", "copy"] = "stop"
    overwrite: bool = False
    dry_run: bool = False
    progress: Literal["auto", "bar", "plain", "json", "openjd"] = "auto"
    log: str | None = None
    compression: str | None = None
    first_frame: int = 1

    @field_validator("frames", mode="before")
    @classmethod
    def _range(cls, value: Any) -> Any:
        """A lone frame may be written as a number; every range must parse."""
        if value is None:
            return None
        text = str(value)
        parse_range(text)
        return text

    @field_validator("source_age")
    @classmethod
    def _plausible_age(cls, value: float | Literal["auto"]) -> float | Literal["auto"]:
        if value != "auto":
            parse_curve(value, "--source-age")
        return value

    @field_validator("region")
    @classmethod
    def _known_regions(cls, value: dict[str, float]) -> dict[str, float]:
        for name, gain in value.items():
            if name not in REGIONS:
                raise ValueError(f"no region '{name}'; there are {', '.join(REGIONS)}")
            if not 0.0 <= gain <= 4.0:
                raise ValueError(f"{name}={gain}: a gain is from 0 to 4")
        return value

    @field_validator("face")
    @classmethod
    def _known_faces(cls, value: str) -> str:
        if value not in ("all", "largest"):
            for word in value.split(","):
                if not word.strip().isdigit():
                    raise ValueError(f"'{word}' is not a face id; use largest, all, or ids such as 1,3")
        return value

    @model_validator(mode="after")
    def _stills_are_whole_shots(self) -> Job:
        for name in ("frames", "tracks", "holdout"):
            if self.stills and getattr(self, name) is not None:
                raise ValueError(f"stills: each picture is a shot of its own, so {name} cannot be given")
        return self

    @model_validator(mode="after")
    def _ages_fit(self) -> Job:
        if (self.age is None) == (self.ages is None):
            raise ValueError("give either age or ages")
        if self.age == {} or self.ages == []:
            raise ValueError("give at least one age")
        self.target_ages()
        if self.ages is not None:
            for value in self.ages:
                parse_curve(value, "--ages")
            if len(self.ages) > 1 and "{age}" not in self.output:
                raise ValueError("several ages need {age} in the output name")
            if len({f"{age:g}" for age in self.ages}) < len(self.ages):
                raise ValueError("two of the ages are the same, and would be one output")
        return self

    def target_ages(self) -> list[Ages]:
        """One entry per output: a single one for `age`, one for each of `ages`."""
        if self.ages is not None:
            return [parse_ages([f"{value:g}"]) for value in self.ages]
        if isinstance(self.age, dict):
            return [parse_ages([f"{face}={curve}" for face, curve in self.age.items()])]
        return [parse_ages(_split_faces(str(self.age)))]

    @property
    def look_choices(self) -> tuple[str | None, str | None]:
        """What the artist chose that a person's look depends on."""
        return self.exemplar, self.matte

    def region_gains(self) -> tuple[float, ...]:
        """Gains in the order of `REGIONS`."""
        return tuple(self.region.get(name, 1.0) for name in REGIONS)

    @classmethod
    def make(cls, **fields: Any) -> Job:
        """Build a job; every fault is a RequestError of one line.

        Raises:
            RequestError: an option is unknown or its value is wrong.
        """
        try:
            return cls(**fields)
        except ValidationError as error:
            raise RequestError(_first_fault(error)) from error

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Job:
        """Read a job file. Relative paths in it are relative to the file.

        Raises:
            PlateError: the file cannot be read.
            RequestError: it is not a job, or a key is unknown or wrong.
        """
        fields = read_job_fields(Path(path))
        try:
            return cls.make(**fields)
        except RequestError as error:
            raise RequestError(f"{path}: {error}") from error


def read_job_fields(path: Path) -> dict[str, Any]:
    """The mapping in a job file, with paths made absolute; values are not checked yet.

    Raises:
        PlateError: the file cannot be read.
        RequestError: it is not a YAML mapping with `version: 1`, is larger than 1 MiB, uses aliases, or nests
            deeply.
    """
    try:
        if path.stat().st_size > LARGEST_JOB_FILE:
            raise RequestError(f"{path}: larger than 1 MiB; that is not a job file")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlateError(f"{path}: cannot read the job file") from error
    try:
        _refuse_bombs(path, text)
        fields = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise RequestError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(fields, dict) or not all(isinstance(key, str) for key in fields):
        raise RequestError(f"{path}: a job file is a mapping such as 'plate: a.%04d.exr'")
    if fields.get("version") != 1:
        raise RequestError(f"{path}: 'version: 1' is missing; this reage reads version 1")
    return {key: _absolute(key, value, path.parent.absolute()) for key, value in fields.items()}


def _refuse_bombs(path: Path, text: str) -> None:
    """Aliases let a few lines grow to gigabytes, and the parser takes hours over a thousand brackets."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise RequestError(f"{path}: YAML aliases (*name) are not allowed in a job file")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST_JOB_FILE:
            raise RequestError(f"{path}: lists within lists within lists; that is not a job file")


def _absolute(key: str, value: Any, folder: Path) -> Any:
    if key not in _PATHS or not isinstance(value, str) or not value or value.startswith("ocio://"):
        return value
    return str(folder / value)


def _split_faces(text: str) -> list[str]:
    """`1=70;2=1001:30,1050:40` as one text holds several faces, split at semicolons."""
    return [word for word in text.split(";") if word.strip()] or [text]


def _first_fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    name = ".".join(str(step) for step in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{name}: no such option; see 'reage run --help'"
    message = fault["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def dump_job(job: Job) -> Mapping[str, Any]:
    """The job with every default filled in, for `job check` and logs."""
    return job.model_dump(mode="json")
