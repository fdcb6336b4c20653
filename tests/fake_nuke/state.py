"""What the fake remembers between calls, and the rule of the main thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Broken(AssertionError):
    """The plug-in did what Nuke forbids, or what would hang or crash it."""


@dataclass
class State:
    """One Nuke session."""

    gui: bool = True
    frame: int = 1
    views: list[str] = field(default_factory=lambda: ["main"])
    root: Any = None
    nodes: list[Any] = field(default_factory=list)
    plugin_path: list[str] = field(default_factory=list)
    loading: list[str] = field(default_factory=list)  # folders of the init.py and menu.py being run, innermost last
    tcl: dict[str, str] = field(default_factory=dict)  # what a bracketed text in a file knob gives
    formats: dict[str, Any] = field(default_factory=dict)  # path → Format of a file "on disk"
    menus: dict[str, Any] = field(default_factory=dict)
    panels: dict[str, tuple[str, str]] = field(default_factory=dict)  # id → (name, expression)
    docked: list[tuple[str, str]] = field(default_factory=list)  # panels that were put into panes
    script_load: list[Any] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # nuke.message
    answers: list[bool] = field(default_factory=list)  # to nuke.ask, first first
    dialogs: list[Callable[[Any], bool]] = field(default_factory=list)  # what a person does in a modal panel
    undo_open: int = 0
    undo_off: int = 0
    undo_done: list[str] = field(default_factory=list)
    undo_cancelled: int = 0
    undo_name: str = ""
    undo_made: list[Any] = field(default_factory=list)  # nodes made inside the open step
    tasks: list[Any] = field(default_factory=list)
    jobs: queue.Queue[Any] = field(default_factory=queue.Queue)
    broken: list[str] = field(default_factory=list)


STATE = State()


def reset(**given: Any) -> State:
    """A new session in the same place."""
    fresh = State(**given)
    STATE.__dict__.clear()
    STATE.__dict__.update(fresh.__dict__)
    return STATE


def break_rule(text: str) -> None:
    """Remember and raise: the remembered line fails the test even where the plug-in swallows the error."""
    STATE.broken.append(text)
    raise Broken(text)


def on_main_thread() -> None:
    """Nodes, knobs and menus belong to the main thread."""
    if threading.current_thread() is not threading.main_thread():
        break_rule("a node, knob or menu was touched off the main thread")


def pump(done: Callable[[], bool], seconds: float = 10.0) -> None:
    """Nuke's own loop: do what threads asked of the main thread until `done`."""
    on_main_thread()
    waited = 0.0
    while not done():
        try:
            STATE.jobs.get(timeout=0.02)()
        except queue.Empty:
            waited += 0.02
        if waited > seconds:
            raise Broken(f"not done after {seconds} s")
