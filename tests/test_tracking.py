"""One person is followed: through crowds, gaps and cuts, on synthetic detections."""
import numpy as np
import pytest

from tracking import follow, smooth_boxes

SIZE = (640, 360)


def box(x, y, width=60, height=80, score=0.9):
    return [x, y, x + width, y + height, score]


def detections(*frames):
    return [np.array(frame, np.float32).reshape(-1, 5) for frame in frames]


def track(frames, cuts=(), select="largest", max_gap=12):
    flags = [i in cuts for i in range(len(frames))]
    return follow(detections(*frames), flags, select=select, frame_size=SIZE, max_gap=max_gap)


def test_the_same_person_stays_chosen_though_sizes_and_order_swap():
    a, b = box(100, 100, 80, 100), box(400, 100, 60, 80)
    bigger_b = box(400, 100, 84, 104)
    path = track([[a, b], [bigger_b, a], [b, a], [a, b]])
    np.testing.assert_array_equal(path, np.tile(a[:4], (4, 1)))


@pytest.mark.parametrize("select, expected", [
    ("largest", 300), ("best", 500), ("left", 20), ("right", 500), ("center", 300)])
def test_select(select, expected):
    faces = [box(20, 140, 50, 60, 0.7), box(300, 140, 90, 110, 0.8), box(500, 140, 60, 70, 0.99)]
    assert track([faces] * 5, select=select)[2, 0] == expected


def test_a_passing_false_detection_does_not_win():
    face, ghost = box(300, 100, 60, 80), box(10, 10, 200, 200, 1.0)
    for select in ("largest", "best", "left"):
        path = track([[ghost, face], [face], *[[face]] * 28], select=select)
        assert (path[:, 0] == 300).all(), select


def test_selection_restarts_at_a_cut():
    left, right = box(50, 100, 80, 100), box(450, 100, 70, 90)
    path = track([[left]] * 3 + [[right]] * 3, cuts=[3])
    assert path[:, 0].tolist() == [50, 50, 50, 450, 450, 450]


def test_without_a_cut_another_person_far_away_is_not_taken():
    left, right = box(50, 100, 80, 100), box(450, 100, 70, 90)
    path = track([[left]] * 4 + [[right]] * 3)
    assert path[:4, 0].tolist() == [50] * 4 and np.isnan(path[4:]).all()


def test_a_person_who_comes_back_nearby_is_found_again():
    path = track([[box(100, 100)]] * 3 + [[]] * 20 + [[box(150, 100)]] * 3, max_gap=12)
    assert np.isnan(path[3:23]).all() and (path[23:, 0] == 150).all()


def test_a_false_detection_within_the_lost_face_is_not_the_person():
    face, eye = box(100, 100, 90, 120), box(120, 130, 30, 40)
    path = track([[face]] * 4 + [[eye]] * 6 + [[face]] * 4, max_gap=3)
    assert np.isnan(path[4:10]).all()


def test_short_gaps_are_interpolated_and_long_ones_are_not():
    def frames(gap):
        return [[box(100, 100)]] + [[]] * gap + [[box(108, 100)]]
    np.testing.assert_allclose(track(frames(3))[:, 0], [100, 102, 104, 106, 108])
    assert not np.isnan(track(frames(12), max_gap=12)).any()
    assert np.isnan(track(frames(13), max_gap=12)[1:14]).all()


def test_a_gap_across_a_cut_is_not_bridged():
    path = track([[box(100, 100)], [], [], [box(100, 100)]], cuts=[2])
    assert np.isnan(path[1:3]).all() and path[3, 0] == 100


def test_no_faces_at_all():
    assert np.isnan(track([[]] * 4)).all()


def test_smoothing_is_a_centred_mean_of_five():
    boxes = np.random.default_rng(0).uniform(0, 100, (9, 4))
    smoothed = smooth_boxes(boxes, [False] * 9)
    np.testing.assert_allclose(smoothed[4], boxes[2:7].mean(axis=0))
    np.testing.assert_allclose(smoothed[0], boxes[0:3].mean(axis=0))
    steady = np.arange(9)[:, None] * np.ones(4)       # a steady movement is not made to lag or lead
    np.testing.assert_allclose(smooth_boxes(steady, [False] * 9)[2:7], steady[2:7])


def test_smoothing_crosses_neither_cuts_nor_gaps():
    boxes = np.array([[0.0] * 4] * 3 + [[100.0] * 4] * 3 + [[np.nan] * 4] + [[50.0] * 4] * 2)
    smoothed = smooth_boxes(boxes, [i == 3 for i in range(9)])
    np.testing.assert_array_equal(smoothed, boxes)
