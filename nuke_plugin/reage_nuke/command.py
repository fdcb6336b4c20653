"""Short commands of the engine beside the worker (models, farm): asked without waiting, answered by a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

from reage_nuke.qt import QtCore

Answer = Callable[[int, str, str], None]
"""Called with exit code (-1 where it could not be started), standard output and standard error."""


class Commands(QtCore.QObject):
    """Runs commands one after the other. A command is a list of words; no shell reads them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__()
        self._environment = QtCore.QProcessEnvironment()
        for name, value in environment.items():
            self._environment.insert(name, value)
        self._waiting: list[Any] = []
        self._process: Any = None

    def run(self, words: Sequence[str], answer: Answer) -> None:
        """Start a command, or let it wait for its turn."""
        self._waiting.append((list(words), answer))
        if self._process is None:
            self._next()

    def busy(self) -> bool:
        """Whether a command runs or waits."""
        return self._process is not None

    def stop(self) -> None:
        """End what runs, forget what waits; no answer is called any more."""
        self._waiting.clear()
        process, self._process = self._process, None
        if process is not None:
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(2000)

    def _next(self) -> None:
        if not self._waiting:
            self._process = None
            return
        words, answer = self._waiting.pop(0)
        process = QtCore.QProcess(self)
        process.setProcessEnvironment(self._environment)
        process.setProgram(words[0])
        process.setArguments(words[1:])
        process.finished.connect(lambda code, *_: self._ended(process, answer, int(code)))
        process.errorOccurred.connect(lambda error: self._failed(process, answer, error))
        self._process = process
        process.start()
        process.closeWriteChannel()

    def _ended(self, process: Any, answer: Answer, code: int) -> None:
        out, err = (bytes(read()).decode("utf-8", "replace") for read in (
            process.readAllStandardOutput, process.readAllStandardError))  # fmt: skip
        crashed = process.exitStatus() != QtCore.QProcess.NormalExit
        self._next()
        process.deleteLater()
        answer(-1 if crashed else code, out, err)

    def _failed(self, process: Any, answer: Answer, error: Any) -> None:
        if error == QtCore.QProcess.FailedToStart:  # every other end is told by `finished` too
            words = process.errorString()
            self._next()
            process.deleteLater()
            answer(-1, "", words)
