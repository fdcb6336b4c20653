"""Re-ageing models behind one face; see `reage.agers.base.Ager`."""

from __future__ import annotations

from pathlib import Path

import torch

from reage.agers.base import Ager
from reage.device import pick_device, pick_dtype
from reage.errors import ModelError

EMBEDDED = "reage-1"


def load_ager(name: str, device: str | torch.device = "auto", precision: str = "auto") -> Ager:
    """Load a model by its name or file.

    Args:
        name: `reage-1`, the embedded model.
        device: auto, cpu, cuda[:N] or mps.
        precision: auto, fp32 or fp16.

    Raises:
        ModelError: there is no such model, or its files are damaged.
        DeviceError: the device is not there.
    """
    chosen = pick_device(str(device))
    dtype = pick_dtype(precision, chosen)
    if name == EMBEDDED:
        from reage.agers.reage1 import Reage1

        return Reage1(chosen, dtype)
    if Path(name).exists():
        raise ModelError(f"{name}: not a model this version of reage can read; it has {EMBEDDED}")
    raise ModelError(f"--model {name}: there is no such model or file; this version of reage has {EMBEDDED}")
