"""A stage that runs ahead keeps order, bounds and errors, and stops with its consumer."""
import itertools
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from prefetch import prefetch

ROOT = Path(__file__).parents[1]


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
    source = itertools.count()
    with closing(prefetch(source, 2)) as stream:
        assert next(stream) == 0
    stopped_at = next(source)
    time.sleep(0.05)
    assert next(source) == stopped_at + 1


def test_ctrl_c_at_any_moment_ends_it():
    """Interrupts at random moments of a stream that hands over items all the time. With futures,
    one in some thousands left a lock taken, and closing the stream waited for ever."""
    script = """
import random, signal
from contextlib import closing
from itertools import count
from prefetch import prefetch
signal.signal(signal.SIGALRM, signal.default_int_handler)
rng = random.Random(1)
for _ in range(4000):
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0003, 0.002))
        with closing(prefetch(count(), 8)) as stream:
            for _ in stream:
                pass
    except KeyboardInterrupt:
        pass
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120, check=True)
