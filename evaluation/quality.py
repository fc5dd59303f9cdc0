"""PSNR, SSIM and mouth-region L1 of generated videos against the same videos as filmed.

python evaluation/quality.py --generated results/reconstruction --ground_truth data_root/main
"""
import argparse
import csv
import logging
import sys
from pathlib import Path
from typing import NamedTuple

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm import tqdm

from distributed import choose_device
from errors import InputError, run_script
from evaluation import flags
from evaluation.paired import Comparison, face_pairs, find_comparisons
from face_detection import Detector
from hparams import hparams

log = logging.getLogger("quality")

IDENTICAL_PSNR = 100.0      # dB, of frames without any difference, for which PSNR is infinite


class Quality(NamedTuple):
    """Means over the frames of a video, or over videos. Faces are compared at 96×96 pixels."""

    psnr_face: float        # dB
    ssim_face: float
    psnr_mouth: float       # lower half of the face
    ssim_mouth: float
    l1_mouth: float         # mean absolute difference, of values in [0, 1]


def compare_faces(generated: np.ndarray, real: np.ndarray) -> Quality:
    """One frame: two faces (96, 96, 3) uint8."""
    half = len(real) // 2
    g, gt = generated[half:], real[half:]
    return Quality(_psnr(generated, real), _ssim(generated, real), _psnr(g, gt), _ssim(g, gt),
                   float(np.mean(cv2.absdiff(g, gt))) / 255)


def compare_videos(comparison: Comparison, detector: Detector) -> tuple[int, Quality]:
    """The number of frames compared and their mean. InputError if the real video has no face, or
    if the shapes of the frames differ."""
    size = hparams.img_size, hparams.img_size
    values = [compare_faces(cv2.resize(g, size), cv2.resize(gt, size))
              for g, gt in face_pairs(comparison, detector)]
    return len(values), Quality(*np.mean(values, axis=0).tolist())


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return IDENTICAL_PSNR if np.array_equal(a, b) else float(peak_signal_noise_ratio(b, a))


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    return float(structural_similarity(a, b, channel_axis=2))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    flags.add_comparison(parser)
    parser.add_argument("--output", type=Path, default=Path("quality.csv"),
                        help="a line for each video (default: quality.csv)")
    flags.add_detector(parser)
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    comparisons, missing = find_comparisons(args.generated, args.ground_truth)
    detector = flags.detector_of(args, choose_device(args.device))
    rows, reasons = [], dict(missing)
    for comparison in tqdm(comparisons, unit="video", disable=not sys.stderr.isatty()):
        try:
            rows.append((comparison, *compare_videos(comparison, detector)))
        except (InputError, OSError) as error:
            reasons[comparison.generated] = str(error)
    if rows:
        _write(args.output, rows)
        means = Quality(*np.mean([quality for *_, quality in rows], axis=0))
        print("\n".join(f"{name}: {value:.4f}" for name, value in means._asdict().items()))
    print(f"compared {len(rows)} of {len(comparisons) + len(missing)} videos")
    for path, reason in reasons.items():
        print(f"  {path}: {reason}")
    if not rows:
        sys.exit(1)


def _write(path: Path, rows: list[tuple[Comparison, int, Quality]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*Comparison._fields, "frames", *Quality._fields])
        writer.writerows([*comparison, frames, *quality] for comparison, frames, quality in rows)


if __name__ == "__main__":
    run_script(main)
