"""Sound of media files as float samples that start when the video does."""

import logging
import math
import os
from collections.abc import Iterator

import av
import numpy as np
from av.audio.resampler import AudioResampler

from media.container import (
    MediaError,
    audio_stream,
    decode,
    frame_time,
    open_media,
    video_stream,
)

logger = logging.getLogger(__name__)

LAYOUTS = {1: "mono", 2: "stereo"}
MAX_DRIFT = 0.04  # seconds of timestamps against samples before silence is put in or sound cut out
LOUDEST = 1e6  # 120 dB over full scale; the encoders fail at sounds not much louder than that
MAX_GAP = 10.0  # seconds; a jump beyond it is a fault of the timestamps, not lost sound


def sound_blocks(
    path: str | os.PathLike, *, sample_rate: int, channels: int = 1
) -> Iterator[np.ndarray]:
    """Yield the sound of a file as (channels, n) float32 blocks, nominally in [-1, 1].

    channels: 1 (the mean of the file's) or 2. Sample 0 is the time of the video's first frame, or
    of the first sound in a file without video: sound that starts late is preceded by zeros, sound
    before the video is cut off, and holes are filled with zeros. Samples that are not numbers or
    beyond all sense become 0, with a warning. MediaError, raised when the first block is asked for,
    if there is no sound.
    """
    start = _video_start(path)
    position = unsound = 0
    with open_media(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise MediaError(f"{path} has no audio stream; give a file with sound")
        latest = container.duration / av.time_base if container.duration else math.inf
        for frame in _resample(decode(container, stream, path), sample_rate, channels):
            time = frame_time(frame)
            if start is None and time is not None:
                start = time - position / sample_rate
            drift = 0.0 if time is None else time - start - position / sample_rate
            if abs(drift) > (MAX_GAP if position else latest):
                start, drift = start + drift, 0.0
            shift = round(drift * sample_rate) if not position or abs(drift) > MAX_DRIFT else 0
            if shift > 0:
                position += shift
                yield np.zeros((channels, shift), np.float32)
            block = frame.to_ndarray()[:, max(0, -shift) :]
            sound = np.abs(block) <= LOUDEST  # not so for NaN either
            if not sound.all():
                unsound += int(sound.size - np.count_nonzero(sound))
                block = np.where(sound, block, np.float32(0))
            if block.size:
                position += block.shape[1]
                yield block
        length = float((stream.duration or 0) * stream.time_base)
    if position / sample_rate < 0.98 * length - 0.1:
        logger.warning(
            "%s is cut short: %.2f of %.2f s of sound can be read",
            path, position / sample_rate, length,
        )  # fmt: skip
    if unsound:
        logger.warning(
            "%s: %d samples are not numbers, or far too large, and were set to 0", path, unsound
        )
    if not position:
        raise MediaError(f"no sound of {path} can be decoded; give another file")


def audio_blocks(path: str | os.PathLike, sample_rate: int = 16000) -> Iterator[np.ndarray]:
    """Yield the sound of a file as mono float32 (n,) blocks; start and errors as sound_blocks."""
    for block in sound_blocks(path, sample_rate=sample_rate):
        yield block[0]


def read_audio(path: str | os.PathLike, sample_rate: int = 16000) -> np.ndarray:
    """Return the whole sound of a file, mono float32 (T,); start and errors as sound_blocks."""
    # The array is a view of the bytearray that grew: the samples are never held twice.
    samples = bytearray()
    for block in audio_blocks(path, sample_rate):
        samples += np.ascontiguousarray(block).view(np.uint8).data
    return np.frombuffer(samples, np.float32)


def _video_start(path: str | os.PathLike) -> float | None:
    """Time in seconds of the first video frame that can be decoded; None without one."""
    with open_media(path) as container:
        stream = video_stream(container)
        first = stream and next(decode(container, stream, path), None)
        return frame_time(first) if first else None


def _resample(
    frames: Iterator[av.AudioFrame], sample_rate: int, channels: int
) -> Iterator[av.AudioFrame]:
    """Yield planar float frames of the given rate; the source's format may change on the way."""
    resampler, source = None, None
    for frame in frames:
        if (frame.format.name, frame.layout.name, frame.sample_rate) != source:
            yield from resampler.resample(None) if resampler else ()
            source = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler = AudioResampler(
                format="fltp",
                layout=LAYOUTS[channels],
                rate=sample_rate,
                # Else float output mixes channels by their power: (L + R)·0.707, beyond [-1, 1].
                options={"rematrix_maxval": "1.0"},
            )
        yield from resampler.resample(frame)
    yield from resampler.resample(None) if resampler else ()
