"""What finds a face's points is shown them where they are, and learns to find them."""
import csv
import json

import cv2
import numpy as np
import pytest
import torch

import checkpoint
import face_points_train
from clips import DataError, check_clips
from face_points import MARGIN
from face_points_train import PointsDataset
from face_regions import POINTS, POINTS_FILE
from hparams import hparams
from models import FacePoints
from numbered_clips import write_clip

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]      # of the points, in order
SIDE, STORED_MARGIN = 144, 0.25


def write_dots(root, name: str, seed: int) -> None:
    """A clip whose crops show each point as a dot of its colour."""
    rng, folder = np.random.default_rng(seed), root / name
    write_clip(folder, 16)
    points = POINTS + rng.normal(0, 0.04, (16, *POINTS.shape)) + rng.normal(0, 0.04, (16, 1, 2))
    for frame, dots in enumerate(points):
        crop = np.full((SIDE, SIDE, 3), 128, np.uint8)
        for (x, y), colour in zip((dots + STORED_MARGIN) / 1.5 * SIDE, COLOURS, strict=True):
            cv2.circle(crop, (round(x * 16 - 8), round(y * 16 - 8)), 5 * 16, colour, -1, shift=4)
        cv2.imwrite(str(folder / f"{frame}.jpg"), crop)
    points[5] = np.nan
    np.save(folder / POINTS_FILE, points)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("dots")
    for seed in range(10):
        write_dots(root, f"p/{seed:05d}", seed)
    (root / "train.txt").write_text("".join(f"p/{n:05d}\n" for n in range(8)))
    (root / "val.txt").write_text("p/00008\np/00009\n")
    (root / "preprocess.json").write_text(json.dumps({"margin": STORED_MARGIN}))
    return root


def clips(root):
    return check_clips([root / "p/00000", root / "p/00001"], root).clips


def seen_dots(face: torch.Tensor) -> np.ndarray:
    """(4, 2) centres of the dots, in sides of the picture, each by what sets its colour apart."""
    pixels = face.permute(1, 2, 0).double().numpy() * 255
    y, x = (np.mgrid[:64, :64] + 0.5) / 64
    found = []
    for colour in COLOURS:
        weight = np.maximum(0, 150 - np.abs(pixels - colour).sum(2))
        found.append([(weight * x).sum() / weight.sum(), (weight * y).sum() / weight.sum()])
    return np.array(found)


@pytest.mark.parametrize("changes", [
    "flip=0", "box_jitter=0.1", "rotation=30", "flip=1", "flip=0.5,box_jitter=0.1,rotation=30",
    "warp=0.03", "turn=0.3", "smile=0.4", "flip=0.5,box_jitter=0.1,rotation=15,warp=0.02,turn=0.3"])
def test_a_sample_tells_where_its_points_are_seen(data, changes):
    samples = PointsDataset(clips(data), hparams.override(changes), augment=True)
    order = [1, 0, 3, 2]
    for epoch in range(12):
        face, points, name = samples[epoch, epoch % 2]
        assert face.shape == (3, 64, 64) and not name.endswith("@5")
        dots = seen_dots(face)
        if np.abs(points[:, 0].numpy() - dots[:, 0]).max() > 0.1:       # mirrored: so are names
            assert "flip" in changes
            dots = dots[order]
        np.testing.assert_allclose(points, dots, atol=0.012)


def test_without_changes_the_picture_reaches_a_margin_beyond_the_box(data):
    samples = PointsDataset(clips(data), hparams)
    stored = np.load(data / "p/00000" / POINTS_FILE)
    _, points, name = samples[0, 0]
    expected = (stored[int(name.split("@")[1])] + MARGIN) / (1 + 2 * MARGIN)
    np.testing.assert_allclose(points, expected, atol=1e-6)


def test_what_cannot_be_trained_on_is_said(data, tmp_path):
    write_clip(tmp_path / "p/00000", 16)
    bare = check_clips([tmp_path / "p/00000"], tmp_path).clips
    with pytest.raises(DataError, match="--margin 0.25"):
        PointsDataset(bare, hparams)
    (tmp_path / "preprocess.json").write_text('{"margin": 0.25}')
    bare = check_clips([tmp_path / "p/00000"], tmp_path).clips
    with pytest.raises(DataError, match="run measure_points.py"):
        PointsDataset(bare, hparams)
    np.save(tmp_path / "p/00000" / POINTS_FILE, np.full((16, 4, 2), np.nan))
    with pytest.raises(DataError, match="1 clips without points"):
        PointsDataset(bare, hparams)
    np.save(tmp_path / "p/00000" / POINTS_FILE, np.zeros((3, 4, 2)))
    with pytest.raises(DataError, match="not that of this clip"):
        PointsDataset(bare, hparams)


def test_points_are_learnt(data, tmp_path):
    """To tell the mean of all faces would leave 0.071: the dots' two spreads of 0.04 in x and y."""
    flags = ["--data_root", str(data), "--filelist_root", str(data), "--checkpoint_dir",
             str(tmp_path), "--width", "0.5", "--cache_frames", "--hparams",
             "num_workers=0,batch_size=16,eval_batches=4,eval_interval=60,"
             "initial_learning_rate=1e-2,lr_decay_steps=300"]
    face_points_train.main([*flags, "--max_steps", "300"])
    with open(tmp_path / "metrics.csv", newline="") as file:
        errors = [float(row["val_error"]) for row in csv.DictReader(file) if row["val_error"]]
    assert len(errors) == 5 and errors[-1] < 0.05
    network = checkpoint.load_model(tmp_path / "best.pth", FacePoints)
    samples = PointsDataset(check_clips([data / "p/00008", data / "p/00009"], data).clips)
    face, points, _ = zip(*(samples[epoch, epoch % 2] for epoch in range(64)))
    with torch.no_grad():
        told = network(torch.stack(face))
    off = (told - torch.stack(points)).norm(dim=2).mean() * (1 + 2 * MARGIN)
    assert off == pytest.approx(min(errors), rel=0.2)       # what was logged is what it can do
