"""Kept detections come back as they were, for the same content and settings only."""
import os

import numpy as np
import pytest

from detection_cache import DetectionCache
from faces import FrameFaces

DETECTIONS = [FrameFaces(np.random.default_rng(n).uniform(0, 99, (n, 5)).astype(np.float32), n == 2)
              for n in (0, 1, 2, 3, 0)]


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.mp4"
    path.write_bytes(b"as good as any")
    return path


@pytest.fixture
def folder(tmp_path, video):
    folder = tmp_path / "cache"
    DetectionCache(folder, video, "haar 640").save(DETECTIONS, whole_video=True)
    return folder


def test_round_trip(folder, video):
    loaded = DetectionCache(folder, video, "haar 640").load(5)
    assert [faces.is_cut for faces in loaded] == [faces.is_cut for faces in DETECTIONS]
    for ours, kept in zip(loaded, DETECTIONS, strict=True):
        np.testing.assert_array_equal(ours.boxes, kept.boxes)


def test_points_come_back_with_their_boxes(tmp_path, video):
    boxes = np.random.default_rng(3).uniform(0, 99, (2, 13)).astype(np.float32)
    cache = DetectionCache(tmp_path, video, "points")
    cache.save([FrameFaces(boxes, False)], whole_video=True)
    np.testing.assert_array_equal(cache.load(1)[0].boxes, boxes)


def test_fewer_frames_are_a_beginning(folder, video):
    assert len(DetectionCache(folder, video, "haar 640").load(3)) == 3


def test_more_frames_are_there_only_if_the_whole_file_was_searched(folder, video):
    cache = DetectionCache(folder, video, "haar 640")
    assert len(cache.load(100)) == 5
    cache.save(DETECTIONS, whole_video=False)
    assert cache.load(100) is None and len(cache.load(5)) == 5


def test_content_and_settings_are_the_key_and_the_name_is_not(folder, video):
    assert DetectionCache(folder, video, "haar 320").load(5) is None
    renamed = video.rename(video.with_name("renamed.mp4"))
    assert DetectionCache(folder, renamed, "haar 640").load(5) is not None
    renamed.write_bytes(b"another video")
    assert DetectionCache(folder, renamed, "haar 640").load(5) is None


@pytest.mark.parametrize("damage", [
    lambda data: b"", lambda data: b"junk", lambda data: data[:len(data) // 2],
    lambda data: data[:60] + bytes(40) + data[100:]])
def test_a_damaged_entry_is_ignored_and_remade(damage, folder, video, caplog):
    [entry] = folder.iterdir()
    entry.write_bytes(damage(entry.read_bytes()))
    cache = DetectionCache(folder, video, "haar 640")
    assert cache.load(5) is None and "damaged" in caplog.text
    cache.save(DETECTIONS, whole_video=True)
    assert len(cache.load(5)) == 5


@pytest.mark.parametrize("boxes, frames", [(np.zeros((0, 5)), 0), (np.full((1, 5), "a"), 1),
                                           (np.full((1, 5), np.nan), 1)])
def test_arrays_that_are_no_faces_are_ignored(boxes, frames, folder, video, caplog):
    [entry] = folder.iterdir()
    with open(entry, "wb") as file:
        np.savez(file, boxes=boxes, counts=np.ones(frames, int), cuts=np.zeros(frames, bool),
                 whole_video=True)
    assert DetectionCache(folder, video, "haar 640").load(5) is None and "damaged" in caplog.text


def test_a_folder_that_cannot_be_made_is_only_a_warning(tmp_path, video, caplog):
    (tmp_path / "file").write_text("in the way")
    DetectionCache(tmp_path / "file" / "cache", video, "haar").save(DETECTIONS, whole_video=True)
    assert "not cached" in caplog.text


def test_no_folder_keeps_nothing(video):
    cache = DetectionCache(None, video, "haar")
    cache.save(DETECTIONS, whole_video=True)
    assert cache.load(5) is None and os.listdir(video.parent) == ["video.mp4"]
