"""Nuke runs this where it has a window: Reage's menus, and its panel for the panes.

Each part stands alone, and a fault is told on the terminal: nothing here may stop Nuke.
"""

_REAGE_GIZMOS = (
    ("ReageApply", "A re-aged face onto the plate, from the layers of a render"),
    ("ReageBlend", "An age in between, from two or three rendered ones"),
    ("ReageMatte", "The face's matte or a region's, to paint on"),
    ("ReageQC", "Difference, wipe, flicker and contact sheet of a result"),
)


def _reage_panel():  # type: ignore[no-untyped-def]
    """Have the panel in the list of panes; where Qt fails it is left out, and the menu still asks in a dialog."""
    from nukescripts import panels

    from reage_nuke import host

    if not host.is_gui():
        return
    __import__("reage_nuke.panel")
    panels.registerWidgetAsPanel(host.PANEL, "Reage", host.PANEL_ID)


def _reage_menus():  # type: ignore[no-untyped-def]
    """Re-age in Nuke's menu bar; the same with the gizmos and the toolset among the nodes."""
    from pathlib import Path

    import nuke

    from reage_nuke import host

    if not host.is_gui():
        return
    tip = "Re-age the selected Read"
    nuke.menu("Nuke").addCommand("Reage/Re-age…", host.open_panel, icon="reage.png", tooltip=tip)
    nodes = nuke.menu("Nodes").addMenu("Reage", icon="reage.png")
    nodes.addCommand("Re-age…", host.open_panel, icon="reage.png", tooltip=tip)
    nodes.addSeparator()
    for name, tip in _REAGE_GIZMOS:
        if Path(host.GIZMOS, name + ".gizmo").is_file():
            nodes.addCommand(name, lambda name=name: host.create_gizmo(name), icon="reage.png", tooltip=tip)
    toolset = Path(host.GIZMOS, "ToolSets", "ReageComp.nk")
    if toolset.is_file():
        nodes.addSeparator()
        tip = "Plate, render, ReageApply and the rest, wired"
        nodes.addCommand("Whole comp", lambda: nuke.loadToolset(toolset.as_posix()), icon="reage.png", tooltip=tip)


for _reage_part in (_reage_menus, _reage_panel):
    try:
        _reage_part()
    except BaseException:
        import sys
        import traceback

        sys.stderr.write("reage: a part of its menus could not be made; Nuke goes on without it\n")
        traceback.print_exc()
