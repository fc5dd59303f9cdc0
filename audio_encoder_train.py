"""Train what tells the mouth's shape from the sound, and make a Wav2Lip of it and a generator.

    python audio_encoder_train.py --data_root lrs2_preprocessed/ --checkpoint_dir ear/ \
        --generator_checkpoint_path shaped/checkpoint_step000004000.pth

takes a generator that wav2lip_train.py or hq_wav2lip_train.py trained with `mouth_shapes=True`, and
writes wav2lip.pth into the checkpoint folder. Not in the paper; models/shapes.py says why.
"""
import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

import checkpoint
import distributed
from clips import listed_clips
from errors import InputError, run_script
from loader import train_loader, validation_loader
from models import ShapeWav2Lip, SoundToShape, hearing
from mouth_shape import SHAPE
from precision import Arithmetic, set_learning_rate
from shape_dataset import SoundShapeDataset
from training_flags import add_training_flags
from training_log import TrainingLog
from training_state import (CheckpointFolder, StopSignal, TrainingState, describe, load_or_make,
                            mean)

log = logging.getLogger(__name__)

_COLUMNS = ["lr", "loss", "grad_norm", "val_loss", *(f"r_{part.replace(' ', '_')}"
                                                     for part in SHAPE)]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    parser.add_argument("--generator_checkpoint_path", required=True,
                        help="the generator that was trained with mouth_shapes=True")
    return parser.parse_args(argv)


def shape_loss(told: Tensor, shapes: Tensor) -> Tensor:
    """Mean squared error, in variances of each part."""
    return F.mse_loss(told.float(), shapes)


@torch.inference_mode()
def evaluate(network: nn.Module, validation: DataLoader,
             arithmetic: Arithmetic) -> tuple[float, list[float]]:
    """The loss, and Pearson's r of each part of the shape, over the fixed samples of all ranks."""
    network.eval()
    losses, moments = [], []
    for batch in validation:
        mels, shapes, _ = batch.to(arithmetic.device)
        with arithmetic.autocast():
            told = network(mels.flatten(0, 1))
        t, s = told.double(), shapes.flatten(0, 1).double()
        losses.append(shape_loss(told, s.float()))
        moments.append(torch.stack([part.mean(0) for part in (t, s, t * t, s * s, t * s)]))
    network.train()
    t, s, tt, ss, ts = distributed.mean_over_ranks(torch.stack(moments).mean(0))
    r = (ts - t * s) / ((tt - t * t) * (ss - s * s)).sqrt()
    return mean(losses), r.tolist()


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)

    # Data
    train_clips = listed_clips(args.data_root, "train", args.filelist_root, hp)
    val_clips = listed_clips(args.data_root, "val", args.filelist_root, hp)
    train_set = SoundShapeDataset(train_clips, hp, seed=args.seed, augment=True)
    validation = validation_loader(SoundShapeDataset(val_clips, hp, seed=args.seed),
                                   hp.grouped_clips, hp.eval_batches, ranks)

    # The generator as it stays, the network, and where an earlier run stopped
    # Training may begin with a Wav2Lip; one that has not learnt shapes will not do here.
    drawer = checkpoint.load_model(args.generator_checkpoint_path, ShapeWav2Lip, "shape_wav2lip")
    if not args.checkpoint_path:
        args.width = drawer.width
    arithmetic = Arithmetic.of(args, hp, ranks.device)
    network = load_or_make(SoundToShape, args, args.checkpoint_path)
    if network.width != drawer.width:
        raise InputError(f"{args.checkpoint_path} is of width {network.width:g}, "
                         f"{args.generator_checkpoint_path} of {drawer.width:g}: not alike")
    ear = arithmetic.prepare(network, ranks)
    optimizer = torch.optim.AdamW(network.parameters(), hp.initial_learning_rate,
                                  weight_decay=hp.weight_decay)
    state = TrainingState(network, optimizer, arithmetic)
    if args.checkpoint_path:
        state.restore(args.checkpoint_path)
    folder = CheckpointFolder(Path(args.checkpoint_dir), ranks, args.keep_last)
    metrics = TrainingLog(args.checkpoint_dir, _COLUMNS, state.global_step, enabled=ranks.is_main)
    log.info("training %s on %d clips from step %d on %s", describe(network), len(train_clips),
             state.global_step, ranks.device)

    # Training
    batches = train_loader(train_set, hp.grouped_clips, ranks, first=state.samples)
    progress = tqdm(batches, "ear", args.max_steps, initial=state.global_step, unit="step",
                    disable=not ranks.is_main)
    for batch in progress:
        lr = set_learning_rate(optimizer, hp.initial_learning_rate, state.global_step, hp)
        mels, shapes, names = batch.to(ranks.device)
        with arithmetic.autocast():
            told = ear(mels.flatten(0, 1))
        loss = shape_loss(told, shapes.flatten(0, 1))
        norm = arithmetic.step(loss, optimizer, state.global_step + 1, names)
        state.advance(len(names) * ranks.world_size, len(train_clips))

        step, value = state.global_step, mean([loss.detach()])
        metrics.add(lr=lr, grad_norm=norm, loss=value)
        progress.set_postfix(loss=f"{value:.3f}")
        stopping = stop.asked()
        last = stopping or step == args.max_steps
        if step % hp.eval_interval == 0 or (last and not stopping):
            val_loss, r = evaluate(network, validation, arithmetic)
            log.info("step %d, validation: loss %.3f, r %s", step, val_loss,
                     ", ".join(f"{part} {x:.2f}" for part, x in zip(SHAPE, r, strict=True)))
            metrics.write(step, state.global_epoch,
                          {"val_loss": val_loss, **dict(zip(_COLUMNS[-len(r):], r))})
            folder.save_if_best(state, val_loss)
        elif step % args.log_interval == 0:
            metrics.write(step, state.global_epoch)
        if step == 1 or step % hp.checkpoint_interval == 0 or last:
            folder.save(state)
            folder.save_weights("wav2lip.pth", hearing(drawer, network, hp.shape_gain))
        if last:
            break
    metrics.close()
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
