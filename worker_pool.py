"""Worker processes: a file that crashes one costs that file alone, and none outlives its parent.

concurrent.futures gives up all work when one worker crashes, does not say on which task, and leaves
its workers behind when the parent is killed.
"""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")

# CUDA cannot be used in a forked process.
CONTEXT = multiprocessing.get_context("spawn")

_READY = "ready"


class WorkerDiedError(InputError):
    """The process that worked on a task ended before the task did."""


def run_tasks(make_job: Callable[[int], Callable[[Task], Result]], tasks: Iterable[Task],
              n_workers: int) -> Iterator[tuple[Task, Result | InputError | OSError]]:
    """Every task with the result of its job, or with the error that it ended with, as they end.

    make_job: called once in each worker, with its number 0 … n_workers−1; both it and the tasks are
    pickled. A job's InputError or OSError is its task's result; any other exception, or a crash,
    ends only the worker, which is replaced, and its task's result is a WorkerDiedError.
    Leaving the iteration ends the workers. InputError if a worker cannot start.
    """
    waiting = iter(tasks)
    workers = [_Worker(make_job, i) for i in range(n_workers)]
    try:
        while workers:
            ready = connection.wait([worker.connection for worker in workers])
            for worker in [worker for worker in workers if worker.connection in ready]:
                message = worker.receive()
                if worker.task is not None:
                    yield worker.task, message
                elif message != _READY:
                    raise message
                if isinstance(message, WorkerDiedError):
                    workers[workers.index(worker)] = _Worker(make_job, worker.number)
                elif not worker.give(waiting):
                    workers.remove(worker)
                    worker.end()
    finally:
        for worker in workers:
            worker.end()


def end_with_parent() -> None:
    """Make this process end at once when its parent does, however that is killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _Worker:
    """One process, and what it is working on."""

    def __init__(self, make_job: Callable[[int], Callable[[Any], Any]], number: int) -> None:
        self.number = number
        self.task: Any = None
        self.connection, remote = CONTEXT.Pipe()
        self._process = CONTEXT.Process(target=_serve, args=(remote, make_job, number), daemon=True)
        self._process.start()
        remote.close()      # else this end would never see that the process has ended

    def give(self, tasks: Iterator[Any]) -> bool:
        """Hand over the next task; False if there is none."""
        for self.task in tasks:
            self.connection.send(self.task)
            return True
        return False

    def receive(self) -> Any:
        """What the process sent: _READY, a result or an error."""
        try:
            return self.connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            return WorkerDiedError(f"the process that worked on it {how}")

    def end(self) -> None:
        self._process.terminate()
        self._process.join()
        self.connection.close()


def _serve(remote: Connection, make_job: Callable[[int], Callable[[Any], Any]],
           number: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)    # Ctrl-C is the parent's to handle
    end_with_parent()
    job = make_job(number)
    remote.send(_READY)
    while True:
        task = remote.recv()
        try:
            result = job(task)
        except (InputError, OSError) as error:
            result = error
        remote.send(result)
