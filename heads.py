"""A face in a picture made another head's: turned, of other proportions, its mouth opened or shut.

A face mesh, which has depth, is changed, and the picture bent with it; teeth stay with their jaws
(`jaws.py`).
"""
from collections import defaultdict
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from jaws import (BETWEEN_JAWS, INSIDE, LOWER_JAW, LOWER_LIP, N_WITH_JAWS, SIDES, TEETH_BEHIND,
                  UPPER_JAW, UPPER_LIP, face_width, filled, inside_of_mouth, opened, with_jaws)

# Standard deviations, x and y, of what goes with the mouth, in widths of the face.
_MOUTH_REACH = np.array([0.3, 0.18])

# Points of the mesh at the rim of the face, in order, from the middle of the forehead.
_RIM = [10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
        148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109]
_NOSE_END = 2
_LIPS = [13, 14]
# What the mesh leaves open of the eyes: above and below, from corner to corner.
_EYES = [
    ([33, 246, 161, 160, 159, 158, 157, 173, 133], [33, 7, 163, 144, 145, 153, 154, 155, 133]),
    ([362, 398, 384, 385, 386, 387, 388, 466, 263], [362, 382, 381, 380, 374, 373, 390, 249, 263])]
# Rings around the rim: its distance from the middle of the face, by the rim's, and the share of the
# change that it takes part in. Hair and ears go with the face, what is far behind does not.
_RINGS = [(1.3, 0.9), (1.8, 0.3), (2.6, 0.0)]


class Head(NamedTuple):
    """What makes a head another one. yaw, to the right of the picture, and pitch, downwards:
    degrees. length, from the nose down, width, the mouth's width and height, and how far its lips
    are apart: by what they were.
    """

    yaw: float
    pitch: float
    length: float = 1.0
    width: float = 1.0
    mouth_width: float = 1.0
    mouth_height: float = 1.0
    opening: float = 1.0


def varied(frame: np.ndarray, mesh: np.ndarray, head: Head) -> np.ndarray:
    """The frame (H, W, 3) with another head.

    mesh: (478, 3) as `face_meshes` gives it."""
    height, width = frame.shape[:2]
    light = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
    source, target = _points(with_jaws(mesh, light), head)
    to_source = np.dstack(np.meshgrid(*[np.arange(n, dtype=np.float32) for n in (width, height)]))
    triangles = _triangles()
    corners = target[triangles]
    shown = np.full((height, width), -1, np.int32)
    depth = corners[:, :, 2].mean(1)
    depth[np.isin(triangles, INSIDE).all(1)] += TEETH_BEHIND * face_width(mesh)
    # What is nearer is painted over what is farther.
    for index in np.argsort(-depth).tolist():
        cv2.fillConvexPoly(shown, np.rint(corners[index, :, :2]).astype(np.int32), index)
    inside = shown >= 0
    maps = _affine_maps(corners[:, :, :2], source[triangles][:, :, :2])[shown[inside]]
    to_source[inside] = (maps[:, :, :2] @ to_source[inside][:, :, None])[:, :, 0] + maps[:, :, 2]
    bent = cv2.remap(frame, to_source, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    between = inside & np.isin(triangles, BETWEEN_JAWS).all(1)[shown]
    return filled(bent, between, inside_of_mouth(frame, source), mesh, head.opening)


def _points(mesh: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray]:
    """(P, 3) the mesh with rings around it, as it is and as the other head's."""
    rim = mesh[_RIM]
    axis = mesh[SIDES].mean(0)
    yaw, pitch = np.deg2rad([head.yaw, head.pitch])
    about_y = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)],
                        [0, np.sin(pitch), np.cos(pitch)]])
    other = axis + (_with_proportions(mesh, head) - axis) @ (about_x @ about_y).T
    source, target = [mesh], [other]
    middle, depth = rim.mean(0), np.ptp(mesh[:, 2])
    for i, (distance, share) in enumerate(_RINGS, 1):
        ring = middle + distance * (rim - middle)
        ring[:, 2] = rim[:, 2] + i * depth
        source.append(ring)
        target.append(ring + share * (other[_RIM] - rim))
    return np.concatenate(source), np.concatenate(target)


def _with_proportions(mesh: np.ndarray, head: Head) -> np.ndarray:
    """The mesh with the head's proportions, still looking where it looked."""
    mesh = opened(mesh, head.opening)
    mouth = mesh[_LIPS].mean(0)
    away = (mesh - mouth)[:, :2]
    near = np.exp(-np.square(away / (face_width(mesh) * _MOUTH_REACH)).sum(1) / 2)
    other = mesh.copy()
    other[:, :2] += near[:, None] * away * (np.array([head.mouth_width, head.mouth_height]) - 1)
    below_nose = np.maximum(mesh[:, 1] - mesh[_NOSE_END, 1], 0)
    other[:, 0] += (head.width - 1) * (mesh[:, 0] - mesh[_NOSE_END, 0])
    other[:, 1] += (head.length - 1) * below_nose
    return other


@lru_cache(maxsize=1)
def _triangles() -> np.ndarray:
    """(M, 3) indices of `_points`: MediaPipe's triangles of the face, and those that fill its
    openings and the rings."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_TESSELATION
    joined: dict[int, set[int]] = defaultdict(set)
    for a, b in FACEMESH_TESSELATION:
        joined[a].add(b)
        joined[b].add(a)
    face = {tuple(sorted((a, b, c))) for a in joined for b in joined[a]
            for c in joined[a] & joined[b]}
    n = len(_RIM)
    rings = [[*_RIM, _RIM[0]]]
    for i in range(len(_RINGS)):
        first = N_WITH_JAWS + i * n
        rings.append([*range(first, first + n), first])
    strips = [*pairwise([UPPER_LIP, UPPER_JAW, LOWER_JAW, LOWER_LIP]), *_EYES, *pairwise(rings)]
    between = [triangle for upper, lower in strips
               for (a, c), (b, d) in pairwise(zip(upper, lower, strict=True))
               for triangle in ((a, b, c), (b, c, d))]
    return np.array([*sorted(face), *between])


def _affine_maps(corners: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """(M, 2, 3) the maps of each triangle's corners (M, 3, 2) onto others; a triangle without area
    is mapped onto its own place."""
    homogeneous = np.concatenate([corners, np.ones_like(corners[:, :, :1])], axis=2)
    flat = np.abs(np.linalg.det(homogeneous)) < 1e-3
    homogeneous[flat], onto = np.eye(3), np.where(flat[:, None, None], np.eye(3)[None, :, :2], onto)
    return np.linalg.solve(homogeneous, onto).transpose(0, 2, 1).astype(np.float32)
