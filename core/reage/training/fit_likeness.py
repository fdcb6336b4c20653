"""Fit the map that reads the styles of somebody alike off a crop, and release it beside the generator.

    python -m reage.training.fit_likeness --samples DIR --direction NPZ --out core/reage/data/likeness.safetensors

Draws portraits of random styles into DIR (100 a file; what is there is kept, and several processes may share the work
by `--part`), reads each as the engine reads a crop, most of them after what film does to a face, and fits a ridge
regression from what was read to the styles. Glasses are a reading too: the share of edges where rims would lie, less
what age explains. Needs the extra `training`; about forty minutes a core for 4,000 portraits.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from reage.agers.likeness import AGED_GAIN, GROUPS, READ_SIDE, readings
from reage.faces.landmarks import locate_aligned, predictor
from reage.models import sha256_of
from reage.nets.portrait import LAYERS, STYLE
from reage.training import export_portrait
from reage.training.draw_series import reading, rims
from reage.training.generator import Generator, Style, installed_data
from reage.training.portraits import Direction

Picture = NDArray[np.uint8]

SEED, CHUNK = 77_000_000, 100
TRUNCATION = (0.55, 0.95)
AGED_SHARE, AGED = 0.6, (-2.0, 4.0)
"""Share of portraits whose face and skin are moved along the age normal, and how many decades."""
MIXED_SHARE, MIXED = 0.3, 0.6
"""Share of portraits whose colour and light lean towards another style, and how far at most."""
FILMED_SHARE = 0.7
RIDGE = 1000.0
HELD_OUT = 6
"""Every sixth portrait is kept for validation."""


def draw_chunk(generator: Generator, mean: Style, normal: Style, number: int, file: Path) -> None:
    """Draw 100 portraits and write them with their styles."""
    rng = np.random.default_rng(SEED + number)
    codes, styles = [], []
    for _ in range(CHUNK):
        offsets = generator.map(rng.standard_normal((2, STYLE))) - mean
        truncation = rng.uniform(*TRUNCATION)
        build = truncation * offsets[0]
        skin = build + AGED_GAIN * normal * rng.uniform(*AGED) * (rng.random() < AGED_SHARE)
        light = build
        if rng.random() < MIXED_SHARE:
            share = rng.uniform(0.0, MIXED)
            light = (1.0 - share) * build + share * truncation * offsets[1]
        style = np.stack([build, skin, light]).astype(np.float16)
        portrait = drawn(generator, mean, style)
        small = cv2.resize(portrait, (READ_SIDE, READ_SIDE), interpolation=cv2.INTER_AREA)
        codes.append(cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].ravel())
        styles.append(style)
    temporary = file.with_suffix(".tmp.npz")
    np.savez(temporary, styles=np.array(styles), lengths=[len(code) for code in codes], data=np.concatenate(codes))
    temporary.replace(file)


def drawn(generator: Generator, mean: Style, style: NDArray[Any]) -> Picture:
    """A portrait of one style a group of layers."""
    stack = np.empty((LAYERS, STYLE), np.float32)
    for layers, one in zip(GROUPS, style.astype(np.float32), strict=True):
        stack[layers] = mean + one
    return generator.picture(stack)


def filmed(picture: Picture, rng: np.random.Generator) -> Picture:
    """Exposure, cast, softness and grain of a small face in a plate."""
    light = np.clip(picture / 255.0, 1e-4, 1.0) ** 2.2 * 2.0 ** rng.normal(0.0, 0.2) * 2.0 ** rng.normal(0.0, 0.06, 3)
    code = (np.clip(light, 0.0, 1.0) ** (1 / 2.2)).astype(np.float32)
    side = int(rng.uniform(70, READ_SIDE))
    code = cv2.resize(code, (side, side), interpolation=cv2.INTER_AREA)
    code = code + rng.normal(0.0, 0.024 * rng.random(), code.shape).astype(np.float32)
    code = cv2.resize(code, (READ_SIDE, READ_SIDE), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(code, 0.0, 1.0) * 255.0 + 0.5, np.uint8)


def read_chunk(file: Path) -> dict[str, NDArray[Any]]:
    """What is read off the portraits of a file: readings, styles and rims; kept beside it."""
    kept = file.with_name(f"{file.stem}.read.npz")
    if not kept.exists():
        held, rng = np.load(file), np.random.default_rng(int(file.stem))
        seen, edges = [], []
        for code in np.split(held["data"], np.cumsum(held["lengths"])[:-1]):
            bgr = cv2.imdecode(code, cv2.IMREAD_COLOR)
            assert bgr is not None
            picture = np.ascontiguousarray(bgr[..., ::-1])
            large = cv2.resize(picture, (512, 512), interpolation=cv2.INTER_CUBIC)
            points = locate_aligned(picture, predictor())
            edges.append(rims(np.asarray(large, np.uint8), 2.0 * points))
            if rng.random() < FILMED_SHARE:
                picture = filmed(picture, rng)
                points = locate_aligned(picture, predictor())
            seen.append(readings(picture, points))
        temporary = kept.with_suffix(".tmp.npz")
        np.savez(temporary, seen=np.array(seen), styles=held["styles"], rims=np.array(edges))
        temporary.replace(kept)
    return dict(np.load(kept))


def fitted(seen: NDArray[Any], styles: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
    """Ridge regression from (N, R) readings to (N, 3, 512) styles, as `likeness.Artist` holds it."""
    middle, spread = seen.mean(0), seen.std(0) + 1e-6
    flat = styles.reshape(len(styles), -1).astype(np.float64)
    inputs, bias = (seen - middle) / spread, flat.mean(0)
    gram = inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1])
    weights = np.linalg.solve(gram, inputs.T @ (flat - bias))
    told = {"middle": middle, "spread": spread, "weights": weights, "bias": bias}
    return {name: np.asarray(value, np.float32) for name, value in told.items()}


def glasses(styles: NDArray[Any], edges: NDArray[np.float64], normal: Style) -> NDArray[np.float32]:
    """(512,) one standard deviation of the reading of rims, free of age."""
    build, skin = styles[:, 0].astype(np.float64), styles[:, 1].astype(np.float64)
    age = skin @ normal / (normal @ normal)
    unexplained = edges - np.polyval(np.polyfit(age, edges, 2), age)
    way = reading(build.astype(np.float32), unexplained)[:-1]
    way -= (way @ normal) / (normal @ normal) * normal
    way /= np.linalg.norm(way)
    return np.asarray(way * (build @ way).std(), np.float32)


def likeness_of(told: dict[str, NDArray[np.float32]], seen: NDArray[Any], styles: NDArray[Any]) -> list[float]:
    """Mean cosine of styles that are read and true ones, by group of layers."""
    guess = ((seen - told["middle"]) / told["spread"] @ told["weights"] + told["bias"]).reshape(styles.shape)
    dots = (guess * styles).sum(-1)
    lengths = np.linalg.norm(guess, axis=-1) * np.linalg.norm(styles.astype(np.float32), axis=-1)
    return [round(float(value), 3) for value in (dots / lengths).mean(0)]


def release(file: Path, facts: dict[str, NDArray[np.float32]]) -> None:
    """Write generator and map, half precision, and the hash beside them."""
    state = {f"net.{name}": tensor.half() for name, tensor in export_portrait.read(installed_data()).items()}
    state |= {name: torch.from_numpy(value).half() for name, value in facts.items() if name == "weights"}
    state |= {name: torch.from_numpy(value) for name, value in facts.items() if name != "weights"}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
    file.with_suffix(".sha256").write_text(f"{sha256_of(file)}  {file.name}\n", encoding="ascii")


def main() -> None:
    """Draw, read, fit and release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, required=True, help="folder of the portraits")
    parser.add_argument("--direction", type=Path, required=True, help="the age normal: space.npz or direction.npz")
    parser.add_argument("--count", type=int, default=4000, help="portraits [4000]")
    parser.add_argument("--part", default="0/1", help="which share of the drawing this process does, as in 0/2")
    parser.add_argument("--out", type=Path, help="file to release; without it, portraits are drawn and read alone")
    given = parser.parse_args()
    given.samples.mkdir(parents=True, exist_ok=True)
    part, parts = (int(text) for text in given.part.split("/"))
    normal, generator, chunks = Direction.load(given.direction).per_decade, Generator(), []
    mean = generator.mean_style()
    for number in range(part, given.count // CHUNK, parts):
        file = given.samples / f"{number:04d}.npz"
        if not file.exists():
            draw_chunk(generator, mean, normal, number, file)
        read_chunk(file)
    if given.out is None:
        return
    for number in range(given.count // CHUNK):
        chunks.append(read_chunk(given.samples / f"{number:04d}.npz"))
    seen, styles, edges = (np.concatenate([chunk[name] for chunk in chunks]) for name in ("seen", "styles", "rims"))
    kept = np.arange(len(seen)) % HELD_OUT > 0
    print("cosine, held out:", likeness_of(fitted(seen[kept], styles[kept]), seen[~kept], styles[~kept]))
    facts = fitted(seen, styles)
    facts |= {"mean": mean, "age": normal, "glasses": glasses(styles, edges, normal)}
    release(given.out, facts)


if __name__ == "__main__":
    main()
