"""By how many frames a clip's sound is late or early, measured with a lip-sync expert.

    python sync_correction.py --data_root lrs2_preprocessed/ --checkpoint_path lipsync_expert.pth

writes one line `clip,offset,confidence,kept` a clip. preprocess.py --sync_correct also corrects it.
"""
import argparse
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from tqdm import tqdm

import audio
import checkpoint
import distributed
from augmentation import change_crops
from clips import WINDOW, Clip, DataError, check_clips
from errors import InputError, run_script
from filelists import find_clips
from flag_types import finite_number
from hparams import hparams
from losses import stack_mouths
from models import SyncNet_color

MAX_SHIFT = 15          # frames: ±0.6 s
MIN_CONFIDENCE = 0.1
CSV_HEADER = "clip,offset,confidence,kept"
SAMPLES_PER_FRAME = round(hparams.sample_rate / hparams.fps)

_FEWEST_WINDOWS = 5     # of mouth and of sound; with fewer an offset says little
_BATCH = 64             # windows

log = logging.getLogger(__name__)


class SyncOffset(NamedTuple):
    """frames: how late the sound is (negative: early), to a tenth. confidence: how much nearer
    mouth and sound are at this shift than at the median one, in cosine, 0 … 1."""

    frames: float
    confidence: float


class Expert(Protocol):
    """What embeds mouths and sounds: arrays in and out, so that it can live in another process."""

    def embed_mouths(self, windows: np.ndarray) -> np.ndarray:
        """(B, 5, 96, 96, 3) uint8 BGR, five consecutive crops each → (B, D) unit vectors."""

    def embed_sounds(self, windows: np.ndarray) -> np.ndarray:
        """(B, 80, 16) mel windows → (B, D) unit vectors."""


class SyncExpert:
    """A trained SyncNet_color on a device. CheckpointError if the file holds none."""

    def __init__(self, path: str | Path, device: str | torch.device = "cpu") -> None:
        self._device = torch.device(device)
        self._model = checkpoint.load_model(path, SyncNet_color).to(self._device)

    @torch.inference_mode()
    def embed_mouths(self, windows: np.ndarray) -> np.ndarray:
        faces = torch.from_numpy(np.ascontiguousarray(windows)).to(self._device)
        mouths = stack_mouths(faces.permute(0, 4, 1, 2, 3).float() / 255)
        return self._unit(self._model.face_encoder(mouths))

    @torch.inference_mode()
    def embed_sounds(self, windows: np.ndarray) -> np.ndarray:
        mel = torch.from_numpy(np.float32(windows)).to(self._device)
        return self._unit(self._model.audio_encoder(mel.unsqueeze(1)))

    @staticmethod
    def _unit(features: torch.Tensor) -> np.ndarray:
        return torch.nn.functional.normalize(features.flatten(1), dim=1).float().cpu().numpy()


def measure_offset(clip: Clip, mel: np.ndarray, expert: Expert) -> SyncOffset:
    """How late the sound of a clip is, by the shift at which mouths and sounds agree best.

    clip: its crops. mel: (80, M). DataError names a damaged crop; InputError if there is too
    little of either.
    """
    return best_offset(clip_distances(clip, mel, expert))


def clip_distances(clip: Clip, mel: np.ndarray, expert: Expert) -> np.ndarray:
    """`offset_distances` (2·MAX_SHIFT + 1,) of a clip; arguments and errors as `measure_offset`.

    Every mouth window is compared with the sound windows up to MAX_SHIFT frames away that exist; a
    clip of 1.2 s thus compares 26 windows at no shift and 11 at the largest.
    """
    starts = clip.window_starts
    windows = _sound_windows(mel)
    if min(len(starts), len(windows)) < _FEWEST_WINDOWS:
        raise InputError(f"too short to measure its sync offset: {_FEWEST_WINDOWS} windows of "
                         f"{WINDOW} crops in a row and of sound are needed")
    crops = change_crops(clip.load_crops(), clip.margin, hparams.img_size)
    rows = np.searchsorted(clip.frames, starts)
    mouths = np.concatenate([expert.embed_mouths(crops[batch[:, None] + np.arange(WINDOW)])
                             for batch in _batches(rows)])
    sounds = np.concatenate([expert.embed_sounds(batch) for batch in _batches(windows)])
    return offset_distances(mouths, starts, sounds)


def offset_distances(mouths: np.ndarray, starts: np.ndarray, sounds: np.ndarray,
                     max_shift: int = MAX_SHIFT) -> np.ndarray:
    """Mean cosine distance of each mouth window to the sound −max_shift … +max_shift frames later.

    mouths: (N, D) unit vectors of the windows that start at frames `starts` (N,). sounds: (T, D)
    unit vectors of the windows of frames 0 … T−1. A mouth whose sound at a shift lies beyond the
    clip counts as being at the median distance. Returns (2·max_shift + 1,) float.
    """
    similarity = mouths @ sounds.T
    means = np.full(2 * max_shift + 1, np.nan)
    shares = np.zeros(2 * max_shift + 1)
    for i, shift in enumerate(range(-max_shift, max_shift + 1)):
        rows = np.flatnonzero((starts + shift >= 0) & (starts + shift < len(sounds)))
        shares[i] = len(rows) / len(mouths)
        if len(rows):
            means[i] = 1 - similarity[rows, starts[rows] + shift].mean()
    # Left out instead, the few pairs at the largest shifts of a short clip would give the least
    # mean by chance: of clips of 1.2 s, 5 to 10 % fewer are then within two frames of the truth.
    median = np.nanmedian(means)
    return median + shares * np.nan_to_num(means - median)


def best_offset(distances: np.ndarray) -> SyncOffset:
    """The shift of the least of (2·max_shift + 1,) distances, between frames by the parabola
    through it and its neighbours: video and sound of a clip may have been cut at either's own
    steps."""
    best = int(np.argmin(distances))
    shift = best - len(distances) // 2
    if 0 < best < len(distances) - 1:
        # before > least, since argmin takes the first of equals.
        before, least, after = distances[best - 1:best + 2]
        shift += (before - after) / (2 * (before - 2 * least + after))
    # Adding 0 makes −0 a plain 0, in offsets.csv too.
    return SyncOffset(round(float(shift), 1) + 0.0, float(np.median(distances) - distances[best]))


def csv_fields(offset: SyncOffset, min_confidence: float) -> str:
    """As CSV_HEADER has them after the clip's name."""
    kept = "yes" if offset.confidence >= min_confidence else "no"
    return f"{offset.frames:.1f},{offset.confidence:.4f},{kept}"


def summary(offsets: Sequence[SyncOffset], min_confidence: float) -> str:
    """One line: how many clips lie at which offset."""
    sure = [offset.frames for offset in offsets if offset.confidence >= min_confidence]
    if not sure:
        return f"no offset of {len(offsets)} clips is certain (confidence ≥ {min_confidence})"
    common = ", ".join(f"{frames:+d}: {n}" for frames, n
                       in Counter(map(round, sure)).most_common(5))
    return (f"{len(sure)} of {len(offsets)} clips with confidence ≥ {min_confidence}; median "
            f"offset {np.median(sure):+.1f} frames, {np.mean(np.abs(sure) <= 1):.0%} within ±1; "
            f"most common {common}")


def cut_sound(wav: np.ndarray, first: int, length: int) -> np.ndarray:
    """Samples first … first+length−1 of a wave (T,), zeros where it has none."""
    inside = wav[max(first, 0):max(first + length, 0)]
    before = min(max(-first, 0), length)
    return np.pad(inside, (before, length - before - len(inside)))


def _sound_windows(mel: np.ndarray) -> np.ndarray:
    """(T, 80, 16): the mel windows of frames 0 … T−1 that lie within the spectrogram (80, M)."""
    windows = []
    while (start := audio.mel_window_start(len(windows))) + audio.MEL_WINDOW <= mel.shape[1]:
        windows.append(mel[:, start:start + audio.MEL_WINDOW])
    return np.array(windows)


def _batches(items: np.ndarray) -> Iterator[np.ndarray]:
    return (items[i:i + _BATCH] for i in range(0, len(items), _BATCH))


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data_root", required=True, help="preprocessed data set (made by preprocess.py)")
    add("--checkpoint_path", required=True, help="trained expert (lipsync_expert.pth, say)")
    add("--out", help="CSV file to write (default: <data_root>/offsets.csv)")
    add("--min_confidence", type=finite_number(-1), default=MIN_CONFIDENCE,
        help="what `kept` says: whether preprocess.py would keep the clip "
        f"(cosine, default {MIN_CONFIDENCE})")
    add("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    root = Path(args.data_root)
    expert = SyncExpert(args.checkpoint_path, distributed.choose_device(args.device))
    check = check_clips([str(root / name) for name in find_clips(root)], root)
    log.info("%s", check.summary())
    offsets = []
    with open(args.out or root / "offsets.csv", "w", encoding="utf-8") as file:
        print(CSV_HEADER, file=file)
        for clip in tqdm(check.clips, "offsets", unit="clip"):
            try:
                offset = measure_offset(clip, clip.load_mel(), expert)
            except (DataError, InputError) as error:
                log.warning("%s", error)
                continue
            name = clip.folder.relative_to(root).as_posix()
            print(name, csv_fields(offset, args.min_confidence), sep=",", file=file)
            offsets.append(offset)
    print(summary(offsets, args.min_confidence))


if __name__ == "__main__":
    run_script(main)
