"""From a model of the store to a running ager."""

from __future__ import annotations

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from reage.agers.base import Ager, ModelFacts
from reage.agers.families import FAMILIES, Family, fitted
from reage.errors import ModelError
from reage.store import Record, Store


def open_stored(store: Store, record: Record, device: torch.device, dtype: torch.dtype) -> Ager:
    """Load an installed model.

    Weights are mapped from the file rather than copied, so that loading takes little more memory than the file has.

    Raises:
        ModelError: its files are missing or damaged.
    """
    family = FAMILIES[record.family]
    facts = ModelFacts(
        name=record.source_file if record.name == record.source_sha256 else record.name,
        family=family.name,
        sha256=record.sha256,
        licence=record.licence,
        ages=family.ages,
        clamps=family.clamps,
        needs_source_age=family.needs_source_age,
        reconstructs=family.reconstructs,
        calibrates=False,
        takes_age=family.takes_age,
    )
    return family.ager(network_of(store, record, family), facts, device, dtype)


def network_of(store: Store, record: Record, family: Family) -> torch.nn.Module:
    """The network of an installed model with its weights, in float32, on the processor.

    Raises:
        ModelError: its files are missing or damaged.
    """
    path = store.weights(record)
    try:
        with safe_open(path, "pt") as file:
            state: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged ({error}); remove it and import the model again") from error
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    try:
        net = fitted(family, shapes)
    except ModelError as error:
        raise ModelError(f"{path}: {error}; remove it and import the model again") from error
    weights = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    net.load_state_dict(weights, strict=True, assign=True)
    return net.requires_grad_(False)
