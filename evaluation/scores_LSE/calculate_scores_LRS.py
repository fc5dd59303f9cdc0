"""LSE-D and LSE-C of face-crop videos (LRS2, LRS3, LRW and what was generated from them).

python evaluation/scores_LSE/calculate_scores_LRS.py --data_root results/
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
from evaluation.scores_LSE.scoring import score_face_clip


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    score_command.add_arguments(parser)
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    settings = score_command.settings_from(args)
    detector = flags.detector_of(args, choose_device(args.device))
    score_command.score_folder(
        args, settings.judge.name,
        lambda path, name: score_face_clip(path, name, settings, detector))


if __name__ == "__main__":
    run_script(main)
