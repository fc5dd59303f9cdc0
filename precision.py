"""How a training step computes: number format, memory layout, gradient step."""
import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from distributed import Ranks
from errors import InputError
from hparams import HParams

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class NonFiniteError(InputError):
    """A loss or gradient became NaN or infinite; no weight was changed by it."""


@dataclass
class Arithmetic:
    """--precision, --channels_last, --compile and the gradient limits of one run."""

    device: torch.device
    precision: str = "fp32"
    channels_last: bool = False
    compile: bool = False
    grad_clip: float = 0.0
    scaler: torch.amp.GradScaler = field(init=False)

    def __post_init__(self) -> None:
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "fp16")

    @classmethod
    def of(cls, args: argparse.Namespace, hp: HParams, device: torch.device) -> "Arithmetic":
        return cls(device, args.precision, args.channels_last, args.compile, hp.grad_clip)

    def autocast(self) -> torch.autocast:
        """Where the networks run. The losses stay outside: BCE on half precision is refused."""
        return torch.autocast(self.device.type, _DTYPES.get(self.precision, torch.bfloat16),
                              enabled=self.precision != "fp32")

    def prepare(self, network: nn.Module, ranks: Ranks | None = None) -> nn.Module:
        """Move the network to the device in the chosen layout, in place; return what to call.

        ranks: given for a network in training, which all of torchrun's processes then train
        together. On CUDA batch norm is computed over all ranks, as by one process with the larger
        batch; on the CPU, where torch has no such norm, over each rank's own samples.
        """
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        network.to(self.device, memory_format=layout)
        shared = ranks is not None and ranks.world_size > 1
        if shared and self.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        called = torch.compile(network) if self.compile else network
        if not shared:
            return called
        device_ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(called, device_ids=device_ids)

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer, step: int,
             names: Iterable[str]) -> float:
        """Backward and one optimiser step; returns the gradient's norm.

        NonFiniteError, with the weights as before, names the step and the batch's samples.
        """
        if not torch.isfinite(loss):
            raise NonFiniteError(_not_finite("loss", float(loss.detach()), step, names))
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = float(nn.utils.clip_grad_norm_(parameters, self.grad_clip or math.inf))
        # In fp16 an overflowing gradient is normal: the scaler skips the step and scales less.
        if not math.isfinite(norm) and not self.scaler.is_enabled():
            raise NonFiniteError(_not_finite("gradient", norm, step, names))
        self.scaler.step(optimizer)
        self.scaler.update()
        return norm


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float, step: int,
                      hp: HParams) -> float:
    """Set and return the rate of step 0, 1, …: `rate`, after a linear rise over
    `hp.lr_warmup_steps`, along half a cosine to 0 at step `hp.lr_decay_steps` where that is set."""
    if step < hp.lr_warmup_steps:
        rate *= (step + 1) / hp.lr_warmup_steps
    if hp.lr_decay_steps:
        rate *= (1 + math.cos(math.pi * min(1.0, step / hp.lr_decay_steps))) / 2
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def _not_finite(what: str, value: float, step: int, names: Iterable[str]) -> str:
    return (f"the {what} is {value} at step {step}, samples {', '.join(names)}: stopped before it "
            "reached the weights; look at these clips, lower the learning rate or set grad_clip")
