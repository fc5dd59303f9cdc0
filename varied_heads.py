"""Videos of faces once more, as of other people who look to a side and open their mouths wider.

    mesh/bin/python varied_heads.py --data_root videos/ --out varied/

Few people in front of a camera are few faces, and all look into it: a generator trained on them
alone draws crooked mouths where a head is turned, and every chin where theirs are. Here a face
mesh, which has depth, is given other proportions and turned, and the picture bent with it, alike in
all videos of a folder: <folder>/<name>.mp4 becomes <folder>_<seed>/<name>.mp4. With --opening, open
mouths are opened as wide as hardly any newsreader's is: the lower jaw goes down, and what is
darkest between the lips is stretched to the dark inside of a mouth.
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
from face_mesh import N_POINTS, face_meshes, map_videos
from flag_types import finite_number, whole_number
from hparams import hparams

log = logging.getLogger(__name__)

# Standard deviations of the logarithms of a head's proportions, for --proportions 1.
_SPREAD = np.array([1.0, 0.6, 1.2, 1.2])
# Standard deviations, x and y, of what goes with the mouth, in widths of the face.
_MOUTH_REACH = np.array([0.3, 0.18])
# Where in an open mouth, from above, the darkest may lie, and how much of it, either way, is
# stretched where the jaws part.
_DARKEST, _CAVITY = (0.25, 0.75), 0.15
_DARK = 0.3             # its brightness, at most, by the cheeks'
_PARTED = 0.05          # widths of the face by which the jaws part until it is as dark
_CAVITY_EDGE = 0.01     # standard deviation, the same
_JAW_REACH = 0.3        # standard deviation, to the sides, of what goes with the chin, as above
_WIDEST = 0.26          # widths of the face by which no mouth's lips are moved apart farther
_CRF = 10

# Points of the mesh at the rim of the face, in order, from the middle of the forehead.
_RIM = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
        148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
_SIDES = [234, 454]
_NOSE_END = 2
_CHIN = 152
_LIPS = [13, 14]
_CHEEKS = [50, 280]
# The mouth from corner to corner: above and below what the mesh leaves open, and where jaws part.
_UPPER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
_LOWER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
_N_INSIDE = len(_UPPER) - 2     # of their points that are no corners
_N_WITH_JAWS = N_POINTS + 2 * _N_INSIDE
_UPPER_JAW = [78, *range(N_POINTS, N_POINTS + _N_INSIDE), 308]
_LOWER_JAW = [78, *range(N_POINTS + _N_INSIDE, _N_WITH_JAWS), 308]
# What it leaves open of the eyes, alike.
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


def draw_head(folder: str, yaw: float, pitch: float, proportions: float, opening: float,
              seed: int) -> Head:
    """What is done to all videos of a folder. yaw, pitch: at most, either way. opening: at most."""
    rng = np.random.default_rng((seed, zlib.crc32(folder.encode())))
    length, width, *mouth = np.exp(proportions * rng.normal(0, _SPREAD))
    return Head(rng.uniform(-yaw, yaw), rng.uniform(-pitch, pitch), length, width, *mouth,
                rng.uniform(1, opening))


def varied(frame: np.ndarray, mesh: np.ndarray, head: Head) -> np.ndarray:
    """The frame (H, W, 3) with another head.

    mesh: (478, 3) as `face_meshes` gives it."""
    height, width = frame.shape[:2]
    light = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    source, target = _points(_with_jaws(mesh, light), head)
    to_source = np.dstack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in (width, height)]))
    triangles = _triangles()
    corners = target[triangles]
    shown = np.full((height, width), -1, np.int32)
    # What is nearer is painted over what is farther.
    for index in np.argsort(-corners[:, :, 2].mean(1)).tolist():
        cv2.fillConvexPoly(shown, np.rint(corners[index, :, :2]).astype(np.int32), index)
    inside = shown >= 0
    maps = _affine_maps(corners[:, :, :2], source[triangles][:, :, :2])[shown[inside]]
    to_source[inside] = (maps[:, :, :2] @ to_source[inside][:, :, None])[:, :, 0] + maps[:, :, 2]
    bent = cv2.remap(frame, to_source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    by = _moved_apart(mesh, head.opening)
    if not by:
        return bent
    between_jaws = np.isin(triangles, _UPPER_JAW + _LOWER_JAW).all(1)
    share = cv2.GaussianBlur(np.float32(inside & between_jaws[shown]), (0, 0),
                             _CAVITY_EDGE * _width(mesh))
    share *= min(1.0, by / (_PARTED * _width(mesh)))
    dark = np.uint8(np.rint(bent * _darkening(source, light)))
    return cv2.blendLinear(dark, bent, share, 1 - share)


def _moved_apart(mesh: np.ndarray, opening: float) -> float:
    """By how many pixels the lips of a head with this opening are moved apart."""
    apart = _apart(mesh).max()
    return max(0.0, min((opening - 1) * apart, _WIDEST * _width(mesh) - apart))


def _brightness(light: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What a picture (H, W) shows at points (…, 2)."""
    return cv2.remap(light, np.float32(points).reshape(-1, 1, 2), None, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE).reshape(points.shape[:-1])


def _width(mesh: np.ndarray) -> float:
    """Of the face, in pixels."""
    return np.ptp(mesh[_SIDES, 0])


def _apart(points: np.ndarray) -> np.ndarray:
    """(11,) by how much the lower lip's inner edge is below the upper one's."""
    return np.maximum(points[_LOWER, 1] - points[_UPPER, 1], 0)


def _with_jaws(mesh: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The mesh (478, 3) with 18 points more: above and below what is darkest between the lips."""
    upper, lower = mesh[_UPPER[1:-1]], mesh[_LOWER[1:-1]]
    middle = slice(3, 6)
    shares = np.linspace(*_DARKEST, 21)[:, None, None]
    seen = _brightness(light, ((1 - shares) * upper + shares * lower)[:, middle, :2])
    darkest = float(shares[seen.mean(1).argmin(), 0, 0])
    return np.concatenate([mesh, *((1 - share) * upper + share * lower
                                   for share in (darkest - _CAVITY, darkest + _CAVITY))])


def _darkening(points: np.ndarray, light: np.ndarray) -> float:
    """The factor that makes what is between the jaws as dark as the inside of a mouth."""
    between = _brightness(light, (points[_UPPER_JAW[4:7], :2] + points[_LOWER_JAW[4:7], :2]) / 2)
    cheeks = _brightness(light, points[_CHEEKS, :2])
    return min(1.0, _DARK * cheeks.mean() / max(between.mean(), 1))


def _points(mesh: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) the mesh with rings around it, as it is and as the other head's."""
    rim = mesh[_RIM]
    axis = mesh[_SIDES].mean(0)
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
    mesh = _opened(mesh, head.opening)
    mouth = mesh[_LIPS].mean(0)
    away = (mesh - mouth)[:, :2]
    near = np.exp(-np.square(away / (_width(mesh) * _MOUTH_REACH)).sum(1) / 2)
    other = mesh.copy()
    other[:, :2] += near[:, None] * away * (np.array([head.mouth_width, head.mouth_height]) - 1)
    below_nose = np.maximum(mesh[:, 1] - mesh[_NOSE_END, 1], 0)
    other[:, 0] += (head.width - 1) * (mesh[:, 0] - mesh[_NOSE_END, 0])
    other[:, 1] += (head.length - 1) * below_nose
    return other


def _opened(mesh: np.ndarray, opening: float) -> np.ndarray:
    """The mesh with lips as much farther apart: the lower jaw goes down."""
    by, apart = _moved_apart(mesh, opening), _apart(mesh)
    x, y = (mesh[_UPPER, :2] + mesh[_LOWER, :2]).T / 2
    down = mesh[:, 1] - np.interp(mesh[:, 0], x, y)
    is_lower = down > 0
    is_lower[_UPPER + _UPPER_JAW], is_lower[_LOWER_JAW[1:-1] + _LOWER[1:-1]] = False, True
    at_lips = np.interp(mesh[:, 0], x, by * apart / max(apart.max(), 1e-6), 0, 0)
    aside = (mesh[:, 0] - x.mean()) / (_width(mesh) * _JAW_REACH)
    at_chin = by * np.exp(-np.square(aside) / 2)
    depth = np.clip(down / (mesh[_CHIN, 1] - y.mean()), 0, 1)
    opened = mesh.copy()
    opened[:, 1] += is_lower * ((1 - depth) * at_lips + depth * at_chin)
    return opened


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
        first = _N_WITH_JAWS + i * n
        rings.append([*range(first, first + n), first])
    strips = [*pairwise([_UPPER, _UPPER_JAW, _LOWER_JAW, _LOWER]), *_EYES, *pairwise(rings)]
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


def vary_video(video: Path, out: Path, head: Head) -> str | None:
    """Write the video, with its sound, with another head; what is wrong with it, where it is of no
    use."""
    try:
        frames = media.read_frames(video, fps=hparams.fps)
        first = next(frames)
        frames, measured = tee(chain([first], frames))
        height, width = first.shape[:2]
        with media.VideoWriter(out, width=width, height=height, fps=hparams.fps, audio=video,
                               crf=_CRF) as writer:
            for frame, mesh in zip(frames, face_meshes(measured), strict=True):
                if np.isnan(mesh).any():
                    raise InputError("with frames without a face")
                writer.write(varied(frame, mesh, head))
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
    add("--opening", type=finite_number(1), default=1, metavar="FACTOR",
        help="by which lips that are apart are moved farther apart, at most (default 1: not)")
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
    heads = [draw_head(folder, args.yaw, args.pitch, args.proportions, args.opening, args.seed)
             for folder in folders]
    outs = [args.out / f"{folder}_{args.seed}" / f"{video.stem}.mp4"
            for folder, video in zip(folders, videos, strict=True)]
    written = map_videos(vary_video, videos, outs, heads, doing="varying")
    log.info("%d of %d videos written", sum(written), len(videos))


if __name__ == "__main__":
    run_script(main)
