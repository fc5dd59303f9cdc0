"""Sync offsets: recovered exactly from constructed embeddings, their sign, too short clips."""
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fill_weights import fill

import audio
import checkpoint
import sync_correction
from clips import Clip
from errors import InputError, run_script
from models import SyncNet_color
from sync_correction import (SAMPLES_PER_FRAME, SyncExpert, best_offset, cut_sound, measure_offset,
                             offset_distances)


class LevelExpert:
    """Embeds a moment by what is seen and heard of it: a gray level, and the same level as sound.

    Crops of gray 10·n go with a mel of n everywhere; both become the n-th unit vector.
    """

    def embed_mouths(self, windows: np.ndarray) -> np.ndarray:
        return np.eye(26)[np.round(windows[:, 0].mean(axis=(1, 2, 3)) / 10).astype(int)]

    def embed_sounds(self, windows: np.ndarray) -> np.ndarray:
        return np.eye(26)[np.round(windows[:, 0, 0]).astype(int)]


def random_levels(n_frames: int) -> np.ndarray:
    return np.random.default_rng(n_frames).integers(0, 25, n_frames)


def gray_clip(folder: Path, levels: np.ndarray, margin: float = 0.0) -> Clip:
    """Crops whose gray level tells `levels`; whatever lies outside the box is white."""
    folder.mkdir(parents=True, exist_ok=True)
    side = round(96 * (1 + 2 * margin))
    edge = round(96 * margin)
    for number, level in enumerate(levels):
        crop = np.full((side, side, 3), 255, np.uint8)
        crop[edge:edge + 96, edge:edge + 96] = 10 * level
        cv2.imwrite(str(folder / f"{number}.jpg"), crop, [cv2.IMWRITE_JPEG_QUALITY, 100])
    return Clip(folder, np.arange(len(levels)), mel_frames=0, margin=margin)


def level_mel(levels: np.ndarray, late: int) -> np.ndarray:
    """(80, M) whose windows start with the level of their frame, `late` frames later."""
    mel = np.full((80, int(3.2 * len(levels)) + audio.MEL_WINDOW), 25.0)
    for frame in range(len(levels)):
        source = frame - late
        start = audio.mel_window_start(frame)
        if 0 <= source < len(levels):
            mel[:, start:start + 3] = levels[source]
    return mel


@pytest.mark.parametrize("late", [-15, -10, -1, 0, 3, 10, 15])
def test_late_sound_has_a_positive_offset(tmp_path, late):
    levels = random_levels(60)
    offset = measure_offset(gray_clip(tmp_path / "c", levels), level_mel(levels, late),
                            LevelExpert())
    assert offset.frames == late
    assert offset.confidence > 0.7


@pytest.mark.parametrize("late", [-10, 10])
def test_a_clip_of_30_frames_is_enough(tmp_path, late):
    levels = random_levels(30)
    offset = measure_offset(gray_clip(tmp_path / "c", levels, margin=0.25),
                            level_mel(levels, late), LevelExpert())
    assert offset.frames == late


def test_windows_without_all_crops_are_left_out(tmp_path):
    levels = random_levels(60)
    whole = gray_clip(tmp_path / "c", levels)
    holed = Clip(whole.folder, np.delete(whole.frames, [20, 21, 40]), 0)
    assert measure_offset(holed, level_mel(levels, 4), LevelExpert()).frames == 4


def test_too_short_a_clip_is_an_error(tmp_path):
    levels = random_levels(8)
    with pytest.raises(InputError, match="too short"):
        measure_offset(gray_clip(tmp_path / "c", levels), level_mel(levels, 0), LevelExpert())


def test_distances_are_means_with_the_median_where_there_is_no_sound():
    rng = np.random.default_rng(0)
    mouths, sounds = (x / np.linalg.norm(x, axis=1, keepdims=True)
                      for x in rng.random((2, 12, 8)))
    starts = np.array([0, 1, 2, 3, 4, 7, 8, 9, 10, 11])
    pairs = [[1 - mouths[t] @ sounds[t + shift] for t in starts if 0 <= t + shift < 12]
             for shift in range(-13, 14)]
    median = np.median([np.mean(distances) for distances in pairs if distances])
    expected = [np.mean(distances + [median] * (10 - len(distances))) for distances in pairs]
    np.testing.assert_allclose(offset_distances(mouths[starts], starts, sounds, max_shift=13),
                               expected)


@pytest.mark.parametrize("true", [-2.0, -1.3, -0.5, 0.2, 0.8])
def test_an_offset_lies_between_frames(true):
    """A parabola's own least point, from its values at whole shifts."""
    shifts = np.arange(-4, 5)
    assert best_offset(0.3 + 0.02 * (shifts - true) ** 2).frames == pytest.approx(true)


@pytest.mark.parametrize("distances, frames", [
    ([0.2, 0.7, 0.8, 0.8, 0.9], -2), ([0.9, 0.8, 0.8, 0.7, 0.2], 2), ([0.5] * 5, -2),
    ([0.9, 0.3, 0.3, 0.3, 0.9], -0.5)])
def test_an_offset_stays_within_the_shifts(distances, frames):
    assert best_offset(np.array(distances)).frames == frames


def test_confidence_is_the_median_minus_the_least():
    offset = best_offset(np.array([0.9, 0.75, 0.2, 0.7, 0.8]))
    assert offset.frames == 0
    assert offset.confidence == pytest.approx(0.75 - 0.2)


@pytest.mark.parametrize("first, length, expected", [
    (0, 4, [1, 2, 3, 4]), (2, 4, [3, 4, 0, 0]), (-2, 4, [0, 0, 1, 2]), (9, 2, [0, 0]),
    (-9, 2, [0, 0]), (-1, 7, [0, 1, 2, 3, 4, 0, 0])])
def test_cut_sound_fills_with_silence(first, length, expected):
    assert cut_sound(np.array([1, 2, 3, 4]), first, length).tolist() == expected


def test_moving_the_sound_by_its_offset_corrects_it():
    wav = np.arange(10 * SAMPLES_PER_FRAME)
    late = cut_sound(wav, -3 * SAMPLES_PER_FRAME, len(wav))
    corrected = cut_sound(late, 3 * SAMPLES_PER_FRAME, len(wav))
    assert (corrected[:7 * SAMPLES_PER_FRAME] == wav[:7 * SAMPLES_PER_FRAME]).all()


@pytest.fixture(scope="module")
def expert_path(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("expert") / "expert.pth"
    checkpoint.save(path, {"state_dict": fill(SyncNet_color(width=0.125)).state_dict()})
    return path


def test_the_expert_embeds_as_its_forward_does(expert_path):
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (2, 5, 96, 96, 3), np.uint8)
    mels = rng.uniform(-4, 4, (2, 80, 16)).astype(np.float32)
    expert = SyncExpert(expert_path)
    model = checkpoint.load_model(expert_path, SyncNet_color)
    # The SPEC's input: lower halves, BGR each, stacked on channels frame by frame.
    mouths = np.stack([[crops[b, t, 48:, :, c] for t in range(5) for c in range(3)]
                       for b in range(2)]) / np.float32(255)
    with torch.inference_mode():
        a, v = model(torch.from_numpy(mels)[:, None], torch.from_numpy(mouths))
    np.testing.assert_allclose(expert.embed_mouths(crops), v, atol=1e-5)
    np.testing.assert_allclose(expert.embed_sounds(mels), a, atol=1e-5)


def test_the_command_writes_a_line_a_clip(tmp_path, expert_path, monkeypatch, capsys):
    for name in ("s1/00001", "s1/00002"):
        folder = tmp_path / "data" / name
        gray_clip(folder, random_levels(30))
        audio.save_wav(np.random.default_rng(0).uniform(-0.5, 0.5, 30 * SAMPLES_PER_FRAME),
                       folder / "audio.wav")
    monkeypatch.setattr(sys, "argv", [
        "sync_correction.py", "--data_root", str(tmp_path / "data"), "--checkpoint_path",
        str(expert_path), "--out", str(tmp_path / "offsets.csv"), "--device", "cpu"])
    sync_correction.main()
    lines = (tmp_path / "offsets.csv").read_text().splitlines()
    assert lines[0] == "clip,offset,confidence,kept"
    assert [line.split(",")[0] for line in lines[1:]] == ["s1/00001", "s1/00002"]
    assert "2 clips" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path, expert_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sync_correction.py", "--data_root", str(tmp_path / "no"),
                                      "--checkpoint_path", str(expert_path), "--device", "cpu"])
    with pytest.raises(SystemExit) as exit_:
        run_script(sync_correction.main)
    assert exit_.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
