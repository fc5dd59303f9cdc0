"""Samples hold the shapes of their own frames, and the sound that the generator takes for them."""
import numpy as np
import pytest
import torch

import audio
from clips import DataError, check_clips
from hparams import hparams
from mouth_shape import MEAN_FILE, SHAPE, SHAPE_FILE, SHUT
from numbered_clips import frame_numbers, mel_start, write_clip
from shape_dataset import (ShapeWav2LipDataset, SoundShapeDataset, load_utterances,
                           relative_shapes)
from test_dataset import MEL_STARTS

UNSEEN = 11
MEAN_OPENING = 0.233


@pytest.fixture()
def clips(tmp_path):
    """Two clips of one person: the opening is the frame's number; no face in frame 11."""
    for name in ("00000", "00001"):
        write_clip(tmp_path / "a" / name)
        shapes = np.tile(np.arange(30.0)[:, None], (1, 7))
        shapes[UNSEEN] = np.nan
        np.save(tmp_path / "a" / name / SHAPE_FILE, shapes)
    return check_clips([tmp_path / "a/00000", tmp_path / "a/00001"], tmp_path).clips


def opening_frames(shapes):
    openings = shapes[..., 0].numpy() * SHAPE["opening"] + MEAN_OPENING
    return np.rint(openings).astype(int).ravel().tolist()


def test_the_generator_is_told_the_shapes_of_the_frames_it_draws(clips):
    dataset = ShapeWav2LipDataset(clips)
    starts = set()
    for epoch in range(60):
        sample = dataset[epoch, epoch % 2]
        frames = frame_numbers(sample.gt.transpose(0, 1).numpy())
        assert sample.indiv_mels.shape == (5, 7) and opening_frames(sample.indiv_mels) == frames
        assert UNSEEN not in frames
        starts.add(frames[0])
    assert {6, 12} <= starts


def test_an_aligned_reference_has_the_mouth_least_like_the_targets(clips):
    hp = hparams.override("align_reference=True,reference_candidates=30")
    for epoch in range(30):
        name = ShapeWav2LipDataset(clips, hp)[epoch, 0].name
        start, reference = (int(part.split(",")[0]) for part in name.split("@")[1:])
        assert reference == (25 if start <= 12 else 0)      # openings rise from frame to frame


@pytest.mark.parametrize("augment, spread", [(False, 0.0), (True, 0.5)])
def test_shapes_are_noisy_only_in_training(clips, augment, spread):
    dataset = ShapeWav2LipDataset(clips, hparams.override("shape_noise=0.5"), augment=augment)
    noise = []
    for epoch in range(60):
        sample = dataset[epoch, 0]
        frames = np.array(frame_numbers(sample.gt.transpose(0, 1).numpy()))
        noise.append(sample.indiv_mels[:, 0].numpy() - (frames - MEAN_OPENING) / SHAPE["opening"])
    assert np.std(noise) == pytest.approx(spread, rel=0.1, abs=1e-4)
    assert abs(np.mean(noise)) < 0.1


def test_lips_that_a_smile_makes_thinner_are_told_to_be_less_apart(clips):
    """By up to 1.3, as much as the picture is squeezed by a smile of 0.6."""
    dataset = ShapeWav2LipDataset(clips, hparams.override("smile=0.6"), augment=True)
    factors = []
    for epoch in range(60):
        sample = dataset[epoch, 0]
        frames = np.array(frame_numbers(sample.gt.transpose(0, 1).numpy())[1:])
        told = sample.indiv_mels[1:, 0].numpy() * SHAPE["opening"] + MEAN_OPENING
        factors.append((frames / told) ** 2)
    assert np.allclose(np.ptp(factors, axis=1), 0, atol=1e-3), "alike in all frames of a window"
    squeezed = np.array([factor.mean() for factor in factors])
    squeezed = squeezed[squeezed > 1.001]
    assert 20 <= len(squeezed) <= 40 and 1.25 < squeezed.max() <= 1.301


def test_fewer_frames_of_a_window_are_the_same_frames_in_all(clips):
    hp = hparams.override("sample_frames=2,sync_loss_target=0")
    dataset = ShapeWav2LipDataset(clips, hp, augment=True)
    gaps = set()
    for epoch in range(40):
        sample = dataset[epoch, 0]
        frames = frame_numbers(sample.gt.transpose(0, 1).numpy())
        assert sample.x.shape == (6, 2, 96, 96)
        assert opening_frames(sample.indiv_mels) == frames
        assert frame_numbers(sample.x[:3, :, :48].transpose(0, 1).numpy()) == frames
        gaps.add(frames[1] - frames[0])
    assert gaps == {1, 2, 3, 4}
    assert ShapeWav2LipDataset(clips, hp)[0, 0].x.shape == (6, 5, 96, 96)


def test_fewer_frames_are_refused_where_the_expert_is_asked(clips):
    for wish in ("sample_frames=2", "sample_frames=2,sync_loss_target=0,syncnet_wt=0.1",
                 "sample_frames=6"):
        with pytest.raises(DataError, match="sample_frames"):
            ShapeWav2LipDataset(clips, hparams.override(wish))


def test_wide_open_and_shut_mouths_are_drawn_as_often_as_asked(clips):
    """1 + 0.5·z² of the opening in the middle of each window, in shares of their sum."""
    hp = hparams.override("favor_extremes=0.5")
    openings = np.full(30, 0.1)
    openings[[8, 20]] = 0.5, -0.2
    shapes = np.tile(openings[:, None], (1, 7))
    np.save(clips[0].folder / SHAPE_FILE, shapes)
    dataset = ShapeWav2LipDataset(clips, hp, augment=True)
    drawn = [int(dataset[epoch, 0].name.split("@")[1].split(",")[0]) for epoch in range(1500)]
    starts = np.unique(drawn)
    weights = 1 + 0.5 * ((openings[starts + 2] - MEAN_OPENING) / SHAPE["opening"]) ** 2
    expected = weights / weights.sum()
    assert {6, 18} <= set(starts)
    for start in (6, 18, 12):
        share = float(expected[starts == start][0])
        assert np.mean(np.equal(drawn, start)) == pytest.approx(share, abs=0.03)
    even = ShapeWav2LipDataset(clips, hp)
    assert np.mean([even[epoch, 0].name.split("@")[1].split(",")[0] == "6"
                    for epoch in range(300)]) < 0.15


def test_sound_and_shape_belong_together_as_in_inference(clips):
    dataset = SoundShapeDataset(clips, hparams.override("grouped_windows=6"))
    seen = set()
    for epoch in range(60):
        sample = dataset[epoch, 0]
        assert sample.mels.shape == (6, 1, 80, 16) and sample.shapes.shape == (6, 7)
        frames = opening_frames(sample.shapes)
        assert [mel_start(mel) for mel in sample.mels.numpy()] == [MEL_STARTS[f] for f in frames]
        seen |= set(frames)
    assert UNSEEN not in seen and len(seen) > 15


def test_mouths_that_lead_are_paired_with_the_sound_that_comes_later(clips):
    dataset = SoundShapeDataset(clips, hparams.override("grouped_windows=6,mouth_lead=2"))
    seen = set()
    for epoch in range(60):
        sample = dataset[epoch, 0]
        frames = opening_frames(sample.shapes)
        assert [mel_start(mel) for mel in sample.mels.numpy()] == [MEL_STARTS[f + 2] for f in frames]
        seen |= set(frames)
    assert UNSEEN not in seen and 0 in seen and len(seen) > 15


def test_silence_shuts_the_mouth_as_often_as_asked(clips):
    hp = hparams.override("silence=0.25,grouped_windows=4")
    dataset = SoundShapeDataset(clips, hp, augment=True)
    silent = 0
    for epoch in range(100):
        sample = dataset[epoch, 0]
        shut = (sample.shapes == torch.from_numpy(SHUT)).all(1)
        quietest = max(sample.mels[~shut].min(), -4) if not shut.all() else 100
        for mel in sample.mels[shut]:       # the clip's sound is mel frame numbers, from 0 on
            assert mel.min() >= -4 and mel.max() <= quietest + 0.5 and mel.std() < 0.2
        silent += int(shut.sum())
    assert silent == pytest.approx(100, rel=0.3)
    assert not (SoundShapeDataset(clips, hp)[0, 0].shapes == torch.from_numpy(SHUT)).all(1).any()


def test_without_shapes_the_message_says_what_makes_them(clips):
    path = clips[1].folder / SHAPE_FILE
    path.unlink()
    with pytest.raises(DataError, match="measure_mouths.py"):
        SoundShapeDataset(clips)
    np.save(path, np.zeros((12, 7)))
    with pytest.raises(DataError, match=r"\(12, 7\)"):
        SoundShapeDataset(clips)
    path.write_bytes(b"no array")
    with pytest.raises(DataError, match="damaged"):
        SoundShapeDataset(clips)
    np.save(path, np.full((30, 7), np.nan))
    with pytest.raises(DataError, match="1 clips without a face mesh"):
        SoundShapeDataset(clips)


@pytest.fixture()
def spoken(tmp_path):
    """A second of hiss, which every moment of is unlike any other; an m from 0.50 to 0.60 s."""
    folder = tmp_path / "spoken" / "voice"
    folder.mkdir(parents=True)
    audio.save_wav(np.random.default_rng(0).uniform(-0.5, 0.5, 16000), folder / "0000.wav")
    (folder / "0000.lab").write_text("#\n0.5 100 a\n0.6 100 m\n1.0 100 a\n")
    return tmp_path / "spoken"


def test_spoken_sound_comes_with_the_mouth_of_the_frame_that_is_given_it(clips, spoken):
    """A frame that is given the sound from t on is seen from t to t + 0.04 s, at t + 0.02 s in the
    middle: the lips meet where that lies in the closure, four fifths of the m."""
    hp = hparams.override("grouped_windows=6,spoken=1")
    dataset = SoundShapeDataset(clips, hp, augment=True, spoken=load_utterances(spoken))
    mel = audio.melspectrogram(audio.load_wav(spoken / "voice" / "0000.wav"))
    starts, openings = [], []
    for epoch in range(100):
        sample = dataset[epoch, 0]
        assert sample.mels.shape == (6, 1, 80, 16) and sample.shapes.shape == (6, 7)
        for window, opening in zip(sample.mels[:, 0].numpy(), sample.shapes[:, 0], strict=True):
            unlike = [np.abs(mel[:, i:i + 16] - window).max() for i in range(mel.shape[1] - 16)]
            starts.append(int(np.argmin(unlike)))
            assert min(unlike) < 0.01       # half precision
            openings.append(float(opening))
    away = np.abs(np.array(starts) / 80 + 0.02 - 0.54) - 0.04       # seconds from the closure
    openings = np.array(openings)
    assert (openings[away <= 0] < -1.6).all() and (openings[away > 0.05] > 0.2).all()
    # It holds 6 or 7 of 65 starts; the m, which asks firmly, is drawn more often than that.
    assert set(starts) == set(range(65)) and np.mean(away <= 0) > 0.15


def test_as_much_is_spoken_as_asked_and_only_in_training(clips, spoken):
    hp = hparams.override("grouped_windows=2,spoken=0.3")
    utterances = load_utterances(spoken)
    def share(augment):
        dataset = SoundShapeDataset(clips, hp, augment=augment, spoken=utterances)
        return np.mean([dataset[epoch, 0].name.startswith("voice/") for epoch in range(400)])
    assert share(True) == pytest.approx(0.3, abs=0.07) and share(False) == 0


def test_spoken_folders_that_lack_something_are_named(spoken, tmp_path):
    with pytest.raises(DataError, match="--spoken_root .*nowhere holds no"):
        load_utterances(tmp_path / "nowhere")
    (spoken / "voice" / "0000.lab").unlink()
    with pytest.raises(DataError, match="0000.lab"):
        load_utterances(spoken)


def test_a_still_clip_is_told_relative_to_its_persons_mean_not_to_itself(clips):
    folder = clips[0].folder
    np.save(folder / SHAPE_FILE, np.full((30, 7), 0.5))
    np.save(folder / MEAN_FILE, np.full(7, 0.4))
    still, = relative_shapes(clips[:1])
    spread = np.array(list(SHAPE.values()))
    np.testing.assert_allclose(still * spread, [[0.5 - MEAN_OPENING] + [0.1] * 6] * 30, atol=1e-6)


@pytest.mark.parametrize("content, problem", [(b"no array", "damaged"), (np.zeros(6), "shape")])
def test_a_damaged_mean_is_named(clips, content, problem):
    path = clips[0].folder / MEAN_FILE
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(DataError, match=f"{MEAN_FILE} .*{problem}.*--stills"):
        relative_shapes(clips)
