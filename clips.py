"""The clips of a preprocessed data set: what each holds, and why some cannot be trained on."""
import logging
import os
import threading
import wave
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import audio
from atomic_file import whole_file
from clip_record import crop_margin
from errors import InputError
from face_regions import POINTS, POINTS_FILE
from hparams import HParams, get_image_list, hparams
from mouth_shape import MEAN_FILE, SHAPE, SHAPE_FILE

log = logging.getLogger(__name__)

WINDOW = 5          # video frames that the expert judges at once: 200 ms
_FEWEST_CROPS = 16
_JPEG_END = b"\xff\xd9"
_ONE_NPY_AT_A_TIME = threading.Lock()


class DataError(InputError):
    """A data set or a file of it that cannot be used; the message is one line."""

    def __init__(self, message: str) -> None:
        # A loader's worker process hands the error on with its traceback before the message.
        super().__init__(message.strip().splitlines()[-1].removeprefix("clips.DataError: "))


@dataclass(frozen=True)
class Clip:
    """One preprocessed clip.

    frames: (N,) int, ascending: the frame numbers that have a crop. mel_frames: spectrogram length.
    margin: how far the stored crops reach beyond the box on every side, in box sides.
    """

    folder: Path
    frames: np.ndarray
    mel_frames: int
    margin: float = 0.0

    @property
    def name(self) -> str:
        return "/".join(self.folder.parts[-2:])

    @property
    def window_starts(self) -> np.ndarray:
        """Frames f for which all crops f … f+4 exist."""
        first, last = self.frames[:1 - WINDOW], self.frames[WINDOW - 1:]
        return first[last - first == WINDOW - 1]

    def load_mel(self) -> np.ndarray:
        """(80, mel_frames) float16 or float32 in [-4, 4], memory-mapped from mel.npy.

        Computed from audio.wav where missing, as in folders made by the original, and saved.
        DataError if a file is damaged."""
        try:
            return _map_npy(self.folder / "mel.npy")
        except FileNotFoundError:
            return self._make_mel()
        except ValueError as error:
            raise DataError(f"{self.folder / 'mel.npy'} is damaged ({error}): delete it, it will "
                            "be made again from audio.wav") from None

    def load_crops(self, start: int = 0, stop: int | None = None,
                   size: int = hparams.img_size) -> np.ndarray:
        """Stored crops of frames[start:stop]: (T, S, S, 3) uint8, BGR, S = size·(1 + 2·margin).

        DataError names the first damaged file."""
        side = stored_side(size, self.margin)
        numbers = self.frames[start:stop]
        crops = np.empty((len(numbers), side, side, 3), np.uint8)
        for crop, number in zip(crops, numbers, strict=True):
            cv2.resize(_read_jpg(self.folder / f"{number}.jpg"), (side, side), dst=crop)
        return crops

    def load_shapes(self) -> np.ndarray:
        """(N, 7) float32 mouth shapes (`mouth_shape.SHAPE`), row f of frame number f, NaN where no
        face was found. DataError without shape.npy or where it is damaged."""
        return self._load_rows(SHAPE_FILE, (len(SHAPE),), "measure_mouths.py",
                               ", or leave mouth_shapes out")

    def load_points(self) -> np.ndarray:
        """(N, 4, 2) float32 `face_regions.POINTS` in box sides, row f of frame number f, NaN where
        they are not known. DataError without points.npy or where it is damaged."""
        return self._load_rows(POINTS_FILE, POINTS.shape, "measure_points.py")

    def _load_rows(self, name: str, row: tuple[int, ...], tool: str,
                   otherwise: str = "") -> np.ndarray:
        path = self.folder / name
        try:
            rows = _load_measured(path, f"delete it and run {tool} again")
        except FileNotFoundError:
            raise DataError(f"{self.folder} has no {name}: run {tool} on the data set{otherwise}"
                            ) from None
        if rows.shape[1:] != row or len(rows) <= self.frames[-1]:
            raise DataError(f"{path} has the shape {rows.shape}, not that of this clip: delete "
                            f"it and run {tool} again")
        return rows

    def load_mean_shape(self) -> np.ndarray | None:
        """(7,) the person's mean mouth shape, where the clip shows a still picture; else None.
        DataError if mean_shape.npy is damaged."""
        path = self.folder / MEAN_FILE
        remedy = f"delete the clip's {SHAPE_FILE} and run measure_mouths.py --stills again"
        try:
            mean = _load_measured(path, remedy)
        except FileNotFoundError:
            return None
        if mean.shape != (len(SHAPE),):
            raise DataError(f"{path} has the shape {mean.shape}: {remedy}")
        return mean

    def _make_mel(self) -> np.ndarray:
        path = self.folder / "mel.npy"
        mel = audio.melspectrogram(audio.load_wav(self.folder / "audio.wav")).astype(np.float16)
        # A data set on a read-only disk still trains: the mel is then computed for each sample.
        with suppress(PermissionError), whole_file(path) as file:
            np.save(file, mel)
        return mel


@dataclass(frozen=True)
class ClipCheck:
    """The usable clips of a list, and the others by what is wrong with them."""

    clips: list[Clip]
    left_out: dict[str, list[str]]

    def summary(self) -> str:
        """One line: "1700 of 1761 clips, 0.6 hours; left out: 61 too short (first: c000/00220)"."""
        n_left_out = sum(map(len, self.left_out.values()))
        hours = sum(len(clip.frames) for clip in self.clips) / hparams.fps / 3600
        line = f"{len(self.clips)} of {len(self.clips) + n_left_out} clips, {hours:.2f} hours"
        reasons = [f"{len(folders)} {reason} (first: {folders[0]})"
                   for reason, folders in self.left_out.items()]
        return f"{line}; left out: {', '.join(reasons)}" if reasons else line


def require_all(clips: Sequence[Clip], usable: Sequence[bool], lacking: str) -> None:
    """DataError if some of the clips are not usable: it counts them and names the first."""
    if blind := [clip.folder for clip, use in zip(clips, usable, strict=True) if not use]:
        raise DataError(f"{len(blind)} clips without {lacking} (first: {blind[0]}): take them off "
                        "the list")


def stored_side(size: int, margin: float) -> int:
    return round(size * (1 + 2 * margin))


def box_of(stored: int, margin: float) -> slice:
    """The rows, and columns, of the box itself in a stored crop of that side."""
    side = round(stored / (1 + 2 * margin))
    corner = (stored - side) // 2
    return slice(corner, corner + side)


def check_clips(folders: Sequence[str], data_root: str | Path,
                hp: HParams = hparams) -> ClipCheck:
    """Look at every listed clip folder. DataError if there is no data set or no usable clip."""
    if not Path(data_root).is_dir():
        raise DataError(f"--data_root {data_root}: no such folder; make it with preprocess.py")
    if not folders:
        raise DataError(f"the list of clips of {data_root} is empty: fill it with "
                        "python -m filelists")
    margin = crop_margin(data_root)
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda folder: _look_at(Path(folder), margin, hp), folders))
    clips = [clip for clip in found if isinstance(clip, Clip)]
    left_out: dict[str, list[str]] = defaultdict(list)
    for folder, problem in zip(folders, found, strict=True):
        if isinstance(problem, str):
            left_out[problem].append(folder)
    check = ClipCheck(clips, dict(left_out))
    if not clips:
        raise DataError(f"nothing to train on under {data_root}: {check.summary()}; check "
                        "--data_root and the file list against the folders there")
    return check


def listed_clips(data_root: str | Path, split: str, filelist_root: str | Path | None = None,
                 hp: HParams = hparams) -> list[Clip]:
    """The usable clips of a list; what is left out is logged in counts. DataError without the list
    or if nothing in it is usable."""
    try:
        folders = get_image_list(data_root, split, filelist_root)
    except FileNotFoundError as error:
        raise DataError(str(error)) from None
    except UnicodeDecodeError as error:
        raise DataError(f"the list {split}.txt is not UTF-8 text ({error.reason}): save it as "
                        "UTF-8") from None
    check = check_clips(folders, data_root, hp)
    log.info("%s: %s", split, check.summary())
    return check.clips


def _look_at(folder: Path, margin: float, hp: HParams) -> Clip | str:
    """The clip in a folder, or what is wrong with it."""
    if not folder.is_dir():
        return "with no folder"
    numbers = sorted(int(name[:-4]) for name in os.listdir(folder)
                     if name.endswith(".jpg") and name[:-4].isdigit())
    if len(numbers) < _FEWEST_CROPS:
        return f"with under {_FEWEST_CROPS} face crops"
    try:
        mel_frames = _mel_frames(folder, hp)
    except FileNotFoundError:
        return "without mel.npy or audio.wav"
    except (ValueError, EOFError, wave.Error):
        return "with a damaged mel.npy or audio.wav"
    clip = Clip(folder, np.array(numbers), mel_frames, margin)
    starts = clip.window_starts
    if len(starts) < 2 or not len(usable_starts(clip, hp, before=1, after=WINDOW - 2)):
        return f"without two windows of {WINDOW} crops in a row within the sound"
    return clip


def usable_starts(clip: Clip, hp: HParams, *, before: int = 0, after: int = 0) -> np.ndarray:
    """Window starts f whose mel windows of frames f−before … f+after lie within the spectrogram and
    that have a wrong window at least `min_negative_offset` frames away."""
    starts = clip.window_starts
    last_mel = np.array([audio.mel_window_start(f + after, hp.fps) for f in starts])
    inside = (starts >= before) & (last_mel + audio.MEL_WINDOW <= clip.mel_frames)
    farthest = np.maximum(starts - starts[0], starts[-1] - starts)
    return starts[inside & (farthest >= hp.min_negative_offset)]


def _mel_frames(folder: Path, hp: HParams) -> int:
    if (folder / "mel.npy").is_file():
        shape = _map_npy(folder / "mel.npy").shape
        if len(shape) != 2 or shape[0] != hp.num_mels:
            raise ValueError(f"mel of shape {shape}")
        return shape[1]
    with wave.open(str(folder / "audio.wav")) as file:
        samples = file.getnframes() * hp.sample_rate // file.getframerate()
    return 1 + samples // hp.hop_size


def _load_measured(path: Path, remedy: str) -> np.ndarray:
    """What measure_mouths.py or measure_points.py wrote. FileNotFoundError; DataError if it is
    damaged."""
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise DataError(f"{path} is damaged ({error}): {remedy}") from None


def _map_npy(path: Path) -> np.ndarray:
    # NumPy parses the header with `ast`, which threads must not do together before Python 3.11.8
    # (SystemError: AST constructor recursion depth mismatch, CPython issue 106905).
    with _ONE_NPY_AT_A_TIME:
        return np.load(path, mmap_mode="r")


def _read_jpg(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 BGR. OpenCV itself would fill what a truncated file lacks with gray."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): run preprocess.py again for "
                        "this clip") from None
    image = None
    if _JPEG_END in data[-64:]:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise DataError(f"{path} is a damaged JPEG ({len(data):,} bytes): delete it, or its clip's "
                        "folder and run preprocess.py again")
    return image
