"""Whose mouth does a result follow: that of the person who says the sound, or the face's own?

    mesh/bin/python evaluation/mouth_opening.py --result result.mp4 --speaker speaker.mp4 --face face.mp4

A judge of sync can be pleased by what no eye sees. This measures what is seen: how far the lips are
apart, by MediaPipe's face mesh. It runs in the environment that face_mesh.py describes.
"""
import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import media
from errors import run_script
from face_mesh import face_meshes_in
from flag_types import whole_number

# Points of the mesh: the inner lips, above and below, and the bridge of the nose down from the
# forehead, which does not move with the jaw.
_UPPER, _LOWER = [13, 82, 312], [14, 87, 317]
_BRIDGE = [10, 9, 168, 6, 197, 195, 5]


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--result", required=True, help="the video that inference.py made")
    add("--speaker", required=True, help="a video of the person who says its sound")
    add("--face", required=True, help="the video that inference.py was given as --face")
    add("--max_shift", type=whole_number(0), default=3,
        help="frames that the result may be early or late (default 3)")
    return parser.parse_args(argv)


def lip_distances(meshes: Iterable[np.ndarray]) -> np.ndarray:
    """(N,) distance of the inner lips in lengths of forehead and nose, as the picture shows them.

    meshes: (478, 3) points of each frame as from `face_meshes`; NaN gives NaN."""
    return np.array([np.linalg.norm(mesh[_UPPER, :2] - mesh[_LOWER, :2], axis=1).mean()
                     / np.linalg.norm(np.diff(mesh[_BRIDGE, :2], axis=0), axis=1).sum()
                     for mesh in meshes])


def correlation(result: np.ndarray, original: np.ndarray, max_shift: int) -> tuple[float, int]:
    """Pearson's r of two courses at the shift where it is greatest, and by how many frames the
    result is late there. Frames without a face do not count; NaN where nothing moves."""
    n = min(len(result), len(original))
    around = np.full(n + 2 * max_shift, np.nan)
    around[max_shift:max_shift + n] = original[:n]
    found = []
    for late in range(-max_shift, max_shift + 1):
        shifted = around[max_shift - late:][:n]
        seen = np.isfinite(result[:n]) & np.isfinite(shifted)
        a, b = result[:n][seen], shifted[seen]
        moves = len(a) > 2 and a.std() > 0 and b.std() > 0
        found.append((np.corrcoef(a, b)[0, 1] if moves else np.nan, late))
    return max(found, key=lambda pair: np.nan_to_num(pair[0], nan=-2))


def lips_in(path: str, fps: float) -> np.ndarray:
    """`lip_distances` of a video. InputError if it shows no face."""
    return lip_distances(face_meshes_in(path, fps))


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    fps = media.probe(args.result).video.fps
    result, speaker, face = (lips_in(path, fps)
                             for path in (args.result, args.speaker, args.face))
    own = np.resize(face, len(result))      # inference repeats a face that is too short
    r, late = correlation(result, speaker, args.max_shift)
    print(f"with the speaker's mouth: r {r:.2f}, {late:+d} frames; "
          f"with the face's own: r {correlation(result, own, 0)[0]:.2f}; "
          f"{len(result)} frames, {np.isfinite(result).mean():.0%} with a face")


if __name__ == "__main__":
    run_script(main)
