"""Nuke runs this in every mode, on farms too: it tells where Reage's gizmos and icons are, and does nothing else."""


def _reage_add(folder):  # type: ignore[no-untyped-def]  # an older Nuke that finds this file must be able to read it
    """Add a folder, relative to this file. A fault is told on the terminal: nothing here may stop Nuke."""
    try:
        import nuke

        nuke.pluginAddPath(folder, addToSysPath=False)
    except BaseException as error:
        import sys

        sys.stderr.write(f"reage: {folder} cannot be added to Nuke's plug-in path: {error!r}\n")


for _reage_folder in ("../gizmos", "./reage_nuke/icons"):
    _reage_add(_reage_folder)
