"""SAM, Fast-AgingGAN and FRAN the way Reage runs them, against the way they were published; random weights, full width.

    python benchmarks/published.py            needs 12 GB of memory; three minutes on two cores
    python benchmarks/published.py sam        or unets: these rows alone

SAM's predict script makes the model and reads its checkpoint for every call, and runs both encoders and the generator
for every frame and age. face_reaging steps nine windows of 512 over a crop of 1024. Times are wall-clock seconds.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from reage.ageing import painted
from reage.agers import load_ager
from reage.agers.base import CodedAger
from reage.nets.fast_aging_gan import FastAgingGan
from reage.nets.fran_unet import FranUNet
from reage.nets.sam import Sam
from reage.store import Store


def seconds(call: Callable[[], Any], times: int = 1) -> float:
    """Of one call."""
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


def best(call: Callable[[int], Any]) -> float:
    """Least seconds of three calls, on other crops each."""
    return min(seconds(lambda k=k: call(k)) for k in (1, 2, 3))


def scaled(net: torch.nn.Module) -> torch.nn.Module:
    """Random weights whose signal neither dies nor blows up much: their values do not matter to the time."""
    for value in net.parameters():
        torch.nn.init.normal_(value, 0.0, 0.02)
    return net.eval()


def sam_file(folder: Path) -> Path:
    """A checkpoint in SAM's official layout, 2.27 GB."""
    net = scaled(Sam())
    state = dict(net.state_dict())
    average = state.pop("latent_avg")
    options = {"output_size": 1024, "input_nc": 4, "start_from_encoded_w_plus": True}
    path = folder / "sam_ffhq_aging.pt"
    torch.save({"state_dict": state, "opts": options, "latent_avg": average}, path)
    return path


def predict(path: Path, crop: torch.Tensor, years: float) -> None:
    """What the published script does for one frame and age."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    net = Sam()
    net.load_state_dict({**checkpoint["state_dict"], "latent_avg": checkpoint["latent_avg"]}, strict=False)
    with torch.inference_mode():
        net.eval()(crop * 2.0 - 1.0, torch.tensor([years]))


def sam(folder: Path) -> None:
    """SAM's rows."""
    path, small = sam_file(folder), torch.rand(1, 3, 256, 256)
    published = seconds(lambda: predict(path, small, 70.0))
    row("SAM, published predict, a frame and age", published)
    row("import of the 2.27 GB checkpoint, once", seconds(lambda: Store().of_file(path)))
    started = time.perf_counter()
    ager = load_ager(str(path), "cpu")
    assert isinstance(ager, CodedAger)
    row("load, once a process", time.perf_counter() - started)
    crops = torch.rand(24, 3, 1024, 1024)
    with torch.inference_mode():
        ager(crops[:1], None, 70.0)
        first = best(lambda k: ager(crops[k : k + 1], None, 70.0))
        second = best(lambda k: ager(crops[k : k + 1], None, 40.0))
        four = best(lambda k: ager(crops[4 * k : 4 * k + 4], None, 60.0)) / 4
        codes = ager.encode(crops[20:21], 40.0, 70.0)
        change = seconds(lambda: painted(ager, codes, crops[20:21], "change"))
    row("SAM in Reage, first age of a frame", first, f"{published / first:.1f} times less")
    row("second age of the same frame", second, f"{second / first:.2f} of the first")
    row("batch of 4, a frame", four, f"{four / first:.2f} of batch 1")
    row("change mode: painting at both ages", change)


def unets(folder: Path) -> None:
    """Rows of the networks that answer at the crop's own size."""
    window = torch.rand(1, 5, 512, 512)
    net = scaled(FranUNet())
    torch.save(net.state_dict(), folder / "best_unet_model.pth")
    with torch.inference_mode():
        net(window)
        nine = seconds(lambda: [net(window) for _ in range(9)])
    row("face_reaging, published: nine windows of 512", nine)
    fran = load_ager(str(folder / "best_unet_model.pth"), "cpu")
    crop, crops = torch.rand(1, 3, 512, 512), torch.rand(4, 3, 512, 512)
    with torch.inference_mode():
        fran(crop, 30.0, 70.0)
        for side in (512, 1024):
            one = torch.rand(1, 3, side, side)
            took = seconds(lambda one=one: fran(one, 30.0, 70.0))
            row(f"face_reaging in Reage, one crop of {side}", took, f"{nine / took:.1f} times less")
        four = seconds(lambda: fran(crops, 30.0, 70.0)) / 4
        row("batch of 4 crops of 512, a frame", four)
    torch.save(scaled(FastAgingGan()).state_dict(), folder / "state_dict.pth", _use_new_zipfile_serialization=False)
    gan = load_ager(str(folder / "state_dict.pth"), "cpu")
    with torch.inference_mode():
        gan(crop, None, 70.0)
        row("Fast-AgingGAN in Reage, one crop of 512", seconds(lambda: gan(crop, None, 70.0)))


def row(name: str, took: float, ratio: str = "") -> None:
    """Print one line of the table."""
    print(f"| {name} | {took:.2f} s | {ratio} |", flush=True)


def main() -> None:
    """Print the table."""
    print(f"torch {torch.__version__} with {torch.get_num_threads()} threads")
    print("| what | figure | ratio |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["REAGE_MODELS"] = str(Path(folder) / "store")
        for rows in (unets, sam):
            if rows.__name__ in (sys.argv[1:] or ("unets", "sam")):
                rows(Path(folder))


if __name__ == "__main__":
    main()
