from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import saved_fast_aging_gan, saved_fran

from reage import store as stores
from reage.agers.conversion import convert
from reage.errors import ModelError, OutputError, RequestError
from reage.models import sha256_of
from reage.store import Store, known, registry


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store whose converter runs in this process: what the child does is tested once, below."""

    def converted(source: Path, target: Path, precision: str) -> dict[str, object]:
        try:
            return convert(source, target, precision == "fp16")
        except ModelError as error:
            raise ModelError(f"{source}: {error}") from error

    monkeypatch.setattr(stores, "_converted_by_child", converted)
    return Store(tmp_path / "store")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return saved_fran(tmp_path / "best_unet_model.pth")


def files(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.folder)) for path in store.folder.rglob("*") if path.is_file())


def test_an_import_takes_the_name_of_its_family_and_records_both_hashes(store: Store, checkpoint: Path) -> None:
    record = store.import_file(checkpoint)
    assert (record.name, record.family, record.precision) == ("fran", "fran", "fp32")
    assert record.source_sha256 == sha256_of(checkpoint)
    assert record.sha256 == sha256_of(store.folder / "fran.safetensors")
    assert files(store) == ["fran.json", "fran.safetensors"]
    assert Store(store.folder).records() == [record] and store.verify("fran") == record


def test_importing_again_changes_nothing_and_another_file_needs_another_name(
    store: Store, checkpoint: Path, tmp_path: Path
) -> None:
    first = store.import_file(checkpoint)
    assert store.import_file(checkpoint) == first
    other = tmp_path / "other.pth"
    other.write_bytes(checkpoint.read_bytes() + b"\0" * 0)
    convert(checkpoint, other.with_suffix(".safetensors"), half=False)
    with pytest.raises(RequestError, match="--name"):
        store.import_file(other.with_suffix(".safetensors"))
    assert files(store) == ["fran.json", "fran.safetensors"]
    assert store.import_file(checkpoint, name="studio-2.1", precision="fp16").name == "studio-2.1"
    assert [record.name for record in store.records()] == ["fran", "studio-2.1"]


@pytest.mark.parametrize("name", ["reage-1", "", "a/b", "../up", ".hidden", "a" * 65])
def test_a_name_that_is_no_plain_name_is_refused(store: Store, checkpoint: Path, name: str) -> None:
    with pytest.raises(RequestError, match="--name"):
        store.import_file(checkpoint, name=name)
    assert store.find(name) is None


def test_a_file_with_another_hash_than_it_should_have_is_not_opened(store: Store, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match="do not trust it"):
        store.import_file(checkpoint, sha256="0" * 64)
    assert not store.folder.exists()
    assert store.import_file(checkpoint, sha256=sha256_of(checkpoint).upper()).name == "fran"


def test_a_damaged_file_leaves_nothing(store: Store, checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:-5000])
    with pytest.raises(ModelError, match="truncated"):
        store.import_file(checkpoint)
    assert files(store) == []


@pytest.mark.parametrize("harm", ["cut", "flip", "remove"])
def test_harm_to_an_installed_model_is_found_before_it_is_used(store: Store, checkpoint: Path, harm: str) -> None:
    record = store.import_file(checkpoint)
    path = store.weights(record)
    content = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    elif harm == "cut":
        path.write_bytes(content[:-100])
    else:
        content[-100] ^= 1
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"fran\.safetensors: .*reage models import best_unet_model\.pth --name fran"):
        store.weights(record)
    with pytest.raises(ModelError):
        store.verify("fran")


def test_a_copied_store_with_other_dates_is_as_good(store: Store, checkpoint: Path) -> None:
    record = store.import_file(checkpoint)
    os.utime(store.folder / "fran.safetensors", (1, 1))
    assert store.weights(record).is_file()


def test_a_damaged_record_is_named(store: Store, checkpoint: Path) -> None:
    store.import_file(checkpoint)
    (store.folder / "fran.json").write_text('{"version": 2}')
    with pytest.raises(ModelError, match=r"fran\.json"):
        store.find("fran")


def test_a_file_in_place_of_a_name_is_found_again_by_its_content(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.of_file(checkpoint)
    assert store.records() == [] and record.name == record.source_sha256
    monkeypatch.setattr(stores, "_converted_by_child", None)
    assert store.of_file(checkpoint) == record and store.weights(record).parent.name == "by-file"


def test_a_file_that_is_installed_under_a_name_is_not_converted_again(
    store: Store, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = store.import_file(checkpoint)
    monkeypatch.setattr(stores, "_converted_by_child", None)
    assert store.of_file(checkpoint) == record


def test_terms_of_weights_that_are_not_the_published_ones_are_unknown_or_as_told(
    store: Store, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = known("fran").model_copy(update={"size": 124_275_297})
    monkeypatch.setattr(stores, "registry", lambda: {"fran": published})
    assert store.import_file(checkpoint).licence.startswith("unknown: not the file that is published")
    own = store.import_file(checkpoint, name="own", precision="fp16", licence="ours, trained on licensed faces")
    assert own.licence == "ours, trained on licensed faces"


def test_a_folder_that_cannot_be_made_is_an_output_error(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="REAGE_MODELS"):
        Store(tmp_path / "file" / "store").import_file(checkpoint)


def test_the_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAGE_MODELS", str(tmp_path / "here"))
    assert Store().folder == tmp_path / "here"
    monkeypatch.delenv("REAGE_MODELS")
    assert Store().folder.parts[-2:] == ("reage", "models")


def test_a_child_process_reads_the_pickle_and_a_child_that_dies_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, source = Store(tmp_path / "store"), saved_fast_aging_gan(tmp_path / "state_dict.pth")
    (tmp_path / "torch.py").write_text("raise SystemExit('a file of the working folder was imported')")
    monkeypatch.chdir(tmp_path)
    assert store.import_file(source).name == "fast-aging-gan"
    monkeypatch.setattr(stores, "CONVERTER", "reage.no_such_module")
    with pytest.raises(ModelError, match=r"state_dict\.pth: the process that read it died"):
        store.import_file(source, name="again")
    assert files(store) == ["fast-aging-gan.json", "fast-aging-gan.safetensors"]


def test_looking_at_the_store_loads_no_torch() -> None:
    program = "import sys, reage.store; reage.store.Store().records(); print('torch' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path(stores.__file__).parents[1])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"


def test_the_registry_says_of_every_model_where_it_is_from_and_what_it_excludes() -> None:
    for entry in registry().values():
        assert "http" in entry.page or "github.com" in entry.page
        assert entry.excludes and entry.weight_licence and entry.code_licence
        assert f"--name {entry.name}'" in entry.remedy
        assert json.loads(entry.model_dump_json())["commercial"] is False
