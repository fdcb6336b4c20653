"""Qt under one name: PySide6 in Nuke 16 and later, PySide2 in Nuke 14 and 15."""

from __future__ import annotations

try:
    from PySide6 import QtCore, QtGui, QtWidgets

    BINDING = "PySide6"
except ImportError:
    from PySide2 import QtCore, QtGui, QtWidgets  # type: ignore[import-not-found, no-redef]

    BINDING = "PySide2"

__all__ = ["BINDING", "QtCore", "QtGui", "QtWidgets"]
