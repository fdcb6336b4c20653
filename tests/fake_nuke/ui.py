"""Menus and panels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fake_nuke.state import STATE, break_rule, on_main_thread

MENUS = ("Nuke", "Pane", "Nodes", "Properties", "Animation", "Viewer", "Node Graph", "Axis")


class MenuItem:
    """A command."""

    def __init__(self, name: str, command: Any, icon: str, tooltip: str) -> None:
        self._name, self._command, self._icon, self._tooltip = name, command, icon, tooltip

    def name(self) -> str:
        return self._name

    def icon(self) -> str:
        return self._icon

    def invoke(self) -> None:
        """As a click: inside an undo step; a text is run in __main__, nothing means a node of that name."""
        from fake_nuke import api

        on_main_thread()
        api.Undo.begin(self._name)
        try:
            if callable(self._command):
                self._command()
            elif self._command is None:
                api.createNode(self._name)
            else:
                exec(self._command, {"__name__": "__main__"})
        finally:
            api.Undo.end()


class Menu(MenuItem):
    """A menu; a slash in a name makes menus on the way."""

    def __init__(self, name: str, icon: str = "", tooltip: str = "") -> None:
        super().__init__(name, None, icon, tooltip)
        self._items: list[MenuItem] = []

    def addCommand(
        self,
        name: str,
        command: str | Callable[[], Any] | None = None,
        shortcut: str | None = None,
        icon: str | None = None,
        tooltip: str | None = None,
        index: int | None = None,
        readonly: bool | None = None,
        shortcutContext: int | None = None,
    ) -> MenuItem:
        on_main_thread()
        if command is not None and not isinstance(command, str) and not callable(command):
            raise TypeError("a command is a text or can be called")
        head, _, last = name.rpartition("/")
        target = self.addMenu(head) if head else self
        item = MenuItem(last, command, icon or f"{last}.png", tooltip or "")
        target._items.append(item)
        return item

    def addMenu(self, name: str, icon: str = "", tooltip: str = "", index: int = -1) -> Menu:
        on_main_thread()
        menu: Menu = self
        for word in name.split("/"):
            found = menu.findItem(word)
            if not isinstance(found, Menu):
                found = Menu(word, icon, tooltip)
                menu._items.append(found)
            menu = found
        return menu

    def addSeparator(self) -> None:
        on_main_thread()
        self._items.append(MenuItem("", "", "", ""))

    def findItem(self, name: str) -> Any:
        on_main_thread()
        head, _, rest = name.partition("/")
        found = next((each for each in self._items if each.name() == head), None)
        return found.findItem(rest) if rest and isinstance(found, Menu) else None if rest else found

    def items(self) -> list[MenuItem]:
        return list(self._items)


def menu(name: str) -> Menu:
    on_main_thread()
    if not STATE.gui:
        raise RuntimeError("there are no menus without a window")
    if name not in MENUS:
        raise RuntimeError(f"no menu {name!r}")
    found: Menu = STATE.menus.setdefault(name, Menu(name))
    return found


def toolbar(name: str, create: bool = True) -> Menu:
    on_main_thread()
    if not STATE.gui:
        raise RuntimeError("there are no toolbars without a window")
    found: Menu = STATE.menus.setdefault(name, Menu(name))
    return found


class PythonPanel:
    """A window of knobs. The test says what a person does in it: `STATE.dialogs`."""

    def __init__(self, title: str = "", id: str = "", scrollable: bool = True) -> None:
        if not STATE.gui:
            break_rule("a panel without a window")
        self._title, self._id = title, id
        self._knobs: dict[str, Any] = {}

    def addKnob(self, knob: Any) -> None:
        self._knobs[knob.name()] = knob

    def knobs(self) -> dict[str, Any]:
        return dict(self._knobs)

    def knobChanged(self, knob: Any) -> None:
        """For subclasses."""

    def addToPane(self, pane: Any) -> None:
        """Put it where it is seen; a registered widget is made now."""
        on_main_thread()
        if pane is None:
            break_rule("a panel was added to no pane")
        if self._id in STATE.panels:
            open_pane(self._id)
        STATE.docked.append((self._id, pane))

    def showModalDialog(self) -> bool:
        on_main_thread()
        return STATE.dialogs.pop(0)(self)


def getPaneFor(panelName: str) -> str:
    """The pane that holds a panel; here, its name."""
    on_main_thread()
    return panelName


def registerWidgetAsPanel(widget: str, name: str, id: str, create: bool = False) -> Any:
    """The widget is a text, pasted into an expression: it has to resolve in __main__."""
    on_main_thread()
    if not STATE.gui:
        break_rule("a panel was registered without a window")
    if not isinstance(widget, str):
        raise TypeError("can only concatenate str")
    STATE.panels[id] = (name, widget)
    menu("Pane").addCommand(name, lambda: open_pane(id))
    return PythonPanel(name, id) if create else None


def open_pane(id: str) -> Any:
    """What a pane does: evaluate the text, and call the class without arguments."""
    return eval(STATE.panels[id][1], {"__name__": "__main__"})()
