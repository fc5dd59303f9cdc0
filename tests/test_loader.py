"""Order of samples: every epoch all clips, the same for any number of workers, ranks or resumes."""
import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from clips import DataError, check_clips
from dataset import SyncNetDataset
from distributed import Ranks
from hparams import hparams
from loader import EpochSampler, train_loader, validation_loader
from numbered_clips import write_clip

CPU = torch.device("cpu")
ALONE = Ranks(0, 1, 0, CPU)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("numbered")
    for n in range(5):
        write_clip(root / f"a/{n}", 20)
    return check_clips([root / f"a/{n}" for n in range(5)], root).clips


def names(loader, n_batches):
    return [batch.name for batch in itertools.islice(loader, n_batches)]


def test_every_epoch_takes_all_clips_in_a_new_order():
    keys = list(itertools.islice(EpochSampler(7, 3, seed=0), 21))
    orders = [[index for epoch, index in keys if epoch == e] for e in range(3)]
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert orders[0] != orders[1]


def test_workers_do_not_change_samples(clips):
    runs = [names(train_loader(SyncNetDataset(clips, hparams.override(f"num_workers={n}")), 2,
                               ALONE), 6) for n in (0, 2)]
    assert runs[0] == runs[1]


def test_resumed_order_goes_on(clips):
    dataset = SyncNetDataset(clips, hparams.override("num_workers=0"))
    assert names(train_loader(dataset, 2, ALONE, first=6), 3) == names(
        train_loader(dataset, 2, ALONE), 6)[3:]


def test_two_ranks_see_what_one_with_the_double_batch_does(clips):
    dataset = SyncNetDataset(clips, hparams.override("num_workers=0"))
    shares = [names(train_loader(dataset, 2, Ranks(rank, 2, rank, CPU)), 3) for rank in (0, 1)]
    together = [(*a, *b) for a, b in zip(*shares)]
    assert together == names(train_loader(dataset, 4, ALONE), 3)


def test_validation_is_the_same_each_time_and_shared(clips):
    dataset = SyncNetDataset(clips, hparams.override("num_workers=0"))
    loader = validation_loader(dataset, 2, 4, ALONE)
    first, second = list(loader), list(loader)
    assert len(first) == 4
    assert all(torch.equal(a.mouths, b.mouths) for a, b in zip(first, second, strict=True))
    shares = [names(validation_loader(dataset, 2, 4, Ranks(rank, 2, rank, CPU)), 9)
              for rank in (0, 1)]
    assert sorted(shares[0] + shares[1]) == sorted(batch.name for batch in first)


def test_damaged_file_stops_a_worker_with_its_name(tmp_path):
    write_clip(tmp_path / "a/0")
    found = check_clips([tmp_path / "a/0"], tmp_path).clips
    for path in (tmp_path / "a/0").glob("*.jpg"):
        path.write_bytes(b"")
    loader = train_loader(SyncNetDataset(found, hparams.override("num_workers=1")), 2, ALONE)
    with pytest.raises(DataError, match=r"^\S+/a/0/\d+\.jpg is a damaged JPEG"):
        next(iter(loader))


def test_workers_outlive_what_a_scheduler_sends(clips):
    others = multiprocessing.active_children()
    batches = iter(train_loader(SyncNetDataset(clips, hparams.override("num_workers=1")), 2, ALONE))
    next(batches)
    worker, = set(multiprocessing.active_children()) - set(others)
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(worker.pid, number)
    worker.join(1)
    assert worker.is_alive() and len(next(batches).name) == 2


def test_workers_end_with_a_main_process_that_fails(clips):
    """Python ends them with SIGTERM, too, and then waits for them."""
    code = f"""
import torch
from clips import check_clips
from dataset import SyncNetDataset
from hparams import hparams
from loader import train_loader
from distributed import Ranks
clips = check_clips([{str(clips[0].folder)!r}], {str(clips[0].folder.parent)!r}).clips
batches = iter(train_loader(SyncNetDataset(clips, hparams.override("num_workers=1")), 2,
                            Ranks(0, 1, 0, torch.device("cpu"))))
next(batches)
raise SystemExit(7)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    run = subprocess.run([sys.executable, "-c", code],
                         env=environment, timeout=60)
    assert run.returncode == 7
