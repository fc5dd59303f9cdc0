"""Fréchet Inception distance (Heusel et al. 2017) of generated videos from the real ones, of their
face crops and of their whole frames.

python evaluation/fid.py --generated results/lrs2 --ground_truth data_root/main \
    --inception_weights pt_inception-2015-12-05-6726825d.pth
"""
import argparse
import logging
import sys
from itertools import islice
from pathlib import Path
from unittest import mock

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from pytorch_fid import inception
from torch.nn import functional as F
from tqdm import tqdm

from checkpoint import CheckpointError, load_weights
from distributed import choose_device
from errors import InputError, run_script
from evaluation import flags
from evaluation.paired import Comparison, face_pairs, find_comparisons, frame_pairs

log = logging.getLogger("fid")

DIMS = 2048     # of pytorch-fid's default features
_SIDE = 299     # pixels, Inception's input


class Statistics:
    """Mean and covariance of features that come batch by batch."""

    def __init__(self, dims: int = DIMS) -> None:
        self.count = 0
        self._sum = np.zeros(dims)
        self._products = np.zeros((dims, dims))

    def add(self, features: np.ndarray) -> None:
        """features: (B, dims)."""
        features = features.astype(np.float64)
        self.count += len(features)
        self._sum += features.sum(axis=0)
        self._products += features.T @ features

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """As numpy.mean and numpy.cov of all features; InputError for fewer than two."""
        if self.count < 2:
            raise InputError(f"{self.count} frames: FID needs at least 2, and thousands to mean "
                             "something")
        mean = self._sum / self.count
        covariance = (self._products - self.count * np.outer(mean, mean)) / (self.count - 1)
        return mean, covariance


def frechet_distance(a: Statistics, b: Statistics) -> float:
    """FID between two sets of features: |μa − μb|² + Tr(Σa + Σb − 2·(Σa·Σb)^½).

    pytorch-fid's own function gives the same, but takes five times as long and calls SciPy in a way
    that SciPy 1.18 no longer knows.
    """
    (mean_a, covariance_a), (mean_b, covariance_b) = (x.mean_and_covariance() for x in (a, b))
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # Σa·Σb has the eigenvalues of the symmetric Σa^½·Σb·Σa^½; rounding makes zeros negative.
    trace = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_b @ root), 0)).sum()
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(covariance_a)
                 + np.trace(covariance_b) - 2 * trace)


def load_inception(path: Path | None, device: torch.device) -> inception.InceptionV3:
    """pytorch-fid's network with weights from a file, by default that of the torch cache; nothing
    is downloaded. CheckpointError if there is none or it holds something else."""
    name = Path(inception.FID_WEIGHTS_URL).name
    path = path or Path(torch.hub.get_dir()) / "checkpoints" / name
    if not path.is_file():
        raise CheckpointError(f"no Inception weights at {path}: download {name} of pytorch-fid's "
                              "release fid_weights there, or name it with --inception_weights")
    weights = load_weights(path)
    # pytorch-fid's constructor takes no weights: it always fetches them by this function.
    with mock.patch.object(inception, "load_state_dict_from_url", return_value=weights):
        try:
            model = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[DIMS]])
        except RuntimeError as error:
            raise CheckpointError(f"{path} does not hold pytorch-fid's Inception "
                                  f"({' '.join(str(error).split())[:200]})") from None
    return model.eval().to(device)


class FeatureStream:
    """Takes images one by one and adds their features to statistics in batches."""

    def __init__(self, model: inception.InceptionV3, batch_size: int) -> None:
        self.statistics = Statistics()
        self._model = model
        self._batch_size = batch_size
        self._batch: list[torch.Tensor] = []

    def add(self, image: np.ndarray) -> None:
        """image: (H, W, 3) uint8 BGR of any size."""
        rgb = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        # As InceptionV3 resizes by itself, which however needs a batch of one size.
        self._batch.append(F.interpolate(rgb, (_SIDE, _SIDE), mode="bilinear",
                                         align_corners=False))
        if len(self._batch) == self._batch_size:
            self.flush()

    @torch.inference_mode()
    def flush(self) -> None:
        """Bring the statistics up to date."""
        if self._batch:
            device = next(self._model.parameters()).device
            features = self._model(torch.cat(self._batch).to(device))[0]
            self.statistics.add(features.flatten(1).cpu().numpy())
            self._batch.clear()


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    flags.add_comparison(parser)
    add("--regions", nargs="+", choices=["face", "frame"], default=["face", "frame"],
        help="what is compared: face crops, whole frames (default: both)")
    add("--inception_weights", type=Path, help="default: pytorch-fid's file in the torch cache")
    add("--every", type=int, default=1, help="take every n-th frame only (default: 1)")
    add("--batch_size", type=int, default=50)
    flags.add_detector(parser)
    args = parser.parse_args(argv)
    if min(args.every, args.batch_size) < 1:
        parser.error("--every and --batch_size must be at least 1")
    return args


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    device = choose_device(args.device)
    model = load_inception(args.inception_weights, device)
    comparisons, missing = find_comparisons(args.generated, args.ground_truth)
    detector = flags.detector_of(args, device)
    for path, reason in missing.items():
        log.warning("left out: %s: %s", path, reason)

    for region in args.regions:
        streams = [FeatureStream(model, args.batch_size) for _ in Comparison._fields]
        failed = 0
        for comparison in tqdm(comparisons, region, unit="video", disable=not sys.stderr.isatty()):
            pairs = (face_pairs(comparison, detector) if region == "face"
                     else frame_pairs(comparison))
            try:
                for images in islice(pairs, 0, None, args.every):
                    for stream, image in zip(streams, images, strict=True):
                        stream.add(image)
            except (InputError, OSError) as error:
                log.warning("left out: %s: %s", comparison.generated, error)
                failed += 1
        for stream in streams:
            stream.flush()
        generated, real = (stream.statistics for stream in streams)
        what = "face crops" if region == "face" else "whole frames"
        print(f"FID of {what}: {frechet_distance(generated, real):.4f} "
              f"({generated.count} frames of each, from {len(comparisons) - failed} of "
              f"{len(comparisons) + len(missing)} videos)")
        if generated.count < DIMS:
            log.warning("fewer frames than the %d features: FID is biased upwards", DIMS)


if __name__ == "__main__":
    run_script(main)
