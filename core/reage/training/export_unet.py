"""Write a trained U-Net as the package's weights: safetensors, fp16, with its shape in the header, and its sha256.

python -m reage.training.export_unet RUN/net.pt core/reage/data/reage-1.safetensors
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file


def export(source: Path, target: Path) -> None:
    """Convert one file."""
    trained = torch.load(source, weights_only=True, map_location="cpu")
    state = {
        name: value.to(torch.float16 if not name.endswith(("running_var", "running_mean")) else torch.float32)
        for name, value in trained["state_dict"].items()
        if value.is_floating_point()
    }
    facts = {"widths": trained["widths"]}
    save_file({name: value.contiguous() for name, value in state.items()}, target, {"reage": json.dumps(facts)})
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    target.with_suffix(".sha256").write_text(f"{digest}  {target.name}\n", encoding="ascii")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    given = parser.parse_args()
    export(given.source, given.target)


if __name__ == "__main__":
    main()
