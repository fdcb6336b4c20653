"""Four ways for a network's answer to return to the plate, compared on the embedded model and the demo's person.

    python benchmarks/returns.py

One frame of the demo plate gets a specular of 6.5 and a patch of -0.02 painted onto the cheek. The face is re-aged to
70 from a crop of 256 (a third of its size: the network sees less than the plate shows), and the answer returns:

    replace   decode(out)                                    the picture the model made
    add       plate + decode(out) - decode(in)               the change in light
    ratio     plate * (decode(out) + e) / (decode(in) + e)   the change as a factor, held to 0.1 .. 10, e = 0.001
    encoded   decode(encode(plate) + out - in)               the change of the encoded value: what Reage does

Grain: standard deviation of the fine band on flat skin, against the plate's own. Edges: rms difference on lashes, brows
and lips from the same method with a crop of 1024, which sees all there is. Everything in linear light, in the matte.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from reage.agers import load_ager
from reage.colour import Colour, decode_srgb, encode_srgb, shoulder
from reage.demo_plate import build_demo_plate
from reage.faces.landmarks import locate, predictor
from reage.faces.look import Look
from reage.faces.shape import Upright, ffhq_quad
from reage.geometry import apply, compose, invert, plate_from_crop, resample, shift
from reage.images import colour_planes, find_beauty, read_picture
from reage.matte import draw

E = 1e-3


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        picture = read_picture(Path(build_demo_plate(Path(folder)) % 1004))
    plate = colour_planes(picture, find_beauty(picture))
    colour = Colour("ACEScg")
    height, width = plate.shape[:2]
    look = Look(colour.display(plate))
    face = locate(look, Upright(width * 0.48, height * 0.5, 0.55 * height, 0.0), predictor())
    quad, points = ffhq_quad(face.landmarks), face.landmarks
    code = colour.code_from_plate(plate, 0.0)
    light = decode_srgb(code)
    cheek = ((points[31] + points[4]) / 2).astype(int)
    light[:, cheek[1] - 6 : cheek[1] + 6, cheek[0] - 6 : cheek[0] + 6] = 6.5
    light[:, cheek[1] + 20 : cheek[1] + 26, cheek[0] - 4 : cheek[0] + 4] = -0.02
    results = {side: returned(light, quad, points, side) for side in (256, 1024)}
    flat = region(points[[2, 3, 4, 31]].mean(0), 26, height, width)
    flat[cheek[1] - 14 : cheek[1] + 34, cheek[0] - 14 : cheek[0] + 14] = False
    edges = np.zeros((height, width), bool)
    for part in (slice(17, 22), slice(22, 27), slice(36, 42), slice(42, 48), slice(48, 60)):
        edges |= region(points[part].mean(0), 0.6 * np.ptp(points[part][:, 0]), height, width)
    print("| method | highlight (6.5) | patch (-0.02) | grain on skin | rms at edges, full crop | there, new below 0 |")
    print("|---|---|---|---|---|---|")
    for name in ("replace", "add", "ratio", "encoded"):
        got, full = results[256][name], results[1024][name]
        top = float(got[1, cheek[1] - 2 : cheek[1] + 2, cheek[0] - 2 : cheek[0] + 2].mean())
        low = float(got[1, cheek[1] + 22 : cheek[1] + 24, cheek[0] - 2 : cheek[0] + 2].mean())
        grain = fine(got)[flat].std() / fine(light)[flat].std()
        error = float(((got - full) ** 2).mean(0).numpy()[edges].mean() ** 0.5)
        sunk = int(((got < 0) & (light >= 0)).any(0).numpy()[edges].sum())
        print(f"| {name} | {top:.2f} | {low:+.3f} | {grain:.2f} | {error:.4f} | {sunk} pixels |")


def returned(light: torch.Tensor, quad: np.ndarray, points: np.ndarray, side: int) -> dict[str, torch.Tensor]:
    """The whole plate in linear light, re-aged from a crop of a given side, by each method."""
    height, width = light.shape[-2:]
    code = encode_srgb(light)
    from_crop = plate_from_crop(quad, side)
    crop = resample(shoulder(code), from_crop, side, side)
    landmarks = apply(invert(from_crop), points)
    aged = load_ager("reage-1", "cpu")(crop[None], 38.0, 70.0, landmarks=torch.from_numpy(landmarks)[None])[0]
    back = compose(invert(from_crop), shift(0.0, 0.0))
    before, after = resample(crop, back, height, width), resample(aged, back, height, width)
    mask = resample(torch.from_numpy(draw(landmarks / side))[None], invert(plate_from_crop(quad, 512)), height, width)
    new, old = decode_srgb(after), decode_srgb(before)
    ways = {
        "replace": new,
        "add": light + new - old,
        "ratio": light * ((new + E) / (old + E)).clamp(0.1, 10.0),
        "encoded": decode_srgb(code + after - before),
    }
    return {name: light + mask * (way - light) for name, way in ways.items()}


def region(centre: np.ndarray, radius: float, height: int, width: int) -> np.ndarray:
    """A disc of plate pixels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.hypot(x - centre[0], y - centre[1]) < radius


def fine(light: torch.Tensor) -> np.ndarray:
    """What is finer than a pixel or two, of green."""
    green = light[1].numpy()
    return green - gaussian_filter(green, 1.2)


if __name__ == "__main__":
    main()
