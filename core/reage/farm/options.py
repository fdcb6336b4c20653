"""How a bundle is submitted, beside what it says itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Options of `reage farm submit`; an engine takes those that it knows."""

    workers: int | None = None  # of the local engine; left out: one per GPU
    retries: int = 3  # of the local engine, for a task that was killed
    pool: str | None = None
    group: str | None = None
    priority: int | None = None
    write_only: bool = False  # write what would be submitted, and submit nothing
