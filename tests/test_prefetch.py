"""A stage that runs ahead keeps order, bounds and errors, and stops with its consumer."""
import threading
from contextlib import closing

import pytest

from prefetch import prefetch


def test_order_and_bound():
    started = []

    def numbers():
        for i in range(20):
            started.append(i)
            yield i

    for i in prefetch(numbers(), 3):
        assert len(started) <= i + 1 + 3
        assert i == started[i]
    assert started == list(range(20))


def test_an_error_arrives_after_the_items_before_it():
    def failing():
        yield 1
        raise OSError("disk on fire")

    stream = prefetch(failing(), 4)
    assert next(stream) == 1
    with pytest.raises(OSError, match="disk on fire"):
        next(stream)


def test_it_runs_beside_its_consumer():
    ahead = threading.Event()

    def source():
        yield 1
        ahead.set()
        yield 2

    stream = prefetch(source(), 2)
    assert next(stream) == 1
    assert ahead.wait(5)
    assert next(stream) == 2


def test_closing_stops_the_thread():
    before = threading.active_count()
    with closing(prefetch(iter(range(10**9)), 2)) as stream:
        assert next(stream) == 0
    assert threading.active_count() == before
