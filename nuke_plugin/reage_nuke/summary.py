"""What the panel says of a plate, and which settings a preview shows: without Qt and without Nuke."""

from __future__ import annotations

from dataclasses import replace

from reage_nuke.facts import PlateFacts, Settings
from reage_nuke.frames import format_range


def of_the_picture(settings: Settings) -> Settings:
    """Settings without those that a preview does not show."""
    usual = Settings()
    return replace(
        settings,
        frames_mode=usual.frames_mode,
        frames=usual.frames,
        handles=usual.handles,
        output=usual.output,
        version_up=usual.version_up,
        layers=usual.layers,
        comp=usual.comp,
        overwrite=usual.overwrite,
        on_missing=usual.on_missing,
    )


def summary(plate: PlateFacts) -> dict[str, str]:
    """What the panel says of a plate."""
    name = plate.file.rsplit("/", 1)[-1]
    frames = f"{plate.first}\u2013{plate.last}" if plate.last != plate.first else f"{plate.first}"
    facts = [f"{plate.node}", f"{frames} ({plate.last - plate.first + 1})"]
    if plate.width:
        facts.append(
            f"{plate.width}\u00d7{plate.height}" + (f" @{plate.pixel_aspect:g}" if plate.pixel_aspect != 1 else "")
        )
    facts.append("raw" if plate.raw else plate.colorspace or "colourspace unknown")
    facts += [", ".join(plate.views)] if plate.views else []
    trouble = f"{plate.node}: frames {format_range(plate.missing)} are missing" if plate.missing else ""
    return {"node": plate.node, "name": name, "path": plate.file, "facts": "  \u00b7  ".join(facts), "trouble": trouble}
