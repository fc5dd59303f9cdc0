"""Box arithmetic of S3FD: decoding anchors and non-maximum suppression."""
import numpy as np
import torch
from torch import Tensor

VARIANCES = (0.1, 0.2)  # of the centre and of the size, as S3FD was trained


def decode(loc: Tensor, centres: Tensor, anchor: float) -> Tensor:
    """Boxes from S3FD's offsets.

    loc: (N, 4) offsets (x, y, w, h); centres: (N, 2) anchor centres (x, y) in pixels;
    anchor: side of the square anchors in pixels. Returns (N, 4) float, (x1, y1, x2, y2) in pixels.
    """
    middle = centres + loc[:, :2] * VARIANCES[0] * anchor
    size = anchor * torch.exp(loc[:, 2:] * VARIANCES[1])
    corner = middle - size / 2
    return torch.cat([corner, corner + size], dim=1)


def nms(boxes: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the boxes that greedy non-maximum suppression keeps, best first.

    boxes: (N, 5) float, x1 y1 x2 y2 score. A box goes when its intersection over union with a
    better one exceeds `threshold`; areas count both border pixels ("+1"), as published.
    """
    x1, y1, x2, y2, scores = boxes.T
    areas = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        width = np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1
        height = np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1
        overlap = np.maximum(width, 0) * np.maximum(height, 0)
        order = rest[overlap / (areas[best] + areas[rest] - overlap) <= threshold]
    return np.array(kept, dtype=np.intp)
