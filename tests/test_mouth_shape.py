"""A mouth's shape is read from the mesh's points, however the head is held."""
import numpy as np
import pytest

from face_mesh import N_POINTS
from mouth_shape import (SHAPE, expected_mean, lip_thickness, mouth_shapes, relative, thinned,
                         upright)
from models.shapes import N_SHAPE

LEFT, RIGHT = [33, 133, 127, 234, 109], [263, 362, 356, 454, 338]


def mesh(opening=0.0, width=40.0, chin=70.0, forward=0.0):
    """A flat face, its sides 100 apart, upright, looking into the camera; lengths in pixels."""
    points = np.zeros((N_POINTS, 3))
    points[LEFT, 0], points[RIGHT, 0] = -50, 50
    points[[10, 151, 9, 8], 1], points[[197, 195, 5, 4], 1] = -40, 40
    points[[13, 82, 312], 1] = 50
    points[[14, 87, 317], 1] = 50 + opening
    points[[0, 37, 267], 1] = 45
    points[[17, 84, 314], 1] = 55 + opening
    points[[152, 148, 377], 1] = chin + opening
    points[61], points[291] = [-width / 2, 51, 0], [width / 2, 51, 0]
    points[[0, 13, 14, 17], 2] = -forward
    return points


def turn(degrees, axis):
    a, (i, j) = np.radians(degrees), [k for k in range(3) if k != axis]
    rotation = np.eye(3)
    rotation[[i, i, j, j], [i, j, i, j]] = np.cos(a), -np.sin(a), np.sin(a), np.cos(a)
    return rotation


def test_parts_are_the_lengths_of_the_face():
    found = mouth_shapes(mesh(opening=9, width=44, chin=70, forward=3)[None])[0]
    assert found == pytest.approx([0.3, 0.44, 0.45, 0.64, 0.79, 0.51, -0.03], abs=1e-6)
    assert len(found) == len(SHAPE) == N_SHAPE


@pytest.mark.parametrize("axis", range(3))
def test_the_head_may_turn_move_and_come_near(axis):
    points = mesh(opening=16, width=50, forward=2)
    moved = 2.5 * points @ turn(25, axis).T + [300, 200, -40]
    np.testing.assert_allclose(mouth_shapes(moved[None]), mouth_shapes(points[None]), atol=1e-6)
    np.testing.assert_allclose(upright(moved[None]), points[None] / 100, atol=1e-6)


def test_lips_are_as_thick_whether_they_are_apart_or_not():
    """Either is 5 thick, in a face of 100."""
    found = lip_thickness(np.stack([mesh(opening=0), mesh(opening=20), np.full((N_POINTS, 3), np.nan)]))
    assert found == pytest.approx([0.1, 0.1, np.nan], nan_ok=True)


def test_no_face_no_shape():
    found = mouth_shapes(np.stack([mesh(), np.full((N_POINTS, 3), np.nan)]))
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all()


def test_a_person_is_measured_from_its_own_mean_but_for_the_opening():
    spread, mean = list(SHAPE.values()), 0.233
    clips = [np.array([[0.0] + [1.0] * 6, [0.2] + [3.0] * 6]), np.array([[0.4] + [2.0] * 6])]
    clips[1] = np.concatenate([clips[1], np.full((1, 7), np.nan)])
    first, second = relative(clips)
    np.testing.assert_allclose(first * spread, [[0 - mean] + [-1] * 6, [0.2 - mean] + [1] * 6], atol=1e-6)
    np.testing.assert_allclose(second[0] * spread, [0.4 - mean] + [0] * 6, atol=1e-6)
    assert np.isnan(second[1]).all()


def test_a_picture_is_measured_from_the_mean_it_comes_with_but_for_the_opening():
    spread = list(SHAPE.values())
    found, = relative([np.array([[0.4] + [2.0] * 6])], np.array([0.9] + [1.5] * 6))
    np.testing.assert_allclose(found[0] * spread, [0.4 - 0.233] + [0.5] * 6, atol=1e-6)


def test_a_mouth_is_expected_lower_under_a_nose_that_ends_lower():
    """Lips and chin by more than the nose, for such a face is longer; frames without are left out."""
    short, long = mesh(), mesh()
    short[2, 1], long[2, 1] = 62.5, 66.5
    low = expected_mean(np.stack([np.full((N_POINTS, 3), np.nan), long]))
    mean = expected_mean(short[None])
    assert mean == pytest.approx([0.233, 0.537, 0.759, 1.016, 1.274, 0.807, 0.105])
    gained = dict(zip(SHAPE, low - mean, strict=True))
    assert all(0.04 < gained[part] < 0.07 for part in ("upper lip", "lower lip", "chin", "corners"))
    assert gained["opening"] == gained["lips"] == 0


def test_thinned_lips_are_as_much_less_apart_and_as_wide():
    """The opening is the root of the distance."""
    distances = np.array([0.0, 0.02, 0.09])
    shapes = np.column_stack([(np.sqrt(distances) - 0.233) / SHAPE["opening"], np.ones((3, 6))])
    changed = thinned(shapes, 1.3)
    apart = (changed[:, 0] * SHAPE["opening"] + 0.233) ** 2
    np.testing.assert_allclose(apart, distances / 1.3, atol=1e-6)
    assert np.array_equal(changed[:, 1:], shapes[:, 1:])
