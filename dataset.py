"""The training samples of the expert and of the generator, cut from preprocessed clips.

A sample depends only on (seed, epoch, index), whatever the number of workers or ranks:
`dataset[epoch, index]` is the draw that epoch makes from clip `index`.
"""
import argparse
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

import alignment
import augmentation
import occlusion
from audio import MEL_WINDOW, mel_window_start
from augmentation import Augmentation
from clips import WINDOW, Clip, DataError, listed_clips, require_all, usable_starts
from face_regions import STEADY_SECONDS, place_in_box
from hparams import HParams, hparams

Key = tuple[int, int]   # epoch, index
Cache = list[tuple[np.ndarray, np.ndarray]]     # stored crops (N, S, S, 3) and mel of each clip


class SyncNetSample(NamedTuple):
    """mel: (1, 80, 16) in [-4, 4]. mouths: (15, 48, 96) lower halves, BGR each, in [0, 1].
    label: (1,) 1 in sync, 0 not. name: clip and frames, for messages. A batch adds an axis."""

    mel: Tensor
    mouths: Tensor
    label: Tensor
    name: str

    def to(self, device: torch.device) -> "SyncNetSample":
        return SyncNetSample(*(t.to(device, non_blocking=True) for t in self[:3]), self.name)


class Wav2LipSample(NamedTuple):
    """x: (6, 5, 96, 96) masked target and reference, BGR in [0, 1]. indiv_mels: (5, 1, 80, 16), for
    the generator (a `ShapeWav2LipDataset` has (5, 7) shapes there). mel: (1, 80, 16), for the
    expert. gt: (3, 5, 96, 96). A batch adds an axis; with `sample_frames` there may be under 5."""

    x: Tensor
    indiv_mels: Tensor
    mel: Tensor
    gt: Tensor
    name: str

    def to(self, device: torch.device) -> "Wav2LipSample":
        return Wav2LipSample(*(t.to(device, non_blocking=True) for t in self[:4]), self.name)


def decode_clips(clips: Sequence[Clip], hp: HParams = hparams) -> Cache:
    """All crops and mels, for the memory that a loader's worker processes share: 27 kB a frame,
    62 kB with a margin of a quarter."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = pool.map(lambda clip: (clip.load_crops(size=hp.img_size),
                                         np.array(clip.load_mel())), clips)
        return list(tqdm(decoded, "decoding crops", len(clips), unit="clip"))


class ClipDataset(Dataset):
    """What all samples are cut from.

    augment: change samples as `hp` says. cache: what `decode_clips` made of the same clips.
    """

    # Mel windows are taken from so many video frames before to so many after a window's first.
    _before = 0
    _after = 0

    def __init__(self, clips: Sequence[Clip], hp: HParams = hparams, *, seed: int = 0,
                 augment: bool = False, cache: Cache | None = None) -> None:
        self.clips = list(clips)
        self.hp = hp
        self.seed = seed
        self.augment = augment
        self._starts = [usable_starts(clip, hp, before=self._before, after=self._after)
                        for clip in self.clips]
        self._cache = cache

    def __len__(self) -> int:
        return len(self.clips)

    def _begin(self, key: Key) -> tuple[np.random.Generator, Augmentation]:
        rng = np.random.default_rng((self.seed, *key))
        changes = augmentation.draw(self.hp, rng) if self.augment else augmentation.NONE
        return rng, changes

    def _window(self, index: int, start: int, changes: Augmentation) -> np.ndarray:
        """(5, 96, 96, 3) uint8 crops of frames start … start+4."""
        return self._changed(index, self._crops(index, start), changes)

    def _changed(self, index: int, crops: np.ndarray, changes: Augmentation,
                 place: np.ndarray | None = None) -> np.ndarray:
        return augmentation.change_crops(crops, self.clips[index].margin, self.hp.img_size, changes,
                                         place)

    def _crops(self, index: int, start: int) -> np.ndarray:
        """(5, S, S, 3) uint8: the same frames as they are stored."""
        clip = self.clips[index]
        row = int(np.searchsorted(clip.frames, start))
        if self._cache is None:
            return clip.load_crops(row, row + WINDOW, self.hp.img_size)
        return self._cache[index][0][row:row + WINDOW]

    def _mel_windows(self, index: int, frames: Sequence[int], changes: Augmentation) -> np.ndarray:
        """(len(frames), 1, 80, 16) float32: the mel windows that start at these video frames."""
        clip = self.clips[index]
        mel = clip.load_mel() if self._cache is None else self._cache[index][1]
        starts = [mel_window_start(frame, self.hp.fps) for frame in frames]
        first, stop = min(starts), max(starts) + MEL_WINDOW
        piece = augmentation.change_mel(mel[:, first:stop].astype(np.float32), changes)
        if piece.shape[1] < stop - first:
            raise DataError(f"{clip.folder}: its sound ends before its pictures (damaged "
                            "audio.wav?): delete the folder and run preprocess.py again")
        return np.stack([piece[None, :, start - first:start - first + MEL_WINDOW]
                         for start in starts])


class SyncNetDataset(ClipDataset):
    """The expert's samples: with probability ½ the mouths of the mel's moment, else of another
    moment of the clip, or of another clip for a share `cross_clip_negatives` of them."""

    def __getitem__(self, key: Key) -> SyncNetSample:
        rng, changes = self._begin(key)
        index = key[1]
        clip = self.clips[index]
        start = int(rng.choice(self._starts[index]))
        label = rng.random() < 0.5
        shown, shown_start = index, start
        if not label:
            shown, shown_start = self._wrong_window(rng, index, start)
        mel = self._mel_windows(index, [start], changes)[0]
        mouths = _stack_mouths(self._window(shown, shown_start, changes))
        name = f"{clip.name}@{start}/{self.clips[shown].name}@{shown_start}"
        return SyncNetSample(torch.from_numpy(mel), torch.from_numpy(mouths),
                             torch.tensor([float(label)]), name)

    def _wrong_window(self, rng: np.random.Generator, index: int, start: int) -> tuple[int, int]:
        """Clip and start of crops that do not belong to the sound at `start` of clip `index`."""
        if len(self.clips) > 1 and rng.random() < self.hp.cross_clip_negatives:
            other = (index + int(rng.integers(1, len(self.clips)))) % len(self.clips)
            return other, int(rng.choice(self.clips[other].window_starts))
        starts = self.clips[index].window_starts
        far = starts[np.abs(starts - start) >= self.hp.min_negative_offset]
        return index, int(rng.choice(far))


class GroupedDataset(ClipDataset):
    """Matching windows in groups: a sample is `grouped_windows` of them, of one clip,
    `min_negative_offset` frames apart where it is long enough; all fields stacked (K, …)."""

    def __getitem__(self, key: Key) -> SyncNetSample:
        rng, changes = self._begin(key)
        index = key[1]
        starts = self._spread_starts(rng, self._starts[index])
        mel = self._mel_windows(index, starts, changes)
        mouths = np.stack([_stack_mouths(self._window(index, s, changes)) for s in starts])
        return SyncNetSample(torch.from_numpy(mel), torch.from_numpy(mouths),
                             torch.ones(len(starts), 1), f"{self.clips[index].name}@{starts}")

    def _spread_starts(self, rng: np.random.Generator, starts: np.ndarray) -> list[int]:
        chosen: list[int] = []
        too_near: list[int] = []
        for start in rng.permutation(starts).tolist():
            far = all(abs(start - other) >= self.hp.min_negative_offset for other in chosen)
            (chosen if far else too_near).append(start)
        return list(itertools.islice(itertools.cycle(chosen + too_near),
                                     self.hp.grouped_windows))


class Wav2LipDataset(ClipDataset):
    """The generator's samples: a window to redraw, another of the clip as reference, its sound.

    sound_shift: frames by which the generator hears later sound than the published training gives
    it, which is that of one frame before; its weights rely on it. Inference gives a frame its own.
    """

    def __init__(self, clips: Sequence[Clip], hp: HParams = hparams, *, seed: int = 0,
                 augment: bool = False, cache: Cache | None = None, sound_shift: int = 0) -> None:
        self._before = 1 - sound_shift
        self._after = WINDOW - 2 + sound_shift
        super().__init__(clips, hp, seed=seed, augment=augment, cache=cache)
        for clip, starts in zip(self.clips, self._starts, strict=True):
            if not len(starts):
                raise DataError(f"{clip.folder}: its sound is too short for a shift of "
                                f"{sound_shift} frames")
        if not 1 <= hp.sample_frames <= WINDOW:
            raise DataError(f"hparams: sample_frames={hp.sample_frames} is not 1 to {WINDOW}")
        if hp.sample_frames < WINDOW and (hp.syncnet_wt > 0 or hp.sync_loss_target > 0):
            raise DataError(f"hparams: the expert needs {WINDOW} frames: with fewer sample_frames "
                            "set syncnet_wt and sync_loss_target to 0")
        self._points = [clip.load_points() for clip in self.clips] if hp.align_mouth else []
        if self._points:
            require_all(self.clips, [not np.isnan(own).all() for own in self._points], "points")

    def __getitem__(self, key: Key) -> Wav2LipSample:
        rng, changes = self._begin(key)
        index = key[1]
        clip = self.clips[index]
        start = self._start(rng, index)
        reference = self._reference(rng, index, start)
        frames = [start + k for k in range(-self._before, self._after + 1)]
        mels = self._mel_windows(index, [*frames, start], changes)
        told = self._told(mels[:WINDOW], rng, index, start, changes)
        # Validation asks the expert, which takes whole windows.
        kept = (np.sort(rng.permutation(WINDOW)[:self.hp.sample_frames]) if self.augment
                else slice(None))
        target = self._crops(index, start)[kept]
        seen = self._crops(index, reference)[kept]
        if self.hp.align_reference:
            seen = alignment.lay_on(target, seen, clip.margin)
        if self.augment and rng.random() < self.hp.cover_mouth:
            seen = augmentation.cover_mouth(seen, clip.margin, rng)
        if self.augment and self.hp.move_chin:
            seen = augmentation.move_chin(seen, clip.margin, self.hp.move_chin, rng)
        if self.augment and rng.random() < self.hp.occlude:
            thing = occlusion.draw(rng)
            target, seen = (occlusion.put_before(crops, clip.margin, thing)
                            for crops in (target, seen))
        place = self._place(index, start)
        gt = _unit_range(self._changed(index, target, changes, place)).transpose(3, 0, 1, 2)
        x = np.empty((6, *gt.shape[1:]), np.float32)
        x[:3] = gt
        x[:3, :, gt.shape[2] // 2:] = 0
        if not self.hp.align_reference:
            place = self._place(index, reference)
        x[3:] = _unit_range(self._changed(index, seen, changes, place)).transpose(3, 0, 1, 2)
        return Wav2LipSample(torch.from_numpy(x), torch.from_numpy(told[kept]),
                             torch.from_numpy(mels[WINDOW]),
                             torch.from_numpy(np.ascontiguousarray(gt)),
                             f"{clip.name}@{start}, reference @{reference}")

    def _start(self, rng: np.random.Generator, index: int) -> int:
        """The first frame of a window to redraw."""
        return int(rng.choice(self._starts[index]))

    def _place(self, index: int, start: int) -> np.ndarray | None:
        """With `align_mouth`, where inference would lay the crops of frames start … start+4: (2, 3)
        map to box sides."""
        if not self._points:
            return None
        points, reach = self._points[index], round(STEADY_SECONDS * self.hp.fps)
        near = points[max(0, start - reach):start + WINDOW + reach]
        return place_in_box(np.nanmean(points if np.isnan(near).all() else near, axis=0))

    def _told(self, mels: np.ndarray, rng: np.random.Generator, index: int, start: int,
              changes: Augmentation) -> np.ndarray:
        """What the generator is given of frames start … start+4, beside their pictures."""
        return mels

    def _reference(self, rng: np.random.Generator, index: int, start: int) -> int:
        """Start of the window to take skin, teeth and beard from."""
        starts = self.clips[index].window_starts
        distance = np.abs(starts - start)
        far = starts[distance >= min(self.hp.min_reference_offset, distance.max())]
        candidates = rng.permutation(far)[:self.hp.reference_candidates].tolist()
        return candidates[0] if len(candidates) == 1 else self._best(index, start, candidates)

    def _best(self, index: int, start: int, references: Sequence[int]) -> int:
        """The one whose upper halves are most like those at `start`: in inference they are the
        same."""
        target = _upper_halves(self._crops(index, start))
        return min(references, key=lambda other: float(
            np.abs(_upper_halves(self._crops(index, other)) - target).mean()))


def generator_sets(samples: type[Wav2LipDataset], args: argparse.Namespace
                   ) -> tuple[Wav2LipDataset, Wav2LipDataset]:
    """What a script's flags name to train on, in memory with --cache_frames, and to validate on."""
    hp = args.hparams
    train_clips, val_clips = (listed_clips(args.data_root, split, args.filelist_root, hp)
                              for split in ("train", "val"))
    cache = decode_clips(train_clips, hp) if args.cache_frames else None
    return (samples(train_clips, hp, seed=args.seed, augment=True, cache=cache),
            samples(val_clips, hp, seed=args.seed))


def _unit_range(crops: np.ndarray) -> np.ndarray:
    return crops.astype(np.float32) / 255


def _upper_halves(crops: np.ndarray) -> np.ndarray:
    """(5, S, S, 3) uint8 → (5, S/2, S, 3) int16, whose differences do not wrap around."""
    return crops[:, :crops.shape[1] // 2].astype(np.int16)


def _stack_mouths(crops: np.ndarray) -> np.ndarray:
    """(5, 96, 96, 3) uint8 → (15, 48, 96) float32 in [0, 1]: lower halves, frame by frame."""
    lower = crops[:, crops.shape[1] // 2:].transpose(0, 3, 1, 2)
    return _unit_range(lower.reshape(-1, *lower.shape[2:]))
