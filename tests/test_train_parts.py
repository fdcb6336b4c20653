"""How the network that finds hair and skin is trained."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reage.nets.parts_unet import PartsUNet
from reage.training import label_portraits, loop, train_parts
from reage.training.export_unet import export


def heads(n: int = 34) -> tuple[np.ndarray, np.ndarray]:
    """Red hair above green skin on blue."""
    pictures = np.zeros((n, 256, 256, 3), np.uint8)
    pictures[..., 2] = 200
    parts = np.zeros((n, 2, 128, 128), np.uint8)
    for part, (rows, channel) in enumerate(((slice(40, 100), 0), (slice(100, 220), 1))):
        pictures[:, rows, 60:200] = 0
        pictures[:, rows, 60:200, channel] = 200
        parts[:, part, rows.start // 2 : rows.stop // 2, 30:100] = 255
    return pictures, parts


def test_a_batch_keeps_pictures_and_parts_together() -> None:
    pictures, parts = train_parts.Heads(*heads()).draw(16, np.random.default_rng(3))
    assert pictures.shape == (16, 3, 256, 256) and parts.shape == (16, 2, 256, 256)
    assert float(pictures.min()) >= 0.0 and float(pictures.max()) <= 1.0
    for part, channel in ((0, 0), (1, 1)):
        inside = parts[:, part] > 0.9
        seen = pictures.permute(0, 2, 3, 1)[inside]
        # Casts and grain change the colours, and no more.
        assert float((seen.argmax(1) == channel).float().mean()) > 0.95


def test_what_is_put_in_front_of_a_head_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_parts, "COVERED", 0.0)
    _, free = train_parts.Heads(*heads()).draw(16, np.random.default_rng(5))
    monkeypatch.setattr(train_parts, "COVERED", 1.1)
    _, covered = train_parts.Heads(*heads()).draw(16, np.random.default_rng(5))
    assert float(covered.sum()) < 0.97 * float(free.sum())


def test_training_goes_on_from_its_checkpoint_and_its_weights_can_be_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, parts = heads()
    np.savez(tmp_path / "0000.npz", pics=pictures, probs=parts)
    for name, value in (("TOLD_EVERY", 1), ("JUDGED_EVERY", 2), ("SAVED_EVERY", 0.0)):
        monkeypatch.setattr(loop, name, value)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=count(0.0, 0.5).__next__))  # a step a half second
    torch.manual_seed(0)
    for minutes in (0.03, 0.1):
        train_parts.train(tmp_path, tmp_path / "run", minutes, batch=2, widths=(4, 4, 4, 4))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert {"held_out", "hair", "skin"} <= lines[1].keys()
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["step"] == len(lines) and state["spent"] >= 0.1 * 60
    export(tmp_path / "run" / "net.pt", tmp_path / "parts.safetensors")
    assert (tmp_path / "parts.sha256").read_text().endswith("parts.safetensors\n")


def test_the_network_learns_what_is_told_apart_by_colour() -> None:
    torch.manual_seed(0)
    held = train_parts.Heads(*heads())
    net, rng = PartsUNet((8, 8, 8, 8)), np.random.default_rng(1)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(25):
        seen, parts = held.draw(2, rng)
        loss = train_parts.loss_of(net(seen), parts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:3])


def test_the_reading_of_features_covers_the_generators_levels() -> None:
    held = np.load(label_portraits.PARTS_READING)
    widths = [len(held[f"mu{level}"]) for level in range(len(label_portraits.LEVELS))]
    assert held["W"].shape == (sum(widths), 3)


def test_a_portraits_hair_lies_above_its_skin_and_beside_it_is_neither() -> None:
    from reage.agers.likeness import load_artist
    from reage.nets.portrait import LAYERS

    artist = load_artist(torch.device("cpu"))
    reader = label_portraits.Reader.of(artist.net)
    with torch.inference_mode():
        artist.net(torch.from_numpy(np.repeat(artist.mean[None], LAYERS, 0)))
        rest, hair, skin = reader.parts()
    assert float(hair[8:20, 56:72].mean()) > 0.95  # the crown of the average face
    assert float(skin[64:100, 48:80].mean()) > 0.95
    assert float(rest[:32, :10].mean()) > 0.9
