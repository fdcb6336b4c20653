"""Bounded work beside the compute thread: frames decoded ahead, results encoded behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Ahead(Generic[Result]):
    """Calls a function on the items of a list in order, a few items ahead of the reader."""

    def __init__(self, call: Callable[[int], Result], items: Sequence[int], ahead: int, workers: int) -> None:
        self._call, self._items, self._ahead = call, items, ahead
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        self._next = 0
        self._running: dict[int, Future[Result]] = {}

    def get(self, item: int) -> Result:
        """The result for an item; items must be asked for in the order of the list, each once.

        Raises:
            Exception: whatever the call raised for this item.
        """
        while self._next < len(self._items) and (item not in self._running or len(self._running) <= self._ahead):
            upcoming = self._items[self._next]
            self._running[upcoming] = self._pool.submit(self._call, upcoming)
            self._next += 1
        return self._running.pop(item).result()

    def close(self) -> None:
        """Drop what was not asked for."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Behind(Generic[Item, Result]):
    """Runs calls in workers and hands their results out in order; waits when too many are in hand."""

    def __init__(self, workers: int, depth: int) -> None:
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="encode")
        self._depth = depth
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()

    def put(self, item: Item, call: Callable[[], Result]) -> Iterator[tuple[Item, Future[Result]]]:
        """Start a call; yields earlier ones that are done, waiting for the oldest when the queue is full."""
        self._waiting.append((item, self._pool.submit(call)))
        while self._waiting and (self._waiting[0][1].done() or len(self._waiting) > self._depth):
            self._waiting[0][1].exception()  # waits
            yield self._waiting.popleft()

    def drain(self) -> Iterator[tuple[Item, Future[Result]]]:
        """Wait for all that is left."""
        while self._waiting:
            self._waiting[0][1].exception()
            yield self._waiting.popleft()

    def finished(self) -> Iterator[tuple[Item, Future[Result]]]:
        """Calls that ended well and were not handed out: what an error that leaves the block leaves behind."""
        while self._waiting:
            item, future = self._waiting.popleft()
            if future.done() and not future.cancelled() and future.exception() is None:
                yield item, future

    def __enter__(self) -> Behind[Item, Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Calls that run end whole; calls that wait are dropped when an error leaves the block."""
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)
