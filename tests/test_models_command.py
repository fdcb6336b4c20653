from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from checkpoints import saved_fran
from click.testing import CliRunner, Result

from reage import store as stores
from reage.agers.conversion import convert
from reage.errors import ModelError
from reage.models_command import models

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.setenv("REAGE_MODELS", str(tmp_path / "store"))
    monkeypatch.setattr(
        stores, "_converted_by_child", lambda source, target, how: convert(source, target, how == "fp16")
    )

    def run(*words: str) -> Result:
        return CliRunner().invoke(models, words, catch_exceptions=False)

    return run


def test_list_tells_what_is_embedded_installed_and_known(call: Call, tmp_path: Path) -> None:
    assert "not installed" in call("list").output
    call("import", str(saved_fran(tmp_path / "a.pth")), "--name", "ours")
    lines = {line.split()[0]: line for line in call("list").output.splitlines()}
    assert "embedded" in lines["reage-1"] and " installed" in lines["ours"] and "not installed" in lines["sam"]
    assert "2.27 GB" in lines["sam"] and str(tmp_path / "store") in lines["store:"]


@pytest.mark.parametrize("name", ["sam", "fast-aging-gan", "fran", "fran-ry-lu"])
def test_info_on_each_family_tells_licences_origin_and_how_to_install(call: Call, name: str) -> None:
    told = call("info", name).output
    for word in ("licence of the code", "licence of the weights", "excludes", "published at", "resolution", "ages"):
        assert word in told
    assert "not cleared" in told and f"--name {name}'" in told


def test_info_on_an_installed_model_tells_its_files_and_hashes(call: Call, tmp_path: Path) -> None:
    call("import", str(saved_fran(tmp_path / "a.pth")), "--half")
    told = call("info", "fran").output
    assert "fp16" in told and "fran.safetensors" in told and "its sha256" in told and "a.pth" in told
    assert "reage" in call("info", "reage-1").output


def test_an_import_shows_the_licence_and_says_that_no_hash_is_known(call: Call, tmp_path: Path) -> None:
    told = call("import", str(saved_fran(tmp_path / "a.pth"))).output
    assert "licence of the weights: MIT (its model card)" in told and "no published one is known" in told
    assert "whole" in call("verify", "fran").output


def test_an_import_from_an_address_downloads_installs_and_keeps_no_copy(call: Call, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    saved_fran(tmp_path / "served" / "a.pth")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        call("import", f"http://127.0.0.1:{server.server_port}/a.pth")
        server.shutdown()
    left = sorted(path.name for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert left == ["fran.json", "fran.safetensors"]


def test_export_prints_what_it_wrote(call: Call, tmp_path: Path) -> None:
    call("import", str(saved_fran(tmp_path / "a.pth")))
    out = tmp_path / "o.pt"
    assert call("export", "fran", "--torchscript", str(out)).output.split() == [str(out), str(out.with_suffix(".nk"))]


@pytest.mark.parametrize("words", [("info", "none"), ("verify", "sam"), ("import", "sam_ffhq_aging.pt")])
def test_what_is_not_there_is_a_model_error_that_says_where_to_get_it(call: Call, words: tuple[str, ...]) -> None:
    with pytest.raises(ModelError, match=r"reage models|published at"):
        call(*words)
