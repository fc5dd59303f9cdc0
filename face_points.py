"""The points of a face, and the crop that has them where a generator expects them.

A box alone tells neither how a head is tilted nor, where it is turned or long, how high in it the
mouth is. A generator that does not see the mouth of its reference (`Wav2Lip.hide_mouth`) hides a
fixed part of the crop: the mouth must be there.
"""
from pathlib import Path

import cv2
import numpy as np
import torch

import checkpoint
from face_regions import BOX_ASPECT, POINTS, from_crop
from faces import crop_with_margin
from models import FacePoints
from models.points import POINTS_SIDE

MARGIN = 0.1    # how far the pictures that FacePoints sees reach beyond the box, in box sides
WEIGHTS = Path(__file__).parent / "checkpoints" / "face_points.safetensors"

# By which a crop reaches lower than the box, as the published --pads make it: closer to the edge, a
# chin tells how far the mouth is open.
_BELOW = 0.04

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
                and abs(np.angle(_turn(found))) < _MOST_TILT)
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


def place_of(points: np.ndarray, height: float) -> np.ndarray:
    """(2, 3) affine map of x, y and 1, in sides of the crop of an upright face whose box has this
    height, to where it lies: moved and turned so that POINTS are nearest to the points (4, 2)
    (Umeyama 1991). The crop reaches lower than the box, by _BELOW."""
    turn = height * _turn(points)
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]]) @ np.diag([BOX_ASPECT, 1])
    offset = points.mean(0) - linear @ POINTS.mean(0)
    return np.column_stack([linear @ np.diag([1, 1 + _BELOW]), offset])


def _turn(points: np.ndarray) -> complex:
    """How the points (4, 2) are turned against POINTS: multiplied by this number of length 1, a
    plane of complex numbers is."""
    upright, turned = ((p - p.mean(0)) @ [1, 1j] for p in (POINTS * [BOX_ASPECT, 1], points))
    turn = np.vdot(upright, turned)
    return turn / abs(turn)
