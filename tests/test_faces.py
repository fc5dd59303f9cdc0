"""Detection over a stream, boxes with pads, the crop and the paste."""
import cv2
import numpy as np
import pytest

from errors import InputError
from faces import (
    crop_face, detect_faces, match_lips, match_sharpness, match_tint, pad_boxes, paste_face)


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


@pytest.mark.parametrize("blend", ["feather", "none"])
def test_paste_puts_a_crop_back_where_it_was(blend):
    """A smooth picture survives crop and paste almost unchanged, wherever the box lies."""
    y, x = np.mgrid[:240, :320]
    frame = np.stack([x * 0.7, y, x * 0.3 + y * 0.5], axis=-1).astype(np.uint8)
    for box in [(60, 40, 220, 230), (0, 0, 96, 96), (300, 200, 320, 240), (10, 10, 13, 12)]:
        result = frame.copy()
        paste_face(result, crop_face(frame, box), box, blend)
        assert np.abs(result.astype(int) - frame).max() <= 6


def test_hard_paste_replaces_the_whole_box_and_nothing_else():
    frame, face = np.zeros((200, 300, 3), np.uint8), np.full((96, 96, 3), 200, np.uint8)
    paste_face(frame, face, (30, 40, 131, 163), "none")
    inside = np.zeros((200, 300), bool)
    inside[40:163, 30:131] = True
    assert (frame[inside] == 200).all() and (frame[~inside] == 0).all()


def test_feathered_paste_keeps_upper_half_cheeks_and_jaw_and_has_no_edge():
    frame = np.full((200, 300, 3), 100, np.uint8)
    checks = 80 * (-1) ** np.indices((96, 96)).sum(0)       # too fine for a tint
    face = np.uint8(100 + checks)[..., None].repeat(3, axis=2)
    paste_face(frame, face, (50, 20, 146, 116), "feather")
    changed = np.abs(frame[..., 0].astype(int) - 100)
    assert (changed[:68] == 0).all() and (changed[116:] == 0).all()
    assert (changed[:, :50] == 0).all() and (changed[:, 146:] == 0).all()
    assert (changed[104:, :66] == 0).all() and (changed[104:, 130:] == 0).all()
    assert changed[92, 98] == 80
    assert np.abs(np.diff(changed, axis=0)).max() <= 15      # a hard edge would be a step of 80
    assert np.abs(np.diff(changed, axis=1)).max() <= 15


def test_a_tint_is_taken_off_the_mouth_too_and_what_the_mouth_does_is_not():
    y, x = np.mgrid[:96, :96]
    original = np.stack([80 + x, 200 - y, 100 + x // 2], axis=-1).astype(np.uint8)
    said = original.copy()
    said[66:80, 36:60] = 30         # lips that opened
    tinted = np.uint8(said + [20, -15, 0] - 10 * x[..., None] / 96)
    assert np.abs(match_tint(tinted, original).astype(int) - said).max() <= 3


SKIN, LIPS, LIPSTICK = (120, 140, 190), (95, 100, 180), (60, 50, 170)      # BGR


def face_with_lips(colour, rows, columns) -> np.ndarray:
    face = np.full((96, 96, 3), SKIN, np.uint8)
    face[rows, columns] = colour
    return face


def test_lips_get_the_colour_of_the_faces_own_and_skin_and_teeth_keep_theirs():
    own = face_with_lips(LIPSTICK, slice(70, 75), slice(34, 62))
    drawn = face_with_lips(LIPS, slice(64, 82), slice(38, 58))
    drawn[70:76, 44:52] = (215, 220, 225)
    found = match_lips(drawn, own).astype(int)
    lips = found[65:69, 40:56].reshape(-1, 3).mean(0)
    missing = np.abs(lips - LIPSTICK) / np.abs(np.subtract(LIPS, LIPSTICK))
    assert missing.max() < 0.35
    assert np.abs(found - drawn)[:60].max() == 0 and np.abs(found - drawn)[71:75, 45:51].max() <= 3
    np.testing.assert_allclose(match_lips(drawn, drawn), drawn, atol=1)


def test_without_lips_to_be_seen_they_stay_as_they_were_drawn():
    drawn = face_with_lips(LIPS, slice(64, 82), slice(38, 58))
    np.testing.assert_array_equal(match_lips(drawn, face_with_lips(SKIN, 0, 0)), drawn)


def test_a_black_and_white_picture_stays_one():
    original = np.random.default_rng(0).integers(60, 190, (96, 96, 1)).astype(np.uint8)
    found = match_tint(face_with_lips(LIPS, slice(64, 82), slice(38, 58)), original.repeat(3, axis=2))
    assert np.ptp(found.astype(int), axis=2).max() <= 1


def test_a_mouth_gets_as_sharp_as_what_is_around_it():
    """Lips drawn with half their contrast, in a face whose cheeks have half of theirs."""
    whole = np.random.default_rng(0).integers(60, 190, (96, 96, 3)).astype(np.uint8)
    smooth = cv2.GaussianBlur(np.float32(whole), (0, 0), 1.0)
    drawn = np.uint8(np.rint(smooth + 0.6 * (whole - smooth)))
    original = whole.copy()
    original[60:90, 24:72] = 200            # another mouth, which must not tell
    mouth = slice(64, 86), slice(28, 68)
    error, before = (np.abs(np.float32(image) - whole)[mouth].mean()
                     for image in (match_sharpness(drawn, original), drawn))
    assert error < before / 3
    np.testing.assert_array_equal(match_sharpness(whole, drawn), whole)
