"""The written file: pictures, colour, time of sound, containers; nothing left after a failure."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_clips import frame_number, grey_frames, make_clip, tone

import media

REPOSITORY = Path(__file__).parent.parent
SIZE = {"width": 64, "height": 48}


def write(path: Path, frames: list[np.ndarray], **options) -> Path:
    with media.VideoWriter(path, **{**SIZE, "fps": 25, **options}) as writer:
        for frame in frames:
            writer.write(frame)
    return writer.path


@pytest.fixture
def click(tmp_path: Path) -> Path:
    """One second of 48 kHz stereo with a 1 ms pulse at 0.5 s."""
    sound = np.zeros((2, 48000), np.float32)
    sound[:, 24000:24048] = 0.9
    return make_clip(tmp_path / "click.wav", sound=sound, sound_rate=48000)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "MP4"])
@pytest.mark.parametrize("fps", [25, 29.97, 60])
def test_frames_and_sound_come_back(tmp_path: Path, click: Path, ending: str, fps: float) -> None:
    path = tmp_path / "new folder" / f"a b'ü.{ending}"
    write(path, grey_frames(29), fps=fps, audio=click)
    assert [frame_number(frame) for frame in media.read_frames(path)] == list(range(29))
    info = media.probe(path)
    assert (info.video.width, info.video.height) == (64, 48)
    assert info.video.fps == pytest.approx(30000 / 1001 if fps == 29.97 else fps, rel=1e-5)
    assert info.audio == media.AudioInfo(48000, 2)
    pulse = np.argmax(np.abs(media.read_audio(path, 48000)) > 0.3) / 48000
    assert pulse == pytest.approx(0.5, abs=0.002)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("ending", "video", "audio"), [("mp4", "h264", "aac"), ("webm", "vp9", "opus")]
)
def test_codecs_and_colour_tags(
    tmp_path: Path, click: Path, ending: str, video: str, audio: str
) -> None:
    path = write(tmp_path / f"a.{ending}", grey_frames(5), audio=click)
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.codec.canonical_name == video
        assert container.streams.audio[0].codec_context.codec.canonical_name == audio
        frame = next(container.decode(video=0))
        assert frame.format.name == "yuv420p"
        assert (frame.colorspace, frame.color_range) == (1, 1)
        assert (frame.color_trc, frame.color_primaries) == (1, 1)


@pytest.mark.parametrize("bgr", [(0, 0, 255), (115, 204, 76), (128, 128, 128), (255, 255, 255)])
def test_pixels_are_converted_by_bt709_in_limited_range(
    tmp_path: Path, bgr: tuple[int, int, int]
) -> None:
    path = write(tmp_path / "a.mp4", [np.full((48, 64, 3), bgr, np.uint8)] * 3, crf=0)
    blue, green, red = np.array(bgr) / 255
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    expected = (
        16 + 219 * luma,
        128 + 224 * (blue - luma) / 1.8556,
        128 + 224 * (red - luma) / 1.5748,
    )
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).planes
        codes = [np.frombuffer(plane, np.uint8)[0] for plane in planes]
    np.testing.assert_allclose(codes, expected, atol=1)


def test_a_pixel_of_chroma_is_the_mean_of_its_four(tmp_path: Path) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    path = write(tmp_path / "a.mp4", [frame], crf=0)
    blue, green, red = np.moveaxis(frame / 255, 2, 0)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    with av.open(str(path)) as container:
        planes = next(container.decode(video=0)).planes
        codes = [
            np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[:, : plane.width]
            for plane in planes
        ]
    np.testing.assert_allclose(codes[0], 16 + 219 * luma, atol=1)
    for shown, chroma in zip(codes[1:], ((blue - luma) / 1.8556, (red - luma) / 1.5748)):
        mean = chroma.reshape(24, 2, 32, 2).mean(axis=(1, 3))
        np.testing.assert_allclose(shown, 128 + 224 * mean, atol=1)


def test_quality_of_a_textured_picture(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:48, 0:64]
    smooth = 128 + 90 * np.sin(rows / 7) * np.cos(columns / 9)
    frame = np.stack([smooth, smooth * 0.9 + 20, smooth * 0.8 + 30], axis=2).astype(np.uint8)
    path = write(tmp_path / "a.mp4", [frame] * 10)
    shown = next(media.read_frames(path)).astype(float)
    assert np.mean((shown - frame) ** 2) < 255**2 / 10**4  # PSNR above 40 dB
    assert abs(np.mean(shown - frame)) < 0.5  # no drift of the brightness


def test_index_comes_first(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mp4", grey_frames(5)).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(("width", "height"), [(63, 47), (64, 47), (63, 48), (1, 1)])
def test_odd_size_repeats_the_edge(tmp_path: Path, width: int, height: int) -> None:
    frame = np.full((height, width, 3), 200, np.uint8)
    path = write(tmp_path / "a.mp4", [frame] * 3, width=width, height=height)
    shown = next(media.read_frames(path))
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    np.testing.assert_allclose(shown, 200, atol=3)


@pytest.mark.parametrize("seconds", [0.3, 2.5])
def test_sound_is_cut_or_filled(tmp_path: Path, click: Path, seconds: float) -> None:
    path = write(tmp_path / "a.mkv", grey_frames(10), audio=click, audio_duration=seconds)
    length = len(media.read_audio(path, 48000)) / 48000
    assert seconds - 0.001 <= length <= seconds + 1024 / 48000  # whole AAC frames


def test_sound_longer_than_the_video_is_kept(tmp_path: Path, click: Path) -> None:
    path = write(tmp_path / "a.mp4", grey_frames(3), audio=click)
    assert len(media.read_audio(path)) >= 16000


def test_sound_of_a_video_starts_with_its_pictures(tmp_path: Path) -> None:
    sound = np.zeros((1, 16000), np.float32)
    sound[0, 3200:3216] = 0.9
    source = make_clip(tmp_path / "a.mkv", grey_frames(20), sound=sound, sound_start=0.3)
    samples = media.read_audio(write(tmp_path / "b.mp4", grey_frames(20), audio=source))
    assert np.argmax(np.abs(samples) > 0.3) / 16000 == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize(("rate", "written"), [(8000, 8000), (11000, 11025), (192000, 96000)])
def test_rates_that_aac_lacks(tmp_path: Path, rate: int, written: int) -> None:
    sound = make_clip(tmp_path / "a.wav", sound=tone(0.5, rate), sound_rate=rate)
    path = write(tmp_path / "a.mp4", grey_frames(3), audio=sound)
    assert media.probe(path).audio == media.AudioInfo(written, 1)


def test_sound_and_pictures_are_interleaved(tmp_path: Path) -> None:
    sound = make_clip(tmp_path / "a.wav", sound=tone(8.0, 16000))
    path = write(tmp_path / "a.mp4", grey_frames(29) * 6, audio=sound)
    with av.open(str(path)) as container:
        kinds = [packet.stream.type for packet in container.demux() if packet.size]
    # 6.96 s of video and 8 s of sound: no stretch of one kind is longer than a second or so.
    runs = [len(run) for run in "".join(kind[0] for kind in kinds).replace("av", "a v").split()]
    assert max(runs[:-1]) < 60


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_exception_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        with media.VideoWriter(tmp_path / "a.mp4", **SIZE, fps=25) as writer:
            writer.write(grey_frames(1)[0])
            raise error
    assert os.listdir(tmp_path) == []


def test_exception_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", grey_frames(5))
    before = path.read_bytes()
    with pytest.raises(RuntimeError):
        with media.VideoWriter(path, **SIZE, fps=25) as writer:
            writer.write(grey_frames(1)[0])
            assert path.read_bytes() == before
            raise RuntimeError
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_two_writers_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with media.VideoWriter(path, **SIZE, fps=25) as first:
        with media.VideoWriter(path, **SIZE, fps=25) as second:
            for frame in grey_frames(9):
                first.write(frame)
                second.write(frame[::-1])
            first.write(frame)
        assert media.probe(path).video.frames == 9
    assert media.probe(path).video.frames == 10
    assert os.listdir(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.xyz", {}, "name must end in .mp4, .mov, .mkv, .webm"),
        ("a", {}, "name must end in"),
        ("a.mp4", {"fps": 0}, "frames per second"),
        ("a.mp4", {"fps": -25}, "frames per second"),
        ("a.mp4", {"fps": float("nan")}, "frames per second"),
        ("a.mp4", {"width": 0}, "0x48 pixels"),
        ("a.mp4", {"crf": 52}, "crf 52; give 0 to 51"),
        ("a.mp4", {"preset": "quick"}, "unknown preset quick"),
        ("a.mp4", {"audio": "none.wav"}, "none.wav does not exist"),
        ("file/a.mp4", {}, "cannot write"),
        ("folder.mp4", {}, "it is a folder"),
    ],
)
def test_mistake_is_told_before_encoding(
    tmp_path: Path, name: str, options: dict, message: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(media.MediaError, match=message) as caught:
        media.VideoWriter(tmp_path / name, **{**SIZE, "fps": 25, **options})
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.mp4"]


def test_audio_file_without_sound(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.mp4", grey_frames(3))
    with pytest.raises(media.MediaError, match="silent.mp4 has no audio stream"):
        media.VideoWriter(tmp_path / "a.mp4", **SIZE, fps=25, audio=silent)
    assert os.listdir(tmp_path) == ["silent.mp4"]


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((48, 65, 3), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((48, 64, 3), np.float32),
    ],
)
def test_frame_of_another_shape(tmp_path: Path, frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected \(48, 64, 3\) uint8"):
        write(tmp_path / "a.mp4", [frame])
    assert os.listdir(tmp_path) == []


def test_frame_that_is_a_view(tmp_path: Path) -> None:
    frame = np.zeros((96, 128, 3), np.uint8)
    frame[::2, ::2] = 200
    shown = next(media.read_frames(write(tmp_path / "a.mp4", [frame[::2, ::2]] * 3)))
    np.testing.assert_allclose(shown, 200, atol=3)


def test_no_frame(tmp_path: Path) -> None:
    with pytest.raises(media.MediaError, match="no frame was written"):
        write(tmp_path / "a.mp4", [])
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files by POSIX means")
@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm"])
def test_disk_that_takes_no_more(tmp_path: Path, ending: str) -> None:
    # A limit on the size of a process's files fails like a full disk, without needing one.
    program = f"""
import resource, signal, numpy as np, media
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
rng = np.random.default_rng(0)
try:
    with media.VideoWriter("a.{ending}", width=320, height=240, fps=25) as writer:
        for _ in range(20):
            writer.write(rng.integers(0, 256, (240, 320, 3), np.uint8))
except media.MediaError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"cannot write a.{ending}: File too large\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("fps", "rate"),
    [(29.97, Fraction(30000, 1001)), (23.976, Fraction(24000, 1001)), (25.0, 25), (12.5, 12.5)],
)
def test_rates_are_exact(tmp_path: Path, fps: float, rate: Fraction) -> None:
    path = write(tmp_path / "a.mp4", grey_frames(10), fps=fps)
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == rate
