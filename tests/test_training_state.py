"""Checkpoints: the published keys, an exact return, whole files whatever happens."""
import argparse
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

import checkpoint
from checkpoint import CheckpointError
from distributed import Ranks
from models import SyncNet_color, Wav2Lip
from precision import Arithmetic
from training_state import CheckpointFolder, StopSignal, TrainingState, describe, load_or_make

CPU = torch.device("cpu")
ALONE = Ranks(0, 1, 0, CPU)


def make_state(precision: str = "fp32") -> TrainingState:
    network = nn.Linear(2, 1)
    return TrainingState(network, torch.optim.Adam(network.parameters(), 0.1),
                         Arithmetic(CPU, precision), extra={"syncnet_wt": 0.0})


def train(state: TrainingState, steps: int) -> list[float]:
    losses = []
    for _ in range(steps):
        loss = (state.network(torch.randn(4, 2)) - 1).square().mean()
        state.arithmetic.step(loss, state.optimizer, state.global_step + 1, ["x"])
        state.advance(4, 10)
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_restored_run_goes_on_exactly(tmp_path, precision):
    state = make_state(precision)
    train(state, 3)
    state.extra["syncnet_wt"] = 0.03
    state.best = 0.5
    CheckpointFolder(tmp_path, ALONE).save(state)
    expected = train(state, 3)

    path = tmp_path / "checkpoint_step000000003.pth"
    again = make_state(precision)
    again.network.load_state_dict(checkpoint.load(path)["state_dict"])
    again.restore(path)
    assert (again.global_step, again.samples, again.global_epoch) == (3, 12, 1)
    assert (again.extra, again.best) == ({"syncnet_wt": 0.03}, 0.5)
    assert train(again, 3) == expected


def test_weight_decay_is_that_of_the_resumed_run(tmp_path):
    state = make_state()
    train(state, 1)
    CheckpointFolder(tmp_path, ALONE).save(state)
    again = make_state()
    again.optimizer.param_groups[0]["weight_decay"] = 0.05
    again.restore(tmp_path / "checkpoint_step000000001.pth")
    assert [group["weight_decay"] for group in again.optimizer.param_groups] == [0.05]


def test_checkpoint_has_the_published_keys(tmp_path):
    CheckpointFolder(tmp_path, ALONE).save(make_state())
    saved = checkpoint.load(tmp_path / "checkpoint_step000000000.pth")
    assert {"state_dict", "optimizer", "global_step", "global_epoch"} <= saved.keys()


def test_published_checkpoint_and_bare_weights_restore(tmp_path):
    state = make_state()
    train(state, 2)
    payload = state.payload()
    published = {key: payload[key] for key in ("state_dict", "optimizer", "global_step",
                                               "global_epoch")}
    checkpoint.save(tmp_path / "published.pth", published)
    checkpoint.save(tmp_path / "bare.pth", payload["state_dict"])
    for name, step in (("published.pth", 2), ("bare.pth", 0)):
        again = make_state()
        again.restore(tmp_path / name)
        assert again.global_step == step


@pytest.mark.parametrize("max_steps", [1, 2])
def test_checkpoint_with_no_step_left_is_refused(tmp_path, max_steps):
    state = make_state()
    train(state, 2)
    checkpoint.save(tmp_path / "a.pth", state.payload())
    with pytest.raises(CheckpointError, match=f"at step 2 already, --max_steps is {max_steps}"):
        make_state().restore(tmp_path / "a.pth", max_steps)
    make_state().restore(tmp_path / "a.pth", 3)


def test_optimizer_of_another_network_is_refused(tmp_path):
    state = make_state()
    payload = state.payload()
    payload["optimizer"]["param_groups"][0]["params"] = [0]
    checkpoint.save(tmp_path / "a.pth", payload)
    with pytest.raises(CheckpointError, match="optimizer does not fit"):
        make_state().restore(tmp_path / "a.pth")


def test_published_checkpoint_without_its_optimizer_restores(tmp_path):
    state = make_state()
    checkpoint.save(tmp_path / "a.pth", state.payload() | {"optimizer": None, "global_step": 7})
    state.restore(tmp_path / "a.pth")
    assert state.global_step == 0


@pytest.mark.parametrize("optimizer", [{"state": {}}, [1], {"param_groups": 3}])
def test_what_is_no_optimizer_is_refused(tmp_path, optimizer):
    checkpoint.save(tmp_path / "a.pth", make_state().payload() | {"optimizer": optimizer})
    with pytest.raises(CheckpointError, match="optimizer does not fit"):
        make_state().restore(tmp_path / "a.pth")


def test_keep_last_and_best(tmp_path):
    state = make_state()
    folder = CheckpointFolder(tmp_path, ALONE, keep_last=2)
    for score in (0.7, 0.5, 0.6):
        train(state, 1)
        folder.save_if_best(state, score)
        folder.save(state)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "best.pth", "checkpoint_step000000002.pth", "checkpoint_step000000003.pth"]
    assert checkpoint.load(tmp_path / "best.pth")["global_step"] == 2


def test_discriminator_checkpoints_are_kept_apart(tmp_path):
    state = make_state()
    for prefix in ("checkpoint_", "disc_checkpoint_"):
        CheckpointFolder(tmp_path, ALONE, keep_last=1, prefix=prefix).save(state)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_ranks_write_nothing(tmp_path):
    folder = CheckpointFolder(tmp_path, Ranks(1, 2, 1, CPU))
    folder.save(make_state())
    folder.save_if_best(make_state(), 0.1)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's always full device")
def test_full_disk_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    state = make_state()
    folder = CheckpointFolder(tmp_path, ALONE, keep_last=1)
    folder.save(state)
    train(state, 1)
    temp = tmp_path / ".checkpoint_step000000001.pth.1.tmp"
    monkeypatch.setattr("os.getpid", lambda: 1)
    temp.symlink_to("/dev/full")
    with pytest.raises(CheckpointError, match="cannot write .*step000000001.pth.*free some disk"):
        folder.save(state)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint_step000000000.pth"]
    assert checkpoint.load(tmp_path / "checkpoint_step000000000.pth")["global_step"] == 0


def test_sigterm_asks_for_an_end(monkeypatch):
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop = StopSignal(ALONE)
    assert not stop.asked()
    signal.raise_signal(signal.SIGTERM)
    assert stop.asked()
    for number, handler in previous.items():
        signal.signal(number, handler)


def test_networks_are_made_of_the_width_asked_and_loaded_in_their_own(tmp_path):
    args = argparse.Namespace(seed=0, width=0.0625)
    made = load_or_make(SyncNet_color, args, None)
    assert describe(made) == "SyncNet_color of width 0.0625, 66,832 parameters"
    assert torch.equal(made.face_encoder[0].conv_block[0].weight,
                       load_or_make(SyncNet_color, args, None).face_encoder[0].conv_block[0].weight)
    path = tmp_path / "expert.pth"
    checkpoint.save(path, made.state_dict())
    assert load_or_make(SyncNet_color, argparse.Namespace(seed=0, width=1.0), str(path)).training
    with pytest.raises(CheckpointError, match="width 0.0625, not --width 0.5"):
        load_or_make(SyncNet_color, argparse.Namespace(seed=0, width=0.5), str(path))
    with pytest.raises(CheckpointError, match="holds a lip-sync expert.*generator is needed"):
        load_or_make(Wav2Lip, args, str(path))
