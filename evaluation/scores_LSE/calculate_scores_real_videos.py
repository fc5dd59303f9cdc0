"""LSE-D and LSE-C of real videos: shots are split, faces found, followed and cropped first.

python evaluation/scores_LSE/calculate_scores_real_videos.py --data_root results/
"""
import argparse
import logging
import sys
from pathlib import Path

# Users run this file from anywhere, also as published: cd evaluation/scores_LSE && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from distributed import choose_device
from errors import run_script
from evaluation import flags
from evaluation.scores_LSE import score_command
from evaluation.scores_LSE.scoring import score_face_tracks


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    score_command.add_arguments(parser)
    parser.add_argument("--min_track", type=int, default=100,
                        help="a face must be seen in more frames of a shot (default: 100)")
    parser.add_argument("--min_face_size", type=float, default=100,
                        help="and be this many pixels wide or high on average (default: 100)")
    parser.add_argument("--det_size", type=int,
                        help="long side in pixels for detection, 0 = full size (default: a quarter "
                        "of the frame for S3FD, as published; 640 for the cascades)")
    parser.add_argument("--min_score", type=float,
                        help="detections below are ignored (default: 0.9 for S3FD, as published)")
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = score_command.settings_from(
        args, det_size=args.det_size, min_score=args.min_score, min_track=args.min_track,
        min_face=args.min_face_size)
    detector = flags.detector_of(args, choose_device(args.device))
    score_command.score_folder(
        args, settings.judge.name,
        lambda path, name: score_face_tracks(path, name, settings, detector))


if __name__ == "__main__":
    run_script(main)
