"""What other modules use: `load_detector`, and the published `FaceAlignment` API on top of it."""
import logging
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from errors import InputError
from face_detection.detection.haar import HaarDetector

logger = logging.getLogger(__name__)

S3FD_PATH = Path(__file__).parent / "detection" / "sfd" / "s3fd.pth"
DETECTORS = ("auto", "sfd", "haar")


class LandmarksType(Enum):
    """Kinds of landmarks of the published API. Only boxes are computed here."""

    _2D = 1
    _2halfD = 2
    _3D = 3


class NetworkSize(Enum):
    """Network sizes of the published API."""

    LARGE = 4


class Detector(Protocol):
    """Finds faces in images; its boxes have S3FD's geometry, forehead to chin."""

    name: str
    tracks: bool  # whether `track` is there: a cheaper search around known faces

    def detect(self, images: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """images: B equally large (H, W, 3) uint8 BGR, as one array or a list.

        Returns B arrays (N, 5) float32, x1 y1 x2 y2 score in pixels, best first; boxes may reach
        beyond the image. An image's boxes do not depend on the others of its batch.
        """

    def track(self, image: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """The faces `previous` (N, 5) of the frame before, as they lie in `image`: (M ≤ N, 5)."""


def load_detector(kind: str = "auto", *, device: str | torch.device = "cpu",
                  s3fd_path: str | Path | None = None) -> Detector:
    """The detector of a kind; a log line says which and why.

    kind: "sfd" (S3FD), "haar" (OpenCV's cascades, no download), or "auto": S3FD where its weights
    are. s3fd_path: a weights file to use instead of S3FD_PATH. InputError for an unknown kind,
    missing weights that were asked for, or a file that does not hold S3FD.
    """
    if kind not in DETECTORS:
        raise InputError(f"unknown face detector {kind!r}: choose one of {', '.join(DETECTORS)}")
    if kind == "haar":
        logger.info("face detector: haar (as asked)")
        return HaarDetector()
    weights = S3FD_PATH if s3fd_path is None else Path(s3fd_path)
    if weights.exists():
        # Imported only here: the cascades need neither the network nor checkpoints.
        from face_detection.detection.sfd.sfd_detector import SFDDetector
        detector = SFDDetector(weights, device=device)
        logger.info("face detector: sfd (weights %s, on %s)", weights, device)
        return detector
    if kind == "sfd" or s3fd_path is not None:
        raise InputError(f"no S3FD weights at {weights}: put s3fd.pth at {S3FD_PATH}, name it with "
                         "--s3fd_path, or use --face_detector haar, which needs none")
    logger.info("face detector: haar (no S3FD weights at %s; put s3fd.pth there or pass "
                "--s3fd_path)", S3FD_PATH)
    return HaarDetector()


class FaceAlignment:
    """The published API: the best face of each image."""

    def __init__(self, landmarks_type: LandmarksType = LandmarksType._2D,
                 network_size: NetworkSize = NetworkSize.LARGE, *,
                 device: str | torch.device = "cpu", flip_input: bool = False,
                 face_detector: str = "auto", s3fd_path: str | Path | None = None) -> None:
        """landmarks_type, network_size, flip_input: taken so that published calls run; boxes do
        not depend on them. face_detector, s3fd_path, device: as `load_detector`."""
        self.face_detector = load_detector(face_detector, device=device, s3fd_path=s3fd_path)

    def get_detections_for_batch(
            self, images: np.ndarray) -> list[tuple[int, int, int, int] | None]:
        """images: (B, H, W, 3) uint8 BGR. Returns (x1, y1, x2, y2) of each image's best face,
        clipped at 0 and truncated to whole pixels, or None where there is no face."""
        return [_best_box(boxes) for boxes in self.face_detector.detect(images)]


def _best_box(boxes: np.ndarray) -> tuple[int, int, int, int] | None:
    if len(boxes) == 0:
        return None
    x1, y1, x2, y2 = np.maximum(boxes[0, :4], 0).astype(int).tolist()
    return x1, y1, x2, y2
