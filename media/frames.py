"""Video frames as displayed, at a constant rate, in bounded memory."""

import logging
import math
import os
from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from media import hdr
from media.container import (
    Display,
    MediaError,
    decode,
    display,
    frame_rate,
    frame_time,
    open_media,
    video_duration,
    video_stream,
)

logger = logging.getLogger(__name__)

# swscale's faster default darkens every pixel by 1 to 1.5 levels; this rounds without a bias.
# To planes, that is: packed pixels come out the same at three times the cost in 8 bits, and wrong
# in 16 bits where chroma is interpolated from row to row.
EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED
SHRINKING = EXACT & ~Interpolation.BILINEAR | Interpolation.AREA
# Part of a frame by which a source frame may come too early: the nearest in time; ties go back.
NEAREST = 0.45


def read_frames(
    path: str | os.PathLike,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    size: tuple[int, int] | None = None,
) -> Iterator[np.ndarray]:
    """Yield the frames of a video as displayed, one for each 1/fps seconds from its first frame on.

    Frames are (H, W, 3) uint8 BGR, C-contiguous, each an array of its own. Rotation, mirroring and
    sample aspect ratio are applied; HDR is mapped to bt709. Timestamps decide which source frame is
    shown when, so a variable rate becomes constant; fps None means the file's average rate, at
    which a constant-rate file gives each of its frames once. max_frames: at least 1. size: (width,
    height) as displayed to which frames are shrunk, at a fraction of the cost of doing so later.

    Damaged packets and a file cut short are logged, and what can be decoded is yielded. MediaError,
    raised when the first frame is asked for, if there is no video, nothing can be decoded, or
    fps <= 0.
    """
    if fps is not None and not 0 < fps < math.inf:
        raise MediaError(f"cannot read {path} at {fps} frames per second; give a rate above 0")
    with open_media(path) as container:
        stream = video_stream(container)
        if stream is None:
            raise MediaError(f"{path} has no video stream; give a video file")
        stream.thread_type = "AUTO"
        source_rate, duration = float(frame_rate(stream)), video_duration(container, stream)
        rate = fps or source_rate
        decoded = decode(container, stream, path)
        screen, count = None, 0
        for frame, repeats in _at_constant_rate(decoded, source_rate, rate, duration):
            screen = screen or _Screen(frame, display(frame, stream), size)
            image = screen.show(frame)
            for repeat in range(repeats):
                # Callers paint on frames, so a repeated one must not share its pixels.
                yield image.copy() if repeat else image
                count += 1
                if count == max_frames:
                    return
    if not count:
        raise MediaError(f"no frame of {path} can be decoded; export or download it again")
    expected = round((duration or 0) * rate)
    if count < 0.98 * expected - 2:
        logger.warning("%s is cut short: %d of about %d frames can be read", path, count, expected)


def _at_constant_rate(
    frames: Iterator[av.VideoFrame], source_rate: float, rate: float, duration: float | None
) -> Iterator[tuple[av.VideoFrame, int]]:
    """Yield (frame, times to show it) so that 1/rate seconds pass between one showing and the next.

    A frame is shown from the moment nearest to its timestamp until the next frame's. A timestamp
    that is missing, goes back, or leaves the file's duration is replaced by the expected one.
    """
    slack = NEAREST * min(1.0, rate / source_rate)
    latest = duration + 1 if duration else math.inf
    held, shown = None, 0
    start = previous = expected = 0.0
    for frame in frames:
        stamp = frame_time(frame)
        if held is None:
            start = stamp or 0.0
        time = expected if stamp is None else stamp - start
        if held is not None:
            if not previous < time <= latest:
                time = expected
            due = math.ceil(time * rate - slack)
            if due > shown:
                yield held, due - shown
                shown = due
        held, previous, expected = frame, time, time + 1 / source_rate
    if held is not None:
        lasting = float((held.duration or 0) * held.time_base) or 1 / source_rate
        end = previous + lasting
        repeats = math.ceil(min(end, max(latest, expected)) * rate - slack) - shown
        yield held, max(repeats, 0 if shown else 1)


class _Screen:
    """Turns decoded frames of one stream into displayed arrays of one size, the first one's if None
    is given."""

    def __init__(
        self, first: av.VideoFrame, view: Display, size: tuple[int, int] | None
    ) -> None:
        self.view = view if size is None else view.resized(size)
        self.interpolation = EXACT if self.view == view else SHRINKING
        # Untagged video is bt709 in HD and bt601 in SD, as players take it; swscale knows only
        # the latter.
        self.untagged_matrix = (
            Colorspace.ITU709 if first.width >= 1280 or first.height > 576 else Colorspace.ITU601
        )
        self.reformatter = VideoReformatter()

    def show(self, frame: av.VideoFrame) -> np.ndarray:
        """Return frame as (H, W, 3) uint8 BGR, C-contiguous."""
        is_hdr = frame.color_trc in (hdr.Transfer.PQ.value, hdr.Transfer.HLG.value)
        planar = self.reformatter.reformat(
            frame,
            self.view.width,
            self.view.height,
            "gbrp16le" if is_hdr else "gbrp",
            src_colorspace=self.untagged_matrix if frame.colorspace == UNTAGGED else None,
            dst_color_range=ColorRange.JPEG,
            interpolation=self.interpolation,
        )
        depth = np.uint16 if is_hdr else np.uint8
        green, blue, red = (_pixels(plane, depth) for plane in planar.planes)
        image = cv2.merge([blue, green, red])
        if is_hdr:
            image = hdr.to_sdr(image, hdr.Transfer(frame.color_trc))
        if self.view.mirrored:
            image = cv2.flip(image, 1)
        if self.view.rotate_code is not None:
            image = cv2.rotate(image, self.view.rotate_code)
        return image


def _pixels(plane: VideoPlane, depth: type[np.generic]) -> np.ndarray:
    """A view of a plane's pixels (H, W) without the padding of its rows."""
    return np.frombuffer(plane, depth).reshape(plane.height, -1)[:, : plane.width]
