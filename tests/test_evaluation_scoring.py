"""Scores of files shifted by known amounts, by a stand-in for the judge that hears and sees levels
only; and the published rules for S3FD."""
import numpy as np
import pytest
import torch
from media_clips import make_clip

from evaluation.one_face import NoFaceError
from evaluation.scores_LSE.scoring import Settings, score_face_clip, score_face_tracks

FRAMES, MARGIN, SIDE = 60, 12, 128
LEVELS = np.convolve(np.random.default_rng(0).random(FRAMES + 2 * MARGIN), [0.3, 0.4, 0.3], "same")


class LevelJudge:
    """A window's features are the five frames' brightness, and their loudness."""

    name = "levels"
    inside_only = True
    takes_whole_clips = False

    def crop(self, frame, track, i):
        x1, y1, x2, y2 = track.boxes[i].astype(int)
        return frame[y1:y2, x1:x2]

    def embed_faces(self, windows):
        return torch.from_numpy(windows.mean(axis=(2, 3, 4)) / 255)

    def embed_sound(self, wav, n_windows, batch_size):
        level = np.sqrt(np.mean(np.float64(wav[:len(wav) // 640 * 640].reshape(-1, 640)) ** 2, 1))
        windows = np.lib.stride_tricks.sliding_window_view(level / 16384, 5)
        return torch.from_numpy(windows[:n_windows].copy())


class FixedDetector:
    """Stands for S3FD: one sure face, the whole frame, and one doubtful face."""

    name = "sfd"
    tracks = False

    def __init__(self, score=0.95):
        self.score, self.sizes = score, set()

    def detect(self, images):
        self.sizes |= {image.shape[:2] for image in images}
        height, width = images[0].shape[:2]
        return [np.float32([[0, 0, width, height, self.score], [0, 0, 9, 9, 0.85]])] * len(images)


def shifted_clip(path, late: int):
    """Frames whose brightness is the sound's level `late` frames before."""
    frames = [np.full((SIDE, SIDE, 3), round(230 * level), np.uint8)
              for level in LEVELS[MARGIN - late:MARGIN - late + FRAMES]]
    carrier = np.where(np.arange(FRAMES * 640) % 2, 1, -1)
    sound = 0.45 * carrier * np.repeat(LEVELS[MARGIN:MARGIN + FRAMES], 640)
    return make_clip(path, frames, sound=sound[None].astype(np.float32))


@pytest.mark.parametrize("late", [-10, -1, 0, 4, 10])
def test_a_shifted_file_gets_its_offset(tmp_path, late):
    clip = shifted_clip(tmp_path / "clip.mkv", late)
    settings = Settings(LevelJudge(), min_track=30)
    (by_clip,) = score_face_clip(clip, "clip.mkv", settings, FixedDetector())
    (by_track,) = score_face_tracks(clip, "clip.mkv", settings, FixedDetector())
    assert by_clip.offset == by_track.offset == late
    assert by_clip.lse_d < 0.2 * by_clip.lse_c
    assert (by_track.first_frame, by_track.frames) == (0, FRAMES)


def test_s3fd_searches_a_quarter_of_the_frame_for_sure_faces(tmp_path):
    clip = shifted_clip(tmp_path / "clip.mkv", 0)
    detector = FixedDetector()
    assert len(score_face_tracks(clip, "c", Settings(LevelJudge(), min_track=30), detector)) == 1
    assert detector.sizes == {(SIDE // 4, SIDE // 4)}
    with pytest.raises(NoFaceError, match="no face in any of its 60 frames"):
        score_face_tracks(clip, "c", Settings(LevelJudge()), FixedDetector(score=0.9))


def test_the_sound_of_a_track_is_that_of_its_time(tmp_path):
    clip = shifted_clip(tmp_path / "a.mkv", 0)
    settings = Settings(LevelJudge(), min_track=30)
    (whole,) = score_face_tracks(clip, "a", settings, FixedDetector())
    late = FRAMES // 3

    class LaterDetector(FixedDetector):
        def __init__(self):
            super().__init__()
            self.seen = 0

        def detect(self, images):
            found = super().detect(images)
            first, self.seen = self.seen, self.seen + len(images)
            nothing = np.zeros((0, 5), np.float32)
            return [boxes if first + i >= late else nothing for i, boxes in enumerate(found)]

    (part,) = score_face_tracks(clip, "a", settings, LaterDetector())
    assert (part.first_frame, part.frames) == (late, FRAMES - late)
    assert part.offset == whole.offset == 0
