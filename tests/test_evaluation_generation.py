"""Generation from lists: whole mel windows, restarts, shares, failures, rules of real videos."""
import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from evaluation_clips import SIDE, face_clip, face_frames, noise, save_filled
from media_clips import frame_number, grey_frames, make_clip
from scipy.io import wavfile

from distributed import Ranks
from errors import InputError
from evaluation import gen_videos_from_filelist, generation, real_videos_inference
from evaluation.filelist import Pair
from evaluation.resized_source import ResizedSource, frame_shape, largest_factor, shrink_ratio
from face_detection import load_detector
from media import probe, read_frames
from models import SyncNet_color, Wav2Lip

ROOT = Path(__file__).parents[1]
ALONE = Ranks(0, 1, 0, torch.device("cpu"))
PAIRS = [Pair(n, f"a{n}", f"v{n}") for n in range(5)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_filled(Wav2Lip(0.125), tmp_path_factory.mktemp("weights") / "wav2lip.pth")


@pytest.fixture
def run(monkeypatch, weights, tmp_path):
    """Run a command over tmp_path/data, with its results in tmp_path/results."""
    def run_command(command, *flags: object) -> None:
        argv = ["generate", "--data_root", tmp_path / "data", "--results_dir",
                tmp_path / "results", "--checkpoint_path", weights, "--face_detector", "haar",
                "--device", "cpu", *flags]
        monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
        command.main()
    return run_command


def decoded(path: Path) -> int:
    return sum(1 for _ in read_frames(path))


@pytest.mark.parametrize("samples, windows", [
    # T = 1 + samples // 200 mel frames; frame n needs int(3.2·n) + 16 of them.
    (3000, 1), (3199, 1), (16000, 21), (19200, 26)])
def test_only_whole_windows_count(tmp_path, samples, windows):
    wavfile.write(tmp_path / "a.wav", 16000, np.zeros(samples, np.int16))
    mel_frames = 1 + samples // 200
    assert windows == sum(int(3.2 * n + 1e-9) + 16 <= mel_frames for n in range(100))
    assert generation.count_windows(tmp_path / "a.wav", 25) == windows


def test_sound_shorter_than_a_window(tmp_path):
    wavfile.write(tmp_path / "a.wav", 16000, np.zeros(2999, np.int16))
    with pytest.raises(InputError, match="shorter than one mel window"):
        generation.count_windows(tmp_path / "a.wav", 25)


def test_a_restart_makes_what_is_missing_and_tries_failures_again(tmp_path, capsys):
    calls = []

    def make(pair: Pair, outfile: Path, failing: tuple[int, ...] = (1, 3)) -> None:
        calls.append(pair.number)
        if pair.number in failing:
            raise InputError(f"{pair.video} has no face")
        outfile.touch()

    generation.generate(PAIRS, tmp_path, make, ALONE)
    assert calls == [0, 1, 2, 3, 4]
    generation.finish(PAIRS, tmp_path)
    assert capsys.readouterr().out.splitlines()[1:] == [
        "2 missing: scores will stand for the others only",
        "  1.mp4: v1 has no face", "  3.mp4: v3 has no face"]
    assert generation.lines_made(tmp_path) == (3, 5)
    assert generation.read_lines(tmp_path) == PAIRS

    calls.clear()
    generation.generate(PAIRS, tmp_path, lambda pair, out: make(pair, out, (3,)), ALONE)
    assert calls == [1, 3]
    generation.finish(PAIRS, tmp_path)
    assert "made 4 of 5" in capsys.readouterr().out


def test_results_of_another_run_are_not_taken_for_these(tmp_path):
    generation.generate(PAIRS, tmp_path, lambda *_: None, ALONE, {"weights": "a"})
    generation.generate(PAIRS, tmp_path, lambda *_: None, ALONE, {"weights": "a"})
    with pytest.raises(InputError, match="results of another list .5 lines, this one has 4"):
        generation.generate(PAIRS[1:], tmp_path, lambda *_: None, ALONE, {"weights": "a"})
    with pytest.raises(InputError, match="results with weights a, not b: choose another"):
        generation.generate(PAIRS, tmp_path, lambda *_: None, ALONE, {"weights": "b"})


def test_ranks_share_the_lines(tmp_path):
    for rank in (0, 1):
        made: list[int] = []
        ranks = Ranks(rank, 2, rank, torch.device("cpu"))
        generation.generate(PAIRS, tmp_path, lambda pair, _, m=made: m.append(pair.number), ranks)
        assert made == [[0, 2, 4], [1, 3]][rank]


def test_nothing_made_is_a_failure(tmp_path):
    with pytest.raises(SystemExit) as exit_:
        generation.finish(PAIRS, tmp_path)
    assert exit_.value.code == 1


def test_the_list_command_end_to_end(run, tmp_path, capsys):
    data = tmp_path / "data"
    face_clip(data / "p" / "long.mp4", 40)
    face_clip(data / "p" / "short.mp4", 20, rate=25, seed=1)
    make_clip(data / "silent.mp4", face_frames(10))
    make_clip(data / "landscape.mp4", [np.zeros((64, 64, 3), np.uint8)] * 30)
    (tmp_path / "list.txt").write_text(
        "p/short p/long\n" "p/long p/short\n" "silent p/long\n" "p/short landscape\n"
        "p/short nowhere\n")
    run(gen_videos_from_filelist, "--filelist", tmp_path / "list.txt")
    output = capsys.readouterr().out
    assert "made 1 of 5 videos" in output
    # 0.8 s, which AAC fills up to 13 · 1024 samples: 67 mel frames, 17 whole windows. The picture
    # beyond, 23 frames, is dropped.
    assert decoded(tmp_path / "results" / "0.mp4") == 17
    assert probe(tmp_path / "results" / "0.mp4").has_audio
    assert "1.mp4: " in output and "is shorter than the sound of" in output
    assert "no audio stream" in output and "nowhere.mp4" in output
    assert "no face" in output
    with open(tmp_path / "results" / "failed.csv", newline="") as file:
        assert [row[0] for row in csv.reader(file)] == ["1.mp4", "2.mp4", "3.mp4", "4.mp4"]


def test_torchrun_shares_the_lines(tmp_path, weights):
    for name in ("a", "b"):
        face_clip(tmp_path / f"{name}.mp4", 20)
    (tmp_path / "list.txt").write_text("a b\nb a\n")
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
         "gen_videos_from_filelist.py", "--filelist", tmp_path / "list.txt", "--data_root",
         tmp_path, "--results_dir", tmp_path / "results", "--checkpoint_path", weights,
         "--face_detector", "haar", "--device", "cpu"],
        cwd=ROOT / "evaluation", capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("made") == run.stdout.count("made 2 of 2") == 1
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == [
        "0.mp4", "1.mp4", "lines.csv", "settings.json"]


@pytest.mark.parametrize("script, network, message", [
    ("gen_videos_from_filelist.py", Wav2Lip, "no file list"),
    ("gen_videos_from_filelist.py", SyncNet_color, "holds a lip-sync expert")])
def test_a_users_mistake_is_one_line(tmp_path, script, network, message):
    save_filled(network(0.125), tmp_path / "weights.pth")
    if network is SyncNet_color:
        (tmp_path / "list.txt").write_text("a b\n")
    run = subprocess.run(
        [sys.executable, ROOT / "evaluation" / script, "--filelist", tmp_path / "list.txt",
         "--data_root", tmp_path, "--results_dir", tmp_path / "results", "--checkpoint_path",
         tmp_path / "weights.pth"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith(f"{script}: error: ") and message in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("face, short_side, factor", [
    (170, 2000, 1),     # 10 pixels off as it is, 95 when halved
    (300, 4000, 4),     # 120 off; a half, third, quarter: 30, 80, 105; a fifth is 120 off again
    (400, 2160, 4),     # a fifth would be 432 pixels, too small a frame
    (400, 1000, 2), (400, 900, 1)])
def test_factor_is_counted_up_while_the_face_is_nearer_than_at_first(face, short_side, factor):
    assert largest_factor(face, short_side, face_res=180, min_frame_res=480) == factor


def test_sizes_of_large_frames():
    assert shrink_ratio((1080, 1920), 720) == 1.5
    assert shrink_ratio((640, 480), 720) == 1
    assert frame_shape((1080, 1920), 1.5, 1) == (720, 1280)
    assert frame_shape((1081, 1923), 1, 2) == (540, 961)


@pytest.mark.parametrize("available, length", [(3, 7), (4, 5), (5, 10)])
def test_stretched_frames_are_repeated_evenly(tmp_path, available, length):
    make_clip(tmp_path / "v.mp4", grey_frames(available))
    source = ResizedSource(tmp_path / "v.mp4", 25.0, (64, 48)).stretched(length)
    numbers = [frame_number(frame) for frame in source.read()]
    repeats = [numbers.count(number) for number in range(available)]
    assert numbers == sorted(numbers) and sum(repeats) == length
    assert max(repeats) - min(repeats) <= 1


def test_a_source_that_is_long_enough_is_not_stretched(tmp_path):
    make_clip(tmp_path / "v.mp4", grey_frames(6))
    source = ResizedSource(tmp_path / "v.mp4", 25.0, (64, 48)).stretched(6)
    assert [frame_number(frame) for frame in source.read()] == list(range(6))


def test_open_resized_brings_the_face_to_its_size(tmp_path):
    make_clip(tmp_path / "v.mp4",
              [cv2.resize(frame, (1200, 1200)) for frame in face_frames(3)])
    rules = {"face_res": 180, "min_frame_res": 300, "max_frame_res": 960}
    source = real_videos_inference.open_resized(tmp_path / "v.mp4", load_detector("haar"), **rules)
    # 960 pixels first; the face, about 430 high there, is nearer at a half and at a third, and
    # 960 // 4 is below 300.
    assert source.size == (320, 320)
    assert next(source.read()).shape == (320, 320, 3)
    make_clip(tmp_path / "w.mp4", [np.zeros((600, 640, 3), np.uint8)] * 3)
    with pytest.raises(InputError, match="no face in its first second"):
        real_videos_inference.open_resized(tmp_path / "w.mp4", load_detector("haar"), **rules)


def test_a_frame_too_small_to_be_halved_needs_no_face(tmp_path):
    make_clip(tmp_path / "w.mp4", [np.zeros((480, 640, 3), np.uint8)] * 3)
    source = real_videos_inference.open_resized(
        tmp_path / "w.mp4", load_detector("haar"), face_res=1, min_frame_res=241,
        max_frame_res=480)
    assert source.size == (640, 480)


@pytest.mark.parametrize("mode, made, frames", [("random", "0 of 1", None), ("tts", "1 of 1", 21)])
def test_a_video_shorter_than_its_sound(run, tmp_path, capsys, mode, made, frames):
    data = tmp_path / "data"
    face_clip(data / "v.mp4", 12)
    wavfile.write(data / "speech.wav", 16000, (noise(1.0)[0] * 32767).astype(np.int16))
    (tmp_path / "list.txt").write_text("v.mp4 speech.wav\n")
    flags = ("--mode", mode, "--filelist", tmp_path / "list.txt")
    if frames is None:
        with pytest.raises(SystemExit):
            run(real_videos_inference, *flags)
    else:
        run(real_videos_inference, *flags)
        assert decoded(tmp_path / "results" / "0.mp4") == frames
    assert f"made {made} videos" in capsys.readouterr().out


def test_dubbed_takes_each_video_with_its_own_sound(run, tmp_path):
    face_clip(tmp_path / "data" / "x" / "one.mp4", 20)
    face_clip(tmp_path / "data" / "two.mov", 15, seconds=1.0)
    run(real_videos_inference, "--mode", "dubbed")
    assert generation.read_lines(tmp_path / "results") == [
        Pair(0, "two.mov", "two.mov"), Pair(1, "x/one.mp4", "x/one.mp4")]
    assert decoded(tmp_path / "results" / "0.mp4") == 15
    assert probe(tmp_path / "results" / "1.mp4").video.height == SIDE


@pytest.mark.parametrize("flags", [["--mode", "random"], ["--mode", "dubbed", "--filelist", "x"],
                                   ["--mode", "dubbed", "--face_res", "0"]])
def test_flags_that_do_not_fit_are_the_parsers_error(flags):
    needed = ["--results_dir", "r", "--data_root", "d", "--checkpoint_path", "c"]
    with pytest.raises(SystemExit) as exit_:
        real_videos_inference.parse_args([*needed, *flags])
    assert exit_.value.code == 2
