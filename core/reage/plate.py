"""The one door to footage: a plate is opened by its name, whatever it is, and read by frame number.

A plate is a frame pattern, a folder with one sequence in it, a single image, or a movie. An output is a frame pattern,
a movie, or, for one frame, a single image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from reage.errors import PlateError, RequestError
from reage.images import FORMATS, find_beauty, format_of, read_picture
from reage.movies import READ_SUFFIXES, WRITE_SUFFIXES, MovieReader
from reage.records import Beauty, Picture
from reage.sequence import Pattern, find_frames, find_in_folder, missing_frames, numbered


class Plate:
    """Footage by frame number. Threads may read at once."""

    def __init__(
        self, name: str, files: Pattern | Path | MovieReader, frames: list[int], view: str | None = None
    ) -> None:
        """Use `open_plate`.

        Args:
            name: as the user wrote it.
            files: of a sequence, of one image, or the movie.
            frames: ascending, those that are there.
            view: which view of a multi-view EXR is meant; None for the first.
        """
        self.name = name
        self.frames = frames
        self.view = view
        self._files = files

    @property
    def missing(self) -> list[int]:
        """The gaps between the first and the last frame."""
        return missing_frames(self.frames)

    @property
    def is_movie(self) -> bool:
        """Whether all frames are in one file."""
        return isinstance(self._files, MovieReader)

    @property
    def fps(self) -> Fraction | None:
        """Frames a second of a movie; None for files, which have no speed of their own."""
        return self._files.fps if isinstance(self._files, MovieReader) else None

    @property
    def format(self) -> str:
        """Picture.format by the extension; "movie" for a movie."""
        return "movie" if self.is_movie else FORMATS[self.path(self.frames[0]).suffix.lower()]

    def path(self, frame: int) -> Path:
        """The file that a frame is in, or would be in."""
        if isinstance(self._files, Pattern):
            return self._files.path(frame)
        return self._files.path if isinstance(self._files, MovieReader) else self._files

    def read(self, frame: int) -> Picture:
        """A frame's whole content.

        Raises:
            PlateError: it is missing or cannot be read; the message names the frame and its file.
        """
        if not isinstance(self._files, Pattern) and frame not in self.frames:
            raise PlateError(f"{self.name!r} has no frame {frame}; it has {self.frames[0]} to {self.frames[-1]}")
        try:
            return self._files.read(frame) if isinstance(self._files, MovieReader) else read_picture(self.path(frame))
        except PlateError as error:
            raise PlateError(f"frame {frame}: {error}") from error

    def beauty(self, picture: Picture) -> Beauty:
        """Where the colour of the plate's view lies in one of its frames; raises as `images.find_beauty`."""
        return find_beauty(picture, self.view)

    def digest(self, frame: int) -> str:
        """A text that changes with the frame's content: SHA-256 of its file, with the frame's number for a movie.

        Raises:
            PlateError: the file cannot be read.
        """
        path = self.path(frame)
        try:
            status = path.stat()
            digest = _sha256(path.absolute(), status.st_size, status.st_mtime_ns)
        except OSError as error:
            raise PlateError(f"frame {frame}: {str(path)!r} cannot be read: {error.strerror or error}") from error
        return f"{digest}:{frame}" if self.is_movie else digest

    def close(self) -> None:
        """Let a movie's file go."""
        if isinstance(self._files, MovieReader):
            self._files.close()


@lru_cache(maxsize=1 << 16)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Hash of a file, computed once a process for a path, size and time of change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_plate(text: str, first_frame: int = 1, view: str | None = None) -> Plate:
    """Open a plate by its name.

    Args:
        text: a pattern, a folder with one sequence, an image or a movie. A file that is really there under this name
            is that file, even where the name looks like a pattern.
        first_frame: number of a movie's first frame, and of an image whose name does not end in one (`name.1001.exr`).
        view: of a multi-view EXR; left out: the first.

    Raises:
        PlateError: nothing is there, or it cannot be opened.
        RequestError: the name is ambiguous: several frame tokens, or a folder with several sequences.
    """
    path = Path(text)
    try:
        is_file, is_folder = path.is_file(), path.is_dir()
    except (OSError, ValueError) as error:
        raise PlateError(f"plate {text!r} cannot be reached: {error}; check the path") from error
    if is_file and path.suffix.lower() in READ_SUFFIXES:
        movie = MovieReader(path, first_frame)
        return Plate(text, movie, movie.frames, view)
    if is_file:
        _check_extension(text, path)
        found = numbered(path)
        return Plate(text, path, [found[1] if found else first_frame], view)
    pattern = find_in_folder(path) if is_folder else Pattern.parse(text)
    if pattern is None:
        raise PlateError(f"plate {text!r} is not there; name a pattern such as name.%04d.exr, a folder, or a movie")
    _check_extension(text, pattern.path(0))
    frames = find_frames(pattern)
    if not frames:
        raise PlateError(f"plate {text!r}: no frame of it is on disk; check the folder and the padding")
    return Plate(text, pattern, frames, view)


def _check_extension(text: str, path: Path) -> None:
    if path.suffix.lower() not in FORMATS:
        known = ", ".join([*FORMATS, *sorted(READ_SUFFIXES)])
        raise PlateError(f"plate {text!r} is of no known format; it may be {known}")


@dataclass(frozen=True)
class Output:
    """Where frames go: a pattern, a movie, or one file for one frame."""

    name: str  # as the user wrote it
    format: str  # Picture.format, or "movie"
    pattern: Pattern | None
    file: Path | None  # the movie, or the one image; None for a pattern
    keeps_name: bool = False  # one of many pictures: `a.jpg` and `a.png` may both be there

    @property
    def is_movie(self) -> bool:
        """Whether all frames go into one file."""
        return self.format == "movie"

    @property
    def movie(self) -> Path | None:
        """The movie's path; None for images."""
        return self.file if self.is_movie else None

    @property
    def stem(self) -> Path:
        """The path without frame token and extension, on which `.manifest.jsonl` and `.tracks.json` are put.

        The extension stays where pictures keep their names.
        """
        if self.pattern is not None:
            return self.pattern.stem
        return Path(self.name) if self.keeps_name else Path(self.name).with_suffix("")

    def path(self, frame: int) -> Path:
        """The file that a frame goes into."""
        return self.pattern.path(frame) if self.pattern is not None else Path(self.name)


def open_output(text: str, plate: Plate, frames: Sequence[int] | None = None) -> Output:
    """Plan an output; nothing is written.

    Args:
        text: a pattern, a movie (.mov, .mp4, .mkv), or an image where there is one frame only.
        plate: what is rendered.
        frames: those that are rendered; left out: all of the plate.

    Raises:
        RequestError: the extension is not one that can be written, a movie's name holds a frame token, several frames
            go to a name without one, or a folder stands under the name.
    """
    pattern, path = Pattern.parse(text), Path(text)
    count = len(plate.frames if frames is None else frames)
    if path.suffix.lower() in WRITE_SUFFIXES:
        if pattern is not None:
            raise RequestError(f"output {text!r}: a movie is one file; leave the frame token out")
        _refuse_folder(text, path)
        return Output(text, "movie", None, path)
    if path.suffix.lower() not in FORMATS:
        known = ", ".join([*FORMATS, *sorted(WRITE_SUFFIXES)])
        raise RequestError(f"output {text!r}: its extension is not one that can be written; use {known}")
    if pattern is None:
        if count > 1:
            raise RequestError(f"output {text!r} has no frame token for {count} frames; write name.%04d{path.suffix}")
        _refuse_folder(text, path)
        return Output(text, format_of(path), None, path)
    return Output(text, format_of(path), pattern, None)


def _refuse_folder(text: str, path: Path) -> None:
    if path.is_dir():
        raise RequestError(f"output {text!r} is a folder; name a file in it")
