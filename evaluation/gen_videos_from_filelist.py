"""Lip-sync the pairs of a list (LRS2, LRS3, LRW) as the paper does, for scoring.

python evaluation/gen_videos_from_filelist.py --filelist test_pairs.txt --data_root data_root/main \
    --results_dir results/lrs2 --checkpoint_path wav2lip.pth
"""
import argparse
import dataclasses
import sys
from pathlib import Path

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from errors import run_script
from evaluation import generation, generation_command
from evaluation.filelist import Pair, read_pairs
from evaluation.generation_command import Job
from face_detection import Detector
from face_source import open_source

FPS = 25.0      # of these test sets, and of every score


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--filelist", type=Path, required=True,
                        help="lines of `audio video`: clips below the data root, without .mp4")
    generation_command.add_arguments(parser, pads=(0, 0, 0, 0), face_det_batch_size=64)
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()

    def prepare(pair: Pair, _: Detector) -> Job:
        video, audio = (args.data_root / f"{name}.mp4" for name in (pair.video, pair.audio))
        source = dataclasses.replace(open_source(video), fps=FPS)
        n_frames = generation.count_windows(audio, FPS)
        generation.require_length(source, n_frames, audio)
        return Job(source, audio, n_frames)

    generation_command.run(args, read_pairs(args.filelist), prepare)


if __name__ == "__main__":
    run_script(main)
