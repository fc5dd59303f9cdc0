"""What must survive a kill: the state of a training run, its checkpoints, its orderly end."""
import argparse
import logging
import signal
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import checkpoint
from checkpoint import CheckpointError
from distributed import Ranks, mean_over_ranks
from models import ShapeWav2Lip, Wav2Lip
from precision import Arithmetic

log = logging.getLogger(__name__)


@dataclass
class TrainingState:
    """One network in training, with all that a resumed run needs to go on exactly.

    samples: how many samples all ranks have seen, the position in the data. best: the lowest
    evaluation yet. extra: what else the script must remember, such as the sync weight.
    """

    network: nn.Module
    optimizer: Optimizer
    arithmetic: Arithmetic
    global_step: int = 0
    global_epoch: int = 0
    samples: int = 0
    best: float = float("inf")
    extra: dict[str, float] = field(default_factory=dict)

    def advance(self, n_samples: int, n_clips: int) -> None:
        """Count a step over `n_samples` samples of all ranks."""
        self.global_step += 1
        self.samples += n_samples
        self.global_epoch = self.samples // n_clips

    def payload(self) -> dict[str, Any]:
        """The published keys, and what else an exact resume needs."""
        return {"state_dict": self.network.state_dict(), "optimizer": self.optimizer.state_dict(),
                "global_step": self.global_step, "global_epoch": self.global_epoch,
                "samples": self.samples, "best": self.best, "extra": dict(self.extra),
                "scaler": self.arithmetic.scaler.state_dict(), "rng": torch.get_rng_state()}

    def restore(self, path: str | Path, max_steps: int | None = None) -> None:
        """Take optimiser, counters and RNG from the checkpoint whose weights `network` holds.

        A published checkpoint brings step and optimiser, a bare state dict neither. CheckpointError
        if there is none, or one that does not fit, or one that is at `max_steps` already."""
        saved = checkpoint.load(path)
        if not saved.get("optimizer"):      # some published files have None
            log.info("%s holds weights only: training starts at step 0 from them", path)
            return
        step = saved.get("global_step", 0)
        if max_steps is not None and step >= max_steps:
            raise CheckpointError(f"{path} is at step {step} already, --max_steps is {max_steps}: "
                                  "ask for more, or start at step 0 from its weights alone "
                                  "(export_weights.py)")
        decays = [group["weight_decay"] for group in self.optimizer.param_groups]
        try:
            self.optimizer.load_state_dict(saved["optimizer"])
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise CheckpointError(f"{path}: its optimizer does not fit ({error}): save its "
                                  "state_dict alone and start from that") from None
        # Like the rate, which every step sets, a hyper-parameter of this run, not of the saved one.
        for group, decay in zip(self.optimizer.param_groups, decays, strict=True):
            group["weight_decay"] = decay
        self.global_step = step
        self.global_epoch = saved.get("global_epoch", 0)
        self.samples = saved.get("samples", 0)
        self.best = saved.get("best", self.best)
        self.extra |= saved.get("extra", {})
        if saved.get("scaler"):
            self.arithmetic.scaler.load_state_dict(saved["scaler"])
        if "rng" in saved:
            torch.set_rng_state(saved["rng"])


@dataclass(frozen=True)
class CheckpointFolder:
    """--checkpoint_dir as one script uses it: `<prefix>step000000000.pth` and best.pth."""

    folder: Path
    ranks: Ranks
    keep_last: int = 0
    prefix: str = "checkpoint_"

    def save(self, state: TrainingState) -> None:
        """Save atomically, then drop what --keep_last does not keep. CheckpointError if it fails;
        the earlier checkpoints are then all still there."""
        if not self.ranks.is_main:
            return
        path = self.folder / f"{self.prefix}step{state.global_step:09d}.pth"
        self._write(path, state.payload())
        log.info("saved %s", path)
        if self.keep_last:
            for old in sorted(self.folder.glob(f"{self.prefix}step*.pth"))[:-self.keep_last]:
                old.unlink()

    def save_if_best(self, state: TrainingState, score: float) -> None:
        """Keep as `<prefix>best.pth` when `score`, an evaluation's loss, is the lowest yet."""
        if score >= state.best:
            return
        state.best = score
        if self.ranks.is_main:
            name = "best.pth" if self.prefix == "checkpoint_" else f"{self.prefix}best.pth"
            self._write(self.folder / name, state.payload())

    def save_weights(self, name: str, network: nn.Module) -> None:
        """Write a network that this run makes of those it trains. CheckpointError if it fails."""
        if self.ranks.is_main:
            self._write(self.folder / name, {"state_dict": network.state_dict()})

    def _write(self, path: Path, payload: dict[str, Any]) -> None:
        try:
            checkpoint.save(path, payload)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:120]
            raise CheckpointError(f"cannot write {path} ({reason}): free some disk space and "
                          "resume from the newest checkpoint there, which is whole") from None


class StopSignal:
    """SIGTERM or Ctrl-C ask for an end after the step in hand; a second Ctrl-C ends at once."""

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._received = False
        signal.signal(signal.SIGTERM, self._handle)
        signal.signal(signal.SIGINT, self._handle)

    def asked(self) -> bool:
        """Whether any rank was asked: all must stop at the same step."""
        if self._ranks.world_size == 1:
            return self._received
        flag = torch.tensor(float(self._received), device=self._ranks.device)
        return bool(mean_over_ranks(flag) > 0)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._received = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def load_or_make(model_class: type[nn.Module], args: argparse.Namespace,
                 path: str | None) -> nn.Module:
    """The network of `path`, in training mode, or a new one of --width from --seed."""
    if path is None:
        torch.manual_seed(args.seed)
        return model_class(args.width)
    model = checkpoint.load_model(path, model_class).train()
    if args.width not in (1.0, model.width):
        raise CheckpointError(f"{path} holds a network of width {model.width:g}, not --width "
                              f"{args.width:g}: leave --width out when resuming")
    return model


def load_or_make_generator(args: argparse.Namespace) -> Wav2Lip:
    """The generator of --checkpoint_path, or a new one, as the hyper-parameters want it: told sound
    or shapes, with or without its reference's mouth."""
    model_class = ShapeWav2Lip if args.hparams.mouth_shapes else Wav2Lip
    generator = load_or_make(model_class, args, args.checkpoint_path)
    if args.hparams.hide_mouth:
        generator.hide_mouth()
    return generator


def describe(model: nn.Module) -> str:
    """"SyncNet_color of width 0.25, 1,029,184 parameters"."""
    count = sum(parameter.numel() for parameter in model.parameters())
    return f"{type(model).__name__} of width {model.width:g}, {count:,} parameters"


def mean(values: list[Tensor]) -> float:
    """The mean of scalars over their list and over all ranks."""
    return float(mean_over_ranks(torch.stack(values).float().mean()))
