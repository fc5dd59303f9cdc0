"""Make a small weight file of a training checkpoint: half precision, safetensors, weights alone.

    python export_weights.py --checkpoint_path wav2lip/best.pth --out checkpoints/wav2lip.safetensors

With several checkpoints of one training, the mean of their weights, often better than each.
With --width, those of a wider network that computes the same, to train on from there.
"""
import argparse
from collections.abc import Sequence
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

import checkpoint
from atomic_file import whole_file
from errors import InputError, run_script
from models import ShapeWav2Lip, SyncNet_color, Wav2Lip, Wav2Lip_disc_qual
from models.widen import widen
from training_flags import network_width

_CLASSES = {"wav2lip": Wav2Lip, "shape_wav2lip": ShapeWav2Lip, "syncnet_color": SyncNet_color,
            "visual_quality_disc": Wav2Lip_disc_qual}


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint_path", required=True, nargs="+",
                        help="any weight file of this project, or several to take the mean of")
    parser.add_argument("--out", required=True, help="file to write, ending in .safetensors")
    parser.add_argument("--width", type=network_width,
                        help="of a wider network that computes the same (default: unchanged)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    if Path(args.out).suffix != ".safetensors":
        raise InputError(f"--out {args.out}: end the name with .safetensors")
    first = args.checkpoint_path[0]
    loaded = _mean([checkpoint.load_weights(path) for path in args.checkpoint_path],
                   args.checkpoint_path)
    if args.width:
        loaded = _widened(loaded, args.width, first)
    weights = {key: (value.half() if value.is_floating_point() else value).contiguous()
               for key, value in loaded.items()}
    if overflown := [key for key, value in weights.items() if value.is_floating_point()
                     and not torch.isfinite(value).all()]:
        raise InputError(f"{first}: {overflown[0]} does not fit half precision")
    try:
        with whole_file(args.out) as file:
            file.write(safetensors.torch.save(weights))
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error.strerror}") from None
    print(f"{args.out}: {len(weights)} tensors, {Path(args.out).stat().st_size / 1e6:.1f} MB")


def _mean(all_weights: Sequence[dict[str, Tensor]], paths: Sequence[str]) -> dict[str, Tensor]:
    first = all_weights[0]
    for weights, path in zip(all_weights, paths, strict=True):
        if {key: value.shape for key, value in weights.items()} != {
                key: value.shape for key, value in first.items()}:
            raise InputError(f"{path} holds another network than {paths[0]}, or another width")
    return {key: torch.stack([weights[key] for weights in all_weights]).mean(0)
            if value.is_floating_point() else value for key, value in first.items()}


def _widened(weights: dict[str, Tensor], width: float, path: str) -> dict[str, Tensor]:
    network = checkpoint.network_of(weights)
    if network not in _CLASSES:
        raise InputError(f"{path}: --width is for the networks of models/ alone")
    model = checkpoint.build_model(weights, _CLASSES[network], path)
    try:
        return widen(model, width).state_dict()
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


if __name__ == "__main__":
    run_script(main)
