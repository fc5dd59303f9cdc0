"""Training of the networks that tell the mouth's shape, from a sound or from a picture."""
import argparse
import logging
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

import distributed
from dataset import ClipDataset
from distributed import Ranks
from loader import train_loader, validation_loader
from losses import shape_loss
from mouth_shape import SHAPE
from precision import Arithmetic, set_learning_rate
from training_log import TrainingLog
from training_state import CheckpointFolder, StopSignal, TrainingState, describe, mean

log = logging.getLogger(__name__)

# What a batch holds for the network, and the shapes (N, 7) that it should tell.
Pairs = Callable[[tuple], tuple[Tensor, Tensor]]

_COLUMNS = ["lr", "loss", "grad_norm", "val_loss", *(f"r_{part.replace(' ', '_')}"
                                                     for part in SHAPE)]


def train_on_shapes(network: nn.Module, train_set: ClipDataset, val_set: ClipDataset,
                    batch_size: int, pairs: Pairs, args: argparse.Namespace, ranks: Ranks,
                    stop: StopSignal,
                    saved: Callable[[CheckpointFolder], None] = lambda folder: None,
                    taught: Pairs | None = None) -> None:
    """Train by the mean square error until --max_steps or until stopped, from --checkpoint_path.

    batch_size: clips. saved: called after each checkpoint, to write what can be made of it.
    taught: what to learn from in place of `pairs`, which then only evaluates."""
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
    validation = validation_loader(val_set, batch_size, hp.eval_batches, ranks)
    n_clips = len(train_set)
    log.info("training %s on %d clips from step %d on %s", describe(network), n_clips,
             state.global_step, ranks.device)

    batches = train_loader(train_set, batch_size, ranks, first=state.samples)
    progress = tqdm(batches, "shapes", args.max_steps, initial=state.global_step, unit="step",
                    disable=not ranks.is_main)
    for batch in progress:
        lr = set_learning_rate(optimizer, hp.initial_learning_rate, state.global_step, hp)
        given, shapes = (taught or pairs)(batch.to(ranks.device))
        with arithmetic.autocast():
            told = called(given)
        loss = shape_loss(told, shapes)
        norm = arithmetic.step(loss, optimizer, state.global_step + 1, batch.name)
        state.advance(len(batch.name) * ranks.world_size, n_clips)

        step, value = state.global_step, mean([loss.detach()])
        metrics.add(lr=lr, grad_norm=norm, loss=value)
        progress.set_postfix(loss=f"{value:.3f}")
        stopping = stop.asked()
        last = stopping or step == args.max_steps
        if step % hp.eval_interval == 0 or (last and not stopping):
            val_loss, r = evaluate(network, validation, pairs, arithmetic)
            log.info("step %d, validation: loss %.3f, r %s", step, val_loss,
                     ", ".join(f"{part} {x:.2f}" for part, x in zip(SHAPE, r, strict=True)))
            metrics.write(step, state.global_epoch,
                          {"val_loss": val_loss, **dict(zip(_COLUMNS[-len(r):], r))})
            folder.save_if_best(state, val_loss)
        elif step % args.log_interval == 0:
            metrics.write(step, state.global_epoch)
        if step == 1 or step % hp.checkpoint_interval == 0 or last:
            folder.save(state)
            saved(folder)
        if last:
            break
    metrics.close()


@torch.inference_mode()
def evaluate(network: nn.Module, validation: DataLoader, pairs: Pairs,
             arithmetic: Arithmetic) -> tuple[float, list[float]]:
    """The loss, and Pearson's r of each part of the shape, over the fixed samples of all ranks."""
    network.eval()
    losses, moments = [], []
    for batch in validation:
        given, shapes = pairs(batch.to(arithmetic.device))
        with arithmetic.autocast():
            told = network(given)
        losses.append(shape_loss(told, shapes))
        t, s = told.double(), shapes.double()
        moments.append(torch.stack([part.mean(0) for part in (t, s, t * t, s * s, t * s)]))
    network.train()
    t, s, tt, ss, ts = distributed.mean_over_ranks(torch.stack(moments).mean(0))
    r = (ts - t * s) / ((tt - t * t) * (ss - s * s)).sqrt()
    return mean(losses), r.tolist()
