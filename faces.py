"""Faces in frames: detection over a stream, the box around one and its crop."""
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import torch

from errors import InputError
from face_detection import Detector
from face_regions import POINTS
from tracking import SAME_FACE_IOU, SCORE, iou

log = logging.getLogger(__name__)

_CUT_SCORE = 27.0           # PySceneDetect's default threshold for a content cut, same measure
_THUMBNAIL = 128            # long side in pixels at which shots are compared
_SEARCH_EVERY = 12          # frames for which a tracking detector may do without a full search
_SEARCH_EMPTY_EVERY = 4     # and the same where no face is seen
_NO_FACES = np.zeros((0, 5), np.float32)


Box = tuple[int, int, int, int]     # x1 y1 x2 y2, end-exclusive, in pixels of a frame
# Where a face is drawn: a box, or a (2, 3) affine map of x, y and 1, in sides of an upright box, to
# pixels of the frame.
Place = Box | np.ndarray


class FrameFaces(NamedTuple):
    """What detection says of one frame."""

    # (N, 5) float32 x1 y1 x2 y2 score, pixels of the full frame, best first; (N, 13) with the x, y
    # of each face's points, where those were asked for.
    boxes: np.ndarray
    is_cut: bool            # a new shot starts here


class PointFinder(Protocol):
    """Finds the points (N, 4, 2), x and y, of the faces in the boxes (N, 5) of each image."""

    def find(self, images: Sequence[np.ndarray], boxes: Sequence[np.ndarray]
             ) -> list[np.ndarray]: ...


def detect_faces(frames: Iterable[np.ndarray], detector: Detector, *, det_size: int = 640,
                 batch_size: int = 16, frame_size: tuple[int, int] | None = None,
                 finder: PointFinder | None = None) -> Iterator[FrameFaces]:
    """Find all faces of each frame and the shot cuts, holding `batch_size` frames at a time.

    frames: (H, W, 3) uint8 BGR, all of one size: full, or already of their `search_size`.
    det_size: long side in pixels to which frames are shrunk for the search; 0 = full size.
    frame_size: full (width, height), in which boxes are told; None = that of `frames`.
    finder: of the faces' points, which are told too.
    """
    frames, previous = iter(frames), None
    tracker = _Tracker(detector) if detector.tracks else None
    while batch := list(islice(frames, batch_size)):
        full = frame_size or batch[0].shape[1::-1]
        scale = _search_scale(full, det_size)
        images = [_shrink(frame, search_size(full, det_size)) for frame in batch]
        cuts = []
        for image in images:
            thumbnail = _thumbnail(image)
            cuts.append(previous is not None and _content_change(previous, thumbnail) > _CUT_SCORE)
            previous = thumbnail
        found = tracker.follow(images, cuts) if tracker else _detect_batch(images, detector)
        if finder:
            found = [np.hstack([boxes, points.reshape(-1, POINTS.size)])
                     for boxes, points in zip(found, finder.find(images, found), strict=True)]
        for boxes, is_cut in zip(found, cuts, strict=True):
            yield FrameFaces(_enlarged(boxes, scale), is_cut)


def _enlarged(boxes: np.ndarray, scale: float) -> np.ndarray:
    enlarged = boxes / np.float32(scale)
    enlarged[:, SCORE] = boxes[:, SCORE]
    return enlarged


def search_size(frame_size: tuple[int, int], det_size: int) -> tuple[int, int]:
    """(width, height) at which faces are searched for in frames of (width, height)."""
    scale = _search_scale(frame_size, det_size)
    width, height = frame_size
    return max(1, round(width * scale)), max(1, round(height * scale))


def _search_scale(frame_size: tuple[int, int], det_size: int) -> float:
    return min(1.0, det_size / max(frame_size)) if det_size else 1.0


class _Tracker:
    """Follows all faces from frame to frame with a detector for which that is cheaper than a full
    search; searches in full from time to time, at cuts, and as soon as a face is lost."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._faces = _NO_FACES
        self._wait = 0      # frames until the next full search

    def follow(self, images: Sequence[np.ndarray], cuts: Sequence[bool]) -> list[np.ndarray]:
        """The faces of the next frames: one (N, 5) array for each image."""
        found, unseen = [_NO_FACES] * len(images), 0
        for i, image in enumerate(images):
            if cuts[i]:
                self._faces, self._wait = _NO_FACES, 0
            was_empty = len(self._faces) == 0
            search = self._wait <= 0 or (was_empty and i == len(images) - 1)
            self._wait -= 1
            if was_empty and not search:
                unseen += 1
                continue
            self._faces = found[i] = self._next(image, search)
            if was_empty:
                self._look_back(images, cuts, found, i, i - unseen)
            unseen = 0
        return found

    def _next(self, image: np.ndarray, search: bool) -> np.ndarray:
        before = self._faces
        tracked = self._detector.track(image, before) if len(before) else before
        if len(tracked) == len(before) and not search:
            return tracked
        # The full search decides who is there; who was before keeps the tracked box: it jumps less.
        found = self._detector.detect([image])[0]
        for i, box in enumerate(found):
            same = [known for known in tracked if iou(box, known) >= SAME_FACE_IOU]
            found[i] = max(same, key=lambda known: iou(box, known)) if same else box
        self._wait = (_SEARCH_EVERY if len(found) else _SEARCH_EMPTY_EVERY) - 1
        return found

    def _look_back(self, images: Sequence[np.ndarray], cuts: Sequence[bool],
                   found: list[np.ndarray], new: int, first: int) -> None:
        """Find the faces that are new in frame `new` in the frames before it that were passed over,
        from `first` on."""
        for i in range(new - 1, first - 1, -1):
            if cuts[i + 1] or len(found[i + 1]) == 0:
                return
            found[i] = self._detector.track(images[i], found[i + 1])


def _detect_batch(images: Sequence[np.ndarray], detector: Detector) -> list[np.ndarray]:
    try:
        return detector.detect(images)
    except torch.OutOfMemoryError:
        if len(images) == 1:
            raise InputError("one frame alone exceeds the GPU's memory in face detection: "
                             "choose a smaller --det_size or --device cpu") from None
        log.warning("face detection ran out of memory with %d frames at once: halving", len(images))
        half = len(images) // 2
        return _detect_batch(images[:half], detector) + _detect_batch(images[half:], detector)


def _shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[1::-1] == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    small = _shrink(image, search_size(image.shape[1::-1], _THUMBNAIL))
    return cv2.cvtColor(small, cv2.COLOR_BGR2HSV)


def _content_change(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute change of hue, saturation and value: PySceneDetect's content score."""
    return float(cv2.absdiff(a, b).mean())


def pad_boxes(boxes: np.ndarray, pads: Sequence[int], frame_size: tuple[int, int]) -> np.ndarray:
    """Detections (T, 4), truncated to whole pixels, ± pads (top bottom left right), clipped to the
    frame (width, height); NaN rows stay. InputError if the pads leave nothing of a box."""
    top, bottom, left, right = pads
    width, height = frame_size
    padded = np.trunc(boxes) + [-left, -top, right, bottom]
    padded = np.clip(padded, 0, [width, height, width, height])
    empty = (padded[:, 2] <= padded[:, 0]) | (padded[:, 3] <= padded[:, 1])
    if empty.any():
        raise InputError(f"--pads {top} {bottom} {left} {right} leave nothing of the face box in "
                         f"frame {int(np.argmax(empty))}: choose smaller negative pads")
    return padded


def crop_face(frame: np.ndarray, place: Place, size: int = 96) -> np.ndarray:
    """What is at a place of a (H, W, 3) frame as (size, size, 3), bilinear; beyond the frame its
    edge is repeated."""
    if is_turned(place):
        return cv2.warpAffine(frame, pixel_map(place, size), (size, size),
                              flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REPLICATE)
    x1, y1, x2, y2 = place
    return cv2.resize(frame[y1:y2, x1:x2], (size, size))


def is_turned(place: Place) -> bool:
    """Whether a place is an affine map, not a box."""
    return np.ndim(place) == 2


def pixel_map(place: np.ndarray, size: int) -> np.ndarray:
    """A place's map, from pixels of its (size, size) crop to those of the frame: the centre of
    pixel i is at i + 0.5 in both."""
    linear = place[:, :2] / size
    return np.column_stack([linear, place[:, 2] + linear @ [0.5, 0.5] - 0.5])


def crop_with_margin(frame: np.ndarray, box: Sequence[int], margin: float) -> np.ndarray:
    """The box (x1, y1, x2, y2) of a frame (H, W, 3), enlarged by `margin` of its sides on every
    side; beyond the frame its edge is repeated."""
    x1, y1, x2, y2 = box
    dx, dy = round(margin * (x2 - x1)), round(margin * (y2 - y1))
    height, width = frame.shape[:2]
    columns = np.clip(np.arange(x1 - dx, x2 + dx), 0, width - 1)
    rows = np.clip(np.arange(y1 - dy, y2 + dy), 0, height - 1)
    return frame[rows[:, None], columns]
