"""Train a network for a budget of minutes, going on from its checkpoint when started again."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from reage.nets.unet import UNet
from reage.training.critic import Critic

RATE, LEAST_RATE = 2e-3, 1e-5
WARM_UP = 200
"""Steps over which the rate rises."""
TOLD_EVERY, JUDGED_EVERY = 100, 500
"""Steps between lines of the log, and between those that hold the validation."""
SAVED_EVERY = 120.0
"""Seconds between checkpoints."""

Net = TypeVar("Net", bound=UNet)


def fit(
    net: Net,
    loss: Callable[[Net, np.random.Generator], Tensor],
    judge: Callable[[Net], dict[str, float]],
    out: Path,
    minutes: float,
    *,
    rate: float = RATE,
    critic: Critic | None = None,
) -> None:
    """Run until the budget (summed over restarts) is spent; writes `state.pt`, `net.pt` and `log.jsonl`.

    AdamW under a cosine, and an exponential average of the weights, which is what `net.pt` holds.

    Args:
        net: to be trained.
        loss: of one batch that it draws; forwards in bf16 autocast.
        judge: figures on held-out samples, for the log.
        out: folder of the run.
        minutes: of the clock, with the validation.
        rate: at which it learns most.
        critic: that the loss asks, kept in the checkpoint.
    """
    out.mkdir(parents=True, exist_ok=True)
    # torch's stubs know no memory_format alone.
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=1e-4)
    step, spent = 0, 0.0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent = state["step"], state["spent"]
        if critic is not None:
            critic.go_on(state["critic"])
    rng = np.random.default_rng(1000 + step)
    last, saved, total = time.monotonic(), spent, 0.0
    while spent < minutes * 60:
        now_rate = rate * min(1.0, (step + 1) / WARM_UP) * (0.5 + 0.5 * math.cos(math.pi * spent / (minutes * 60)))
        for group in optimiser.param_groups:
            group["lr"] = max(now_rate, LEAST_RATE)
        error = loss(net, rng)
        optimiser.zero_grad(set_to_none=True)
        error.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        _lean(average, net, 1.0 - min(0.999, step / (step + 50)))
        total += float(error.detach())
        if step % TOLD_EVERY == 0:
            figures = judge(average) if step % JUDGED_EVERY == 0 else {}
            line = {"step": step, "minutes": round(spent / 60, 2), "loss": round(total / TOLD_EVERY, 5), **figures}
            total = 0.0
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
        now = time.monotonic()
        spent, last = spent + now - last, now
        if spent - saved > SAVED_EVERY or spent >= minutes * 60:
            saved = spent
            state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            if critic is not None:
                state["critic"] = critic.state()
            _save({**state, "step": step, "spent": spent}, out / "state.pt")
            _save({"widths": list(net.widths), "state_dict": average.state_dict()}, out / "net.pt")


def _lean(average: UNet, net: UNet, share: float) -> None:
    """Move an average towards the weights of now."""
    with torch.no_grad():
        for old, new in zip(average.state_dict().values(), net.state_dict().values(), strict=True):
            old.lerp_(new, share) if old.is_floating_point() else old.copy_(new)


def _save(content: object, file: Path) -> None:
    temporary = file.with_suffix(".tmp")
    torch.save(content, temporary)
    temporary.replace(file)
