"""Frames: each once, at the right time, the right way up, in the right colours; bad files."""

import logging
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from media_clips import (
    frame_number,
    grey_frames,
    make_clip,
    make_yuv_clip,
    set_display_matrix,
    tone,
)
from PIL import Image

import media
from media import hdr

NTSC = Fraction(30000, 1001)


def numbers(path: Path, **options) -> list[int]:
    return [frame_number(frame) for frame in media.read_frames(path, **options)]


@pytest.mark.parametrize("rate", [24, 25, NTSC, 60])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "libx264"),
        ("a.mkv", "libx264"),  # whole milliseconds
        ("a.webm", "libvpx"),
        ("a.avi", "mpeg4"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_constant_rate_file_gives_each_frame_once(
    tmp_path: Path, name: str, codec: str, rate: Fraction | int
) -> None:
    clip = make_clip(tmp_path / name, grey_frames(29), rate=rate, codec=codec)
    assert numbers(clip) == list(range(29))
    assert media.probe(clip).video.fps == pytest.approx(float(rate), rel=1e-3)


def test_gif(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.gif", grey_frames(9), rate=10, codec="gif", pix_fmt="rgb8")
    frames = list(media.read_frames(clip))
    assert len(frames) == 9
    assert frames[0].mean() < frames[4].mean() < frames[8].mean()


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (25, [0, 2, 4, 6, 8]),
        (100, [n // 2 for n in range(20)]),
        (12.5, [0, 4, 8]),
        (50, list(range(10))),
    ],
)
def test_other_rate_shows_the_frame_of_the_moment(
    tmp_path: Path, fps: float, expected: list[int]
) -> None:
    clip = make_clip(tmp_path / "a.mp4", grey_frames(10), rate=50)
    assert numbers(clip, fps=fps) == expected


def test_variable_rate_holds_each_frame_until_the_next(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", grey_frames(5), times=[0, 0.04, 0.08, 0.4, 0.44])
    assert numbers(clip, fps=25)[:12] == [0, 1] + [2] * 8 + [3, 4]


def test_jittering_timestamps_lose_no_frame(tmp_path: Path) -> None:
    jitter = np.random.default_rng(0).uniform(-0.01, 0.01, 29)
    times = [0.04 * n + jitter[n] + 0.01 for n in range(29)]
    clip = make_clip(tmp_path / "a.mkv", grey_frames(29), times=times)
    assert sorted(set(numbers(clip, fps=25))) == list(range(29))


def test_time_starts_with_the_first_frame(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", grey_frames(5), times=[0.5 + 0.04 * n for n in range(5)])
    assert numbers(clip, fps=25) == list(range(5))


def test_repeated_frames_do_not_share_pixels(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", grey_frames(3))
    first, second, *_ = media.read_frames(clip, fps=50)
    first[:] = 0
    assert frame_number(second) == 0 and second.max() > 0
    assert first.flags.c_contiguous and first.flags.writeable


def test_max_frames(tmp_path: Path) -> None:
    assert numbers(make_clip(tmp_path / "a.mp4", grey_frames(9)), max_frames=4) == [0, 1, 2, 3]


CORNER = np.full((48, 64, 3), 60, np.uint8)
CORNER[:16, :24] = 220  # bright: upper left


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((1, 0, 0, 1), CORNER),
        ((0, 1, -1, 0), np.rot90(CORNER, -1)),  # 90° clockwise, as phones write it
        ((-1, 0, 0, -1), np.rot90(CORNER, 2)),
        ((0, -1, 1, 0), np.rot90(CORNER, 1)),
        ((-1, 0, 0, 1), CORNER[:, ::-1]),
        ((1, 0, 0, -1), CORNER[::-1]),
        ((0, 1, 1, 0), CORNER.transpose(1, 0, 2)),
    ],
)
def test_display_matrix(
    tmp_path: Path, matrix: tuple[int, int, int, int], expected: np.ndarray
) -> None:
    clip = make_clip(tmp_path / "a.mp4", [CORNER] * 3)
    set_display_matrix(clip, *matrix)
    frame = next(media.read_frames(clip))
    np.testing.assert_allclose(frame, expected, atol=3)
    video = media.probe(clip).video
    assert (video.height, video.width) == expected.shape[:2]


def test_sample_aspect_ratio_widens(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", grey_frames(3), sample_aspect_ratio=Fraction(3, 2))
    video = media.probe(clip).video
    assert (video.width, video.height) == (96, 48)
    assert [frame.shape for frame in media.read_frames(clip)] == [(48, 96, 3)] * 3


@pytest.mark.parametrize("size", [(30, 20), (16, 12), (21, 17), (48, 48)])
@pytest.mark.parametrize("matrix", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)])
def test_frames_are_shrunk_by_averaging(
    tmp_path: Path, size: tuple[int, int], matrix: tuple[int, int, int, int]
) -> None:
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 256, (16, 20, 1), np.uint8), (64, 48))
    clip = make_clip(tmp_path / "a.mp4", [cv2.merge([texture] * 3)] * 3)
    set_display_matrix(clip, *matrix)
    whole = next(media.read_frames(clip))
    small = list(media.read_frames(clip, size=size))
    assert [frame.shape for frame in small] == [(size[1], size[0], 3)] * 3
    expected = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(small[0], expected, atol=3)
    assert abs(np.mean(small[0].astype(float) - expected)) < 0.5


def test_the_full_size_asked_for_changes_nothing(tmp_path: Path) -> None:
    clip = noise_clip(tmp_path / "a.mp4", count=2)
    for shown, whole in zip(media.read_frames(clip, size=(64, 48)), media.read_frames(clip)):
        np.testing.assert_array_equal(shown, whole)


def test_shrunk_frames_have_the_sample_aspect_ratio_put_right(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", [CORNER] * 3, sample_aspect_ratio=Fraction(3, 2))
    small = next(media.read_frames(clip, size=(48, 24)))
    np.testing.assert_allclose(small[[4, 4, 12], [8, 30, 8]], [[220] * 3, [60] * 3, [60] * 3],
                               atol=3)  # fmt: skip


def test_odd_size(tmp_path: Path) -> None:
    frames = grey_frames(3, width=63, height=47)
    clip = make_clip(tmp_path / "a.mp4", frames, pix_fmt="yuv444p")
    assert next(media.read_frames(clip)).shape == (47, 63, 3)


def yuv_codes(bgr: tuple[float, float, float], kr: float, kb: float, full: bool) -> list[int]:
    """8-bit Y, Cb, Cr of BGR in [0, 1] by the definition in H.273."""
    blue, green, red = bgr
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    if full:
        return [round(255 * luma), *(round(128 + 255 * value) for value in chroma)]
    return [round(16 + 219 * luma), *(round(128 + 224 * value) for value in chroma)]


BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)


@pytest.mark.parametrize(
    ("tag", "weights", "size"),
    [
        (1, BT709, (64, 48)),
        (6, BT601, (64, 48)),
        (9, BT2020, (64, 48)),
        (2, BT601, (64, 48)),  # untagged and small
        (2, BT709, (1280, 720)),  # untagged HD
    ],
)
@pytest.mark.parametrize("full", [False, True])
def test_colour_matrix_and_range(
    tmp_path: Path, tag: int, weights: tuple[float, float], size: tuple[int, int], full: bool
) -> None:
    colour = (0.3, 0.8, 0.45)
    codes = yuv_codes(colour, *weights, full=full)
    clip = make_yuv_clip(
        tmp_path / "a.mkv", tuple(codes), size=size, matrix=tag, colour_range=2 if full else 1
    )
    pixel = next(media.read_frames(clip))[20, 20]
    # Rounding the codes alone moves a channel by up to 2 levels.
    np.testing.assert_allclose(pixel, 255 * np.array(colour), atol=2.5)


def test_ten_bit(tmp_path: Path) -> None:
    codes = tuple(4 * code for code in yuv_codes((0.3, 0.8, 0.45), *BT709, full=False))
    clip = make_yuv_clip(
        tmp_path / "a.mkv", codes, pix_fmt="yuv420p10le", matrix=1, colour_range=1
    )
    pixel = next(media.read_frames(clip))[20, 20]
    np.testing.assert_allclose(pixel, 255 * np.array((0.3, 0.8, 0.45)), atol=2.5)


@pytest.mark.parametrize("transfer", [1, 16])
def test_chroma_between_its_rows_is_interpolated(tmp_path: Path, transfer: int) -> None:
    rows = np.arange(24)[:, None]
    ramps = 480 + 3 * rows, 540 - 2 * rows  # 10-bit codes
    clip = make_yuv_clip(
        tmp_path / "a.mkv", (450, *ramps), pix_fmt="yuv420p10le", matrix=9, colour_range=1,
        transfer=transfer,
    )  # fmt: skip
    shown = next(media.read_frames(clip))
    place = (np.arange(48) - 0.5) / 2  # a row of chroma lies midway between two of luma
    luma = np.full(48, (450 - 64) / 876)
    blue = luma + (480 + 3 * place - 512) / 896 * (2 - 2 * BT2020[1])
    red = luma + (540 - 2 * place - 512) / 896 * (2 - 2 * BT2020[0])
    green = (luma - BT2020[1] * blue - BT2020[0] * red) / (1 - sum(BT2020))
    codes = np.stack([blue, green, red], axis=1)
    if transfer == 16:
        expected = hdr.to_sdr(np.uint16(np.rint(65535 * codes))[None], hdr.Transfer.PQ)[0]
    else:
        expected = 255 * codes
    for column in (1, 32, 62):
        np.testing.assert_allclose(shown[1:-1, column], expected[1:-1], atol=2)


def pq_code(nits: float) -> float:
    """SMPTE ST 2084: the code in [0, 1] of a luminance."""
    power = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hdr_grey(path: Path, code: float, transfer: int) -> np.ndarray:
    """The displayed BGR pixel of a grey 10-bit HDR file."""
    planes = (round(64 + 876 * code), 512, 512)
    clip = make_yuv_clip(
        path, planes, pix_fmt="yuv420p10le", matrix=9, colour_range=1,
        transfer=transfer, primaries=9,
    )  # fmt: skip
    return next(media.read_frames(clip))[20, 20].astype(float)


def test_pq_is_shown_as_standard_range(tmp_path: Path) -> None:
    shown = {
        nits: hdr_grey(tmp_path / f"{nits}.mkv", pq_code(nits), 16)
        for nits in (0, 20, 100, 203, 1000, 4000)
    }
    assert all(np.ptp(pixel) <= 1 for pixel in shown.values())  # grey stays grey
    assert shown[0].max() == 0
    # Below the shoulder, light relative to HDR white (203 nits), at display gamma 2.4.
    for nits in (20, 100):
        assert shown[nits][0] == pytest.approx(255 * (nits / 203) ** (1 / 2.4), abs=2.5)
    assert 225 <= shown[203][0] <= 245  # white is bright, with room for highlights
    assert shown[203][0] < shown[1000][0]
    assert shown[1000][0] == shown[4000][0] == 255


def test_hlg_is_shown_like_pq(tmp_path: Path) -> None:
    # BT.2408: 75 % HLG and 58 % PQ are the same diffuse white.
    white = hdr_grey(tmp_path / "hlg.mkv", 0.75, 18)
    np.testing.assert_allclose(white, hdr_grey(tmp_path / "pq.mkv", pq_code(203), 16), atol=2)


def test_hdr_colours_become_bt709() -> None:
    # bt709 green at 100 nits, in bt2020 primaries by BT.2087 (R 0.3293, G 0.9195, B 0.0880).
    code = [round(65535 * pq_code(100 * part)) for part in (0.0880, 0.9195, 0.3293)]
    pixel = hdr.to_sdr(np.array([[code]], np.uint16), hdr.Transfer.PQ)[0, 0]
    # Dark codes are steep: a hundredth of linear light left over is 255·0.01^(1/2.4) = 37.
    np.testing.assert_allclose(pixel, [0, 255 * (100 / 203) ** (1 / 2.4), 0], atol=20)


def test_cover_picture_is_not_the_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("mjpeg", rate=1, pix_fmt="yuvj420p", width=64, height=48)
        cover.disposition = Disposition.attached_pic
        picture = av.VideoFrame.from_ndarray(CORNER, "bgr24").reformat(format="yuvj420p")
        container.mux([*cover.encode(picture), *cover.encode(None)])
        piece = av.AudioFrame.from_ndarray(tone(0.5, 16000), "fltp", "mono")
        piece.sample_rate = 16000
        container.mux([*audio.encode(piece), *audio.encode(None)])
    info = media.probe(path)
    assert info.video is None and info.has_audio
    with pytest.raises(media.MediaError, match="no video stream"):
        next(media.read_frames(path))


def test_largest_of_several_videos(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        for width, height in ((32, 24), (64, 48)):
            stream = container.add_stream("ffv1", rate=25, width=width, height=height)
            stream.disposition = Disposition(0)
        for number in range(3):
            for stream in container.streams.video:
                frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream in container.streams.video:
            container.mux(stream.encode(None))
    assert [frame.shape for frame in media.read_frames(path)] == [(48, 64, 3)] * 3


def noise_clip(path: Path, count: int = 50) -> Path:
    rng = np.random.default_rng(0)
    return make_clip(path, [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(count)])


def test_truncated_file_gives_what_it_has(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = noise_clip(tmp_path / "a.mkv")
    data = whole.read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(data[: len(data) * 6 // 10])
    expected = list(media.read_frames(whole))
    with caplog.at_level(logging.WARNING):
        frames = list(media.read_frames(cut))
    assert 25 <= len(frames) <= 31
    np.testing.assert_array_equal(frames[10], expected[10])
    assert f"{len(frames)} of about 50 frames" in caplog.text


def test_damage_in_the_middle_keeps_the_timing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = noise_clip(tmp_path / "a.mp4")
    expected = list(media.read_frames(clip))
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 20] = bytes(len(data) // 20)
    clip.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = list(media.read_frames(clip))
    assert len(frames) == 50
    np.testing.assert_array_equal(frames[-1], expected[-1])
    assert "damaged video packets" in caplog.text


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "read", [media.probe, media.read_audio, lambda path: next(media.read_frames(path))]
)
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.mp4", "does not exist"),
        (lambda folder: folder, "is a folder"),
        (lambda folder: write_bytes(folder / "a.mp4", b""), "is empty"),
        (lambda folder: write_bytes(folder / "a.mp4", b"not a film\n" * 99), "not a readable"),
        (lambda folder: write_bytes(folder / "a.mp4", b"#EXTM3U\nhttp://a/b\n"), "not a readable"),
    ],
)
def test_bad_file(tmp_path: Path, read, make, message: str) -> None:
    with pytest.raises(media.MediaError, match=message) as caught:
        read(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_file_without_its_index(tmp_path: Path) -> None:
    data = noise_clip(tmp_path / "a.mp4").read_bytes()
    cut = write_bytes(tmp_path / "cut.mp4", data[: len(data) // 2])  # the index lies at the end
    with pytest.raises(media.MediaError, match="not a readable media file"):
        media.probe(cut)


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = make_clip(tmp_path / "a.mp4", grey_frames(3))
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read all
    with pytest.raises(media.MediaError, match="a.mp4 may not be read by this user"):
        media.probe(clip)


def test_exif_in_a_frame_is_no_obstacle(tmp_path: Path) -> None:
    grey = Image.fromarray(grey_frames(1, 64, 48)[0])
    exif = Image.Exif()
    exif[0x112] = 6  # to be turned clockwise
    grey.save(tmp_path / "a.mjpeg", "JPEG", exif=exif)
    [frame] = media.read_frames(tmp_path / "a.mjpeg")
    assert frame.shape == (64, 48, 3)


def test_the_clock_of_a_browsers_recording_is_not_its_frame_rate(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", grey_frames(15), rate=1000,
                     times=[0.033 * n + 0.004 * (n % 2) for n in range(15)])  # fmt: skip
    assert media.probe(clip).video.fps == 30
    # The last is told to last a thousandth of a second: not long enough to be shown.
    assert [frame_number(frame) for frame in media.read_frames(clip)] == list(range(14))


@pytest.mark.parametrize("fps", [0, -25, float("nan"), float("inf")])
def test_bad_rate(tmp_path: Path, fps: float) -> None:
    clip = make_clip(tmp_path / "a.mp4", grey_frames(3))
    with pytest.raises(media.MediaError, match="frames per second"):
        next(media.read_frames(clip, fps=fps))


def test_probe(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "a b'ü.1.mov", grey_frames(20), sound=tone(1.0, 44100, channels=2),
        sound_rate=44100,
    )  # fmt: skip
    info = media.probe(clip)
    assert info.video == media.VideoInfo(64, 48, 25.0, pytest.approx(0.8), 20)
    assert info.audio == media.AudioInfo(44100, 2)
    assert info.duration == pytest.approx(1.0, abs=0.03)
