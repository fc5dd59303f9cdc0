"""Train the generator against the frozen expert (paper, section 3.4), without a discriminator.

    python wav2lip_train.py --data_root lrs2_preprocessed/ --checkpoint_dir wav2lip/ \
        --syncnet_checkpoint_path expert/best.pth
"""
import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

import distributed
from dataset import SyncNetDataset, Wav2LipDataset, Wav2LipSample, generator_sets
from errors import run_script
from expert_score import EXPERT_CHECK_BATCHES, load_frozen_expert
from loader import train_loader, validation_loader
from losses import get_sync_loss, in_gray, mouth_loss, recon_loss
from precision import Arithmetic, set_learning_rate
from shape_dataset import ShapeWav2LipDataset
from training_flags import add_training_flags
from training_log import TrainingLog, collage
from training_state import (CheckpointFolder, StopSignal, TrainingState, describe,
                            load_or_make_generator, mean)

log = logging.getLogger(__name__)

_COLUMNS = ["lr", "syncnet_wt", "loss", "l1", "sync", "grad_norm", "val_l1", "val_sync"]
_COLLAGES = 4


class Evaluation(NamedTuple):
    l1: float
    sync: float
    collages: list[np.ndarray]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    parser.add_argument("--syncnet_checkpoint_path", required=True, help="the trained expert")
    return parser.parse_args(argv)


def losses(g: Tensor, batch: Wav2LipSample, expert: nn.Module, syncnet_wt: float,
           arithmetic: Arithmetic, gray_critics: bool,
           mouth_wt: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """The recipe's loss (paper, Eq. 6 without its last term) and its parts L1 and sync.

    Without a weight the expert is not asked, and sync is 0."""
    l1 = recon_loss(g, batch.gt)
    sync = torch.zeros((), device=g.device)
    if syncnet_wt > 0:
        with arithmetic.autocast():
            sync = get_sync_loss(expert, batch.mel, in_gray(g) if gray_critics else g)
    likeness = l1 + mouth_wt * mouth_loss(g, batch.gt)
    return (1 - syncnet_wt) * likeness + syncnet_wt * sync, l1, sync


@torch.no_grad()
def evaluate(network: nn.Module, expert: nn.Module, validation: DataLoader,
             arithmetic: Arithmetic, gray_critics: bool) -> Evaluation:
    """Mean losses over the fixed samples of all ranks, and pictures of the first few."""
    network.eval()
    l1s, syncs, collages = [], [], []
    for batch in validation:
        batch = batch.to(arithmetic.device)
        with arithmetic.autocast():
            g = network(batch.indiv_mels, batch.x)
        _, l1, sync = losses(g, batch, expert, 1.0, arithmetic, gray_critics)
        l1s.append(l1)
        syncs.append(sync)
        if not collages:
            collages = [collage(*sample) for sample in zip(batch.x, g, batch.gt)][:_COLLAGES]
    network.train()
    return Evaluation(mean(l1s), mean(syncs), collages)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)

    # Data
    samples = ShapeWav2LipDataset if hp.mouth_shapes else Wav2LipDataset
    train_set, val_set = generator_sets(samples, args)
    validation = validation_loader(val_set, hp.batch_size, hp.eval_batches, ranks)

    # The expert, the generator, and where an earlier run stopped
    arithmetic = Arithmetic.of(args, hp, ranks.device)
    expert = load_frozen_expert(
        args.syncnet_checkpoint_path,
        validation_loader(SyncNetDataset(val_set.clips, hp, seed=args.seed), hp.syncnet_batch_size,
                          EXPERT_CHECK_BATCHES, ranks), arithmetic)
    network = load_or_make_generator(args)
    generator = arithmetic.prepare(network, ranks)
    optimizer = torch.optim.AdamW(network.parameters(), hp.initial_learning_rate,
                                  weight_decay=hp.weight_decay)
    state = TrainingState(network, optimizer, arithmetic, extra={"syncnet_wt": hp.syncnet_wt})
    if args.checkpoint_path:
        state.restore(args.checkpoint_path, args.max_steps)
    folder = CheckpointFolder(Path(args.checkpoint_dir), ranks, args.keep_last)
    metrics = TrainingLog(args.checkpoint_dir, _COLUMNS, state.global_step, enabled=ranks.is_main)
    log.info("training %s on %d clips from step %d on %s", describe(network), len(train_set),
             state.global_step, ranks.device)

    # Training
    batches = train_loader(train_set, hp.batch_size, ranks, first=state.samples)
    progress = tqdm(batches, "wav2lip", args.max_steps, initial=state.global_step, unit="step",
                    disable=not ranks.is_main)
    for batch in progress:
        lr = set_learning_rate(optimizer, hp.initial_learning_rate, state.global_step, hp)
        syncnet_wt = state.extra["syncnet_wt"]
        batch = batch.to(ranks.device)
        with arithmetic.autocast():
            g = generator(batch.indiv_mels, batch.x)
        loss, l1, sync = losses(g, batch, expert, syncnet_wt, arithmetic, hp.gray_critics,
                                hp.mouth_wt)
        norm = arithmetic.step(loss, optimizer, state.global_step + 1, batch.name)
        state.advance(len(batch.name) * ranks.world_size, len(train_set))

        step = state.global_step
        values = {"loss": mean([loss.detach()]), "l1": mean([l1.detach()]),
                  "sync": mean([sync.detach()])}
        metrics.add(lr=lr, syncnet_wt=syncnet_wt, grad_norm=norm, **values)
        progress.set_postfix(l1=f"{values['l1']:.4f}", sync=f"{values['sync']:.3f}")
        stopping = stop.asked()
        last = stopping or step == args.max_steps
        if step == 1 or step % hp.eval_interval == 0 or (last and not stopping):
            result = evaluate(network, expert, validation, arithmetic, hp.gray_critics)
            log.info("step %d, validation: L1 %.4f, sync %.4f", step, result.l1, result.sync)
            metrics.write(step, state.global_epoch, {"val_l1": result.l1, "val_sync": result.sync})
            metrics.write_collages(step, result.collages)
            if result.sync < hp.sync_loss_target:
                state.extra["syncnet_wt"] = hp.syncnet_wt_on
            # Judged as with the weight on, so that evaluations before and after compare.
            folder.save_if_best(state, (1 - hp.syncnet_wt_on) * result.l1
                                + hp.syncnet_wt_on * result.sync)
        elif step % args.log_interval == 0:
            metrics.write(step, state.global_epoch)
        if step == 1 or step % hp.checkpoint_interval == 0 or last:
            folder.save(state)
        if last:
            break
    metrics.close()
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
