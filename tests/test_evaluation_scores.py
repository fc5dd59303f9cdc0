"""The scoring commands on small videos: rows, means, pictures, and every kind of bad video."""
import csv
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from evaluation_clips import face_clip, face_frames, noise, save_filled, syncnet_file
from fill_weights import fill
from media_clips import make_clip

from audio import load_wav
from evaluation.scores_LSE import calculate_scores_LRS, calculate_scores_real_videos
from evaluation.scores_LSE.score_table import Row, ScoreTable, summary
from evaluation.scores_LSE.SyncNetInstance_calc_scores import lse, syncnet_features
from evaluation.scores_LSE.SyncNetModel import S
from media import read_frames
from models import SyncNet_color, Wav2Lip

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return syncnet_file(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run a command on a folder; its rows by video."""
    def run_command(command, data_root: Path, *flags: object) -> dict[str, dict[str, str]]:
        argv = ["score", "--data_root", data_root, "--results_dir", tmp_path / "results",
                "--face_detector", "haar", "--device", "cpu", *flags]
        monkeypatch.setattr(sys, "argv", [str(word) for word in argv])
        command.main()
        with open(tmp_path / "results" / "scores.csv", newline="") as file:
            return {row["video"]: row for row in csv.DictReader(file)}
    return run_command


def scores_by_hand(path: Path) -> tuple[int, float, float]:
    frames = [cv2.resize(frame, (224, 224)) for frame in read_frames(path, fps=25)]
    wav = np.round(load_wav(path) * 32768).astype(np.int16)
    return lse(*syncnet_features(fill(S()), np.stack(frames), wav), 15)


def test_face_clips_get_their_scores_and_the_means(run, weights, tmp_path, capsys):
    clips = tmp_path / "my clips"
    face_clip(clips / "a.mp4", 10)
    face_clip(clips / "p 1" / "b.mp4", 12, seed=1)
    rows = run(calculate_scores_LRS, clips, "--initial_model", weights)
    assert list(rows) == ["a.mp4", "p 1/b.mp4"]
    for name, row in rows.items():
        offset, confidence, distance = scores_by_hand(clips / name)
        assert int(row["offset"]) == offset
        assert float(row["lse_d"]) == pytest.approx(distance, rel=1e-5)
        assert float(row["lse_c"]) == pytest.approx(confidence, abs=1e-5 * distance)
        assert row["network"] == "syncnet_v2" and row["note"] == ""
    assert [row["frames"] for row in rows.values()] == ["10", "12"]
    lines = (tmp_path / "results" / "all_scores.txt").read_text().splitlines()
    assert lines == [f"{row['lse_d']} {row['lse_c']}" for row in rows.values()]
    mean = np.mean([float(row["lse_d"]) for row in rows.values()])
    output = capsys.readouterr().out
    assert f"Average Minimum Distance (LSE-D, syncnet_v2): {mean:.4f}" in output
    assert "scored 2 of 2 videos" in output


def test_bad_videos_are_named_and_counted(run, weights, tmp_path, capsys):
    clips = tmp_path / "clips"
    face_clip(clips / "good.mp4", 8)
    make_clip(clips / "silent.mp4", face_frames(8))
    face_clip(clips / "five.mp4", 5)
    (clips / "text.mp4").write_text("not a video")
    (clips / "empty.mp4").touch()
    rows = run(calculate_scores_LRS, clips, "--initial_model", weights)
    reasons = {name: row["note"] for name, row in rows.items()}
    assert "no audio stream" in reasons["silent.mp4"]
    assert "a score needs 6 frames" in reasons["five.mp4"]
    assert all(len(reasons[name]) > 10 for name in ("text.mp4", "empty.mp4"))
    assert reasons["good.mp4"] == "" and rows["good.mp4"]["lse_d"] != ""
    output = capsys.readouterr().out
    assert "scored 1 of 5 videos" in output and "4 without a score" in output
    assert all(name in output for name in reasons if name != "good.mp4")
    assert len((tmp_path / "results" / "all_scores.txt").read_text().splitlines()) == 1


def test_a_clip_in_which_no_face_is_seen_is_scored_and_noted(run, weights, tmp_path, capsys):
    face_clip(tmp_path / "clips" / "b.mp4", 8)
    gray = [np.full((64, 64, 3), 90, np.uint8)] * 8
    make_clip(tmp_path / "clips" / "a.mp4", gray, rate=30, sound=noise(8 / 30), sound_codec="aac")
    rows = run(calculate_scores_LRS, tmp_path / "clips", "--initial_model", weights)
    assert rows["a.mp4"]["note"] == (
        "converted from 30 to 25 frames a second; no face seen in it")
    assert rows["a.mp4"]["lse_d"] != "" and rows["b.mp4"]["note"] == ""
    assert "2 face tracks, 1 of them with a note" in capsys.readouterr().out


def test_where_nothing_can_be_scored_no_result_is_left(run, weights, tmp_path):
    clips, results = tmp_path / "clips", tmp_path / "results"
    clips.mkdir()
    make_clip(clips / "x.mp4", face_frames(8))
    results.mkdir()
    (results / "all_scores.txt").write_text("6.5 7.8\n")     # of an earlier run
    with pytest.raises(SystemExit) as exit_:
        run(calculate_scores_LRS, clips, "--initial_model", weights)
    assert exit_.value.code == 1
    assert not (results / "all_scores.txt").exists()
    assert "no audio stream" in (results / "scores.csv").read_text()


def test_another_frame_rate_is_converted_and_said(run, weights, tmp_path):
    face_clip(tmp_path / "clips" / "fast.mp4", 12, rate=30)
    row = run(calculate_scores_LRS, tmp_path / "clips", "--initial_model", weights)["fast.mp4"]
    assert row["frames"] == "10"    # 0.4 s
    assert row["note"] == "converted from 30 to 25 frames a second"


def test_a_real_video_is_scored_by_track(run, weights, tmp_path):
    landscape = np.zeros((320, 320, 3), np.uint8)
    sound = noise(1.8)
    mirrored = [frame[:, ::-1].copy() for frame in face_frames(20)]
    frames = face_frames(20) + [landscape] * 5 + mirrored
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "cut.mp4", frames, sound=sound, sound_codec="aac")
    make_clip(tmp_path / "clips" / "empty.mp4", [landscape] * 10, sound=noise(0.4),
              sound_codec="aac")
    run(calculate_scores_real_videos, tmp_path / "clips", "--initial_model", weights,
        "--min_track", 15, "--min_face_size", 60, "--pictures", tmp_path / "pictures")
    with open(tmp_path / "results" / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["track"], row["first_frame"], row["frames"])
            for row in rows[:2]] == [("cut.mp4", "0", "0", "20"), ("cut.mp4", "1", "25", "20")]
    assert rows[2]["note"] == "no face in any of its 10 frames"
    for name in ("cut.mp4_0_offset.png", "cut.mp4_0_frames.png", "cut.mp4_1_offset.png",
                 "cut.mp4_1_frames.png"):
        assert cv2.imread(str(tmp_path / "pictures" / name)) is not None
    assert cv2.imread(str(tmp_path / "pictures" / "cut.mp4_0_frames.png")).shape == (288, 768, 3)


def test_a_face_that_does_not_stay_is_an_error_that_says_so(run, weights, tmp_path):
    face_clip(tmp_path / "clips" / "short.mp4", 12)
    with pytest.raises(SystemExit):
        run(calculate_scores_real_videos, tmp_path / "clips", "--initial_model", weights)
    note = (tmp_path / "results" / "scores.csv").read_text()
    assert "stays for over 100 frames (a face in 12 of 12 frames, 1 shots)" in note


def test_the_expert_judges_and_the_rows_say_so(run, tmp_path, capsys):
    expert = save_filled(SyncNet_color(0.25), tmp_path / "expert.pth")
    face_clip(tmp_path / "clips" / "a.mp4", 12)
    for command, flags in [(calculate_scores_LRS, ()),
                           (calculate_scores_real_videos, ("--min_track", 10,
                                                           "--min_face_size", 60))]:
        row = run(command, tmp_path / "clips", "--expert", expert, *flags)["a.mp4"]
        assert row["network"] == "expert"
        assert 0 <= float(row["lse_d"]) <= np.sqrt(2)
        assert "LSE-D, expert" in capsys.readouterr().out


def test_a_clip_without_a_face_for_the_expert(run, tmp_path):
    expert = save_filled(SyncNet_color(0.25), tmp_path / "expert.pth")
    (tmp_path / "clips").mkdir()
    make_clip(tmp_path / "clips" / "a.mp4", [np.zeros((64, 64, 3), np.uint8)] * 8,
              sound=noise(0.32), sound_codec="aac")
    with pytest.raises(SystemExit):
        run(calculate_scores_LRS, tmp_path / "clips", "--expert", expert)
    assert "no face in any of its 8 frames" in (tmp_path / "results" / "scores.csv").read_text()


def test_a_run_that_made_part_of_its_list_is_told_by_the_score(run, weights, tmp_path, capsys):
    clips = tmp_path / "clips"
    face_clip(clips / "0.mp4", 8)
    (clips / "lines.csv").write_text("number,audio,video\n0,a,b\n1,b,c\n2,c,a\n")
    run(calculate_scores_LRS, clips, "--initial_model", weights)
    assert "1 of the 3 that the file list asks for" in capsys.readouterr().out


@pytest.mark.parametrize("prepare, message", [
    (lambda path: None, "no SyncNet weights at"),
    (lambda path: save_filled(Wav2Lip(0.25), path), "holds a Wav2Lip generator"),
    (lambda path: path.write_text("<!DOCTYPE html>"), "is a web page, not weights")])
def test_bad_weights_end_the_command_with_one_line(tmp_path, prepare, message):
    prepare(tmp_path / "model")
    face_clip(tmp_path / "clips" / "a.mp4", 8)
    run = subprocess.run(
        ["sh", ROOT / "evaluation/scores_LSE/calculate_scores_real_videos.sh", tmp_path / "clips",
         "--initial_model", tmp_path / "model"],
        cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHON": sys.executable, "PATH": "/bin"})
    assert run.returncode == 2
    assert run.stderr.startswith("calculate_scores_real_videos.py: error: ")
    assert message in run.stderr and len(run.stderr.splitlines()) == 1
    assert not (tmp_path / "scores.csv").exists()


def test_a_track_without_enough_sound_has_a_row_without_scores(tmp_path):
    row = Row("v.mp4", "syncnet_v2", 3, note="too short")
    with ScoreTable(tmp_path) as table:
        table.add(row)
        assert not (tmp_path / "all_scores.txt").exists()
        lines = (tmp_path / "scores.csv").read_text().splitlines()
    assert lines[1] == "v.mp4,syncnet_v2,3,,,,,,too short"
    assert "v.mp4 track 3: too short" in summary(table.rows)
