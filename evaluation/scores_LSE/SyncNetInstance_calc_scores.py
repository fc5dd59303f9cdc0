"""Lip-sync error of a talking face: LSE-D (distance) and LSE-C (confidence) by SyncNet.

The pure part of the measure, without files: frames and samples in, scores out.
"""
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import python_speech_features
import torch
from torch import Tensor, nn

from errors import InputError

FPS = 25.0
SAMPLE_RATE = 16000                 # Hz
SAMPLES_PER_FRAME = 640             # 16 kHz at 25 frames a second
FACE_SIZE = 224                     # pixels
WINDOW = 5                          # frames that SyncNet and the expert see at once
MFCC_WINDOW = 20                    # MFCC frames that belong to one window
MFCC_PER_FRAME = 4                  # 100 Hz at 25 frames a second
_MFCC_STEP = 160                    # samples from one MFCC frame to the next
_MFCC_LENGTH = 400                  # samples that one looks at


class TooShortError(InputError):
    """Fewer than six frames of picture and sound: there is no window to score."""


class Lse(NamedTuple):
    """Scores of one face track.

    offset: frames by which the picture is late (negative: early), as SyncNet counts.
    confidence: LSE-C, the median of the distances at all shifts minus the smallest.
    min_distance: LSE-D, the smallest.
    """

    offset: int
    confidence: float
    min_distance: float


class WindowFeatures:
    """Embeds every window of five frames of a stream, holding one batch of frames at a time."""

    def __init__(self, embed: Callable[[np.ndarray], Tensor], batch_size: int = 20) -> None:
        """embed: (B, 5, H, W, 3) uint8 BGR windows → (B, D) features."""
        self._embed = embed
        self._batch_size = batch_size
        self._frames: list[np.ndarray] = []
        self._features: list[Tensor] = []
        self.frames = 0

    def add(self, frame: np.ndarray) -> None:
        """frame: (H, W, 3) uint8 BGR, the next one of the stream."""
        self._frames.append(frame)
        self.frames += 1
        if len(self._frames) == self._batch_size + WINDOW - 1:
            self._flush()

    def windows(self, n_samples: int) -> Tensor:
        """Features (T, D) of the windows that have sound, on the CPU, when all frames are added.

        n_samples: length of the sound at 16 kHz. T = min(frames, n_samples // 640) − 5, as
        published (the last window that would fit is left out). TooShortError below 6 frames.
        """
        used = min(self.frames, n_samples // SAMPLES_PER_FRAME)
        if used <= WINDOW:
            raise TooShortError(
                f"{self.frames} frames of picture and {n_samples / SAMPLE_RATE:.2f} s of sound: "
                f"a score needs {WINDOW + 1} frames ({(WINDOW + 1) / FPS:.2f} s) of both")
        if len(self._frames) >= WINDOW:
            self._flush()
        return torch.cat(self._features)[:used - WINDOW]

    def _flush(self) -> None:
        frames = np.stack(self._frames)
        windows = np.lib.stride_tricks.sliding_window_view(frames, WINDOW, axis=0)
        self._features.append(self._embed(np.moveaxis(windows, -1, 1).copy()).float().cpu())
        self._frames = self._frames[1 - WINDOW:]


def syncnet_features(model: nn.Module, frames: Iterable[np.ndarray], wav: np.ndarray, *,
                     batch_size: int = 20) -> tuple[Tensor, Tensor]:
    """SyncNet's features of face and sound, one row for each window of five frames.

    frames: (T, 224, 224, 3) uint8 BGR at 25 fps, an array or any stream of frames.
    wav: (N,) int16 at 16 kHz, from the first frame on.
    Returns face and audio features, each (min(T, N // 640) − 5, 1024) float32 on the CPU.
    TooShortError where that leaves no row.
    """
    windows = WindowFeatures(lambda batch: embed_faces(model, batch), batch_size)
    for frame in frames:
        windows.add(frame)
    faces = windows.windows(len(wav))
    return faces, audio_features(model, wav, len(faces), batch_size=batch_size)


@torch.inference_mode()
def embed_faces(model: nn.Module, windows: np.ndarray) -> Tensor:
    """(B, 5, 224, 224, 3) uint8 BGR windows → (B, 1024) features on the model's device."""
    device = next(model.parameters()).device
    batch = torch.from_numpy(windows).to(device)
    return model.forward_lip(batch.permute(0, 4, 1, 2, 3).float())


@torch.inference_mode()
def audio_features(model: nn.Module, wav: np.ndarray, n_windows: int, *,
                   batch_size: int = 20) -> Tensor:
    """(N,) int16 at 16 kHz → (n_windows, 1024) features of the 200 ms from each frame on.

    n_windows: at least 1, all within the sound.
    """
    device = next(model.parameters()).device
    batches = (mfcc_windows(wav, first, min(first + batch_size, n_windows))
               for first in range(0, n_windows, batch_size))
    return torch.cat([model.forward_aud(batch.unsqueeze(1).to(device)).cpu() for batch in batches])


def mfcc_windows(wav: np.ndarray, first: int, stop: int) -> Tensor:
    """The MFCC of the 200 ms from each of the video frames first … stop − 1 on.

    wav: (N,) int16 at 16 kHz, which holds them all. Returns (stop − first, 13, 20) float32.
    python_speech_features takes 5 GB for an hour at once; of a part it gives the same, except that
    pre-emphasis knows nothing before the first sample. So the part begins one MFCC frame earlier.
    """
    begin = max(first * MFCC_PER_FRAME - 1, 0)
    end = (stop - 1) * MFCC_PER_FRAME + MFCC_WINDOW
    part = wav[begin * _MFCC_STEP:(end - 1) * _MFCC_STEP + _MFCC_LENGTH]
    mfcc = python_speech_features.mfcc(part, SAMPLE_RATE)[first * MFCC_PER_FRAME - begin:]
    return torch.from_numpy(mfcc).float().unfold(0, MFCC_WINDOW, MFCC_PER_FRAME)


def lse(face_features: Tensor, audio_features: Tensor, vshift: int = 15) -> Lse:
    """Offset, confidence (LSE-C) and smallest distance (LSE-D) of one track, as published.

    face_features, audio_features: (T, D). vshift: frames, the largest shift tried.
    """
    return lse_of_distances(mean_distances(face_features, audio_features, vshift))


def lse_of_distances(distances: np.ndarray) -> Lse:
    """The scores of a (2·vshift + 1,) curve of `mean_distances`; NaN is left out."""
    best = int(np.nanargmin(distances))
    smallest = float(distances[best])
    return Lse(len(distances) // 2 - best, float(np.nanmedian(distances)) - smallest, smallest)


def mean_distances(face_features: Tensor, audio_features: Tensor, vshift: int, *,
                   inside_only: bool = False) -> np.ndarray:
    """Mean distance over time of each face window to the sound −vshift … +vshift frames away.

    face_features, audio_features: (T, D). Past the ends the sound's features are zeros, as
    published; inside_only leaves those comparisons out instead, and gives NaN at shifts where less
    than half of them remain. Returns (2·vshift + 1,) float32.
    """
    length = len(face_features)
    padded = nn.functional.pad(audio_features, (0, 0, vshift, vshift))
    means = np.full(2 * vshift + 1, np.nan, np.float32)
    for i in range(2 * vshift + 1):
        distance = nn.functional.pairwise_distance(face_features, padded[i:i + length])
        if inside_only:
            shift = i - vshift
            distance = distance[max(-shift, 0):max(length - shift, 0)]
        if 2 * len(distance) >= length:
            means[i] = distance.mean()
    return means
