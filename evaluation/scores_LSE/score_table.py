"""The result of scoring a folder: scores.csv, all_scores.txt and the means, failures included."""
import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from evaluation.scores_LSE.SyncNetInstance_calc_scores import Lse


@dataclass(frozen=True)
class Row:
    """One face track of a video, or with `offset` None a video or track that has no score."""

    video: str
    network: str                    # which network gave the numbers: syncnet_v2 or expert
    track: int | None = None
    first_frame: int | None = None  # at 25 frames a second
    frames: int | None = None
    offset: int | None = None       # frames by which the picture is late
    lse_d: float | None = None
    lse_c: float | None = None
    note: str = ""                  # why there is no score, or what was done to the video

    def scored(self, lse: Lse) -> "Row":
        """This row with its scores."""
        return dataclasses.replace(self, offset=lse.offset, lse_d=lse.min_distance,
                                   lse_c=lse.confidence)


class ScoreTable:
    """Writes rows as they come; a context manager. No file is made before it has something to say.

    scores.csv has every row; all_scores.txt has `LSE-D LSE-C` of each scored track, as published.
    Those of an earlier run in the folder are replaced.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._files: dict[str, TextIO] = {}
        self.rows: list[Row] = []

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in ("scores.csv", "all_scores.txt"):
            (self._folder / name).unlink(missing_ok=True)
        return self

    def __exit__(self, *exception: object) -> None:
        for file in self._files.values():
            file.close()

    def add(self, row: Row) -> None:
        """Append a row to the files at once, so that a kill loses nothing."""
        self.rows.append(row)
        is_new = "scores.csv" not in self._files
        writer = csv.DictWriter(self._file("scores.csv"), [f.name for f in dataclasses.fields(Row)])
        if is_new:
            writer.writeheader()
        writer.writerow(dataclasses.asdict(row))
        self._files["scores.csv"].flush()
        if row.offset is not None:
            print(row.lse_d, row.lse_c, file=self._file("all_scores.txt"), flush=True)

    def _file(self, name: str) -> TextIO:
        if name not in self._files:
            self._files[name] = open(self._folder / name, "w", encoding="utf-8", newline="")
        return self._files[name]


def summary(rows: Sequence[Row]) -> str:
    """The means over all scored tracks, and how many of how many videos they stand for."""
    scored = [row for row in rows if row.offset is not None]
    failed = [row for row in rows if row.offset is None]
    videos = {row.video for row in rows}
    scored_videos = {row.video for row in scored}
    lines = []
    if scored:
        lse_d = sum(row.lse_d for row in scored) / len(scored)
        lse_c = sum(row.lse_c for row in scored) / len(scored)
        lines += [f"Average Confidence (LSE-C, {scored[0].network}): {lse_c:.4f}",
                  f"Average Minimum Distance (LSE-D, {scored[0].network}): {lse_d:.4f}"]
    noted = sum(bool(row.note) for row in scored)
    lines.append(f"scored {len(scored_videos)} of {len(videos)} videos, {len(scored)} face tracks"
                 + (f", {noted} of them with a note in scores.csv" if noted else ""))
    if failed:
        lines.append(f"{len(failed)} without a score, which the means leave out:")
        lines += [f"  {_name(row)}: {row.note}" for row in failed]
    return "\n".join(lines)


def _name(row: Row) -> str:
    return row.video if row.track is None else f"{row.video} track {row.track}"
