"""The flags that the three training scripts share."""
import argparse

from flag_types import whole_number
from hparams import HParams, hparams


def add_training_flags(parser: argparse.ArgumentParser) -> None:
    """The published flags and this project's own, alike for all training."""
    add = parser.add_argument
    add("--data_root", required=True, help="preprocessed data set (made by preprocess.py)")
    add("--checkpoint_dir", required=True,
        help="folder for checkpoints and metrics, made if needed")
    add("--checkpoint_path", help="resume from this checkpoint; plain weights start at step 0")
    add("--filelist_root", help="folder of train.txt and val.txt (default: filelists/)")
    add("--hparams", type=parse_hparams, default=hparams, metavar="NAME=VALUE,…",
        help="other hyper-parameters than those of hparams.py")
    add("--width", type=network_width, default=1.0, help="network width, 1.0 = published, "
        "0.25 = light; a resumed network keeps its own (default 1.0)")
    add("--max_steps", type=whole_number(1),
        help="stop after this step (default: train until stopped)")
    add("--seed", type=whole_number(0), default=0, help="of weights, order and samples (default 0)")
    add("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    add("--precision", default="fp32", choices=["fp32", "bf16", "fp16"],
        help="of the networks; losses and weights stay in fp32 (default fp32)")
    add("--channels_last", action=argparse.BooleanOptionalAction, default=False,
        help="memory layout that tensor cores and most CPUs prefer")
    add("--compile", action=argparse.BooleanOptionalAction, default=False,
        help="torch.compile the networks: minutes at the start, faster steps")
    add("--cache_frames", action=argparse.BooleanOptionalAction, default=False,
        help="decode all crops once into memory (27 kB a frame; more with --margin)")
    add("--keep_last", type=whole_number(0), default=0, metavar="N",
        help="keep only the newest N checkpoints and best.pth (default 0: all)")
    add("--log_interval", type=whole_number(1), default=100,
        help="steps a line of metrics.csv (default 100)")


def parse_hparams(assignments: str) -> HParams:
    try:
        return hparams.override(assignments)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def network_width(text: str) -> float:
    """A flag's positive multiple of 1/16; ArgumentTypeError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if value <= 0 or not (16 * value).is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive multiple of 1/16, such as "
                                         "0.25")
    return value
