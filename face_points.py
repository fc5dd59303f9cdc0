"""Finds the points of faces, by which crops are laid (`face_regions.place_of`)."""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

import checkpoint
from face_regions import MIRRORED, POINTS, turn_of
from models import FacePoints
from models.points import POINTS_SIDE

MARGIN = 0.1    # how far the pictures that FacePoints sees reach beyond the box, in box sides
# It looks at each face three times: by how much the box grows, and whether it is mirrored.
_VIEWS = [(0.0, True), (-0.1, False), (0.1, False)]
WEIGHTS = Path(__file__).parent / "checkpoints" / "face_points.safetensors"

# A box of a face is not farther off than this: what the network tells is then no face's.
_MOST_SHIFT = 0.25          # of the points' middle, in heights of the box
_MOST_GROWTH = 1.5          # of their distances
_MOST_TILT = np.deg2rad(45)


class PointFinder:
    """Finds the points of faces whose boxes are known."""

    def __init__(self, path: str | Path = WEIGHTS) -> None:
        """CheckpointError if the file is none of face_points_train.py."""
        self._network = checkpoint.load_model(path, FacePoints)

    def find(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]) -> list[np.ndarray]:
        """images: (H, W, 3) uint8 BGR. boxes: (N, 4 or more) x1 y1 x2 y2 … of each one's faces, in
        its pixels. Returns (N, 4, 2) float32 for each, x and y of POINTS, in its pixels too; those
        of a face that is not believed are where they are in its box on the mean."""
        faces = [(image, box[:4]) for image, own in zip(images, boxes, strict=True) for box in own]
        if not faces:
            return [np.zeros((0, *POINTS.shape), np.float32) for _ in images]
        views = np.stack([_view(image, box, *view) for image, box in faces for view in _VIEWS])
        with torch.inference_mode():
            told = self._network(torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255)
        seen = told.numpy().reshape(len(faces), len(_VIEWS), *POINTS.shape)
        in_box = np.mean([_in_box(seen[:, i], *view) for i, view in enumerate(_VIEWS)], axis=0)
        found = np.stack([_in_frame(points, box)
                          for points, (_, box) in zip(in_box, faces, strict=True)])
        return np.split(found.astype(np.float32), np.cumsum([len(own) for own in boxes])[:-1])


def _reach(growth: float, mirrored: bool) -> np.ndarray:
    """x and y of a view's sides in those of the box."""
    return (1 + growth) * (1 + 2 * MARGIN) * np.array([-1 if mirrored else 1, 1])


def _view(image: np.ndarray, box: np.ndarray, growth: float, mirrored: bool) -> np.ndarray:
    """(64, 64, 3) uint8: the box and MARGIN around it; beyond the image its edge is repeated."""
    scale = (box[2:] - box[:2]) * _reach(growth, mirrored) / POINTS_SIDE
    # The centre of pixel i is at i + 0.5.
    corner = (box[:2] + box[2:] - 1) / 2 - scale * (POINTS_SIDE - 1) / 2
    return cv2.warpAffine(image, np.column_stack([np.diag(scale), corner]), (POINTS_SIDE,) * 2,
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def _in_box(points: np.ndarray, growth: float, mirrored: bool) -> np.ndarray:
    """Points (…, 4, 2) of faces in sides of a view, in those of the box."""
    in_box = (points - 0.5) * _reach(growth, mirrored) + 0.5
    return in_box[..., MIRRORED, :] if mirrored else in_box


def _in_frame(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Points in box sides as pixels, or where POINTS are if they are beyond belief."""
    usual, found = to_pixels(POINTS, box), to_pixels(points, box)
    shift = np.linalg.norm(found.mean(0) - usual.mean(0)) / (box[3] - box[1])
    growth = np.linalg.norm(found - found.mean(0)) / np.linalg.norm(usual - usual.mean(0))
    believed = (shift < _MOST_SHIFT and 1 / _MOST_GROWTH < growth < _MOST_GROWTH
                and abs(np.angle(turn_of(found))) < _MOST_TILT)
    return found if believed else usual


def to_box_sides(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Points (…, 4, 2) of faces in pixels, from the corners of their boxes (…, 4) in their sides.
    """
    corners, sides = _corners_and_sides(boxes)
    return (points - corners) / sides


def to_pixels(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The inverse of `to_box_sides`."""
    corners, sides = _corners_and_sides(boxes)
    return corners + points * sides


def _corners_and_sides(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = boxes[..., None, :2]
    return corners, boxes[..., None, 2:] - corners
