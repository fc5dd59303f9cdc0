"""Spectrograms equal the published scripts' (golden arrays), in any block and at any length."""
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
from media_clips import grey_frames, make_clip, tone

import audio
from hparams import hparams

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def golden():
    with np.load(DATA / "mel.npz") as arrays:
        return dict(arrays)


def librosa_mel(wav):
    """SPEC's table, step by step, with librosa's transform over the whole wave."""
    emphasised = np.append(wav[:1], wav[1:] - 0.97 * wav[:-1]).astype(np.float64)
    magnitude = np.abs(librosa.stft(emphasised, n_fft=800, hop_length=200, win_length=800,
                                    pad_mode="reflect"))
    bank = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    db = 20 * np.log10(np.maximum(1e-5, bank @ magnitude)) - 20
    return np.clip(8 * (db + 100) / 100 - 4, -4, 4)


def test_golden_spectrograms(golden):
    for compute, name in [(audio.melspectrogram, "mel"), (audio.linearspectrogram, "linear")]:
        spectrogram = compute(golden["wav"])
        assert spectrogram.dtype == np.float32 and spectrogram.shape == golden[name].shape
        assert np.abs(spectrogram - golden[name]).max() <= 1e-3


@pytest.mark.parametrize("samples", [401, 1000, 16 * 200 - 1, 16 * 200, 16 * 200 + 1, 33 * 200 + 57])
def test_blocks_join_without_a_seam(samples, monkeypatch):
    monkeypatch.setattr(audio, "_FRAMES_PER_BLOCK", 16)
    wav = np.random.default_rng(samples).uniform(-0.5, 0.5, samples).astype(np.float32)
    np.testing.assert_allclose(audio.melspectrogram(wav), librosa_mel(wav), atol=1e-4)


@pytest.mark.parametrize("samples", [0, 1, 199, 200, 400])
def test_sound_shorter_than_a_window(samples):
    mel = audio.melspectrogram(np.zeros(samples, np.float32))
    assert mel.shape == (80, 1 + samples // 200)
    assert (mel == -4).all()


def test_preemphasis_is_undone_by_its_inverse():
    wav = np.random.default_rng(0).uniform(-1, 1, 1000)
    emphasised = audio.preemphasis(wav, 0.97)
    np.testing.assert_allclose(emphasised[1:], wav[1:] - 0.97 * wav[:-1])
    np.testing.assert_allclose(audio.inv_preemphasis(emphasised, 0.97), wav)


def test_mel_window_starts_are_the_published_ones():
    assert [audio.mel_window_start(f) for f in range(6)] == [0, 3, 6, 9, 12, 16]
    assert audio.mel_window_start(100, 29.97) == 266      # int(266.93)


def test_mel_windows_past_the_end_are_filled_with_silence():
    mel = np.arange(20, dtype=np.float32)[None].repeat(80, 0)
    windows = list(audio.mel_windows(mel, 8, 25.0))
    np.testing.assert_array_equal(windows[1], mel[:, 3:19])
    np.testing.assert_array_equal(windows[2][:, :14], mel[:, 6:])
    assert (windows[2][:, 14:] == -4).all()
    assert (windows[7] == -4).all() and windows[7].shape == (80, 16)


def test_load_wav_resamples_and_mixes_down(tmp_path):
    path = make_clip(tmp_path / "stereo 44k.wav", sound=tone(1.0, 44100, channels=2),
                     sound_rate=44100)
    wav = audio.load_wav(path)
    assert wav.dtype == np.float32 and abs(len(wav) - 16000) <= 1
    inner = slice(1000, 15000)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(len(wav)) / 16000)
    np.testing.assert_allclose(wav[inner], expected[inner], atol=0.01)


def test_load_wav_reads_the_sound_of_a_video(tmp_path):
    path = make_clip(tmp_path / "clip.mkv", grey_frames(25), sound=tone(1.0, 16000))
    assert abs(len(audio.load_wav(path)) - 16000) <= 1


def test_saved_wav_comes_back(tmp_path):
    wav = tone(0.5, 16000)[0]
    audio.save_wav(wav, tmp_path / "a.wav", 16000)
    np.testing.assert_allclose(audio.load_wav(tmp_path / "a.wav", 16000), wav, atol=1 / 32767)


MEMORY = """
import sys
import numpy as np
import audio
from scipy.io import wavfile

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))

for minutes in (1, 20):
    wavfile.write(sys.argv[1], 16000, np.zeros(16000 * 60 * minutes, np.int16))
    assert audio.melspectrogram(audio.load_wav(sys.argv[1])).shape[1] == 4800 * minutes + 1
    print(peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's peak memory")
def test_memory_stays_bounded(tmp_path):
    """19 more minutes hold 73 MB of samples and 29 MB of mel, and hardly anything else (the test
    itself writes 36 MB), so that an hour stays under 600 MB."""
    run = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path / "long.wav")],
                         capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert run.returncode == 0, run.stderr
    short, long = map(float, run.stdout.split())
    assert short + (long - short) * 60 / 19 < 600


def test_hparams_overrides():
    changed = hparams.override("fmin=95, batch_size=8,preemphasize=False")
    assert (changed.fmin, changed.batch_size, changed.preemphasize) == (95.0, 8, False)
    assert hparams.fmin == 55 and hparams.override("") == hparams
    for bad, named in [("batchsize=8", "batchsize"), ("batch_size=eight", "eight"), ("fmin", "fmin"),
                       ("preemphasize=maybe", "maybe")]:
        with pytest.raises(ValueError, match=named):
            hparams.override(bad)
