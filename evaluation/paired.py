"""Results and the ground truth that each is compared with: files, frames and faces."""
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from errors import InputError
from evaluation.filelist import find_videos
from evaluation.generation import read_lines, result_path
from evaluation.one_face import follow_face
from face_detection import Detector
from media import probe, read_frames


class Comparison(NamedTuple):
    """A generated video and the real one of the same picture."""

    generated: Path
    real: Path


def find_comparisons(generated: Path,
                     ground_truth: Path) -> tuple[list[Comparison], dict[Path, str]]:
    """What can be compared, and why each other generated video cannot.

    Where `generated` was made from a list, the counterpart of <n>.mp4 is the video of line n below
    `ground_truth`; else it is the video of the same relative name. InputError if nothing is left.
    """
    lines = read_lines(generated)
    if lines is None:
        wanted = [Comparison(path, ground_truth / path.relative_to(generated))
                  for path in find_videos(generated)]
    else:
        wanted = [Comparison(result_path(generated, pair), _video(ground_truth, pair.video))
                  for pair in lines]
    there = [pair for pair in wanted if pair.generated.is_file() and pair.real.is_file()]
    missing = {pair.generated: f"no {pair.real if pair.generated.is_file() else pair.generated}"
               for pair in wanted if pair not in there}
    if not there:
        raise InputError(f"none of the {len(wanted)} videos of {generated} has its counterpart in "
                         f"{ground_truth} (first one looked for: {wanted[0].real})")
    return there, missing


def frame_pairs(comparison: Comparison) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each generated frame with the real one of the same time, (H, W, 3) uint8 BGR each, for as
    long as both last. InputError if the shapes differ by more than a shrinking's rounding."""
    generated, real = comparison
    frames = zip(read_frames(generated), read_frames(real, fps=_rate(generated)))
    for i, (g, gt) in enumerate(frames):
        if i == 0 and abs(g.shape[1] * gt.shape[0] / (g.shape[0] * gt.shape[1]) - 1) > 0.02:
            raise InputError(f"{generated} is {g.shape[1]}x{g.shape[0]} but {real} is "
                             f"{gt.shape[1]}x{gt.shape[0]}: no pixel of one belongs to a pixel of "
                             "the other")
        yield g, gt


def face_pairs(comparison: Comparison,
               detector: Detector) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The face in each of `frame_pairs`, (h, w, 3) each at its video's resolution.

    It is looked for in the real video, and its box serves for both: a generator that spoils faces
    until none is found shall not be spared for it. NoFaceError if the real video has none.
    """
    boxes = follow_face(comparison.real, detector, fps=_rate(comparison.generated))
    for (g, gt), box in zip(frame_pairs(comparison), boxes):
        yield _cut(g, box * np.tile(np.divide(g.shape[1::-1], gt.shape[1::-1]), 2)), _cut(gt, box)


def _cut(frame: np.ndarray, box: np.ndarray) -> np.ndarray:
    x1, y1, x2, y2 = np.rint(box).astype(int)
    return frame[y1:y2, x1:x2]


def _rate(path: Path) -> float:
    """Frames a second of a generated video."""
    video = probe(path).video
    if video is None:
        raise InputError(f"{path} has no video stream")
    return video.fps


def _video(root: Path, name: str) -> Path:
    """A list names videos with their ending or, as LRS2's do, without."""
    return root / name if (root / name).is_file() else root / f"{name}.mp4"
