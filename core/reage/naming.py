"""Where pictures go that keep their names: into a folder, or under a pattern that holds `{name}`.

`{name}` is a picture's file name without its extension. A pattern without an extension takes the picture's own.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from reage.errors import RequestError


def is_folder(out: str) -> bool:
    """Whether an output names a folder: one that is there, a name that ends in a slash, or one without extension."""
    path = Path(out)
    return "{name}" not in out and (out.endswith(("/", os.sep)) or path.is_dir() or not path.suffix)


def named(out: str, source: Path, age: float | None = None) -> Path:
    """The output of one picture.

    Args:
        out: a folder, a pattern, or one file's name, as the user wrote it.
        source: the picture.
        age: takes the place of `{age}`; None leaves `{age}` out of the name.
    """
    folder, file = _template(out, source)
    return Path(*[_filled(part, age, source.stem) for part in (*folder.parts, file)])


def named_all(out: str, sources: Sequence[Path], age: float | None = None) -> list[Path]:
    """The outputs of some pictures.

    Raises:
        RequestError: two of them would be one file.
    """
    taken: dict[str, Path] = {}
    paths = [named(out, source, age) for source in sources]
    for source, path in zip(sources, paths, strict=True):
        other = taken.setdefault(str(path).casefold(), source)  # some file systems know no case
        if other is not source:
            raise RequestError(
                f"output {out!r}: '{other}' and '{source}' would both be written to '{path}'; "
                "name a folder, or a pattern that holds {name}"
            )
    return paths


def without_age(out: str) -> str:
    """A name without its `{age}`: for what is kept once for all ages."""
    return str(Path(*[_without_age(part) for part in Path(out).parts]))


def _template(out: str, source: Path) -> tuple[Path, str]:
    """Folder and file name with their tokens."""
    if is_folder(out):
        return Path(out), "{name}" + source.suffix
    path = Path(out)
    return path.parent, path.name if path.suffix else path.name + source.suffix


def _filled(part: str, age: float | None, name: str) -> str:
    """One component; `{name}` comes last, as a picture's own name may hold anything."""
    part = _without_age(part) if age is None else part.replace("{age}", f"{age:g}")
    return part.replace("{name}", name)


def _without_age(part: str) -> str:
    return part.replace("{age}", "").rstrip("._-") if "{age}" in part else part
