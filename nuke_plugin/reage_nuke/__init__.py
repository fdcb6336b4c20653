"""Reage inside Nuke: the panel, and the client of the process that does the work.

Python 3.9, the standard library, `nuke` and Qt: nothing else is loaded into Nuke's process.
"""
