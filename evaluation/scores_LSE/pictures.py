"""Pictures of a score: the distance at each shift of the sound, a collage of the faces judged."""
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLUMNS = 8
_THUMBNAIL = 96     # pixels


class Collage:
    """Keeps 16 to 32 frames of a stream of unknown length, evenly spread."""

    _MOST = 32

    def __init__(self) -> None:
        self._step = 1
        self._count = 0
        self._thumbnails: list[np.ndarray] = []

    def add(self, frame: np.ndarray) -> None:
        """frame: (H, W, 3) uint8 BGR, the next one."""
        if self._count % self._step == 0:
            self._thumbnails.append(cv2.resize(frame, (_THUMBNAIL, _THUMBNAIL)))
        self._count += 1
        if len(self._thumbnails) > self._MOST:
            self._thumbnails = self._thumbnails[::2]
            self._step *= 2

    def image(self) -> np.ndarray:
        """The kept frames row by row, (rows·96, 8·96, 3) uint8 BGR."""
        blank = np.zeros((_THUMBNAIL, _THUMBNAIL, 3), np.uint8)
        filled = self._thumbnails + [blank] * (-len(self._thumbnails) % _COLUMNS)
        rows = [np.hstack(filled[i:i + _COLUMNS]) for i in range(0, len(filled), _COLUMNS)]
        return np.vstack(rows)


def save_offset_curve(path: Path, distances: np.ndarray, title: str) -> None:
    """Draw the (2·vshift + 1,) mean distances against the offset that each shift means, as PNG."""
    vshift = len(distances) // 2
    offsets = vshift - np.arange(len(distances))
    best = int(np.nanargmin(distances))
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(offsets, distances, marker=".")
    axes.axvline(offsets[best], linestyle=":", color="gray")
    axes.axhline(float(np.nanmedian(distances)), linestyle="--", color="gray", label="median")
    axes.set_title(title, fontsize="medium")
    axes.set(xlabel="picture later than sound by (frames)", ylabel="mean distance")
    axes.legend()
    figure.savefig(path, dpi=100)
