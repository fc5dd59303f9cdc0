"""Preprocessed clips whose samples tell where they were cut: frame n is gray 5·n, mel frame t is t.
"""
from pathlib import Path

import cv2
import numpy as np

GRAY_STEP = 5


def write_clip(folder: Path, n_frames: int = 30, *, mel_frames: int | None = None,
               missing: tuple[int, ...] = (), size: int = 32) -> None:
    folder.mkdir(parents=True)
    for n in set(range(n_frames)) - set(missing):
        cv2.imwrite(str(folder / f"{n}.jpg"), np.full((size, size, 3), GRAY_STEP * n, np.uint8))
    length = mel_frames or int(n_frames * 3.2) + 1
    np.save(folder / "mel.npy", np.tile(np.arange(length, dtype=np.float32), (80, 1)))


def frame_numbers(crops: np.ndarray) -> list[int]:
    """Which frames these are: (T, …) in [0, 1] → T numbers."""
    return [round(float(np.mean(crop)) * 255 / GRAY_STEP) for crop in crops]


def mel_start(window: np.ndarray) -> int:
    """The first mel frame of a window (1, 80, 16), checked to be 16 successive ones."""
    np.testing.assert_array_equal(window[0, 0], window[0, 0, 0] + np.arange(16))
    return int(window[0, 0, 0])
