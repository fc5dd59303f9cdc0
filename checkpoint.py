"""Weights and training states: saved so that no kill can halve them, loaded without running code.

Every format in the wild is read: the published .pth (old and new torch files), bare state dicts,
TorchScript archives and safetensors, in any precision, with or without DataParallel's prefix.
"""
import os
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

import torchscript
from atomic_file import whole_file
from errors import InputError

Model = TypeVar("Model", bound=nn.Module)

# What people call each network, and keys that no other has (S3FD travels under two sets of names).
_NETWORKS = {
    "shape_wav2lip": ("a generator that is told mouth shapes, not sound (audio_encoder_train.py "
                      "makes a Wav2Lip of it)", {"audio_encoder.linear.weight"}),
    "sound_to_shape": ("a network that tells the mouth's shape from sound", {"head.weight"}),
    "shape_expert": ("a network that sees the mouth's shape", {"shape_head.weight"}),
    "face_points": ("a network that finds a face's points", {"point_head.weight"}),
    "wav2lip": ("a Wav2Lip generator", {"face_decoder_blocks.0.0.conv_block.0.weight"}),
    "syncnet_color": ("a lip-sync expert (SyncNet_color)", {"face_encoder.16.conv_block.0.weight"}),
    "visual_quality_disc": ("a visual-quality discriminator", {"binary_pred.0.weight"}),
    "s3fd": ("an S3FD face detector", {"conv3_3_norm_mbox_conf.weight", "vgg.0.weight"}),
    "syncnet_v2": ("a SyncNet of the evaluation (syncnet_v2)", {"netcnnlip.0.weight"}),
}
_CLASS_NETWORKS = {"Wav2Lip": ["wav2lip"], "SyncNet_color": ["syncnet_color"],
                   "Wav2Lip_disc_qual": ["visual_quality_disc"],
                   "ShapeExpert": ["shape_expert"], "FacePoints": ["face_points"],
                   "ShapeWav2Lip": ["shape_wav2lip", "wav2lip"],
                   "SoundToShape": ["sound_to_shape", "wav2lip"]}


class CheckpointError(InputError):
    """A weight file that cannot be used; the message is one line: what it is and what to do."""


def save(path: str | Path, payload: Mapping[str, Any]) -> None:
    """Write a training state or weights. The file appears whole or not at all, and a file of that
    name survives a failure. OSError or RuntimeError (torch's word for a full disk) if it fails."""
    with whole_file(path) as file:
        torch.save(dict(payload), file)


def load(path: str | Path) -> dict[str, Any]:
    """What the file holds, its tensors on the CPU: a training state (`state_dict`, `optimizer`,
    `global_step`, …) or a bare state dict. CheckpointError if it is no weight file."""
    path = Path(path)
    _refuse_what_is_no_weight_file(path)
    try:
        if _is_safetensors(path):
            return safetensors.torch.load_file(path)
        if torchscript.is_archive(path):
            return torchscript.state_dict(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Weights only load failed" in str(error) and "GLOBAL" in str(error):
            raise CheckpointError(
                f"{path} holds pickled Python objects (a whole module?), which may run code when "
                "opened: save its model.state_dict() and load that") from None
        raise _damaged(path) from None
    # The unpickler, fed with any bytes, ends in any of these.
    except (RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
            zipfile.BadZipFile, safetensors.SafetensorError):
        raise _damaged(path) from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not a state dict: "
                              "save model.state_dict() and load that")
    return content


def load_weights(path: str | Path, *networks: str) -> dict[str, Tensor]:
    """The float32 state dict in a file of any format.

    networks: those accepted, of wav2lip, syncnet_color, visual_quality_disc, shape_wav2lip,
    sound_to_shape, face_points, s3fd and syncnet_v2; none = any. CheckpointError if the file holds
    another.
    """
    content = load(path)
    nested = content.get("state_dict", content.get("model", content))
    if not isinstance(nested, dict):
        nested = {}
    weights = {str(key).removeprefix("module."):
               value.float() if value.is_floating_point() else value
               for key, value in nested.items() if isinstance(value, Tensor)}
    if not weights:
        raise CheckpointError(f"{path} holds no weights (it has {_some(content)}): "
                              "choose the checkpoint file itself")
    if networks:
        _expect(networks, weights, path)
    if bad := next((key for key, value in weights.items() if not value.isfinite().all()), None):
        raise CheckpointError(f"{path}: {bad} is not finite, as after a training that diverged: "
                              "choose an earlier checkpoint")
    return weights


def load_model(path: str | Path, model_class: type[Model], *networks: str) -> Model:
    """A `models` network in evaluation mode holding the file's weights, of the width they have.

    networks: those accepted, as for `load_weights`; none = all that the class can begin with."""
    return build_model(load_weights(path, *(networks or _CLASS_NETWORKS[model_class.__name__])),
                       model_class, path)


def build_model(weights: Mapping[str, Tensor], model_class: type[Model], path: str | Path) -> Model:
    """The same of weights that are loaded already. path: where they come from, for the message."""
    try:
        return model_class.from_state_dict(weights).eval()
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: its layers are not those of {model_class.__name__} "
                              f"({reason}): it comes from a changed network") from None


def require_same_width(network: nn.Module, path: str | Path, other: nn.Module,
                       other_path: str | Path) -> None:
    """CheckpointError unless two networks of `models` are of one width."""
    if network.width != other.width:
        raise CheckpointError(f"{path} is of width {network.width:g}, {other_path} of "
                              f"{other.width:g}: not alike")


def _refuse_what_is_no_weight_file(path: Path) -> None:
    if path.is_dir():
        raise CheckpointError(f"{path} is a folder: name the weight file in it")
    if not path.is_file():
        raise CheckpointError(f"no weight file {path}: check the path (README: where to get one)")
    if not os.access(path, os.R_OK):
        raise CheckpointError(f"{path} may not be read by this user: change its permissions")
    with open(path, "rb") as file:
        start = file.read(512).lstrip().lower()
    if not start:
        raise CheckpointError(f"{path} is empty: download or copy it again")
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path} is a web page, not weights: the download link led to a "
                              "page; open it in a browser and download the file itself")
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights: run git lfs pull")


def _is_safetensors(path: Path) -> bool:
    """By content, as users rename files: an 8-byte header length, then a JSON object."""
    with open(path, "rb") as file:
        start = file.read(9)
    return path.suffix == ".safetensors" or start[8:9] == b"{"


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is no readable weight file ({path.stat().st_size:,} bytes): truncated or not a "
        "torch, TorchScript or safetensors file; compare its size and SHA-256 with the README's")


def _expect(networks: Sequence[str], weights: Mapping[str, Tensor], path: str | Path) -> None:
    found = network_of(weights)
    if found not in networks:
        held = _NETWORKS[found][0] if found else f"weights of an unknown network ({_some(weights)})"
        needed = " or ".join(_NETWORKS[network][0] for network in networks)
        raise CheckpointError(f"{path} holds {held}, but {needed} is needed here")


def network_of(weights: Mapping[str, Tensor]) -> str | None:
    """Which network has these weights, by the names that `load_weights` takes; None = unknown."""
    return next((name for name, (_, keys) in _NETWORKS.items() if keys & weights.keys()), None)


def _some(content: Mapping[str, Any]) -> str:
    names = ", ".join(str(name) for name in list(content)[:3])
    return f"{names}, …" if len(content) > 3 else names or "nothing"
