"""Make a small weight file of a training checkpoint: half precision, safetensors, weights alone.

    python export_weights.py --checkpoint_path wav2lip/best.pth --out checkpoints/wav2lip.safetensors
"""
import argparse
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch

import checkpoint
from atomic_file import whole_file
from errors import InputError, run_script


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint_path", required=True, help="any weight file of this project")
    parser.add_argument("--out", required=True, help="file to write, ending in .safetensors")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if Path(args.out).suffix != ".safetensors":
        raise InputError(f"--out {args.out}: end the name with .safetensors")
    weights = {key: (value.half() if value.is_floating_point() else value).contiguous()
               for key, value in checkpoint.load_weights(args.checkpoint_path).items()}
    if overflown := [key for key, value in weights.items() if value.is_floating_point()
                     and not torch.isfinite(value).all()]:
        raise InputError(f"{args.checkpoint_path}: {overflown[0]} does not fit half precision")
    try:
        with whole_file(args.out) as file:
            file.write(safetensors.torch.save(weights))
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None
    print(f"{args.out}: {len(weights)} tensors, {Path(args.out).stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_script(main)
