"""The S3FD detector: weights, device and the detector protocol."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from checkpoint import CheckpointError, load_weights
from face_detection.detection.sfd.detect import detect
from face_detection.detection.sfd.net_s3fd import S3FD, rename_sfd_face_keys


class SFDDetector:
    """S3FD on a device. Stateless: a batch gives the boxes that its images give one by one."""

    name = "sfd"
    tracks = False

    def __init__(self, weights: str | Path, *, device: str | torch.device = "cpu") -> None:
        """weights: s3fd.pth or sfd_face.pth; CheckpointError if the file holds neither."""
        network = S3FD()
        try:
            network.load_state_dict(rename_sfd_face_keys(load_weights(weights, "s3fd")))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"{weights}: its layers are not S3FD's ({reason}): use s3fd.pth "
                                  "or sfd_face.pth as published") from None
        self._network = network.to(device).eval()

    def detect(self, images: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """images: B equally large (H, W, 3) uint8 BGR → B arrays (N, 5) float32, best first."""
        return detect(self._network, np.asarray(images))
