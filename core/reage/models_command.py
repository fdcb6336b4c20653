"""`reage models`: what is known, what is installed, and how to get from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from reage.download import Tell, download
from reage.errors import ModelError
from reage.store import EMBEDDED, Known, Precision, Record, Store, known, missing, registry


@click.group()
def models() -> None:
    """Re-ageing models: what is known, what is installed."""


@models.command("list")
def list_models() -> None:
    """List the embedded, the installed and the known models."""
    store = Store()
    embedded = _embedded()
    rows = [(EMBEDDED, "reage", "embedded", "", embedded["sha256"][:12], "that of the crop", embedded["licence"])]
    installed = store.records()
    for record in installed:
        resolution = known(record.family).resolution
        rows.append(
            (
                record.name,
                record.family,
                "installed",
                _size(record.size),
                record.sha256[:12],
                resolution,
                record.licence,
            )
        )
    for entry in registry().values():
        if entry.name not in {record.name for record in installed}:
            rows.append(
                (
                    entry.name,
                    entry.family,
                    "not installed",
                    _size(entry.size),
                    (entry.sha256 or "")[:12],
                    entry.resolution,
                    entry.licence,
                )
            )
    heads = ("NAME", "FAMILY", "STATE", "SIZE", "SHA256", "RESOLUTION", "LICENCE OF THE WEIGHTS")
    for row in _aligned([heads, *rows]):
        click.echo(row)
    click.echo(f"store: {store.folder}")


@models.command()
@click.argument("name")
def info(name: str) -> None:
    """Tell what a lawyer and a technical director need to know of a model."""
    store = Store()
    if name == EMBEDDED:
        _tell(_embedded())
        return
    record = store.find(name)
    entry = known(record.family) if record else registry().get(name)
    if entry is None:
        raise ModelError(missing(name, store).replace("--model ", ""))
    _tell(_published(entry))
    click.echo()
    _tell(_installed(record, store) if record else {"installed": "no", "to install": entry.remedy})


@models.command("import")
@click.argument("source", metavar="FILE|URL")
@click.option("--name", metavar="N", help="Name in the store [that of its family].")
@click.option("--half", is_flag=True, help="Keep kernels in float16: half the size, rounded.")
@click.option("--sha256", metavar="HASH", help="What the file must hash to [that of the registry].")
@click.option("--licence", metavar="TEXT", help="Terms of weights that are not the published ones.")
def import_model(source: str, name: str | None, half: bool, sha256: str | None, licence: str | None) -> None:
    """Install a checkpoint from a FILE or, the only thing that ever downloads, a URL."""
    store = Store()
    precision: Precision = "fp16" if half else "fp32"
    wanted = sha256 or _published_hash(source)
    if "://" not in source:
        if not Path(source).is_file():
            raise ModelError(f"{source}: there is no such file; {_hint(source)}")
        record = store.import_file(Path(source), name, precision, wanted, licence)
    else:
        with _progress() as tell:
            file = download(source, store.folder / "downloads", wanted, tell)
        try:
            record = store.import_file(file, name, precision, wanted, licence)
        finally:
            file.unlink()
            file.parent.rmdir()
    click.echo(f"{record.name}: installed, family {record.family}, {record.precision}, sha256 {record.sha256}")
    if wanted is None:
        click.echo(f"its source has the sha256 {record.source_sha256}; no published one is known to hold it against")
    click.echo(f"licence of the weights: {record.licence}")


@models.command()
@click.argument("name")
def verify(name: str) -> None:
    """Hash an installed model, and hold it against what was installed."""
    if name == EMBEDDED:
        click.echo(f"{name}: whole, sha256 {_embedded()['sha256']}")
        return
    record = Store().verify(name)
    click.echo(f"{name}: whole, sha256 {record.sha256}")


@models.command()
@click.argument("name")
@click.option("--torchscript", required=True, metavar="OUT.pt", help="File to write; a .nk is written beside it.")
def export(name: str, torchscript: str) -> None:
    """Export a U-Net family for Nuke's own Inference node."""
    from reage.export import export as export_model

    for path in export_model(Store(), name, Path(torchscript)):
        click.echo(str(path))


def _embedded() -> dict[str, str]:
    from reage.agers import load_ager

    facts = load_ager(EMBEDDED, "cpu").facts
    return {
        "name": facts.name,
        "family": facts.family,
        "ages": f"source and target age, {facts.ages[0]:g} to {facts.ages[1]:g}",
        "resolution": "that of the crop",
        "sha256": facts.sha256,
        "licence": facts.licence,
        "installed": "embedded in reage",
    }


def _published(entry: Known) -> dict[str, str]:
    return {
        "name": entry.name,
        "family": entry.family,
        "what": entry.title,
        "published file": entry.file + (f", {_size(entry.size)}" if entry.size else ""),
        "published at": entry.page,
        "published sha256": entry.sha256 or "none known",
        "resolution": entry.resolution,
        "ages": entry.ages,
        "licence of the code": f"{entry.code_licence} (the network in reage is written anew)",
        "licence of the weights": entry.weight_licence,
        "excludes": entry.excludes,
        "commercial use": "allowed" if entry.commercial else "not cleared",
    }


def _installed(record: Record, store: Store) -> dict[str, str]:
    return {
        "installed": f"{store.weights(record)}, {_size(record.size)}, {record.precision}",
        "sha256": record.sha256,
        "made from": f"{record.source_file}, {_size(record.source_size)}",
        "its sha256": record.source_sha256,
        "parameters": f"{record.parameters / 1e6:.1f} million in {record.tensors} tensors",
        "licence, as recorded": record.licence,
    }


def _published_hash(source: str) -> str | None:
    """The hash that the registry has for a file of this address."""
    return next((entry.sha256 for entry in registry().values() if source == entry.url), None)


def _hint(source: str) -> str:
    for entry in registry().values():
        if entry.file == Path(source).name:
            return f"it is published at {entry.page}"
    return "check the path; a URL begins with https://"


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar of bytes on standard error, for as long as the block lasts."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("download", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(facts: dict[str, str]) -> None:
    width = max(map(len, facts))
    for name, value in facts.items():
        click.echo(f"{name:<{width}}  {value}")


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def _size(size: int | None) -> str:
    if size is None:
        return ""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
