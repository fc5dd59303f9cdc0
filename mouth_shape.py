"""The shape of a mouth in a few numbers, from a face mesh."""
from collections.abc import Sequence

import numpy as np

SHAPE_FILE = "shape.npy"      # (N, 7) in a clip's folder: one row for each of its frame numbers
MEAN_FILE = "mean_shape.npy"  # (7,) in a still clip's folder: the person's mean

# What a shape holds, in distances between the sides of the upper face, and how much each varies:
# its standard deviation on the train split of LRC-AR, as the mean below. y points down, z away
# from the camera.
SHAPE = {
    "opening": 0.099,        # square root of how far the inner lips are apart
    "width": 0.041,          # from corner to corner
    "upper lip": 0.025,      # y of its outer edge
    "lower lip": 0.042,      # the same
    "chin": 0.037,           # y
    "corners": 0.027,        # y of both, on average
    "lips": 0.015,           # z: pursed lips are in front
}

_MEAN_OPENING = 0.233
# The mean shape of a person whose nose ends at _NOSE, and what it gains for each unit that the nose
# ends lower: least squares over 91 groups of clips, one person each, of the same clips. What is
# left of the people's differences are 0.5 to 0.9 of SHAPE's standard deviations.
_NOSE = 0.625
_MEAN_AT_NOSE = np.array([_MEAN_OPENING, 0.537, 0.759, 1.016, 1.274, 0.807, 0.105])
_MEAN_PER_NOSE = np.array([0, 0.54, 1.03, 1.55, 1.55, 1.26, 0])
# A mouth with its lips together, as `relative` has it: the mean over the 2 % of frames, of the same
# clips, whose lips are least apart.
SHUT = np.array([-1.85, 0.34, 0.55, -0.97, -0.24, -0.31, -0.96], np.float32)
# What each part of 1 % of the frames of these clips is below or above; but an opening may be told to
# be less than shut, since what is drawn is nearer to the mean than what is told.
_LEAST = np.array([-2.6, -3.6, -2.5, -2.5, -2.4, -2.6, -2.3], np.float32)
_GREATEST = np.array([2.4, 2.4, 3.5, 3.2, 3.3, 3.5, 3.4], np.float32)

# Points of the mesh on bones of the upper face: none moves with the mouth.
_LEFT = [33, 133, 127, 234, 109]        # of the picture
_RIGHT = [263, 362, 356, 454, 338]
_TOP = [10, 151, 9, 8]
_BOTTOM = [197, 195, 5, 4]

_INNER_UPPER, _INNER_LOWER = [13, 82, 312], [14, 87, 317]
_OUTER_UPPER, _OUTER_LOWER = [0, 37, 267], [17, 84, 314]
_CORNERS = [61, 291]
_CHIN = [152, 148, 377]
_NOSE_END = 2
_MIDDLE = [0, 13, 14, 17]


def mouth_shapes(meshes: np.ndarray) -> np.ndarray:
    """(N, 7) the parts of SHAPE, whatever the place, size and turn of the head.

    meshes: (N, 478, 3); NaN gives NaN."""
    faces = upright(meshes)

    def y(points: list[int]) -> np.ndarray:
        return faces[:, points, 1].mean(1)

    apart = np.linalg.norm(faces[:, _INNER_UPPER] - faces[:, _INNER_LOWER], axis=2).mean(1)
    width = np.linalg.norm(faces[:, _CORNERS[0]] - faces[:, _CORNERS[1]], axis=1)
    return np.stack([np.sqrt(apart), width, y(_OUTER_UPPER), y(_OUTER_LOWER), y(_CHIN),
                     y(_CORNERS), faces[:, _MIDDLE, 2].mean(1)], axis=1)


def lip_thickness(meshes: np.ndarray) -> np.ndarray:
    """(N,) thickness of both lips together, in distances between the sides of the upper face.

    meshes: (N, 478, 3); NaN gives NaN."""
    faces = upright(meshes)
    return sum(np.linalg.norm(faces[:, outer] - faces[:, inner], axis=2).mean(1)
               for outer, inner in ((_OUTER_UPPER, _INNER_UPPER), (_OUTER_LOWER, _INNER_LOWER)))


def upright(meshes: np.ndarray) -> np.ndarray:
    """The meshes (N, P, 3) in axes of the upper face: x from its left side in the picture to its
    right, a distance of 1, y down along forehead and nose, z into the head; 0 is amid them."""
    left, right, top, bottom = (meshes[:, points].mean(1)
                                for points in (_LEFT, _RIGHT, _TOP, _BOTTOM))
    size = np.linalg.norm(right - left, axis=1, keepdims=True)
    x = (right - left) / size
    y = bottom - top
    y -= (y * x).sum(1, keepdims=True) * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    axes = np.stack([x, y, np.cross(x, y)], axis=2)
    middle = (left + right + top + bottom) / 4
    return (meshes - middle[:, None]) @ axes / size[:, None]


def expected_mean(meshes: np.ndarray) -> np.ndarray:
    """(7,) the mean shape of a person that speaks, as the nose lets expect it: for a person of whom
    there is but a picture, which may smile.

    meshes: (N, 478, 3), not all NaN."""
    nose = np.nanmean(upright(meshes)[:, _NOSE_END, 1])
    return _MEAN_AT_NOSE + (nose - _NOSE) * _MEAN_PER_NOSE


def relative(shapes: Sequence[np.ndarray], mean: np.ndarray | None = None) -> list[np.ndarray]:
    """The shapes (N, 7) of one person's clips as training takes them: in standard deviations from
    the person's mean, which the sound does not tell but the face does. The opening counts from the
    mean of all people instead: shut is shut. mean: (7,), if another than that of these shapes."""
    if mean is None:
        mean = np.nanmean(np.concatenate(shapes), axis=0)
    mean = np.concatenate([[_MEAN_OPENING], mean[1:]])
    return [((shape - mean) / list(SHAPE.values())).astype(np.float32) for shape in shapes]


def thinned(shapes: np.ndarray, factor: float) -> np.ndarray:
    """The shapes (N, 7), as `relative` gives them, of mouths whose lips are apart by this factor
    less."""
    spread = SHAPE["opening"]
    opening = (shapes[:, 0] * spread + _MEAN_OPENING) / np.sqrt(factor)
    return np.column_stack([(opening - _MEAN_OPENING) / spread, shapes[:, 1:]]).astype(np.float32)


def emphasized(shapes: np.ndarray, gain: np.ndarray | float, opening: float) -> np.ndarray:
    """The shapes (N, 7), as `relative` gives them, times `gain` (one, or one for each part), and
    moved away from the shut mouth by `opening` times what that is from the mean."""
    return gain * shapes - np.float32(opening) * SHUT


def bounded(shapes: np.ndarray) -> np.ndarray:
    """The shapes (N, 7), as `relative` gives them, with no part beyond what real mouths do."""
    return np.clip(shapes, _LEAST, _GREATEST)
