"""The points of a face, and the crop that has them where a generator expects them.

A box alone tells neither how a head is tilted nor, where it is turned or long, how high in it the
mouth is. A generator that does not see the mouth of its reference (`Wav2Lip.hide_mouth`) hides a
fixed part of the crop: the mouth must be there.
"""
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

import checkpoint
from face_regions import BOX_ASPECT, POINTS
from faces import crop_with_margin
from models import FacePoints
from models.points import POINTS_SIDE
from tracking import smooth_boxes

MARGIN = 0.1    # how far the pictures that FacePoints sees reach beyond the box, in box sides
WEIGHTS = Path(__file__).parent / "checkpoints" / "face_points.safetensors"

# By which a crop reaches lower than the box, as the published --pads make it: closer to the edge, a
# chin tells how far the mouth is open.
_BELOW = 0.1

# A box of a face is not farther off than this: what the network tells is then no face's.
_MOST_SHIFT = 0.25          # of the crop's middle, in heights of the box
_MOST_GROWTH = 1.5          # of its height
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
        in_box = told.numpy() * (1 + 2 * MARGIN) - MARGIN
        return np.stack([_in_frame(points, box)
                         for points, box in zip(in_box, corners, strict=True)]).astype(np.float32)


def _in_frame(points: np.ndarray, box: np.ndarray) -> np.ndarray:
    corner, sides = box[:2], box[2:] - box[:2]
    usual = corner + POINTS * sides
    found = corner + points * sides
    was, now = place_of(usual), place_of(found)
    growth = np.linalg.norm(now[:, 1]) / np.linalg.norm(was[:, 1])
    shift = np.linalg.norm(now @ [0.5, 0.5, 1] - was @ [0.5, 0.5, 1]) / sides[1]
    tilt = abs(np.arctan2(now[1, 0], now[0, 0]))
    believed = (shift < _MOST_SHIFT and 1 / _MOST_GROWTH < growth < _MOST_GROWTH
                and tilt < _MOST_TILT)
    return found if believed else usual


def steady(points: np.ndarray, cuts: Sequence[bool], window: int) -> np.ndarray:
    """The points (T, 4, 2) of a face, NaN where it is not seen, with the corners of its mouth where
    they are, seen from the eyes, on the mean over a window of frames that crosses no cut: as the
    head turns they move, as it speaks they must not, or the crop would tell how the mouth is held.
    """
    left, right, *mouth = np.moveaxis(points @ [1, 1j], 1, 0)
    # Seen from the eyes: with their middle as 0 and their distance, to the right, as 1.
    middle, across = (left + right) / 2, right - left
    with np.errstate(invalid="ignore"):     # NaN where there is no face
        seen = (np.stack(mouth, axis=1) - middle[:, None]) / across[:, None]
    held = middle[:, None] + smooth_boxes(seen, cuts, window) * across[:, None]
    return np.concatenate([points[:, :2], np.stack([held.real, held.imag], axis=2)], axis=1)


def place_of(points: np.ndarray) -> np.ndarray:
    """(2, 3) affine map of x, y and 1, in sides of the crop that an upright face would have, its box
    and _BELOW, to where it lies: the similarity that brings POINTS nearest to the points (4, 2)
    (Umeyama 1991)."""
    upright = POINTS * [BOX_ASPECT, 1]
    # Turning and growing a plane is to multiply by a complex number.
    z, w = ((p - p.mean(0)) @ [1, 1j] for p in (upright, points))
    turn = np.vdot(z, w) / np.vdot(z, z).real
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]]) @ np.diag([BOX_ASPECT, 1])
    linear[:, 1] *= 1 + _BELOW
    return np.column_stack([linear, points.mean(0) - linear @ (POINTS.mean(0) / [1, 1 + _BELOW])])
