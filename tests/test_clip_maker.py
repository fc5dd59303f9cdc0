"""From a video to clip folders: which crops, which sound, whole or not at all.

The faces here are bright squares on black, which a detector of ten lines finds exactly.
"""
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from media_clips import make_clip, tone
from scipy.io import wavfile

import audio
import clip_maker
from clip_maker import Settings, crop_with_margin, make_clips, split
from clip_record import ClipError, finished_clips
from errors import InputError
from sync_correction import SAMPLES_PER_FRAME, SyncOffset

WIDTH, HEIGHT = 160, 120


class SquareDetector:
    """Every bright region is a face."""

    name = "squares"
    tracks = False

    def detect(self, images: np.ndarray) -> list[np.ndarray]:
        found = []
        for image in images:
            bright = np.uint8(image.min(axis=2) > 100)
            _, _, regions, _ = cv2.connectedComponentsWithStats(bright)
            x, y, w, h = regions[1:, :4].T
            found.append(np.stack([x, y, x + w, y + h, np.ones(len(x))], 1).astype(np.float32))
        return found


def picture(*squares: tuple[int, int, int], gray: int = 255, background: int = 0) -> np.ndarray:
    """A frame with squares (x, y, side)."""
    frame = np.full((HEIGHT, WIDTH, 3), background, np.uint8)
    for x, y, side in squares:
        frame[y:y + side, x:x + side] = gray
    return frame


def clip(path: Path, frames: list[np.ndarray], seconds: float | None = None, **options) -> Path:
    sound = tone(len(frames) / 25 if seconds is None else seconds, 16000)
    return make_clip(path, frames, sound=sound, **options)


def make(video: Path, folder: Path, expert=None, **settings) -> clip_maker.MadeClips:
    return make_clips(video, video.name, folder, SquareDetector(), Settings(**settings),
                      expert=expert)


def crop_numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.jpg"))


def test_a_clip_has_the_published_layout(tmp_path):
    """Crops numbered by frame, none where there is no face; 16 kHz mono; a spectrogram of it."""
    frames = [picture((40, 30, 50)) if n not in (7, 8) else picture() for n in range(30)]
    video = make_clip(tmp_path / "v.mp4", frames, sound=tone(1.2, 48000, channels=2),
                      sound_rate=48000, sound_codec="aac")
    made = make(video, tmp_path / "s" / "v")
    folder = tmp_path / "s" / "v"
    assert crop_numbers(folder) == [n for n in range(30) if n not in (7, 8)]
    rate, wav = wavfile.read(folder / "audio.wav")
    assert (rate, wav.dtype, wav.ndim) == (16000, np.int16, 1)
    assert len(wav) == pytest.approx(1.2 * 16000, abs=0.03 * 16000)
    mel = np.load(folder / "mel.npy", mmap_mode="r")
    assert mel.dtype == np.float16
    expected = audio.melspectrogram(audio.load_wav(folder / "audio.wav"))
    np.testing.assert_allclose(mel, expected, atol=0.001)     # half of float16's step below 4
    record = made.records["v"]
    assert (record.frames, record.faces, record.source) == (30, 28, "v.mp4")
    assert finished_clips(folder, "v.mp4") == made.records
    assert os.listdir(tmp_path / "s") == ["v"]


def test_other_frame_rates_become_25(tmp_path):
    video = clip(tmp_path / "v.mp4", [picture((40, 30, 50))] * 36, seconds=1.2, rate=30)
    assert make(video, tmp_path / "v").records["v"].frames == 30


def test_crops_show_the_box(tmp_path):
    frames = [picture((20 + 2 * n, 30, 50)) for n in range(20)]
    make(clip(tmp_path / "v.mp4", frames), tmp_path / "v")
    for n in (0, 10, 19):
        crop = cv2.imread(str(tmp_path / "v" / f"{n}.jpg"))
        assert crop.shape == (50, 50, 3)
        assert crop.min() > 240


def test_a_margin_adds_to_every_side_and_repeats_the_frames_edge(tmp_path):
    frames = [picture((0, 40, 40), background=60)] * 20
    make(clip(tmp_path / "v.mp4", frames), tmp_path / "v", margin=0.25)
    crop = cv2.imread(str(tmp_path / "v" / "0.jpg"))
    assert crop.shape == (60, 60, 3)
    assert crop[15:45, :45].min() > 230     # the face, and left of the frame its edge repeated
    assert abs(int(crop[5, 30].mean()) - 60) < 15
    assert abs(int(crop[30, 58].mean()) - 60) < 15


def test_without_a_margin_the_crop_is_the_box():
    frame = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)
    assert (crop_with_margin(frame, (2, 1, 7, 6), 0) == frame[1:6, 2:7]).all()


def test_one_person_a_clip_the_largest(tmp_path):
    frames = [picture((10, 20, 30), (80, 20, 60 if n else 20)) for n in range(20)]
    make(clip(tmp_path / "v.mp4", frames), tmp_path / "v")
    widths = {cv2.imread(str(tmp_path / "v" / f"{n}.jpg")).shape[1] for n in range(1, 20)}
    assert widths == {60}


def test_small_faces_do_not_count(tmp_path):
    frames = [picture((10, 20, 30))] * 20
    video = clip(tmp_path / "v.mp4", frames)
    with pytest.raises(ClipError, match="no face"):
        make(video, tmp_path / "v", min_face=31)
    make(video, tmp_path / "v", min_face=30)


def two_shots() -> list[np.ndarray]:
    return [picture((10, 20, 50))] * 20 + [picture((60, 40, 70), background=90)] * 25


def test_shots_become_clips_each_with_its_own_sound(tmp_path):
    sound = np.concatenate([tone(0.8, 16000, 300), tone(1.0, 16000, 3000)], axis=1)
    video = make_clip(tmp_path / "v.mkv", two_shots(), sound=sound)
    made = make(video, tmp_path / "v")
    assert [(r.first_frame, r.frames) for r in made.records.values()] == [(0, 20), (20, 25)]
    assert crop_numbers(tmp_path / "v_1") == list(range(25))
    for name, hertz, seconds in (("v_0", 300, 0.8), ("v_1", 3000, 1.0)):
        wav = audio.load_wav(tmp_path / name / "audio.wav")
        assert len(wav) == round(seconds * 16000)
        assert np.argmax(np.abs(np.fft.rfft(wav))) / seconds == pytest.approx(hertz, abs=2)
    assert finished_clips(tmp_path / "v", "v.mkv") == made.records


def test_long_shots_are_split_into_equal_parts():
    boxes = np.zeros((110, 4))
    cuts = [n == 60 for n in range(110)]
    assert split(boxes, cuts, 1.0) == [(0, 20), (20, 40), (40, 60), (60, 85), (85, 110)]
    assert split(boxes, cuts, 0) == [(0, 60), (60, 110)]


def test_parts_with_too_few_faces_are_left_out():
    boxes = np.full((60, 4), np.nan)
    boxes[20:60] = 0
    cuts = [n in (30, 40) for n in range(60)]
    assert split(boxes, cuts, 0) == [(40, 60)]
    assert split(boxes[:35], cuts[:35], 0) == [(0, 35)]     # nothing else: the video as it is


def test_half_a_set_of_parts_is_made_again(tmp_path):
    video = clip(tmp_path / "v.mkv", two_shots())
    made = make(video, tmp_path / "v")
    (tmp_path / "v_0").rename(tmp_path / "elsewhere")
    assert finished_clips(tmp_path / "v", "v.mkv") is None
    assert not (tmp_path / "v_1").exists()
    assert make(video, tmp_path / "v") == made


def test_a_folder_appears_only_when_whole(tmp_path, monkeypatch):
    video = clip(tmp_path / "v.mp4", [picture((40, 30, 50))] * 20)

    def full_disk(*args) -> None:
        raise OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full_disk)
        with pytest.raises(OSError, match="No space"):
            make(video, tmp_path / "s" / "v")
    assert not (tmp_path / "s" / "v").exists()
    make(video, tmp_path / "s" / "v")       # what the first try left behind does not matter
    assert os.listdir(tmp_path / "s") == ["v"]
    assert len(crop_numbers(tmp_path / "s" / "v")) == 20


def test_another_videos_clip_is_not_replaced(tmp_path):
    make(clip(tmp_path / "v_0.mp4", [picture((40, 30, 50))] * 20), tmp_path / "v_0")
    with pytest.raises(ClipError, match="v_0 would replace"):
        make(clip(tmp_path / "v.mkv", two_shots()), tmp_path / "v")
    assert finished_clips(tmp_path / "v", "v.mkv") is None
    assert finished_clips(tmp_path / "v_0", "v_0.mp4")


def test_a_folder_of_the_original_is_left_alone(tmp_path):
    (tmp_path / "v").mkdir()
    assert finished_clips(tmp_path / "v", "v.mp4") == {}


@pytest.mark.parametrize("kind, message", [
    ("silent", "no audio stream"), ("text", "not a readable media file"), ("empty", "is empty"),
    ("faceless", "no face in any frame"), ("sound only", "no video stream")])
def test_a_video_that_gives_no_clip_is_one_line(tmp_path, kind, message):
    video = tmp_path / "v.mp4"
    if kind == "silent":
        make_clip(video, [picture((40, 30, 50))] * 20)
    elif kind == "faceless":
        clip(video, [picture()] * 20)
    elif kind == "sound only":
        video = make_clip(tmp_path / "v.wav", sound=tone(1, 16000))
    else:
        video.write_text("no video" if kind == "text" else "")
    with pytest.raises(InputError, match=message) as error:
        make(video, tmp_path / "v")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "v").exists()


def test_a_truncated_video_gives_what_can_be_decoded(tmp_path):
    """MPEG-TS has no index at its end, unlike mp4, which cannot be read at all when cut short."""
    frames = [picture((40, 30, 50), gray=150 + 2 * n) for n in range(40)]
    video = clip(tmp_path / "v.ts", frames, codec="mpeg2video", sound_codec="mp2")
    video.write_bytes(video.read_bytes()[:video.stat().st_size * 6 // 10])
    made = make(video, tmp_path / "v")
    assert 16 <= made.records["v"].frames < 40


@pytest.mark.parametrize("frames", [4, -4])
def test_sync_correction_moves_the_sound(tmp_path, monkeypatch, frames):
    """By its offset; a part's new sound comes from the video, not from zeros."""
    monkeypatch.setattr(clip_maker, "measure_offset", lambda *_: SyncOffset(frames, 0.5))
    levels = np.random.default_rng(0).uniform(-0.5, 0.5, 45).astype(np.float32)
    sound = np.repeat(levels, SAMPLES_PER_FRAME)[None]
    video = make_clip(tmp_path / "v.mkv", two_shots(), sound=sound)
    made = make(video, tmp_path / "v", expert="any")
    moved = np.roll(levels, -frames)
    moved[slice(-frames, None) if frames > 0 else slice(0, -frames)] = 0
    for name, part in (("v_0", moved[:20]), ("v_1", moved[20:])):
        wav = audio.load_wav(tmp_path / name / "audio.wav")
        np.testing.assert_allclose(wav[::SAMPLES_PER_FRAME], part, atol=1e-3)
        mel = np.load(tmp_path / name / "mel.npy")
        np.testing.assert_allclose(mel, audio.melspectrogram(wav), atol=0.001)
    assert made.records["v_0"].offset == frames


def test_sync_correction_moves_the_sound_by_less_than_a_frame(tmp_path, monkeypatch):
    monkeypatch.setattr(clip_maker, "measure_offset", lambda *_: SyncOffset(-0.3, 0.5))
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 20 * SAMPLES_PER_FRAME))
    video = make_clip(tmp_path / "v.mkv", two_shots()[:20], sound=np.float32(sound))
    made = make(video, tmp_path / "v", expert="any")
    wav = audio.load_wav(tmp_path / "v" / "audio.wav")
    np.testing.assert_allclose(wav[192:], sound[0, :-192], atol=1e-3)
    assert made.records["v"].offset == -0.3


def test_an_uncertain_clip_is_dropped(tmp_path, monkeypatch):
    offsets = iter([SyncOffset(0, 0.1), SyncOffset(1, 0.3)])
    monkeypatch.setattr(clip_maker, "measure_offset", lambda *_: next(offsets))
    video = clip(tmp_path / "v.mkv", two_shots())
    made = make(video, tmp_path / "v", expert="any", min_confidence=0.2)
    assert list(made.records) == ["v_1"]
    assert made.dropped == {"v_0": "sync confidence below --min_confidence"}
    assert made.offsets["v_0"].confidence == 0.1
    assert finished_clips(tmp_path / "v", "v.mkv") == made.records
