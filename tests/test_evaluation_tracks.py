"""Shots, face tracks and the crops made of them."""
import numpy as np
import pytest

from evaluation.scores_LSE.shots import ShotFinder
from evaluation.scores_LSE.tracks import FaceTrack, find_tracks, loose_crop, tight_crop


def boxes(n: int, x: float = 50, y: float = 60, side: float = 120) -> list[np.ndarray]:
    return [np.float32([[x, y, x + side, y + side, 0.9]]) for _ in range(n)]


NOTHING = np.zeros((0, 5), np.float32)


def test_shots_end_at_content_cuts():
    rng = np.random.default_rng(0)
    scenes = [rng.integers(0, 255, (90, 160, 3)).astype(np.uint8) for _ in range(3)]
    frames = [scenes[0]] * 40 + [scenes[1]] * 30 + [scenes[2]] * 25
    finder = ShotFinder(25.0)
    seen = list(finder.watch(iter(frames)))
    assert all(a is b for a, b in zip(seen, frames, strict=True))
    assert finder.shots() == [(0, 40), (40, 70), (70, 95)]


def test_a_video_without_a_cut_is_one_shot():
    finder = ShotFinder(25.0)
    list(finder.watch(np.zeros((10, 48, 64, 3), np.uint8)))
    assert finder.shots() == [(0, 10)]


def test_a_missed_stretch_is_interpolated_and_a_long_one_ends_the_track():
    detections = boxes(10) + [NOTHING] * 24 + boxes(10, x=60) + [NOTHING] * 26 + boxes(30)
    tracks = find_tracks(detections, [(0, len(detections))], min_track=15)
    assert [(track.start, track.end) for track in tracks] == [(0, 44), (70, 100)]
    x1 = tracks[0].boxes[:, 0]
    # From 50 at frame 9 to 60 at frame 34 in 25 equal steps.
    np.testing.assert_allclose(x1[9:35], 50 + 0.4 * np.arange(26), rtol=1e-6)


def test_two_people_are_two_tracks_whatever_the_order_of_boxes():
    left, right = boxes(1, x=0)[0], boxes(1, x=400)[0]
    detections = [np.vstack([left, right] if i % 2 else [right, left]) for i in range(20)]
    tracks = find_tracks(detections, [(0, 20)], min_track=10)
    assert sorted(track.boxes[0, 0] for track in tracks) == [0, 400]
    assert all(np.ptp(track.boxes[:, 0]) == 0 and len(track.boxes) == 20 for track in tracks)


def test_tracks_do_not_cross_a_cut():
    tracks = find_tracks(boxes(60), [(0, 25), (25, 60)], min_track=20)
    assert [(track.start, track.end) for track in tracks] == [(0, 25), (25, 60)]


@pytest.mark.parametrize("n, side, found", [(100, 120, 0), (101, 120, 1), (101, 99, 0),
                                            (101, 100, 1)])
def test_a_track_must_last_over_100_frames_at_100_pixels(n, side, found):
    assert len(find_tracks(boxes(n, side=side), [(0, n)])) == found


def test_loose_crop_is_the_published_region():
    # A picture whose value tells the place, so that the crop's corners tell its region.
    frame = np.dstack([np.tile(np.arange(250, dtype=np.uint8), (250, 1)),
                       np.tile(np.arange(250, dtype=np.uint8)[:, None], (1, 250)),
                       np.zeros((250, 250), np.uint8)])
    track = FaceTrack(0, np.tile([100.0, 90.0, 150.0, 170.0], (20, 1)))     # centre 125 130, s 40
    crop = loose_crop(frame, track, 10)
    assert crop.shape == (224, 224, 3)
    # x from 125 − 56 to 125 + 56, y from 130 − 40 to 130 + 72: 112 pixels enlarged twofold.
    assert crop[0, 0].tolist() == [69, 90, 0]
    assert crop[-1, -1].tolist() == [180, 201, 0]


def test_loose_crop_fills_with_gray_beyond_the_frame():
    frame = np.full((100, 100, 3), 200, np.uint8)
    track = FaceTrack(0, np.tile([0.0, 0.0, 50.0, 60.0], (20, 1)))  # centre 25 30, s 30
    crop = loose_crop(frame, track, 10)
    # x from −17 to 67 of 84: the left 17 columns are outside.
    assert (crop[100, :40] == 110).all() and (crop[100, 60:] == 200).all()


def test_steady_ignores_a_single_outlier():
    detections = np.tile([100.0, 100.0, 200.0, 220.0], (30, 1))
    detections[15] += 40
    np.testing.assert_allclose(FaceTrack(0, detections).steady[15], [150, 160, 60])


def test_tight_crop_is_the_box():
    frame = np.zeros((100, 100, 3), np.uint8)
    frame[20:70, 30:80] = 255
    track = FaceTrack(0, np.tile([30.0, 20.0, 80.0, 70.0], (6, 1)))
    assert (tight_crop(frame, track, 3) == 255).all()
    assert tight_crop(frame, FaceTrack(0, np.tile([60.0, -9.0, 120.0, 70.0], (6, 1))),
                      0).shape == (96, 96, 3)
