"""What a training run leaves to look at: metrics.csv, TensorBoard, sample collages."""
import csv
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from errors import InputError


class TrainingLog:
    """One row of metrics.csv, and one point a curve in TensorBoard, each time `write` is called.

    `add` collects what is averaged until then. Only rank 0 has one that writes (`enabled`). A
    resumed run drops the rows after its step, which it will write again.
    """

    def __init__(self, folder: str | Path, columns: Sequence[str], first_step: int, *,
                 enabled: bool = True) -> None:
        self._columns = ["step", "epoch", "seconds", *columns]
        self._sums: dict[str, list[float]] = defaultdict(list)
        self._began = time.monotonic()
        self._path = Path(folder) / "metrics.csv"
        self._board = None
        if enabled:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._keep_rows_until(first_step)
            self._board = SummaryWriter(str(folder), purge_step=first_step + 1)

    def add(self, **values: float) -> None:
        for name, value in values.items():
            self._sums[name].append(value)

    def write(self, step: int, epoch: int, values: Mapping[str, float] | None = None) -> None:
        """Write the means of what was added, and `values`. ValueError for an unknown column."""
        row = {name: float(np.mean(added)) for name, added in self._sums.items()} | dict(
            values or {})
        self._sums.clear()
        if unknown := row.keys() - set(self._columns):
            raise ValueError(f"metrics.csv has no column {', '.join(sorted(unknown))}")
        if self._board is None:
            return
        for name, value in row.items():
            self._board.add_scalar(name, value, step)
        row |= {"step": step, "epoch": epoch, "seconds": round(time.monotonic() - self._began, 1)}
        with open(self._path, "a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([_text(row.get(name)) for name in self._columns])

    def write_collages(self, step: int, collages: Sequence[np.ndarray]) -> None:
        """Save (H, W, 3) uint8 BGR pictures in samples_step…/ and show them in TensorBoard."""
        if self._board is None:
            return
        folder = self._path.parent / f"samples_step{step:09d}"
        folder.mkdir(exist_ok=True)
        for i, collage in enumerate(collages):
            cv2.imwrite(str(folder / f"{i}.jpg"), collage)
        self._board.add_image("samples", np.vstack(collages)[..., ::-1], step, dataformats="HWC")

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _keep_rows_until(self, step: int) -> None:
        rows: list[list[str]] = []
        if self._path.is_file():
            with open(self._path, newline="", encoding="utf-8") as file:
                header, *rows = [row for row in csv.reader(file) if row] or [self._columns]
            if header != self._columns:
                raise InputError(f"{self._path} has the columns of another kind of training "
                                 f"({', '.join(header)}): choose another --checkpoint_dir")
        with open(self._path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self._columns, *(r for r in rows if int(r[0]) <= step)])


def collage(x: Tensor, g: Tensor, gt: Tensor) -> np.ndarray:
    """Reference | input | generated | ground truth, a row for each of T frames, as one picture.

    x: (6, T, H, W) masked target and reference. g, gt: (3, T, H, W). All BGR in [0, 1].
    """
    columns = [picture.detach().float().cpu().numpy() for picture in (x[3:], x[:3], g, gt)]
    rows = np.concatenate(columns, axis=3).transpose(1, 2, 3, 0)
    return np.round(np.vstack(rows) * 255).astype(np.uint8)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
