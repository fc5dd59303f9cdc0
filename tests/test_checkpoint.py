"""Every weight format in the wild loads, and whatever else is given gets one line that says so."""
import os
import pickle

import pytest
import safetensors.torch
import torch
from fill_weights import fill
from torch import nn

import checkpoint
from checkpoint import CheckpointError
from models import SyncNet_color, Wav2Lip

WIDTH = 0.0625


@pytest.fixture(scope="module")
def expert() -> SyncNet_color:
    return fill(SyncNet_color(width=WIDTH))


def with_prefix(weights):
    return {f"module.{key}": value for key, value in weights.items()}


WRITERS = {
    "published": lambda path, m: torch.save(
        {"state_dict": m.state_dict(), "optimizer": None, "global_step": 3, "global_epoch": 1},
        path),
    "legacy file": lambda path, m: torch.save(
        {"state_dict": with_prefix(m.state_dict()), "optimizer": {"state": {}}}, path,
        _use_new_zipfile_serialization=False),
    "DataParallel": lambda path, m: torch.save(with_prefix(m.state_dict()), path),
    "bare": lambda path, m: torch.save(m.state_dict(), path),
    "model key": lambda path, m: torch.save({"model": m.state_dict()}, path),
    "scripted": lambda path, m: torch.jit.script(m).save(path),
    "traced": lambda path, m: torch.jit.trace(
        m, (torch.rand(1, 1, 80, 16), torch.rand(1, 15, 48, 96))).save(path),
    "safetensors": lambda path, m: safetensors.torch.save_file(m.state_dict(), path),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_loads_to_the_same_weights(kind, expert, tmp_path):
    path = tmp_path / "weights.pth"
    WRITERS[kind](str(path), expert)
    loaded = checkpoint.load_model(path, SyncNet_color)
    assert not loaded.training
    expected = expert.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in loaded.state_dict().items())


def test_half_precision_loads_as_float32(expert, tmp_path):
    halves = {key: t.half() if t.is_floating_point() else t
              for key, t in expert.state_dict().items()}
    torch.save(halves, tmp_path / "half.pth")
    weights = checkpoint.load_weights(tmp_path / "half.pth", "syncnet_color")
    assert {t.dtype for t in weights.values()} == {torch.float32, torch.int64}
    for key, tensor in expert.state_dict().items():
        torch.testing.assert_close(weights[key], tensor, rtol=1e-3, atol=1e-6)


class RunsCode:
    """What a malicious file does: call a function of its choice when unpickled."""

    def __reduce__(self):
        return os.mkdir, ("ran_code",)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_never_runs(legacy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"a": torch.ones(1)}, "x": RunsCode()}, "evil.pth",
               _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="may run code"):
        checkpoint.load("evil.pth")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(RunsCode()))
    with pytest.raises(CheckpointError):
        checkpoint.load("plain.pth")
    assert not (tmp_path / "ran_code").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_code_in_a_torchscript_archive_never_runs(expert, tmp_path, monkeypatch):
    """Reading the archive must not hand it to the TorchScript interpreter."""
    path = str(tmp_path / "scripted.pt")
    torch.jit.script(expert).save(path)
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("interpreter used"))
    monkeypatch.setattr(torch._C, "import_ir_module", lambda *_: pytest.fail("interpreter used"))
    assert checkpoint.load_weights(path, "syncnet_color")


def write_module(path):
    torch.save(nn.Linear(2, 2), path)


def write_truncated(path):
    torch.save(SyncNet_color(width=WIDTH).state_dict(), path)
    path.write_bytes(path.read_bytes()[:50_000])


def write_other_network(path):
    torch.save({"state_dict": SyncNet_color(width=WIDTH).state_dict()}, path)


def write_changed_network(path):
    weights = Wav2Lip(width=WIDTH).state_dict()
    del weights["output_block.1.weight"]
    torch.save(weights, path)


def write_diverged(path):
    weights = Wav2Lip(width=WIDTH).state_dict()
    weights["output_block.1.bias"].fill_(float("nan"))
    torch.save(weights, path)


BAD = [
    (lambda path: None, "no weight file"),
    (lambda path: path.mkdir(), "is a folder"),
    (lambda path: path.write_bytes(b""), "is empty"),
    (lambda path: path.write_text("<!DOCTYPE html><html>Quota exceeded</html>"), "is a web page"),
    (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
     "git lfs pull"),
    (lambda path: path.write_bytes(os.urandom(4000)), "no readable weight file"),
    (lambda path: path.write_text("hello"), "no readable weight file"),
    (write_truncated, "no readable weight file"),
    (write_module, "may run code"),
    (write_other_network, "holds a lip-sync expert .* but a Wav2Lip generator is needed"),
    (write_changed_network, "its layers are not those of Wav2Lip"),
    (lambda path: torch.save({"a.weight": torch.ones(2)}, path), "unknown network"),
    (lambda path: torch.save({"epoch": 3}, path), "no weights"),
    (lambda path: torch.save(torch.ones(3), path), "not a state dict"),
    (lambda path: path.write_bytes(b"0."), "no readable weight file"),      # an IndexError inside
    (lambda path: torch.save({"state_dict": None}, path), "no weights"),
    (lambda path: torch.save({1: torch.ones(2)}, path), "unknown network"),
    (write_diverged, "output_block.1.bias is not finite"),
]


@pytest.mark.parametrize("write, message", BAD, ids=[message for _, message in BAD])
def test_what_is_no_generator_gets_one_clear_line(write, message, tmp_path):
    path = tmp_path / "given.pth"
    write(path)
    with pytest.raises(CheckpointError, match=message) as error:
        checkpoint.load_model(path, Wav2Lip)
    assert "given.pth" in str(error.value) and "\n" not in str(error.value)


def test_weights_that_may_not_be_read(expert, tmp_path, monkeypatch):
    torch.save(expert.state_dict(), tmp_path / "a.pth")
    monkeypatch.setattr(os, "access", lambda *_: False)     # root may read all
    with pytest.raises(CheckpointError, match="a.pth may not be read by this user"):
        checkpoint.load(tmp_path / "a.pth")


def test_saved_training_state_round_trips(expert, tmp_path):
    path = tmp_path / "new" / "folder" / "checkpoint_step000000007.pth"
    checkpoint.save(path, {"state_dict": expert.state_dict(), "global_step": 7})
    assert checkpoint.load(path)["global_step"] == 7
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_failed_save_keeps_the_previous_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pth"
    checkpoint.save(path, {"global_step": 1})

    def disk_full(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", disk_full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, {"global_step": 2})
    assert checkpoint.load(path) == {"global_step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pth"]
