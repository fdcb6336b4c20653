"""Nuke starts, whatever of Reage is broken; and where nothing is, its menus, icons, gizmos and panel are there."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_nuke
import pytest
from fake_nuke import State
from fake_nuke.ui import Menu

ROOT = Path(__file__).resolve().parents[1]
PANEL = "class ReagePanel:\n    pass\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what Nuke sees of the checkout, with a panel that needs no Qt."""
    for name in ("nuke_plugin", "gizmos"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "nuke_plugin" / "reage_nuke" / "panel.py").write_text(PANEL)
    return tmp_path


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """Nuke, which knows of no other checkout."""
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if Path(folder).name != "nuke_plugin"])
    with fake_nuke.installed() as state:
        yield state


def start(state: State, checkout: Path) -> None:
    """Start Nuke with the plug-in on NUKE_PATH."""
    import nuke

    nuke.pluginAddPath((checkout / "nuke_plugin").as_posix())
    fake_nuke.start_up()


def entries(menu: Menu) -> list[str]:
    return [item.name() for item in menu.items() if item.name()]


# ---- all is well -----------------------------------------------------------------------------------------------------


def test_gizmos_and_icons_are_on_the_plugin_path_and_not_among_pythons(session: State, checkout: Path) -> None:
    start(session, checkout)
    added = [(checkout / name).as_posix() for name in ("nuke_plugin/reage_nuke/icons", "gizmos", "nuke_plugin")]
    assert session.plugin_path == added
    assert not set(added[:2]) & set(sys.path)


def test_a_block_in_the_users_own_init_does_the_same(session: State, checkout: Path) -> None:
    import nuke

    home = checkout / "home"
    home.mkdir()
    plugin = (checkout / "nuke_plugin").as_posix()
    (home / "init.py").write_text(f"import nuke\nnuke.pluginAddPath({plugin!r})\n")
    nuke.pluginAddPath(home.as_posix())
    fake_nuke.start_up()
    assert [nuke.pluginPath().count(f"{checkout.as_posix()}/{name}") for name in ("gizmos", "nuke_plugin")] == [1, 1]
    assert entries(session.menus["Nodes"]) == ["Reage"]


def test_the_menus_hold_everything_with_the_products_own_icon(session: State, checkout: Path) -> None:
    start(session, checkout)
    assert entries(session.menus["Nuke"].findItem("Reage")) == ["Re-age…"]
    nodes = session.menus["Nodes"].findItem("Reage")
    assert entries(nodes) == ["Re-age…", "ReageApply", "ReageBlend", "ReageMatte", "ReageQC", "Whole comp"]
    icons = {item.icon() for item in nodes.items() if item.name()} | {nodes.icon()}
    assert icons == {"reage.png"}
    assert any(Path(folder, "reage.png").is_file() for folder in session.plugin_path)


@pytest.mark.parametrize(("name", "size"), [("reage.png", 26), ("reage@2x.png", 52)])
def test_icons_have_nukes_size(name: str, size: int) -> None:
    head = (ROOT / "nuke_plugin" / "reage_nuke" / "icons" / name).read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:]) == (size, size)


def test_each_entry_does_what_it_says(session: State, checkout: Path) -> None:
    import nuke

    start(session, checkout)
    nodes = session.menus["Nodes"].findItem("Reage")
    for name in ("ReageApply", "ReageBlend", "ReageMatte", "ReageQC"):
        nodes.findItem(name).invoke()
        assert nuke.selectedNode().name().startswith(name)
    nodes.findItem("Whole comp").invoke()
    assert session.said == [f"toolset {checkout.as_posix()}/gizmos/ToolSets/ReageComp.nk"]


def test_the_panel_is_registered_for_saved_workspaces_and_opens(session: State, checkout: Path) -> None:
    start(session, checkout)
    assert entries(session.menus["Pane"]) == ["Reage"]
    assert type(fake_nuke.open_pane("reage.ReagePanel")).__name__ == "ReagePanel"
    session.menus["Nuke"].findItem("Reage/Re-age…").invoke()
    assert session.docked == [("reage.ReagePanel", "Properties.1")]


def test_without_a_window_only_the_paths_are_added(checkout: Path, capsys: Any) -> None:
    with fake_nuke.installed(gui=False) as state:
        start(state, checkout)
        assert len(state.plugin_path) == 3
        fake_nuke.run_file(str(checkout / "nuke_plugin" / "menu.py"))  # Nuke would not run it, a studio's tool might
        assert (state.menus, state.panels) == ({}, {})
    assert capsys.readouterr().err == ""


def test_nothing_installed_comes_into_nukes_process(checkout: Path) -> None:
    program = (
        "import sys; sys.path[:0] = [sys.argv[1]]; import fake_nuke\n"
        "with fake_nuke.installed():\n"
        "    import nuke; nuke.pluginAddPath(sys.argv[2]); fake_nuke.start_up()\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    print(sorted(loaded & {'torch', 'numpy', 'cv2', 'reage', 'core'}))\n"
    )
    words = [sys.executable, "-c", program, str(ROOT / "tests"), str(checkout / "nuke_plugin")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.11"])
def test_it_starts_in_the_pythons_of_nuke_14_to_17(checkout: Path, version: str) -> None:
    """The host's modules alone, in an interpreter of that version; the fake itself is newer."""
    python = shutil.which(f"python{version}")
    env = {**os.environ, "PYENV_VERSION": ""}
    program = (
        "import sys, types; sys.path[:0] = [sys.argv[1]]\n"
        "for name in ('nuke', 'nukescripts'): sys.modules[name] = types.ModuleType(name)\n"
        "from reage_nuke import catalogue, client, fallback, farm, host, knobs, places, session\n"
        "print(knobs.curve_text({1: 30, 2: 40, 3: 50}), knobs.parse_range('1-3'))\n"
    )
    for folder in sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin")):
        python = str(folder / "python")
    words = [python or "", "-W", "error", "-c", program, str(checkout / "nuke_plugin")]
    if python is None or subprocess.run([python, "-V"], capture_output=True, env=env, check=False).returncode:
        pytest.skip(f"needs Python {version}")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert (done.stdout.strip(), done.stderr) == ("1:30,3:50 [1, 2, 3]", "")


# ---- something is broken ---------------------------------------------------------------------------------------------


def broken_package(checkout: Path) -> None:
    (checkout / "nuke_plugin" / "reage_nuke" / "host.py").write_text("def (:\n")


def no_package(checkout: Path) -> None:
    shutil.rmtree(checkout / "nuke_plugin" / "reage_nuke")


def package_that_exits(checkout: Path) -> None:
    (checkout / "nuke_plugin" / "reage_nuke" / "knobs.py").write_text("raise SystemExit(3)\n")


def package_that_is_interrupted(checkout: Path) -> None:
    (checkout / "nuke_plugin" / "reage_nuke" / "host.py").write_text("raise KeyboardInterrupt\n")


@pytest.mark.parametrize("harm", [broken_package, no_package, package_that_exits, package_that_is_interrupted])
def test_a_broken_package_is_told_on_the_terminal_and_nuke_starts(
    session: State, checkout: Path, harm: Callable[[Path], None], capsys: Any
) -> None:
    harm(checkout)
    start(session, checkout)
    assert "reage: a part of its menus could not be made" in capsys.readouterr().err


def test_without_gizmos_the_rest_is_there(session: State, checkout: Path) -> None:
    shutil.rmtree(checkout / "gizmos")
    start(session, checkout)
    assert entries(session.menus["Nodes"].findItem("Reage")) == ["Re-age…"]


def test_without_qt_the_menu_asks_in_a_dialog_of_nukes_own(session: State, checkout: Path, capsys: Any) -> None:
    (checkout / "nuke_plugin" / "reage_nuke" / "panel.py").write_text("import PySide9\n")
    start(session, checkout)
    assert session.panels == {}
    assert "PySide9" in capsys.readouterr().err
    session.menus["Nodes"].findItem("Reage/Re-age…").invoke()
    assert session.said == ["select a Read node first"]


def test_a_panel_that_cannot_be_made_leaves_the_dialog(session: State, checkout: Path, capsys: Any) -> None:
    panel = checkout / "nuke_plugin" / "reage_nuke" / "panel.py"
    panel.write_text("class ReagePanel:\n    def __init__(self): 1 / 0\n")
    start(session, checkout)
    session.menus["Nodes"].findItem("Reage/Re-age…").invoke()
    assert session.said == ["select a Read node first"]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_settings_that_cannot_be_read_do_not_stop_nuke(
    session: State, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "settings.json").write_text("{")
    monkeypatch.setenv("REAGE_CONFIG", str(checkout / "settings.json"))
    start(session, checkout)
    assert len(entries(session.menus["Nodes"].findItem("Reage"))) == 6


def test_a_nuke_that_refuses_a_folder_is_told_so_and_goes_on(
    session: State, checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    import nuke

    def refuse(args: Any, addToSysPath: bool = True) -> None:
        raise RuntimeError("no")

    nuke.pluginAddPath((checkout / "nuke_plugin").as_posix())
    monkeypatch.setattr(nuke, "pluginAddPath", refuse)
    fake_nuke.start_up()
    assert capsys.readouterr().err.count("cannot be added to Nuke's plug-in path") == 2
    assert entries(session.menus["Nuke"]) == ["Reage"]
