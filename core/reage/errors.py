"""Every error Reage raises on purpose. The class carries the exit code; the message says what, where, what to do."""

from __future__ import annotations


class ReageError(Exception):
    """Base of all errors that are told to the user in one line.

    Messages are one sentence or two: what went wrong, where (a path, a frame), and what to do about it.
    """

    exit_code = 1


class SomeFramesFailed(ReageError):
    """Some frames failed, and `--on-error skip` or `copy` said to go on."""

    exit_code = 1


class RequestError(ReageError):
    """What was asked for is wrong: an option, a job file, a curve, a range."""

    exit_code = 2


class PlateError(ReageError):
    """A plate, its folder or one of its frames is missing or cannot be read."""

    exit_code = 3


class ModelError(ReageError):
    """A model file is missing, damaged, of an unknown kind, or not trusted."""

    exit_code = 4


class DeviceError(ReageError):
    """There is no usable device, or its memory is too small."""

    exit_code = 5


class OutputError(ReageError):
    """The output cannot be written, or would harm a file that is not ours."""

    exit_code = 6


class Interrupted(BaseException):
    """The user or the queue stopped the run: 130 for SIGINT, 143 for SIGTERM.

    No ReageError and no Exception: what deals with a frame's fault, here or in a library, must not swallow it.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code
