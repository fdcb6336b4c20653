"""A strict stand-in for Nuke: real names and knobs alone, the main thread alone, nothing that answers to anything.

Never run inside Nuke; what it takes for granted is compared with a real one by `tests/nuke_live/check_in_nuke.py`.

Its rules, each with a test in `tests/test_fake_nuke.py` (sources in brackets):

1. Every public name exists in types-nuke, with its parameters' names. Outside it are `nukescripts`' PythonPanel and
   `panels.registerWidgetAsPanel` (their sources in Nuke 15).
2. An unknown class is a RuntimeError; an unknown knob a NameError by `[]` (measured in 16.0v6) and None by `knob()`;
   enumerations take the words of Nuke 17.0v3 alone; whole numbers no fractions, colours no negative ones.
3. `selectedNode()` raises ValueError where nothing is selected.
4. `menu` and `toolbar` raise RuntimeError without a window (their help texts in 15.0).
5. Nodes, knobs and menus off the main thread, and `executeInMainThread…` on it, fail the test; exceptions inside are
   swallowed and None comes back (Nuke's own sources, threading guide).
6. A deleted node raises ValueError.
7. `filename` knows frames, hashes, views and proxies.
8. Undo steps balance, and a ProgressTask takes whole numbers.
9. No MagicMock, no `__getattr__`.
10. torch, cv2 and numpy cannot be imported by the plug-in.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fake_nuke import api, nodes, ui
from fake_nuke.paths import run_file, start_up
from fake_nuke.state import STATE, Broken, State, pump, reset
from fake_nuke.ui import open_pane

__all__ = ["Broken", "State", "installed", "open_pane", "pump", "run_file", "start_up"]

HEAVY = ("torch", "cv2", "numpy")
_OURS = ("nuke", "nukescripts", "nukescripts.panels")


def _guarded(usual: Callable[..., Any]) -> Callable[..., Any]:
    """`__import__`, which refuses heavy packages to the plug-in's own files; Qt's may look for numpy."""

    def load(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name.partition(".")[0] in HEAVY and "nuke_plugin" in str((globals or {}).get("__file__")):
            STATE.broken.append(f"{name} was imported in Nuke's process: it breaks Nuke's own networks")
            raise ImportError(STATE.broken[-1])
        return usual(name, globals, locals, fromlist, level)

    return load


def modules() -> dict[str, types.ModuleType]:
    """The modules, made afresh."""
    nuke, nukescripts, panels = (types.ModuleType(name) for name in _OURS)
    for name in api.__all__:
        setattr(nuke, name, getattr(api, name))
    nuke.GUI = STATE.gui  # type: ignore[attr-defined]
    nukescripts.PythonPanel = ui.PythonPanel  # type: ignore[attr-defined]
    nukescripts.panels = panels  # type: ignore[attr-defined]
    panels.PythonPanel = ui.PythonPanel  # type: ignore[attr-defined]
    panels.registerWidgetAsPanel = ui.registerWidgetAsPanel  # type: ignore[attr-defined]
    return dict(zip(_OURS, (nuke, nukescripts, panels), strict=True))


@contextmanager
def installed(gui: bool = True, fresh: str = "reage_nuke") -> Iterator[State]:
    """Nuke is there while the block runs; broken rules fail it at the end.

    Args:
        gui: whether Nuke has a window.
        fresh: package whose modules are imported anew, and forgotten after.
    """
    state = reset(gui=gui)
    state.root = nodes.new_root()
    path, usual_import = list(sys.path), builtins.__import__
    _forget(fresh)
    sys.modules.update(modules())
    builtins.__import__ = _guarded(usual_import)
    try:
        yield state
    finally:
        builtins.__import__ = usual_import
        sys.path[:] = path
        _forget(fresh, *_OURS)
    if state.broken:
        raise Broken("; ".join(state.broken))
    if state.undo_open or state.undo_off:
        raise Broken("an undo step was left open, or undo switched off")


def _forget(*names: str) -> None:
    for name in [each for each in sys.modules if each in names or each.partition(".")[0] in names]:
        del sys.modules[name]
