"""FID: statistics, distance, pytorch-fid's network from a file, and the command."""
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import scipy.linalg
import torch
import torchvision
from evaluation_clips import face_clip
from fill_weights import fill
from media_clips import make_clip
from pytorch_fid import inception

from checkpoint import CheckpointError
from evaluation import fid

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    """Weights of pytorch-fid's layers, filled by rule: the real ones are a download."""
    with (mock.patch.object(inception, "load_state_dict_from_url"),
          mock.patch.object(torchvision.models.Inception3, "load_state_dict")):
        model = inception.fid_inception_v3()
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(fill(model).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def model(inception_file):
    return fid.load_inception(inception_file, torch.device("cpu"))


def statistics_of(features: np.ndarray, batch: int) -> fid.Statistics:
    statistics = fid.Statistics(features.shape[1])
    for start in range(0, len(features), batch):
        statistics.add(features[start:start + batch])
    return statistics


def test_statistics_are_those_of_all_features_at_once():
    features = np.random.default_rng(0).normal(3, 2, (57, 6)).astype(np.float32)
    mean, covariance = statistics_of(features, 10).mean_and_covariance()
    np.testing.assert_allclose(mean, features.astype(float).mean(0))
    np.testing.assert_allclose(covariance, np.cov(features.astype(float), rowvar=False))


def test_distance_is_the_formula():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(200, 6)), rng.normal(0.3, 1.5, (150, 6)) @ rng.normal(size=(6, 6))
    mean_a, mean_b = a.mean(0), b.mean(0)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    wanted = (np.sum((mean_a - mean_b) ** 2)
              + np.trace(cov_a + cov_b - 2 * scipy.linalg.sqrtm(cov_a @ cov_b).real))
    assert fid.frechet_distance(statistics_of(a, 50), statistics_of(b, 50)) == pytest.approx(wanted)


def test_distance_of_a_set_from_itself_is_zero_even_with_few_images():
    features = np.random.default_rng(2).normal(size=(5, 20))
    statistics = statistics_of(features, 5)
    assert fid.frechet_distance(statistics, statistics) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="FID needs at least 2"):
        statistics_of(features[:1], 1).mean_and_covariance()


@torch.no_grad()
def test_features_are_pytorch_fids(model):
    images = [np.random.default_rng(3).integers(0, 255, (40, 50, 3)).astype(np.uint8)
              for _ in range(3)]
    stream = fid.FeatureStream(model, batch_size=2)
    for image in images:
        stream.add(image)
    stream.flush()
    assert stream.statistics.count == 3
    # pytorch-fid takes RGB in [0, 1] and resizes by itself.
    batch = torch.from_numpy(np.stack(images)[..., ::-1].copy()).permute(0, 3, 1, 2) / 255
    wanted = model(batch)[0].flatten(1).double().numpy()
    mean, covariance = stream.statistics.mean_and_covariance()
    np.testing.assert_allclose(mean, wanted.mean(0), rtol=1e-3, atol=1e-4 * wanted.max())
    np.testing.assert_allclose(covariance, np.cov(wanted, rowvar=False),
                               rtol=1e-2, atol=1e-4 * wanted.max() ** 2)


def test_the_command_says_which_region_and_how_many(inception_file, monkeypatch, tmp_path, capsys,
                                                    caplog):
    distances = []

    def distance_by_mean(a: fid.Statistics, b: fid.Statistics) -> float:
        # The real one takes half a minute of eigenvalues at 2048 dimensions.
        distances.append(np.abs(a.mean_and_covariance()[0] - b.mean_and_covariance()[0]).max())
        return 1.5

    monkeypatch.setattr(fid, "frechet_distance", distance_by_mean)
    for folder in ("generated", "real"):
        face_clip(tmp_path / folder / "a.mp4", 4)
        make_clip(tmp_path / folder / "landscape.mp4", [np.zeros((64, 64, 3), np.uint8)] * 4)
    face_clip(tmp_path / "generated" / "b.mp4", 4)
    monkeypatch.setattr(sys, "argv", [
        "fid.py", "--generated", str(tmp_path / "generated"), "--ground_truth",
        str(tmp_path / "real"), "--inception_weights", str(inception_file), "--every", "2",
        "--face_detector", "haar", "--device", "cpu"])
    fid.main()
    assert capsys.readouterr().out.splitlines() == [
        "FID of face crops: 1.5000 (2 frames of each, from 1 of 3 videos)",
        "FID of whole frames: 1.5000 (4 frames of each, from 2 of 3 videos)"]
    assert distances == [0, 0]
    assert "no face in any" in caplog.text and "biased upwards" in caplog.text
    assert f"b.mp4: no {tmp_path / 'real' / 'b.mp4'}" in caplog.text


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save({"x.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="does not hold pytorch-fid's Inception"):
        fid.load_inception(tmp_path / "other.pth", torch.device("cpu"))


def test_missing_weights_end_the_command_with_one_line(tmp_path):
    run = subprocess.run(
        [sys.executable, "fid.py", "--generated", tmp_path, "--ground_truth", tmp_path,
         "--inception_weights", tmp_path / "no.pth"],
        cwd=ROOT / "evaluation", capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("fid.py: error: no Inception weights at ")
    assert len(run.stderr.splitlines()) == 1
