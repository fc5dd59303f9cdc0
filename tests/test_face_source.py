"""Frames read small are the frames read whole, shrunk; where that cannot be, they come whole."""
from pathlib import Path

import cv2
import numpy as np
import pytest
from media_clips import make_clip, set_display_matrix

from face_source import FaceSource, open_source


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Three different coloured frames of 320x240."""
    rng = np.random.default_rng(0)
    frames = [cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (320, 240)) for _ in range(3)]
    return make_clip(tmp_path_factory.mktemp("clips") / "a.mp4", frames)


@pytest.mark.parametrize("options, size", [({}, (160, 120)), ({"rotate": True}, (60, 80)),
                                           ({"resize_factor": 2}, (80, 60)),
                                           ({"resize_factor": 3, "rotate": True}, (40, 53))])
def test_frames_read_small_look_like_those_shrunk_later(clip, options, size):
    source = open_source(clip, **options)
    small, whole = list(source.read_shrunk(size)), list(source.read())
    assert len(small) == len(whole) == 3
    for ours, frame in zip(small, whole):
        assert ours.shape == (size[1], size[0], 3) and ours.size < frame.size
        expected = cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(int)
        assert np.abs(ours - expected).mean() < 1
        assert np.abs(ours - expected).max() < 12       # chroma at an edge


def test_rotation_metadata_turns_frames_read_small(clip, tmp_path):
    phone = tmp_path / "phone.mp4"
    phone.write_bytes(clip.read_bytes())
    set_display_matrix(phone, 0, 1, -1, 0)
    upright = next(open_source(clip).read_shrunk((160, 120)))
    turned = next(open_source(phone).read_shrunk((120, 160)))
    np.testing.assert_array_equal(turned, cv2.rotate(upright, cv2.ROTATE_90_CLOCKWISE))


def test_what_cannot_be_decoded_small_comes_whole(clip):
    class Doubled(FaceSource):
        def read(self):
            for frame in super().read():
                yield from (frame, frame)

    cropped, still = open_source(clip, crop=(10, -1, 20, 300)), open_source(clip, static=True)
    doubled = Doubled(clip, 25.0, (320, 240))
    for source in (cropped, still, doubled):
        whole = list(source.read())
        for small, frame in zip(source.read_shrunk((40, 30)), whole, strict=True):
            np.testing.assert_array_equal(small, frame)


def test_a_picture_is_one_whatever_its_name(clip, tmp_path):
    frame = next(open_source(clip).read())
    cv2.imwrite(str(tmp_path / "a.png"), frame)
    (tmp_path / "a.png").rename(tmp_path / "picture.mp4")
    (tmp_path / "video.jpg").write_bytes(clip.read_bytes())
    assert open_source(tmp_path / "picture.mp4", fps=30).fps == 30
    assert open_source(tmp_path / "video.jpg").still is None
