"""The stages of lip-syncing, each overlapping the next: find the face, redraw it, paste it back."""
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from tqdm import tqdm

from detection_cache import DetectionCache
from face_detection import Detector
from face_source import FaceSource
from face_points import PointFinder, to_box_sides, to_pixels
from face_regions import POINTS, STEADY_SECONDS, place_of
from faces import FrameFaces, Place, crop_face, detect_faces, pad_boxes, search_size
from generator import LipGenerator, PendingFaces
from paste import Blend, paste_face
from prefetch import prefetch
from tracking import FaceSelect, follow, smooth_boxes

Item = TypeVar("Item")

MAX_GAP_SECONDS = 0.5   # a face out of sight for no longer is where interpolation puts it
_FRAMES_AHEAD = 16      # decoded frames that may wait for the face search


class Stopwatch:
    """Seconds each stage was busy. Stages overlap: their sum can exceed the time that passed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] += time.perf_counter() - start

    def each(self, stage: str, items: Iterable[Item]) -> Iterator[Item]:
        """The items; what computing each takes goes to the stage."""
        items = iter(items)
        while True:
            with self(stage):
                item = next(items, self)
            if item is self:
                return
            yield item


def find_faces(source: FaceSource, n_frames: int, detector: Detector, *, det_size: int,
               batch_size: int, aligned: bool, cache: DetectionCache, clock: Stopwatch,
               progress: bool) -> list[FrameFaces]:
    """The faces of the source's first `n_frames` frames, or of all where it has fewer, with their
    points if they are to be `aligned`."""
    cached = cache.load(n_frames)
    if cached is not None:
        return cached
    small = source.read_shrunk(search_size(source.size, det_size))
    frames = prefetch(clock.each("decode", islice(small, n_frames)), _FRAMES_AHEAD)
    with closing(frames):
        found = detect_faces(frames, detector, det_size=det_size, batch_size=batch_size,
                             frame_size=source.size, finder=PointFinder() if aligned else None)
        detections = list(tqdm(clock.each("find faces", found), "find faces", unit="frame",
                               total=min(n_frames, source.length or n_frames),
                               disable=not progress))
    cache.save(detections, whole_video=len(detections) < n_frames)
    return detections


def face_places(detections: Sequence[FrameFaces], source: FaceSource, *, select: FaceSelect,
                pads: Sequence[int], smooth: bool, aligned: bool) -> list[Place | None]:
    """Where to draw in each frame: one person's padded, smoothed box, or if `aligned` what its
    points in the smoothed box say; None without a face."""
    cuts = [faces.is_cut for faces in detections]
    path = follow([faces.boxes for faces in detections], cuts, select=select,
                  frame_size=source.size, max_gap=round(MAX_GAP_SECONDS * source.fps))
    boxes = path[:, :4] if aligned else pad_boxes(path, pads, source.size)
    if smooth:
        boxes = smooth_boxes(boxes, cuts)
    if not aligned:
        return [None if np.isnan(box[0]) else tuple(np.rint(box).astype(int).tolist())
                for box in boxes]
    # A mouth that speaks moves its points: a crop that moved with them would tell how it is held.
    points = to_box_sides(path[:, 4:].reshape(-1, *POINTS.shape), path[:, :4])
    held = smooth_boxes(points.reshape(len(points), -1), cuts,
                        window=1 + 2 * round(STEADY_SECONDS * source.fps))
    points = to_pixels(held.reshape(points.shape), boxes)
    return [None if np.isnan(own).any() else place_of(own, box[3] - box[1])
            for own, box in zip(points, boxes, strict=True)]


class _Job(NamedTuple):
    """One output frame on its way."""

    frame: np.ndarray           # (H, W, 3) uint8 BGR, the writer's own
    place: Place | None
    face: np.ndarray | None     # (96, 96, 3) uint8 BGR: the crop, later the drawn face
    mel: np.ndarray             # (80, 16)


def render(source: FaceSource, places: Sequence[Place | None], mels: Iterable[np.ndarray],
           n_frames: int, generator: LipGenerator, *, blend: Blend,
           clock: Stopwatch) -> Iterator[np.ndarray]:
    """The `n_frames` finished frames (H, W, 3) uint8 BGR; those without a face are untouched.

    places: one for each frame of the source that is read. mels: one window for each output frame.
    """
    frames = clock.each("decode", source.frames(n_frames))
    jobs = prefetch(_crop(frames, places, mels), generator.batch_size)
    drawn = prefetch(_redraw(jobs, generator, clock), generator.batch_size)
    with closing(jobs), closing(drawn):
        for job in drawn:
            if job.place is not None:
                with clock("paste"):
                    paste_face(job.frame, job.face, job.place, blend)
            yield job.frame


def _crop(frames: Iterator[tuple[int, np.ndarray]], places: Sequence[Place | None],
          mels: Iterable[np.ndarray]) -> Iterator[_Job]:
    for (number, frame), mel in zip(frames, mels, strict=True):
        place = places[number]
        yield _Job(frame, place, None if place is None else crop_face(frame, place), mel)


def _redraw(jobs: Iterator[_Job], generator: LipGenerator, clock: Stopwatch) -> Iterator[_Job]:
    """The same jobs with drawn faces. One batch is on the device while the next is made ready."""
    on_device: tuple[list[_Job], PendingFaces | None] = ([], None)
    while batch := list(islice(jobs, generator.batch_size)):
        with_face = [job for job in batch if job.face is not None]
        pending = generator.submit(np.stack([job.mel for job in with_face]),
                                   np.stack([job.face for job in with_face]),
                                   busy=lambda: clock("generate")) if with_face else None
        yield from _finish(*on_device)
        on_device = batch, pending
    yield from _finish(*on_device)


def _finish(batch: list[_Job], pending: PendingFaces | None) -> Iterator[_Job]:
    if pending is not None:
        drawn = iter(pending.wait())
    for job in batch:
        yield job if job.face is None else job._replace(face=next(drawn))
