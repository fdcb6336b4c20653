"""From what a Read node says to what the engine is asked: pure functions, without Nuke and without Qt.

Ages and ranges come in timeline frames and leave in file frames (see `frames`). Results keep the file numbering.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reage_nuke.facts import REGIONS, KnobError, Plan, PlateFacts, Settings
from reage_nuke.frames import (
    FrameMap,
    file_frame,
    format_range,
    frame_map,
    frames_of,
    frames_to_sample,
    parse_range,
    result_frame,
)
from reage_nuke.paths import (
    IMAGES,
    MOVIES,
    extension,
    frame_in,
    frame_token,
    frames_on_disk,
    has_frame,
    has_view,
    inserted,
    is_absolute,
    is_movie,
    normal_path,
    of_view,
    stem_of,
    taken,
    version_up,
)

__all__ = [
    "REGIONS", "KnobError", "Plan", "PlateFacts", "Settings", "animated_knob", "colour_for", "curve_text", "file_frame",
    "format_range", "frame_in", "frames_of", "frames_on_disk", "frames_to_sample", "is_movie", "jobs_for",
    "normal_path", "of_view", "output_for", "parse_range", "plan", "resolved_space", "result_frame", "result_space",
    "taken", "version_up", "warnings_for", "without_family",
]  # fmt: skip

OLDEST = 120.0
TOLERANCE = 1e-6  # years a reduced curve may be off its samples; sampling itself is no better

NATIVE_CONFIG = "ocio://studio-config-v2.2.0_aces-v1.3_ocio-v2.4"
NATIVE = {
    "linear": "Linear Rec.709 (sRGB)",
    "sRGB": "sRGB Encoded Rec.709 (sRGB)",
    "rec709": "Camera Rec.709",
    "Gamma1.8": "Gamma 1.8 Encoded Rec.709",
    "Gamma2.2": "Gamma 2.2 Encoded Rec.709",
    "Gamma2.4": "Gamma 2.4 Encoded Rec.709",
    "BT1886": "Gamma 2.4 Encoded Rec.709",
    "AlexaV3LogC": "ARRI LogC3 (EI800)",
    "ARRILogC4": "ARRI LogC4",
    "Log3G10": "Log3G10 REDWideGamutRGB",
    "SLog3": "S-Log3 S-Gamut3",
    "Blackmagic Film Generation 5": "BMDFilm WideGamut Gen5",
}
"""Nuke's own curves (colour management "Nuke") by the space of NATIVE_CONFIG that has the same curve. Nuke's curves say
nothing of primaries: a camera's curve is taken with the camera's, the others with Rec.709's, as its viewer does."""

_KNOB = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


# ---- ages ------------------------------------------------------------------------------------------------------------


def animated_knob(age: str) -> str | None:
    """`Node.knob` where the age is one; None for numbers and curves."""
    name = age.strip()
    return name if _KNOB.fullmatch(name) else None


def curve_text(samples: Mapping[int, float]) -> str:
    """A curve in the engine's words: the fewest samples that give all of them back, linear between and held outside.

    Args:
        samples: age by frame.

    Returns:
        `1001:30,1050:70`, or a plain number where nothing changes.

    Raises:
        KnobError: no samples, or an age outside 0..120.
    """
    points = [(frame, _years(age)) for frame, age in sorted(samples.items())]
    if not points:
        raise KnobError("the age's curve has no frames; choose a range in the panel")
    keys = [points[0]]
    while keys[-1] != points[-1]:
        keys.append(points[_farthest(points, points.index(keys[-1]))])
    while len(keys) > 1 and keys[-1][1] == keys[-2][1]:
        keys.pop()
    while len(keys) > 1 and keys[0][1] == keys[1][1]:
        keys.pop(0)
    if len(keys) == 1:
        return _number(keys[0][1])
    return ",".join(f"{frame}:{_number(age)}" for frame, age in keys)


def _farthest(points: Sequence[tuple[int, float]], start: int) -> int:
    """The last point that a straight line from `start` reaches within the tolerance of all in between."""
    frame, age = points[start]
    least, most = -math.inf, math.inf
    for index in range(start + 1, len(points)):
        width, rise = points[index][0] - frame, points[index][1] - age
        if not least <= rise / width <= most:
            return index - 1
        least, most = max(least, (rise - TOLERANCE) / width), min(most, (rise + TOLERANCE) / width)
    return len(points) - 1


def _years(value: str | float) -> float:
    try:
        years = float(value)
    except ValueError:
        years = math.nan
    if not 0.0 <= years <= OLDEST:
        raise KnobError(f"age '{value}' is not one of 0 to 120 years; write 70, 20,40,60 or 1001:30,1050:70")
    return years


def _number(value: float) -> str:
    return f"{value:.10g}"


def _age_options(
    plate: PlateFacts, settings: Settings, curve: Mapping[int, float] | None, current_frame: int
) -> dict[str, Any]:
    """`age` or `ages` of the job; keys of curves become file frames."""
    text, mapping = settings.age.strip(), frame_map(plate)
    name = animated_knob(text)
    if name is not None:
        if not curve:
            raise KnobError(f"age '{name}': the knob could not be read over the range; choose another, or type an age")
        if mapping.scale == 0:
            return {"age": _number(_years(curve.get(current_frame, next(iter(curve.values())))))}
        return {"age": curve_text({mapping.file(frame): age for frame, age in curve.items()})}
    if "=" in text:
        return {"age": _by_face(text, mapping)}
    if "," in text and ":" not in text:
        ages = [_years(word) for word in text.split(",") if word.strip()] or [_years(text)]
        if len({f"{age:g}" for age in ages}) < len(ages):
            raise KnobError(f"age '{text}': two of the ages are the same, and would be one output; keep one")
        return {"ages": ages} if len(ages) > 1 else {"age": _number(ages[0])}
    return {"age": _keys(text, mapping)}


def _by_face(text: str, mapping: FrameMap) -> dict[str, str]:
    ages: dict[str, str] = {}
    for word in filter(str.strip, text.split(";")):
        face, _, age = word.partition("=")
        number = face.strip()
        if not re.fullmatch("[0-9]+", number) or str(int(number)) in ages:
            raise KnobError(f"age '{text}': write one age for each face's number, such as 1=70;2=30")
        ages[str(int(number))] = _keys(age, mapping)
    return ages


def _keys(text: str, mapping: FrameMap) -> str:
    """An age, or `frame:age,…` with timeline frames, in file frames."""
    if ":" not in text:
        return _number(_years(text.strip()))
    keys: dict[int, float] = {}
    for word in text.split(","):
        frame_text, _, age = word.partition(":")
        if not re.fullmatch(r"\s*-?\d+\s*", frame_text):
            raise KnobError(f"age '{text}': '{word.strip()}' is not FRAME:AGE with a whole frame")
        frame = mapping.file(int(frame_text))
        if frame in keys:
            raise KnobError(f"age '{text}': two ages at one frame of the plate; keep one")
        keys[frame] = _years(age.strip())
    return ",".join(f"{frame}:{_number(age)}" for frame, age in sorted(keys.items()))


# ---- outputs ---------------------------------------------------------------------------------------------------------


def output_for(plate: PlateFacts, settings: Settings, existing: Callable[[str], bool] = taken) -> str:
    """The output pattern; it holds {age} where several ages are made, and %V where there are several views.

    Raises:
        KnobError: there is no folder to put it in, or it would not hold what is asked.
    """
    wanted = settings.output.strip() or "reage/{plate}/v001/{plate}_reage_v001." + frame_token(plate.file) + ".exr"
    path = normal_path(wanted.replace("{plate}", _plate_name(plate)), plate.folder)
    if not is_absolute(path):
        raise KnobError("the script is not saved, so a relative output has no place; save it, or type a full path")
    if path.endswith("/") or not extension(path):
        path += (_plate_name(plate) if path.endswith("/") else "") + ".exr"
    if extension(path) not in IMAGES | MOVIES:
        raise KnobError(f"output '{path}': reage writes no {extension(path)}; let it end in .exr")
    if settings.layers and extension(path) != ".exr":
        raise KnobError(f"output '{path}': layers need EXR; let it end in .exr, or switch layers off")
    if not is_movie(path) and not has_frame(path):
        stem, dot, suffix = path.rpartition(".")
        path = f"{stem}.{frame_token(plate.file)}{dot}{suffix}"
    if plate.views and not has_view(path):
        path = inserted(path, "_%V")
    if _several(settings.age) and "{age}" not in path:
        path = inserted(path, "_{age}")
    path = version_up(path, existing) if settings.version_up else path
    if "[" in path:
        raise KnobError(f"output '{path}': Nuke would compute what is in brackets; type a plain path")
    if path in (plate.file, plate.proxy, *plate.views.values()):
        raise KnobError(f"output '{path}' is the plate itself; choose another")
    return path


def _plate_name(plate: PlateFacts) -> str:
    """What the plate's results are called after."""
    return stem_of(plate.file) or plate.node.replace(".", "_")


def _several(age: str) -> bool:
    """Whether `ages` is meant, as `_age_options` reads it."""
    return not set(":=") & set(age) and sum(bool(word.strip()) for word in age.split(",")) > 1


# ---- colour ----------------------------------------------------------------------------------------------------------


def resolved_space(value: str, path: str, defaults: Mapping[str, str]) -> str:
    """The space that a `colorspace` knob means.

    Args:
        value: of the knob; `default` and `default (sRGB)` are both seen.
        path: the plate, whose kind chooses the default.
        defaults: the script's `floatLut`, `logLut`, `int16Lut` and `int8Lut`, those that are there.

    Returns:
        A name; empty where Nuke does not say.
    """
    named = re.fullmatch(r"default \((.+)\)", value.strip())
    if named:
        return named[1]
    if value.strip() != "default":
        return value.strip()
    kind = {".exr": "floatLut", ".dpx": "logLut", ".tif": "int16Lut", ".tiff": "int16Lut"}.get(
        extension(path), "int8Lut"
    )
    return defaults.get(kind, "")


def colour_for(plate: PlateFacts, settings: Settings, ocio: str | None) -> tuple[str | None, str | None]:
    """`colorspace` and `ocio` of the job; None leaves the choice to the engine.

    A raw EXR holds the script's working space. Other raw plates are encoded in a way that only the artist knows.

    Raises:
        KnobError: the plate's colour has to be named.
    """
    config = ocio if plate.managed else ocio or NATIVE_CONFIG
    if settings.colorspace:
        return NATIVE.get(settings.colorspace, settings.colorspace) if config == NATIVE_CONFIG else (
            settings.colorspace
        ), config
    if plate.raw and extension(plate.file) != ".exr":
        raise KnobError(f"{plate.node} is raw, so its colour is not known; name its colour space in the panel")
    name = (plate.working_space or "scene_linear") if plate.raw else plate.colorspace
    if plate.managed:
        if not name and extension(plate.file) == ".dpx":
            raise KnobError(f"{plate.node}: the colour space of a DPX has to be known; name it in the panel")
        return name or None, ocio
    if name in ("", "scene_linear"):
        name = {".exr": "linear", ".dpx": "Cineon"}.get(extension(plate.file), "sRGB")
    if name not in NATIVE:
        raise KnobError(f"{plate.node}: reage has no space for Nuke's '{name}'; name one in the panel, e.g. ACEScct")
    return NATIVE[name], NATIVE_CONFIG


def without_family(space: str) -> str:
    """A space without its family in the config: `ACES/ACEScg` in Nuke's list is `ACEScg`."""
    return re.split(r"(?<! )/(?! )", space)[-1]


def result_space(plate: PlateFacts, values: Sequence[str]) -> tuple[str, bool]:
    """`colorspace` and `raw` for a result's Read. A result is encoded as its plate is.

    Args:
        plate: its facts.
        values: what the `colorspace` knob of the result's Read can be set to.

    Returns:
        A value, empty for the knob's default; and whether the pixels are to be taken as they are.
    """
    if plate.raw:
        return "", True
    value = next((each for each in values if plate.colorspace in (each, without_family(each))), "")
    return value, not value and plate.colorspace in ("scene_linear", plate.working_space) and bool(plate.colorspace)


# ---- the whole -------------------------------------------------------------------------------------------------------


def warnings_for(plate: PlateFacts, settings: Settings) -> list[str]:
    """What the artist should know before a run that is possible."""
    found = []
    if plate.premultiplied and extension(plate.file) not in (".exr", ".tif", ".tiff"):
        found.append(
            f"{plate.node} is marked premultiplied, but reage reads the alpha of {extension(plate.file)} as not "
            "premultiplied; edges of a cut-out may differ, an EXR is safe"
        )
    if plate.proxy:
        found.append(f"{plate.node} has a proxy; the full-size plate is re-aged")
    if not plate.managed and plate.colorspace == "SLog3" and not settings.colorspace:
        found.append(f"{plate.node}: S-Log3 is taken with S-Gamut3; for S-Gamut3.Cine name it in the panel")
    return found


def plan(
    plate: PlateFacts,
    settings: Settings,
    *,
    curve: Mapping[int, float] | None = None,
    current_frame: int = 1,
    ocio: str | None = None,
    existing: Callable[[str], bool] = taken,
) -> Plan:
    """Everything one press of Re-age does for one plate.

    Args:
        plate: from `host.selected_plates`.
        settings: from the panel.
        curve: age by timeline frame at `frames_to_sample`, where the age is an animated knob.
        current_frame: of the timeline.
        ocio: from `host.project_ocio`.
        existing: whether an output is in use; for tests.

    Raises:
        KnobError: it cannot be done; the line says what to change.
    """
    if settings.comp and not settings.layers:
        settings = replace(settings, layers=True)  # the comp is made of them
    _check_plate(plate)
    frames = frames_of(plate, settings, current_frame)
    gone = sorted(set(plate.missing).intersection(frames))
    if gone and settings.on_missing == "stop":
        raise KnobError(
            f"{plate.node}: {len(gone)} of {len(frames)} frames are missing ({format_range(gone)}); "
            "find them, or choose to skip missing frames"
        )
    ages = _age_options(plate, settings, curve, current_frame)
    pattern = output_for(plate, settings, existing)
    space, config = colour_for(plate, settings, ocio)
    common: dict[str, Any] = {"frames": format_range(frames), **ages, **_look_options(settings)}
    common.update({name: value for name, value in (("colorspace", space), ("ocio", config)) if value})
    jobs = [
        {"plate": file, "output": of_view(pattern, view), **common}
        for view, file in (plate.views or {"main": plate.file}).items()
    ]
    ends = {"first": frames[0], "last": frames[-1], "comp": settings.comp, "gains": _gains(settings)}
    results = [
        {"path": pattern.replace("{age}", f"{age:g}"), "age": f"{age:g}", **ends} for age in ages.get("ages", [])
    ] or [{"path": pattern, "age": settings.age.strip(), **ends}]
    return Plan(jobs, results, warnings_for(plate, settings))


def jobs_for(
    plate: PlateFacts,
    settings: Settings,
    *,
    curve: Mapping[int, float] | None = None,
    current_frame: int = 1,
    ocio: str | None = None,
) -> list[dict[str, Any]]:
    """The jobs of `plan` alone: one mapping a view, in the engine's words."""
    return plan(plate, settings, curve=curve, current_frame=current_frame, ocio=ocio).jobs


def _gains(settings: Settings) -> dict[str, float]:
    """The knobs of ReageApply at which its comp is the render: layers are written at strength 1, all gains 1."""
    regions = {name: settings.regions.get(name, 1.0) for name in REGIONS}
    return {"strength": settings.strength, "tone": settings.tone, "detail": settings.detail, **regions}


def _check_plate(plate: PlateFacts) -> None:
    if not plate.file:
        raise KnobError(f"{plate.node} has no file; choose one in the Read")
    if extension(plate.file) not in IMAGES | MOVIES:
        kind = extension(plate.file) or "a file without extension"
        raise KnobError(f"{plate.node}: reage reads no {kind}; write the plate as EXR and select its Read")
    if not is_absolute(plate.file):
        raise KnobError(f"{plate.node}: '{plate.file}' is relative to a script that is not saved; save it first")


def _look_options(settings: Settings) -> dict[str, Any]:
    """The options that are not of the plate; those at the engine's own default are left out."""
    source = settings.source_age.strip() or "auto"
    options: dict[str, Any] = {"model": settings.model}
    if source != "auto":
        options["source_age"] = _years(source)
    region = {name: gain for name, gain in settings.regions.items() if gain != 1.0}
    if region:
        options["region"] = region
    usual = Settings()
    for name in ("mode", "strength", "tone", "detail", "face", "smooth", "device", "precision", "batch", "on_missing",
                 "on_error", "overwrite"):  # fmt: skip
        if getattr(settings, name) != getattr(usual, name):
            options[name] = getattr(settings, name)
    if settings.layers:
        options["layers"] = True
    for name in ("holdout", "landmarks", "exemplar", "matte", "view", "tracks", "compression"):
        if getattr(settings, name).strip():
            options[name] = getattr(settings, name).strip()
    return options
