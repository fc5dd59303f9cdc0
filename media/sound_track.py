"""The sound of one file as an encoded stream of another."""

import itertools
import os
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av.container import OutputContainer

from media.container import AudioInfo
from media.sound import LAYOUTS, sound_blocks

BITS_PER_CHANNEL = 96_000  # a second
OPUS_RATE = 48000  # Hz
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


class SoundTrack:
    """Adds a stream with a file's sound to a container and encodes it step by step, as AAC or Opus.

    The sound keeps its rate where the codec has it and at most 2 channels; it is cut or filled with
    silence to `duration` seconds, if given. MediaError if it cannot be decoded.
    """

    def __init__(
        self,
        container: OutputContainer,
        path: str | os.PathLike,
        source: AudioInfo,
        duration: float | None,
        *,
        opus: bool,
    ) -> None:
        rates = (OPUS_RATE,) if opus else AAC_RATES
        self._rate = next((rate for rate in rates if rate >= source.sample_rate), rates[-1])
        channels = min(2, source.channels)
        self._layout = LAYOUTS[channels]
        self._stream = container.add_stream(
            "libopus" if opus else "aac",
            rate=self._rate,
            layout=self._layout,
            bit_rate=channels * BITS_PER_CHANNEL,
        )
        blocks = sound_blocks(path, sample_rate=self._rate, channels=channels)
        # Sound that cannot be decoded is found out here, before any frame is made.
        blocks = itertools.chain([next(blocks)], blocks)
        length = None if duration is None else round(duration * self._rate)
        self._blocks = _fit(blocks, length, self._rate)
        self._samples = 0

    def packets(self, until: float) -> Iterator[av.Packet]:
        """Yield the packets up to `until` seconds, at the sound's end also the encoder's last."""
        while self._blocks and self._samples < until * self._rate:
            block = next(self._blocks, None)
            if block is None:
                self._blocks = None
                yield from self._stream.encode(None)
                return
            frame = av.AudioFrame.from_ndarray(block, "fltp", self._layout)
            frame.sample_rate, frame.time_base = self._rate, Fraction(1, self._rate)
            frame.pts = self._samples
            self._samples += block.shape[1]
            yield from self._stream.encode(frame)


def _fit(blocks: Iterator[np.ndarray], length: int | None, step: int) -> Iterator[np.ndarray]:
    """Yield (channels, n) blocks cut or filled with zeros, `step` at once, to `length` samples."""
    position = 0
    for block in blocks:
        block = block[:, : None if length is None else length - position]
        if block.size:
            yield np.ascontiguousarray(block)
        position += block.shape[1]
        if position == length:
            return
    while length is not None and position < length:
        silence = np.zeros((block.shape[0], min(step, length - position)), np.float32)
        yield silence
        position += silence.shape[1]
