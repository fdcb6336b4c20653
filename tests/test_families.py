from __future__ import annotations

import json
import os
import pickle
import re
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import (
    SAM_SIDE,
    fill_module,
    sam_checkpoint,
    save,
    saved_fast_aging_gan,
    saved_fran,
    saved_fran_norm,
    saved_sam,
    small_fran,
    small_sam,
)
from torch.nn import functional as F

from reage.ageing import age
from reage.agers import load_ager
from reage.agers.base import CodedAger, ModelFacts
from reage.agers.conversion import convert
from reage.agers.families import FAMILIES, SAM, fitted, recognise
from reage.agers.fast_aging_gan import FastAgingGanAger
from reage.agers.fran import FranAger
from reage.agers.sam import SamAger
from reage.errors import ModelError, RequestError
from reage.nets.fast_aging_gan import FastAgingGan
from reage.nets.fran_change import FranChange

ROUNDING = 1e-5
CPU, FLOAT = torch.device("cpu"), torch.float32


def facts(name: str) -> ModelFacts:
    family = FAMILIES[name]
    return ModelFacts(
        name=name,
        family=name,
        sha256="0" * 64,
        licence="made for a test",
        ages=family.ages,
        clamps=family.clamps,
        needs_source_age=family.needs_source_age,
        reconstructs=family.reconstructs,
        calibrates=False,
    )


def sam() -> SamAger:
    return SamAger(small_sam(), facts("sam"), CPU, FLOAT)


@pytest.fixture(autouse=True)
def same_numbers_every_time() -> None:
    torch.manual_seed(0)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> tuple[SamAger, dict[str, int]]:
    """A small SAM, and how often each of its parts is asked."""
    net, calls = small_sam(), dict.fromkeys(("pretrained_encoder", "encoder", "decoder"), 0)
    for name in calls:
        part = getattr(net, name)

        def forward(x: torch.Tensor, name: str = name, inner: Any = part.forward) -> torch.Tensor:
            calls[name] += 1
            return inner(x)

        monkeypatch.setattr(part, "forward", forward)
    return SamAger(net, facts("sam"), CPU, FLOAT), calls


# ------------------------------------------------------------------------------------------------ recognising


@pytest.mark.parametrize(
    ("saved", "family"),
    [
        (saved_sam, "sam"),
        (saved_fast_aging_gan, "fast-aging-gan"),
        (saved_fran, "fran"),
        (saved_fran_norm, "fran-ry-lu"),
    ],
)
def test_a_published_layout_is_recognised_checked_and_converted(saved: Any, family: str, tmp_path: Path) -> None:
    found = convert(saved(tmp_path / "published"), tmp_path / "out.safetensors", half=False)
    assert found["family"] == family and found["tensors"] > 40


@pytest.mark.parametrize("family", ["sam", "fast-aging-gan", "fran-community"])
def test_full_width_tables_are_recognised_and_checked(family: str, shared: Path) -> None:
    shapes = {name: tuple(shape) for name, shape, _ in fill_module(shared).table(family)}
    if family == "sam":
        shapes["latent_avg"] = (18, 512)
    found = recognise(shapes)
    assert found.name == family.removesuffix("-community")
    fitted(found, shapes)


@pytest.mark.parametrize("prefix", ["generator.", "module."])
def test_what_a_trainer_puts_before_the_names_is_taken_off_and_its_other_networks_left(
    prefix: str, tmp_path: Path
) -> None:
    state = {prefix + name: value for name, value in small_fran().state_dict().items()}
    state["discriminator.0.weight"] = torch.ones(3)
    source = save({"state_dict": state, "epoch": 3}, tmp_path / "a.ckpt")
    assert convert(source, tmp_path / "out.safetensors", half=False)["family"] == "fran"


def test_half_keeps_vectors_and_what_would_overflow_exact(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    state = small_fran().state_dict()
    state["down2.layer.2.weight"][0, 0, 0, 0] = 1e6
    convert(save(state, tmp_path / "a.pth"), tmp_path / "out.safetensors", half=True)
    stored = load_file(tmp_path / "out.safetensors")
    assert stored["down1.layer.2.weight"].dtype == torch.float16
    assert stored["down1.layer.2.bias"].dtype == stored["down2.layer.2.weight"].dtype == torch.float32


def test_equal_files_are_converted_to_equal_bytes(tmp_path: Path) -> None:
    source = saved_fran(tmp_path / "a.pth")
    for name in ("one", "two"):
        convert(source, tmp_path / name, half=False)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


# ------------------------------------------------------------------------------------------------ refusing


class Evil:
    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self._command,)


def fran_with(change: Any, path: Path) -> Path:
    state = OrderedDict(small_fran().state_dict())
    change(state)
    return save(state, path)


def header_bomb(path: Path) -> Path:
    path.write_bytes(struct.pack("<Q", 2**40) + b'{"a":' + b" " * 100)
    return path


def claims_too_much(path: Path) -> Path:
    """Tensors that are one slice, repeated without being stored again."""
    state = {
        name: value[:1].clone().expand(value.shape) if value.dim() == 4 else value
        for name, value in _wide_fran().items()
    }
    return save(state, path)


def _wide_fran() -> dict[str, torch.Tensor]:
    from reage.nets.fran_unet import FranUNet

    return dict(FranUNet((8, 8, 8, 256, 256)).state_dict())


def other_sum(path: Path) -> Path:
    published = sam_checkpoint(small_sam())
    published["opts"]["start_from_encoded_w_plus"] = False
    return save(published, path)


def written(content: bytes) -> Any:
    def write(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return write


def cut(share: float, saved: Any) -> Any:
    def write(path: Path) -> Path:
        whole = saved(path).read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        return path

    return write


def safetensors_cut(path: Path) -> Path:
    convert(saved_fran(path.with_suffix(".pth")), path, half=False)
    path.write_bytes(path.read_bytes()[:-1000])
    return path


REFUSED = {
    "nothing in it": (written(b""), "is empty"),
    "a web page": (written(b"\n<!DOCTYPE html><html>"), "web page"),
    "text": (written(b"hello there, this is no model"), "no PyTorch checkpoint"),
    "a pickle of another kind": (written(pickle.dumps([1, 2])), "damaged"),
    "a truncated archive": (cut(0.5, saved_fran), "truncated"),
    "a truncated old file": (cut(0.5, saved_fast_aging_gan), "truncated"),
    "a truncated safetensors": (safetensors_cut, "truncated"),
    "a header bomb": (header_bomb, "header"),
    "more than the file holds": (claims_too_much, "more than the file holds"),
    "a number in place of a network": (lambda path: save(3, path), "in place of named tensors"),
    "a list among the weights": (lambda p: fran_with(lambda s: s.update(extra=[1]), p), "no plain tensor"),
    "an unknown network": (lambda path: save({"fc.weight": torch.ones(2, 3)}, path), "fc.weight (2, 3)"),
    "a missing tensor": (lambda p: fran_with(lambda s: s.pop("up2.layer.0.bias"), p), "lacks up2.layer.0.bias"),
    "a tensor too many": (lambda p: fran_with(lambda s: s.update(more=torch.ones(2)), p), "no place for more"),
    "a wrong shape": (
        lambda p: fran_with(lambda s: s.update({"up2.layer.0.bias": torch.ones(3)}), p),
        "up2.layer.0.bias has the shape (3,)",
    ),
    "not a number": (lambda p: fran_with(lambda s: s["up2.layer.0.bias"].fill_(torch.nan), p), "not finite"),
    "whole numbers": (
        lambda p: fran_with(lambda s: s.update({"up2.layer.0.bias": s["up2.layer.0.bias"].int()}), p),
        "floating point",
    ),
    "another sum of codes": (other_sum, "start_from_encoded_w_plus"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_sound_checkpoint_is_refused(case: str, tmp_path: Path) -> None:
    make, why = REFUSED[case]
    with pytest.raises(ModelError, match=re.escape(why)):
        convert(make(tmp_path / "a.pt"), tmp_path / "out.safetensors", half=False)
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_calls_the_system_is_refused_and_does_not_run(legacy: bool, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    source = save({"init_conv.0.weight": Evil(f"touch {ran}")}, tmp_path / "evil.pt", legacy)
    with pytest.raises(ModelError, match=r"asks to run (posix|nt)\.system"):
        convert(source, tmp_path / "out.safetensors", half=False)
    assert not ran.exists()


# ------------------------------------------------------------------------------------------------ ageing


def test_sam_bridges_any_size_and_answers_its_own() -> None:
    crops = torch.rand(2, 3, 200, 200)
    ager = sam()
    assert ager(crops, None, 70.0).shape == (2, 3, SAM_SIDE, SAM_SIDE)
    small = F.interpolate(crops, size=(256, 256), mode="bicubic", antialias=True, align_corners=False)
    assert (sam()(small, None, 70.0) - ager(crops, None, 70.0)).abs().max() < ROUNDING


def test_sam_takes_an_age_a_crop_and_fractions() -> None:
    crops, ager = torch.rand(1, 3, 256, 256).repeat(2, 1, 1, 1), sam()
    both = ager(crops, None, torch.tensor([30.5, 71.0]))
    assert (both[0] - both[1]).abs().max() > 1e-3
    assert (both[:1] - sam()(crops[:1], None, 30.5)).abs().max() < ROUNDING
    with pytest.raises(RequestError, match="3 ages for 2 crops"):
        ager(crops, None, [1.0, 2.0, 3.0])


def test_a_second_age_of_a_crop_does_not_invert_it_again(counted: tuple[SamAger, dict[str, int]]) -> None:
    ager, calls = counted
    crop = torch.rand(1, 3, 256, 256)
    ager(crop, None, 30.0)
    ager(crop, None, 60.0)
    assert calls == {"pretrained_encoder": 1, "encoder": 2, "decoder": 2}
    ager(crop + 0.01, None, 60.0)
    assert calls["pretrained_encoder"] == 2


def test_several_targets_in_change_mode_paint_the_own_age_once(counted: tuple[SamAger, dict[str, int]]) -> None:
    ager, calls = counted
    crops, points = torch.rand(2, 3, 256, 256), torch.zeros(2, 68, 2)
    for target in (20.0, 50.0, 80.0):
        age(ager, crops, 35.0, torch.full((2,), target), points, {}, "change")
    assert calls == {"pretrained_encoder": 1, "encoder": 4, "decoder": 2 * 4}  # a processor paints crop by crop


def test_what_is_remembered_does_not_change_an_answer() -> None:
    crop = torch.rand(1, 3, 256, 256)
    used = sam()
    used(crop, None, 30.0).zero_()
    assert torch.equal(used(crop, None, 30.0), sam()(crop, None, 30.0))


def test_a_batch_is_never_cut_short_by_what_is_remembered(counted: tuple[SamAger, dict[str, int]]) -> None:
    ager, _ = counted
    crops, fresh = torch.rand(3, 3, 256, 256), sam()
    ager(crops[:1], None, 30.0)
    assert torch.equal(ager(crops, None, 30.0), fresh(crops, None, 30.0))


def test_sam_is_coded_and_its_codes_add_up_to_what_a_call_answers() -> None:
    ager, crop = sam(), torch.rand(1, 3, 256, 256)
    assert isinstance(ager, CodedAger)
    codes = ager.encode(crop, 33.0, 70.0)
    assert (ager.paint(codes.own + codes.shift) - ager(crop, None, 70.0)).abs().max() < 1e-4
    assert (ager.paint(codes.own) - ager(crop, None, 33.0)).abs().max() < 1e-4


def test_fast_aging_gan_ignores_ages_and_comes_back_at_the_crops_size() -> None:
    ager = load_fast_aging_gan()
    for size in ((64, 64), (65, 67)):
        crops = torch.rand(1, 3, *size)
        assert torch.equal(ager(crops, None, 20.0), ager(crops, 50.0, 80.0))
        assert ager(crops).shape == crops.shape


def load_fast_aging_gan() -> FastAgingGanAger:
    from checkpoints import small_fast_aging_gan

    net = small_fast_aging_gan()
    assert isinstance(net, FastAgingGan)
    return FastAgingGanAger(net, facts("fast-aging-gan"), CPU, FLOAT)


def test_fast_aging_gan_keeps_highlights_and_blacks_outside_its_range() -> None:
    ager, crops = load_fast_aging_gan(), torch.full((1, 3, 32, 32), 0.999999)
    bright = crops.clone()
    bright[..., 10, 10] = 6.0
    assert ager(bright)[0, 0, 10, 10] - ager(crops)[0, 0, 10, 10] == pytest.approx(5.0, abs=1e-3)


def fran() -> FranAger:
    return FranAger(FranChange(small_fran(), centred=False), facts("fran"), CPU, FLOAT)


def test_fran_refuses_to_guess_a_source_age_and_clamps_what_it_was_not_trained_on() -> None:
    ager, crops = fran(), torch.rand(1, 3, 64, 64)
    with pytest.raises(RequestError, match="source age"):
        ager(crops, None, 70.0)
    assert torch.equal(ager(crops, 30.0, 120.0), ager(crops, 30.0, 90.0))
    assert not torch.equal(ager(crops, 30.0, 90.0), ager(crops, 30.0, 60.0))


def test_fran_adds_its_change_to_what_is_outside_its_range() -> None:
    ager, crops = fran(), torch.full((1, 3, 32, 32), 1.0)
    change = ager(crops, 30.0, 60.0) - crops
    assert (ager(crops + 3.0, 30.0, 60.0) - (crops + 3.0) - change).abs().max() < ROUNDING


@pytest.mark.parametrize("make", [fran, sam])
def test_families_without_exemplars_refuse_one(make: Any) -> None:
    ager = make()
    assert ager.first_look(torch.rand(3, 64, 64), torch.zeros(68, 2), 30.0, None) == {}
    with pytest.raises(RequestError, match="no exemplars"):
        ager.first_look(torch.rand(3, 64, 64), torch.zeros(68, 2), 30.0, "0042")


# ------------------------------------------------------------------------------------------------ loading


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("store")
        patch.setenv("REAGE_MODELS", str(folder))
        yield folder


def test_a_published_file_loads_by_its_path_and_is_converted_once(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved_sam(tmp_path / "sam_ffhq_aging.pt")
    ager = load_ager(str(path), "cpu")
    assert ager.facts.family == "sam" and ager.facts.name == "sam_ffhq_aging.pt" and not ager.facts.clamps
    monkeypatch.setattr("reage.store._converted_by_child", None)
    again = load_ager(str(path.rename(tmp_path / "moved.pt")), "cpu")
    crop = torch.rand(1, 3, 256, 256)
    assert torch.equal(again(crop, None, 70.0), ager(crop, None, 70.0))
    assert (ager(crop, None, 70.0) - sam()(crop, None, 70.0)).abs().max() < ROUNDING


def test_the_reference_of_fast_aging_gan_is_met_through_the_published_file(
    store: Path, shared: Path, tmp_path: Path
) -> None:
    path = tmp_path / "state_dict.pth"
    fill_module(shared).build("fast-aging-gan", path)
    golden = np.load(shared / "goldens" / "fast_aging_gan.npz")
    crop = torch.from_numpy(golden["crop"]).permute(2, 0, 1)[None].float() / 255.0
    answer = load_ager(str(path), "cpu")(crop, None, 70.0)[0].numpy()
    assert np.abs(2.0 * answer - 1.0 - golden["image"]).max() < 1e-5


def test_a_wrong_file_is_named_and_leaves_nothing_in_the_store(store: Path, tmp_path: Path) -> None:
    before = sorted(store.rglob("*.*"))
    ran = tmp_path / "ran"
    path = save({"a": Evil(f"touch {ran}")}, tmp_path / "evil.pt")
    with pytest.raises(ModelError, match=r"evil\.pt: asks to run"):
        load_ager(str(path), "cpu")
    assert not ran.exists() and sorted(store.rglob("*.*")) == before


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("sam", "'reage models import sam_ffhq_aging.pt --name sam'"),
        ("fran", "'reage models import https://huggingface.co/"),
        ("https://example.com/a.pt", "'reage models import https://example.com/a.pt'"),
        ("no-such", "'reage models list'"),
    ],
)
def test_a_missing_model_is_told_with_the_command_that_mends_it(
    name: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REAGE_MODELS", str(tmp_path / "none"))
    with pytest.raises(ModelError) as told:
        load_ager(name, "cpu")
    assert command in str(told.value) and not (tmp_path / "none").exists()


def test_registry_and_families_name_each_other() -> None:
    from reage.store import registry

    assert {entry.family for entry in registry().values()} == set(FAMILIES)
    assert json.dumps(sorted(registry())) == json.dumps(sorted(FAMILIES))
    assert not SAM.clamps
