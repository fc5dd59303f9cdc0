"""A step learns, clips and refuses what is not finite; two processes act as one."""
import math
import os
import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

import distributed
from distributed import Ranks
from losses import cosine_loss
from models import SyncNet_color
from hparams import hparams
from precision import Arithmetic, NonFiniteError, set_learning_rate

CPU = torch.device("cpu")


def one_weight() -> tuple[nn.Parameter, torch.optim.Optimizer]:
    weight = nn.Parameter(torch.tensor([1.0]))
    return weight, torch.optim.SGD([weight], lr=0.1)


def test_step_returns_the_gradient_norm_and_clips_it():
    weight, optimizer = one_weight()
    assert Arithmetic(CPU).step((3 * weight).sum(), optimizer, 1, ["a"]) == pytest.approx(3)
    assert weight.item() == pytest.approx(0.7)
    assert Arithmetic(CPU, grad_clip=1.0).step((3 * weight).sum(), optimizer, 2, ["a"]) == (
        pytest.approx(3))
    assert weight.item() == pytest.approx(0.6, abs=1e-5)


@pytest.mark.parametrize("factor, what", [(math.nan, "loss is nan"), (math.inf, "loss is inf")])
def test_loss_that_is_not_finite_stops_before_the_weights(factor, what):
    weight, optimizer = one_weight()
    with pytest.raises(NonFiniteError, match=f"{what} at step 7, samples a/1@3, b/2@5"):
        Arithmetic(CPU).step((factor * weight).sum(), optimizer, 7, ["a/1@3", "b/2@5"])
    assert weight.item() == 1


def test_gradient_that_is_not_finite_stops_before_the_weights():
    weight, optimizer = one_weight()
    with pytest.raises(NonFiniteError, match="gradient is inf"):
        Arithmetic(CPU).step((weight - 1).clamp(min=0).pow(0.5).sum() + weight.sub(1).sqrt().sum(),
                             optimizer, 1, ["a"])
    assert weight.item() == 1


def test_fp16_scaler_skips_an_overflow_and_goes_on():
    weight, optimizer = one_weight()
    arithmetic = Arithmetic(CPU, "fp16")
    scale = arithmetic.scaler.get_scale()
    assert math.isinf(arithmetic.step((1e38 * weight).sum(), optimizer, 1, ["a"]))
    assert weight.item() == 1 and arithmetic.scaler.get_scale() == scale / 2


def test_learning_rate_rises_linearly_then_stays():
    _, optimizer = one_weight()
    hp = hparams.override("lr_warmup_steps=4")
    assert [set_learning_rate(optimizer, 1.0, step, hp) for step in (0, 1, 3, 9)] == (
        [0.25, 0.5, 1.0, 1.0])
    assert set_learning_rate(optimizer, 1.0, 0, hparams) == optimizer.param_groups[0]["lr"] == 1.0


def test_learning_rate_falls_along_half_a_cosine():
    _, optimizer = one_weight()
    hp = hparams.override("lr_decay_steps=90")
    assert [set_learning_rate(optimizer, 2.0, step, hp) for step in (0, 30, 45, 60, 90, 99)] == (
        pytest.approx([2.0, 1.5, 1.0, 0.5, 0.0, 0.0]))


def test_bf16_in_channels_last_is_near_fp32():
    torch.manual_seed(0)
    mel, mouths = torch.randn(4, 1, 80, 16), torch.rand(4, 15, 48, 96)
    expert = SyncNet_color(0.0625).eval()
    with torch.no_grad():
        a, v = expert(mel, mouths)
        arithmetic = Arithmetic(CPU, "bf16", channels_last=True)
        called = arithmetic.prepare(expert)
        with arithmetic.autocast():
            fast_a, fast_v = called(mel, mouths)
    # 8 bits of mantissa through twenty layers.
    assert (fast_a.float() * a).sum(1).min() > 0.995 and (fast_v.float() * v).sum(1).min() > 0.995


def gradients(ranks: Ranks, batch: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Batch norm uses its running statistics: over gloo every rank would take its own batch's."""
    torch.manual_seed(0)
    network = SyncNet_color(0.0625).double().eval()
    called = Arithmetic(CPU).prepare(network, ranks)
    mel, mouths, label = batch
    cosine_loss(*called(mel, mouths), label).backward()
    return {name: p.grad.clone() for name, p in network.named_parameters()}


def double_batch() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(4, 1, 80, 16).double(), torch.rand(4, 15, 48, 96).double(),
            torch.tensor([[1.0], [0], [0], [1]])]


def run_rank(rank: int, port: int, folder: str) -> None:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE="2",
                      MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    ranks = distributed.start("cpu")
    share = [tensor[2 * rank:2 * rank + 2] for tensor in double_batch()]
    torch.save(gradients(ranks, share), Path(folder) / f"{rank}.pt")
    distributed.stop()


def test_two_processes_give_the_gradients_of_one_with_the_double_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(run_rank, (port, str(tmp_path)), nprocs=2)
    alone = gradients(Ranks(0, 1, 0, CPU), double_batch())
    for rank in (0, 1):
        shared = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for name, gradient in alone.items():
            torch.testing.assert_close(shared[name], gradient, rtol=1e-4, atol=1e-7)
