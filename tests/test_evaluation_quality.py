"""PSNR, SSIM and mouth L1, and which generated video belongs to which real one."""
import csv
import sys

import cv2
import numpy as np
import pytest
from evaluation_clips import face_clip, face_frames
from media_clips import make_clip

from errors import InputError
from evaluation import quality
from evaluation.paired import Comparison, find_comparisons
from face_detection import load_detector


@pytest.fixture(scope="module")
def detector():
    return load_detector("haar")


@pytest.fixture
def face():
    return np.random.default_rng(0).integers(20, 200, (96, 96, 3)).astype(np.uint8)


def test_a_changed_mouth_shows_in_the_mouth_half_most(face):
    changed = face.copy()
    changed[48:] += 16
    result = quality.compare_faces(changed, face)
    # PSNR = 20·log10(255 / rms): rms 16 in the mouth half, 16/√2 over the face.
    assert result.psnr_mouth == pytest.approx(20 * np.log10(255 / 16))
    assert result.psnr_face == pytest.approx(20 * np.log10(255 / 16 * np.sqrt(2)))
    assert result.l1_mouth == pytest.approx(16 / 255)
    assert result.ssim_mouth < result.ssim_face < 1


def test_identical_faces(face):
    assert quality.compare_faces(face, face) == (100, 1, 100, 1, 0)


def test_the_real_face_is_compared_wherever_it_is(detector, tmp_path):
    real = face_frames(6)
    worse = [cv2.GaussianBlur(frame, (0, 0), 3) for frame in real]
    make_clip(tmp_path / "real.mp4", real)
    make_clip(tmp_path / "same.mp4", real[:5])
    make_clip(tmp_path / "small.mp4", [cv2.resize(frame, (160, 160)) for frame in real])
    make_clip(tmp_path / "worse.mp4", worse)
    results = {name: quality.compare_videos(
        Comparison(tmp_path / f"{name}.mp4", tmp_path / "real.mp4"), detector)
        for name in ("same", "small", "worse")}
    assert [frames for frames, _ in results.values()] == [5, 6, 6]
    assert results["same"][1].psnr_face == 100
    assert results["small"][1].psnr_face > 30 > results["worse"][1].psnr_mouth
    assert results["worse"][1].ssim_mouth < 0.9


def test_frames_of_another_shape_are_refused(detector, tmp_path):
    make_clip(tmp_path / "real.mp4", face_frames(3))
    make_clip(tmp_path / "wide.mp4", [frame[:200] for frame in face_frames(3)])
    with pytest.raises(InputError, match="wide.mp4 is 320x200 but .*real.mp4 is 320x320"):
        quality.compare_videos(Comparison(tmp_path / "wide.mp4", tmp_path / "real.mp4"), detector)


def test_results_of_a_list_are_compared_with_its_videos(tmp_path):
    generated, real = tmp_path / "generated", tmp_path / "real"
    for path in (generated / "0.mp4", generated / "2.mp4", real / "p" / "1.mp4", real / "q.avi"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (generated / "lines.csv").write_text(
        "number,audio,video\n0,x,p/1\n1,x,p/1\n2,x,q.avi\n3,x,gone\n")
    there, missing = find_comparisons(generated, real)
    assert there == [(generated / "0.mp4", real / "p/1.mp4"), (generated / "2.mp4", real / "q.avi")]
    assert missing == {generated / "1.mp4": f"no {generated / '1.mp4'}",
                       generated / "3.mp4": f"no {generated / '3.mp4'}"}


def test_nothing_to_compare_is_an_error(tmp_path):
    (tmp_path / "generated").mkdir()
    (tmp_path / "generated" / "a.mp4").touch()
    with pytest.raises(InputError, match="none of the 1 videos .* has its counterpart"):
        find_comparisons(tmp_path / "generated", tmp_path / "real")


def test_the_command_counts_what_it_could_not_compare(monkeypatch, tmp_path, capsys):
    for folder in ("generated", "real"):
        face_clip(tmp_path / folder / "a.mp4", 3)
        make_clip(tmp_path / folder / "landscape.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3)
    face_clip(tmp_path / "generated" / "b.mp4", 3)
    monkeypatch.setattr(sys, "argv", [
        "quality.py", "--generated", str(tmp_path / "generated"), "--ground_truth",
        str(tmp_path / "real"), "--output", str(tmp_path / "out" / "q.csv"),
        "--face_detector", "haar"])
    quality.main()
    output = capsys.readouterr().out
    assert "compared 1 of 3 videos" in output and "l1_mouth: 0.0000" in output
    assert "no face in any of its 3 frames" in output and "b.mp4: no " in output
    with open(tmp_path / "out" / "q.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frames"], row["psnr_face"]) for row in rows] == [("3", "100.0")]
