"""Videos of faces once more, as of other people who look to a side and open their mouths wider.

    mesh/bin/python varied_heads.py --data_root videos/ --out varied/

Few people in front of a camera are few faces, and all look into it: a generator trained on them
alone draws crooked mouths where a head is turned, and every chin where theirs are. Here a face
mesh, which has depth, is given other proportions and turned, and the picture bent with it, alike in
all videos of a folder: <folder>/<name>.mp4 becomes <folder>_<seed>/<name>.mp4. With --opening, open
mouths are shut, and opened as wide as hardly any newsreader's is: the lower jaw goes up and down,
teeth stay with their jaws (`jaws.py`).
It runs in the environment that face_mesh.py describes, one process a CPU core.
"""
import argparse
import logging
import zlib
from collections.abc import Sequence
from itertools import chain, tee
from pathlib import Path

import numpy as np

import media
from errors import InputError, run_script
from face_mesh import face_meshes, map_videos
from flag_types import finite_number, whole_number
from heads import Head, varied
from hparams import hparams

log = logging.getLogger(__name__)

# Standard deviations of the logarithms of a head's proportions, for --proportions 1.
_SPREAD = np.array([1.0, 0.6, 1.2, 1.2])
_OPENING_SECONDS = 0.8  # from one opening to the other and back
_CRF = 10


def draw_head(folder: str, yaw: float, pitch: float, proportions: float, seed: int) -> Head:
    """What is done to all videos of a folder. yaw, pitch: at most, either way."""
    rng = np.random.default_rng((seed, zlib.crc32(folder.encode())))
    length, width, *mouth = np.exp(proportions * rng.normal(0, _SPREAD))
    return Head(rng.uniform(-yaw, yaw), rng.uniform(-pitch, pitch), length, width, *mouth)


def opening_at(seconds: float, least: float, most: float) -> float:
    """The opening at this time of a video: from the least to the most and back."""
    return float(np.interp(seconds, [0, _OPENING_SECONDS / 2, _OPENING_SECONDS],
                           [least, most, least], period=_OPENING_SECONDS))


def vary_video(video: Path, out: Path, head: Head, opening: tuple[float, float]) -> str | None:
    """Write the video, with its sound, with another head, and its mouth opened by `opening_at`;
    what is wrong with it, where it is of no use."""
    try:
        frames = media.read_frames(video, fps=hparams.fps)
        first = next(frames)
        frames, measured = tee(chain([first], frames))
        height, width = first.shape[:2]
        with media.VideoWriter(out, width=width, height=height, fps=hparams.fps, audio=video,
                               crf=_CRF) as writer:
            for i, (frame, mesh) in enumerate(zip(frames, face_meshes(measured), strict=True)):
                if np.isnan(mesh).any():
                    raise InputError("with frames without a face")
                now = head._replace(opening=opening_at(i / hparams.fps, *opening))
                writer.write(varied(frame, mesh, now))
    except InputError as error:
        return str(error)
    return None


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data_root", required=True, type=Path, help="folder of folders of videos")
    add("--out", required=True, type=Path, help="folder for theirs: preprocess.py's --data_root")
    add("--yaw", type=finite_number(0), default=35, metavar="DEGREES",
        help="to a side, at most (default 35)")
    add("--pitch", type=finite_number(0), default=10, metavar="DEGREES",
        help="up or down, at most (default 10)")
    add("--proportions", type=finite_number(0), default=0.1, metavar="SHARE",
        help="standard deviation of how long the face is below the nose; the others vary with it "
        "(default 0.1)")
    add("--opening", nargs=2, type=finite_number(0), default=(1, 1), metavar=("LEAST", "MOST"),
        help="factors between which lips that are apart are moved, back and forth (default 1 1: "
        "they are left as they are)")
    add("--seed", type=whole_number(0), default=0, help="another one gives other heads (default 0)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    videos = sorted(path for path in args.data_root.glob("*/**/*")
                    if path.suffix.lower() in media.VIDEO_ENDINGS and path.is_file())
    if not videos:
        raise InputError(f"--data_root {args.data_root} holds no folder of videos")
    folders = [video.parent.relative_to(args.data_root).as_posix() for video in videos]
    heads = [draw_head(folder, args.yaw, args.pitch, args.proportions, args.seed)
             for folder in folders]
    outs = [args.out / f"{folder}_{args.seed}" / f"{video.stem}.mp4"
            for folder, video in zip(folders, videos, strict=True)]
    written = map_videos(vary_video, videos, outs, heads, [tuple(args.opening)] * len(videos),
                         doing="varying")
    log.info("%d of %d videos written", sum(written), len(videos))


if __name__ == "__main__":
    run_script(main)
