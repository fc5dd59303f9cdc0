"""Training samples with the shape of the mouth: for the generator that is told it, and for what
tells it from the sound."""
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import audio
import augmentation
from augmentation import Augmentation
from clips import WINDOW, Clip, DataError, require_all
from dataset import Cache, ClipDataset, Key, Wav2LipDataset
from hparams import HParams, hparams
from mouth_shape import SHUT, relative, thinned
from visemes import read_labels, shapes_of


class ShapeWav2LipDataset(Wav2LipDataset):
    """The generator's samples with each frame's mouth shape (5, 7) in place of its sound."""

    def __init__(self, clips: Sequence[Clip], hp: HParams = hparams, *, seed: int = 0,
                 augment: bool = False, cache: Cache | None = None) -> None:
        super().__init__(clips, hp, seed=seed, augment=augment, cache=cache)
        self._shapes = relative_shapes(self.clips)
        self._starts = _seen(self.clips, self._starts, self._shapes, WINDOW)

    def _start(self, rng: np.random.Generator, index: int) -> int:
        """With `favor_extremes`, windows are drawn in proportion to 1 + that · (opening in their
        middle, in standard deviations)²."""
        if not (self.augment and self.hp.favor_extremes):
            return super()._start(rng, index)
        starts = self._starts[index]
        weights = 1 + self.hp.favor_extremes * self._shapes[index][starts + WINDOW // 2, 0] ** 2
        return int(rng.choice(starts, p=weights / weights.sum()))

    def _best(self, index: int, start: int, references: Sequence[int]) -> int:
        """Of references that are laid on the target the one whose mouth is least like it: to copy
        it must not pay."""
        if not self.hp.align_reference:
            return super()._best(index, start, references)
        shapes = self._shapes[index]
        target = shapes[start:start + WINDOW]
        return max(references, key=lambda other: float(
            np.nan_to_num(np.square(shapes[other:other + WINDOW] - target)).mean()))

    def _told(self, mels: np.ndarray, rng: np.random.Generator, index: int, start: int,
              changes: Augmentation) -> np.ndarray:
        shapes = thinned(self._shapes[index][start:start + WINDOW], augmentation.thinning(changes))
        noise = self.hp.shape_noise if self.augment else 0.0
        return shapes + rng.normal(0, noise, shapes.shape).astype(np.float32)


class SoundShapeSample(NamedTuple):
    """mels: (K, 1, 80, 16) in [-4, 4]. shapes: (K, 7). A batch adds an axis."""

    mels: Tensor
    shapes: Tensor
    name: str

    def to(self, device: torch.device) -> "SoundShapeSample":
        return SoundShapeSample(*(t.to(device, non_blocking=True) for t in self[:2]), self.name)


class Utterance(NamedTuple):
    """Sound whose phones are known. mel: (80, N + 16) float16. shapes: (N, 7), what a mouth does at
    the middle of the video frame that is given the mel window from each mel frame on. chances:
    (N,) of the window to be drawn, adding up to 1: more where a phone asks firmly."""

    name: str
    mel: np.ndarray
    shapes: np.ndarray
    chances: np.ndarray


def load_utterances(root: str | Path) -> list[Utterance]:
    """What festival_speech.py wrote: <voice>/<name>.wav with <name>.lab. DataError without any."""
    paths = sorted(Path(root).glob("*/*.wav"))
    if not paths:
        raise DataError(f"--spoken_root {root} holds no <voice>/<name>.wav: make them with "
                        "festival_speech.py")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        loaded = list(tqdm(pool.map(_load_utterance, paths), "loading speech", len(paths),
                           unit="file"))
    return [utterance for utterance in loaded if len(utterance.shapes)]


def _load_utterance(path: Path) -> Utterance:
    labels = path.with_suffix(".lab")
    if not labels.is_file():
        raise DataError(f"{path} has no labels {labels.name} beside it: "
                        "run festival_speech.py again")
    mel = audio.melspectrogram(audio.load_wav(path)).astype(np.float16)
    starts = np.arange(max(0, mel.shape[1] - audio.MEL_WINDOW))
    shapes, firmness = shapes_of(read_labels(labels),
                                 starts / audio.MEL_FRAMES_PER_SECOND + 0.5 / hparams.fps)
    chances = 1 + firmness
    return Utterance(f"{path.parent.name}/{path.stem}", mel, shapes, chances / chances.sum())


class SoundShapeDataset(ClipDataset):
    """`grouped_windows` frames of a clip: the sound that inference takes for each, a frame later
    than the published training does, and the mouth's shape `mouth_lead` frames before it.

    spoken: what a share `spoken` of the samples is taken from instead, in training."""

    def __init__(self, clips: Sequence[Clip], hp: HParams = hparams, *, seed: int = 0,
                 augment: bool = False, spoken: Sequence[Utterance] = ()) -> None:
        super().__init__(clips, hp, seed=seed, augment=augment)
        self._spoken = spoken
        self._shapes = [_delayed(shapes, hp.mouth_lead) for shapes in relative_shapes(self.clips)]
        self._starts = _seen(self.clips, self._starts, self._shapes, 1)

    def __getitem__(self, key: Key) -> SoundShapeSample:
        rng, changes = self._begin(key)
        if self.augment and self._spoken and rng.random() < self.hp.spoken:
            return self._spoken_sample(rng, changes)
        index = key[1]
        frames = rng.choice(self._starts[index], self.hp.grouped_windows)
        mels = self._mel_windows(index, frames.tolist(), changes)
        shapes = self._shapes[index][frames]
        if self.augment:
            silent = rng.random(len(frames)) < self.hp.silence
            mels[silent] = _silence(mels, rng)
            shapes[silent] = SHUT
        return SoundShapeSample(torch.from_numpy(mels), torch.from_numpy(shapes),
                                f"{self.clips[index].name}@{frames.tolist()}")

    def _spoken_sample(self, rng: np.random.Generator, changes: Augmentation) -> SoundShapeSample:
        name, mel, shapes, chances = self._spoken[rng.integers(len(self._spoken))]
        starts = rng.choice(len(shapes), self.hp.grouped_windows, p=chances)
        mel = augmentation.change_mel(mel.astype(np.float32), changes)
        mels = np.stack([mel[None, :, start:start + audio.MEL_WINDOW] for start in starts])
        return SoundShapeSample(torch.from_numpy(mels), torch.from_numpy(shapes[starts]),
                                f"{name}@{starts.tolist()}")


def _silence(mels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(1, 80, 16): what is left of a clip's windows (K, 1, 80, 16) where nobody speaks, somewhere
    between the least that each mel channel holds at any time and digital silence."""
    floor = mels.min(axis=(0, 3))[..., None]
    level = floor + rng.random() * (-hparams.max_abs_value - floor)
    noise = rng.normal(0, 0.1, mels.shape[1:])
    return np.maximum(level + noise, -hparams.max_abs_value).astype(np.float32)


def relative_shapes(clips: Sequence[Clip]) -> list[np.ndarray]:
    """Each clip's mouth shapes (N, 7), relative to those of all the clips in the same folder: of
    one person, as in LRS2's layout; a still picture's to what is written as its person's mean."""
    people: dict[Path, list[int]] = defaultdict(list)
    for index, clip in enumerate(clips):
        people[clip.folder.parent].append(index)
    shapes = [clip.load_shapes() for clip in clips]
    for indices in people.values():
        mean = clips[indices[0]].load_mean_shape()
        for index, shape in zip(indices, relative([shapes[i] for i in indices], mean), strict=True):
            shapes[index] = shape
    return shapes


def _delayed(shapes: np.ndarray, frames: int) -> np.ndarray:
    """(N, 7): row f is what row f-frames was, NaN for the first."""
    return np.vstack([np.full((frames, shapes.shape[1]), np.nan, np.float32), shapes])[:len(shapes)]


def _seen(clips: Sequence[Clip], starts: Sequence[np.ndarray], shapes: Sequence[np.ndarray],
          length: int) -> list[np.ndarray]:
    """Of each clip's starts those f for which the shapes of frames f … f+length-1 are all known.
    DataError if a clip has none."""
    seen = []
    for own, shape in zip(starts, shapes, strict=True):
        known = np.isfinite(shape).all(1)
        seen.append(np.array([f for f in own if known[f:f + length].all()], int))
    require_all(clips, [len(some) > 0 for some in seen], "a face mesh where it is needed")
    return seen
