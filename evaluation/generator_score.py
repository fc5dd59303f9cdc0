"""A generator on the fixed samples of a preprocessed set, next to two yardsticks.

    python evaluation/generator_score.py --data_root lrs2_preprocessed/ --split test \
        --checkpoint_path wav2lip/best.pth --judge another_expert/best.pth

The yardsticks: the reference frames pasted unchanged, and the ground truth itself. The judge is an
expert that the generator was not trained with: it can be fooled by what fools its own.
"""
import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

import checkpoint
from clips import listed_clips
from dataset import Wav2LipDataset
from distributed import Ranks, choose_device
from errors import run_script
from evaluation.quality import Quality, compare_faces
from hparams import hparams
from loader import validation_loader
from losses import get_sync_loss
from models import SyncNet_color, Wav2Lip
from models.conv import lower_half
from training_flags import parse_hparams

_BATCH = 16     # samples of five frames


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data_root", required=True, help="preprocessed data set")
    add("--checkpoint_path", required=True, help="generator")
    add("--judge", required=True, help="expert that measures the sync loss")
    add("--split", default="val", help="list of clips (default val)")
    add("--filelist_root", help="folder of the lists (default: filelists/)")
    add("--hparams", type=parse_hparams, default=hparams, metavar="NAME=VALUE,…",
        help="such as min_reference_offset=8")
    add("--batches", type=int, default=20, help=f"of {_BATCH} samples of 5 frames (default 20)")
    add("--sound_shift", type=int, default=0,
        help="frames by which the generator hears later sound than the published "
        "training gives it; 1 = as in inference (default 0)")
    add("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    return parser.parse_args(argv)


def frame_qualities(faces: Tensor, gt: Tensor) -> list[Quality]:
    """`compare_faces` of each frame: both (B, 3, T, H, W), BGR in [0, 1]."""
    pictures = [(255 * x).round().to(torch.uint8).permute(0, 2, 3, 4, 1).flatten(0, 1).cpu().numpy()
                for x in (faces, gt)]
    return [compare_faces(face, real) for face, real in zip(*pictures, strict=True)]


@torch.inference_mode()
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ranks = Ranks(0, 1, 0, choose_device(args.device))
    generator = checkpoint.load_model(args.checkpoint_path, Wav2Lip).to(ranks.device)
    judge = checkpoint.load_model(args.judge, SyncNet_color).to(ranks.device)
    clips = listed_clips(args.data_root, args.split, args.filelist_root, args.hparams)
    samples = Wav2LipDataset(clips, args.hparams, sound_shift=args.sound_shift)
    batches = validation_loader(samples, _BATCH, args.batches, ranks)

    losses: dict[str, list[float]] = {"generated": [], "reference": [], "ground truth": []}
    qualities: dict[str, list[Quality]] = {name: [] for name in losses}
    for batch in tqdm(batches, "batches", disable=not sys.stderr.isatty()):
        batch = batch.to(ranks.device)
        # Its own upper half, as inference keeps it: what is compared is the mouth.
        pasted = batch.gt.clone()
        lower_half(pasted).copy_(lower_half(batch.x[:, 3:]))
        faces = {"generated": generator(batch.indiv_mels, batch.x), "reference": pasted,
                 "ground truth": batch.gt}
        for name, face in faces.items():
            losses[name].append(float(get_sync_loss(judge, batch.mel, face)))
            qualities[name] += frame_qualities(face, batch.gt)

    print(f"{args.split}: {len(clips)} clips, {args.batches * _BATCH} samples of 5 frames")
    print("| | judge's sync loss | mouth L1 | PSNR, face | PSNR, mouth | SSIM, face | SSIM, mouth |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, values in qualities.items():
        mean = Quality(*np.mean(values, axis=0))
        print(f"| {name} | {np.mean(losses[name]):.3f} | {mean.l1_mouth:.4f} "
              f"| {mean.psnr_face:.2f} | {mean.psnr_mouth:.2f} "
              f"| {mean.ssim_face:.3f} | {mean.ssim_mouth:.3f} |")


if __name__ == "__main__":
    run_script(main)
