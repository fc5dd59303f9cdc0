"""One person's way through a video: linking detections, choosing a face, bridging, smoothing."""
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

FaceSelect = Literal["largest", "best", "left", "right", "center"]

SCORE = 4               # its column in boxes
SAME_FACE_IOU = 0.3     # boxes of consecutive frames that overlap so much are one face


@dataclass
class _Track:
    """One face through consecutive frames of a shot: frame number → box and score."""

    boxes: dict[int, np.ndarray]

    @property
    def first(self) -> int:
        return next(iter(self.boxes))

    @property
    def last(self) -> int:
        return next(reversed(self.boxes))


def follow(detections: Sequence[np.ndarray], cuts: Sequence[bool], *, select: FaceSelect,
           frame_size: tuple[int, int], max_gap: int) -> np.ndarray:
    """The boxes (T, 4) float of one person a shot, or (T, 4 + K) with K more columns that go with
    them; rows of NaN where that face is not seen.

    Faces are linked into tracks by overlap from frame to frame; `select` picks one over the whole
    shot, not by its first frame, so that a false detection does not win. Gaps of up to `max_gap`
    frames within a shot are interpolated.
    detections: T arrays (N, 5 + K) x1 y1 x2 y2 score and what goes with them. cuts: (T,) true
    where a shot starts.
    frame_size: (width, height) in pixels, of which `center` needs the middle.
    """
    path = np.full((len(detections), detections[0].shape[1] - 1 if detections else 4), np.nan)
    starts = [i for i, is_cut in enumerate(cuts) if is_cut or i == 0]
    for start, end in zip(starts, [*starts[1:], len(detections)]):
        tracks = _link(detections, start, end, max_gap)
        if not tracks:
            continue
        person = _select(tracks, select, frame_size)
        chosen = [person]
        for track in sorted(tracks, key=lambda t: -len(t.boxes)):
            if all(_is_same_person_later(track, other) for other in chosen):
                chosen.append(track)
        for track in chosen:
            for frame, box in track.boxes.items():
                path[frame] = np.delete(box, SCORE)
        _bridge(path[start:end], max_gap)
    return path


def _link(detections: Sequence[np.ndarray], start: int, end: int, max_gap: int) -> list[_Track]:
    tracks: list[_Track] = []
    for frame in range(start, end):
        boxes = list(detections[frame])
        live = [t for t in tracks if frame - t.last <= max_gap + 1]
        pairs = sorted(((iou(track.boxes[track.last], box), i, j)
                        for i, track in enumerate(live) for j, box in enumerate(boxes)),
                       reverse=True)
        used_tracks, used_boxes = set(), set()
        for overlap, i, j in pairs:
            if overlap >= SAME_FACE_IOU and i not in used_tracks and j not in used_boxes:
                live[i].boxes[frame] = boxes[j]
                used_tracks.add(i)
                used_boxes.add(j)
        tracks += [_Track({frame: box}) for j, box in enumerate(boxes) if j not in used_boxes]
    return tracks


def _select(tracks: list[_Track], select: FaceSelect, frame_size: tuple[int, int]) -> _Track:
    longest = max(len(track.boxes) for track in tracks)
    # Where a face is counts only for those that stay: a passing false one can be anywhere.
    lasting = [track for track in tracks if len(track.boxes) >= longest / 2]

    def all_boxes(track: _Track) -> np.ndarray:
        return np.stack(list(track.boxes.values()))

    def area(track: _Track) -> float:
        boxes = all_boxes(track)
        return float(((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).sum())

    def centre(track: _Track) -> np.ndarray:
        boxes = all_boxes(track)
        return ((boxes[:, :2] + boxes[:, 2:4]) / 2).mean(axis=0)

    rank = {
        "largest": area,
        "best": lambda track: float(all_boxes(track)[:, 4].sum()),
        "left": lambda track: -centre(track)[0],
        "right": lambda track: centre(track)[0],
        "center": lambda track: -float(np.hypot(*(centre(track) - np.array(frame_size) / 2))),
    }[select]
    return max(tracks if select in ("largest", "best") else lasting, key=rank)


def _is_same_person_later(track: _Track, person: _Track) -> bool:
    """Whether a track can be the same person after (or before) being out of sight: at another
    time, less than one and a half faces away from where that face was lost, and of about its
    size."""
    if track.first > person.last:
        a, b = person.boxes[person.last], track.boxes[track.first]
    elif person.first > track.last:
        a, b = track.boxes[track.last], person.boxes[person.first]
    else:
        return False
    distance = np.hypot(*((a[:2] + a[2:4]) / 2 - (b[:2] + b[2:4]) / 2))
    small, large = sorted([a[2] - a[0], b[2] - b[0]])
    return bool(distance < 1.5 * large and large < 1.5 * small)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes x1 y1 x2 y2 …"""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return float(both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both))


def _bridge(path: np.ndarray, max_gap: int) -> None:
    """Interpolate, in place, gaps of up to `max_gap` rows of NaN between seen rows."""
    seen = np.flatnonzero(~np.isnan(path[:, 0]))
    for before, after in zip(seen, seen[1:]):
        if 1 < after - before <= max_gap + 1:
            weight = np.arange(1, after - before)[:, None] / (after - before)
            path[before + 1:after] = (1 - weight) * path[before] + weight * path[after]


def smooth_boxes(boxes: np.ndarray, cuts: Sequence[bool], window: int = 5) -> np.ndarray:
    """Average (T, K) boxes over a centred window that crosses neither a cut nor a frame without a
    face. (The published window runs forward from the frame, so that its box leads the head.)"""
    smoothed = boxes.copy()
    half = window // 2
    seen = ~np.isnan(boxes[:, 0])
    breaks = [i for i in range(1, len(boxes)) if cuts[i] or seen[i] != seen[i - 1]]
    for start, end in zip([0, *breaks], [*breaks, len(boxes)]):
        for i in range(start, end):
            smoothed[i] = boxes[max(start, i - half):min(end, i + half + 1)].mean(axis=0)
    return smoothed
