"""Run one stage of a stream ahead of the next, in a thread, without ever piling up its results."""
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetch(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The items in order, computed in a thread of their own at most `depth` ahead.

    An exception of the source arrives where the item would have. Closing the result (or an
    exception in its consumer, with `contextlib.closing`) stops the thread.
    """
    with ThreadPoolExecutor(1) as thread:
        pending = deque(thread.submit(next, items, _END) for _ in range(depth))
        try:
            while (item := pending.popleft().result()) is not _END:
                pending.append(thread.submit(next, items, _END))
                yield item
        finally:
            for future in pending:
                future.cancel()
