"""The store of models: which checkpoints are known, which are installed, and how a published file gets there.

A model in the store is a pair, `NAME.safetensors` and `NAME.json`; the latter, the record, is written last. A file that
is named in place of a model is converted once into `by-file/`, under the hash of its content.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import platformdirs
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reage.atomic import whole_file, write_text
from reage.errors import ModelError, OutputError, RequestError
from reage.models import sha256_of

REGISTRY = Path(__file__).with_name("data") / "models.yaml"
CONVERTER = "reage.agers.conversion"
"""Run as a child process: a pickle is never opened in this one."""

EMBEDDED = "reage-1"
BY_FILE = "by-file"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
Precision = Literal["fp32", "fp16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Known(_Strict):
    """A checkpoint of the registry."""

    name: str
    family: str
    title: str
    file: str  # as its authors name it
    size: int | None  # bytes
    sha256: str | None
    url: str | None
    page: str
    resolution: str
    ages: str
    code_licence: str
    weight_licence: str
    excludes: str
    commercial: bool

    @property
    def licence(self) -> str:
        """One line: the terms on the weights and what they exclude."""
        return f"{self.weight_licence}; {self.excludes}"

    @property
    def remedy(self) -> str:
        """How to install it: a sentence that ends in the command."""
        if self.url is not None:
            return f"run 'reage models import {self.url} --name {self.name}'"
        return f"fetch {self.file} from {self.page} and run 'reage models import {self.file} --name {self.name}'"


class Record(_Strict):
    """What the store knows of an installed model."""

    version: Literal[1] = 1
    name: str
    family: str
    precision: Precision
    sha256: str  # of the safetensors file
    size: int = Field(ge=0)
    mtime_ns: int
    tensors: int
    parameters: int
    source_file: str
    source_sha256: str
    source_size: int
    licence: str  # of the weights


@lru_cache(1)
def registry() -> dict[str, Known]:
    """The known checkpoints by name."""
    entries = [Known(**entry) for entry in yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))]
    return {entry.name: entry for entry in entries}


def known(family: str) -> Known:
    """The published checkpoint of a family."""
    return next(entry for entry in registry().values() if entry.family == family)


class Store:
    """A folder of installed models.

    Args:
        folder: where; `$REAGE_MODELS` where it is left out, else the data folder that the platform has for a user.
    """

    def __init__(self, folder: Path | None = None) -> None:
        given = os.environ.get("REAGE_MODELS")
        default = Path(given) if given else platformdirs.user_data_path("reage", appauthor=False) / "models"
        self.folder = folder or default

    def records(self) -> list[Record]:
        """What is installed under a name, sorted.

        Raises:
            ModelError: a record is damaged.
        """
        return list(self._records(self.folder))

    def find(self, name: str) -> Record | None:
        """The record of a name; None where nothing is installed under it.

        Raises:
            ModelError: its record is damaged.
        """
        path = self.folder / f"{name}.json"
        return _read(path) if _NAME.fullmatch(name) and path.is_file() else None

    def weights(self, record: Record) -> Path:
        """The safetensors file of a record, as whole as when it was installed.

        It is hashed where its size or time of change is another than the record's.

        Raises:
            ModelError: it is missing or damaged.
        """
        path = self._weights_path(record)
        try:
            facts = path.stat()
        except OSError as error:
            raise ModelError(f"{path}: cannot be read: {error.strerror}; {self._again(record)}") from error
        if (facts.st_size, facts.st_mtime_ns) != (record.size, record.mtime_ns):
            self._hold(record, path)
        return path

    def verify(self, name: str) -> Record:
        """Hash an installed model.

        Raises:
            ModelError: there is none of this name, or it is damaged.
        """
        record = self.find(name)
        if record is None:
            raise ModelError(missing(name, self))
        self._hold(record, self._weights_path(record))
        return record

    def import_file(
        self,
        source: Path,
        name: str | None = None,
        precision: Precision = "fp32",
        sha256: str | None = None,
        licence: str | None = None,
    ) -> Record:
        """Install a checkpoint as published, under a name.

        Args:
            source: the file; its family is recognised by its keys.
            name: to install it under; that of the registry where it is left out.
            precision: fp16 halves the file; kernels and matrices are rounded.
            sha256: what the file must hash to; that of the registry where it has one for a file of this name.
            licence: of the weights, where they are not the published ones.

        Returns:
            The record; that of an earlier import where the same file is installed under this name already.

        Raises:
            ModelError: the file is damaged, unknown, or not what it should be. Nothing is left in the store.
            RequestError: the name cannot be used.
        """
        digest = sha256_of(source)
        if sha256 is not None and digest != sha256.lower():
            raise ModelError(f"{source}: its sha256 is {digest}, not {sha256}; do not trust it, fetch it again")
        if name is not None:
            _check_name(name)
        for record in self.records():
            same = (record.source_sha256, record.precision) == (digest, precision)
            if same and name in (None, record.name):
                return record
        staged = self._convert(source, digest, precision, licence)
        chosen = name or known(staged.family).name
        if self.find(chosen) is not None:
            self._drop(staged)
            raise RequestError(f"{chosen}: the store has another model of this name; give --name")
        record = staged.model_copy(update={"name": chosen, "licence": licence or staged.licence})
        self._move(staged, record)
        return record

    def of_file(self, source: Path) -> Record:
        """The record of a file that is used in place of a name; it is converted once, and found again by its content.

        Raises:
            ModelError: the file is damaged or unknown. Nothing is left in the store.
        """
        digest = sha256_of(source)
        for record in self._records(self.folder):
            if record.source_sha256 == digest and record.precision == "fp32":
                return record
        path = self.folder / BY_FILE / f"{digest}.json"
        return _read(path) if path.is_file() else self._convert(source, digest, "fp32", None)

    def _convert(self, source: Path, digest: str, precision: Precision, licence: str | None) -> Record:
        """Have a child process convert a file into `by-file/`."""
        weights = self.folder / BY_FILE / f"{digest}.safetensors"
        try:
            weights.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{weights.parent}: cannot make the model store: {error.strerror}; set REAGE_MODELS to a folder"
            ) from error
        with whole_file(weights) as temporary:
            found = _converted_by_child(source, temporary, precision)
        facts = weights.stat()
        published = known(found["family"])
        record = Record(
            name=digest,
            precision=precision,
            sha256=sha256_of(weights),
            size=facts.st_size,
            mtime_ns=facts.st_mtime_ns,
            source_file=source.name,
            source_sha256=digest,
            source_size=source.stat().st_size,
            licence=licence or _licence(published, digest, source.stat().st_size),
            **found,
        )
        write_text(weights.with_suffix(".json"), record.model_dump_json(indent=2) + "\n")
        return record

    def _move(self, staged: Record, record: Record) -> None:
        """Give a converted file its name; the record follows its weights."""
        old, new = self._weights_path(staged), self._weights_path(record)
        old.with_suffix(".json").unlink(missing_ok=True)
        old.replace(new)
        write_text(new.with_suffix(".json"), record.model_dump_json(indent=2) + "\n")

    def _drop(self, staged: Record) -> None:
        path = self._weights_path(staged)
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    def _weights_path(self, record: Record) -> Path:
        folder = self.folder / BY_FILE if record.name == record.source_sha256 else self.folder
        return folder / f"{record.name}.safetensors"

    def _hold(self, record: Record, path: Path) -> None:
        if sha256_of(path) != record.sha256:
            raise ModelError(f"{path}: damaged, its sha256 is not the recorded one; {self._again(record)}")

    def _again(self, record: Record) -> str:
        again = f"'reage models import {record.source_file} --name {record.name}'"
        if record.name == record.source_sha256:
            return f"remove it, it will be made again from {record.source_file}"
        return f"remove it and its .json, and run {again}"

    def _records(self, folder: Path) -> Iterator[Record]:
        for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            yield _read(path)


def missing(name: str, store: Store) -> str:
    """What to say of a name that is not installed: what it is, and the command that mends it."""
    if "://" in name:
        return f"--model {name}: a render never downloads; run 'reage models import {name}' first"
    if name in registry():
        return f"--model {name}: it is not in the store ({store.folder}); {registry()[name].remedy}"
    there = ", ".join([EMBEDDED, *(record.name for record in store.records())])
    return f"--model {name}: there is no such model or file; installed are {there}; see 'reage models list'"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or name == EMBEDDED:
        raise RequestError(f"--name {name}: use letters, digits, '.', '_' and '-', 64 at most, and not {EMBEDDED}")


def _licence(published: Known, digest: str, size: int) -> str:
    """The published terms, and a word where the file is not the published one."""
    same_size = published.size is None or published.size == size
    if digest == published.sha256 or (published.sha256 is None and same_size):
        return published.licence
    return f"unknown: not the file that is published as {published.file}; that one: {published.licence}"


def _read(path: Path) -> Record:
    try:
        return Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, ValidationError) as error:
        raise ModelError(f"{path}: the model's record is damaged; remove it and import the model again") from error


def _converted_by_child(source: Path, target: Path, precision: Precision) -> dict[str, Any]:
    """Run the converter; answers what it found.

    Raises:
        ModelError: it refused the file, or died of it.
        OutputError: it could not write.
    """
    command = [sys.executable, "-P", "-m", CONVERTER, str(source.absolute()), str(target.absolute()), precision]
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    lines = done.stdout.splitlines()
    if done.returncode != 0 or not lines:
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise ModelError(f"{source}: the process that read it died ({why[:200]}); it is damaged or needs more memory")
    found: dict[str, Any] = json.loads(lines[-1])
    if "refused" in found:
        raise OutputError(f"{target.parent}: the converted model cannot be written: {found['refused']}; check the disk")
    if "error" in found:
        raise ModelError(f"{source}: {found['error']}")
    return found
