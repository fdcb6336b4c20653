"""How the network for tone and younger targets is trained."""

from __future__ import annotations

import csv
import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reage.nets.age_unet import AgeUNet
from reage.training import loop, train_unet
from reage.training.critic import Critic
from reage.training.degrade import patch, reframe
from reage.training.series import read_series

WIDTHS = (4, 4, 4, 4, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three people whose picture grows darker with the years inside a mask; the third has none."""
    series = tmp_path / "series"
    series.mkdir()
    rows = []
    for identity in (1, 2, 17):
        for step, age in enumerate((20.0, 40.0, 60.0)):
            picture = np.full((512, 512, 3), 180 - 40 * step, np.uint8)
            cv2.imwrite(str(series / f"{identity:04d}_{step}.jpg"), picture)
            rows.append((identity, step, step - 1.0, age))
        if identity != 2:
            mask = np.zeros((128, 128), np.uint8)
            mask[32:96, 32:96] = 255
            cv2.imwrite(str(series / f"{identity:04d}.mask.png"), mask)
    with (series / "ages.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("identity", "step", "shift_decades", "apparent_age"))
        writer.writerows(rows)
    return series


def test_a_change_is_learnt_where_the_series_shows_a_head_and_on_an_ellipse_where_it_does_not_tell(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_unet, "COVERED", 0.0)
    told, guessed = (train_unet._mask(one) for one in read_series(folder)[:2])
    assert float(told[0, 160, 160]) == 1.0 and float(told[0, 40, 160]) == 0.0
    assert torch.equal(guessed, train_unet.head_mask(train_unet.STORED))


def test_nothing_changes_where_something_lies_before_the_head(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = train_unet.Pairs(read_series(folder))
    monkeypatch.setattr(train_unet, "COVERED", 0.0)
    _, free, _, _ = pairs.draw(12, np.random.default_rng(4))
    monkeypatch.setattr(train_unet, "COVERED", 1.1)
    pictures, covered, _, _ = pairs.draw(12, np.random.default_rng(4))
    assert float(covered.sum()) < 0.97 * float(free.sum())
    hidden = (covered == 0.0).expand(-1, 3, -1, -1) & (free == 1.0)
    assert torch.equal(pictures[:, 0][hidden], pictures[:, 1][hidden])


@pytest.mark.parametrize("size", [128, 320])
def test_what_lies_before_a_head_is_soft_and_within_the_picture(size: int) -> None:
    one = torch.stack([patch(size, np.random.default_rng(seed)) for seed in range(20)])
    assert one.shape == (20, 1, size, size) and 0.0 <= float(one.min()) <= float(one.max()) <= 1.0
    assert 0.005 < float(one.mean()) < 0.3


def test_a_change_that_follows_the_face_is_steady_and_one_that_stays_in_place_is_not() -> None:
    torch.manual_seed(0)
    picture = torch.nn.functional.interpolate(torch.rand(4, 3, 8, 8), size=(256, 256), mode="bicubic")
    ages = torch.tensor([40.0, 40.0, 40.0, 40.0])

    class Following(AgeUNet):
        def forward(self, picture: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return 0.1 * picture

    class Staying(AgeUNet):
        def forward(self, picture: torch.Tensor, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return torch.linspace(-1.0, 1.0, 256).expand(len(picture), 3, 256, 256)

    def told(net: AgeUNet) -> float:
        change = net(picture, ages, ages)
        return float(train_unet.unsteadiness(net, picture, change, ages, ages, np.random.default_rng(1)))

    assert told(Following(WIDTHS)) < 1e-3 < told(Staying(WIDTHS))


def test_a_small_reframing_moves_little() -> None:
    at = torch.linspace(-1.0, 1.0, 64).expand(8, 1, 64, 64)
    moved = reframe(at, 64, np.random.default_rng(2), 0.0)
    assert all(torch.allclose(one, at[0], atol=0.05) or torch.allclose(one, -at[0], atol=0.05) for one in moved)


@pytest.mark.parametrize("adversarial", [False, True])
def test_training_goes_on_from_its_checkpoint(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adversarial: bool
) -> None:
    for name, value in (("TOLD_EVERY", 1), ("JUDGED_EVERY", 2), ("SAVED_EVERY", 0.0)):
        monkeypatch.setattr(loop, name, value)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=count(0.0, 0.5).__next__))  # a step a half second
    monkeypatch.setattr(train_unet, "SIZE", 64)
    monkeypatch.setattr(train_unet, "STORED", 80)
    torch.manual_seed(0)
    start = tmp_path / "start.safetensors"
    save_file({k: v.half() for k, v in AgeUNet(WIDTHS).state_dict().items() if v.is_floating_point()}, start)
    for minutes in (0.03, 0.1):
        train_unet.train(folder, tmp_path / "run", minutes, 2, WIDTHS, start=start, adversarial=adversarial)
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1)) and len(lines) > 2
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert state["step"] == len(lines) and ("critic" in state) == adversarial


def test_a_critic_learns_to_tell_true_changes_and_asks_for_them() -> None:
    torch.manual_seed(0)
    critic, picture, ages = Critic((8, 8, 8)), torch.rand(4, 3, 64, 64), torch.full((4,), 40.0)
    true = 0.2 * torch.sin(torch.arange(64.0) * 1.5).expand(4, 3, 64, 64)
    painted = torch.zeros_like(true)
    for _ in range(40):
        critic.loss(picture, painted, true, ages, ages)
    with torch.no_grad():
        real, made = (float(critic(picture, change, ages, ages)[-1].mean()) for change in (true, painted))
    assert real > made + 0.5
    asked = 0.5 * true
    asked.requires_grad_(True)
    critic.loss(picture, asked, true, ages, ages).backward()
    assert asked.grad is not None and float((asked.grad * true).sum()) < 0.0  # more of it is better
    assert all(parameter.requires_grad for parameter in critic.parameters())
