"""Detection over a stream, boxes with pads, the crop."""
import cv2
import numpy as np
import pytest

from errors import InputError
from faces import crop_face, detect_faces, pad_boxes


def bright_box(image):
    """The bounding box of bright pixels, as a detector's answer."""
    ys, xs = np.nonzero(image[..., 0] > 128)
    boxes = [[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, 1]] if len(xs) else []
    return np.array(boxes, np.float32).reshape(-1, 5)


class BrightSquareDetector:
    """A detector whose answers are known, and that notes what it was asked."""

    name, tracks = "bright", False

    def __init__(self):
        self.batches = []

    def detect(self, images):
        self.batches.append([image.shape[:2] for image in images])
        return [bright_box(image) for image in images]


def frame_with_square(x, y, size=80, height=720, width=1280, background=0):
    frame = np.full((height, width, 3), background, np.uint8)
    frame[y:y + size, x:x + size] = 255
    return frame


def test_boxes_come_back_in_full_frame_pixels_and_in_batches():
    detector = BrightSquareDetector()
    frames = [frame_with_square(200 + 20 * i, 300) for i in range(5)]
    found = list(detect_faces(iter(frames), detector, det_size=640, batch_size=2))
    assert detector.batches == [[(360, 640)] * 2, [(360, 640)] * 2, [(360, 640)]]
    for i, faces in enumerate(found):
        np.testing.assert_allclose(faces.boxes[0], [200 + 20 * i, 300, 280 + 20 * i, 380, 1])


def test_frames_shrunk_beforehand_give_boxes_of_full_frames():
    detector = BrightSquareDetector()
    small = [cv2.resize(frame_with_square(200, 300), (640, 360), interpolation=cv2.INTER_AREA)]
    found, = detect_faces(small, detector, det_size=640, frame_size=(1280, 720))
    np.testing.assert_allclose(found.boxes[0], [200, 300, 280, 380, 1])
    assert detector.batches == [[(360, 640)]]


def test_full_size_detection():
    detector = BrightSquareDetector()
    list(detect_faces([frame_with_square(10, 10)], detector, det_size=0))
    assert detector.batches == [[(720, 1280)]]


def test_small_frames_are_not_enlarged():
    detector = BrightSquareDetector()
    list(detect_faces([frame_with_square(10, 10, 30, 100, 160)], detector, det_size=640))
    assert detector.batches == [[(100, 160)]]


def test_cuts_are_seen_and_movement_is_not_a_cut():
    rng = np.random.default_rng(0)
    scenes = [cv2.resize(rng.integers(0, 255, (6, 8, 3), np.uint8), (320, 240)) for _ in range(2)]
    moving = [np.roll(scenes[i // 5], 4 * i, axis=1) for i in range(10)]
    found = list(detect_faces(moving, BrightSquareDetector(), batch_size=3))
    assert [i for i, faces in enumerate(found) if faces.is_cut] == [5]


class TrackingDetector:
    name, tracks = "bright", True

    def __init__(self):
        self.calls = []

    def detect(self, images):
        self.calls.append("detect")
        return [bright_box(image) for image in images]

    def track(self, image, previous):
        self.calls.append("track")
        return bright_box(image)


DARK, SQUARE = np.zeros((90, 160, 3), np.uint8), frame_with_square(20, 20, 30, 90, 160)


def test_a_tracking_detector_is_asked_in_full_at_first_at_cuts_and_when_a_face_is_lost():
    detector = TrackingDetector()
    cut = frame_with_square(60, 20, 30, 90, 160, background=100)
    found = list(detect_faces([SQUARE, SQUARE, SQUARE, cut, cut, DARK], detector))
    assert [len(faces.boxes) for faces in found] == [1, 1, 1, 1, 1, 0]
    assert detector.calls == ["detect", "track", "track", "detect", "track", "detect"]


def test_a_tracking_detector_searches_in_full_from_time_to_time():
    detector = TrackingDetector()
    list(detect_faces([SQUARE] * 25, detector, batch_size=7))
    assert [i for i, call in enumerate(detector.calls) if call == "detect"] == [0, 13, 26]


@pytest.mark.parametrize("first", range(4, 14))
def test_an_empty_stretch_is_searched_seldom_but_no_face_in_it_is_missed(first):
    detector = TrackingDetector()
    faint = SQUARE // 2 + 70        # the change is not taken for a cut
    background = np.full_like(DARK, 70)
    found = list(detect_faces([background] * first + [faint] * 6, detector, batch_size=8))
    assert [len(faces.boxes) for faces in found] == [0] * first + [1] * 6
    assert not any(faces.is_cut for faces in found)
    assert detector.calls.count("detect") <= 7


def test_an_exhausted_gpu_halves_the_batch():
    import torch

    class SmallGpu(BrightSquareDetector):
        def detect(self, images):
            if len(images) > 2:
                raise torch.OutOfMemoryError
            return super().detect(images)

    frames = [frame_with_square(10 * i, 10, 30, 90, 160) for i in range(1, 8)]
    found = list(detect_faces(frames, SmallGpu(), batch_size=7))
    assert [faces.boxes[0][0] for faces in found] == [10, 20, 30, 40, 50, 60, 70]


def test_pads_truncate_then_widen_then_clip():
    boxes = np.array([[100.9, 50.9, 200.9, 150.9], [np.nan] * 4, [2, 3, 50, 358]])
    padded = pad_boxes(boxes, (5, 10, 20, 30), (640, 360))     # top bottom left right
    np.testing.assert_array_equal(padded[0], [80, 45, 230, 160])
    assert np.isnan(padded[1]).all()
    np.testing.assert_array_equal(padded[2], [0, 0, 80, 360])


def test_pads_that_leave_nothing_are_an_error():
    with pytest.raises(InputError, match=r"--pads 0 -100 0 0 leave nothing .* frame 1"):
        pad_boxes(np.array([[0, 0, 200, 200], [0, 0, 50, 50.0]]), (0, -100, 0, 0), (640, 360))


def test_crop_is_the_bilinear_resize_of_the_box():
    frame = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    crop = crop_face(frame, (50, 20, 242, 212 - 20))
    np.testing.assert_array_equal(crop, cv2.resize(frame[20:192, 50:242], (96, 96)))
