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
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise, tee
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import media
from errors import InputError, run_script
from face_mesh import face_meshes, map_videos
from flag_types import finite_number, whole_number
from hparams import hparams
from jaws import (BETWEEN_JAWS, INSIDE, LOWER_JAW, LOWER_LIP, N_WITH_JAWS, SIDES, TEETH_BEHIND,
                  UPPER_JAW, UPPER_LIP, face_width, filled, inside_of_mouth, opened, with_jaws)

log = logging.getLogger(__name__)

# Standard deviations of the logarithms of a head's proportions, for --proportions 1.
_SPREAD = np.array([1.0, 0.6, 1.2, 1.2])
# Standard deviations, x and y, of what goes with the mouth, in widths of the face.
_MOUTH_REACH = np.array([0.3, 0.18])
_OPENING_SECONDS = 0.8  # from one opening to the other and back
_CRF = 10

# Points of the mesh at the rim of the face, in order, from the middle of the forehead.
_RIM = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
        148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
_NOSE_END = 2
_LIPS = [13, 14]
# What the mesh leaves open of the eyes: above and below, from corner to corner.
_EYES = [
    ([33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133]),
    ([362, 398, 384, 385, 386, 387, 388, 466, 263], [362, 382, 381, 380, 374, 373, 390, 249, 263])]
# Rings around the rim: its distance from the middle of the face, by the rim's, and the share of the
# change that it takes part in. Hair and ears go with the face, what is far behind does not.
_RINGS = [(1.3, 0.9), (1.8, 0.3), (2.6, 0.0)]


class Head(NamedTuple):
    """What makes a head another one. yaw, to the right of the picture, and pitch, downwards:
    degrees. length, from the nose down, width, the mouth's width and height, and how far its lips
    are apart: by what they were.
    """

    yaw: float
    pitch: float
    length: float = 1.0
    width: float = 1.0
    mouth_width: float = 1.0
    mouth_height: float = 1.0
    opening: float = 1.0


def draw_head(folder: str, yaw: float, pitch: float, proportions: float, seed: int) -> Head:
    """What is done to all videos of a folder. yaw, pitch: at most, either way."""
    rng = np.random.default_rng((seed, zlib.crc32(folder.encode())))
    length, width, *mouth = np.exp(proportions * rng.normal(0, _SPREAD))
    return Head(rng.uniform(-yaw, yaw), rng.uniform(-pitch, pitch), length, width, *mouth)


def opening_at(seconds: float, least: float, most: float) -> float:
    """The opening at this time of a video: from the least to the most and back."""
    return float(np.interp(seconds, [0, _OPENING_SECONDS / 2, _OPENING_SECONDS],
                           [least, most, least], period=_OPENING_SECONDS))


def varied(frame: np.ndarray, mesh: np.ndarray, head: Head) -> np.ndarray:
    """The frame (H, W, 3) with another head.

    mesh: (478, 3) as `face_meshes` gives it."""
    height, width = frame.shape[:2]
    light = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    source, target = _points(with_jaws(mesh, light), head)
    to_source = np.dstack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in (width, height)]))
    triangles = _triangles()
    corners = target[triangles]
    shown = np.full((height, width), -1, np.int32)
    depth = corners[:, :, 2].mean(1)
    depth[np.isin(triangles, INSIDE).all(1)] += TEETH_BEHIND * face_width(mesh)
    # What is nearer is painted over what is farther.
    for index in np.argsort(-depth).tolist():
        cv2.fillConvexPoly(shown, np.rint(corners[index, :, :2]).astype(np.int32), index)
    inside = shown >= 0
    maps = _affine_maps(corners[:, :, :2], source[triangles][:, :, :2])[shown[inside]]
    to_source[inside] = (maps[:, :, :2] @ to_source[inside][:, :, None])[:, :, 0] + maps[:, :, 2]
    bent = cv2.remap(frame, to_source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    between = inside & np.isin(triangles, BETWEEN_JAWS).all(1)[shown]
    return filled(bent, between, inside_of_mouth(frame, source), mesh, head.opening)


def _points(mesh: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) the mesh with rings around it, as it is and as the other head's."""
    rim = mesh[_RIM]
    axis = mesh[SIDES].mean(0)
    yaw, pitch = np.deg2rad([head.yaw, head.pitch])
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)],
                        [0, np.sin(pitch), np.cos(pitch)]])
    other = axis + (_with_proportions(mesh, head) - axis) @ (about_x @ about_y).T
    source, target = [mesh], [other]
    middle, depth = rim.mean(0), np.ptp(mesh[:, 2])
    for i, (distance, share) in enumerate(_RINGS, 1):
        ring = middle + distance * (rim - middle)
        ring[:, 2] = rim[:, 2] + i * depth
        source.append(ring)
        target.append(ring + share * (other[_RIM] - rim))
    return np.concatenate(source), np.concatenate(target)


def _with_proportions(mesh: np.ndarray, head: Head) -> np.ndarray:
    """The mesh with the head's proportions, still looking where it looked."""
    mesh = opened(mesh, head.opening)
    mouth = mesh[_LIPS].mean(0)
    away = (mesh - mouth)[:, :2]
    near = np.exp(-np.square(away / (face_width(mesh) * _MOUTH_REACH)).sum(1) / 2)
    other = mesh.copy()
    other[:, :2] += near[:, None] * away * (np.array([head.mouth_width, head.mouth_height]) - 1)
    below_nose = np.maximum(mesh[:, 1] - mesh[_NOSE_END, 1], 0)
    other[:, 0] += (head.width - 1) * (mesh[:, 0] - mesh[_NOSE_END, 0])
    other[:, 1] += (head.length - 1) * below_nose
    return other


@lru_cache(maxsize=1)
def _triangles() -> np.ndarray:
    """(M, 3) indices of `_points`: MediaPipe's triangles of the face, and those that fill its
    openings and the rings."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION
    joined: dict[int, set[int]] = defaultdict(set)
    for a, b in FACEMESH_TESSELATION:
        joined[a].add(b)
        joined[b].add(a)
    face = {tuple(sorted((a, b, c))) for a in joined for b in joined[a]
            for c in joined[a] & joined[b]}
    n = len(_RIM)
    rings = [[*_RIM, _RIM[0]]]
    for i in range(len(_RINGS)):
        first = N_WITH_JAWS + i * n
        rings.append([*range(first, first + n), first])
    strips = [*pairwise([UPPER_LIP, UPPER_JAW, LOWER_JAW, LOWER_LIP]), *_EYES, *pairwise(rings)]
    between = [triangle for upper, lower in strips
               for (a, c), (b, d) in pairwise(zip(upper, lower, strict=True))
               for triangle in ((a, b, c), (b, c, d))]
    return np.array([*sorted(face), *between])


def _affine_maps(corners: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(M, 2, 3) the maps of each triangle's corners (M, 3, 2) onto others; a triangle without area
    is mapped onto its own place."""
    homogeneous = np.concatenate([corners, np.ones_like(corners[:, :, :1])], axis=2)
    flat = np.abs(np.linalg.det(homogeneous)) < 1e-3
    homogeneous[flat], onto = np.eye(3), np.where(flat[:, None, None], np.eye(3)[None, :, :2], onto)
    return np.linalg.solve(homogeneous, onto).transpose(0, 2, 1).astype(np.float32)


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
