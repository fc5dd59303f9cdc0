"""Finds the points of faces, by which crops are laid (`face_regions.place_of`)."""
from pathlib import Path

import cv2
import numpy as np
import torch

import checkpoint
from face_regions import POINTS, from_crop, turn_of
from faces import crop_with_margin
from models import FacePoints
from models.points import POINTS_SIDE

MARGIN = 0.1    # how far the pictures that FacePoints sees reach beyond the box, in box sides
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

    def find(self, image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """image: (H, W, 3) uint8 BGR. boxes: (N, 4 or more) x1 y1 x2 y2 … in its pixels. Returns
        (N, 4, 2) float32, x and y of POINTS, in its pixels too; those of a face that is not
        believed are where they are in its box on the mean."""
        if len(boxes) == 0:
            return np.zeros((0, *POINTS.shape), np.float32)
        corners = np.rint(boxes[:, :4]).astype(int)
        faces = np.stack([cv2.resize(crop_with_margin(image, box, MARGIN),
                                     (POINTS_SIDE, POINTS_SIDE)) for box in corners])
        with torch.inference_mode():
            told = self._network(torch.from_numpy(faces).permute(0, 3, 1, 2).float() / 255)
        in_box = from_crop(told.numpy(), MARGIN)
        return np.stack([_in_frame(points, box)
                         for points, box in zip(in_box, corners, strict=True)]).astype(np.float32)


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
