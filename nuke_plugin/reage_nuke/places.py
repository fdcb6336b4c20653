"""Where things lie beside the output: one analysis for all versions of a plate, bundles beside the script."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"[._-]*(%0?\d*d|#+|@+|\$F\d*|%[Vv])")
_VERSION = re.compile(r"[vV]\d+")


def tracks_file(job: Mapping[str, Any]) -> str:
    """The tracks that all versions of a job's output share: outside the folder of the version, named after the plate.

    An analysis takes longer than a render of a few frames, and a new version alone is no reason to do it again; the
    engine itself checks whether it still fits plate and settings.
    """
    folder = posixpath.dirname(str(job["output"]))
    while _VERSION.fullmatch(posixpath.basename(folder)):
        folder = posixpath.dirname(folder)
    name = posixpath.splitext(posixpath.basename(str(job["plate"])))[0]
    view = f"_{job['view']}" if job.get("view") else ""
    return f"{folder}/{_TOKEN.sub('', name) or 'plate'}{view}.tracks.json"


def run_params(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job that keeps its tracks where later versions find them."""
    return {**job, "tracks": job.get("tracks") or tracks_file(job)}


def preview_params(job: Mapping[str, Any], frame: int) -> dict[str, Any]:
    """A job for one frame to look at: the first of several ages, and the tracks of earlier runs where they still fit.

    The engine compares tracks that lie beside the output with the plate, and takes those that are named as they are; so
    the preview, which writes no output, names one beside them.
    """
    params = {name: value for name, value in job.items() if name not in ("frames", "ages", "overwrite")}
    if job.get("ages"):
        params["age"] = job["ages"][0]
    params["output"] = tracks_file(job).replace(".tracks.json", ".%04d.exr").replace("{age}", "")
    return {**params, "frame": frame}


def bundle_folder(folder: str, output: str) -> str:
    """Where a job bundle goes.

    Args:
        folder: the script's; empty where it was never saved, then the bundle goes beside the output.
        output: the job's output pattern.
    """
    stem = posixpath.basename(output).partition(".")[0]
    name = re.sub(r"[%{}$#@]+", "", stem) or "reage"
    return posixpath.join(folder or posixpath.dirname(output), "reage_farm", name)
