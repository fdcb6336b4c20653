"""The plug-in path: relative folders are found beside the file being run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from fake_nuke.state import STATE


def _resolved(path: str) -> str:
    path = path.rstrip("/")
    if not Path(path).is_absolute():
        if not STATE.loading:
            raise RuntimeError(f"{path}: relative to no file")
        path = os.path.normpath(f"{STATE.loading[-1]}/{path}")
    return path


def _added(args: str | list[str], at_front: bool, to_sys: bool) -> None:
    for each in [args] if isinstance(args, str) else list(args):
        path = _resolved(each)
        if path in STATE.plugin_path:
            STATE.plugin_path.remove(path)
        STATE.plugin_path.insert(0 if at_front else len(STATE.plugin_path), path)
        if to_sys and path not in sys.path:
            sys.path.insert(0, path)
        if STATE.loading and Path(path, "init.py").is_file():
            run_file(f"{path}/init.py")


def run_file(file: str) -> None:
    """Run an init.py or menu.py as Nuke does: relative paths are relative to it. What it raises stops Nuke."""
    STATE.loading.append(str(Path(file).absolute().parent))
    try:
        code = compile(Path(file).read_text(encoding="utf-8"), file, "exec")
        exec(code, {"__name__": "__main__", "__file__": file, "__builtins__": __builtins__})
    finally:
        STATE.loading.pop()


def start_up() -> None:
    """Every init.py on the plug-in path, then, with a window, every menu.py; the last one found first."""
    for name in ("init.py", "menu.py") if STATE.gui else ("init.py",):
        for folder in reversed(list(STATE.plugin_path)):
            if Path(folder, name).is_file():
                run_file(f"{folder}/{name}")


def pluginAddPath(args: str | list[str], addToSysPath: bool = True) -> None:
    _added(args, True, addToSysPath)


def pluginAppendPath(args: str | list[str], addToSysPath: bool = True) -> None:
    _added(args, False, addToSysPath)


def pluginPath() -> list[str]:
    return list(STATE.plugin_path)
