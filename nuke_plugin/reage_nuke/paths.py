"""Paths of plates and outputs, with forward slashes as Nuke writes them: tokens of frame and view, versions."""

from __future__ import annotations

import glob
import os
import posixpath
import re
from collections.abc import Callable

IMAGES = frozenset({".exr", ".dpx", ".tif", ".tiff", ".png", ".jpg", ".jpeg"})
MOVIES = frozenset({".mov", ".mp4", ".mkv", ".gif", ".mxf"})

_TOKEN = re.compile(r"%0?(\d*)d|(#+)")
_VERSION = re.compile(r"(?<![A-Za-z0-9])([vV])(\d+)(?![A-Za-z0-9])")


def normal_path(path: str, folder: str = "") -> str:
    """A path as the engine reads it: forward slashes, `%4d` as `%04d`, relative ones inside `folder`."""
    forward = path.strip().replace("\\", "/")
    joined = posixpath.join(folder.replace("\\", "/"), forward) if folder and not is_absolute(forward) else forward
    return re.sub(r"%(\d+)d", lambda token: f"%0{int(token[1])}d", joined)


def is_absolute(path: str) -> bool:
    """Whether a path with forward slashes starts at a root, of Windows too."""
    return path.startswith("/") or re.match(r"[A-Za-z]:/", path) is not None


def extension(path: str) -> str:
    """The lower-case extension, dot included."""
    return posixpath.splitext(path)[1].lower()


def is_movie(path: str) -> bool:
    """Whether all frames are in one file."""
    return extension(path) in MOVIES


def has_view(path: str) -> bool:
    """Whether a path differs by view: it holds %V or %v."""
    return "%V" in path or "%v" in path


def of_view(path: str, view: str) -> str:
    """A path for one view: %V is its name, %v its first letter."""
    return path.replace("%V", view).replace("%v", view[:1])


def frame_token(path: str) -> str:
    """How the file name says its frame: `%04d`, or four digits where it says none; `#` counts one for one."""
    match = _TOKEN.search(posixpath.basename(path))
    if match is None:
        return "%04d"
    digits = len(match[2] or "") or int(match[1] or 1)
    return f"%0{digits}d" if digits > 1 else "%d"


def frames_on_disk(pattern: str) -> list[int]:
    """The frame numbers of a pattern's files, ascending; none where its folder cannot be listed.

    Padding is strict, as printf's: `pl.99.exr` is not of `pl.%04d.exr`.
    """
    folder, name = posixpath.split(pattern)
    token = _TOKEN.search(name)
    if token is None:
        return []
    head, tail, written = name[: token.start()], name[token.end() :], frame_token(pattern)
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208 — a plain listing is the quickest on a network share
    except OSError:
        return []
    found = []
    for each in names:
        digits = each[len(head) : len(each) - len(tail)]
        if re.fullmatch(r"-?\d+", digits) and each == f"{head}{written % int(digits)}{tail}":
            found.append(int(digits))
    return sorted(found)


def frame_in(path: str, pattern: str) -> int | None:
    """The frame number in a file's name that was made from a pattern; None where there is none."""
    name, wanted = posixpath.basename(path), posixpath.basename(pattern)
    token = _TOKEN.search(wanted)
    if token is None:
        return None
    number = re.fullmatch(re.escape(wanted[: token.start()]) + r"(-?\d+)" + re.escape(wanted[token.end() :]), name)
    return int(number[1]) if number else None


def taken(pattern: str) -> bool:
    """Whether a file of an output pattern is on disk: of any frame, age or view."""
    parts = re.split(r"%0?\d*d|#+|\{age\}|%[Vv]", pattern)
    found = glob.iglob("*".join(glob.escape(part) for part in parts))  # noqa: PTH207 — any folder may hold a wildcard
    return next(found, None) is not None


def version_up(path: str, existing: Callable[[str], bool]) -> str:
    """The path with the lowest version from its own on that is free.

    The version is the last `v001` of the file name; the folder it is in goes along where it says the same. A name
    without one gets `_v001`.

    Args:
        path: may hold a frame token, {age} and %V.
        existing: whether a path is in use.
    """
    head, name = posixpath.split(path)
    above, folder = posixpath.split(head)
    if not _VERSION.search(name):
        name = inserted(name, "_v001")
    letter, digits = _VERSION.findall(name)[-1]
    number = int(digits)
    while True:
        count = f"{letter}{number:0{len(digits)}d}"

        def renumbered(text: str, count: str = count) -> str:
            return _VERSION.sub(lambda each: count if each[0] == letter + digits else each[0], text)

        candidate = posixpath.join(above, renumbered(folder), renumbered(name)) if head else renumbered(name)
        if not existing(candidate):
            return candidate
        number += 1


def inserted(path: str, text: str) -> str:
    """A path with text put right before its frame token, or before its extension."""
    head, slash, name = path.rpartition("/")
    token = _TOKEN.search(name)
    place = token.start() if token else len(posixpath.splitext(name)[0])
    joint = len(name[:place].rstrip("._-"))
    return f"{head}{slash}{name[:joint]}{text}{name[joint:]}" if joint else f"{head}{slash}{text.lstrip('_')}.{name}"


def has_frame(path: str) -> bool:
    """Whether the file name says its frame."""
    return _TOKEN.search(posixpath.basename(path)) is not None


def stem_of(path: str) -> str:
    """The file name without tokens of frame and view, and without extension; empty where nothing is left."""
    name = re.sub(r"[._-]?%[Vv]", "", posixpath.splitext(posixpath.basename(path))[0])
    return re.sub(r"[._-]+$", "", _TOKEN.sub("", name))
