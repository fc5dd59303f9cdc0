"""Train the network that finds the points of a face in its box.

    python face_points_train.py --data_root lrs2_preprocessed/ --checkpoint_dir points/

takes clips whose points measure_points.py has measured, with a margin; face_points.py says what the
points are for. Not in the paper.
"""
import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

import augmentation
import distributed
from clips import Clip, DataError, require_all
from dataset import Cache, ClipDataset, Key, generator_sets
from errors import run_script
from face_points import MARGIN
from face_regions import MIRRORED, to_crop
from hparams import HParams, hparams
from loader import train_loader, validation_loader
from models import FacePoints
from models.points import POINTS_SIDE
from precision import Arithmetic, set_learning_rate
from training_flags import add_training_flags
from training_log import TrainingLog
from training_state import (CheckpointFolder, StopSignal, TrainingState, describe, load_or_make,
                            mean)

log = logging.getLogger(__name__)

_COLUMNS = ["lr", "error", "grad_norm", "val_error"]


class PointsSample(NamedTuple):
    """face: (3, 64, 64), BGR in [0, 1]. points: (4, 2), in its sides. A batch adds an axis."""

    face: Tensor
    points: Tensor
    name: str

    def to(self, device: torch.device) -> "PointsSample":
        return PointsSample(*(t.to(device, non_blocking=True) for t in self[:2]), self.name)


class PointsDataset(ClipDataset):
    """One crop of a clip, wider than its box by MARGIN, with the points of the face in it."""

    def __init__(self, clips: Sequence[Clip], hp: HParams = hparams, *, seed: int = 0,
                 augment: bool = False, cache: Cache | None = None) -> None:
        super().__init__(clips, hp, seed=seed, augment=augment, cache=cache)
        if clips[0].margin < MARGIN:
            raise DataError(f"crops with a margin of {clips[0].margin:g} show too little: use "
                            f"preprocess.py --margin 0.25 (least: {MARGIN})")
        # The part of the stored crop that is shown is this one's box.
        self._margin = ((1 + 2 * clips[0].margin) / (1 + 2 * MARGIN) - 1) / 2
        self._points = [clip.load_points() for clip in self.clips]
        self._measured = [[row for row, frame in enumerate(clip.frames)
                           if np.isfinite(points[frame]).all()]
                          for clip, points in zip(self.clips, self._points, strict=True)]
        require_all(self.clips, [bool(rows) for rows in self._measured], "points")

    def __getitem__(self, key: Key) -> PointsSample:
        rng, changes = self._begin(key)
        clip, rows = self.clips[key[1]], self._measured[key[1]]
        row = int(rng.choice(rows))
        frame = int(clip.frames[row])
        crop = (clip.load_crops(row, row + 1, self.hp.img_size) if self._cache is None
                else self._cache[key[1]][0][row:row + 1])
        face = augmentation.change_crops(crop, self._margin, POINTS_SIDE, changes)[0]
        shown = to_crop(self._points[key[1]][frame], MARGIN)
        points = augmentation.change_points(shown, self._margin, POINTS_SIDE, changes)
        if changes.flip:
            points = points[MIRRORED]
        return PointsSample(torch.from_numpy(face).permute(2, 0, 1).float() / 255,
                            torch.from_numpy(points).float(), f"{clip.name}@{frame}")


def points_error(told: Tensor, points: Tensor) -> Tensor:
    """How far the told points (B, 4, 2) are off, on the mean, in box sides."""
    return (told.float() - points).norm(dim=2).mean() * (1 + 2 * MARGIN)


def train(network: FacePoints, train_set: PointsDataset, val_set: PointsDataset,
          args: argparse.Namespace, ranks: distributed.Ranks, stop: StopSignal) -> None:
    """Train until --max_steps or until stopped, from --checkpoint_path."""
    hp = args.hparams
    arithmetic = Arithmetic.of(args, hp, ranks.device)
    called = arithmetic.prepare(network, ranks)
    optimizer = torch.optim.AdamW(network.parameters(), hp.initial_learning_rate,
                                  weight_decay=hp.weight_decay)
    state = TrainingState(network, optimizer, arithmetic)
    if args.checkpoint_path:
        state.restore(args.checkpoint_path, args.max_steps)
    folder = CheckpointFolder(Path(args.checkpoint_dir), ranks, args.keep_last)
    metrics = TrainingLog(args.checkpoint_dir, _COLUMNS, state.global_step, enabled=ranks.is_main)
    validation = validation_loader(val_set, hp.batch_size, hp.eval_batches, ranks)
    log.info("training %s on %d clips from step %d on %s", describe(network), len(train_set),
             state.global_step, ranks.device)

    batches = train_loader(train_set, hp.batch_size, ranks, first=state.samples)
    progress = tqdm(batches, "points", args.max_steps, initial=state.global_step, unit="step",
                    disable=not ranks.is_main)
    for batch in progress:
        lr = set_learning_rate(optimizer, hp.initial_learning_rate, state.global_step, hp)
        batch = batch.to(ranks.device)
        with arithmetic.autocast():
            told = called(batch.face)
        error = points_error(told, batch.points)
        norm = arithmetic.step(error, optimizer, state.global_step + 1, batch.name)
        state.advance(len(batch.name) * ranks.world_size, len(train_set))

        step = state.global_step
        metrics.add(lr=lr, grad_norm=norm, error=mean([error.detach()]))
        stopping = stop.asked()
        last = stopping or step == args.max_steps
        if step % hp.eval_interval == 0 or (last and not stopping):
            val_error = evaluate(network, validation, arithmetic)
            log.info("step %d, validation: %.4f box sides off", step, val_error)
            metrics.write(step, state.global_epoch, {"val_error": val_error})
            folder.save_if_best(state, val_error)
        elif step % args.log_interval == 0:
            metrics.write(step, state.global_epoch)
        if step == 1 or step % hp.checkpoint_interval == 0 or last:
            folder.save(state)
        if last:
            break
    metrics.close()


@torch.inference_mode()
def evaluate(network: FacePoints, validation: DataLoader, arithmetic: Arithmetic) -> float:
    """`points_error` over the fixed samples of all ranks."""
    network.eval()
    errors = []
    for batch in validation:
        batch = batch.to(arithmetic.device)
        with arithmetic.autocast():
            errors.append(points_error(network(batch.face), batch.points))
    network.train()
    return mean(errors)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)
    train_set, val_set = generator_sets(PointsDataset, args)
    train(load_or_make(FacePoints, args, args.checkpoint_path), train_set, val_set, args, ranks,
          stop)
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
