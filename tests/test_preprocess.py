"""preprocess.py as users run it: bad files among good ones, kills, ranks, and the same result."""
import contextlib
import hashlib
import io
import json
import logging
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from evaluation_clips import face_clip
from fill_weights import fill
from media_clips import grey_frames, make_clip

import checkpoint
import preprocess
from clips import check_clips
from errors import InputError, run_script
from filelists import find_clips
from gpu_server import GpuServer
from models import SyncNet_color

ROOT = Path(__file__).parent.parent
CLIPS = {f"s{n % 2}/{n:05}" for n in range(4)}


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Four good videos of two speakers, and three that give no clip."""
    root = tmp_path_factory.mktemp("videos")
    for n in range(4):
        face_clip(root / f"s{n % 2}" / f"{n:05}.mp4", 20 + n, seed=n)
    make_clip(root / "s0" / "mute one.mp4", grey_frames(10))
    (root / "s1" / "no,video.mkv").write_text("text")
    (root / "s1" / "00001.webm").write_bytes((root / "s1" / "00001.mp4").read_bytes())
    (root / "readme.txt").write_text("no video")
    return root


def command(videos: Path, out: Path, *options: object) -> list[str]:
    return [sys.executable, str(ROOT / "preprocess.py"), "--data_root", str(videos),
            "--preprocessed_root", str(out), "--face_detector", "haar", "--device", "cpu",
            "--workers", "1", *map(str, options)]


def run(videos: Path, out: Path, *options: object) -> None:
    """The script's main, here: a process of its own would import torch once more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command(videos, out, *options)[1:])
        patch.setattr(logging, "basicConfig", lambda **_: None)
        preprocess.main()


def contents(root: Path) -> dict[str, str]:
    """File name → hash of what is in it, for everything under a folder."""
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def reference(videos, tmp_path_factory) -> tuple[Path, str]:
    """An uninterrupted run: the preprocessed root and what was printed."""
    root = tmp_path_factory.mktemp("reference") / "new" / "root"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        run(videos, root)
    return root, printed.getvalue()


def test_good_videos_become_clips_that_training_takes(reference):
    root, printed = reference
    assert set(find_clips(root)) == CLIPS
    check = check_clips([str(root / name) for name in CLIPS], root)
    assert [len(clip.frames) for clip in sorted(check.clips, key=lambda c: c.folder.name)] == [
        20, 21, 22, 23]
    assert "4 clips, 86 frames, 100.0% with a face, 0.00 hours" in printed
    settings = json.loads((root / "preprocess.json").read_text())
    assert (settings["margin"], settings["fps"], settings["detector"]) == (0, 25, "haar")


def test_bad_videos_are_named_with_their_reason(reference):
    root, printed = reference
    lines = dict(line.split(": ", 1)
                 for line in (root / "failed.txt").read_text().splitlines())
    assert set(lines) == {"s0/mute_one", "s1/no_video", "s1/00001.webm"}
    assert lines["s0/mute_one"].startswith("has no audio stream")
    assert lines["s1/no_video"].startswith("is not a readable media file")
    assert lines["s1/00001.webm"] == "another video has the same name but for its ending"
    assert f"failed: 1 {lines['s0/mute_one']}" in printed


def test_finished_clips_are_skipped_and_failed_ones_tried_again(videos, reference, tmp_path,
                                                                capsys):
    root = shutil.copytree(reference[0], tmp_path / "out")
    repaired = shutil.copytree(videos, tmp_path / "videos")
    face_clip(repaired / "s0" / "mute one.mp4", 20)
    run(repaired, root)
    printed = capsys.readouterr().out
    assert "4 videos were finished before" in printed
    assert "5 clips, 106 frames, 100.0% with a face" in printed
    assert set(find_clips(root)) == CLIPS | {"s0/mute_one"}
    assert "mute_one" not in (root / "failed.txt").read_text()
    for name in CLIPS:
        assert contents(root / name) == contents(reference[0] / name)


def test_an_interrupted_run_is_completed_by_the_next(videos, reference, tmp_path):
    """Ended in the middle of work, by Ctrl-C after a clip and by kill -9 after the next."""
    root = tmp_path / "out"
    for finished, end in ((1, signal.SIGINT), (2, signal.SIGKILL)):
        process = subprocess.Popen(command(videos, root), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while len(list(root.glob("s*/0*"))) < finished:
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.01)
        process.send_signal(end)
        _, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        assert process.returncode == (130 if end == signal.SIGINT else -signal.SIGKILL)
        for folder in root.glob("s*/[0-9]*"):
            assert contents(folder) == contents(reference[0] / folder.relative_to(root))
    run(videos, root)
    assert contents(root) == contents(reference[0])


def test_two_ranks_make_what_one_does(videos, reference, tmp_path, monkeypatch):
    root = tmp_path / "out"
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (1, 0):
        monkeypatch.setenv("RANK", str(rank))
        run(videos, root)
        if rank == 1:
            assert 0 < len(find_clips(root)) < 4
    assert contents(root) == contents(reference[0])


def test_sync_correction_writes_the_offsets(videos, tmp_path, monkeypatch):
    """The same whether the expert lives in the worker or, as with a GPU, in a server."""
    expert = tmp_path / "expert.pth"
    checkpoint.save(expert, {"state_dict": fill(SyncNet_color(width=0.125)).state_dict()})
    here, served = tmp_path / "here", tmp_path / "served"
    run(videos, here, "--sync_correct", expert, "--min_confidence", "0")
    monkeypatch.setattr(preprocess, "start_gpu_servers",
                        lambda *_: [GpuServer("cpu", None, None, expert)])
    run(videos, served, "--sync_correct", expert, "--min_confidence", "0")
    assert contents(here) == contents(served)
    lines = (here / "offsets.csv").read_text().splitlines()
    assert lines[0] == "clip,offset,confidence,kept"
    assert {line.split(",")[0] for line in lines[1:]} == CLIPS
    for line in lines[1:]:
        name, offset, confidence, kept = line.split(",")
        record = json.loads((here / name / "clip.json").read_text())
        assert record["offset"] == float(offset) and kept == "yes"
        assert record["confidence"] == pytest.approx(float(confidence), abs=1e-4)


@pytest.mark.parametrize("problem", ["missing", "empty", "all bad", "other settings",
                                     "wrong expert", "sfd without weights"])
def test_what_cannot_be_done_is_one_line_and_exit_code_2(videos, reference, tmp_path, problem,
                                                         capsys):
    root, options = tmp_path / "out", []
    own = tmp_path / "videos"
    if problem != "missing":
        own.mkdir()
    if problem == "all bad":
        make_clip(own / "a.mp4", grey_frames(10))
    if problem == "other settings":
        own, root, options = videos, reference[0], ["--margin", "0.25"]
    if problem == "wrong expert":
        own, options = videos, ["--sync_correct", str(videos / "readme.txt")]
    if problem == "sfd without weights":
        own, options = videos, ["--face_detector", "sfd", "--s3fd_path", str(tmp_path / "no.pth")]
    with pytest.raises(SystemExit) as exit_:
        run_script(lambda: run(own, root, *options))
    assert exit_.value.code == 2
    message = [line for line in capsys.readouterr().err.splitlines() if "error:" in line]
    expected = {"missing": "no such folder", "empty": "holds no video",
                "all bad": "no clip could be made", "other settings": "margin 0.0 (now 0.25)",
                "wrong expert": "no readable weight file", "sfd without weights": "no S3FD weights"}
    assert len(message) == 1 and expected[problem] in message[0]


@pytest.mark.parametrize("options", [["--workers", "0"], ["--margin", "-1"], ["--ngpu", "0"],
                                     ["--max_seconds", "-5"], ["--max_seconds", "nan"],
                                     ["--margin", "inf"]])
def test_impossible_flags_are_the_parsers_errors(options, capsys):
    with pytest.raises(SystemExit) as exit_:
        preprocess.parse_args(["--data_root", "a", "--preprocessed_root", "b", *options])
    assert exit_.value.code == 2
    assert re.search(f"{options[0]}: .* is not a (whole )?number of at least",
                     capsys.readouterr().err)


def test_videos_are_found_at_any_depth_largest_first(tmp_path):
    sizes = {"a/b/c/one.MP4": 10, "two.mkv": 30, "a/three.webm": 20, "a/.hidden.mp4": 5,
             "a/notes.txt": 50}
    for name, size in sizes.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    (tmp_path / "a" / "broken link.mp4").symlink_to("nowhere")
    found = preprocess.find_videos(tmp_path, tmp_path / "out", preprocess.Report())
    assert [source.name for source in found] == ["two.mkv", "a/three.webm", "a/b/c/one.MP4",
                                                      "a/broken link.mp4"]
    assert found[2].clip(tmp_path / "out") == "a/b/c/one"


def test_the_settings_are_checked_against_the_first_run(tmp_path):
    preprocess.note_settings(tmp_path, {"margin": 0.0})
    preprocess.note_settings(tmp_path, {"margin": 0.0})
    with pytest.raises(InputError, match="margin 0.0 .now 0.5."):
        preprocess.note_settings(tmp_path, {"margin": 0.5})
    (tmp_path / "preprocess.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        preprocess.note_settings(tmp_path, {"margin": 0.0})
