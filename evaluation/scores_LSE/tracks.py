"""Faces followed through shots as SyncNet's own pipeline does, and the crops for the judges."""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from scipy.signal import medfilt

from faces import crop_face
from tracking import iou, smooth_boxes

MAX_MISSED = 25         # frames without the face that a track survives
SAME_FACE_IOU = 0.5
BORDER = 110            # gray value where a crop leaves the frame
_CROP_SCALE = 0.4       # margin around the box that SyncNet was trained with
_MEDIAN = 13            # frames


@dataclass(frozen=True)
class FaceTrack:
    """One face through consecutive frames."""

    start: int              # frame number of the first box
    boxes: np.ndarray       # (n, 4) float x1 y1 x2 y2, pixels of the full frame

    @property
    def end(self) -> int:
        """The frame after the last."""
        return self.start + len(self.boxes)

    @cached_property
    def steady(self) -> np.ndarray:
        """(n, 3): centre x, centre y and half-size of the boxes, median-filtered over time.

        The filter pads with zeros, as published, which shrinks the first and last few crops.
        """
        x1, y1, x2, y2 = self.boxes.T
        half = np.maximum(x2 - x1, y2 - y1) / 2
        window = min(_MEDIAN, len(half) - 1 + len(half) % 2)    # odd, at most the track's length
        return np.stack([medfilt(v, window) for v in ((x1 + x2) / 2, (y1 + y2) / 2, half)], axis=1)

    @cached_property
    def tight(self) -> np.ndarray:
        """(n, 4) int: the boxes averaged over five frames, as the generator takes them."""
        return np.trunc(smooth_boxes(self.boxes, [False] * len(self.boxes))).astype(int)


def loose_crop(frame: np.ndarray, track: FaceTrack, i: int) -> np.ndarray:
    """SyncNet's view of frame `i` of a track: (224, 224, 3) uint8, the face with a margin.

    From centre − s to centre + 1.8·s vertically and ± 1.4·s horizontally, s the half-size.
    """
    x, y, s = track.steady[i]
    x1, x2 = np.floor([x - s * (1 + _CROP_SCALE), x + s * (1 + _CROP_SCALE)]).astype(int)
    y1, y2 = np.floor([y - s, y + s * (1 + 2 * _CROP_SCALE)]).astype(int)
    height, width = frame.shape[:2]
    inside = frame[max(y1, 0):max(y2, 0), max(x1, 0):max(x2, 0)]
    crop = cv2.copyMakeBorder(inside, max(-y1, 0), max(y2 - height, 0), max(-x1, 0),
                              max(x2 - width, 0), cv2.BORDER_CONSTANT, value=(BORDER,) * 3)
    return cv2.resize(crop, (224, 224))


def tight_crop(frame: np.ndarray, track: FaceTrack, i: int) -> np.ndarray:
    """The expert's view of frame `i` of a track: (96, 96, 3) uint8, the detector's box."""
    height, width = frame.shape[:2]
    return crop_face(frame, np.clip(track.tight[i], 0, [width, height, width, height]))


def find_tracks(detections: Sequence[np.ndarray], shots: Sequence[tuple[int, int]], *,
                min_track: int = 100, min_face: float = 100) -> list[FaceTrack]:
    """The faces that stay: seen in more than `min_track` frames of a shot, on average at least
    `min_face` pixels wide or high; missed frames in between are interpolated.

    detections: for each frame of the video (N, ≥ 4) boxes. shots: (first, last + 1) frames.
    """
    tracks = []
    for start, end in shots:
        if end - start <= min_track:
            continue
        faces = {frame: [box[:4] for box in detections[frame]] for frame in range(start, end)}
        while seen := _take_track(faces):
            track = _interpolated(seen)
            size = np.mean(track.boxes[:, 2:] - track.boxes[:, :2], axis=0).max()
            if len(seen) > min_track and size >= min_face:
                tracks.append(track)
    return tracks


def _take_track(faces: dict[int, list[np.ndarray]]) -> dict[int, np.ndarray]:
    """Remove from `faces` the first face and whatever continues it: frame number → box."""
    seen: dict[int, np.ndarray] = {}
    last = None
    for frame, boxes in faces.items():
        if last is not None and frame - last > MAX_MISSED:
            break
        if not boxes:
            continue
        overlaps = [iou(seen[last], box) if seen else 1.0 for box in boxes]
        best = int(np.argmax(overlaps))
        if overlaps[best] > SAME_FACE_IOU:
            seen[frame] = boxes.pop(best)
            last = frame
    return seen


def _interpolated(seen: dict[int, np.ndarray]) -> FaceTrack:
    known = np.array(list(seen))
    frames = np.arange(known[0], known[-1] + 1)
    boxes = np.array(list(seen.values()), np.float64)
    return FaceTrack(int(known[0]), np.stack([np.interp(frames, known, column)
                                              for column in boxes.T], axis=1))
