"""A picture of a result: every few frames the source above, the result below, around the face.

    python evaluation/contact_sheet.py --face talk.mp4 --result out/result.mp4 --out sheet.jpg
"""
import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import media
from atomic_file import whole_file
from errors import InputError, run_script
from evaluation.one_face import follow_face
from face_detection import load_detector
from face_source import open_source
from flag_types import whole_number

_AROUND = 0.25      # of the box, shown beyond it on every side


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--face", required=True, help="what inference.py was given as --face")
    add("--result", required=True, help="the video it made")
    add("--out", required=True, help="picture to write: .jpg or .png")
    add("--every", type=whole_number(1), default=5,
        help="frames from one shown to the next (default 5)")
    add("--first", type=whole_number(0), default=0, help="first frame shown (default 0)")
    add("--columns", type=whole_number(1), default=10, help="(default 10)")
    add("--rows", type=whole_number(1), default=2, help="pairs of rows at most (default 2)")
    add("--size", type=whole_number(16), default=160,
        help="pixels, side of one face (default 160)")
    return parser.parse_args(argv)


def face_square(frame: np.ndarray, box: Sequence[int], size: int) -> np.ndarray:
    """The surroundings of a box (x1, y1, x2, y2) of a frame (H, W, 3) as (size, size, 3); beyond
    the frame its edge is repeated."""
    x1, y1, x2, y2 = box
    half = max(x2 - x1, y2 - y1) * (1 + 2 * _AROUND) / 2
    scale = size / (2 * half)
    centre = np.array([x1 + x2, y1 + y2]) / 2
    shift = np.array([size / 2, size / 2]) - scale * centre
    matrix = np.column_stack([scale * np.eye(2), shift])
    return cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_AREA,
                          borderMode=cv2.BORDER_REPLICATE)


def contact_sheet(sources: Sequence[np.ndarray], results: Sequence[np.ndarray],
                  columns: int) -> np.ndarray:
    """Pairs of rows, sources above results: both N pictures (S, S, 3) uint8."""
    blank = np.full_like(sources[0], 255)
    rows = []
    for start in range(0, len(sources), columns):
        for pictures in (sources, results):
            row = list(pictures[start:start + columns])
            rows.append(np.hstack(row + [blank] * (columns - len(row))))
        rows.append(np.full((8, rows[-1].shape[1], 3), 255, np.uint8))
    return np.vstack(rows[:-1])


def main() -> None:
    args = parse_args()
    if Path(args.out).suffix not in (".jpg", ".png"):
        raise InputError(f"--out {args.out}: end the name with .jpg or .png")
    boxes = follow_face(Path(args.result), load_detector())
    source = open_source(args.face)
    shown = range(args.first, len(boxes), args.every)[:args.columns * args.rows]
    if not shown:
        raise InputError(f"--first {args.first}: {args.result} has only {len(boxes)} frames")
    sources, results = [], []
    frames = zip(source.frames(len(boxes)), media.read_frames(args.result), boxes)
    for i, ((_, before), after, box) in enumerate(itertools.islice(frames, shown[-1] + 1)):
        if i in shown:
            sources.append(face_square(before, box, args.size))
            results.append(face_square(after, box, args.size))
    sheet = contact_sheet(sources, results, args.columns)
    _, encoded = cv2.imencode(Path(args.out).suffix, sheet, [cv2.IMWRITE_JPEG_QUALITY, 90])
    try:
        with whole_file(args.out) as file:
            file.write(encoded.tobytes())
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None


if __name__ == "__main__":
    run_script(main)
