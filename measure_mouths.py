"""Measure the shape of the mouth in every frame of a preprocessed data set.

    mesh/bin/python measure_mouths.py --data_root lrs2/main --preprocessed_root lrs2_preprocessed

writes shape.npy into every clip's folder, for training with the hyper-parameter `mouth_shapes`.
With --stills, for clips of still_videos.py, also mean_shape.npy: how the person's mouth would be on
average, which one picture cannot tell.
It runs in the environment that face_mesh.py describes, one process a CPU core.
"""
import argparse
import logging
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np

import media
from atomic_file import whole_file
from clip_record import ClipRecord, read_record
from errors import InputError, run_script
from face_mesh import face_meshes, map_videos
from hparams import hparams
from mouth_shape import MEAN_FILE, SHAPE_FILE, expected_mean, mouth_shapes

log = logging.getLogger(__name__)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data_root", required=True, type=Path, help="the videos, as preprocess.py was given them")
    add("--preprocessed_root", required=True, type=Path, help="the clips that it made of them")
    add("--stills", action="store_true", help="the videos are those of still_videos.py")
    return parser.parse_args(argv)


def unmeasured_clips(preprocessed_root: Path) -> dict[str, dict[Path, ClipRecord]]:
    """Source video → clip folders made of it that have no shape.npy yet. InputError without any
    clip of preprocess.py, whose clip.json tells the video."""
    files = sorted(preprocessed_root.rglob("clip.json"))
    if not files:
        raise InputError(f"--preprocessed_root {preprocessed_root} holds no clip that this "
                         "project's preprocess.py made")
    found: dict[str, dict[Path, ClipRecord]] = defaultdict(dict)
    for file in files:
        record = read_record(file.parent)
        if not (file.parent / SHAPE_FILE).is_file():
            found[record.source][file.parent] = record
    return found


def measure(video: Path, clips: dict[Path, ClipRecord], still: bool) -> str | None:
    """Write the shapes of a video's clips; what is wrong with it, where it is of no use."""
    last = max(record.first_frame + record.frames for record in clips.values())
    try:
        frames = islice(media.read_frames(video, fps=hparams.fps), last)
        meshes = np.stack(list(face_meshes(frames)))
    except InputError as error:
        return str(error)
    if still and np.isnan(meshes).all():
        return f"{video}: no face in it"
    shapes = mouth_shapes(meshes)
    for folder, record in clips.items():
        if still:
            with whole_file(folder / MEAN_FILE) as file:
                np.save(file, expected_mean(meshes))
        with whole_file(folder / SHAPE_FILE) as file:
            np.save(file, shapes[record.first_frame:][:record.frames])
    return None


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    for name in ("data_root", "preprocessed_root"):
        if not getattr(args, name).is_dir():
            raise InputError(f"--{name} {getattr(args, name)}: no such folder")
    work = unmeasured_clips(args.preprocessed_root)
    videos = [args.data_root / source for source in work]
    measured = map_videos(measure, videos, [*work.values()], [args.stills] * len(work),
                          doing="measuring")
    log.info("%d clips measured",
             sum(len(clips) for clips, done in zip(work.values(), measured, strict=True) if done))


if __name__ == "__main__":
    run_script(main)
