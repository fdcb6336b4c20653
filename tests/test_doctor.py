from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from installer import loaded, recorded

from reage import doctor, models
from reage.doctor import (
    Check,
    checks,
    gpu_check,
    nuke_check,
    nvidia_gpu,
    place_check,
    plugin_check,
    settings_check,
)


@pytest.fixture(scope="module")
def findings() -> list[Check]:
    return checks()


def one(findings: list[Check], name: str) -> Check:
    (found,) = [check for check in findings if check.name == name]
    return found


def test_this_environment_is_well(findings: list[Check]) -> None:
    ill = {check.name for check in findings if check.state == "fail"}
    assert not ill
    assert one(findings, "torch").detail[0].isdigit()


def test_every_finding_fits_on_a_line_and_what_is_not_well_has_a_remedy(findings: list[Check]) -> None:
    for check in findings:
        assert len(check.detail.splitlines()) == 1, check
        assert bool(check.remedy) == (check.state != "ok"), check


def test_every_face_model_is_listed_with_its_hash_and_licence(findings: list[Check]) -> None:
    for model in models.FACE_MODELS:
        detail = one(findings, model.name).detail
        assert model.sha256 in detail
        assert model.licence in detail


def test_a_damaged_face_model_fails_and_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "broken_models"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.dat").write_bytes(b"not what was tested")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = models.FaceModel("a model", "broken-models==1", "broken_models", "a.dat", "0" * 64, "none", False)
    monkeypatch.setattr(doctor, "FACE_MODELS", (model,))
    found = one(checks(), "a model")
    assert (found.state, found.remedy) == ("fail", doctor.INSTALL)
    assert "a.dat" in found.detail


def test_an_unreadable_ocio_config_fails_and_says_what_the_variable_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCIO", "/nowhere/config.ocio")
    found = one(checks(), "OpenColorIO config")
    assert found.state == "fail"
    assert "$OCIO is '/nowhere/config.ocio'" in found.detail


def test_a_gpu_beside_a_torch_without_cuda_is_told_with_the_command_that_mends_it() -> None:
    found = gpu_check(cuda=None, device=None, metal=False, present="NVIDIA RTX A5000")
    assert found.state == "warn"
    assert "NVIDIA RTX A5000" in found.detail
    assert found.remedy == "python3 install.py env --torch cuda"


def test_a_driver_that_is_too_old_is_told_apart_from_a_wrong_build() -> None:
    found = gpu_check(cuda="13.0", device=None, metal=False, present="Tesla P40")
    assert "driver" in found.detail
    assert "driver" in found.remedy


@pytest.mark.parametrize(
    ("cuda", "device", "metal", "present"),
    [("13.0", "NVIDIA H100", False, "NVIDIA H100"), (None, None, True, None), (None, None, False, None)],
)
def test_a_usable_gpu_and_none_at_all_are_both_well(
    cuda: str | None, device: str | None, metal: bool, present: str | None
) -> None:
    assert gpu_check(cuda, device, metal, present).state == "ok"


@pytest.mark.parametrize(
    ("answer", "status", "expected"), [("RTX 4090\nRTX 3090\n", 0, "RTX 4090"), ("", 0, None), ("no driver", 9, None)]
)
def test_the_drivers_first_gpu_is_read(
    answer: str, status: int, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[0] == "/usr/bin/nvidia-smi"
        return subprocess.CompletedProcess(command, status, answer, "")

    monkeypatch.setattr(doctor.shutil, "which", {"nvidia-smi": "/usr/bin/nvidia-smi"}.get)
    monkeypatch.setattr(doctor.subprocess, "run", run)
    assert nvidia_gpu() == expected


def test_a_folder_that_is_not_there_cannot_be_written(tmp_path: Path) -> None:
    found = place_check("output folder", tmp_path / "missing")
    assert found.state == "fail"
    assert str(tmp_path / "missing") in found.detail


def test_the_probe_of_a_folder_leaves_nothing(tmp_path: Path) -> None:
    assert place_check("output folder", tmp_path).state in ("ok", "warn")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOM", 10**30)
    assert place_check("output folder", tmp_path).state == "warn"


def test_nukes_are_listed_and_one_whose_python_is_too_old_is_named() -> None:
    assert nuke_check([]).state == "ok"
    assert nuke_check([Path("/usr/local/Nuke16.0v4"), Path("/opt/NukeStudio")]).state == "ok"
    found = nuke_check([Path("/usr/local/Nuke13.2v9"), Path("/usr/local/Nuke16.0v4")])
    assert found.state == "warn"
    assert "Nuke13.2v9" in found.remedy
    assert "Nuke16.0v4" not in found.remedy


def test_the_usual_folders_of_every_system_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {str(Path(place) / pattern) for place, pattern in doctor.NUKE_PLACES}
    assert {"/usr/local/Nuke*", "/opt/Nuke*", "/Applications/Nuke*", "C:/Program Files/Nuke*"} <= places
    (tmp_path / "Nuke16.0v4").mkdir()
    (tmp_path / "Nuke15.1v2.tgz").write_text("no folder")
    monkeypatch.setattr(doctor, "NUKE_PLACES", ((str(tmp_path), "Nuke*"),))
    assert one(list(doctor._nuke()), "Nuke").detail == str(tmp_path / "Nuke16.0v4")


# ---- the plug-in -----------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder into which install.py has put the plug-in of a checkout beside it."""
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("REAGE_CONFIG", "REAGE_PYTHON", "NUKE_PATH", "SUDO_UID"):
        monkeypatch.delenv(name, raising=False)
    module = loaded(tmp_path / "check\u00e4out", monkeypatch)
    (module.ROOT / "nuke_plugin" / "reage_nuke").mkdir()
    recorded(module, monkeypatch)
    module.main([])
    return tmp_path


def test_what_install_py_has_installed_is_found(installed: Path) -> None:
    plugin, settings = doctor._plugin()
    assert (plugin.state, settings.state) == ("ok", "ok")
    assert plugin.detail.startswith((installed / "check\u00e4out" / "nuke_plugin").as_posix())
    assert str(installed / "check\u00e4out" / ".venv") in settings.detail


def test_a_checkout_that_was_moved_away_is_told(installed: Path) -> None:
    (installed / "check\u00e4out").rename(installed / "moved")
    plugin, settings = doctor._plugin()
    assert (plugin.state, plugin.remedy) == ("warn", "python3 install.py")
    assert (settings.state, settings.remedy) == ("warn", "python3 install.py")


def test_a_block_without_its_end_is_told(installed: Path) -> None:
    init = installed / ".nuke" / "init.py"
    init.write_text(init.read_text().replace(doctor.BLOCK_END, ""))
    found = plugin_check(init, "")
    assert found.state == "warn"
    assert "damaged" in found.detail


def test_no_plugin_and_no_settings_are_well(tmp_path: Path) -> None:
    assert plugin_check(tmp_path / "init.py", "").state == "ok"
    assert settings_check(tmp_path / "settings.json", "").state == "ok"
    (tmp_path / "init.py").write_text("import os\n")
    assert "not in" in plugin_check(tmp_path / "init.py", "").detail


def test_an_init_py_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "init.py").write_bytes(b"# \xfc\n")
    assert plugin_check(tmp_path / "init.py", "").state == "warn"


def test_what_a_launcher_sets_goes_before_the_files(installed: Path) -> None:
    init, settings = installed / ".nuke" / "init.py", installed / ".reage" / "settings.json"
    plugin = installed / "check\u00e4out" / "nuke_plugin"
    found = plugin_check(init, os.pathsep.join([str(installed), str(plugin)]))
    assert (found.state, found.detail) == ("ok", f"{plugin}, by $NUKE_PATH")
    assert settings_check(settings, sys.executable).detail == f"{sys.executable}, by $REAGE_PYTHON"
    assert settings_check(settings, "/nowhere/python").state == "warn"


@pytest.mark.parametrize("text", ["[general]", "[1]", "{}", '{"python": 3}'])
def test_settings_that_are_damaged_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.json").write_text(text)
    found = settings_check(tmp_path / "settings.json", "")
    assert found.state == "warn"
    assert "settings.json" in found.detail
