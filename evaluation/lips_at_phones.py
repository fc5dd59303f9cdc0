"""Do the lips meet on p, b and m and part on vowels, and when?

    mesh/bin/python evaluation/lips_at_phones.py --result a.mp4 b.mp4 --labels a.lab b.lab

Labels are as festival_speech.py writes them: when each phone of the result's sound ends. How far
the lips are apart is measured by MediaPipe's face mesh, in the environment that face_mesh.py
describes.
"""
import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import media
from errors import InputError, run_script
from evaluation.mouth_opening import lips_in
from visemes import Phone, read_labels

_SHUT, _OPEN = {"bilabial"}, {"open", "mid"}
_FRAMES = range(-4, 4)      # from the middle of a phone


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--result", required=True, nargs="+", help="videos, of inference.py or of real speakers")
    add("--labels", required=True, nargs="+", help="the phones of each one's sound, in this order")
    args = parser.parse_args(argv)
    if len(args.result) != len(args.labels):
        parser.error(f"argument --labels: {len(args.labels)} files for {len(args.result)} results")
    return args


def around(openings: np.ndarray, phones: Sequence[Phone], visemes: Collection[str],
           fps: float) -> np.ndarray:
    """(M, 8) openings -4 … +3 frames from the middle of each phone of these visemes, between two
    frames in proportion; NaN outside. openings: (N,), one a frame, which is seen for 1 / fps s."""
    middles = np.array([(phone.start + phone.end) / 2 for phone in phones
                        if phone.viseme in visemes])
    wanted = middles[:, None] * fps - 0.5 + np.array(_FRAMES)
    return np.interp(wanted, np.arange(len(openings)), openings, left=np.nan, right=np.nan)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    shut, apart, all_openings = [], [], []
    for path, labels in zip(args.result, args.labels, strict=True):
        phones = read_labels(labels)
        fps = media.probe(path).video.fps
        openings = lips_in(path, fps)
        shut.append(around(openings, phones, _SHUT, fps))
        apart.append(around(openings, phones, _OPEN, fps))
        all_openings.append(openings)
    shut, apart, openings = (np.concatenate(parts) for parts in (shut, apart, all_openings))
    if not len(shut) or not len(apart):
        raise InputError(f"{', '.join(args.labels)}: {len(shut)} of p, b and m and {len(apart)} "
                         "open vowels; some of both are needed")
    spread = np.nanstd(openings)
    print(f"{len(shut)} p, b, m and {len(apart)} open vowels; the opening's standard deviation is "
          f"{spread:.3f} of forehead and nose")
    rows = (("frames from the phone's middle", [f"{n:+d}" for n in _FRAMES]),
            *((title, [f"{x:.2f}" for x in np.nanmean(values, 0)])
              for title, values in (("opening on p, b, m", shut / spread),
                                    ("on open vowels", apart / spread))),
            ("difference", [f"{x:.2f}" for x in
                            (np.nanmean(apart, 0) - np.nanmean(shut, 0)) / spread]))
    for title, cells in rows:
        print(f"{title:<31}" + "".join(f"{cell:>7}" for cell in cells))


if __name__ == "__main__":
    run_script(main)
