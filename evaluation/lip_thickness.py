"""Are the lips as thick as the face's own?

    mesh/bin/python evaluation/lip_thickness.py --result a.mp4 b.mp4 --face a.jpg b.mp4

A generator that does not see the lips it redraws draws those of the people it learnt from. The lips
are found by MediaPipe's face mesh, in the environment that face_mesh.py describes.
"""
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from errors import run_script
from face_mesh import face_meshes_in
from mouth_shape import lip_thickness


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--result", required=True, nargs="+", help="videos that inference.py made")
    add("--face", required=True, nargs="+",
        help="the videos or pictures it was given as --face, in this order")
    args = parser.parse_args(argv)
    if len(args.result) != len(args.face):
        parser.error(f"argument --face: {len(args.face)} files for {len(args.result)} results")
    return args


def thickness_in(path: str) -> float:
    """Median over the frames of a video, or of a picture. InputError if it shows no face."""
    return float(np.nanmedian(lip_thickness(face_meshes_in(path))))


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    ratios = []
    for result, face in zip(args.result, args.face, strict=True):
        drawn, own = thickness_in(result), thickness_in(face)
        ratios.append(drawn / own)
        print(f"{result}: lips {drawn:.3f}, the face's own {own:.3f}, in widths of the upper face: "
              f"{drawn / own:.2f} times as thick")
    if len(ratios) > 1:
        print(f"median of {len(ratios)}: {np.median(ratios):.2f} times as thick")


if __name__ == "__main__":
    run_script(main)
