"""Finds the points of faces, by which crops are laid (`face_regions.place_of`)."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import checkpoint
from face_regions import MIRRORED, POINTS, turn_of
from faces import crop_face
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
        places = np.stack([[_view(box, *view) for view in _VIEWS] for _, box in faces])
        crops = np.stack([crop_face(image, place, POINTS_SIDE)
                          for (image, _), own in zip(faces, places, strict=True) for place in own])
        with torch.inference_mode():
            told = self._network(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255)
        told = told.numpy().reshape(len(faces), len(_VIEWS), *POINTS.shape)
        seen = told @ places[..., :2].swapaxes(2, 3) + places[..., None, :, 2]
        for view, (_, mirrored) in enumerate(_VIEWS):
            if mirrored:
                seen[:, view] = seen[:, view, MIRRORED]
        found = np.stack([_believed(points, box)
                          for points, (_, box) in zip(seen.mean(1), faces, strict=True)])
        return np.split(found.astype(np.float32), np.cumsum([len(own) for own in boxes])[:-1])


def _view(box: np.ndarray, growth: float, mirrored: bool) -> np.ndarray:
    """(2, 3) `faces.Place` of a view of a face: its box, grown, and MARGIN around it."""
    sides = (box[2:] - box[:2]) * (1 + growth) * (1 + 2 * MARGIN) * [-1 if mirrored else 1, 1]
    return np.column_stack([np.diag(sides), (box[:2] + box[2:] - sides) / 2])


def _believed(found: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Points in pixels, or where POINTS are in the box if they are beyond belief."""
    usual = to_pixels(POINTS, box)
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
