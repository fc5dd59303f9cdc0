"""The detector that needs no download: OpenCV's Haar cascades, their boxes mapped to S3FD's geometry."""

from collections.abc import Sequence

import cv2
import numpy as np

MIN_FACE = 0.08  # of the image's short side


class HaarDetector:
    """Frontal cascade, and the profile cascade both ways where the frontal one finds nothing."""

    name = "haar"
    tracks = False

    def __init__(self) -> None:
        self._frontal = cv2.CascadeClassifier(
            cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")

    def detect(self, images: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """images: B equally large (H, W, 3) uint8 BGR → B arrays (N, 5) float32, best first."""
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> np.ndarray:
        gray = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        side = max(24, round(MIN_FACE * min(gray.shape)))
        rects, _, weights = self._frontal.detectMultiScale3(
            gray, scaleFactor=1.1, minNeighbors=4, minSize=(side, side), outputRejectLevels=True)
        if len(rects) == 0:
            return np.zeros((0, 5), np.float32)
        x, y, w, h = np.float32(rects).T
        score = 1 / (1 + np.exp(-np.float32(weights).ravel()))
        boxes = np.stack([x + 0.12 * w, y + 0.05 * h, x + 0.88 * w, y + 1.08 * h, score], axis=1)
        return boxes[np.argsort(-score, kind="stable")]
