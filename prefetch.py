"""Run one stage of a stream ahead of the next, in a thread, without ever piling up its results."""
from _thread import start_new_thread
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetch(items: Iterator[Item], depth: int) -> Iterator[Item]:
    """The items in order, computed in a thread of their own at most `depth` ahead.

    An exception of the source arrives where the item would have. Closing the result (or an
    exception in its consumer, with `contextlib.closing`) stops the thread.
    """
    # No futures and no threading.Thread: their locks are taken in Python, where Ctrl-C can hit
    # the main thread between taking a lock and the `with` that lets it go, and all wait for ever.
    wanted: SimpleQueue[bool] = SimpleQueue()
    computed: SimpleQueue[Item | object] = SimpleQueue()
    ended: SimpleQueue[None] = SimpleQueue()
    failure: list[BaseException] = []

    def compute() -> None:
        try:
            while wanted.get() and (item := next(items, _END)) is not _END:
                computed.put(item)
        except BaseException as error:      # raised again in the consumer
            failure.append(error)
        computed.put(_END)
        ended.put(None)

    for _ in range(depth):
        wanted.put(True)
    try:
        start_new_thread(compute, ())
        while (item := computed.get()) is not _END:
            wanted.put(True)
            yield item
        if failure:
            raise failure[0]
    finally:
        _clear(wanted)
        wanted.put(False)
        ended.get()


def _clear(queue: SimpleQueue[bool]) -> None:
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return
