"""Lists are checked before training: counts by reason, and one line where nothing is usable."""
import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import audio
from clips import DataError, check_clips, listed_clips
from errors import InputError
from numbered_clips import write_clip


def test_report_counts_by_reason(tmp_path):
    write_clip(tmp_path / "p/good")
    write_clip(tmp_path / "p/short", n_frames=15)
    write_clip(tmp_path / "p/holes", missing=tuple(range(0, 30, 4)), n_frames=30)
    write_clip(tmp_path / "p/silent")
    (tmp_path / "p/silent/mel.npy").unlink()
    write_clip(tmp_path / "p/damaged")
    (tmp_path / "p/damaged/mel.npy").write_bytes(b"\x93NUMPY")
    names = ["good", "short", "holes", "silent", "damaged", "absent"]
    check = check_clips([str(tmp_path / "p" / name) for name in names], tmp_path)
    assert [clip.name for clip in check.clips] == ["p/good"]
    summary = check.summary()
    assert summary.startswith("1 of 6 clips, 0.00 hours; left out: ")
    for reason in ("1 with under 16 face crops", "1 without two windows of 5 crops in a row",
                   "1 without mel.npy or audio.wav", "1 with a damaged mel.npy or audio.wav",
                   f"1 with no folder (first: {tmp_path / 'p/absent'})"):
        assert reason in summary


def test_npy_headers_are_parsed_one_at_a_time(tmp_path, monkeypatch):
    """Python before 3.11.8 fails now and then where two threads parse them together."""
    folders = [str(tmp_path / f"p/{i}") for i in range(8)]
    for folder in folders:
        write_clip(Path(folder))
    loading, load = threading.Semaphore(1), np.load

    def checked_load(*args, **kwargs):
        assert loading.acquire(blocking=False), "another thread is loading"
        try:
            time.sleep(0.01)
            return load(*args, **kwargs)
        finally:
            loading.release()

    monkeypatch.setattr(np, "load", checked_load)
    assert len(check_clips(folders, tmp_path).clips) == 8


def test_nothing_usable_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing to train on.*2 with no folder"):
        check_clips([str(tmp_path / "a"), str(tmp_path / "b")], tmp_path)
    with pytest.raises(DataError, match="list of clips .* is empty"):
        check_clips([], tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        check_clips(["x"], tmp_path / "nowhere")


def test_missing_list(tmp_path):
    with pytest.raises(DataError, match="no list"):
        listed_clips(tmp_path, "train", tmp_path)


def test_list_in_another_encoding(tmp_path):
    (tmp_path / "train.txt").write_bytes("person/é".encode("utf-16"))
    with pytest.raises(DataError, match="train.txt is not UTF-8"):
        listed_clips(tmp_path, "train", tmp_path)


def test_mel_is_made_once_from_the_sound(tmp_path):
    """Folders of the original have no mel.npy; its length is told from audio.wav's header."""
    write_clip(tmp_path / "p/a")
    mel_path = tmp_path / "p/a/mel.npy"
    mel_path.unlink()
    wav = np.random.default_rng(0).uniform(-0.5, 0.5, 30 * 640).astype(np.float32)
    audio.save_wav(wav, tmp_path / "p/a/audio.wav")
    clip, = check_clips([str(tmp_path / "p/a")], tmp_path).clips
    mel = clip.load_mel()
    assert mel.shape == (80, clip.mel_frames) == (80, 97)
    # 16-bit sound and a float16 file: 1/500 of the mel's range.
    assert np.abs(mel - audio.melspectrogram(wav)).max() < 0.02
    assert np.array_equal(np.load(mel_path), mel)
    assert not list(mel_path.parent.glob(".mel*"))


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:len(data) // 2],
                                    lambda data: b"not a picture" * 20])
def test_damaged_jpg_is_named(tmp_path, damage):
    write_clip(tmp_path / "p/a")
    clip, = check_clips([str(tmp_path / "p/a")], tmp_path).clips
    path = tmp_path / "p/a/3.jpg"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match="a/3.jpg is a damaged JPEG"):
        clip.load_crops()
    path.unlink()
    with pytest.raises(DataError, match="a/3.jpg cannot be read"):
        clip.load_crops()


def test_damaged_mel_is_named(tmp_path):
    write_clip(tmp_path / "p/a")
    clip, = check_clips([str(tmp_path / "p/a")], tmp_path).clips
    path = tmp_path / "p/a/mel.npy"
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DataError, match="mel.npy is damaged"):
        clip.load_mel()


def test_margin_is_read_from_the_data_set(tmp_path):
    write_clip(tmp_path / "p/a")
    (tmp_path / "preprocess.json").write_text(json.dumps({"margin": 0.25}))
    clip, = check_clips([str(tmp_path / "p/a")], tmp_path).clips
    assert clip.load_crops(0, 5).shape == (5, 144, 144, 3)
    (tmp_path / "preprocess.json").write_text("{")
    with pytest.raises(InputError, match="preprocess.json is damaged"):
        check_clips([str(tmp_path / "p/a")], tmp_path)


def test_error_of_a_worker_process_stays_one_line():
    passed_on = "Caught DataError in DataLoader worker process 0.\nTraceback\nclips.DataError: x"
    assert str(DataError(passed_on)) == "x"
