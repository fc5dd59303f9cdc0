"""The generator's table: ground truth is perfect, the reference is as far as the data says."""
import numpy as np
import pytest
import torch
from drawn_clips import draw_data_set
from fill_weights import fill

import checkpoint
from clips import listed_clips
from dataset import Wav2LipDataset
from distributed import Ranks
from evaluation import generator_score
from hparams import hparams
from loader import validation_loader
from losses import get_sync_loss
from models import SyncNet_color, Wav2Lip


@pytest.fixture(params=["", "min_reference_offset=8"])
def table(tmp_path, capsys, request):
    """Row → columns, and the samples that were judged."""
    draw_data_set(tmp_path / "data", tmp_path / "lists", n_train=1, n_val=3)
    checkpoint.save(tmp_path / "g.pth", fill(Wav2Lip(0.0625)).state_dict())
    judge = fill(SyncNet_color(0.0625)).eval()
    checkpoint.save(tmp_path / "judge.pth", judge.state_dict())
    generator_score.main([
        "--data_root", str(tmp_path / "data"), "--filelist_root", str(tmp_path / "lists"),
        "--checkpoint_path", str(tmp_path / "g.pth"), "--judge", str(tmp_path / "judge.pth"),
        "--hparams", request.param, "--batches", "1", "--device", "cpu"])
    lines = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()[3:]]
    hp = hparams.override(request.param)
    clips = listed_clips(tmp_path / "data", "val", tmp_path / "lists")
    batch = next(iter(validation_loader(Wav2LipDataset(clips, hp), 16, 1,
                                        Ranks(0, 1, 0, torch.device("cpu")))))
    return {name.strip(): [float(x) for x in values] for name, *values in lines}, batch, judge


def test_yardsticks(table):
    rows, batch, judge = table
    assert list(rows) == ["generated", "reference", "ground truth"]
    assert rows["ground truth"][1:] == [0, 100, 100, 1, 1]
    with torch.no_grad():
        assert rows["ground truth"][0] == pytest.approx(
            float(get_sync_loss(judge, batch.mel, batch.gt)), abs=1e-3)
    mouths = np.round(255 * batch.gt[:, :, :, 48:].numpy())
    reference = np.round(255 * batch.x[:, 3:, :, 48:].numpy())
    assert rows["reference"][1] == pytest.approx(np.abs(mouths - reference).mean() / 255, abs=1e-4)
    # The upper half is the frame's own: half the squared error, 3.01 dB, over the whole face; of
    # mouths that happen to be alike both are 100 dB.
    differing = (mouths != reference).any(axis=(1, 3, 4)).mean()
    assert rows["reference"][2] - rows["reference"][3] == pytest.approx(
        3.01 * differing, abs=0.02)
    assert rows["generated"][1] > rows["reference"][1]
