"""Which samples a rank loads, and in which order: endless for training, fixed for validation."""
import atexit
import ctypes
import itertools
import multiprocessing
import os
import signal
from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np
from torch.utils.data import DataLoader, Sampler

from dataset import ClipDataset, Key
from distributed import Ranks


class EpochSampler(Sampler[Key]):
    """Endless keys of one rank, batch by batch; every epoch takes all clips once in a new order.

    Each batch of all ranks is the next `batch_size · world_size` samples in that order, so that the
    ranks together see what one process with the larger batch would. first: samples already seen.
    """

    def __init__(self, n_clips: int, batch_size: int, *, seed: int, first: int = 0,
                 rank: int = 0, world_size: int = 1) -> None:
        self.n_clips = n_clips
        self.batch_size = batch_size
        self.seed = seed
        self.first = first + rank * batch_size
        self.stride = world_size * batch_size

    def __iter__(self) -> Iterator[Key]:
        shuffled, order = -1, np.empty(0, int)
        for batch in itertools.count(self.first, self.stride):
            for position in range(batch, batch + self.batch_size):
                epoch, place = divmod(position, self.n_clips)
                if epoch != shuffled:
                    rng = np.random.default_rng((self.seed, epoch))
                    shuffled, order = epoch, rng.permutation(self.n_clips)
                yield epoch, int(order[place])


def train_loader(dataset: ClipDataset, batch_size: int, ranks: Ranks, *,
                 first: int = 0) -> DataLoader:
    """Endless batches of this rank, from sample number `first` of all ranks on."""
    sampler = EpochSampler(len(dataset), batch_size, seed=dataset.seed, first=first,
                           rank=ranks.rank, world_size=ranks.world_size)
    return _loader(dataset, batch_size, sampler, ranks)


def validation_loader(dataset: ClipDataset, batch_size: int, n_batches: int,
                      ranks: Ranks) -> DataLoader:
    """The same `n_batches` batches each time, shared among the ranks; clips in turn, with other
    windows at every turn."""
    batches = range(ranks.rank, max(n_batches, ranks.world_size), ranks.world_size)
    keys = [divmod(batch * batch_size + i, len(dataset))
            for batch in batches for i in range(batch_size)]
    return _loader(dataset, batch_size, keys, ranks)


def _loader(dataset: ClipDataset, batch_size: int, keys: Sampler[Key] | list[Key],
            ranks: Ranks) -> DataLoader:
    workers = min(dataset.hp.num_workers, os.cpu_count() or 1)
    ending = multiprocessing.RawValue(ctypes.c_byte, 0)
    atexit.register(setattr, ending, "value", 1)
    return DataLoader(dataset, batch_size, sampler=keys, num_workers=workers,
                      pin_memory=ranks.device.type == "cuda",
                      worker_init_fn=partial(_start_worker, ending))


def _start_worker(ending: ctypes.c_byte, _worker: int) -> None:
    """Let Ctrl-C in a shell, and what schedulers send to all processes, be the main process's
    matter: were its workers to die of it, it could not finish its step and save.

    ending: shared; not 0 when the main process ends, which then ends its workers with SIGTERM and
    waits for them.
    """
    cv2.setNumThreads(0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if ending.value else None)
