"""Make a Wav2Lip of a generator that is told mouth shapes and of what tells them from the sound.

    python hearing_generator.py --generator_checkpoint_path hq/checkpoint_step000015000.pth \
        --ear_checkpoint_path ear/best.pth --data_root lrs2_preprocessed/ --gain 2 --out wav2lip.pth

Shapes told from a sound vary less than mouths do, since much of what mouths do is not heard: --gain
and --opening make up for it. A mouth that opens wider than any real one is drawn as a smear, so
that what is told is then bounded by real ones. All this goes into the last layer of what hears, by
ridge regression on the sounds of a data set. Not in the paper; models/shapes.py says why.
"""
import argparse
import logging
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

import checkpoint
from clips import listed_clips
from distributed import Ranks
from errors import run_script
from flag_types import positive_number, whole_number
from hparams import hparams
from loader import validation_loader
from models import ShapeWav2Lip, SoundToShape, hearing
from models.shapes import N_SHAPE
from mouth_shape import bounded, emphasized
from shape_dataset import SoundShapeDataset, load_utterances
from training_flags import parse_hparams

log = logging.getLogger(__name__)

_RIDGE = 1e-4       # of the features' mean square


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--generator_checkpoint_path", required=True,
        help="a generator that was trained with mouth_shapes=True")
    add("--ear_checkpoint_path", required=True, help="what audio_encoder_train.py trained")
    add("--data_root", required=True, help="preprocessed data set, for its sounds")
    add("--filelist_root", help="folder of train.txt (default: filelists/)")
    add("--spoken_root", help="folder that festival_speech.py filled, for a share `spoken` of them")
    add("--gain", type=positive_number, nargs="+", default=[1.0],
        help=f"one for all parts of a shape, or one for each of the {N_SHAPE} (default 1)")
    add("--opening", type=float, default=0.0, help="move away from the shut mouth, by its distance "
        "from the mean (default 0)")
    add("--batches", type=whole_number(1), default=100,
        help="of grouped_clips · grouped_windows sounds (default 100)")
    add("--hparams", type=parse_hparams, default=hparams, metavar="NAME=VALUE,…",
        help="such as those that change sounds in training")
    add("--out", required=True, help="file to write")
    args = parser.parse_args(argv)
    if len(args.gain) not in (1, N_SHAPE):
        parser.error(f"argument --gain: give 1 number or {N_SHAPE}, not {len(args.gain)}")
    if not np.isfinite(args.opening):
        parser.error("argument --opening: not a finite number")
    return args


@torch.no_grad()
def emphasize(ear: SoundToShape, mels: Iterable[Tensor], gain: np.ndarray,
              opening: float) -> tuple[float, float]:
    """Give `ear` the last layer that tells most nearly what it told so far, emphasized and bounded.

    mels: batches (B, 1, 80, 16). Returns the share of the variance that it tells, and the opening
    that 1 % of what it tells is above."""
    features = torch.cat([ear.trunk(batch).flatten(1) for batch in mels])
    wanted = torch.from_numpy(bounded(emphasized(ear.head(features).numpy(), gain, opening)))
    x = torch.nn.functional.pad(features, (0, 1), value=1.0).double()
    squares = x.T @ x
    ridge = _RIDGE * squares.diagonal().mean() * torch.eye(len(squares), dtype=x.dtype)
    solution = torch.linalg.solve(squares + ridge, x.T @ wanted.double()).T
    ear.head.weight.copy_(solution[:, :-1])
    ear.head.bias.copy_(solution[:, -1])
    told = ear.head(features)
    unlike = (told - wanted).square().mean() / wanted.var(0, correction=0).mean()
    return 1 - unlike.item(), told[:, 0].quantile(0.99).item()


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    generator = checkpoint.load_model(args.generator_checkpoint_path, ShapeWav2Lip, "shape_wav2lip")
    ear = checkpoint.load_model(args.ear_checkpoint_path, SoundToShape, "sound_to_shape")
    checkpoint.require_same_width(ear, args.ear_checkpoint_path,
                                  generator, args.generator_checkpoint_path)
    sounds = SoundShapeDataset(
        listed_clips(args.data_root, "train", args.filelist_root, hp), hp, augment=True,
        spoken=load_utterances(args.spoken_root) if args.spoken_root else ())
    batches = validation_loader(sounds, hp.grouped_clips, args.batches,
                                Ranks(0, 1, 0, torch.device("cpu")))
    share, widest = emphasize(ear, (batch.mels.flatten(0, 1) for batch in batches),
                              np.float32(args.gain), args.opening)
    log.info("the last layer tells %.1f %% of the variance; 1 %% of the openings are above %.1f "
             "standard deviations", 100 * share, widest)
    checkpoint.save(args.out, {"state_dict": hearing(generator, ear).state_dict()})


if __name__ == "__main__":
    run_script(main)
