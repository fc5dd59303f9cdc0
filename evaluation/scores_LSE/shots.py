"""Shots of a video, by PySceneDetect's content detector."""
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from scenedetect import ContentDetector, FrameTimecode
from scenedetect.scene_manager import compute_downscale_factor


class ShotFinder:
    """Finds the cuts of a stream of frames while others read it.

    PySceneDetect's SceneManager would want to read the file by itself, and a second time.
    """

    def __init__(self, fps: float) -> None:
        self._detector = ContentDetector()
        self._fps = fps
        self._cuts: list[int] = []
        self._frames = 0

    def watch(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the (H, W, 3) uint8 BGR frames unchanged."""
        for frame in frames:
            factor = compute_downscale_factor(max(frame.shape[:2]))
            small = cv2.resize(frame, None, fx=1 / factor, fy=1 / factor)
            cuts = self._detector.process_frame(FrameTimecode(self._frames, self._fps), small)
            self._cuts += [cut.frame_num for cut in cuts]
            self._frames += 1
            yield frame

    def shots(self) -> list[tuple[int, int]]:
        """(first frame, frame after the last) of each shot of what has been watched."""
        bounds = [0, *sorted(self._cuts), self._frames]
        return [(start, end) for start, end in zip(bounds, bounds[1:]) if end > start]
