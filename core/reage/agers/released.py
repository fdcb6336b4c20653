"""Weights that come with the package: a safetensors file, and beside it the hash that it was released with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from torch import Tensor

from reage.errors import ModelError
from reage.models import sha256_of
from reage.nets.unet import UNet, folded

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True, eq=False)
class Released:
    """What a file holds."""

    state: dict[str, Tensor]  # float32
    facts: dict[str, Any]
    sha256: str


def released(file: Path) -> Released:
    """Read a file of weights, and see that it is the one that was released: a flipped bit loads without a word.

    Raises:
        ModelError: it is missing, damaged or another.
    """
    try:
        digest, wanted = sha256_of(file), file.with_suffix(".sha256").read_text(encoding="ascii").split()[0]
        with safe_open(file, "pt") as held:
            state = {name: held.get_tensor(name).float() for name in held.keys()}  # noqa: SIM118
            facts = json.loads((held.metadata() or {}).get("reage", "{}"))
    except (OSError, SafetensorError, IndexError, ValueError) as error:
        raise ModelError(f"{file}: missing or damaged; install reage again") from error
    if digest != wanted:
        raise ModelError(f"{file}: not the weights that were released with reage; install reage again")
    return Released(state, facts, digest)


Net = TypeVar("Net", bound=UNet)


def released_unet(file: Path, kind: type[Net]) -> tuple[Net, str]:
    """A U-Net with its batch norms folded, on the processor, and the hash of its file.

    Raises:
        ModelError: the file is missing, damaged or another.
    """
    held = released(file)
    try:
        net = kind(widths=tuple(held.facts["widths"]))  # type: ignore[call-arg]  # those that are released take widths alone
        # Whole-number counters of the batch norms are not in the file.
        net.load_state_dict(held.state, strict=False)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(f"{file}: another network than this version of reage has; install it again") from error
    return folded(net), held.sha256
