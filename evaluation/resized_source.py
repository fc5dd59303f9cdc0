"""A video brought to the size, and for synthetic speech to the length, that the protocol for real
videos asks for."""
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

import media
from errors import InputError
from face_source import FaceSource


@dataclass(frozen=True)
class ResizedSource(FaceSource):
    """Frames shrunk first by `ratio`, then by the whole number `resize_factor`."""

    ratio: float = 1.0
    available: int | None = None    # frames that the file has, where they are to be stretched
    length: int | None = None       # frames to which they are

    def read(self) -> Iterator[np.ndarray]:
        """The prepared frames, once; each repeated where the length asks for it."""
        frames = media.read_frames(self.path, fps=self.fps)
        for number, frame in enumerate(frames):
            small = cv2.resize(frame, self.size, interpolation=cv2.INTER_AREA)
            for repeat in range(self._repeats(number)):
                yield small.copy() if repeat else small

    def _repeats(self, number: int) -> int:
        """Frame i stands at i·length/available, so that repeats are evenly spread."""
        if self.length is None:
            return 1
        bounds = (-(-i * self.length // self.available) for i in (number, number + 1))
        start, end = bounds
        return end - start

    def stretched(self, n_frames: int) -> "ResizedSource":
        """This source with frames repeated evenly until there are `n_frames`; itself if it has as
        many. InputError if it has none."""
        available = sum(1 for _ in zip(range(n_frames), media.read_frames(self.path, fps=self.fps)))
        if available == 0:
            raise InputError(f"{self.path}: no frame could be decoded")
        if available >= n_frames:
            return self
        return dataclasses.replace(self, available=available, length=n_frames)


def shrink_ratio(size: tuple[int, int], max_frame_res: int) -> float:
    """What divides a (width, height) so that its short side is at most `max_frame_res` pixels."""
    return max(1.0, min(size) / max_frame_res)


def frame_shape(size: tuple[int, int], ratio: float, factor: int) -> tuple[int, int]:
    """(width, height) after the division by the ratio and then by the whole factor."""
    width, height = (int(round(side / ratio, 6)) // factor for side in size)
    return max(1, width), max(1, height)


def largest_factor(face: float, short_side: int, face_res: int, min_frame_res: int) -> int:
    """The whole factor by which the paper shrinks real videos, so that the face comes near the size
    that the networks were trained on; 1 where 2 is too much.

    face: longer side of the face box, pixels. short_side: of the frame, pixels. Counted up from 2
    for as long as the short side stays ≥ min_frame_res and the face is nearer to face_res than
    before.
    """
    factor = 1
    while (short_side // (factor + 1) >= min_frame_res
           and abs(face / (factor + 1) - face_res) < abs(face - face_res)):
        factor += 1
    return factor
