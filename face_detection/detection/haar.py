"""The detector that needs no download: OpenCV's Haar cascades, with S3FD's box geometry."""
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

MIN_FACE = 0.07  # side of the smallest window searched, of the image's short side
MIN_PIXELS = 24  # the cascades' windows are 20 pixels: closer to that they see little but noise
COARSE_STEP = 1.1  # ratio of successive window sizes in the whole image
FINE_STEP = 1.04  # and near a face
SEARCH_MARGIN = 0.25  # how far around a face it is looked for in the next frame, in windows
SEARCH_SCALE = 1.25  # by how much its size may change until then
# Windows firing at a new face: false alarms mostly have 3 to 10, upright faces 14 and more. A
# tilted face has as few as a false alarm: those count only in an image without a firm one.
FIRM, WEAK = 12, 3
MIN_OVERLAP = 0.4  # intersection over union of a window with the face it is counted for
MAX_SHARED = 0.5  # of the smaller of two boxes, else the weaker is the same face's eye or chin

_NONE = np.zeros((0, 5), np.float32)


@dataclass(frozen=True)
class _Geometry:
    """Edges of S3FD's box in units of a cascade's square window, from its upper left corner.

    Read off a grid drawn over windows of real faces (mean ± standard deviation, extremes):

    | edge | frontal, 24 faces | profile facing left, 10 faces |
    | --- | --- | --- |
    | cheekbone, left | 0.10 ± 0.04 (−0.02 … 0.15) | 0.12 ± 0.04 (0.07 … 0.18) |
    | cheekbone, right | 0.90 ± 0.06 (0.80 … 0.99) | 0.78 ± 0.05 (0.68 … 0.85) |
    | hairline | −0.03 ± 0.05 (−0.13 … 0.10) | 0.05 ± 0.05 (0.00 … 0.12) |
    | chin, lower edge | 1.09 ± 0.05 (0.99 … 1.20) | 1.00 ± 0.03 (0.93 … 1.03) |

    The lower edge lies below the mean chin (frontal: 1.5 standard deviations), as a cut chin is a
    visible fault and a little neck is none; the upper one where height / width is S3FD's 1.3.
    """

    left: float
    top: float
    right: float
    bottom: float


_FRONTAL = _Geometry(left=0.09, top=0.07, right=0.91, bottom=1.16)
_PROFILE = _Geometry(left=0.10, top=0.10, right=0.81, bottom=1.03)


class _Cascade:
    """One trained cascade with the mapping of its windows and of its weights."""

    def __init__(self, file: str, geometry: _Geometry, *, min_weight: float, mid_weight: float,
                 top_score: float) -> None:
        """min_weight: last-stage sum below which a window is no face; mid_weight: that of half of
        `top_score`. All are of the cascade file, measured on faces and on what it took for one."""
        self.classifier = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / file))
        self.geometry = geometry
        self.min_weight, self.mid_weight, self.top_score = min_weight, mid_weight, top_score

    def scan(self, gray: np.ndarray) -> np.ndarray:
        """Faces anywhere in a gray image (H, W) uint8: (N, 5) float32, x1 y1 x2 y2 score."""
        side = max(MIN_PIXELS, round(MIN_FACE * min(gray.shape)))
        windows, weights = self._windows(gray, step=COARSE_STEP, neighbours=WEAK, sides=(side, 0))
        boxes = self._boxes(windows, weights)
        firm = [self.near(gray, box, neighbours=FIRM) for box in boxes]
        if any(len(found) for found in firm):
            return np.concatenate(firm)
        return np.concatenate([_NONE, *(self.near(gray, box, neighbours=WEAK) for box in boxes)])

    def near(self, gray: np.ndarray, box: np.ndarray, *, neighbours: int) -> np.ndarray:
        """The face at about `box` (4 or 5 numbers, S3FD's geometry): (1, 5) float32, or (0, 5).

        The mean of the windows that fire, so that the box moves by parts of a pixel and does not
        jump from one window size to the next.
        """
        expected = self._window_of(box)
        side = expected[2] - expected[0]
        margin = SEARCH_MARGIN * side
        x1, y1 = np.maximum(expected[:2] - margin, 0).astype(int)
        x2, y2 = np.maximum(np.ceil(expected[2:] + margin), 0).astype(int)
        region = gray[y1:y2, x1:x2]
        if min(region.shape, default=0) < MIN_PIXELS:
            return _NONE
        windows, weights = self._windows(
            region, step=FINE_STEP, neighbours=0, sides=(side / SEARCH_SCALE, side * SEARCH_SCALE))
        windows += (x1, y1, x1, y1)
        shared = _overlap(windows, expected)
        same = shared > MIN_OVERLAP * (_area(windows) + side ** 2 - shared)
        if np.count_nonzero(same) < max(neighbours, 1):
            return _NONE
        mean = windows[same].mean(axis=0, keepdims=True)
        return self._boxes(mean, weights[same].max(keepdims=True))

    def _windows(self, gray: np.ndarray, *, step: float, neighbours: int,
                 sides: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
        """Windows (N, 4) float x1 y1 x2 y2 that fire, grouped unless `neighbours` is 0, and their
        last-stage sums (N,). sides: least and greatest, 0 for no limit."""
        low, high = (round(side) for side in sides)
        rects, _, weights = self.classifier.detectMultiScale3(
            gray, scaleFactor=step, minNeighbors=neighbours, minSize=(low, low),
            maxSize=(high, high), outputRejectLevels=True)
        rects = np.asarray(rects, dtype=np.float64).reshape(-1, 4)
        rects[:, 2:] += rects[:, :2]
        return rects, np.asarray(weights, dtype=np.float64).reshape(-1)

    def _boxes(self, windows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        good = weights > self.min_weight
        windows, weights = windows[good], weights[good]
        side = windows[:, 2:3] - windows[:, :1]
        g = self.geometry
        edges = windows[:, [0, 1, 0, 1]] + side * (g.left, g.top, g.right, g.bottom)
        score = self.top_score / (1 + np.exp(-1.5 * (weights - self.mid_weight)))
        return np.concatenate([edges, score[:, None]], axis=1).astype(np.float32)

    def _window_of(self, box: np.ndarray) -> np.ndarray:
        g = self.geometry
        side = (box[3] - box[1]) / (g.bottom - g.top)
        x1 = (box[0] + box[2]) / 2 - side * (g.left + g.right) / 2
        y1 = box[1] - side * g.top
        return np.array([x1, y1, x1 + side, y1 + side])


class HaarDetector:
    """Frontal cascade, and the profile cascade both ways where the frontal one finds nothing.

    Boxes have S3FD's geometry. `detect` is stateless; `track` finds known faces in the next frame
    in a tenth of the time. OpenCV's cascades keep buffers: one detector a thread.
    """

    name = "haar"
    tracks = True

    def __init__(self) -> None:
        # Of the frontal cascades alt2 has the fewest false alarms at an equal rate of faces found.
        self._frontal = _Cascade("haarcascade_frontalface_alt2.xml", _FRONTAL,
                                 min_weight=54.7, mid_weight=55.3, top_score=1.0)
        # A profile never outranks a certain frontal face: this cascade errs more often.
        self._profile = _Cascade("haarcascade_profileface.xml", _PROFILE,
                                 min_weight=1.5, mid_weight=2.5, top_score=0.6)

    def detect(self, images: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """images: B equally large (H, W, 3) uint8 BGR → B arrays (N, 5) float32, best first."""
        return [self._detect(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) for image in images]

    def track(self, image: np.ndarray, previous: np.ndarray) -> np.ndarray:
        """The faces of the frame before, where they are now.

        image: (H, W, 3) uint8 BGR; previous: (N, 4 or 5) float x1 y1 x2 y2 in its pixels. Returns
        (M, 5) float32 with M ≤ N, best first; a face that neither cascade sees near its last place
        is missing. New faces are not looked for.
        """
        gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        return _best_first([self._follow(gray, box) for box in previous])

    def _detect(self, gray: np.ndarray) -> np.ndarray:
        frontal = self._frontal.scan(gray)
        if len(frontal):
            return _best_first([frontal])
        facing_right = _mirror(self._profile.scan(_flip(gray)), gray.shape[1])
        return _best_first([self._profile.scan(gray), facing_right])

    def _follow(self, gray: np.ndarray, box: np.ndarray) -> np.ndarray:
        frontal = self._frontal.near(gray, box, neighbours=1)
        if len(frontal):
            return frontal
        width = gray.shape[1]
        facing_left = self._profile.near(gray, box, neighbours=2)
        facing_right = self._profile.near(_flip(gray), _mirror(box[None], width)[0], neighbours=2)
        return _best_first([facing_left, _mirror(facing_right, width)])[:1]


def _flip(gray: np.ndarray) -> np.ndarray:
    return cv2.flip(gray, 1)


def _mirror(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes (N, 4 or 5) as they lie in the mirrored image."""
    mirrored = boxes.copy()
    mirrored[:, 0], mirrored[:, 2] = width - boxes[:, 2], width - boxes[:, 0]
    return mirrored


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _overlap(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Area (N,) that each box (N, 4 or 5) shares with one box (4 or 5,)."""
    sides = np.minimum(boxes[:, 2:4], box[2:4]) - np.maximum(boxes[:, :2], box[:2])
    return np.maximum(sides, 0).prod(axis=1)


def _best_first(found: list[np.ndarray]) -> np.ndarray:
    """All boxes (N, 5) by falling score, without those that a better one covers by MAX_SHARED."""
    boxes = np.concatenate([_NONE, *found])
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    kept = _NONE
    for box in boxes:
        smaller = np.minimum(_area(kept), _area(box[None]))
        if not np.any(_overlap(kept, box) > MAX_SHARED * smaller):
            kept = np.concatenate([kept, box[None]])
    return kept
