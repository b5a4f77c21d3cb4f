"""Work done by several threads at once, whose results come in the order of the work.

The invariant: what is raised first is what would be raised first by one thread alone; and never more is under way than there are threads,
and one to follow.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order"]

Work = TypeVar("Work")
Result = TypeVar("Result")


def in_order(do: Callable[[Work], Result], works: Iterator[Work], *, workers: int) -> Iterator[Result]:
    """The results of all works, which are asked for in this thread."""
    if workers == 1:
        yield from map(do, works)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="headrace-read") as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            yield from _results(do, works, pool, waiting, most=workers + 1)
        finally:
            for one in waiting:
                one.cancel()


def _results(
    do: Callable[[Work], Result], works: Iterator[Work], pool: ThreadPoolExecutor, waiting: deque[Future[Result]], *, most: int
) -> Iterator[Result]:
    failed: Exception | None = None
    while failed is None:
        try:
            work = next(works)
        except StopIteration:
            break
        except Exception as error:  # noqa: BLE001  # raised below, after what comes before it
            failed = error
            break
        waiting.append(pool.submit(do, work))
        del work
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
    if failed:
        raise failed
