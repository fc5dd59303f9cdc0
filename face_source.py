"""The frames whose lips are to move: a video or a picture, resized, rotated and cropped."""
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

import media
from errors import InputError

WHOLE = (0, -1, 0, -1)  # the crop that leaves all


@dataclass(frozen=True)
class FaceSource:
    """A re-readable stream of prepared frames."""

    path: Path
    fps: float                                          # frames a second of the result
    size: tuple[int, int]                               # (width, height) of a prepared frame
    resize_factor: int = 1
    rotate: bool = False                                # 90° clockwise
    crop: tuple[int, int, int, int] = WHOLE             # top bottom left right; -1 = to the end
    still: np.ndarray | None = None                     # the one prepared frame of a picture
    length: int | None = None                           # frames in the source, as far as known

    def frames(self, n: int) -> Iterator[tuple[int, np.ndarray]]:
        """`n` prepared frames, each with its number in the source; from the start again where the
        source is shorter. The arrays are the caller's to write into."""
        if self.still is not None:
            yield from ((0, self.still.copy()) for _ in range(n))
            return
        while n > 0:
            read = 0
            for number, frame in enumerate(itertools.islice(self.read(), n)):
                read += 1
                yield number, frame
            if read == 0:
                raise InputError(f"{self.path}: no frame could be decoded")
            n -= read

    def read(self) -> Iterator[np.ndarray]:
        """The prepared frames of the source, once."""
        if self.still is not None:
            yield self.still
            return
        for frame in media.read_frames(self.path, fps=self.fps):
            yield prepare(frame, self.resize_factor, self.rotate, self.crop)

    def read_shrunk(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        """The frames of `read`, of this (width, height) where they can be decoded to it, else as
        they are: the caller shrinks those."""
        # A kind of source with a `read` of its own may prepare its frames in other ways.
        own_read = type(self).read is not FaceSource.read
        if own_read or self.still is not None or self.crop != WHOLE:
            yield from self.read()
            return
        decoded = size[::-1] if self.rotate else size
        for frame in media.read_frames(self.path, fps=self.fps, size=decoded):
            yield cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE) if self.rotate else frame


def open_source(path: str | Path, *, static: bool = False, fps: float = 25.0,
                resize_factor: int = 1, rotate: bool = False,
                crop: Sequence[int] = WHOLE) -> FaceSource:
    """Look at a video or picture and prepare its first frame. InputError if it is neither.

    static: use the first frame only. fps: of the result, where the source is a picture or static;
    a video keeps its own.
    """
    path = Path(path)
    settings = (resize_factor, rotate, tuple(crop))
    is_image = media.is_picture(path)
    if is_image:
        first = media.read_image(path)
    else:
        video = media.probe(path).video
        if video is None:
            raise InputError(f"{path} has no video stream: give a video or a picture with a face")
        first = next(media.read_frames(path, max_frames=1), None)
        if first is None:
            raise InputError(f"{path}: no frame could be decoded; is the file complete?")
    prepared = prepare(first, *settings)
    height, width = prepared.shape[:2]
    one_frame = is_image or static
    return FaceSource(path, fps if one_frame else video.fps, (width, height), *settings,
                      still=prepared if one_frame else None,
                      length=1 if one_frame else video.frames)


def prepare(frame: np.ndarray, resize_factor: int, rotate: bool,
            crop: Sequence[int]) -> np.ndarray:
    """Resize, rotate, crop, in this order. InputError if nothing is left."""
    if resize_factor > 1:
        height, width = frame.shape[:2]
        size = max(1, width // resize_factor), max(1, height // resize_factor)
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    if rotate:
        frame = cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE)
    height, width = frame.shape[:2]
    top, bottom, left, right = crop
    y_end, x_end = height if bottom == -1 else bottom, width if right == -1 else right
    if not (0 <= top < min(y_end, height) and 0 <= left < min(x_end, width)):
        raise InputError(f"--crop {top} {bottom} {left} {right} (top bottom left right) is "
                         f"empty or outside the frame of {width}x{height}")
    return np.ascontiguousarray(frame[top:y_end, left:x_end])
