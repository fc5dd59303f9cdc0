"""Results and the ground truth that each is compared with."""
from pathlib import Path
from typing import NamedTuple

from errors import InputError
from evaluation.filelist import find_videos
from evaluation.generation import read_lines, result_path


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


def _video(root: Path, name: str) -> Path:
    """A list names videos with their ending or, as LRS2's do, without."""
    return root / name if (root / name).is_file() else root / f"{name}.mp4"
