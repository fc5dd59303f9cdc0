"""Lip-sync the pairs of a list (LRS2, LRS3, LRW) as the paper does, for scoring.

python evaluation/gen_videos_from_filelist.py --filelist test_pairs.txt --data_root data_root/main \
    --results_dir results/lrs2 --checkpoint_path wav2lip.pth
"""
import argparse
import dataclasses
import logging
import sys
from pathlib import Path

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import distributed
from errors import run_script
from evaluation import generation
from evaluation.filelist import Pair, read_pairs
from face_detection import load_detector
from face_source import open_source
from generator import LipGenerator
from inference import lip_sync

FPS = 25.0      # of these test sets, and of every score


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--filelist", type=Path, required=True,
        help="lines of `audio video`: clips below the data root, without .mp4")
    add("--results_dir", type=Path, required=True, help="for <line number>.mp4, from 0")
    add("--data_root", type=Path, required=True, help="root of the test set's videos")
    add("--checkpoint_path", type=Path, required=True, help="weights of the generator")
    add("--pads", type=int, nargs=4, default=[0, 0, 0, 0], metavar="N",
        help="added to the face box: top bottom left right (default: 0 0 0 0)")
    add("--face_det_batch_size", type=int, default=64)
    add("--wav2lip_batch_size", type=int, default=128)
    add("--blend", choices=["feather", "none"], default="none",
        help="none: the whole box pasted hard, as in the paper (default)")
    add("--face_detector", choices=["auto", "sfd", "haar"], default="auto")
    add("--s3fd_path", type=Path, help="weights of the S3FD detector")
    add("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    pairs = read_pairs(args.filelist)
    ranks = distributed.start(args.device)
    generator = LipGenerator.load(args.checkpoint_path, ranks.device,
                                  batch_size=args.wav2lip_batch_size)
    detector = load_detector(args.face_detector, device=ranks.device, s3fd_path=args.s3fd_path)

    def make(pair: Pair, outfile: Path) -> None:
        video, audio = (args.data_root / f"{name}.mp4" for name in (pair.video, pair.audio))
        source = dataclasses.replace(open_source(video), fps=FPS)
        n_frames = generation.count_windows(audio, FPS)
        generation.require_length(source, n_frames, audio)
        lip_sync(source, audio, outfile, checkpoint=generator, face_detector=detector,
                 pads=args.pads, face_det_batch_size=args.face_det_batch_size, blend=args.blend,
                 n_frames=n_frames)

    generation.generate(pairs, args.results_dir, make, ranks)
    distributed.stop()
    generation.finish(pairs, args.results_dir, ranks)


if __name__ == "__main__":
    run_script(main)
