"""Where in its box the eyes, mouth and chin of a face are, and which pixels are of lips.

A box alone tells neither how a head is tilted nor, where it is turned or long, how high in it the
mouth is. A generator that does not see the mouth of its reference (`Wav2Lip.hide_mouth`) hides a
fixed part of the crop: the mouth must be there. `place_of` lays the crop so.
"""
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

MOUTH = (0.5, 0.75)         # x and y of its middle, in box sides, as all axes
# The middle of either eye, left and right in the picture, and either corner of the mouth: x and y,
# in sides of the cascade's box (its width is BOX_ASPECT of its height); the mean over the train
# split of LRC-AR and its mirror image.
POINTS = np.array([[0.2765, 0.311], [0.7235, 0.311], [0.3245, 0.6865], [0.6755, 0.6865]])
MOUTH_CORNERS = [2, 3]      # of POINTS
MIRRORED = [1, 0, 3, 2]     # which of POINTS each is in a mirror
BOX_ASPECT = 0.75
# By which an aligned crop reaches lower than the box, as the published --pads make it: closer to
# the edge, a chin tells how far the mouth is open.
BELOW = 0.04
ALIGNED_MOUTH = POINTS[MOUTH_CORNERS].mean(0) / [1, 1 + BELOW]  # its middle, in sides of that crop
STEADY_SECONDS = 1.0        # before and after, over which they are averaged in their box
POINTS_FILE = "points.npy"  # (N, 4, 2) in a clip's folder: where they are in each frame number
_MOVING_AXES = (0.33, 0.25)     # half axes of an ellipse about it that holds what speech moves
_MOVING_EDGE = 1 / 3        # share of them in which it fades
TALK_AXES = (0.26, 0.12)    # half axes of an ellipse about lips that they stay in
MOUTH_AXES = (0.26, 0.2)    # of one that holds a mouth, however wide it is open
_TALK_BORDER = (0.7, 1.25)  # where that begins to fade and is gone
_FEW_LIPS = 0.002           # of a crop's pixels: so few are trusted to half
_LIPS_AXES = (0.22, 0.17)   # half axes of an ellipse about it that holds lips
_LIPS_BORDER = (0.8, 1.2)     # where that begins to fade and is gone
_LIPS_REDDER = (0.01, 0.06)     # than skin, in shares of the brightness: surely not, surely lips
_LIPS_BLUR = 0.8            # pixels
# Where skin is always seen: middle and half axes of an ellipse on nose and cheeks, and of one on
# the chin.
_SURE_SKIN = [((0.5, 0.53), (0.17, 0.11)), ((0.5, 0.82), (0.12, 0.05))]
# Of the logarithms of red by green, of blue by green, and of all three: the least spread of skin.
_SKIN_SPREAD = np.float32([0.05, 0.06, 0.2])
_SKIN_UNLIKE = (3, 5)       # spreads from the middle of skin's: surely skin, surely not
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_BLACK = 16                 # added to a channel, so that the logarithm of dark ones says little
# What is behind a face: how much it may vary along a row, in levels of a channel; and how bright it
# is at least, and how red at most, by the skin: beards are darker, cheeks redder.
_EVEN, _BRIGHT, _RED = 32, 0.5, 0.25
_DARKEST = 30               # sum of a pixel's channels under which its hue says little


def place_of(points: np.ndarray, height: float) -> np.ndarray:
    """(2, 3) affine map of x, y and 1, in sides of the crop of an upright face whose box has this
    height, to where it lies: turned as the points (4, 2) are against POINTS (Umeyama 1991), with
    the middle of the mouth at ALIGNED_MOUTH. The crop reaches lower than the box, by BELOW."""
    turn = height * turn_of(points)
    linear = (np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
              @ np.diag([BOX_ASPECT, 1 + BELOW]))
    return np.column_stack([linear, points[MOUTH_CORNERS].mean(0) - linear @ ALIGNED_MOUTH])


def place_in_box(points: np.ndarray) -> np.ndarray:
    """The same in sides of the box: points (4, 2) and where the crop lies."""
    return np.diag([1 / BOX_ASPECT, 1]) @ place_of(points * [BOX_ASPECT, 1], 1.0)


def turn_of(points: np.ndarray) -> complex:
    """How the points (4, 2) are turned against POINTS: multiplied by this number of length 1, a
    plane of complex numbers is."""
    upright, turned = ((p - p.mean(0)) @ [1, 1j] for p in (POINTS * [BOX_ASPECT, 1], points))
    turn = np.vdot(upright, turned)
    return turn / abs(turn)


def from_crop(points: np.ndarray, margin: float) -> np.ndarray:
    """Points in sides of a crop that reaches `margin` beyond a box, in sides of that box."""
    return points * (1 + 2 * margin) - margin


def to_crop(points: np.ndarray, margin: float) -> np.ndarray:
    """The inverse of `from_crop`."""
    return (points + margin) / (1 + 2 * margin)


@lru_cache(maxsize=1)
def moving_mask(size: int) -> np.ndarray:
    """(size, size) float32: 1 on mouth and chin, 0 where speech moves nothing."""
    t = np.clip((1 - _radius(size, MOUTH, _MOVING_AXES)) / _MOVING_EDGE, 0, 1)
    return np.float32(t * t * (3 - 2 * t))


class Lips(NamedTuple):
    """What is redder than the skin around it where a mouth is, pixel by pixel of a crop."""

    redness: np.ndarray     # (S, S) float32: by how much, in shares of the brightness, 0 elsewhere
    share: np.ndarray       # (S, S) float32: what of it is lip, from 0 to 1

    @property
    def certainty(self) -> float:
        """From 0, none, to 1: how far what was found can be trusted."""
        found = self.share.sum()
        return found / (found + _FEW_LIPS * self.share.size)


def find_lips(face: np.ndarray) -> Lips:
    """face: (S, S, 3) uint8 BGR, a crop."""
    where, window = _lips_mask(len(face))
    near = where[window]
    smooth = cv2.GaussianBlur(face[window], (0, 0), _LIPS_BLUR).astype(np.float32)
    brightness = cv2.transform(smooth, np.ones((1, 3)))
    redness = (smooth[:, :, 2] - smooth[:, :, 1]) / (brightness + _DARKEST)
    redder = redness - np.median(redness[near > 0])
    low, high = _LIPS_REDDER
    lips = Lips(np.zeros_like(where), np.zeros_like(where))
    lips.redness[window] = np.maximum(redder, 0) * near
    lips.share[window] = np.clip((redder - low) / (high - low), 0, 1) * near
    return lips


def find_skin(face: np.ndarray) -> np.ndarray:
    """(S, S) float32 of a crop (S, S, 3) uint8 BGR: 1 where the colour is that of the face's skin,
    0 on hair, clothes and what is behind it."""
    smooth = cv2.GaussianBlur(face, (0, 0), _LIPS_BLUR)
    blue, green, red = cv2.split(np.log(smooth.astype(np.float32) + _BLACK))
    colour = np.dstack([red - green, blue - green, (blue + green + red) / 3])
    skin = colour[_sure_skin(len(face)) & (find_lips(face).share < 0.5)]
    middle = np.median(skin, 0)
    spread = np.hypot(_MAD_TO_DEVIATION * np.median(np.abs(skin - middle), 0), _SKIN_SPREAD)
    unlike = np.linalg.norm((colour - middle) / spread, axis=2)
    low, high = _SKIN_UNLIKE
    return np.clip((high - unlike) / (high - low), 0, 1)


def find_background(face: np.ndarray) -> np.ndarray:
    """(S, S) bool of a crop (S, S, 3) uint8 BGR: where an even, bright background reaches into it
    from a side. Before such a one, the jaw of a turned face may be near its mouth."""
    smooth = cv2.GaussianBlur(face, (0, 0), _LIPS_BLUR)
    brightness, redness = cv2.split(cv2.transform(smooth.astype(np.float32),
                                                  np.float32([[1, 1, 1], [0, -1, 1]])))
    sure = _sure_skin(len(face))
    skin_brightness, skin_redness = brightness[sure].mean(), redness[sure].mean()
    found = np.zeros(face.shape[:2], bool)
    if skin_redness <= 0:       # no colours, or light that hides the skin's
        return found
    is_behind = ((brightness > _BRIGHT * skin_brightness)
                 & (redness * skin_brightness < _RED * skin_redness * brightness))
    for edge, side in (0, np.s_[:, :]), (-1, np.s_[:, ::-1]):
        change = cv2.absdiff(smooth, np.repeat(smooth[:, edge, None], len(face), axis=1))
        even = cv2.inRange(change, (0, 0, 0), (_EVEN, _EVEN, _EVEN)) > 0
        found[side] |= np.logical_and.accumulate((even & is_behind)[side], axis=1)
    return found


@lru_cache(maxsize=1)
def _sure_skin(size: int) -> np.ndarray:
    return np.any([_radius(size, *ellipse) < 1 for ellipse in _SURE_SKIN], axis=0)


def around_lips(lips: Lips, axes: tuple[float, float]) -> np.ndarray:
    """(S, S) float32: 1 in an ellipse about the middle of the lips, 0 beyond its soft border."""
    size = len(lips.share)
    places = (np.arange(size) + 0.5) / size
    certainty, found = lips.certainty, max(lips.share.sum(), 1e-6)
    middle = [certainty * (lips.share.sum(axis) @ places) / found + (1 - certainty) * usual
              for axis, usual in enumerate(MOUTH)]
    return 1 - outside_ellipse(size, middle, axes, _TALK_BORDER)


@lru_cache(maxsize=1)
def _lips_mask(size: int) -> tuple[np.ndarray, tuple[slice, slice]]:
    """(size, size) float32: 1 where lips are, 0 where none can be; and the rows and columns that
    hold all above 0."""
    mask = 1 - outside_ellipse(size, MOUTH, _LIPS_AXES, _LIPS_BORDER)
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return mask, np.s_[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]


def outside_ellipse(size: int, middle: Sequence[float], axes: Sequence[float],
                    border: tuple[float, float]) -> np.ndarray:
    """(size, size) float32: 0 in an ellipse, rising to 1 between the radii `border` of it.

    middle: x and y, and axes: half axes, in box sides."""
    begin, whole = border
    return np.clip((_radius(size, middle, axes) - begin) / (whole - begin), 0, 1)


def _radius(size: int, middle: Sequence[float], axes: Sequence[float]) -> np.ndarray:
    """(size, size) float32: how far pixels are from the middle, in half axes of an ellipse."""
    x, y = from_point(size, middle)
    return np.hypot(x / np.float32(axes[0]), y / np.float32(axes[1]))


def from_point(size: int, point: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """x (1, size) and y (size, 1) of the pixels' centres from a point; float32, in box sides."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
    return axis[None] + np.float32(0.5 - point[0]), axis[:, None] + np.float32(0.5 - point[1])
