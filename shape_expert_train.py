"""Train the network that reads the shape of a mouth in a picture, to hold a generator to.

    python shape_expert_train.py --data_root lrs2_preprocessed/ --checkpoint_dir shape_expert/

takes clips whose shapes measure_mouths.py has measured; hq_wav2lip_train.py takes what it makes as
--shape_expert_checkpoint_path. Not in the paper; models/shapes.py says why.
"""
import argparse
import logging
from collections.abc import Sequence

import distributed
from dataset import generator_sets
from errors import run_script
from models import ShapeExpert
from models.conv import fold_time
from shape_dataset import ShapeWav2LipDataset
from shape_training import train_on_shapes
from training_flags import add_training_flags
from training_state import StopSignal, load_or_make


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_training_flags(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    ranks = distributed.start(args.device)
    stop = StopSignal(ranks)
    train_set, val_set = generator_sets(ShapeWav2LipDataset, args)
    train_on_shapes(
        load_or_make(ShapeExpert, args, args.checkpoint_path), train_set, val_set,
        args.hparams.batch_size,
        lambda batch: (fold_time(batch.gt, 2), fold_time(batch.indiv_mels, 1)), args, ranks, stop)
    distributed.stop()


if __name__ == "__main__":
    run_script(main)
