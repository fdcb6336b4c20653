"""Frame ranges and file patterns: which files a sequence is made of, and that no output is one of them.

Ranges use Nuke's syntax. A pattern is a path whose last component holds exactly one frame token: `%04d`, `%d`, `####`,
`@@@@` (one digit each), `$F4` or `$F`. Tokens in folder names are plain characters. Padding is strict, as printf's:
`pl.99.exr` does not belong to `pl.%04d.exr`, `pl.10000.exr` does.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fileseq.frameset import FrameSet

from reage.errors import OutputError, PlateError, RequestError

IMAGE_SUFFIXES = frozenset({".exr", ".dpx", ".tif", ".tiff", ".png", ".jpg", ".jpeg"})
MAX_FRAMES = 1_000_000  # a range longer than this is a slip of the finger, and would fill the memory

_RANGE = re.compile(r"(-?[0-9]+)(?:-(-?[0-9]+)(?:x([0-9]+))?)?")
_TOKEN = re.compile(r"%(?:0([0-9]+))?d|(#+)|(@+)|\$F([0-9]*)(?![A-Za-z0-9_])")
_NUMBERED = re.compile(r"(?P<prefix>.*?)(?P<frame>(?:(?<![^._])-)?[0-9]+)(?P<suffix>\.[^.]+)", re.DOTALL)
_MAX_PADDING = 32


def parse_range(text: str) -> list[int]:
    """The frames that a range in Nuke's syntax names.

    Items are `7`, `1-10` or `1-10x2`, negative numbers included (`-5--1`), with blanks or commas between them. A
    descending item counts its steps from its first number.

    Args:
        text: such as `1-5,9,20-30x5`.

    Returns:
        Ascending frame numbers, each once.

    Raises:
        RequestError: the text is empty, holds anything else, or names more than a million frames.
    """
    frames: set[int] = set()
    for item in re.split(r"[\s,]+", text.strip(" ,\t\n")):
        found = _RANGE.fullmatch(item)
        if not found or (found[3] is not None and int(found[3]) == 0):
            raise RequestError(f"frame range {text!r}: {item!r} is not a range; write 1-100, 1-100x2 or 1-5,9,20-30x5")
        first = int(found[1])
        last, step = int(found[2] or first), int(found[3] or 1)
        if abs(last - first) // step >= MAX_FRAMES:
            raise RequestError(f"frame range {text!r}: more than {MAX_FRAMES} frames; give a shorter range")
        frames.update(range(first, last + 1, step) if last >= first else range(first, last - 1, -step))
    return sorted(frames)


def format_range(frames: Iterable[int]) -> str:
    """The short text for some frames, such as `1-5,7`; empty for none. `parse_range` reads it back."""
    numbers = sorted(set(frames))
    return str(FrameSet.framesToFrameRange(numbers)) if numbers else ""


@dataclass(frozen=True)
class Pattern:
    """The names of a sequence: everything before and after the frame number, and how the number is padded."""

    folder: Path
    prefix: str  # of the file name, before the number
    suffix: str  # after it, extension included
    padding: int  # digits at least, sign included; 1 for no padding

    @classmethod
    def parse(cls, text: str) -> Pattern | None:
        """Read a pattern; None where the file name holds no frame token.

        Raises:
            RequestError: several frame tokens, a NUL, or a padding beyond 32 digits.
        """
        if "\0" in text:
            raise RequestError(f"path {text!r} holds a NUL character; give another")
        path = Path(text)
        tokens = list(_TOKEN.finditer(path.name))
        if not tokens:
            return None
        if len(tokens) > 1:
            raise RequestError(f"pattern {text!r} holds {len(tokens)} frame tokens; keep exactly one")
        token = tokens[0]
        padding = max(1, len(token[2] or token[3] or ""), int(token[1] or token[4] or 1))
        if padding > _MAX_PADDING:
            raise RequestError(f"pattern {text!r} pads to {padding} digits; use at most {_MAX_PADDING}")
        return cls(path.parent, path.name[: token.start()], path.name[token.end() :], padding)

    def __str__(self) -> str:
        token = "%d" if self.padding == 1 else f"%0{self.padding}d"
        return str(self.folder / f"{self.prefix}{token}{self.suffix}")

    def path(self, frame: int) -> Path:
        """The file of a frame; padded as printf does, so that frame -5 of `%04d` is `-005`."""
        return self.folder / self._name(frame)

    def match(self, name: str) -> int | None:
        """The frame of a file name (without folder); None where it is not one that `path` would give."""
        digits = name[len(self.prefix) : len(name) - len(self.suffix)]
        if not re.fullmatch(r"-?[0-9]+", digits):
            return None
        frame = int(digits)
        return frame if self._name(frame) == name else None

    def _name(self, frame: int) -> str:
        return f"{self.prefix}{frame:0{self.padding}d}{self.suffix}"

    @property
    def stem(self) -> Path:
        """The path without frame token and extension: `/out/sh010` for `/out/sh010.%04d.exr`.

        What joined the token to its neighbours goes with it. Where nothing is left (`%04d.exr`), the folder's name
        stands in.
        """
        return self.folder / (_joined(self.prefix, Path(f"x{self.suffix}").stem[1:]) or self.folder.name or "frames")


def _joined(before: str, after: str) -> str:
    """Both sides of a token without the dots, dashes and underscores that joined them to it."""
    left, right = before.rstrip("._-"), after.lstrip("._-")
    joint = before[len(left) : len(left) + 1] or "_"
    return f"{left}{joint}{right}" if left and right else left or right


def find_frames(pattern: Pattern) -> list[int]:
    """The frames of a pattern that are on disk, ascending.

    Raises:
        PlateError: the folder is missing or cannot be listed.
    """
    frames = (pattern.match(name) for name in _file_names(pattern.folder))
    return sorted(frame for frame in frames if frame is not None)


def missing_frames(frames: Sequence[int]) -> list[int]:
    """The gaps: every number between the first and the last of ascending frames that is not among them."""
    return sorted(set(range(frames[0], frames[-1] + 1)).difference(frames)) if frames else []


def find_in_folder(folder: Path) -> Pattern:
    """The one image sequence that lies in a folder.

    A file belongs to a sequence where digits stand right before its extension. Hidden files, files that are not
    images and images without a number are passed over.

    Raises:
        PlateError: the folder is missing, or there is no sequence in it.
        RequestError: there are several; the message names them.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for name in _file_names(folder):
        found = _NUMBERED.fullmatch(name)
        if found and not name.startswith(".") and found["suffix"].lower() in IMAGE_SUFFIXES:
            groups.setdefault((found["prefix"], found["suffix"]), []).append(found["frame"])
    patterns = [
        Pattern(folder, prefix, suffix, padding)
        for (prefix, suffix), numbers in sorted(groups.items())
        for padding in _paddings(numbers)
    ]
    if not patterns:
        raise PlateError(f"folder {str(folder)!r} holds no image sequence; name a pattern such as name.%04d.exr")
    if len(patterns) > 1:
        names = ", ".join(repr(Path(str(pattern)).name) for pattern in patterns[:5])
        raise RequestError(f"folder {str(folder)!r} holds {len(patterns)} sequences ({names}); name the pattern of one")
    return patterns[0]


def numbered(path: Path) -> tuple[Pattern, int] | None:
    """The pattern and frame of one file named like `name.1001.exr` or `name_1001.exr`; None for any other name.

    Digits that stand on a letter (`sh010_v2.exr`) are part of the name.
    """
    found = _NUMBERED.fullmatch(path.name)
    if not found or found["prefix"][-1:] not in ("", ".", "_"):
        return None
    pattern = Pattern(path.parent, found["prefix"], found["suffix"], len(found["frame"]))
    return pattern, int(found["frame"])


def _file_names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except OSError as error:
        raise PlateError(f"folder {str(folder)!r} cannot be listed: {error.strerror}; check the path") from error


def _paddings(numbers: list[str]) -> list[int]:
    """The paddings that numbers of one name were written with, one for each sequence among them.

    Numbers of a greater width carry on the narrower sequence only where they start right after it (99, 100): a stray
    `pl.99` beside `pl.1001` is another sequence.
    """
    widths: dict[int, list[int]] = {}
    for text in numbers:
        widths.setdefault(len(text), []).append(int(text))
    paddings: list[int] = []
    previous = None
    for width, frames in sorted(widths.items()):
        carries_on = previous is not None and previous + 1 == min(frames) == 10 ** (width - 1)
        if not carries_on:
            paddings.append(width)
        previous = max(frames)
    return paddings


def refuse_plate_overwrite(out_paths: Iterable[Path], plate_paths: Iterable[Path]) -> None:
    """Make sure that no output is an input, however the paths are spelt.

    Compared are the resolved paths (links and `..` followed, case and Unicode form ignored), and device and inode of
    what exists (hard links). The outputs need not exist.

    Raises:
        OutputError: an output is an input; the message names both.
    """
    inputs: dict[object, Path] = {}
    for path in plate_paths:
        inputs.update(dict.fromkeys(_identities(path), path))
    for path in out_paths:
        for identity in _identities(path):
            if identity in inputs:
                raise OutputError(f"output {str(path)!r} is the input {str(inputs[identity])!r}; choose another output")


def _identities(path: Path) -> list[object]:
    resolved = os.path.realpath(path)
    known: list[object] = [unicodedata.normalize("NFC", unicodedata.normalize("NFC", resolved).casefold())]
    try:
        status = Path(resolved).stat()
    except OSError:
        return known
    return [*known, (status.st_dev, status.st_ino)]
