"""What torchrun gives a process: its rank, its device, and means over all ranks."""
import os
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from errors import InputError


@dataclass(frozen=True)
class Ranks:
    """This process's place among `world_size`; a plain run is rank 0 of 1."""

    rank: int
    world_size: int
    local_rank: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        return self.rank == 0


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """auto: CUDA where there is one, else Apple's MPS, else the CPU. ValueError if a device is
    asked for that is not there."""
    if name == "auto":
        name = ("cuda" if torch.cuda.is_available()
                else "mps" if torch.backends.mps.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch sees no CUDA GPU here; use --device cpu or auto")
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("--device mps: PyTorch sees no Apple GPU here; use --device cpu or auto")
    return torch.device("cuda", local_rank) if name == "cuda" else torch.device(name)


def start(device: str = "auto", timeout: timedelta | None = None) -> Ranks:
    """Join the other processes that torchrun started, if any (NCCL on CUDA, gloo elsewhere).

    timeout: how long one rank may wait for the others; None = PyTorch's default, some minutes.
    """
    world_size = int(os.environ.get("WORLD_SIZE", 1))
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    ranks = Ranks(int(os.environ.get("RANK", 0)), world_size, local_rank,
                  choose_device(device, local_rank))
    if ranks.device.type == "cuda":
        torch.cuda.set_device(ranks.device)
    if world_size > 1:
        dist.init_process_group("nccl" if ranks.device.type == "cuda" else "gloo", timeout=timeout)
    return ranks


def mean_over_ranks(value: Tensor) -> Tensor:
    """The mean of a tensor over all ranks; itself in a plain run."""
    if not dist.is_initialized():
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def wait_for_all() -> None:
    """Return when every rank has come here."""
    if dist.is_initialized():
        dist.barrier()


def stop() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
