"""Things before a face, such as a microphone or a hand: what a generator must leave where it is.

Few faces of a small data set have any, and a generator that has seen none smears them.
"""
from typing import NamedTuple

import cv2
import numpy as np

from face_regions import from_point, to_crop

# All in box sides, least and greatest. What comes from below ends on the chin or beneath it, what
# comes from a side, on the cheek: the mouth stays free.
_FROM_BELOW = np.array([[0.2, 0.8], [0.8, 0.98]])   # x and y of its end
_FROM_LEFT = np.array([[0.0, 0.5], [0.18, 0.95]])
_LEAN = np.deg2rad([-50, 50])       # from upright, to the left
_SINK = np.deg2rad([-15, 65])       # from level, downwards
_HALF_WIDTH = (0.03, 0.15)
_HEAD = (0.8, 1.7)          # radius of its round end, by that
_BRIGHTNESS = (10, 220)
_TINT = 0.15                # of a channel, relative, at most
_LIKE_SKIN = 0.4            # probability of the face's colour, as a hand has
_ROUND = 0.6                # by which one edge is lighter and the other darker, relative, at most
_GRAIN = 0.15               # standard deviation of its pattern, relative, at most
_GRAINS = 24                # of the pattern, along a side
_EDGE = 0.006               # standard deviation
_CHEEKS = np.array([[0.3, 0.45], [0.7, 0.6]])   # x and y of two corners


class Thing(NamedTuple):
    """end: x and y, in box sides. towards: direction in radians, clockwise from the right, in which
    it leaves the picture. half_width, head: of the stick and of its round end, in box sides.
    colour: (3,) BGR in [0, 255], None = that of the cheeks. rounding: relative rise of the
    brightness from its middle to one edge. grain: (K, K) factors of the brightness."""

    end: np.ndarray
    towards: float
    half_width: float
    head: float
    colour: np.ndarray | None
    rounding: float
    grain: np.ndarray


def draw(rng: np.random.Generator) -> Thing:
    """One that comes from below, or, as often, from the left or the right."""
    from_below, mirrored = rng.random(2) < 0.5
    if from_below:
        end, towards = rng.uniform(*_FROM_BELOW), np.pi / 2 + rng.uniform(*_LEAN)
    else:
        end, towards = rng.uniform(*_FROM_LEFT), np.pi - rng.uniform(*_SINK)
    if mirrored:
        end, towards = [1, 0] + end * [-1, 1], np.pi - towards
    colour = rng.uniform(*_BRIGHTNESS) * rng.uniform(1 - _TINT, 1 + _TINT, 3)
    return Thing(end, towards, rng.uniform(*_HALF_WIDTH), rng.uniform(*_HEAD),
                 None if rng.random() < _LIKE_SKIN else np.clip(colour, 0, 255),
                 rng.uniform(-_ROUND, _ROUND),
                 rng.normal(1, rng.uniform(0, _GRAIN), (_GRAINS, _GRAINS)).astype(np.float32))


def put_before(crops: np.ndarray, margin: float, thing: Thing) -> np.ndarray:
    """(T, S, S, 3) uint8 crops, BGR, with `margin` box sides around the box on every side, with the
    thing at one place in all."""
    size, whole = crops.shape[1], 1 + 2 * margin
    x, y = (whole * away for away in from_point(size, to_crop(thing.end, margin)))
    ahead, aside = np.cos(thing.towards), np.sin(thing.towards)
    along, across = x * ahead + y * aside, y * ahead - x * aside
    head = thing.head * thing.half_width
    # The round end's edge, not its middle, is at `end`.
    inside = (np.hypot(along - head, across) < head) | (
        (along > head) & (np.abs(across) < thing.half_width))
    share = cv2.GaussianBlur(np.float32(inside), (0, 0), _EDGE * size / whole)[:, :, None]
    colour = thing.colour if thing.colour is not None else _of_cheeks(crops, margin)
    light = (1 + thing.rounding * np.clip(across / max(head, thing.half_width), -1, 1)
             ) * cv2.resize(thing.grain, (size, size), interpolation=cv2.INTER_CUBIC)
    drawn = np.clip(light[:, :, None] * colour, 0, 255)
    return np.rint(crops + share * (drawn - crops)).astype(np.uint8)


def _of_cheeks(crops: np.ndarray, margin: float) -> np.ndarray:
    """(3,) their mean colour, BGR."""
    (left, top), (right, bottom) = np.rint(crops.shape[1] * to_crop(_CHEEKS, margin)).astype(int)
    return crops[:, top:bottom, left:right].mean((0, 1, 2))
