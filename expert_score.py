"""How well an expert tells matching from mismatched sound and mouths, on fixed samples.

    python expert_score.py --data_root … --checkpoint_path … [--split val]
"""
import argparse
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import checkpoint
import distributed
from clips import listed_clips
from dataset import SyncNetDataset, SyncNetSample
from errors import run_script
from hparams import hparams
from loader import validation_loader
from losses import cosine_loss
from models import SyncNet_color
from precision import Arithmetic
from training_flags import parse_hparams

log = logging.getLogger(__name__)

CHANCE_LOSS = 0.693     # ln 2
_NO_BETTER = 0.68
EXPERT_CHECK_BATCHES = 20   # before a generator's training


@dataclass(frozen=True)
class ExpertScore:
    """loss: BCE. matched, mismatched: share of each kind judged rightly at a cosine of 0.5."""

    loss: float
    matched: float
    mismatched: float

    @property
    def accuracy(self) -> float:
        """With as many matched as mismatched windows."""
        return (self.matched + self.mismatched) / 2

    @property
    def is_chance(self) -> bool:
        return self.loss > _NO_BETTER

    def __str__(self) -> str:
        return (f"loss {self.loss:.3f} (chance {CHANCE_LOSS}), accuracy {self.accuracy:.1%} "
                f"(matched {self.matched:.1%}, mismatched {self.mismatched:.1%})")


@torch.inference_mode()
def score_expert(expert: nn.Module, batches: Iterable[SyncNetSample],
                 arithmetic: Arithmetic) -> ExpertScore:
    """Score over all ranks; the expert is put into evaluation mode, and back after."""
    was_training = expert.training
    expert.eval()
    totals = torch.zeros(5, device=arithmetic.device)
    for batch in batches:
        mel, mouths, label, _ = batch.to(arithmetic.device)
        with arithmetic.autocast():
            a, v = expert(mel, mouths)
        right = (F.cosine_similarity(a.float(), v.float()) > 0.5) == (label[:, 0] == 1)
        n_matched = label.sum()
        totals += torch.stack([cosine_loss(a, v, label) * len(label),
                               (right * label[:, 0]).sum(), n_matched,
                               (right * (1 - label[:, 0])).sum(), len(label) - n_matched])
    expert.train(was_training)
    loss, right_1, n_1, right_0, n_0 = distributed.mean_over_ranks(totals).tolist()
    return ExpertScore(loss / (n_1 + n_0), right_1 / max(n_1, 1), right_0 / max(n_0, 1))


def load_frozen_expert(path: str, batches: Iterable[SyncNetSample],
                       arithmetic: Arithmetic) -> nn.Module:
    """The expert that a generator will learn from: in evaluation mode, so that its loss does not
    depend on the batch, and without gradients of its own. What it is worth is logged first."""
    expert = checkpoint.load_model(path, SyncNet_color).requires_grad_(False)
    called = arithmetic.prepare(expert)
    score = score_expert(called, batches, arithmetic)
    log.info("expert %s on the validation clips: %s", path, score)
    if score.is_chance:
        log.warning("this expert is no better than chance on the validation clips: a generator "
                    "cannot learn lip sync from it; train it further (color_syncnet_train.py) or "
                    "check the clips' audio offset (sync_correction.py)")
    return called


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_root", required=True, help="preprocessed data set")
    parser.add_argument("--checkpoint_path", required=True, help="expert")
    parser.add_argument("--split", default="val", help="list of clips (default val)")
    parser.add_argument("--filelist_root", help="folder of the lists (default: filelists/)")
    parser.add_argument("--batches", type=int, default=50,
                        help="fixed batches of syncnet_batch_size windows (default 50)")
    parser.add_argument("--hparams", type=parse_hparams, default=hparams, metavar="NAME=VALUE,…",
                        help="such as min_negative_offset=5")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    expert = checkpoint.load_model(args.checkpoint_path, SyncNet_color).to(ranks.device)
    clips = listed_clips(args.data_root, args.split, args.filelist_root, hp)
    batches = validation_loader(SyncNetDataset(clips, hp), hp.syncnet_batch_size, args.batches,
                                ranks)
    log.info("%s", score_expert(expert, batches, Arithmetic(ranks.device)))


if __name__ == "__main__":
    run_script(main)
