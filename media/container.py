"""Media files: what they hold, opening them, decoding one stream of them."""

import contextlib
import dataclasses
import itertools
import logging
import os
from collections.abc import Iterator
from fractions import Fraction

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from errors import InputError

logger = logging.getLogger(__name__)

VIDEO_ENDINGS = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts",
                 ".wmv", ".flv", ".3gp", ".ogv"}

QUARTER_TURNS = {
    (1, 0, 0, 1): None,
    (0, 1, -1, 0): cv2.ROTATE_90_CLOCKWISE,
    (-1, 0, 0, -1): cv2.ROTATE_180,
    (0, -1, 1, 0): cv2.ROTATE_90_COUNTERCLOCKWISE,
}
"""By the linear part of a display matrix (a, b, c, d): (x, y) is shown at (ax + cy, bx + dy)."""


FASTEST = 240  # frames per second; recordings of browsers tell their clock's rate instead, 1000


class MediaError(InputError):
    """A file that cannot be read or written; the message is one line for the user."""


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """The best video stream as displayed: sample aspect ratio and rotation applied."""

    width: int  # pixels
    height: int  # pixels
    fps: float  # average frames per second
    duration: float | None  # seconds
    frames: int | None  # estimate: duration at fps


@dataclasses.dataclass(frozen=True)
class AudioInfo:
    """The best audio stream."""

    sample_rate: int  # Hz
    channels: int


@dataclasses.dataclass(frozen=True)
class MediaInfo:
    """What a media file holds; None for a stream that it lacks."""

    video: VideoInfo | None
    audio: AudioInfo | None
    duration: float | None  # seconds

    @property
    def has_audio(self) -> bool:
        """True if there is an audio stream."""
        return self.audio is not None


@dataclasses.dataclass(frozen=True)
class Display:
    """How decoded frames of a stream become what is seen."""

    width: int  # pixels, sample aspect ratio applied, before rotation
    height: int
    mirrored: bool  # left and right exchanged, before rotation
    rotate_code: int | None  # for cv2.rotate; None: upright

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels as displayed."""
        return self._turned((self.width, self.height))

    def resized(self, size: tuple[int, int]) -> "Display":
        """The same view at another (width, height) as displayed."""
        width, height = self._turned(size)
        return dataclasses.replace(self, width=width, height=height)

    def _turned(self, size: tuple[int, int]) -> tuple[int, int]:
        upright = self.rotate_code in (None, cv2.ROTATE_180)
        return size if upright else size[::-1]


def probe(path: str | os.PathLike) -> MediaInfo:
    """Describe a media file from its header and first frame.

    MediaError if the file is missing, empty, not media, or holds neither video nor sound.
    """
    with open_media(path) as container:
        sound, stream = audio_stream(container), video_stream(container)
        audio = sound and AudioInfo(sound.codec_context.sample_rate, sound.codec_context.channels)
        video = stream and _video_info(container, stream, path)
        duration = container.duration / av.time_base if container.duration else None
    if not video and not audio:
        raise MediaError(f"{path} holds neither video nor sound; give a video or audio file")
    return MediaInfo(video, audio, duration)


def _video_info(
    container: InputContainer, stream: av.VideoStream, path: str | os.PathLike
) -> VideoInfo:
    first = next(decode(container, stream, path), None)
    if first is None:
        raise MediaError(f"no frame of {path} can be decoded; export or download it again")
    width, height = display(first, stream).size
    rate, duration = frame_rate(stream), video_duration(container, stream)
    return VideoInfo(width, height, float(rate), duration, duration and round(duration * rate))


def check_file(path: str | os.PathLike) -> None:
    """Raise MediaError if path is not a file with something in it."""
    if os.path.isdir(path):
        raise MediaError(f"{path} is a folder; give a file")
    if not os.path.exists(path):
        raise MediaError(f"{path} does not exist; check the name")
    if os.path.getsize(path) == 0:
        raise MediaError(f"{path} is empty; export or download it again")
    if not os.access(path, os.R_OK):
        raise MediaError(f"{path} may not be read by this user; change its permissions")


@contextlib.contextmanager
def open_media(path: str | os.PathLike) -> Iterator[InputContainer]:
    """Open a media file for reading; MediaError if it is missing, empty or not media."""
    check_file(path)
    try:
        # An absolute path is never taken for a protocol ("a:b.mp4"), and a play list that calls
        # itself .mp4 must not make FFmpeg fetch what it names.
        container = av.open(
            os.path.abspath(path),
            metadata_errors="replace",
            container_options={"protocol_whitelist": "file"},
        )
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"{path} is not a readable media file ({error.strerror}); export or download it again"
        ) from error
    with container:
        yield container


def video_stream(container: InputContainer) -> av.VideoStream | None:
    """The default or else largest video stream that is not a cover picture."""
    streams = [
        stream
        for stream in container.streams.video
        if stream.codec_context and not stream.disposition & Disposition.attached_pic
    ]
    return max(
        streams,
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.codec_context.width * stream.codec_context.height,
        ),
        default=None,
    )


def audio_stream(container: InputContainer) -> av.AudioStream | None:
    """The audio stream that FFmpeg's rules (default flag, channels, bit rate) put first."""
    stream = container.streams.best("audio")
    return stream if stream and stream.codec_context else None


def frame_rate(stream: av.VideoStream) -> Fraction:
    """Average frames per second, the nominal rate where the average is within 1 % of it."""
    average, nominal = stream.average_rate, stream.base_rate
    average = average or nominal or Fraction(25)
    if max(average, nominal or 0) > FASTEST:
        return _measured_rate(stream)
    # The average of a constant-rate file is off by the rounding of its timestamps and the length
    # given for its last frame.
    return nominal if nominal and abs(nominal / average - 1) < 0.01 else average


def _measured_rate(stream: av.VideoStream) -> Fraction:
    """Whole frames per second by the timestamps of the first ten seconds or so."""
    with open_media(stream.container.name) as container:
        packets = container.demux(container.streams[stream.index])
        stamps = [p.pts for p in itertools.islice(packets, 250) if p.pts is not None]
    span = max(stamps, default=0) - min(stamps, default=0)
    return Fraction(max(1, round((len(stamps) - 1) / (span * stream.time_base))) if span else 25)


def video_duration(container: InputContainer, stream: av.VideoStream) -> float | None:
    """Seconds of video, by the stream's header or else the file's; None if neither says."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return container.duration / av.time_base if container.duration else None


def display(frame: av.VideoFrame, stream: av.VideoStream) -> Display:
    """How frames like this one are to be shown: its display matrix and the stream's pixel shape."""
    width = max(1, round(frame.width * (stream.sample_aspect_ratio or 1)))
    a, b, c, d = _display_matrix(frame)
    mirrored = a * d - b * c < 0
    turn = (-a, -b, c, d) if mirrored else (a, b, c, d)
    return Display(width, frame.height, mirrored, QUARTER_TURNS.get(turn))


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    """The signs of the linear part of a frame's display matrix."""
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV stumbles over side data that it has no name for, such as EXIF.
        turn = np.deg2rad(-frame.rotation)
        cos, sin = round(np.cos(turn)), round(np.sin(turn))
        return cos, sin, -sin, cos
    if matrix is None:
        return 1, 0, 0, 1
    linear = np.frombuffer(matrix, np.int32)[[0, 1, 3, 4]] / 65536
    return tuple(np.sign(np.rint(linear)).astype(int).tolist())


def decode(
    container: InputContainer, stream: av.VideoStream | av.AudioStream, path: str | os.PathLike
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Yield the frames of one stream; packets that cannot be decoded are skipped and logged."""
    packets = container.demux(stream)
    damaged = 0
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except av.FFmpegError:
            damaged += 1
            continue
        yield from frames
    if damaged:
        logger.warning("%s: %d damaged %s packets were skipped", path, damaged, stream.type)


def frame_time(frame: av.VideoFrame | av.AudioFrame) -> float | None:
    """The frame's presentation time in seconds; AVI may know its decoding time only."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None else float(stamp * frame.time_base)
