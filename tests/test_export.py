from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from checkpoints import saved_fast_aging_gan, saved_fran, saved_fran_norm
from hypothesis import given
from hypothesis import strategies as st

from reage import store as stores
from reage.agers.conversion import convert
from reage.agers.stored import open_stored
from reage.errors import ModelError, RequestError
from reage.export import export, tcl
from reage.store import Store

ALONE = """
import sys, torch
assert "reage" not in sys.modules
net = torch.jit.load(sys.argv[1])
assert not any(name.startswith("reage") for name in sys.modules)
given = torch.load(sys.argv[2], weights_only=True)
answers = []
for source, target, result, picture in given:
    net.source_age, net.target_age, net.result = source, target, result
    answers.append(net(picture))
torch.save(answers, sys.argv[3])
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "_converted_by_child", lambda source, target, _: convert(source, target, half=False))
        store = Store(folder / "store")
        for saved in (saved_fran, saved_fran_norm, saved_fast_aging_gan):
            store.import_file(saved(folder / saved.__name__))
    return store


@pytest.mark.parametrize("name", ["fran", "fran-ry-lu"])
def test_a_fresh_python_without_reage_gets_the_same_numbers_at_any_size_and_age(
    name: str, store: Store, tmp_path: Path
) -> None:
    written = export(store, name, tmp_path / "out.pt")
    assert [path.name for path in written] == ["out.pt", "out.nk"]
    cases = [(30.0, 61.5, True, torch.rand(1, 3, 64, 64)), (50.0, 20.0, False, torch.rand(1, 3, 70, 45) * 1.5 - 0.2)]
    torch.save(cases, tmp_path / "in")
    command = [sys.executable, "-I", "-c", ALONE, *(str(tmp_path / part) for part in ("out.pt", "in", "answers"))]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=120)
    record = store.find(name)
    assert record is not None
    ager = open_stored(store, record, torch.device("cpu"), torch.float32)
    for (source, target, result, picture), answer in zip(cases, torch.load(tmp_path / "answers"), strict=True):
        aged = ager(picture, source, target)
        assert (answer - (aged if result else aged - picture)).abs().max() < 1e-5


def test_the_nuke_script_names_both_files_and_the_channels(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "a [b] $c"
    folder.mkdir()
    script = export(store, "fran", folder / "out.pt")[1].read_text()
    path = tcl((folder / "out").as_posix())[:-1]
    assert f'torchScriptFile {path}.pt"' in script
    assert f'catFile {path}.cat"' in script and f'modelFile {path}.cat"' in script
    assert script.count("\n}\n") == 6 and script.count(" {\n") == 6
    assert "not tried in Nuke" in script and "CatFileCreator {" in script and "Inference {" in script


@pytest.mark.parametrize(
    ("name", "out", "error", "why"),
    [
        ("fast-aging-gan", "out.pt", RequestError, "cannot run in an Inference node"),
        ("reage-1", "out.pt", RequestError, "unlike"),
        ("fran", "out.cat", RequestError, r"ends in \.pt"),
        ("sam", "out.pt", ModelError, "reage models import"),
    ],
)
def test_what_cannot_be_exported_is_told(
    name: str, out: str, error: type[Exception], why: str, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(error, match=why):
        export(store, name, tmp_path / out)
    assert not list(tmp_path.iterdir())


@given(st.text())
def test_any_text_is_one_quoted_tcl_word(text: str) -> None:
    tkinter = pytest.importorskip("tkinter")
    plain = text.replace("\0", "")
    plain = "".join(c for c in plain if not 0xD800 <= ord(c) < 0xE000)
    assert tkinter.Tcl().eval(f"set word {tcl(plain)}") == plain


@pytest.mark.parametrize("text", ["a", "$HOME", "[exit]", 'say "x"', "{", "back\\slash", "two\nlines"])
def test_what_tcl_would_substitute_is_escaped(text: str) -> None:
    word = tcl(text)
    assert word[0] == word[-1] == '"' and "\n" not in word
    inside, at = word[1:-1], 0
    while at < len(inside):
        assert inside[at] not in '"$[]{}'
        at += 2 if inside[at] == "\\" else 1
