"""Makes the small files of the media tests with PyAV, independently of the code under test."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

GREY_STEP = 8  # between the grey levels of one frame and the next


def grey_frames(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Frames (height, width, 3) uint8 whose grey level tells their number; see frame_number."""
    return [np.full((height, width, 3), 10 + GREY_STEP * n, np.uint8) for n in range(count)]


def frame_number(frame: np.ndarray) -> int:
    """The number of a decoded frame of grey_frames."""
    return round((float(frame.mean()) - 10) / GREY_STEP)


def tone(seconds: float, rate: int, hertz: float = 440.0, channels: int = 1) -> np.ndarray:
    """(channels, n) float32 sine of amplitude 0.5."""
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def make_clip(
    path: Path,
    frames: Sequence[np.ndarray] = (),
    *,
    rate: Fraction | int = 25,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    sample_aspect_ratio: Fraction | None = None,
    sound: np.ndarray | None = None,
    sound_rate: int = 16000,
    sound_start: float = 0.0,
    sound_codec: str = "pcm_s16le",
) -> Path:
    """Write frames (BGR) at `rate`, or at `times` in seconds, and sound (channels, n) into path."""
    with av.open(str(path), "w") as container:
        video = audio = None
        if frames:
            video = container.add_stream(codec, rate=rate, pix_fmt=pix_fmt)
            video.height, video.width = frames[0].shape[:2]
            video.codec_context.time_base = Fraction(1, 90000) if times else 1 / Fraction(rate)
            if codec == "libx264":
                video.options = {"qp": "0", "g": "10"}
            if sample_aspect_ratio:
                video.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if sound is not None:
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = container.add_stream(sound_codec, rate=sound_rate, layout=layout)
        for number, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, "bgr24").reformat(format=pix_fmt)
            picture.pts = round(times[number] * 90000) if times else number
            picture.time_base = video.codec_context.time_base
            container.mux(video.encode(picture))
        if video:
            container.mux(video.encode(None))
        if audio:
            for start in range(0, sound.shape[1], 1024):
                block = np.ascontiguousarray(sound[:, start : start + 1024])
                piece = av.AudioFrame.from_ndarray(block, "fltp", layout)
                piece.sample_rate, piece.time_base = sound_rate, Fraction(1, sound_rate)
                piece.pts = start + round(sound_start * sound_rate)
                container.mux(audio.encode(piece))
            container.mux(audio.encode(None))
    return path


def make_yuv_clip(
    path: Path,
    planes: tuple[int | np.ndarray, int | np.ndarray, int | np.ndarray],
    *,
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    matrix: int = 2,
    colour_range: int = 0,
    transfer: int = 2,
    primaries: int = 2,
) -> Path:
    """Write one lossless (FFV1) frame with colour tags as in H.273.

    planes: Y, Cb, Cr codes, constant or as arrays that broadcast to a plane's (H, W).
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, pix_fmt=pix_fmt)
        stream.width, stream.height = size
        tags = {
            "colorspace": matrix,
            "color_range": colour_range,
            "color_trc": transfer,
            "color_primaries": primaries,
        }
        frame = av.VideoFrame(*size, pix_fmt)
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
            setattr(frame, name, value)
        depth = np.uint8 if pix_fmt.endswith("p") else np.uint16
        for plane, code in zip(frame.planes, planes, strict=True):
            np.frombuffer(plane, depth).reshape(plane.height, -1)[:, : plane.width] = code
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Overwrite the linear part of the first track's display matrix in an .mp4 or .mov."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, at, a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
