"""Measure where eyes and mouth lie in the crops of a preprocessed data set.

    mesh/bin/python measure_points.py --preprocessed_root lrs2_preprocessed --every 5

writes points.npy into every clip's folder, for face_points_train.py. The crops need a margin
(preprocess.py --margin 0.25): a face fills its box, and the mesh wants some of what is around it.
It runs in the environment that face_mesh.py describes, one process a CPU core.
"""
import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from atomic_file import whole_file
from clip_record import crop_margin
from errors import InputError, run_script
from face_mesh import face_meshes, map_videos
from face_regions import POINTS, POINTS_FILE, from_crop
from flag_types import whole_number

log = logging.getLogger(__name__)

_SIDE = 384     # pixels of a crop for the mesh, which loses faces in small pictures

# Points of the mesh whose means are those of POINTS: corners of an eye, or one of the mouth.
_OF_POINTS = [[33, 133], [362, 263], [61], [291]]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--preprocessed_root", required=True, type=Path, help="the clips that preprocess.py made")
    add("--every", type=whole_number(1), default=1, help="measure every so many crops (default 1)")
    return parser.parse_args(argv)


def measure(clip: Path, every: int, margin: float) -> str | None:
    """Write the points of a clip's crops; what is wrong with it, where it is of no use."""
    numbers = sorted(int(path.stem) for path in clip.glob("*.jpg"))
    crops = (cv2.resize(cv2.imread(str(clip / f"{number}.jpg")), (_SIDE, _SIDE))
             for number in numbers[::every])
    meshes = np.stack(list(face_meshes(crops)))
    if np.isnan(meshes).all():
        return "clips without a face that the mesh sees"
    points = np.full((numbers[-1] + 1, *POINTS.shape), np.nan, np.float32)
    for row, mesh in zip(numbers[::every], meshes, strict=True):
        seen = np.stack([mesh[point, :2].mean(0) for point in _OF_POINTS])
        points[row] = from_crop(seen / _SIDE, margin)
    with whole_file(clip / POINTS_FILE) as file:
        np.save(file, points)
    return None


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not args.preprocessed_root.is_dir():
        raise InputError(f"--preprocessed_root {args.preprocessed_root}: no such folder")
    clips = sorted({path.parent for path in args.preprocessed_root.rglob("*.jpg")})
    if not clips:
        raise InputError(f"--preprocessed_root {args.preprocessed_root} holds no crops: make them "
                         "with preprocess.py")
    todo = [clip for clip in clips if not (clip / POINTS_FILE).is_file()]
    n = len(todo)
    measured = map_videos(measure, todo, [args.every] * n,
                          [crop_margin(args.preprocessed_root)] * n, doing="measuring")
    log.info("%d clips measured", sum(measured))


if __name__ == "__main__":
    run_script(main)
