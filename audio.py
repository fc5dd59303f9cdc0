"""Sound: files to 16 kHz waves, waves to the spectrograms that the published weights expect."""
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import librosa
import numpy as np
from scipy import signal
from scipy.io import wavfile

import media
from hparams import HParams, hparams

MEL_FRAMES_PER_SECOND = 80
MEL_WINDOW = 16     # mel frames that belong to one video frame: 200 ms

_FRAMES_PER_BLOCK = 512     # spectrogram frames computed at a time: bounds the memory


def load_wav(path: str | Path, sr: int = hparams.sample_rate) -> np.ndarray:
    """Mono float32 (T,) in [-1, 1] at `sr` Hz from whatever FFmpeg reads, videos included.

    MediaError (a ValueError) where the file is missing, is no media or has no sound.
    """
    return media.read_audio(path, sr)


def save_wav(wav: np.ndarray, path: str | Path, sr: int = hparams.sample_rate) -> None:
    """Write (T,) in [-1, 1], clipped there, as 16-bit PCM."""
    wavfile.write(path, sr, np.round(np.clip(wav, -1, 1) * 32767).astype(np.int16))


def preemphasis(wav: np.ndarray, k: float, preemphasize: bool = True) -> np.ndarray:
    """y[n] = x[n] − k·x[n−1]"""
    return signal.lfilter([1, -k], [1], wav) if preemphasize else wav


def inv_preemphasis(wav: np.ndarray, k: float, inv_preemphasize: bool = True) -> np.ndarray:
    """x[n] = y[n] + k·x[n−1], the inverse of `preemphasis`."""
    return signal.lfilter([1], [1, -k], wav) if inv_preemphasize else wav


def melspectrogram(wav: np.ndarray, hp: HParams = hparams) -> np.ndarray:
    """(T,) wave at 16 kHz → (80, 1 + T // 200) float32 mel-spectrogram in [-4, 4].

    80 frames a second; −4 is silence (−100 dB or less under the reference of 20 dB).
    """
    return _spectrogram(wav, hp, _mel_basis(hp))


def linearspectrogram(wav: np.ndarray, hp: HParams = hparams) -> np.ndarray:
    """(T,) wave at 16 kHz → (401, 1 + T // 200) float32 spectrogram in [-4, 4]."""
    return _spectrogram(wav, hp, None)


def mel_window_start(frame: int, fps: float = hparams.fps) -> int:
    """The mel frame at which the mel window of a video frame starts."""
    return int(MEL_FRAMES_PER_SECOND * frame / fps)


def mel_windows(mel: np.ndarray, n_frames: int, fps: float,
                hp: HParams = hparams) -> Iterator[np.ndarray]:
    """The mel window (80, 16) of each of `n_frames` video frames.

    Past the end of the sound the windows are filled with the floor value, silence.
    """
    floor = -hp.max_abs_value if hp.symmetric_mels else 0.0
    for frame in range(n_frames):
        start = mel_window_start(frame, fps)
        window = mel[:, start:start + MEL_WINDOW]
        missing = MEL_WINDOW - window.shape[1]
        yield np.pad(window, ((0, 0), (0, missing)), constant_values=floor) if missing else window


def _spectrogram(wav: np.ndarray, hp: HParams, basis: np.ndarray | None) -> np.ndarray:
    if len(wav) == 0:
        wav = np.zeros(1, np.float32)
    n_frames = 1 + len(wav) // hp.hop_size
    bands = len(basis) if basis is not None else 1 + hp.n_fft // 2
    spectrogram = np.empty((bands, n_frames), np.float32)
    for start in range(0, n_frames, _FRAMES_PER_BLOCK):
        stop = min(start + _FRAMES_PER_BLOCK, n_frames)
        magnitude = np.abs(_stft_frames(wav, start, stop, hp)).T
        if basis is not None:
            magnitude = basis @ magnitude
        spectrogram[:, start:stop] = _normalize(_amp_to_db(magnitude, hp) - hp.ref_level_db, hp)
    return spectrogram


def _stft_frames(wav: np.ndarray, start: int, stop: int, hp: HParams) -> np.ndarray:
    """Frames start … stop of the centred, reflect-padded STFT: (stop − start, 1 + n_fft/2)."""
    half = hp.n_fft // 2
    first = start * hp.hop_size - half
    last = (stop - 1) * hp.hop_size + half
    # Earlier samples than these frames cover: the pre-emphasis of the first sample needs one, and
    # the reflection at the wave's end up to n_fft/2.
    left = max(first - hp.n_fft, 0)
    piece = preemphasis(wav[left:max(last, half + 1)].astype(np.float64), hp.preemphasis,
                        hp.preemphasize)
    padding = (max(-first, 0), max(last - len(wav), 0))
    piece = np.pad(piece, padding, mode="reflect" if len(wav) > 1 else "edge")
    offset = max(first - left, 0)
    piece = piece[offset:offset + last - first]
    frames = np.lib.stride_tricks.sliding_window_view(piece, hp.n_fft)[::hp.hop_size]
    return np.fft.rfft(frames * _window(hp), axis=1)


def _amp_to_db(amplitude: np.ndarray, hp: HParams) -> np.ndarray:
    return 20 * np.log10(np.maximum(10 ** (hp.min_level_db / 20), amplitude))


def _normalize(db: np.ndarray, hp: HParams) -> np.ndarray:
    if not hp.signal_normalization:
        return db
    unit = (db - hp.min_level_db) / -hp.min_level_db
    low, high = (-hp.max_abs_value, hp.max_abs_value) if hp.symmetric_mels else (
        0.0, hp.max_abs_value)
    scaled = low + (high - low) * unit
    return np.clip(scaled, low, high) if hp.allow_clipping_in_normalization else scaled


@cache
def _window(hp: HParams) -> np.ndarray:
    """Periodic Hann window, centred in n_fft samples."""
    left = (hp.n_fft - hp.win_size) // 2
    return np.pad(signal.get_window("hann", hp.win_size, fftbins=True),
                  (left, hp.n_fft - hp.win_size - left))


@cache
def _mel_basis(hp: HParams) -> np.ndarray:
    """(80, 401) Slaney-scaled, area-normalised triangular filters."""
    return librosa.filters.mel(sr=hp.sample_rate, n_fft=hp.n_fft, n_mels=hp.num_mels,
                               fmin=hp.fmin, fmax=hp.fmax)
