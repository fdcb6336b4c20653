"""Exports a U-Net family for Nuke's own Inference node: a TorchScript file, and a script that turns it into a .cat.

The TorchScript file stands alone: it needs torch, and nothing of Reage. Annotations are evaluated in this module, since
TorchScript reads those of attributes.
"""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from reage.agers.families import FAMILIES
from reage.agers.stored import network_of
from reage.atomic import whole_file, write_text
from reage.errors import ModelError, RequestError
from reage.nets.fran_change import FranChange
from reage.store import EMBEDDED, Record, Store, missing


class ForNuke(nn.Module):
    """What Inference runs: one picture in, one out, and what the artist sets as attributes.

    Attributes:
        source_age: years.
        target_age: years.
        result: the aged picture comes out; else the signed change alone.
    """

    source_age: float
    target_age: float
    result: bool

    def __init__(self, change: FranChange, ages: tuple[float, float]) -> None:
        super().__init__()
        self.change = change
        self.youngest, self.oldest = ages
        self.source_age, self.target_age, self.result = 40.0, 70.0, True

    def forward(self, picture: Tensor) -> Tensor:
        """Re-age a picture.

        Args:
            picture: (1, 3, H, W), any H and W, sRGB-encoded, an FFHQ-aligned face.

        Returns:
            (1, 3, H, W), same encoding, not clamped.
        """
        n = picture.shape[0]
        source = torch.full([n], self.source_age, dtype=torch.float32, device=picture.device)
        target = torch.full([n], self.target_age, dtype=torch.float32, device=picture.device)
        source = source.clamp(self.youngest, self.oldest)
        target = target.clamp(self.youngest, self.oldest)
        change: Tensor = self.change(picture, source, target)
        return picture + change if self.result else change


def export(store: Store, name: str, out: Path) -> list[Path]:
    """Write OUT and, beside it, OUT with the suffix .nk.

    Args:
        store: holds the model.
        name: an installed model of a U-Net family.
        out: the TorchScript file, .pt.

    Returns:
        What was written.

    Raises:
        RequestError: the model is of a family that makes no sense in an Inference node, or OUT has another suffix.
        ModelError: the model is missing or damaged.
        OutputError: the files cannot be written.
    """
    if out.suffix != ".pt":
        raise RequestError(f"--torchscript {out}: give a name that ends in .pt")
    record = _exportable(store, name)
    family = FAMILIES[record.family]
    assert family.unet is not None
    module = ForNuke(family.unet(network_of(store, record, family)), family.ages).eval()
    with warnings.catch_warnings():
        # TorchScript is what Nuke reads, whatever torch would rather see.
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(module)
        with whole_file(out) as temporary:
            torch.jit.save(scripted, str(temporary))
    script = out.with_suffix(".nk")
    write_text(script, nuke_script(out, record))
    return [out, script]


def _exportable(store: Store, name: str) -> Record:
    families = " and ".join(family.name for family in FAMILIES.values() if family.unet)
    if name == EMBEDDED:
        raise RequestError(
            f"{EMBEDDED}: most of what it adds is not in its network, so an export would look unlike it; "
            f"export {families}, or use the Reage panel"
        )
    record = store.find(name)
    if record is None:
        raise ModelError(missing(name, store).replace("--model ", ""))
    if FAMILIES[record.family].unet is None:
        raise RequestError(f"{name}: {record.family} cannot run in an Inference node; {families} can")
    return record


def nuke_script(torchscript: Path, record: Record) -> str:
    """The text of a Nuke script that makes a .cat of the TorchScript file, and runs it.

    Written for Nuke 15.1 and later after Foundry's description of both nodes; it was not opened in Nuke.
    """
    model, cat = (tcl(path.absolute().as_posix()) for path in (torchscript, torchscript.with_suffix(".cat")))
    note = tcl(
        "1. CatFileCreator (NukeX): press Create .cat file.\n"
        "2. Inference: its input is an aligned face, sRGB-encoded; source_age and target_age are years.\n"
        "result off: the signed change alone comes out.\n"
        f"Weights: {record.licence}\n"
        "Written for Nuke 15.1 and later; not tried in Nuke."
    )
    channels = '"rgba.red, rgba.green, rgba.blue"'
    knobs = [
        'addUserKnob {20 User l "Model"}',
        'addUserKnob {7 source_age l "source age" R 0 100}',
        "source_age 40",
        'addUserKnob {7 target_age l "target age" R 0 100}',
        "target_age 70",
        "addUserKnob {6 result +STARTLINE}",
        "result true",
    ]
    creator = [f"torchScriptFile {model}", f"catFile {cat}", f"channelsIn {channels}", f"channelsOut {channels}"]
    inference = [f"modelFile {cat}"]
    return "".join(
        [
            "version 15.1 v1\n",
            _node("StickyNote", ["inputs 0", f"label {note}", "name About", "xpos 220", "ypos -160"]),
            _node("CatFileCreator", ["inputs 0", *creator, *knobs, "name CatFileCreator1", "xpos 220", "ypos 0"]),
            _node("Input", ["inputs 0", "name Face", "xpos 0", "ypos -160"]),
            _node("Colorspace", ["colorspace_out sRGB", "name ToSrgb", "xpos 0", "ypos -80"]),
            _node("Inference", [*inference, "name Inference1", "xpos 0", "ypos 0"]),
            _node("Colorspace", ["colorspace_in sRGB", "name FromSrgb", "xpos 0", "ypos 80"]),
        ]
    )


def _node(kind: str, lines: list[str]) -> str:
    return f"{kind} {{\n" + "".join(f" {line}\n" for line in lines) + "}\n"


def tcl(text: str) -> str:
    """Text as one quoted Tcl word: nothing in it is substituted."""
    escaped = "".join("\\" + c if c in '\\"$[]{}' else c for c in text)
    return '"' + escaped.replace("\n", "\\n") + '"'
