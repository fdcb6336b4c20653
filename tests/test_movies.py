"""Movies: every frame, in any order, in the right colours, and written whole."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from reage import images
from reage.errors import OutputError, PlateError, RequestError
from reage.movies import MovieReader, MovieWriter

EIGHT_BIT_TOLERANCE = 5 / 255  # 8-bit Y'CbCr has 219 steps; 4:2:0 and H.264 at crf 10 take the rest
TEN_BIT_TOLERANCE = 1.5 / 255
SUBSAMPLED_TOLERANCE = 3 / 255  # 4:2:2 mixes the colours of neighbours into each patch's edge
READ_TOLERANCE = 2.5 / 255  # swscale's own rounding
LUMA = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}  # Kr, Kb by H.273's number

Array = np.ndarray[Any, Any]


def chart(height: int = 96, width: int = 128) -> Array:
    """Six saturated patches, white and black above; a grey ramp below: (H, W, 3) float32."""
    patches = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1), (0, 0, 0)]
    picture = np.empty((height, width, 3), np.float32)
    picture[: height // 2] = np.repeat(np.array(patches, np.float32), width // 8, 0)[None]
    picture[height // 2 :] = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    return picture


def inner(picture: Array) -> Array:
    """The pixels of a chart that do not touch an edge: (12, 16, 3)."""
    return picture[4::8, 4::8]


def write(path: Path, frames: list[Array], **options: Any) -> Path:
    height, width = frames[0].shape[:2]
    writer = MovieWriter(path, options.pop("fps", Fraction(24)), width, height, **options)
    for frame in frames:
        writer.write(frame)
    return writer.close()


def values(reader: MovieReader, frame: int) -> Array:
    picture = reader.read(frame)
    return images.colour_planes(picture, images.find_beauty(picture))


def numbered_frames(count: int) -> list[Array]:
    return [np.full((48, 64, 3), at / 255, np.float32) for at in range(count)]


def encode(path: Path, planes: list[Array], pixels: str, codec: str, tags: dict[str, int], count: int = 1) -> Path:
    """A movie of Y'CbCr planes that were computed here, not by a library."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.height, stream.width = planes[0].shape
        stream.pix_fmt = pixels
        for name, tag in tags.items():
            setattr(stream.codec_context, name, tag)
        for at in range(count):
            frame = av.VideoFrame(stream.width, stream.height, pixels)
            for source, plane in zip(planes, frame.planes, strict=True):
                step = source.shape[0] // plane.height, source.shape[1] // plane.width
                line = np.zeros((plane.height, plane.line_size // source.dtype.itemsize), source.dtype)
                line[:, : plane.width] = source[:: step[0], :: step[1]]
                plane.update(line.tobytes())
            frame.pts = at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def ycbcr(rgb: Array, matrix: int, full: bool, bits: int) -> list[Array]:
    """R'G'B' to Y'CbCr by ITU-R BT.601, BT.709 or BT.2020, non-constant luminance."""
    kr, kb = LUMA[matrix]
    r, g, b = np.moveaxis(rgb.astype(np.float64), -1, 0)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    unit = 2 ** (bits - 8)
    scale, chroma, low = (2**bits - 1, 2**bits - 1, 0) if full else (219 * unit, 224 * unit, 16 * unit)
    codes = [y * scale + low, cb * chroma + 128 * unit, cr * chroma + 128 * unit]
    return [np.rint(np.clip(c, 0, 2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16) for c in codes]


# ---- colour ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "codec", "tolerance", "depth"),
    [
        ("a.mp4", None, EIGHT_BIT_TOLERANCE, 8),
        ("a.mkv", None, EIGHT_BIT_TOLERANCE, 8),
        ("a.mov", None, TEN_BIT_TOLERANCE, 16),
        ("a.mov", "prores422", SUBSAMPLED_TOLERANCE, 16),
        ("a.mkv", "ffv1", 1 / 65535, 16),
    ],
)
def test_a_written_movie_reads_back_in_its_colours(
    tmp_path: Path, name: str, codec: str | None, tolerance: float, depth: int
) -> None:
    movie = MovieReader(write(tmp_path / name, [chart()] * 3, codec=codec, fps=24000 / 1001))
    assert (movie.frames, movie.fps) == ([1, 2, 3], Fraction(24000, 1001))
    assert movie.read(2).depth == depth
    assert np.abs(inner(values(movie, 2)) - inner(chart())).max() <= tolerance
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_a_written_movie_says_bt709_and_limited_range(tmp_path: Path, name: str) -> None:
    with av.open(str(write(tmp_path / name, [chart()]))) as movie:
        context: Any = movie.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)


@pytest.mark.parametrize(("matrix", "other"), [(1, 5), (5, 1), (9, 5)])
@pytest.mark.parametrize(("pixels", "bits"), [("yuv444p", 8), ("yuv444p10le", 10)])
@pytest.mark.parametrize("full", [False, True])
def test_matrix_and_range_are_read_from_the_tags(
    tmp_path: Path, matrix: int, other: int, pixels: str, bits: int, full: bool
) -> None:
    tags = {"colorspace": matrix, "color_range": 2 if full else 1}
    path = encode(tmp_path / "a.mkv", ycbcr(chart(), matrix, full, bits), pixels, "ffv1", tags)
    assert np.abs(inner(values(MovieReader(path), 1)) - inner(chart())).max() <= READ_TOLERANCE
    wrong = encode(tmp_path / "b.mkv", ycbcr(chart(), other, full, bits), pixels, "ffv1", tags)
    assert np.abs(inner(values(MovieReader(wrong), 1)) - inner(chart())).max() > 4 * READ_TOLERANCE


@pytest.mark.parametrize(("height", "matrix"), [(96, 5), (720, 1)])
def test_without_a_tag_the_size_tells_the_matrix(tmp_path: Path, height: int, matrix: int) -> None:
    planes = ycbcr(chart(height, 128), matrix, False, 8)
    movie = MovieReader(encode(tmp_path / "a.mkv", planes, "yuv444p", "ffv1", {}))
    assert np.abs(inner(values(movie, 1)) - inner(chart(height, 128))).max() <= READ_TOLERANCE


def test_the_yuvj_formats_are_full_range(tmp_path: Path) -> None:
    planes = ycbcr(chart(), 5, True, 8)
    movie = MovieReader(encode(tmp_path / "a.mkv", planes, "yuvj420p", "mjpeg", {"qmin": 1, "qmax": 1}))
    assert np.abs(inner(values(movie, 1)) - inner(chart())).max() <= EIGHT_BIT_TOLERANCE


def test_a_gif_palette_is_resolved_to_its_colours(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.gif"), "w") as out:
        stream: Any = out.add_stream("gif", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 8, "rgb8"
        for at in range(3):
            codes = np.full((8, 16), (0b11100000, 0b00011100, 0b00000011)[at], np.uint8)
            frame = av.VideoFrame.from_ndarray(codes, format="rgb8")
            frame.pts = at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    movie = MovieReader(tmp_path / "a.gif")
    assert movie.frames == [1, 2, 3]
    found = np.array([values(movie, frame)[4, 8] for frame in (3, 1, 2)])
    assert np.abs(found - np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])).max() < 0.02  # 3 bits reach 252
    assert list(movie.read(2).parts[0].channels) == ["R", "G", "B"]


# ---- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_frames_come_in_any_order_and_from_any_thread(tmp_path: Path, name: str) -> None:
    frames = numbered_frames(150)
    movie = MovieReader(write(tmp_path / name, frames), first_frame=1001)
    assert movie.frames == list(range(1001, 1151))
    order = [1150, 1001, 1075, 1074, 1076, 1002, 1149, *range(1020, 1060), 1003]
    with ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda frame: float(values(movie, frame).mean() * 255), order))
    assert np.abs(np.array(read) - (np.array(order) - 1001)).max() < 1
    movie.close()


def test_frames_of_variable_length_count_once_each(tmp_path: Path) -> None:
    times = [0, 1, 2, 7, 8, 20]
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        for at, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64), at * 20, np.uint8), format="gray")
            frame.pts = time
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    movie = MovieReader(tmp_path / "a.mkv")
    assert movie.frames == [1, 2, 3, 4, 5, 6]
    full_range = [movie.read(frame).parts[0].channels["R"][0, 0] for frame in (6, 4, 1)]
    assert sorted(full_range, reverse=True) == full_range


def test_packets_without_times_are_counted_by_decoding(tmp_path: Path) -> None:
    with av.open(str(write(tmp_path / "a.mp4", numbered_frames(12)))) as source:
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
        head = source.streams.video[0].codec_context.extradata
    assert head is not None
    sps = head[8 : 8 + struct.unpack(">H", head[6:8])[0]]
    pps = head[8 + len(sps) + 3 :][: struct.unpack(">H", head[8 + len(sps) + 1 : 8 + len(sps) + 3])[0]]
    units = [sps, pps]
    for packet in packets:
        at = 0
        while at < len(packet):
            (size,) = struct.unpack(">I", packet[at : at + 4])
            units.append(packet[at + 4 : at + 4 + size])
            at += 4 + size
    (tmp_path / "raw.mts").write_bytes(b"".join(b"\0\0\0\1" + unit for unit in units))
    movie = MovieReader(tmp_path / "raw.mts")
    assert movie.frames == list(range(1, 13))
    assert [round(float(values(movie, frame).mean() * 255)) for frame in (12, 1, 7)] == pytest.approx([11, 0, 6], abs=1)


def test_a_frame_that_is_not_there_is_a_plate_error(tmp_path: Path) -> None:
    movie = MovieReader(write(tmp_path / "a.mp4", numbered_frames(3)))
    for frame in (0, 4):
        with pytest.raises(PlateError, match=f"no frame {frame}"):
            movie.read(frame)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.02, 0.0])
def test_a_movie_that_was_cut_off_is_an_error(tmp_path: Path, name: str, share: float) -> None:
    noise = np.random.default_rng(0).random((25, 48, 64, 3), np.float32)
    path = write(tmp_path / name, list(noise))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PlateError, match=name):
        MovieReader(path)


def damage(path: Path, index: int) -> None:
    """Overwrite a packet with zeros."""
    with av.open(str(path)) as source:
        packets = [bytes(packet) for packet in source.demux(video=0) if packet.size]
    data = path.read_bytes()
    at = data.index(packets[index])
    path.write_bytes(data[:at] + bytes(len(packets[index])) + data[at + len(packets[index]) :])


def test_a_damaged_frame_is_an_error_and_those_beyond_it_are_not(tmp_path: Path) -> None:
    noise = list(np.random.default_rng(0).random((6, 48, 64, 3), np.float32))
    path = write(tmp_path / "a.mov", noise)
    whole = [values(MovieReader(path), frame) for frame in range(1, 7)]
    damage(path, 2)
    movie = MovieReader(path)
    with pytest.raises(PlateError, match="frame 3"):
        movie.read(3)
    assert all(np.array_equal(values(movie, frame), whole[frame - 1]) for frame in (4, 6, 2))


def test_frames_that_build_on_a_damaged_one_are_errors_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [np.roll(chart(), 3 * at, 1) for at in range(12)])
    whole = [values(MovieReader(path), frame) for frame in range(1, 13)]
    damage(path, 1)
    movie, failed = MovieReader(path), 0
    for frame in range(1, 13):
        try:
            assert np.array_equal(values(movie, frame), whole[frame - 1])
        except PlateError:
            failed += 1
    assert failed > 1


@pytest.mark.parametrize("content", [b"", b"hello", b"RIFF" * 100])
def test_a_file_that_is_no_movie_is_a_plate_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mov").write_bytes(content)
    with pytest.raises(PlateError, match=r"a\.mov"):
        MovieReader(tmp_path / "a.mov")


# ---- writing ---------------------------------------------------------------------------------------------------------


def test_a_movie_appears_only_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"before")
    writer = MovieWriter(path, 25, 64, 48)
    writer.write(numbered_frames(1)[0])
    assert path.read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2
    writer.close()
    writer.abort()
    assert len(MovieReader(path).frames) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["a.mp4"]


def test_an_aborted_movie_leaves_nothing(tmp_path: Path) -> None:
    writer = MovieWriter(tmp_path / "a.mov", 25, 64, 48)
    writer.write(numbered_frames(1)[0])
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "codec"), [("a.gif", None), ("a.mxf", None), ("a.mp4", "ffv1"), ("a.mov", "mpeg1")])
def test_what_cannot_be_written_is_a_wrong_request(tmp_path: Path, name: str, codec: str | None) -> None:
    with pytest.raises(RequestError):
        MovieWriter(tmp_path / name, 25, 64, 48, codec=codec)


def test_a_folder_that_is_not_there_and_a_wrong_size_are_output_errors(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        MovieWriter(tmp_path / "nowhere" / "a.mp4", 25, 64, 48)
    writer = MovieWriter(tmp_path / "a.mp4", 25, 64, 48)
    with pytest.raises(OutputError):
        writer.write(np.zeros((64, 48, 3), np.float32))
    writer.abort()


def test_odd_sizes_and_pixel_aspect_are_kept(tmp_path: Path) -> None:
    picture = np.full((47, 63, 3), 0.5, np.float32)
    movie = MovieReader(write(tmp_path / "a.mp4", [picture], pixel_aspect=2.0))
    part = movie.read(1).parts[0]
    assert (part.data_window.width, part.data_window.height, part.pixel_aspect) == (63, 47, 2.0)


def test_a_movie_that_says_it_is_turned_is_read_upright(tmp_path: Path) -> None:
    """The matrix of a phone held upright: the stored top left corner is shown at the top right."""
    picture = np.zeros((48, 64, 3), np.float32)
    picture[:16, :16] = 1.0
    path = write(tmp_path / "a.mp4", [picture])
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 0x40000000), data.index(b"tkhd"))
    data[at : at + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 48 * 65536, 0, 0x40000000)
    path.write_bytes(data)
    upright = values(MovieReader(path), 1)
    assert upright.shape == (64, 48, 3)
    assert upright[4, -4].mean() > 0.9
    assert upright[4, 4].mean() < 0.1
    assert upright[-4, -4].mean() < 0.1


def test_values_beyond_the_range_are_clipped_and_nan_is_black(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 7.0, np.float32)
    picture[:16], picture[16:32] = -3.0, np.nan
    found = values(MovieReader(write(tmp_path / "a.mkv", [picture], codec="ffv1")), 1)
    assert (found[:32] == 0).all()
    assert (found[32:] == 1).all()


def with_sound(path: Path, codec: str, seconds: float) -> Path:
    """A movie of 1 s of picture and some seconds of a tone."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = out.add_stream(codec, rate=48000, layout="mono")
        for at in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), at, np.uint8), format="rgb24")
            frame.pts = at
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        resample = av.AudioResampler(sound.codec_context.format, "mono", 48000, sound.codec_context.frame_size or 1024)
        tone = (np.sin(np.arange(int(48000 * seconds)) / 20) * 20000).astype(np.int16)[None]
        block = av.AudioFrame.from_ndarray(tone, format="s16", layout="mono")
        block.rate, block.pts = 48000, 0
        for piece in [*resample.resample(block), *resample.resample(None)]:
            out.mux(sound.encode(piece))
        out.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(("source", "codec", "target"), [("s.mp4", "aac", "a.mp4"), ("s.mkv", "pcm_s16le", "a.mov")])
def test_sound_is_copied_for_as_long_as_the_picture_lasts(tmp_path: Path, source: str, codec: str, target: str) -> None:
    origin = with_sound(tmp_path / source, codec, 3.0)
    path = write(tmp_path / target, numbered_frames(25), fps=Fraction(25), audio_from=origin)
    with av.open(str(path)) as movie, av.open(str(origin)) as before:
        assert movie.streams.audio[0].codec_context.name == codec
        copied = [bytes(packet) for packet in movie.demux(audio=0) if packet.size]
        given = b"".join(bytes(packet) for packet in before.demux(audio=0) if packet.size)
    assert given.startswith(b"".join(copied)[:1000])
    assert b"".join(copied) in given
    with av.open(str(path)) as movie:
        length = sum(frame.samples for frame in movie.decode(audio=0)) / 48000
    assert 0.9 < length < 1.15


def test_sound_that_the_container_does_not_take_is_left_out(tmp_path: Path) -> None:
    origin = with_sound(tmp_path / "s.mkv", "pcm_s16le", 1.0)
    path = write(tmp_path / "a.mp4", numbered_frames(5), audio_from=origin)
    with av.open(str(path)) as movie:
        assert not movie.streams.audio or movie.streams.audio[0].codec_context.name == "pcm_s16le"
        assert len(movie.streams.video) == 1


# ---- real footage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "count", "fps"),
    [
        ("02_turning_head_profile.gif", 23, Fraction(25, 2)),
        ("03_two_people_head_pose.gif", 56, Fraction(25, 2)),
        ("07_no_faces_bottles.mp4", 1189, Fraction(179, 6)),
        ("11_extra_hand_over_mouth.mkv", 47, Fraction(30)),
        ("12_extra_printed_face_on_shirt.mkv", 77, Fraction(30)),
    ],
)
def test_real_footage_is_counted_and_its_last_frame_read(shared: Path, name: str, count: int, fps: Fraction) -> None:
    movie = MovieReader(shared / "media" / name)
    assert (len(movie.frames), movie.fps) == (count, fps)
    last = values(movie, count)
    assert 0.05 < last.mean() < 0.95
    assert last.std() > 0.05
