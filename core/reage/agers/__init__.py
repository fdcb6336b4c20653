"""Re-ageing models behind one face; see `reage.agers.base.Ager`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from reage.agers.base import Ager
from reage.agers.frugal import Make, frugal
from reage.device import pick_device, pick_dtype
from reage.errors import ModelError
from reage.store import EMBEDDED, Store, missing


def load_ager(name: str, device: str | torch.device = "auto", precision: str = "auto") -> Ager:
    """Load a model by its name or file.

    A file in a published format is converted in a child process the first time, and found again in the store by its
    content; no code from it is run.

    Args:
        name: `reage-1`, the embedded model; a name in the model store; or the path of a checkpoint, whose family is
            recognised by its keys.
        device: auto, cpu, cuda[:N] or mps.
        precision: auto, fp32 or fp16.

    Raises:
        ModelError: there is no such model, or its files are damaged, unknown or not trusted.
        DeviceError: the device is not there, or its memory is too small.
    """
    chosen = pick_device(str(device))
    return frugal(_maker(str(name)), chosen, pick_dtype(precision, chosen), may_leave=str(device) == "auto")


def _maker(name: str) -> Make:
    if name == EMBEDDED:
        from reage.agers.reage1 import Reage1

        return Reage1
    from reage.agers.stored import open_stored

    store = Store()
    record = store.find(name)
    if record is None:
        if not Path(name).is_file():
            raise ModelError(missing(name, store))
        record = store.of_file(Path(name))
    return partial(open_stored, store, record)
