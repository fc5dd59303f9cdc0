"""A face's points are found where an independent mesh sees them, and its crop is laid by them."""
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import media
from face_detection import load_detector
from face_points import PointFinder
from face_regions import BOX_ASPECT, POINTS, place_of
from faces import FrameFaces, crop_face, detect_faces
from paste import paste_face
from pipeline import face_places

PORTRAIT = media.read_image(Path(__file__).parent.parent / "examples" / "portrait.jpg")
# MediaPipe 0.10.14, mean of points 33 and 133, of 362 and 263; 61; 291.
MESH = np.array([[204.2, 102.2], [246.4, 104.5], [201.9, 139.2], [245.5, 140.8]])
BOX = np.array([[184.6, 72.5, 265.4, 179.8, 0.9]], np.float32)
BOX_HEIGHT = 107.3
BELOW = 1.04     # height of a crop, in that of its box


@pytest.fixture(scope="module")
def finder():
    return PointFinder()


def turned(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The portrait turned clockwise about the middle of its face, and the map that does it."""
    turn = cv2.getRotationMatrix2D((225, 126), -degrees, 1)
    return cv2.warpAffine(PORTRAIT, turn, PORTRAIT.shape[1::-1]), turn


@pytest.mark.parametrize("degrees", [-20, 0, 20])
def test_points_are_where_the_mesh_sees_them(finder, degrees):
    image, turn = turned(degrees)
    expected = MESH @ turn[:, :2].T + turn[:, 2]
    (found,), = finder.find([image], [BOX])
    assert found.shape == (4, 2) and found.dtype == np.float32
    assert np.linalg.norm(found - expected, axis=1).mean() < 0.03 * BOX_HEIGHT


def test_points_do_not_depend_on_other_faces_or_where_exactly_the_box_lies(finder):
    boxes = np.concatenate([BOX, BOX + np.float32([4, 4, 4, 4, 0]), BOX])
    none, (first, shifted, again), (alone,) = finder.find([PORTRAIT] * 3, [BOX[:0], boxes, BOX])
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, alone, atol=1e-3)
    assert np.linalg.norm(first - shifted, axis=1).mean() < 0.02 * BOX_HEIGHT
    assert none.shape == finder.find([PORTRAIT], [BOX[:0]])[0].shape == (0, 4, 2)


def test_points_of_a_mirrored_face_are_mirrored(finder):
    width = PORTRAIT.shape[1]
    mirrored_box = np.float32([[width - BOX[0, 2], BOX[0, 1], width - BOX[0, 0], BOX[0, 3]]])
    mirror = np.ascontiguousarray(PORTRAIT[:, ::-1])
    (plain,), (found,) = finder.find([PORTRAIT, mirror], [BOX, mirrored_box])
    expected = [width, 0] + plain[[1, 0, 3, 2]] * [-1, 1]
    assert np.linalg.norm(found - expected, axis=1).max() < 0.02 * BOX_HEIGHT


def test_what_is_told_of_views_is_where_it_is_in_the_picture(finder, monkeypatch):
    """A network that tells in each view the brightest places, each in a quarter of its own."""
    image = np.zeros((200, 240, 3), np.uint8)
    points = np.array([[80, 70], [140, 66], [92, 130], [136, 124]])
    for x, y in points:
        cv2.circle(image, (int(x), int(y)), 3, (255, 255, 255), -1)

    def brightest(faces):
        y, x = (torch.stack(torch.meshgrid(*[torch.arange(64)] * 2, indexing="ij")) + 0.5) / 64
        quarters = [(x < 0.5) & (y < 0.5), (x > 0.5) & (y < 0.5), (x < 0.5) & (y > 0.5),
                    (x > 0.5) & (y > 0.5)]
        weights = [faces.sum(1) * quarter for quarter in quarters]
        return torch.stack([torch.stack([(w * x).sum((1, 2)), (w * y).sum((1, 2))], 1)
                            / w.sum((1, 2))[:, None] for w in weights], 1)
    monkeypatch.setattr(finder._network, "forward", brightest)
    (found,), = finder.find([image], [np.float32([[60, 40, 160, 160]])])
    np.testing.assert_allclose(found, points + 0.5, atol=0.6)


def test_points_beyond_belief_are_those_of_the_box(finder, monkeypatch):
    told = finder._network.forward

    def upside_down(faces):
        return told(faces).flip(1)
    monkeypatch.setattr(finder._network, "forward", upside_down)
    corner, sides = BOX[0, :2], BOX[0, 2:4] - BOX[0, :2]
    (found,), = finder.find([PORTRAIT], [BOX])
    np.testing.assert_allclose(found, corner + POINTS * sides, atol=1e-3)


def similar(scale: float, degrees: float, shift) -> np.ndarray:
    """(2, 3) map of upright coordinates, by the textbook's matrix."""
    c, s = scale * np.cos(np.deg2rad(degrees)), scale * np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def test_the_place_of_points_that_are_but_turned_and_moved_is_exact():
    move = similar(180, 25, (300, 200))
    points = (POINTS * [BOX_ASPECT, 1]) @ move[:, :2].T + move[:, 2]
    expected = move @ np.diag([BOX_ASPECT, BELOW, 1])
    np.testing.assert_allclose(place_of(points, 180), expected, atol=1e-9)


def test_of_other_points_the_place_is_turned_as_they_are_and_has_their_mouth():
    """By search: no other turn of POINTS about their middle brings them nearer to the points."""
    points = POINTS * 200 + np.random.default_rng(0).normal(0, 10, POINTS.shape)
    upright = POINTS * [BOX_ASPECT, 1]

    def distance(degrees: float) -> float:
        turn = similar(210, degrees, (0, 0))[:, :2]
        moved = (upright - upright.mean(0)) @ turn.T
        return float(np.square(moved - (points - points.mean(0))).sum())
    place = place_of(points, 210)
    np.testing.assert_allclose(np.linalg.det(place[:, :2]), 210 ** 2 * BOX_ASPECT * BELOW)
    angle = np.rad2deg(np.arctan2(place[1, 0], place[0, 0]))
    assert min(np.linspace(angle - 20, angle + 20, 41), key=distance) == pytest.approx(angle)
    mouth = (POINTS[2] + POINTS[3]) / 2 / [1, BELOW]
    np.testing.assert_allclose(place @ [*mouth, 1], (points[2] + points[3]) / 2)


def test_an_aligned_crop_has_the_points_where_a_generator_expects_them():
    move = similar(220, -17, (90, 130))
    points = (POINTS * [BOX_ASPECT, 1]) @ move[:, :2].T + move[:, 2]
    frame = np.zeros((400, 400, 3), np.uint8)
    for x, y in points:
        cv2.circle(frame, (round(x), round(y)), 4, (255, 255, 255), -1)
    crop = crop_face(frame, place_of(points, 220))[..., 0]
    _, _, _, centres = cv2.connectedComponentsWithStats(np.uint8(crop > 100))
    found = sorted(map(tuple, (centres[1:] + 0.5) / 96))
    np.testing.assert_allclose(found, sorted(map(tuple, POINTS / [1, BELOW])), atol=0.01)


def test_an_upright_place_is_its_box():
    place = np.array([[90, 0, 180], [0, 120, 70]], float)
    crop = crop_face(PORTRAIT, place).astype(int)
    np.testing.assert_allclose(crop, crop_face(PORTRAIT, (180, 70, 270, 190)), atol=8)
    assert np.abs(crop - crop_face(PORTRAIT, (180, 70, 270, 190))).mean() < 0.5


TURNED = similar(1, 20, (150, 60)) @ np.diag([90, 120, 1])


@pytest.mark.parametrize("blend", ["feather", "none"])
def test_paste_puts_a_turned_crop_back_where_it_was(blend):
    y, x = np.mgrid[:240, :320]
    frame = np.stack([x * 0.7, y, x * 0.3 + y * 0.5], axis=-1).astype(np.uint8)
    for place in (TURNED, TURNED + [[0, 0, 140], [0, 0, 130]], TURNED - [[0, 0, 190], [0, 0, 0]],
                  TURNED + [[0, 0, 900], [0, 0, 0]]):
        result = frame.copy()
        paste_face(result, crop_face(frame, place), place, blend)
        assert np.abs(result.astype(int) - frame).max() <= 6


def test_a_hard_paste_covers_the_whole_turned_place_and_nothing_else():
    frame, face = np.zeros((240, 320, 3), np.uint8), np.full((96, 96, 3), 200, np.uint8)
    paste_face(frame, face, TURNED, "none")
    corners = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]) @ TURNED.T
    expected = np.zeros((240, 320), np.uint8)
    cv2.fillConvexPoly(expected, np.rint(corners).astype(int), 200)
    inner, outer = (shape(expected, np.ones((5, 5))) for shape in (cv2.erode, cv2.dilate))
    assert (frame[inner > 0] == 200).all() and (frame[outer == 0] == 0).all()


def test_a_soft_paste_changes_mouth_and_chin_of_a_turned_place_alone():
    frame, face = np.full((240, 320, 3), 100, np.uint8), np.full((96, 96, 3), 100, np.uint8)
    face[(np.indices((96, 96)).sum(0) % 4) < 2] = 180
    paste_face(frame, face, TURNED, "feather")
    y, x = np.nonzero(np.abs(frame[..., 0].astype(int) - 100) > 1)
    u, v = np.linalg.solve(TURNED[:, :2], np.stack([x + 0.5, y + 0.5]) - TURNED[:, 2:])
    assert len(x) > 500
    assert (((u - 0.5) / 0.42) ** 2 + ((v - 0.75) / 0.28) ** 2 < 1).all()


class FixedFinder:
    def find(self, images, boxes):
        points = np.arange(8, dtype=np.float32).reshape(4, 2)
        return [np.tile(points, (len(own), 1, 1)) for own in boxes]


def test_points_come_with_their_boxes_in_pixels_of_the_full_frame():
    detector = load_detector("haar")
    plain, with_points = (next(detect_faces([PORTRAIT], detector, det_size=256, finder=finder))
                          for finder in (None, FixedFinder()))
    np.testing.assert_array_equal(with_points.boxes[:, :5], plain.boxes)
    np.testing.assert_array_equal(with_points.boxes[:, 5:], [np.arange(8) * 2])


class Source:
    fps, size = 25.0, (512, 512)


def places(boxes: np.ndarray, points: np.ndarray, *, cut: int = 0, smooth: bool = False):
    """Of boxes (T, 4) with points in their sides (T, 4, 2), NaN where no face is seen."""
    pixels = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
    faces = [np.concatenate([box, [1], own.ravel()])[None] for box, own in zip(boxes, pixels)]
    found = [FrameFaces(face if np.isfinite(face).all() else face[:0], bool(cut) and n == cut)
             for n, face in enumerate(faces)]
    return np.array(face_places(found, Source(), select="largest", pads=(0, 0, 0, 0),
                                smooth=smooth, aligned=True))


N = 200
STILL = np.tile([100.0, 100, 190, 220], (N, 1))
USUAL = np.tile(POINTS, (N, 1, 1))


def test_a_mouth_that_speaks_does_not_move_its_crop_and_a_head_does():
    t = np.arange(N)
    speaking = USUAL.copy()
    speaking[:, 2:, 1] += 0.05 * np.sin(2 * np.pi * t / 6)[:, None]
    # Of 51 frames 48 are whole periods: of 6 pixels the sines of three frames are left, at most 2.
    left = 6 * 2 / 51
    np.testing.assert_allclose(places(STILL, speaking)[30:170], places(STILL, USUAL)[30:170],
                               atol=left)
    shift = 20 * np.sin(t / 10)
    moving = STILL + shift[:, None] * [1, 0, 1, 0]
    np.testing.assert_allclose(places(moving, speaking)[30:170, 0, 2] - shift[30:170],
                               places(STILL, USUAL)[30:170, 0, 2], atol=0.2)


def test_a_head_that_tilts_slowly_is_followed_but_not_over_a_cut():
    tilt = np.deg2rad(np.linspace(-20, 20, N))
    centred = (POINTS - POINTS.mean(0)) * [90, 120]
    turned = np.stack([centred @ [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]] for a in tilt])
    followed = places(STILL, POINTS.mean(0) + turned / [90, 120])
    np.testing.assert_allclose(np.arctan2(followed[:, 1, 0], followed[:, 0, 0])[30:170],
                               tilt[30:170], atol=0.005)
    tilted = POINTS.mean(0) + turned[-1] / [90, 120]
    cut = np.concatenate([USUAL[:100], np.tile(tilted, (100, 1, 1))])
    after = places(STILL, cut, cut=100)
    angles = np.rad2deg(np.arctan2(after[:, 1, 0], after[:, 0, 0]))
    np.testing.assert_allclose(angles, np.repeat([0, 20], 100), atol=0.1)


def test_short_gaps_are_bridged_and_boxes_smoothed_as_without_points():
    gap = STILL.copy()
    gap[50] = np.nan
    np.testing.assert_allclose(places(gap, USUAL), places(STILL, USUAL), atol=1e-9)
    jump = STILL.copy()
    jump[50, [0, 2]] += 10
    for smooth, moved in ((False, 10), (True, 2)):
        assert places(jump, USUAL, smooth=smooth)[50, 0, 2] - places(STILL, USUAL)[50, 0, 2] == \
            pytest.approx(moved)
