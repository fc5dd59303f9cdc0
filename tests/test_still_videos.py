"""Each picture becomes a video that preprocess.py can take: the picture, larger, and silence."""
import logging

import cv2
import numpy as np
import pytest

import media
import still_videos
from errors import InputError


def test_a_picture_becomes_a_video_of_itself_in_which_nothing_moves(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "in/more").mkdir(parents=True)
    picture = cv2.resize(np.random.default_rng(0).integers(0, 256, (8, 6, 3), np.uint8), (96, 128),
                         interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "in/more/7.png"), picture)
    cv2.imwrite(str(tmp_path / "in/7.png"), picture)
    (tmp_path / "in/LICENCE").write_text("no picture")
    (tmp_path / "in/empty.jpg").touch()
    still_videos.main(["--picture_root", str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    videos = sorted(path.relative_to(tmp_path / "out").as_posix()
                    for path in (tmp_path / "out").rglob("*.*") if path.is_file())
    assert videos == ["7.png/00000.mp4", "more/7.png/00000.mp4"]
    assert "LICENCE" in caplog.text and "empty.jpg" in caplog.text
    assert "2 of 4 files written" in caplog.text
    frames = np.stack(list(media.read_frames(tmp_path / "out" / videos[0])))
    assert frames.shape == (20, 128 + 24, 96 + 24, 3)
    assert np.abs(frames[:, 12:-12, 12:-12] - picture.astype(float)).mean() < 4
    assert np.abs(frames - frames[0].astype(float)).mean() < 1
    assert not media.read_audio(tmp_path / "out" / videos[0], 16000).any()


def test_a_folder_without_pictures_is_named(tmp_path):
    with pytest.raises(InputError, match=f"--picture_root {tmp_path / 'none'}"):
        still_videos.main(["--picture_root", str(tmp_path / "none"), "--out", str(tmp_path)])
