"""Sound: starts with the video, mixed to the mean, finite; in little memory."""

import logging
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import grey_frames, make_clip, tone

import media

REPOSITORY = Path(__file__).parent.parent
RATE = 16000


def click(at: float, seconds: float, rate: int = RATE) -> np.ndarray:
    """(1, n) float32 zeros with a 1 ms pulse."""
    sound = np.zeros((1, round(seconds * rate)), np.float32)
    start = round(at * rate)
    sound[:, start : start + rate // 1000] = 0.9
    return sound


def click_time(samples: np.ndarray, rate: int = RATE) -> float:
    """Seconds at which the pulse begins."""
    return int(np.argmax(np.abs(samples) > 0.3)) / rate


def test_samples_of_a_wav_are_unchanged(tmp_path: Path) -> None:
    sound = tone(0.5, RATE)
    clip = make_clip(tmp_path / "a.wav", sound=sound)
    samples = media.read_audio(clip)
    assert samples.dtype == np.float32 and samples.flags.writeable
    np.testing.assert_allclose(samples, sound[0], atol=1 / 32768)
    np.testing.assert_array_equal(np.concatenate(list(media.audio_blocks(clip))), samples)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_time_and_level(tmp_path: Path, rate: int) -> None:
    clip = make_clip(tmp_path / "a.wav", sound=tone(1.0, rate), sound_rate=rate)
    samples = media.read_audio(clip)
    assert abs(len(samples) - RATE) <= 2
    # Away from the ends, where the filter sees silence.
    np.testing.assert_allclose(samples[500:15000], tone(1.0, RATE)[0, 500:15000], atol=2e-3)


def test_stereo_becomes_the_mean(tmp_path: Path) -> None:
    sound = np.stack([np.full(4000, 0.8), np.full(4000, 0.4)]).astype(np.float32)
    clip = make_clip(tmp_path / "a.wav", sound=sound)
    np.testing.assert_allclose(media.read_audio(clip), 0.6, atol=1e-4)


@pytest.mark.parametrize("start", [0.0, 0.25, 3.0])
def test_late_sound_is_preceded_by_zeros(tmp_path: Path, start: float) -> None:
    clip = make_clip(
        tmp_path / "a.mkv", grey_frames(20), sound=click(0.2, 1.0), sound_start=start
    )
    samples = media.read_audio(clip)
    assert click_time(samples) == pytest.approx(start + 0.2, abs=0.001)
    assert len(samples) == pytest.approx((start + 1.0) * RATE, abs=RATE // 1000)


def test_sound_before_the_video_is_cut(tmp_path: Path) -> None:
    times = [0.5 + 0.04 * number for number in range(20)]
    clip = make_clip(tmp_path / "a.mkv", grey_frames(20), times=times, sound=click(0.7, 1.5))
    samples = media.read_audio(clip)
    assert click_time(samples) == pytest.approx(0.2, abs=0.001)
    assert len(samples) == pytest.approx(RATE, abs=RATE // 1000)


def write_pieces(path: Path, pieces: list[tuple[float, np.ndarray]], layout: str = "mono") -> Path:
    """A .mkv with each piece of sound at its time in seconds."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_f32le", rate=RATE, layout=layout)
        for time, sound in pieces:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(sound.T).reshape(1, -1), "flt", layout
            )
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = round(time * RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_hole_is_filled_with_zeros(tmp_path: Path) -> None:
    clip = write_pieces(tmp_path / "a.mkv", [(0.0, tone(0.5, RATE)), (1.5, click(0.1, 0.5))])
    samples = media.read_audio(clip)
    assert len(samples) == pytest.approx(2 * RATE, abs=RATE // 1000)
    assert not samples[9000:23000].any()


def test_leap_of_the_timestamps_is_not_a_hole(tmp_path: Path) -> None:
    clip = write_pieces(tmp_path / "a.mkv", [(0.0, tone(0.5, RATE)), (9000.0, tone(0.5, RATE))])
    assert len(media.read_audio(clip)) == RATE


def test_samples_that_are_not_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sound = tone(0.5, RATE)
    sound[0, 100:110], sound[0, 200], sound[0, 300] = np.nan, np.inf, -1e30
    clip = write_pieces(tmp_path / "a.mkv", [(0.0, sound)])
    with caplog.at_level(logging.WARNING):
        samples = media.read_audio(clip)
    sound[~(np.abs(sound) < 1)] = 0
    np.testing.assert_allclose(samples, sound[0], atol=1e-6)
    assert "12 samples are not numbers" in caplog.text


def test_digital_silence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.wav", sound=np.zeros((1, RATE), np.float32))
    np.testing.assert_array_equal(media.read_audio(clip), np.zeros(RATE, np.float32))


def test_two_channels_at_another_rate(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.wav", sound=tone(0.5, RATE), sound_rate=RATE)
    blocks = list(media.sound_blocks(clip, sample_rate=48000, channels=2))
    sound = np.concatenate(blocks, axis=1)
    assert sound.shape[0] == 2 and abs(sound.shape[1] - 24000) <= 2
    np.testing.assert_array_equal(sound[0], sound[1])


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.m4a", "aac", 44100),
        ("a.mp3", "libmp3lame", 44100),
        ("a.opus", "libopus", 48000),
        ("a.flac", "flac", 44100),
    ],
)
def test_compressed_sound_starts_on_time(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    clip = make_clip(
        tmp_path / name, sound=click(0.5, 1.0, rate), sound_rate=rate, sound_codec=codec
    )
    assert click_time(media.read_audio(clip)) == pytest.approx(0.5, abs=0.002)


def test_video_without_sound(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", grey_frames(3))
    with pytest.raises(media.MediaError, match="has no audio stream"):
        media.read_audio(clip)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_an_hour_takes_little_memory(tmp_path: Path) -> None:
    clip = tmp_path / "hour.flac"
    silence = np.zeros((1, 3600 * 8000), np.float32)
    make_clip(clip, sound=silence, sound_rate=8000, sound_codec="flac")
    # Not ru_maxrss, which a child process inherits from its parent.
    program = (
        "import re, sys, media\n"
        "samples = media.read_audio(sys.argv[1])\n"
        "print(len(samples), re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(clip)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    length, peak = map(int, result.stdout.split())
    assert length == pytest.approx(3600 * RATE, abs=2)
    assert peak < 500_000  # KiB; the samples alone are 225 000
