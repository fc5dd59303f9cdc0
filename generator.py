"""The trained generator, made fast for one device: uint8 faces in, uint8 faces out."""
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

import checkpoint
from errors import InputError
from models import Wav2Lip
from models.conv import fold_batch_norm

Precision = Literal["auto", "fp32", "bf16", "fp16"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CHECKPOINTS = Path(__file__).parent / "checkpoints"
_CPU_BATCH = 8      # a larger batch is no faster on a CPU, and every waiting frame costs memory


class PendingFaces(NamedTuple):
    """Faces that are being drawn. arrive: waits for them, (N, 96, 96, 3) uint8 on the host."""

    arrive: Callable[[], Tensor]

    def wait(self) -> np.ndarray:
        """(N, 96, 96, 3) uint8 BGR."""
        return self.arrive().numpy()


class LipGenerator:
    """Runs a `Wav2Lip` with its batch norm folded, channels last, in the precision that pays."""

    def __init__(self, model: Wav2Lip, device: torch.device, precision: Precision = "auto",
                 batch_size: int = 128) -> None:
        """model: in evaluation mode; it is taken over and changed.

        precision: auto = fp16 on CUDA, bf16 on a CPU that computes in it, else fp32.
        batch_size: frames a call at most; a CPU takes no more than 8. OutOfMemoryError is met by
        halving it.
        """
        self.device = device
        self.precision = _auto_precision(device) if precision == "auto" else precision
        if self.precision == "fp16" and device.type == "cpu":
            raise InputError("--precision fp16 needs a GPU: use bf16 or fp32 on the CPU")
        self.batch_size = min(batch_size, _CPU_BATCH) if device.type == "cpu" else batch_size
        self._lanes = _cpu_lanes() if device.type == "cpu" else None
        self._model = fold_batch_norm(model).to(
            device, _DTYPES[self.precision], memory_format=torch.channels_last)

    @classmethod
    def load(cls, path: str | Path, device: torch.device, precision: Precision = "auto",
             batch_size: int = 128) -> "LipGenerator":
        """From a weight file of any format and width; CheckpointError if it is no generator."""
        return cls(checkpoint.load_model(path, Wav2Lip), device, precision, batch_size)

    @property
    def hides_mouth(self) -> bool:
        """Whether it does not see its reference's mouth: faces must be aligned for it."""
        return self._model.mouth_mask is not None

    def submit(self, mels: np.ndarray, faces: np.ndarray,
               busy: Callable[[], AbstractContextManager] = nullcontext) -> PendingFaces:
        """Start drawing faces whose mouths say the sound; this returns at once.

        mels: (N, 80, 16) float32 mel windows. faces: (N, 96, 96, 3) uint8 BGR crops. busy: opened,
        in whichever thread, while a batch is worked on or waited for.
        """
        try:
            return self._start(mels, faces, busy)
        except torch.OutOfMemoryError:
            if len(faces) == 1:
                raise InputError("one frame alone exceeds the GPU's memory: "
                                 "use --device cpu") from None
        half = len(faces) // 2
        self.batch_size = max(1, half)
        parts = [self.submit(mels[:half], faces[:half], busy),
                 self.submit(mels[half:], faces[half:], busy)]
        return PendingFaces(lambda: torch.cat([part.arrive() for part in parts]))

    def _start(self, mels: np.ndarray, faces: np.ndarray,
               busy: Callable[[], AbstractContextManager]) -> PendingFaces:
        def draw() -> Tensor:
            with busy():
                return self._draw(mels, faces)

        if self._lanes:
            return PendingFaces(self._lanes.submit(draw).result)
        drawn = draw()
        if self.device.type != "cuda":
            return PendingFaces(drawn.cpu)
        host = torch.empty(drawn.shape, dtype=torch.uint8, pin_memory=True)
        host.copy_(drawn, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()

        def arrive() -> Tensor:
            with busy():
                arrived.synchronize()
            return host
        return PendingFaces(arrive)

    @torch.inference_mode()
    def _draw(self, mels: np.ndarray, faces: np.ndarray) -> Tensor:
        """(N, 96, 96, 3) uint8 BGR on the device."""
        mel = self._to_device(mels).unsqueeze(1).to(_DTYPES[self.precision])
        # From here on NCHW, with the channels last in memory as they came.
        face = self._to_device(faces).permute(0, 3, 1, 2).to(_DTYPES[self.precision]) / 255
        masked = face.clone()
        masked[:, :, face.shape[2] // 2:] = 0
        g = self._model(mel, torch.cat([masked, face], dim=1))
        return (g.float() * 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    def _to_device(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(array)
        if self.device.type != "cuda":
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)


def _cpu_lanes() -> ThreadPoolExecutor:
    """Two threads that draw a batch each, with half of torch's threads. All of them in one batch
    would wait for one another after every layer, and spin while the encoder wants the core."""
    threads = torch.get_num_threads()
    return ThreadPoolExecutor(min(2, threads), initializer=torch.set_num_threads,
                              initargs=(max(1, threads // 2),))


def own_weights(device: torch.device) -> Path:
    """The better of this project's generators where half precision makes it fast enough, else the
    light one."""
    width = "light" if _auto_precision(device) == "fp32" else "full"
    return CHECKPOINTS / f"wav2lip_{width}.safetensors"


def _auto_precision(device: torch.device) -> Precision:
    if device.type == "cuda":
        return "fp16"
    computes_in_bf16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if device.type == "cpu" and computes_in_bf16 else "fp32"
