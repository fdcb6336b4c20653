"""Nuke scripts without Nuke: a Tcl reader, a lint against Nuke's own knob table, and a reference model of the nodes.

Nothing here is Nuke. `script` runs the text in a real Tcl interpreter, `lint` compares what it says with facts of
Nuke 17.0v3, `render` draws the graph with numpy from documented formulas.
"""
