"""A generated face is put back where it belongs, as if it had been filmed there."""
import cv2
import numpy as np
import pytest

from face_regions import TALK_AXES, around_lips, find_background, find_lips, find_skin
from faces import crop_face
from paste import match_lips, match_range, match_sharpness, match_tint, paste_face

ALL_SKIN = np.ones((96, 96), np.float32)


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
    assert np.abs(match_tint(tinted, original, ALL_SKIN).astype(int) - said).max() <= 3


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
    drawn = face_with_lips(LIPS, slice(64, 82), slice(38, 58))
    found = match_tint(drawn, original.repeat(3, axis=2), ALL_SKIN)
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


@pytest.mark.parametrize("row", [64, 68, 72])
def test_shadows_on_the_chin_that_are_not_the_faces_own_are_taken_off(row):
    """And the mouth, wherever it is, may open."""
    original = np.full((96, 96, 3), SKIN, np.uint8)
    neck = np.multiply(SKIN, 0.6)
    original[row + 22:] = neck
    drawn = original.copy()
    drawn[row - 7:row + 7, 36:60] = LIPS
    drawn[row - 4:row + 4, 40:56] = 20  # the mouth has opened
    drawn[row + 20:] = neck             # the chin has moved up
    expected = drawn.copy()
    drawn[row + 15:row + 18, 30:66] = 80            # a second chin
    mouth = around_lips(find_lips(drawn), TALK_AXES)
    found = match_range(drawn, original, find_skin(original), mouth)
    np.testing.assert_allclose(found, expected, atol=8)     # of 40 and more


WALL = (35, 35, 150)


def face_before_a_wall() -> np.ndarray:
    """A face with lips, brighter towards one side, as wide as its jaw and beside it a red wall."""
    face = np.multiply(SKIN, np.linspace(0.8, 1.1, 96)[:, None]).astype(np.uint8)
    face = np.broadcast_to(face, (96, 96, 3)).copy()
    face[60:68, 38:58] = LIPS
    face[:, :16] = face[:, 80:] = WALL
    return face


def test_skin_is_told_from_what_is_beside_the_face():
    skin = find_skin(face_before_a_wall())
    assert (skin[:, 19:77][:57] == 1).all() and (skin[71:, 19:77] == 1).all()
    assert (skin[:, :14] == 0).all() and (skin[:, 82:] == 0).all()


def test_nothing_is_pasted_beside_the_face_and_its_colours_do_not_come_over():
    """A wall that was drawn as skin, and with too little red, under a mouth that opens."""
    frame = face_before_a_wall()
    drawn = frame.copy()
    drawn[:, :16] = drawn[:, 80:] = np.subtract(WALL, (0, 0, 60))
    drawn[70:, 14:18] = drawn[70:, 78:82] = np.add(WALL, SKIN) // 2
    drawn[62:66, 42:54] = 20
    result = frame.copy()
    paste_face(result, drawn, (0, 0, 96, 96))
    beside = np.ones((96, 96), bool)
    beside[:, 16:80] = False
    np.testing.assert_array_equal(result[beside], frame[beside])
    jaw = np.abs(result[72:, 16:80].astype(int) - frame[72:, 16:80])
    assert jaw.max() <= 3                                   # of 35 and more
    assert (result[63:65, 44:52] < 60).all()                # the mouth is open all the same


def test_a_bright_wall_behind_a_turned_face_is_kept_as_close_to_the_mouth_as_it_comes():
    """The jaw ends beside the corner of the mouth; what is drawn there is as soft as that of a
    generator that knows heads that look into the camera."""
    wall, jaw = (200, 190, 180), 64
    frame = np.full((96, 96, 3), SKIN, np.uint8)
    frame[68:74, 42:60] = LIPS
    frame[:, jaw:] = wall
    drawn = frame.copy()
    drawn[50:90, jaw:78] = np.add(wall, SKIN) // 2
    drawn[70:74, 46:58] = 20
    result = frame.copy()
    paste_face(result, drawn, (0, 0, 96, 96))
    np.testing.assert_allclose(result[:, jaw + 2:], frame[:, jaw + 2:], atol=2)     # of 40 and more
    assert (result[71:73, 48:56] < 60).all()


@pytest.mark.parametrize("beside", [(40, 40, 40), SKIN], ids=["a beard", "skin"])
def test_only_a_bright_wall_is_taken_for_one(beside):
    face = np.full((96, 96, 3), SKIN, np.uint8)
    face[64:, :30] = face[64:, 66:] = beside
    assert not find_background(face).any()
    face[64:, 66:] = (200, 190, 180)
    assert find_background(face)[66:, 68:].all() and not find_background(face)[:, :64].any()


def test_in_blue_light_or_without_colours_no_wall_is_found():
    for colour in (150, 120, 60), (120, 120, 120):
        assert not find_background(np.full((96, 96, 3), colour, np.uint8)).any()
