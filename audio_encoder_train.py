"""Train what tells the mouth's shape from the sound, and make a Wav2Lip of it and a generator.

    python audio_encoder_train.py --data_root lrs2_preprocessed/ --checkpoint_dir ear/ \
        --generator_checkpoint_path shaped/checkpoint_step000004000.pth

takes a generator that wav2lip_train.py or hq_wav2lip_train.py trained with `mouth_shapes=True`, and
writes wav2lip.pth into the checkpoint folder. Not in the paper; models/shapes.py says why. Shapes
told from a sound vary less than mouths do: hearing_generator.py makes them vary as much.

With --spoken_root it learns from speech without a video too, whose phones are known (visemes.py):
few minutes of real mouths hardly teach that those of p, b and m meet.

With --teacher_checkpoint_path it learns what others that were trained so tell, on the mean, of the
same sound: several wide ones know more than a narrow one finds out by itself.
"""
import argparse
import logging
from collections.abc import Sequence

import torch
from torch import Tensor

import checkpoint
import distributed
from clips import listed_clips
from distributed import Ranks
from errors import run_script
from models import ShapeWav2Lip, SoundToShape, hearing
from precision import Arithmetic
from shape_dataset import SoundShapeDataset, SoundShapeSample, load_utterances
from shape_training import Pairs, train_on_shapes
from training_flags import add_training_flags
from training_state import StopSignal, load_or_make


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    parser.add_argument("--generator_checkpoint_path", required=True,
                        help="the generator that was trained with mouth_shapes=True")
    parser.add_argument("--spoken_root", help="folder that festival_speech.py filled, for a share "
                        "`spoken` of the samples")
    parser.add_argument("--teacher_checkpoint_path", nargs="+", default=[],
                        help="checkpoints of this script, of any width, to learn from")
    return parser.parse_args(argv)


def sounds_and_shapes(batch: SoundShapeSample) -> tuple[Tensor, Tensor]:
    return batch.mels.flatten(0, 1), batch.shapes.flatten(0, 1)


def taught_by(args: argparse.Namespace, ranks: Ranks) -> Pairs:
    """A batch's sounds, and the mean of what the teachers tell of them."""
    arithmetic = Arithmetic.of(args, args.hparams, ranks.device)
    teachers = [arithmetic.prepare(checkpoint.load_model(path, SoundToShape, "sound_to_shape"))
                for path in args.teacher_checkpoint_path]

    @torch.no_grad()
    def taught(batch: SoundShapeSample) -> tuple[Tensor, Tensor]:
        mels = batch.mels.flatten(0, 1)
        with arithmetic.autocast():
            return mels, torch.stack([teacher(mels) for teacher in teachers]).mean(0)
    return taught


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hp = args.hparams
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)
    train_clips, val_clips = (listed_clips(args.data_root, split, args.filelist_root, hp)
                              for split in ("train", "val"))
    train_set = SoundShapeDataset(
        train_clips, hp, seed=args.seed, augment=True,
        spoken=load_utterances(args.spoken_root) if args.spoken_root else ())
    val_set = SoundShapeDataset(val_clips, hp, seed=args.seed)
    # Training may begin with a Wav2Lip; one that has not learnt shapes will not do here.
    drawer = checkpoint.load_model(args.generator_checkpoint_path, ShapeWav2Lip, "shape_wav2lip")
    if not args.checkpoint_path:
        args.width = drawer.width
    network = load_or_make(SoundToShape, args, args.checkpoint_path)
    checkpoint.require_same_width(network, args.checkpoint_path,
                                  drawer, args.generator_checkpoint_path)
    train_on_shapes(
        network, train_set, val_set, hp.grouped_clips, sounds_and_shapes, args, ranks, stop,
        lambda folder: folder.save_weights("wav2lip.pth", hearing(drawer, network)),
        taught_by(args, ranks) if args.teacher_checkpoint_path else None)
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
