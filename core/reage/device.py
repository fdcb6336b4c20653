"""Which device and precision the networks run in."""

from __future__ import annotations

import torch

from reage.errors import DeviceError


def pick_device(wanted: str) -> torch.device:
    """Resolve `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.

    Raises:
        DeviceError: the device that was asked for is not there.
    """
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {wanted}: torch {torch.__version__} sees no CUDA GPU; 'reage doctor' says why")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"--device {wanted}: there are {torch.cuda.device_count()} GPUs, numbered from 0")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise DeviceError("--device mps: this machine has no Metal GPU")
    return device


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """float16 on CUDA unless told otherwise; float32 elsewhere.

    Raises:
        DeviceError: fp16 was asked for on a CPU, where it is slower and less exact.
    """
    if precision == "fp16" and device.type == "cpu":
        raise DeviceError("--precision fp16 needs a GPU; leave it at auto")
    half = precision == "fp16" or (precision == "auto" and device.type == "cuda")
    return torch.float16 if half else torch.float32
