"""Openings are read from the mesh's points, and compared at the right shift."""
import sys

import numpy as np
import pytest

from errors import InputError
from evaluation.mouth_opening import correlation, lip_distances
from face_mesh import N_POINTS, face_meshes


def mesh(apart, scale=1.0):
    """A face whose forehead and nose, 60 long, stand upright, and whose lips are `apart`."""
    points = np.zeros((N_POINTS, 3))
    points[[10, 9, 168, 6, 197, 195, 5], 1] = [0, 10, 20, 30, 40, 50, 60]
    points[[13, 82, 312], :2] = [[0, 80], [-5, 80], [5, 80]]
    points[[14, 87, 317]] = points[[13, 82, 312]] + [0, apart, 9]
    return points * scale


def test_distances_of_lips_are_those_of_the_face_whatever_its_size():
    found = lip_distances([mesh(0), mesh(6), mesh(np.nan), mesh(6, scale=3.5)])
    assert found == pytest.approx([0, 0.1, np.nan, 0.1], nan_ok=True)


def test_correlation_finds_by_how_much_the_result_is_late():
    speaker = np.random.default_rng(0).standard_normal(200)
    for late in (-3, 0, 2):
        result = np.roll(speaker, late) * 0.2 + 1
        assert correlation(result, speaker, 3) == (pytest.approx(1), late)
    assert abs(correlation(np.roll(speaker, 9), speaker, 3)[0]) < 0.25
    assert correlation(-speaker, speaker, 0) == (pytest.approx(-1), 0)


def test_frames_without_a_face_do_not_count():
    speaker = np.random.default_rng(0).standard_normal(50)
    result = speaker.copy()
    result[10:14] = np.nan
    assert correlation(result, speaker[:40], 2) == (pytest.approx(1), 0)


def test_of_a_mouth_that_does_not_move_nothing_is_said():
    assert np.isnan(correlation(np.ones(20), np.arange(20.0), 2)[0])


@pytest.mark.parametrize("frames", [0, 1, 2, 4])
def test_of_a_few_frames_only_what_overlaps_is_said(frames):
    course = np.array([0.1, 0.4, 0.2, 0.3])[:frames]
    r, late = correlation(course, course, 9)
    assert (r, late) == (pytest.approx(1), 0) if frames == 4 else np.isnan(r)


def test_without_mediapipe_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(InputError, match=r"mediapipe==0\.10\.14"):
        next(face_meshes([np.zeros((8, 8, 3), np.uint8)]))
