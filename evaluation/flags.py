"""Flags that several commands of this folder share."""
import argparse
from pathlib import Path

import torch

from face_detection import Detector, load_detector


def add_detector(parser: argparse.ArgumentParser) -> None:
    """--device, and which face detector."""
    parser.add_argument("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    parser.add_argument("--face_detector", choices=["auto", "sfd", "haar"], default="auto",
                        help="auto: S3FD where its weights are, else OpenCV's cascades")
    parser.add_argument("--s3fd_path", type=Path,
                        help="S3FD weights, if not at face_detection/detection/sfd/s3fd.pth")


def detector_of(args: argparse.Namespace, device: torch.device) -> Detector:
    """The detector that the flags choose."""
    return load_detector(args.face_detector, device=device, s3fd_path=args.s3fd_path)


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """--generated and --ground_truth, for `paired.find_comparisons`."""
    parser.add_argument("--generated", type=Path, required=True, help="folder of generated videos")
    parser.add_argument("--ground_truth", type=Path, required=True,
                        help="folder of the real ones: the data root of the list that the results "
                        "were made from, or videos of the same names")
