"""Writing a video with sound in one encode, while its frames are made."""

import contextlib
import errno
import math
import os
import secrets
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from media.container import MediaError, probe
from media.sound_track import SoundTrack

BT709 = 1  # the number of bt709 as matrix, transfer and primaries (H.273)
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG
CONTAINERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
PRESETS = (
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
)  # fmt: skip
MIN_FPS, MAX_FPS = 0.01, 1000
# Rounds without the bias of swscale's faster default; a pixel of chroma is the mean of its four.
EXACT = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


class VideoWriter:
    """Encodes frames as they come, with the sound of a file; a context manager.

    The file appears under its name only when the block ends without an exception: until then it
    grows under a temporary name of its own in the same folder, which an exception removes.

    path: the ending chooses H.264 + AAC (.mp4, .mov, .mkv) or VP9 + Opus (.webm); folders are made.
    width, height: pixels of the frames; an odd size is padded to even by repeating the edge.
    fps: frames per second; 29.97 and its kin are taken as 30000/1001.
    audio: file whose sound starts with the first frame, kept at its own rate, at most 2 channels.
    audio_duration: seconds to which the sound is cut or filled with silence; None keeps its length.
    crf: quality, 0 (best) to 51 (H.264) or 63 (VP9). preset: of x264; VP9 has none.

    MediaError at once if the file cannot be made or the sound cannot be read; later if writing
    fails, say on a full disk.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        width: int,
        height: int,
        fps: float,
        audio: str | os.PathLike | None = None,
        audio_duration: float | None = None,
        crf: int = 18,
        preset: str = "veryfast",
    ) -> None:
        self.path = Path(path)
        self._width, self._height = width, height
        suffix = self.path.suffix.lower()
        if suffix not in CONTAINERS:
            raise MediaError(f"cannot write {path}: its name must end in {', '.join(CONTAINERS)}")
        if not MIN_FPS <= fps <= MAX_FPS:
            raise MediaError(
                f"cannot write {path} at {fps} frames per second; give {MIN_FPS} to {MAX_FPS}"
            )
        if width < 1 or height < 1:
            raise MediaError(f"cannot write {path} with frames of {width}x{height} pixels")
        webm = suffix == ".webm"
        if not 0 <= crf <= (63 if webm else 51):
            raise MediaError(f"cannot write {path} at crf {crf}; give 0 to {63 if webm else 51}")
        if preset not in PRESETS:
            raise MediaError(f"unknown preset {preset}; give one of {', '.join(PRESETS)}")
        sound = probe(audio).audio if audio is not None else None
        if audio is not None and sound is None:
            raise MediaError(f"{audio} has no audio stream; give a file with sound")

        self._rate = _exact_rate(fps)
        self._frames = 0
        self._reformatter = VideoReformatter()
        self._track = self._container = None
        self._temporary = _reserve(self.path)
        with self._discarded_on_error():
            self._container = av.open(
                os.path.abspath(self._temporary),
                "w",
                format=CONTAINERS[suffix],
                container_options={"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {},
            )
            self._video = self._add_video(webm, crf, preset)
            if sound:
                self._track = SoundTrack(self._container, audio, sound, audio_duration, opus=webm)
            self._container.start_encoding()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()
            return
        with self._discarded_on_error():
            if not self._frames:
                raise MediaError(f"no frame was written to {self.path}")
            self._container.mux(self._video.encode(None))
            self._write_sound(until=math.inf)
            self._container.close()
            os.replace(self._temporary, self.path)

    def write(self, frame: np.ndarray) -> None:
        """Append one (height, width, 3) uint8 BGR frame; ValueError for another shape or type."""
        if frame.shape != (self._height, self._width, 3) or frame.dtype != np.uint8:
            raise ValueError(
                f"frame is {frame.shape} {frame.dtype}, "
                f"expected ({self._height}, {self._width}, 3) uint8"
            )
        if self._height % 2 or self._width % 2:
            frame = cv2.copyMakeBorder(
                frame, 0, self._height % 2, 0, self._width % 2, cv2.BORDER_REPLICATE
            )
        picture = self._reformatter.reformat(
            av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(frame), "bgr24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
            interpolation=EXACT,
        )
        picture.pts, picture.time_base = self._frames, 1 / self._rate
        with self._discarded_on_error():
            self._container.mux(self._video.encode(picture))
            self._frames += 1
            # Sound keeps pace with the frames, so that neither waits in memory for the other.
            self._write_sound(until=float(self._frames / self._rate))

    def _add_video(self, webm: bool, crf: int, preset: str) -> av.VideoStream:
        if webm:
            options = {"crf": str(crf), "deadline": "good", "cpu-used": "4", "row-mt": "1"}
        else:
            options = {"crf": str(crf), "preset": preset}
        stream = self._container.add_stream(
            "libvpx-vp9" if webm else "libx264",
            rate=self._rate,
            options=options,
            width=self._width + self._width % 2,
            height=self._height + self._height % 2,
            pix_fmt="yuv420p",
        )
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.colorspace = context.color_trc = context.color_primaries = BT709
        context.color_range = LIMITED_RANGE
        return stream

    def _write_sound(self, until: float) -> None:
        for packet in self._track.packets(until) if self._track else ():
            self._container.mux(packet)

    @contextlib.contextmanager
    def _discarded_on_error(self) -> Iterator[None]:
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self._discard)
            try:
                yield
            except (av.FFmpegError, OSError) as error:
                raise MediaError(f"cannot write {self.path}: {error.strerror}") from error
            cleanup.pop_all()

    def _discard(self) -> None:
        # Closing writes the trailer, which fails again where writing did.
        with contextlib.suppress(av.FFmpegError, OSError):
            if self._container:
                self._container.close()
        self._temporary.unlink(missing_ok=True)


def _exact_rate(fps: float) -> Fraction:
    """The rate that a float stands for: 29.97 is 30000/1001, 25.0 is 25."""
    ntsc = Fraction(round(fps * 1.001) * 1000, 1001)
    if abs(fps - ntsc) < 1e-3:
        return ntsc
    # The denominator bounds the container's time base; the error is below 4 ms an hour.
    return Fraction(fps).limit_denominator(1001)


def _reserve(path: Path) -> Path:
    """Make an empty file beside path, with a name of its own; MediaError if that cannot be done."""
    temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise MediaError(f"cannot write {path}: {error.strerror}; give another place") from error
    return temporary
