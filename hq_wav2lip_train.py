"""Train the generator against the frozen expert and a visual-quality discriminator (paper, 3.5).

    python hq_wav2lip_train.py --data_root lrs2_preprocessed/ --checkpoint_dir wav2lip_gan/ \
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

import checkpoint
import distributed
from dataset import SyncNetDataset, Wav2LipDataset, Wav2LipSample, generator_sets
from errors import run_script
from expert_score import EXPERT_CHECK_BATCHES, load_frozen_expert
from hparams import HParams
from loader import train_loader, validation_loader
from losses import (feature_loss, get_sync_loss, in_gray, mouth_loss, real_fake_loss,
                    recon_loss, shape_loss)
from models import ShapeExpert, Wav2Lip_disc_qual
from models.conv import fold_time
from precision import Arithmetic, set_learning_rate
from shape_dataset import ShapeWav2LipDataset
from training_flags import add_training_flags
from training_log import TrainingLog, collage
from training_state import (CheckpointFolder, StopSignal, TrainingState, describe, load_or_make,
                            load_or_make_generator, mean)

log = logging.getLogger(__name__)

_COLUMNS = ["lr", "syncnet_wt", "loss", "l1", "sync", "perceptual", "disc_loss", "grad_norm",
            "disc_grad_norm", "val_l1", "val_sync", "val_perceptual", "val_disc_loss"]
_COLLAGES = 4
_BETAS = (0.5, 0.999)


class GeneratorLosses(NamedTuple):
    total: Tensor
    l1: Tensor
    sync: Tensor
    perceptual: Tensor


class Evaluation(NamedTuple):
    l1: float
    sync: float
    perceptual: float
    disc_loss: float
    collages: list[np.ndarray]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    parser.add_argument("--syncnet_checkpoint_path", required=True, help="the trained expert")
    parser.add_argument("--disc_checkpoint_path", help="resume the discriminator from here")
    parser.add_argument("--shape_expert_checkpoint_path",
                        help="what the shapes of drawn mouths are read by, with shape_wt as weight")
    return parser.parse_args(argv)


def generator_losses(g: Tensor, batch: Wav2LipSample, expert: nn.Module, discriminator: nn.Module,
                     shape_expert: nn.Module | None, syncnet_wt: float, disc_wt: float,
                     arithmetic: Arithmetic, hp: HParams) -> GeneratorLosses:
    """The generator's loss (paper, Eq. 6) and its parts; a part without weight is 0, not asked."""
    l1 = recon_loss(g, batch.gt)
    sync = perceptual = further = torch.zeros((), device=g.device)
    seen, gt = (in_gray(g), in_gray(batch.gt)) if hp.gray_critics else (g, batch.gt)
    likeness = l1 + hp.mouth_wt * mouth_loss(g, batch.gt)
    with arithmetic.autocast():
        if syncnet_wt > 0:
            sync = get_sync_loss(expert, batch.mel, seen)
        if disc_wt > 0:
            drawn = discriminator.features(seen)
            perceptual = discriminator.perceptual_loss(drawn)
            if hp.feature_wt > 0:
                with torch.no_grad():
                    real = discriminator.features(gt)
                further = further + hp.feature_wt * feature_loss(drawn, real)
        if shape_expert is not None:
            with torch.no_grad():
                shapes = shape_expert(fold_time(batch.gt, 2))
            further = further + hp.shape_wt * shape_loss(shape_expert(fold_time(g, 2)), shapes)
    total = (syncnet_wt * sync + disc_wt * perceptual + further
             + (1 - syncnet_wt - disc_wt) * likeness)
    return GeneratorLosses(total, l1, sync, perceptual)


def discriminator_loss(discriminator: nn.Module, gt: Tensor, g: Tensor,
                       arithmetic: Arithmetic, gray_critics: bool) -> Tensor:
    """BCE of real faces against 1 and of generated ones, detached, against 0 (paper, Eq. 8)."""
    if gray_critics:
        gt, g = in_gray(gt), in_gray(g)
    with arithmetic.autocast():
        real, fake = discriminator(gt), discriminator(g.detach())
    return real_fake_loss(real, fake)


@torch.no_grad()
def evaluate(network: nn.Module, expert: nn.Module, discriminator: nn.Module,
             validation: DataLoader, arithmetic: Arithmetic, hp: HParams) -> Evaluation:
    """Mean losses over the fixed samples of all ranks, and pictures of the first few."""
    network.eval()
    totals, collages = [], []
    for batch in validation:
        batch = batch.to(arithmetic.device)
        with arithmetic.autocast():
            g = network(batch.indiv_mels, batch.x)
        parts = generator_losses(g, batch, expert, discriminator, None, 1.0, 1.0, arithmetic, hp)
        totals.append(torch.stack([*parts[1:], discriminator_loss(discriminator, batch.gt, g,
                                                                  arithmetic, hp.gray_critics)]))
        if not collages:
            collages = [collage(*sample) for sample in zip(batch.x, g, batch.gt)][:_COLLAGES]
    network.train()
    means = distributed.mean_over_ranks(torch.stack(totals).mean(0)).tolist()
    return Evaluation(*means, collages)


def train_step(batch: Wav2LipSample, generator: nn.Module, discriminator: nn.Module,
               expert: nn.Module, shape_expert: nn.Module | None, state: TrainingState,
               disc_state: TrainingState, hp: HParams) -> dict[str, float]:
    """One step of the generator, then one of the discriminator; what to log of both."""
    arithmetic, step = state.arithmetic, state.global_step + 1
    with arithmetic.autocast():
        g = generator(batch.indiv_mels, batch.x)
    # The discriminator judges the generator here, but does not learn from it.
    disc_state.network.requires_grad_(False)
    parts = generator_losses(g, batch, expert, disc_state.network, shape_expert,
                             state.extra["syncnet_wt"], hp.disc_wt, arithmetic, hp)
    norm = arithmetic.step(parts.total, state.optimizer, step, batch.name)
    disc_state.network.requires_grad_(True)

    disc_loss = discriminator_loss(discriminator, batch.gt, g, arithmetic, hp.gray_critics)
    disc_norm = disc_state.arithmetic.step(disc_loss, disc_state.optimizer, step, batch.name)
    values = [loss.detach() for loss in (*parts, disc_loss)]
    loss, l1, sync, perceptual, disc = distributed.mean_over_ranks(torch.stack(values)).tolist()
    return {"loss": loss, "l1": l1, "sync": sync, "perceptual": perceptual, "disc_loss": disc,
            "grad_norm": norm, "disc_grad_norm": disc_norm,
            "syncnet_wt": state.extra["syncnet_wt"]}


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)

    # Data
    samples = ShapeWav2LipDataset if hp.mouth_shapes else Wav2LipDataset
    train_set, val_set = generator_sets(samples, args)
    validation = validation_loader(val_set, hp.batch_size, hp.hq_eval_batches, ranks)

    # The expert, both networks, and where an earlier run stopped
    arithmetic = Arithmetic.of(args, hp, ranks.device)
    expert = load_frozen_expert(
        args.syncnet_checkpoint_path,
        validation_loader(SyncNetDataset(val_set.clips, hp, seed=args.seed), hp.syncnet_batch_size,
                          EXPERT_CHECK_BATCHES, ranks), arithmetic)
    shape_expert = None
    if args.shape_expert_checkpoint_path:
        shape_expert = arithmetic.prepare(checkpoint.load_model(
            args.shape_expert_checkpoint_path, ShapeExpert).requires_grad_(False))
    network = load_or_make_generator(args)
    generator = arithmetic.prepare(network, ranks)
    optimizer = torch.optim.AdamW(network.parameters(), hp.initial_learning_rate, _BETAS,
                                  weight_decay=hp.weight_decay)
    state = TrainingState(network, optimizer, arithmetic, extra={"syncnet_wt": hp.syncnet_wt})
    disc_arithmetic = Arithmetic.of(args, hp, ranks.device)
    disc_network = load_or_make(Wav2Lip_disc_qual, args, args.disc_checkpoint_path)
    discriminator = disc_arithmetic.prepare(disc_network, ranks)
    disc_optimizer = torch.optim.AdamW(disc_network.parameters(), hp.disc_initial_learning_rate,
                                       _BETAS, weight_decay=hp.weight_decay)
    disc_state = TrainingState(disc_network, disc_optimizer, disc_arithmetic)
    if args.disc_checkpoint_path:
        disc_state.restore(args.disc_checkpoint_path)
    if args.checkpoint_path:
        state.restore(args.checkpoint_path, args.max_steps)
    folders = [CheckpointFolder(Path(args.checkpoint_dir), ranks, args.keep_last, prefix)
               for prefix in ("checkpoint_", "disc_checkpoint_")]
    metrics = TrainingLog(args.checkpoint_dir, _COLUMNS, state.global_step, enabled=ranks.is_main)
    log.info("training %s against %s on %d clips from step %d on %s", describe(network),
             describe(disc_network), len(train_set), state.global_step, ranks.device)

    # Training
    batches = train_loader(train_set, hp.batch_size, ranks, first=state.samples)
    progress = tqdm(batches, "hq_wav2lip", args.max_steps, initial=state.global_step, unit="step",
                    disable=not ranks.is_main)
    for batch in progress:
        lr = set_learning_rate(optimizer, hp.initial_learning_rate, state.global_step, hp)
        set_learning_rate(disc_optimizer, hp.disc_initial_learning_rate, state.global_step, hp)
        values = train_step(batch.to(ranks.device), generator, discriminator, expert, shape_expert,
                            state, disc_state, hp)
        for each in (state, disc_state):
            each.advance(len(batch.name) * ranks.world_size, len(train_set))

        step = state.global_step
        metrics.add(lr=lr, **values)
        progress.set_postfix(l1=f"{values['l1']:.4f}", disc=f"{values['disc_loss']:.3f}")
        stopping = stop.asked()
        last = stopping or step == args.max_steps
        if step == 1 or step % hp.eval_interval == 0 or (last and not stopping):
            result = evaluate(network, expert, disc_network, validation, arithmetic, hp)
            log.info("step %d, validation: L1 %.4f, sync %.4f, perceptual %.4f, discriminator %.4f",
                     step, *result[:4])
            metrics.write(step, state.global_epoch, {
                "val_l1": result.l1, "val_sync": result.sync, "val_perceptual": result.perceptual,
                "val_disc_loss": result.disc_loss})
            metrics.write_collages(step, result.collages)
            if result.sync < hp.sync_loss_target:
                state.extra["syncnet_wt"] = hp.hq_syncnet_wt_on
            # The perceptual loss says as much of the discriminator as of the generator: left out.
            folders[0].save_if_best(state, (1 - hp.hq_syncnet_wt_on) * result.l1
                                    + hp.hq_syncnet_wt_on * result.sync)
        elif step % args.log_interval == 0:
            metrics.write(step, state.global_epoch)
        if step == 1 or step % hp.checkpoint_interval == 0 or last:
            folders[0].save(state)
            folders[1].save(disc_state)
        if last:
            break
    metrics.close()
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
