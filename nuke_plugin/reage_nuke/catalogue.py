"""Which models there are and under which terms, read from what `reage models list` prints."""

from __future__ import annotations

from dataclasses import dataclass

EMBEDDED = "reage-1"
LANDMARKS = (
    "68-point predictor, trained on iBUG 300-W, which excludes commercial use; another can be named under Advanced"
)
"""Said whatever the model: every run needs landmarks."""

_RESTRICTED = ("non-commercial", "not cleared", "excludes", "cc by-nc")
_HEADS = ("NAME", "FAMILY", "STATE", "SIZE", "SHA256", "RESOLUTION", "LICENCE")


@dataclass(frozen=True)
class Model:
    """One model, in words."""

    name: str
    family: str
    state: str  # embedded, installed, not installed
    licence: str
    resolution: str = ""

    @property
    def usable(self) -> bool:
        """Whether it can be used now."""
        return self.state != "not installed"

    @property
    def restricted(self) -> bool:
        """Whether its terms say something that a production has to read first."""
        return any(word in self.licence.lower() for word in _RESTRICTED)


def fallback() -> list[Model]:
    """What is there before anything was asked: the embedded model."""
    return [Model(EMBEDDED, "reage", "embedded", "its terms are read when the engine answers")]


def parsed(text: str) -> list[Model]:
    """The models of a listing; the columns begin where their headings do.

    Raises:
        ValueError: it is no listing.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    head = next((line for line in lines if line.startswith(_HEADS[0])), "")
    starts = [head.find(name) for name in _HEADS]
    if not head or -1 in starts or starts != sorted(starts):
        raise ValueError("the engine listed no models")
    models = []
    for line in lines[lines.index(head) + 1 :]:
        if line.startswith("store: "):
            break
        ends = [*starts[1:], len(line)]
        cells = {name: line[start:end].strip() for name, start, end in zip(_HEADS, starts, ends)}
        models.append(Model(cells["NAME"], cells["FAMILY"], cells["STATE"], cells["LICENCE"], cells["RESOLUTION"]))
    if not models:
        raise ValueError("the engine listed no models")
    return models
