"""Jobs for the tests of worker processes: a module of its own, as a worker imports it again."""
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from errors import InputError
from line_table import LineTable


def make_job(number: int) -> Callable[[int | str], object]:
    return do


def do(task: int | str) -> object:
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "bug":
        raise ZeroDivisionError
    if task == "bad":
        raise InputError("bad task")
    if task == "full":
        raise OSError(28, "No space left on device")
    return task * 10


def sleep_job(number: int) -> Callable[[str], None]:
    def job(folder: str) -> None:
        Path(folder, str(os.getpid())).touch()
        time.sleep(60)
    return job


def broken_job(number: int) -> Callable[[int], int]:
    raise ZeroDivisionError("cannot start")


def add_lines(number: int) -> Callable[[str], None]:
    def job(path: str) -> None:
        for i in range(100):
            LineTable(path, ": ").add(f"{number}/{i}", "x" * 50)
            if i % 10 == 0:
                LineTable(path, ": ").tidy(keep=lambda key: True)
    return job
