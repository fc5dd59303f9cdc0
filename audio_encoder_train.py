"""Train what tells the mouth's shape from the sound, and make a Wav2Lip of it and a generator.

    python audio_encoder_train.py --data_root lrs2_preprocessed/ --checkpoint_dir ear/ \
        --generator_checkpoint_path shaped/checkpoint_step000004000.pth

takes a generator that wav2lip_train.py or hq_wav2lip_train.py trained with `mouth_shapes=True`, and
writes wav2lip.pth into the checkpoint folder. Not in the paper; models/shapes.py says why.
"""
import argparse
import logging
from collections.abc import Sequence

import checkpoint
import distributed
from clips import listed_clips
from errors import InputError, run_script
from models import ShapeWav2Lip, SoundToShape, hearing
from shape_dataset import SoundShapeDataset
from shape_training import train_on_shapes
from training_flags import add_training_flags
from training_state import StopSignal, load_or_make


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    parser.add_argument("--generator_checkpoint_path", required=True,
                        help="the generator that was trained with mouth_shapes=True")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)
    train_set, val_set = (
        SoundShapeDataset(listed_clips(args.data_root, split, args.filelist_root, hp), hp,
                          seed=args.seed, augment=split == "train") for split in ("train", "val"))
    # Training may begin with a Wav2Lip; one that has not learnt shapes will not do here.
    drawer = checkpoint.load_model(args.generator_checkpoint_path, ShapeWav2Lip, "shape_wav2lip")
    if not args.checkpoint_path:
        args.width = drawer.width
    network = load_or_make(SoundToShape, args, args.checkpoint_path)
    if network.width != drawer.width:
        raise InputError(f"{args.checkpoint_path} is of width {network.width:g}, "
                         f"{args.generator_checkpoint_path} of {drawer.width:g}: not alike")
    train_on_shapes(
        network, train_set, val_set, hp.grouped_clips,
        lambda batch: (batch.mels.flatten(0, 1), batch.shapes.flatten(0, 1)), args, ranks, stop,
        lambda folder: folder.save_weights("wav2lip.pth", hearing(
            drawer, network, hp.shape_gain, hp.shape_opening)))
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
