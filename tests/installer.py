"""install.py as a module whose checkout is a small folder, and whose steps are recorded and not run."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "install.py"

Commands = list[list[str]]


def interpreter(version: str) -> str:
    """A Python of another version, from the path or from pyenv; skips where there is none."""
    found = [shutil.which(f"python{version}")]
    found += [str(path) for path in Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}")]
    for python in filter(None, found):
        if subprocess.run([python, "-c", ""], capture_output=True, timeout=60).returncode == 0:
            return python
    pytest.skip(f"needs a Python {version}")


def checkout(root: Path) -> None:
    """What a checkout needs to be installed from."""
    files = {
        "requirements.lock": "torch==2.13.0\n",
        "requirements-test.lock": "lxml==6.1.3\n",
        "pyproject.toml": "[project]\n",
        "nuke_plugin/init.py": "",
        "core/reage/version.py": '__version__ = "1.2.3"\n',
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def loaded(root: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """install.py as it would be in a checkout at `root`."""
    spec = importlib.util.spec_from_file_location("install_under_test", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout(root)
    monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(module, "LOCK", root / "requirements.lock")
    monkeypatch.setattr(module, "TEST_LOCK", root / "requirements-test.lock")
    monkeypatch.setattr(module, "ENVIRONMENT", root / ".venv")
    return module


def recorded(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The steps of an installation; making the environment leaves a Python that works."""
    done: Commands = []

    def step(command: list[str], failure: str) -> None:
        done.append(command)
        if command[1:3] == ["-m", "venv"]:
            folder = Path(command[-1])
            python = install.environment_python(folder)
            python.parent.mkdir(parents=True, exist_ok=True)
            for file in folder.glob("*stamp*"):  # --clear
                file.unlink()
            (folder / "pyvenv.cfg").write_text("")
            python.write_text("")

    monkeypatch.setattr(install, "step", step)
    monkeypatch.setattr(install, "find_python", lambda: "/usr/bin/python3.11")
    monkeypatch.setattr(install, "works", lambda python: python.is_file())
    monkeypatch.setattr(install, "device_line", lambda python: "torch 2.13.0")
    return done
