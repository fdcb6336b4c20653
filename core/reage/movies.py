"""Movies as frames: read by number, in any order, and written whole.

Colour is Y'CbCr in most movies. Matrix and range come from the file's tags; where they are missing, a picture of 720
lines or more is BT.709, a smaller one BT.601, and the range is limited, but for the `yuvj` formats (ITU-R BT.1700 and
BT.709 name the line counts). RGB keeps the transfer curve it has: code / max code in the movie's own encoding.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation
from numpy.typing import NDArray

from reage.atomic import output_error, publish, temporary_path
from reage.errors import PlateError, RequestError
from reage.exr import MAX_BYTES
from reage.records import Part, Picture, Window

READ_SUFFIXES = frozenset({".mov", ".mp4", ".m4v", ".mkv", ".gif", ".mxf", ".avi", ".webm", ".mts", ".m2ts", ".mpg"})
WRITE_SUFFIXES = frozenset({".mov", ".mp4", ".mkv"})
MADE_BY = "made by reage"  # in a movie's metadata

_KEPT_FRAMES = 16  # decoded frames kept, so that readers a little out of step do not seek
_PRIMING = 0.1  # seconds: encoders put up to about so much sound before time 0, for the decoder to warm up on
_PATIENCE = 64  # frames: decoding on is quicker than seeking back to a key frame up to about here
_EXACT = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)
_BT601, _BT709 = 5, 1
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}  # swscale's number by the tag's (H.273)


class Codec(NamedTuple):
    """How a movie is encoded."""

    name: str
    pixels: str
    options: dict[str, str]
    suffixes: tuple[str, ...]


CODECS = {
    "h264": Codec("libx264", "yuv420p", {"crf": "10", "preset": "medium"}, (".mp4", ".mkv", ".mov")),
    "prores4444": Codec("prores_ks", "yuv444p10le", {"profile": "4", "vendor": "apl0"}, (".mov", ".mkv")),
    "prores422": Codec("prores_ks", "yuv422p10le", {"profile": "3", "vendor": "apl0"}, (".mov", ".mkv")),
    "ffv1": Codec("ffv1", "gbrp16le", {"level": "3", "slicecrc": "1", "g": "1"}, (".mkv",)),
}
_DEFAULT_CODECS = {".mp4": "h264", ".mkv": "h264", ".mov": "prores4444"}


class MovieReader:
    """The video of a movie as numbered pictures. Frames of variable length count as one each."""

    def __init__(self, path: Path, first_frame: int = 1) -> None:
        """Open a movie and count its frames from its packets, without decoding where packets say enough.

        Args:
            path: of any container FFmpeg reads.
            first_frame: number of its first frame.

        Raises:
            PlateError: it is missing, damaged, cut off, or holds no video.
        """
        self.path = path
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self._container = self._open()
        try:
            self._times = self._index()
            self._container.close()
            self._restart(None)
        except av.FFmpegError as error:
            raise self._fault(str(error)) from error
        self._numbers = {time: at for at, time in enumerate(self._times)}
        stream = self._container.streams.video[0]
        self.first_frame = first_frame
        self.frames = list(range(first_frame, first_frame + len(self._times)))
        self.fps = Fraction(stream.average_rate or stream.guessed_rate or 24)
        self.pixel_aspect = float(stream.sample_aspect_ratio or 1)

    def read(self, frame: int) -> Picture:
        """Decode one frame; threads may call it.

        Returns:
            Format "movie", one part with R, G, B (and A where the codec has one, straight): uint8 of an 8-bit movie,
            else uint16 of depth 16.

        Raises:
            PlateError: there is no such frame, or it cannot be decoded.
        """
        at = frame - self.first_frame
        if not 0 <= at < len(self._times):
            raise PlateError(f"{str(self.path)!r} has no frame {frame}; it has {self.frames[0]} to {self.frames[-1]}")
        with self._lock:
            try:
                decoded = self._decode(at)
            except av.FFmpegError as error:
                raise self._fault(f"frame {frame}: {error}") from error
        if decoded is None or decoded.is_corrupt:
            raise self._fault(f"frame {frame} cannot be decoded")
        return self._picture(decoded)

    def close(self) -> None:
        """Let the file go; nothing can be read after it."""
        with self._lock:
            self._kept.clear()
            self._container.close()

    # ---- decoding ----------------------------------------------------------------------------------------------------

    def _open(self) -> Any:
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise PlateError(f"{str(self.path)!r} cannot be opened as a movie: {error}; check the file") from error
        if not container.streams.video:
            container.close()
            raise PlateError(f"{str(self.path)!r} holds no video; name a movie or a frame pattern")
        stream = container.streams.video[0]
        if stream.width * stream.height * 8 > MAX_BYTES:
            container.close()
            raise PlateError(f"{str(self.path)!r} claims {stream.width} x {stream.height} pixels; refused")
        return container

    def _index(self) -> list[int]:
        """The time of each frame, ascending, in the stream's ticks."""
        stream = self._container.streams.video[0]
        packets = [packet for packet in self._container.demux(stream) if packet.size]
        if len(packets) < stream.frames or self._ends_early(packets):
            raise self._fault(f"it ends after {len(packets)} frames, before the end that its header names")
        times = [packet.pts for packet in packets if not packet.is_discard]
        if not times or None in times or len(set(times)) < len(times):
            times = self._index_by_decoding()
        if not times:
            raise self._fault("it holds no frame")
        return sorted(times)

    def _ends_early(self, packets: list[Any]) -> bool:
        """Whether a Matroska file, which holds no count of frames, ends before the duration of its video."""
        stream = self._container.streams.video[0]
        told = stream.metadata.get("DURATION")
        times = [packet.pts + (packet.duration or 0) for packet in packets if packet.pts is not None]
        if not told or not times:
            return False
        hours, minutes, seconds = told.split(":")
        length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return bool(max(times) * float(stream.time_base) < length - 2.5 / float(stream.average_rate or 24))

    def _index_by_decoding(self) -> list[int]:
        self._restart(None)
        return [time for time, _ in self._frames]

    def _restart(self, time: int | None) -> None:
        """Go to the key frame before a time; None: to the start, by opening anew, which every format takes."""
        if time is None:
            self._container.close()
            self._container = self._open()
        stream = self._container.streams.video[0]
        if time is None:
            stream.thread_type = "SLICE"  # threads by frame would tell of damage too late to say of which frame
            stream.codec_context.options = {"err_detect": "crccheck+explode"}  # damage is an error, not a guess
        else:
            self._container.seek(time, stream=stream, backward=True)
        self._frames: Iterator[tuple[int, Any]] = _decoded(self._container, stream)
        self._last: int | None = None  # number of the last frame that was decoded since

    def _decode(self, at: int) -> Any:
        """A frame by its place: kept, or further on, or from the key frame before it; None where it does not come."""
        if at in self._kept:
            return self._kept[at]
        position = -1 if self._last is None else self._last
        is_back, is_far = at <= position, at > position + _PATIENCE
        if (is_back or is_far) and at > 0 and self._can_seek():
            self._restart(self._times[at])
            if (found := self._run_to(at)) is not None:
                return found
            self._restart(None)
        elif is_back:
            self._restart(None)
        return self._run_to(at)

    def _can_seek(self) -> bool:
        return self._container.format.name not in ("gif", "image2")

    def _run_to(self, at: int) -> Any:
        """Decode on to a frame, keeping those on the way; None where it was passed or the movie ended."""
        for time, frame in self._frames:
            place = self._numbers.get(time)
            if place is None:
                continue
            self._last = place
            self._kept[place] = frame
            while len(self._kept) > _KEPT_FRAMES:
                self._kept.popitem(last=False)
            if place >= at:
                return frame if place == at else None
        return None

    def _fault(self, reason: str) -> PlateError:
        return PlateError(f"{str(self.path)!r} is damaged or incomplete: {reason}; copy or export it again")

    # ---- pixels ------------------------------------------------------------------------------------------------------

    def _picture(self, frame: Any) -> Picture:
        has_alpha = len(frame.format.components) in (2, 4) and not self._is_gif()
        deep = max(component.bits for component in frame.format.components) > 8
        pixels = _to_rgb(frame, ("rgba64le" if deep else "rgba") if has_alpha else ("rgb48le" if deep else "rgb24"))
        pixels = np.rot90(pixels, round(frame.rotation / 90) % 4)
        planes = {name: np.ascontiguousarray(pixels[:, :, at]) for at, name in enumerate("RGBA"[: pixels.shape[2]])}
        window = Window(0, 0, pixels.shape[1], pixels.shape[0])
        header = {"framesPerSecond": (self.fps.numerator, self.fps.denominator)}
        return Picture("movie", (Part(planes, window, window, self.pixel_aspect, header),), 16 if deep else 8)

    def _is_gif(self) -> bool:
        """A GIF's transparency means "as the frame before", which the decoder has resolved."""
        return bool(self._container.format.name == "gif")


def is_made_by_reage(path: Path) -> bool:
    """Whether a movie says that a MovieWriter made it; False for what is no movie."""
    try:
        with av.open(str(path)) as container:
            told = {key.lower(): value for key, value in container.metadata.items()}
    except (av.FFmpegError, OSError, ValueError):
        return False
    return told.get("comment") == MADE_BY


def _decoded(container: Any, stream: Any) -> Iterator[tuple[int, Any]]:
    """Frames with their times; those that carry none count on from the last.

    A damaged packet gives no frame, and neither do those after it in the file up to the next key frame, which may
    build on it.
    """
    time, is_broken, suspects = -1, False, set()
    for packet in container.demux(stream):
        is_broken = is_broken and not packet.is_keyframe
        try:
            frames = packet.decode()
        except av.FFmpegError:
            frames, is_broken = [], True
        if is_broken:
            suspects.add(packet.pts)
        for frame in frames:
            time = frame.pts if frame.pts is not None else time + 1
            if time not in suspects:
                yield time, frame


def _to_rgb(frame: Any, format: str) -> NDArray[Any]:
    """Full-range RGB by the frame's matrix and range: (H, W, 3 or 4)."""
    matrix = _MATRICES.get(int(frame.colorspace), _BT709 if frame.height >= 720 else _BT601)
    full = frame.format.is_rgb or "yuvj" in frame.format.name or int(frame.color_range) == ColorRange.JPEG
    converted = frame.reformat(
        format=format,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=_EXACT,
        threads=1,
    )
    pixels: NDArray[Any] = converted.to_ndarray()
    return pixels


class MovieWriter:
    """A movie that appears under its name when it is complete. The plate's sound is copied, not encoded anew."""

    def __init__(
        self,
        path: Path,
        fps: Fraction | float,
        width: int,
        height: int,
        audio_from: Path | None = None,
        codec: str | None = None,
        pixel_aspect: float = 1.0,
    ) -> None:
        """Start a movie.

        Args:
            path: .mp4 and .mkv are H.264, .mov is ProRes 4444, where `codec` is left out.
            fps: frames a second, constant.
            width: pixels.
            height: pixels.
            audio_from: a movie whose sound is copied, for as long as the picture lasts, where the container takes
                its codec.
            codec: "h264", "prores4444", "prores422" or "ffv1" (lossless, .mkv alone).
            pixel_aspect: width of a pixel over its height.

        Raises:
            RequestError: the extension or the codec is not known, or they do not go together.
            OutputError: the file cannot be made.
        """
        self.path, self._shape, self._count = path, (height, width, 3), 0
        self._codec = _codec_for(path, codec)
        self._temporary = temporary_path(path)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._sound: Any = None
        try:
            self._out = av.open(str(self._temporary), "w", options=_muxer_options(path))
            self._out.metadata["comment"] = MADE_BY
            self._stream = self._video_stream(width, height, pixel_aspect)
            self._packets: Iterator[Any] = self._copied_packets(audio_from) if audio_from else iter(())
            self._out.start_encoding()
        except (av.FFmpegError, OSError, ValueError) as error:
            self._temporary.unlink(missing_ok=True)
            raise output_error(path, str(error)) from error

    def write(self, rgb: NDArray[np.float32]) -> None:
        """Add a frame.

        Args:
            rgb: (H, W, 3) float32 in the movie's own encoding, clipped to 0..1; NaN is 0.

        Raises:
            OutputError: it cannot be written.
        """
        if rgb.shape != self._shape:
            raise output_error(self.path, f"a frame of shape {rgb.shape} in a movie of {self._shape}")
        codes = np.rint(np.clip(np.nan_to_num(rgb, nan=0.0), 0.0, 1.0) * np.float32(65535)).astype(np.uint16)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(codes), format="rgb48le").reformat(
            format=self._stream.codec_context.pix_fmt,
            src_colorspace=_BT709,
            dst_colorspace=_BT709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self._codec.pixels.startswith("gbr") else ColorRange.MPEG,
            interpolation=_EXACT,
            threads=1,
        )
        frame.pts, frame.time_base = self._count, 1 / self._rate
        self._count += 1
        self._guarded(lambda: self._out.mux(self._stream.encode(frame)))
        self._guarded(lambda: self._copy_sound(self._count / self._rate))

    def close(self) -> Path:
        """Finish, check and name the movie.

        Raises:
            OutputError: it cannot be written, or does not hold the frames that were given.
        """
        self._guarded(lambda: self._out.mux(self._stream.encode(None)))
        self._guarded(self._close_files)
        try:
            check = MovieReader(self._temporary)
            check.close()
            held = len(check.frames)
        except PlateError as error:
            self.abort()
            raise output_error(self.path, str(error)) from error
        if held != self._count:
            self.abort()
            raise output_error(self.path, f"it holds {held} of {self._count} frames")
        self._guarded(lambda: publish(self._temporary, self.path))
        return self.path

    def abort(self) -> None:
        """Give up: nothing is left of the movie. After `close` it does nothing."""
        try:
            self._close_files()
        except (av.FFmpegError, OSError):
            pass  # the file goes anyway
        finally:
            self._temporary.unlink(missing_ok=True)

    def _close_files(self) -> None:
        self._out.close()
        if self._sound is not None:
            self._sound.close()

    def _guarded(self, action: Callable[[], object]) -> None:
        """Foreign errors become ours, and nothing is left behind."""
        try:
            action()
        except (av.FFmpegError, OSError, ValueError) as error:
            self.abort()
            raise output_error(self.path, str(error)) from error

    def _video_stream(self, width: int, height: int, pixel_aspect: float) -> Any:
        stream: Any = self._out.add_stream(self._codec.name, rate=self._rate, options=dict(self._codec.options))
        stream.width, stream.height = width, height
        odd = self._codec.pixels == "yuv420p" and (width % 2 or height % 2)
        stream.pix_fmt = "yuv444p" if odd else self._codec.pixels
        stream.time_base = 1 / self._rate
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.color_primaries = context.color_trc = _BT709
        is_rgb = self._codec.pixels.startswith("gbr")
        context.colorspace = 0 if is_rgb else _BT709
        context.color_range = ColorRange.JPEG if is_rgb else ColorRange.MPEG
        if pixel_aspect != 1.0:
            context.sample_aspect_ratio = Fraction(pixel_aspect).limit_denominator(1000)
        return stream

    # ---- sound -------------------------------------------------------------------------------------------------------

    def _copied_packets(self, source: Path) -> Iterator[Any]:
        """Sound packets of another movie in the order of the file, assigned to new streams."""
        self._sound = av.open(str(source))
        taken = [s for s in self._sound.streams.audio if s.codec_context.name in self._out.supported_codecs]
        copies = {stream.index: self._out.add_stream_from_template(stream) for stream in taken}
        video = self._sound.streams.video
        start = float(video[0].start_time * video[0].time_base) if video and video[0].start_time else 0.0
        return _moved(self._sound.demux(*taken), copies, start) if taken else iter(())

    def _copy_sound(self, until: Fraction) -> None:
        """Add sound packets that start before a time, in seconds from the first frame."""
        for packet in self._packets:
            if packet.pts * packet.time_base >= until:
                self._packets = chain([packet], self._packets)
                return
            self._out.mux(packet)


def _moved(packets: Iterator[Any], copies: dict[int, Any], start: float) -> Iterator[Any]:
    """Packets on their new streams, with time counted from the first frame; what lies well before it is left out."""
    for packet in packets:
        if packet.pts is None or not packet.size:
            continue
        shift = round(start / float(packet.time_base))
        if packet.pts < shift - _PRIMING / float(packet.time_base):
            continue
        target = copies[packet.stream_index]
        packet.pts -= shift
        packet.dts = packet.pts
        packet.stream = target
        yield packet


def _codec_for(path: Path, codec: str | None) -> Codec:
    suffix = path.suffix.lower()
    if suffix not in WRITE_SUFFIXES:
        raise RequestError(f"output {str(path)!r}: movies end in {', '.join(sorted(WRITE_SUFFIXES))}; use one of these")
    found = CODECS.get(codec or _DEFAULT_CODECS[suffix])
    if found is None or suffix not in found.suffixes:
        raise RequestError(f"codec {codec!r} does not go into {suffix}; use one of {', '.join(CODECS)}")
    return found


def _muxer_options(path: Path) -> dict[str, str]:
    return {} if path.suffix.lower() == ".mkv" else {"movflags": "+faststart+write_colr"}
