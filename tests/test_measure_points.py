"""points.npy holds where the mesh sees eyes and mouth, in sides of the box within the crop."""
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

import face_mesh
import measure_points
from clips import check_clips
from errors import InputError
from face_mesh import N_POINTS
from numbered_clips import GRAY_STEP, write_clip


def mesh_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(0, 384, (N_POINTS, 3)).astype(np.float32)


@pytest.fixture()
def meshes(monkeypatch):
    """MediaPipe is not among the tests' packages: the crop of frame n has a mesh drawn from the
    seed n, a black one none."""
    def fake(frames):
        for frame in frames:
            number = round(float(frame.mean()) / GRAY_STEP)
            yield mesh_of(number) if number else np.full((N_POINTS, 3), np.nan, np.float32)
    monkeypatch.setattr(face_mesh, "face_meshes", fake)
    monkeypatch.setattr(measure_points, "face_meshes", fake)
    monkeypatch.setattr(face_mesh, "ProcessPoolExecutor",
                        lambda workers, context: ThreadPoolExecutor(workers))


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_points_are_in_box_sides_of_their_own_frames(meshes, tmp_path, caplog, margin):
    caplog.set_level(logging.INFO)
    write_clip(tmp_path / "a/00000", 24, missing=(1,))
    write_clip(tmp_path / "a/00001", 16)
    for frame in range(16):
        cv2.imwrite(str(tmp_path / f"a/00001/{frame}.jpg"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "preprocess.json").write_text(json.dumps({"margin": margin}))
    flags = ["--preprocessed_root", str(tmp_path), "--every", "5"]
    measure_points.main(flags)
    assert "1 clips measured" in caplog.text and "without a face" in caplog.text
    clip, = check_clips([tmp_path / "a/00000"], tmp_path).clips
    points = clip.load_points()
    assert points.shape == (24, 4, 2)
    # Crops 0, 2, 3, 4, 5, 6 …: every fifth are 0, which is black, 6, 11, 16 and 21.
    assert np.flatnonzero(np.isfinite(points).all((1, 2))).tolist() == [6, 11, 16, 21]
    mesh = mesh_of(11)[:, :2] / 384
    left_eye, mouth_right = (mesh[33] + mesh[133]) / 2, mesh[291]
    stored = 1 + 2 * margin         # sides of the crop, in those of its box
    np.testing.assert_allclose((points[11, 0] + margin) / stored, left_eye, atol=1e-6)
    np.testing.assert_allclose((points[11, 3] + margin) / stored, mouth_right, atol=1e-6)
    (tmp_path / "a/00001/points.npy").write_bytes(b"")
    caplog.clear()
    measure_points.main(flags)
    assert "0 clips measured" in caplog.text


def test_a_root_without_crops_is_said(tmp_path):
    with pytest.raises(InputError, match="holds no crops"):
        measure_points.main(["--preprocessed_root", str(tmp_path)])
    with pytest.raises(InputError, match="no such folder"):
        measure_points.main(["--preprocessed_root", str(tmp_path / "none")])
