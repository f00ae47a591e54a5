"""The same work for many things, several at a time, in threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Parallel(Generic[T, R]):
    """``work`` for each item, ``workers`` at a time. ``work`` closes its database connection.

    Items are taken one by one, each when a thread is free: there may be millions. Leaving the
    block waits for the items that are begun.
    """

    def __init__(self, work: Callable[[T], R], workers: int) -> None:
        self._work = work
        self._workers = workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="parallel")
        self._ended: SimpleQueue[Future[R]] = SimpleQueue()

    def __enter__(self) -> Parallel[T, R]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def results(self, items: Iterable[T]) -> Iterator[R]:
        """What the work returned for each item, in the order in which they end. Raises what it
        raised.
        """
        begun = 0
        for item in items:
            if begun == self._workers:
                yield self._ended.get().result()
                begun -= 1
            self._threads.submit(self._run, item)
            begun += 1
        for _ in range(begun):
            yield self._ended.get().result()

    def rest(self) -> Iterator[R]:
        """After ``results`` was left early: begin nothing more, and wait for what is begun."""
        self._threads.shutdown(cancel_futures=True)
        while True:
            try:
                yield self._ended.get_nowait().result()
            except Empty:
                return

    def _run(self, item: T) -> None:
        # In the thread: a signal may end ``results`` right after an item was submitted.
        future: Future[R] = Future()
        try:
            future.set_result(self._work(item))
        except BaseException as error:
            future.set_exception(error)
        self._ended.put(future)
