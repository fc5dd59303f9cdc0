"""Lips are compared with the face's own, of a picture or a video."""
import cv2
import numpy as np
import pytest

import face_mesh
from errors import InputError
from evaluation import lip_thickness
from test_mouth_shape import mesh


@pytest.fixture(autouse=True)
def meshes(monkeypatch):
    """A face mesh that sees lips as thick as a frame is bright, and in a black one no face."""
    def face_meshes(frames):
        for frame in frames:
            points = mesh(opening=7)
            points[[0, 37, 267], 1] = points[[13, 82, 312], 1] - frame.max() / 2
            points[[17, 84, 314], 1] = points[[14, 87, 317], 1] + frame.max() / 2
            yield points if frame.any() else np.full_like(points, np.nan)
    monkeypatch.setattr(face_mesh, "face_meshes", face_meshes)


def gray(level):
    return np.full((16, 16, 3), level, np.uint8)


@pytest.fixture()
def face(tmp_path):
    cv2.imwrite(str(tmp_path / "face.png"), gray(10))
    return str(tmp_path / "face.png")


@pytest.fixture()
def result(tmp_path, monkeypatch):
    """A video of lips 12 thick, but in one frame 20, and without a face in another."""
    (tmp_path / "result.mp4").write_bytes(b"no picture")
    monkeypatch.setattr(face_mesh.media, "read_frames",
                        lambda path, fps: iter([gray(12), gray(0), gray(20), gray(12)]))
    return str(tmp_path / "result.mp4")


def test_the_lips_of_most_frames_count(face, result, capsys):
    lip_thickness.main(["--result", result, result, "--face", face, result])
    first, second, median = capsys.readouterr().out.splitlines()
    assert "lips 0.120, the face's own 0.100," in first and first.endswith(": 1.20 times as thick")
    assert second.endswith(": 1.00 times as thick")
    assert median == "median of 2: 1.10 times as thick"


def test_what_does_not_fit_is_named(face, result, tmp_path, capsys):
    with pytest.raises(SystemExit):
        lip_thickness.main(["--result", result, "--face", face, face])
    assert "argument --face: 2 files for 1 results" in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / "black.png"), gray(0))
    with pytest.raises(InputError, match="black.png: no face in any of its 1 frames"):
        lip_thickness.main(["--result", result, "--face", str(tmp_path / "black.png")])
