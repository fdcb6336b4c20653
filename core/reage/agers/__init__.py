"""Re-ageing models behind one face; see `reage.agers.base.Ager`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from reage.agers.base import Ager
from reage.agers.frugal import Make, frugal, has_moved
from reage.device import pick_device, pick_dtype
from reage.errors import ModelError
from reage.store import EMBEDDED, Store, missing


def load_ager(name: str, device: str | torch.device = "auto", precision: str = "auto") -> Ager:
    """Load a model by its name or file.

    A file in a published format is converted in a child process the first time, and found again in the store by its
    content; no code from it is run. The model that was loaded last stays loaded, and is answered again where the same
    one is asked for: a process that serves many requests waits for it once.

    Args:
        name: `reage-1`, the embedded model; a name in the model store; or the path of a checkpoint, whose family is
            recognised by its keys.
        device: auto, cpu, cuda[:N] or mps.
        precision: auto, fp32 or fp16.

    Raises:
        ModelError: there is no such model, or its files are damaged, unknown or not trusted.
        DeviceError: the device is not there, or its memory is too small.
    """
    chosen, may_leave = pick_device(str(device)), str(device) == "auto"
    dtype = pick_dtype(precision, chosen)
    identity, make = _maker(str(name))
    wanted = identity, str(chosen), dtype, may_leave
    kept = _kept.get(wanted)
    if kept is not None and not has_moved(kept):
        return kept
    _kept.clear()  # before the next one is loaded: there may be no room for two
    _kept[wanted] = ager = frugal(make, chosen, dtype, may_leave)
    return ager


_kept: dict[tuple[Any, ...], Ager] = {}
"""The model that was loaded last, by what it is and where it runs; no more than one."""


def _maker(name: str) -> tuple[Any, Make]:
    """What tells a model from all others, and what loads it."""
    if name == EMBEDDED:
        from reage.agers.reage1 import Reage1

        return EMBEDDED, Reage1
    from reage.agers.stored import open_stored

    store = Store()
    record = store.find(name)
    if record is None:
        if not Path(name).is_file():
            raise ModelError(missing(name, store))
        record = store.of_file(Path(name))
    return (store.folder, record), partial(open_stored, store, record)
