"""What flows between the panel, the host and the jobs: a plate, the settings, a plan, and the error in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

REGIONS = ("forehead", "eyes", "nose", "cheeks", "mouth", "jaw")


class KnobError(Exception):
    """What the artist has to change: one line, saying where and what to do."""


@dataclass(frozen=True)
class PlateFacts:
    """What the host read off one Read node."""

    node: str  # its full name
    file: str  # pattern such as /a/b.%04d.exr, or a movie or image; the first view's where views differ
    first: int = 1  # file frames, as are last, missing, lowest, highest and shown
    last: int = 1
    before: str = "hold"  # hold, loop, bounce, black
    after: str = "hold"
    frame_mode: str = "expression"  # expression, start at, offset
    frame: str = ""
    colorspace: str = ""  # of the file, "default" resolved; empty where Nuke does not say
    raw: bool = False
    premultiplied: bool = False
    views: dict[str, str] = field(default_factory=dict)  # view → file, where there are several files
    missing: list[int] = field(default_factory=list)  # between first and last
    movie: bool = False
    width: int = 0
    height: int = 0
    pixel_aspect: float = 1.0
    x: int = 0  # place in the node graph
    y: int = 0
    fps: float = 24.0
    proxy: str = ""  # the proxy file; never rendered from
    lowest: int | None = None  # first and last frame on disk, where the Read was trimmed
    highest: int | None = None
    shown: int | None = None  # file frame that Nuke shows at the current frame
    folder: str = ""  # where relative outputs go: the project directory or the script's folder; empty: unsaved
    managed: bool = False  # colour management "OCIO"; otherwise Nuke's own curves
    working_space: str = ""  # of the script, what raw pixels are taken to be in


@dataclass(frozen=True)
class Settings:
    """What the panel says. Saved in scripts, so both older and newer ones must be read."""

    age: str = "70"  # "70", "20,40,60", "1001:30,1050:70", "1=70;2=30" per face, or "Node.knob"
    source_age: str = "auto"  # or years
    model: str = "reage-1"
    mode: str = "change"  # or replace
    strength: float = 1.0
    tone: float = 1.0
    detail: float = 1.0
    regions: dict[str, float] = field(default_factory=dict)
    face: str = "all"  # largest, all, or ids
    smooth: int = 2
    frames_mode: str = "input"  # input, current, custom
    frames: str = ""  # of custom, timeline frames
    handles: int = 0  # more frames on both sides, as far as there are files
    output: str = ""  # empty: beside the script; holds {plate}, {age}, %V where wanted
    version_up: bool = True
    layers: bool = True
    device: str = "auto"
    precision: str = "auto"
    batch: int = 1
    comp: bool = False  # wire ReageApply between plate and result
    holdout: str = ""
    landmarks: str = ""
    exemplar: str = ""
    matte: str = ""  # face, head; empty: as the model does
    colorspace: str = ""  # of the plate; wins over what its Read says
    view: str = ""  # of a multi-view EXR
    tracks: str = ""
    compression: str = ""
    on_missing: str = "stop"  # or skip
    on_error: str = "stop"  # skip, copy
    overwrite: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values, for saving."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: object) -> Settings:
        """Read what `to_json` of any version wrote: unknown keys and values of a wrong kind are passed over."""
        if not isinstance(saved, Mapping):
            return cls()
        usual = cls()
        taken = {each.name: _of_kind(getattr(usual, each.name), saved.get(each.name)) for each in fields(cls)}
        return replace(usual, **{name: value for name, value in taken.items() if value is not None})


@dataclass(frozen=True)
class Plan:
    """What one press of Re-age does for one plate."""

    jobs: list[dict[str, Any]]  # one a view, in the engine's words
    results: list[dict[str, Any]]  # one a Read to be made: path, first, last, age, comp, gains
    warnings: list[str]


def _of_kind(usual: Any, value: Any) -> Any:
    """The value where it is of the kind of the usual one; None otherwise."""
    if isinstance(usual, bool) or isinstance(value, bool):
        return value if isinstance(usual, bool) and isinstance(value, bool) else None
    if isinstance(usual, float):
        return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
    if isinstance(usual, dict):
        if not isinstance(value, Mapping):
            return None
        return {name: float(gain) for name, gain in value.items() if name in REGIONS and _is_number(gain)}
    return value if isinstance(value, type(usual)) else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
