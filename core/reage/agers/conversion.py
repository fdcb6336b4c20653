"""Turns a checkpoint as published into safetensors: the program of a child process, which the model store starts.

Reading a pickle is the only risky thing Reage does with a model, so it is done apart: `weights_only=True`, in a process
that may die, before anything is built. It prints one line of JSON: what was found, or `{"error": …}`.
"""

from __future__ import annotations

import json
import pickle
import re
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from reage.agers.families import fitted, recognise
from reage.errors import ModelError

HEADER_LIMIT = 16 * 2**20
"""Bytes of a safetensors header that are believed; SAM's has 160 kB."""
PREFIXES = ("generator.", "module.")
"""What training frameworks put before the names of a network."""
SLACK = 2**20
"""Bytes by which tensors may seem to be larger than their file: none are, but block sizes differ."""


def convert(source: Path, target: Path, half: bool) -> dict[str, Any]:
    """Read, recognise, check and write a checkpoint.

    Args:
        source: the file as published, or a safetensors file.
        target: where the safetensors file goes.
        half: keep matrices and kernels in float16; the rest stays float32.

    Returns:
        family, tensors (their number) and parameters (their elements).

    Raises:
        ModelError: without the file's name, which the caller puts before it.
    """
    tensors = read(source)
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    family = recognise(shapes)
    fitted(family, shapes)
    held = sum(value.numel() * value.element_size() for value in tensors.values())
    if held > source.stat().st_size + SLACK:
        raise ModelError(f"claims {held} bytes of weights, more than the file holds; it is damaged or made to harm")
    stored = {name: _stored(name, value, half) for name, value in tensors.items()}
    save_file(stored, target, metadata={"reage": json.dumps({"family": family.name})})
    return {
        "family": family.name,
        "tensors": len(stored),
        "parameters": sum(value.numel() for value in stored.values()),
    }


def read(source: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, whatever it is wrapped in; nothing in it is run.

    Raises:
        ModelError: it is no checkpoint, is damaged, or asks for more than tensors.
    """
    with source.open("rb") as file:
        head = file.read(512)
    if not head:
        raise ModelError("is empty; download it again")
    if head.lstrip()[:1] == b"<":
        raise ModelError("is a web page, not a checkpoint; open its address in a browser and save the file itself")
    if head[8:9] == b"{":
        return _from_safetensors(source, int.from_bytes(head[:8], "little"))
    if not zipfile.is_zipfile(source) and head[:1] != b"\x80":
        what = "is a truncated archive; download it again" if head[:2] == b"PK" else "is no PyTorch checkpoint"
        raise ModelError(what)
    return _tensors_of(_unpickled(source))


def _from_safetensors(source: Path, header: int) -> dict[str, Tensor]:
    if header > min(HEADER_LIMIT, source.stat().st_size):
        raise ModelError(f"claims a header of {header} bytes; it is damaged or made to harm")
    try:
        with safe_open(source, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"is truncated or damaged ({error}); download it again") from error


def _unpickled(source: Path) -> Any:
    # The format before PyTorch 1.6 is no archive and cannot be mapped.
    mapped = zipfile.is_zipfile(source)
    try:
        return torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked is None:
            raise ModelError("is truncated or damaged; download it again") from error
        raise ModelError(
            f"asks to run {asked[1]}, which weights never need; it was not run, do not trust it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"is truncated or damaged ({reason[:160]}); download it again") from error


def _tensors_of(found: Any) -> dict[str, Tensor]:
    """Take a state dict out of what published files wrap around it."""
    if not isinstance(found, Mapping):
        raise ModelError(f"holds a {type(found).__name__} in place of named tensors")
    beside: dict[str, Any] = {}
    if isinstance(found.get("state_dict"), Mapping):
        if "latent_avg" in found:
            beside = {"latent_avg": found["latent_avg"]}
            _check_options(found.get("opts"))
        found = found["state_dict"]
    for prefix in PREFIXES:
        inner = {name[len(prefix) :]: value for name, value in found.items() if str(name).startswith(prefix)}
        found = inner or found
    tensors = {str(name): value for name, value in {**found, **beside}.items()}
    for name, value in tensors.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            raise ModelError(f"holds {name[:80]!r}, which is no plain tensor, among its weights")
    return {name: value.detach() for name, value in tensors.items()}


def _check_options(options: Any) -> None:
    """SAM adds its shift to the inverted picture; a training that started elsewhere needs another sum."""
    if isinstance(options, Mapping) and options.get("start_from_encoded_w_plus", True) is not True:
        raise ModelError("was trained without start_from_encoded_w_plus; only the published way is known")


def _stored(name: str, value: Tensor, half: bool) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return value.to(torch.int64).clone()
    if not value.is_floating_point():
        raise ModelError(f"holds {name} as {value.dtype}, where weights are floating point")
    exact = value.float()
    if not torch.isfinite(exact).all():
        raise ModelError(f"holds values in {name} that are not finite; it is damaged")
    if half and exact.dim() > 1 and torch.isfinite(rounded := exact.half()).all():
        return rounded.contiguous()
    return exact.contiguous()


def main(arguments: Sequence[str]) -> None:
    """SOURCE TARGET fp32|fp16; prints what was found, or an error."""
    source, target, precision = arguments
    try:
        answer = convert(Path(source), Path(target), precision == "fp16")
    except ModelError as error:
        answer = {"error": str(error)}
    except OSError as error:
        answer = {"refused": error.strerror or str(error)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
