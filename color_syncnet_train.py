"""Train the lip-sync expert (paper, section 3.2): does this mouth say this sound?

    python color_syncnet_train.py --data_root lrs2_preprocessed/ --checkpoint_dir expert/
"""
import argparse
import itertools
import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

import distributed
from clips import Clip, listed_clips
from dataset import GroupedDataset, SyncNetDataset, SyncNetSample, decode_clips
from distributed import Ranks
from errors import run_script
from expert_score import CHANCE_LOSS, score_expert
from hparams import HParams
from loader import train_loader, validation_loader
from losses import all_pairs_loss, contrastive_loss, cosine_loss
from models import SyncNet_color
from precision import Arithmetic, set_learning_rate
from training_flags import add_training_flags
from training_log import TrainingLog
from training_state import (CheckpointFolder, StopSignal, TrainingState, describe, load_or_make,
                            mean)

log = logging.getLogger(__name__)

_COLUMNS = ["lr", "loss", "contrastive_loss", "grad_norm", "val_loss", "val_matched",
            "val_mismatched"]
_PLATEAU_STEPS = 5000
_PLATEAU_HINT = """\
Still at chance ({loss:.3f}) after {step} steps. On LRS2 the plain recipe may need 150 000; before
waiting, rule out what usually causes it:
- sound and mouths out of step:   python sync_correction.py --data_root {data_root} \
--checkpoint_path <an expert>
- wrong frame rate (25 needed):   ffprobe the sources; preprocess.py brings them to 25 fps
- too little data, or clips so short that mismatched windows hardly differ: see the line at the
  start; try --hparams min_negative_offset=5,cross_clip_negatives=0.5
- learning rate too high or low:  --hparams syncnet_lr=3e-4,lr_warmup_steps=500
- or start with a contrastive loss: --warm_start_steps 2000 --all_pairs"""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    parser.add_argument("--warm_start_steps", type=int, default=0, metavar="N",
                        help="first N steps with a contrastive loss among the windows of a clip, "
                        "or of the batch with cross_clip_negatives (default 0: the paper's recipe)")
    parser.add_argument("--all_pairs", action=argparse.BooleanOptionalAction, default=False,
                        help="the recipe's loss over all pairs of grouped_windows windows of each "
                        "of grouped_clips clips, not over one pair a sample (the paper's recipe)")
    parser.add_argument("--plateau_hint", action=argparse.BooleanOptionalAction, default=True,
                        help=f"say what to check if still at chance after {_PLATEAU_STEPS} steps")
    return parser.parse_args(argv)


def training_batches(clips: list[Clip], state: TrainingState, args: argparse.Namespace,
                     ranks: Ranks) -> Iterator[SyncNetSample]:
    """Endless batches, from where `state` stands: first the warm start's, then the recipe's or,
    with --all_pairs, more like the warm start's."""
    hp = args.hparams
    cache = decode_clips(clips, hp) if args.cache_frames else None
    options = {"seed": args.seed, "augment": True, "cache": cache}
    warm_start_steps = math.inf if args.all_pairs else args.warm_start_steps
    if state.global_step < warm_start_steps:
        loader = train_loader(GroupedDataset(clips, hp, **options), hp.grouped_clips, ranks,
                              first=state.samples)
        yield from itertools.takewhile(lambda _: state.global_step < warm_start_steps, loader)
    yield from train_loader(SyncNetDataset(clips, hp, **options), hp.syncnet_batch_size, ranks,
                            first=state.samples)


def batch_loss(expert: nn.Module, batch: SyncNetSample, arithmetic: Arithmetic, hp: HParams, *,
               contrastive: bool) -> Tensor:
    """The recipe's BCE, of a pair a sample or over all pairs of a clip's windows; or the warm
    start's contrastive loss."""
    mel, mouths, label, _ = batch.to(arithmetic.device)
    grouped = mouths.dim() == 5
    with arithmetic.autocast():
        a, v = expert(mel.flatten(0, 1), mouths.flatten(0, 1)) if grouped else expert(mel, mouths)
    if not grouped:
        return cosine_loss(a, v, label)
    # With other clips in the group, matching a voice to a face is learnt first, and sync late.
    group = len(a) if hp.cross_clip_negatives else mouths.shape[1]
    if contrastive:
        return contrastive_loss(a, v, hp.warm_start_temperature, group)
    return all_pairs_loss(a, v, group)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)

    # Data
    train_clips = listed_clips(args.data_root, "train", args.filelist_root, hp)
    val_clips = listed_clips(args.data_root, "val", args.filelist_root, hp)
    validation = validation_loader(SyncNetDataset(val_clips, hp, seed=args.seed),
                                   hp.syncnet_batch_size, hp.syncnet_eval_batches, ranks)

    # Network, optimiser, and where an earlier run stopped
    arithmetic = Arithmetic.of(args, hp, ranks.device)
    network = load_or_make(SyncNet_color, args, args.checkpoint_path)
    expert = arithmetic.prepare(network, ranks)
    optimizer = torch.optim.AdamW(network.parameters(), hp.syncnet_lr,
                                  weight_decay=hp.weight_decay)
    state = TrainingState(network, optimizer, arithmetic)
    if args.checkpoint_path:
        state.restore(args.checkpoint_path, args.max_steps)
    folder = CheckpointFolder(Path(args.checkpoint_dir), ranks, args.keep_last)
    metrics = TrainingLog(args.checkpoint_dir, _COLUMNS, state.global_step, enabled=ranks.is_main)
    log.info("training %s on %d clips from step %d on %s", describe(network), len(train_clips),
             state.global_step, ranks.device)

    # Training
    recent: deque[float] = deque(maxlen=500)
    batches = training_batches(train_clips, state, args, ranks)
    progress = tqdm(batches, "expert", args.max_steps, initial=state.global_step, unit="step",
                    disable=not ranks.is_main)
    for batch in progress:
        contrastive = state.global_step < args.warm_start_steps
        lr = set_learning_rate(state.optimizer, hp.warm_start_lr if contrastive else hp.syncnet_lr,
                               state.global_step, hp)
        loss = batch_loss(expert, batch, arithmetic, hp, contrastive=contrastive)
        norm = arithmetic.step(loss, state.optimizer, state.global_step + 1, batch.name)
        state.advance(len(batch.name) * ranks.world_size, len(train_clips))

        step, value = state.global_step, mean([loss.detach()])
        metrics.add(lr=lr, grad_norm=norm, **{"contrastive_loss" if contrastive else "loss": value})
        progress.set_postfix(loss=f"{value:.3f}")
        stopping = stop.asked()
        last = stopping or step == args.max_steps
        if step % hp.syncnet_eval_interval == 0 or (last and not stopping):
            score = score_expert(network, validation, arithmetic)
            log.info("step %d, validation: %s", step, score)
            metrics.write(step, state.global_epoch,
                          {"val_loss": score.loss, "val_matched": score.matched,
                           "val_mismatched": score.mismatched})
            folder.save_if_best(state, score.loss)
        elif step % args.log_interval == 0:
            metrics.write(step, state.global_epoch)
        if step == 1 or step % hp.syncnet_checkpoint_interval == 0 or last:
            folder.save(state)
        recent.append(value if not contrastive else 0.0)
        if args.plateau_hint and step == _PLATEAU_STEPS and abs(
                np.mean(recent) - CHANCE_LOSS) < 0.01:
            log.warning(_PLATEAU_HINT.format(loss=np.mean(recent), step=step,
                                             data_root=args.data_root))
        if last:
            break
    metrics.close()
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
