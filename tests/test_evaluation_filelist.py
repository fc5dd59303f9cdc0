"""Pair lists: reading and drawing them, and the clips and videos of a folder."""
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from errors import InputError
from evaluation.filelist import Pair, draw_pairs, find_clips, find_videos, read_pairs

ROOT = Path(__file__).parents[1]
CLIPS = [f"p{i % 3}/{i:05d}" for i in range(9)]


def test_pairs_are_never_of_one_clip_and_use_every_picture_equally():
    pairs = draw_pairs(CLIPS, 27, seed=0)
    assert [pair.number for pair in pairs] == list(range(27))
    assert all(pair.audio != pair.video for pair in pairs)
    assert set(Counter(pair.video for pair in pairs).values()) == {3}
    assert {pair.audio for pair in pairs} <= set(CLIPS)


def test_a_seed_decides_whatever_the_order_of_the_clips():
    assert draw_pairs(CLIPS, 9, seed=1) == draw_pairs(CLIPS[::-1], 9, seed=1)
    assert draw_pairs(CLIPS, 9, seed=1) != draw_pairs(CLIPS, 9, seed=2)


def test_the_only_other_clip_is_drawn():
    assert {(pair.audio, pair.video) for pair in draw_pairs(["a", "b"], 2, 0)} == {
        ("a", "b"), ("b", "a")}
    with pytest.raises(InputError, match="needs the sound of another clip"):
        draw_pairs(["a", "a"], 2, 0)


def test_lists_are_read_in_both_orders(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("x/1 y/2\n\nz/3 x/1\n")
    assert read_pairs(path) == [Pair(0, "x/1", "y/2"), Pair(2, "z/3", "x/1")]
    assert read_pairs(path, video_first=True)[0] == Pair(0, "y/2", "x/1")


@pytest.mark.parametrize("text, message", [
    ("a b\nc\n", "line 2: 'c' has 1 names"), ("\n", "has no line"), (None, "no file list")])
def test_bad_lists(tmp_path, text, message):
    path = tmp_path / "list.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(path)


def test_videos_of_a_folder(tmp_path):
    for name in ("b.MP4", "sub/a.avi", ".hidden/c.mp4", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in find_videos(tmp_path)] == ["b.MP4", "a.avi"]
    with pytest.raises(InputError, match="no folder"):
        find_videos(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no video in"):
        find_videos(tmp_path / "empty")


def test_clips_are_videos_or_preprocessed_folders(tmp_path):
    (tmp_path / "raw/p").mkdir(parents=True)
    (tmp_path / "raw/p/00001.mp4").touch()
    assert find_clips(tmp_path / "raw") == ["p/00001"]
    (tmp_path / "done/p/00002").mkdir(parents=True)
    (tmp_path / "done/p/00002/audio.wav").touch()
    assert find_clips(tmp_path / "done") == ["p/00002"]
    with pytest.raises(InputError, match="no .mp4 and no preprocessed clip"):
        find_clips(tmp_path / "raw/p/00001.mp4")


def draw(*flags: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "draw_pairs.py", *flags], cwd=ROOT / "evaluation",
                          capture_output=True, text=True)


def make_files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_command_writes_the_published_format(tmp_path):
    make_files(tmp_path / "main", *(f"{clip}.mp4" for clip in CLIPS))
    output = tmp_path / "lists" / "pairs.txt"
    run = draw("--data_root", tmp_path / "main", "--output", output)
    assert run.returncode == 0, run.stderr
    lines = [line.split(" ") for line in output.read_text().splitlines()]
    assert sorted(video for _, video in lines) == sorted(CLIPS)
    assert {audio for audio, _ in lines} <= set(CLIPS)


def test_lists_for_real_videos_name_the_video_first_and_the_endings(tmp_path):
    make_files(tmp_path / "videos", "a.mp4", "sub/b.avi")
    run = draw("--data_root", tmp_path / "videos", "--output", tmp_path / "list.txt",
               "--kind", "real_videos", "--count", "4")
    assert run.returncode == 0, run.stderr
    pairs = read_pairs(tmp_path / "list.txt", video_first=True)
    assert Counter(pair[1:] for pair in pairs) == {
        ("sub/b.avi", "a.mp4"): 2, ("a.mp4", "sub/b.avi"): 2}
    assert (tmp_path / "list.txt").read_text().split()[0] == pairs[0].video


@pytest.mark.parametrize("name, flags, message", [
    ("a.mp4", ["--split", "nosuch"], "no list"),
    ("my clip.mp4", [], "rename what has a space"),
    ("a.mp4", ["--count", "0"], "must be at least 1"),
    ("a.mp4", ["--split", "test", "--kind", "real_videos"], "without their endings")])
def test_what_cannot_be_drawn_is_one_line(tmp_path, name, flags, message):
    make_files(tmp_path, name, "b.mp4")
    run = draw("--data_root", tmp_path, "--output", tmp_path / "list.txt", *flags)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr and message in run.stderr.splitlines()[-1]
    assert not (tmp_path / "list.txt").exists()
