"""shape.npy holds the shapes of its own clip's frames; videos that cannot be measured are named."""
import json
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import face_mesh
import measure_mouths
from errors import InputError
from face_mesh import N_POINTS
from media_clips import make_clip
from mouth_shape import MEAN_FILE, SHAPE_FILE, expected_mean, mouth_shapes


def write_record(folder, source, first_frame, frames):
    folder.mkdir(parents=True)
    record = {"source": source, "clips": [folder.name], "first_frame": first_frame,
              "frames": frames, "faces": frames}
    (folder / "clip.json").write_text(json.dumps(record))


def mesh_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform(0, 100, (N_POINTS, 3))


@pytest.fixture()
def meshes(monkeypatch):
    """MediaPipe is not among the tests' packages: frame n has a mesh drawn from the seed n."""
    for module in (face_mesh, measure_mouths):
        monkeypatch.setattr(module, "face_meshes",
                            lambda frames: (mesh_of(n) for n, _ in enumerate(frames)))
    monkeypatch.setattr(face_mesh, "ProcessPoolExecutor",
                        lambda workers, context: ThreadPoolExecutor(workers))


def test_each_clip_has_the_shapes_of_its_frames(meshes, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "videos/a").mkdir(parents=True)
    make_clip(tmp_path / "videos/a/talk.mp4", [np.zeros((64, 64, 3), np.uint8)] * 50)
    (tmp_path / "videos/a/broken.mp4").write_bytes(b"no video")
    write_record(tmp_path / "clips/a/talk_0", "a/talk.mp4", 0, 20)
    write_record(tmp_path / "clips/a/talk_1", "a/talk.mp4", 23, 25)
    write_record(tmp_path / "clips/a/broken", "a/broken.mp4", 0, 25)
    flags = ["--data_root", str(tmp_path / "videos"), "--preprocessed_root", str(tmp_path / "clips")]
    measure_mouths.main(flags)
    for name, first, frames in (("talk_0", 0, 20), ("talk_1", 23, 25)):
        expected = mouth_shapes(np.stack([mesh_of(first + n) for n in range(frames)]))
        np.testing.assert_array_equal(np.load(tmp_path / "clips/a" / name / SHAPE_FILE), expected)
    assert "2 clips measured" in caplog.text and "broken.mp4" in caplog.text
    assert not (tmp_path / "clips/a/broken" / SHAPE_FILE).exists()
    caplog.clear()
    measure_mouths.main(flags)
    assert "0 clips measured" in caplog.text


def test_a_still_clip_also_has_the_mean_of_its_person(meshes, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "videos/a").mkdir(parents=True)
    make_clip(tmp_path / "videos/a/00000.mp4", [np.zeros((64, 64, 3), np.uint8)] * 20)
    write_record(tmp_path / "clips/a/00000", "a/00000.mp4", 0, 20)
    flags = ["--data_root", str(tmp_path / "videos"), "--preprocessed_root",
             str(tmp_path / "clips"), "--stills"]
    with monkeypatch.context() as faceless:
        faceless.setattr(measure_mouths, "face_meshes",
                         lambda frames: (np.full((N_POINTS, 3), np.nan) for _ in frames))
        measure_mouths.main(flags)
    assert "00000.mp4: no face" in caplog.text and "0 clips measured" in caplog.text
    measure_mouths.main(flags)
    found = np.load(tmp_path / "clips/a/00000" / MEAN_FILE)
    np.testing.assert_array_equal(found, expected_mean(np.stack([mesh_of(n) for n in range(20)])))
    assert np.load(tmp_path / "clips/a/00000" / SHAPE_FILE).shape == (20, 7)


def test_folders_that_are_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="--data_root"):
        measure_mouths.main(["--data_root", str(tmp_path / "none"),
                             "--preprocessed_root", str(tmp_path)])
    with pytest.raises(InputError, match="preprocess.py"):
        measure_mouths.main(["--data_root", str(tmp_path), "--preprocessed_root", str(tmp_path)])
