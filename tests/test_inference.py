"""From face and voice to a finished file, on clips made here from the bundled portrait."""
import json
import logging
import math
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from fill_weights import fill
from media_clips import make_clip, set_display_matrix, tone

import audio
import generator
import inference
import media
import pipeline
from checkpoint import load_model
from errors import InputError, run_script
from face_detection import load_detector
from faces import crop_face
from inference import lip_sync
from models import Wav2Lip

ROOT = Path(__file__).parent.parent
PORTRAIT = ROOT / "examples" / "portrait.jpg"
SIZE = (320, 240)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    """A light generator with reproducible weights."""
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    safetensors.torch.save_file(fill(Wav2Lip(width=0.0625)).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def voice(tmp_path_factory) -> Path:
    """1.5 s of sound that changes all the time."""
    path = tmp_path_factory.mktemp("voice") / "voice 1.5.wav"
    audio.save_wav(np.random.default_rng(1).uniform(-0.3, 0.3, 24000), path)
    return path


def scene(*faces: tuple[int, int, int], size=SIZE) -> np.ndarray:
    """A wall with the portrait's head pasted at (x, y, height) for each face."""
    frame = cv2.resize(np.random.default_rng(7).integers(60, 120, (12, 16, 3), np.uint8), size,
                       interpolation=cv2.INTER_CUBIC)
    head = cv2.imread(str(PORTRAIT))[10:250, 120:330]
    for x, y, height in faces:
        small = cv2.resize(head, (height * 7 // 8, height), interpolation=cv2.INTER_AREA)
        frame[y:y + height, x:x + small.shape[1]] = small[:size[1] - y, :size[0] - x]
    return frame


@pytest.fixture(scope="module")
def talk(tmp_path_factory) -> Path:
    """A second of a head moving to the right, 25 frames a second."""
    return make_clip(tmp_path_factory.mktemp("clips") / "it's a “talk” é.v2.mp4",
                     [scene((40 + 3 * i, 30, 160)) for i in range(25)])


@pytest.fixture
def encoded(monkeypatch) -> list[np.ndarray]:
    """The frames as they reach the encoder."""
    frames = []
    write = media.VideoWriter.write
    monkeypatch.setattr(media.VideoWriter, "write",
                        lambda self, frame: (frames.append(frame.copy()), write(self, frame))[1])
    return frames


def read(path) -> list[np.ndarray]:
    return list(media.read_frames(path))


def changed_columns(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.flatnonzero((before != after).any(axis=(0, 2)))


def published_frames(source, wav, weights, box, fps):
    """SPEC section 4 with --box, --nosmooth and a hard paste, written down independently; only the
    windows inside the sound, of which the published scripts' last differs."""
    top, bottom, left, right = box
    mel = audio.melspectrogram(wav)
    network = Wav2Lip.from_state_dict(weights).eval()
    results, i = [], 0
    while int(i * 80 / fps) + 16 <= mel.shape[1]:
        frame = source[i % len(source)].copy()
        start = int(i * 80 / fps)
        face = cv2.resize(frame[top:bottom, left:right], (96, 96))
        masked = face.copy()
        masked[48:] = 0
        x = np.concatenate([masked, face], axis=2).transpose(2, 0, 1)[None] / 255.0
        with torch.no_grad():
            g = network(torch.FloatTensor(mel[None, None, :, start:start + 16]),
                        torch.FloatTensor(x))
        drawn = (g[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
        frame[top:bottom, left:right] = cv2.resize(drawn, (right - left, bottom - top))
        results.append(frame)
        i += 1
    return results


def test_hard_paste_in_a_fixed_box_is_what_the_published_script_does(
        talk, voice, checkpoint, tmp_path, encoded):
    box = (40, 171, 60, 167)
    report = lip_sync(talk, voice, tmp_path / "out.mp4", checkpoint=checkpoint, box=box,
                      nosmooth=True, blend="none", precision="fp32", device="cpu")
    expected = published_frames(read(talk), audio.load_wav(voice),
                                safetensors.torch.load_file(checkpoint), box, 25)
    assert report.frames == len(encoded) == math.ceil(1.5 * 25) and len(expected) == 34
    for ours, theirs in zip(encoded, expected):
        # Values on the edge between two levels may be truncated either way.
        assert np.abs(ours.astype(int) - theirs).max() <= 2


def test_the_result_follows_the_face_and_leaves_the_rest(talk, voice, checkpoint, tmp_path,
                                                         encoded):
    outfile = tmp_path / "new folder" / "a.b 'c' é.mp4"
    report = lip_sync(talk, voice, outfile, checkpoint=checkpoint, device="cpu")
    assert report.frames == report.frames_with_face == 38
    assert report.first_without_face is None
    source = read(talk)
    left = []
    for i, frame in enumerate(encoded):
        before = source[i % 25]
        columns = changed_columns(before, frame)
        rows = np.flatnonzero((before != frame).any(axis=(1, 2)))
        left.append(columns[0])
        # The portrait's mouth is at row 123 here, its chin at 147, its eyes at 95.
        assert 98 < rows[0] < 120 and 142 < rows[-1] < 165
        head = 40 + 3 * (i % 25)
        assert head - 10 < columns[0] and columns[-1] < head + 150
    assert 3 * 20 < left[24] - left[0] < 3 * 28      # moved with the head
    info = media.probe(outfile)
    assert info.has_audio and (info.video.width, info.video.height) == SIZE
    assert abs(info.duration - 38 / 25) < 0.05
    assert os.listdir(outfile.parent) == [outfile.name]


def test_the_sound_starts_with_the_picture(talk, checkpoint, tmp_path):
    click = np.zeros(16000, np.float32)
    click[8000:8040] = 0.9
    audio.save_wav(click, tmp_path / "click.wav")
    lip_sync(talk, tmp_path / "click.wav", tmp_path / "out.mp4", checkpoint=checkpoint,
             box=(40, 171, 60, 167))
    sound = audio.load_wav(tmp_path / "out.mp4")
    assert abs(int(np.argmax(np.abs(sound))) - 8020) < 80       # 5 ms


@pytest.mark.parametrize("select, columns", [("left", (0, 150)), ("right", (170, 320)),
                                             ("largest", (170, 320))])
def test_one_of_two_faces_is_chosen(select, columns, voice, checkpoint, tmp_path, encoded):
    clip = make_clip(tmp_path / "two.mp4", [scene((10, 60, 120), (185, 40, 145))] * 10)
    lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint, face_select=select)
    touched = changed_columns(read(clip)[5], encoded[5])
    assert columns[0] <= touched[0] and touched[-1] < columns[1]


def test_frames_without_a_face_pass_through_and_are_reported(voice, checkpoint, tmp_path, encoded,
                                                             caplog):
    shots = [scene((80, 30, 160))] * 12 + [scene()] * 20 + [scene((80, 30, 160))] * 6
    clip = make_clip(tmp_path / "gap.mp4", shots)
    report = lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint)
    source = read(clip)
    untouched = [i for i in range(38) if (encoded[i] == source[i]).all()]
    assert report.first_without_face == untouched[0] == 12
    assert report.frames_with_face == 38 - len(untouched) == 18
    assert "no face in 20 of 38 frames" in caplog.text and "first: frame 12" in caplog.text
    assert "20 frames without a face" in str(report)
    with pytest.raises(InputError, match=r"no face in 20 of 38 frames of .*gap.mp4 \(first: frame 12"):
        lip_sync(clip, voice, tmp_path / "b.mp4", checkpoint=checkpoint, on_no_face="error")
    assert not (tmp_path / "b.mp4").exists()


def test_a_cut_moves_the_box_at_once(voice, checkpoint, tmp_path, encoded):
    second = cv2.flip(scene((30, 50, 170)), 1) // 2 + 100
    clip = make_clip(tmp_path / "cut.mp4", [scene((20, 30, 150))] * 19 + [second] * 19)
    lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint)
    source = read(clip)
    before, after = (changed_columns(source[i], encoded[i]) for i in (18, 19))
    assert before[-1] < 160 < after[0]


def test_the_search_sees_small_frames_and_finds_full_boxes(voice, checkpoint, tmp_path, encoded):
    clip = make_clip(tmp_path / "big.mp4", [cv2.resize(scene((80, 30, 160)), (960, 720))] * 38)
    seen = []

    class Square:
        name, tracks = "square", False

        def detect(self, images):
            seen.extend(image.shape for image in images)
            return [np.array([[100, 60, 200, 180, 1]], np.float32)] * len(images)

    lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint, face_detector=Square(),
             det_size=320, blend="none", pads=(0, 0, 0, 0))
    assert seen == [(240, 320, 3)] * 38
    columns = changed_columns(read(clip)[9], encoded[9])
    assert columns[0] == 300 and columns[-1] == 599


def test_rotation_metadata_is_honoured(talk, voice, checkpoint, tmp_path):
    sideways = [cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE) for frame in read(talk)]
    clip = make_clip(tmp_path / "phone.mp4", sideways)
    set_display_matrix(clip, 0, 1, -1, 0)       # to be shown turned 90° clockwise
    report = lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint)
    assert report.frames_with_face == 38
    video = media.probe(tmp_path / "out.mp4").video
    assert (video.width, video.height) == SIZE


def test_rotate_crop_and_resize_come_in_the_published_order(talk, voice, checkpoint, tmp_path):
    sideways = [cv2.rotate(frame, cv2.ROTATE_90_COUNTERCLOCKWISE) for frame in read(talk)]
    clip = make_clip(tmp_path / "big.mp4", [cv2.resize(f, None, fx=2, fy=2) for f in sideways])
    report = lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint, rotate=True,
                      resize_factor=2, crop=(10, -1, 20, 300))
    video = media.probe(tmp_path / "out.mp4").video
    assert (video.width, video.height) == (280, 230) and report.frames_with_face == 38


def test_variable_frame_rate_keeps_time(voice, checkpoint, tmp_path, encoded):
    times = [0, 0.04, 0.2, 0.24, 0.6, 0.64, 0.68, 0.9, 1.1, 1.3, 1.46]
    clip = make_clip(tmp_path / "vfr.mkv", [scene((20 + 10 * i, 30, 160))
                                            for i in range(len(times))], times=times)
    fps = media.probe(clip).video.fps
    report = lip_sync(clip, voice, tmp_path / "out.mp4", checkpoint=checkpoint)
    assert report.frames == math.ceil(1.5 * fps)
    for i in range(report.frames):
        shown = max(n for n, t in enumerate(times) if t <= i / fps + 0.5 / fps)
        columns = changed_columns(encoded[i], scene((20 + 10 * shown, 30, 160)))
        assert len(columns)
        head = 20 + 10 * shown
        wall = np.abs(encoded[i][:, :max(head - 25, 0)].astype(int)
                      - scene()[:, :max(head - 25, 0)])
        assert wall.size == 0 or wall.max() < 40


def test_fifty_seconds_of_sound_on_two_of_video(checkpoint, tmp_path, encoded):
    clip = make_clip(tmp_path / "short.mp4", [cv2.resize(scene((40 + i, 30, 160)), (160, 120))
                                              for i in range(20)], rate=10)
    sound = make_clip(tmp_path / "long.mkv", sound=tone(50.0, 16000))
    report = lip_sync(clip, sound, tmp_path / "out.mp4", checkpoint=checkpoint)
    assert report.frames == report.frames_with_face == 500
    source = read(clip)
    for i in (0, 19, 20, 333, 499):
        np.testing.assert_array_equal(encoded[i][:40], source[i % 20][:40])
    assert abs(media.probe(tmp_path / "out.mp4").duration - 50) < 0.1


def test_a_picture_speaks(voice, checkpoint, tmp_path):
    report = lip_sync(PORTRAIT, voice, tmp_path / "out.mkv", checkpoint=checkpoint, fps=30)
    assert report.frames == report.frames_with_face == 45
    frames = read(tmp_path / "out.mkv")
    assert len(frames) == 45 and frames[0].shape == (512, 512, 3)
    assert media.probe(tmp_path / "out.mkv").video.fps == pytest.approx(30)
    original = cv2.imread(str(PORTRAIT)).astype(int)
    assert np.abs(frames[20][300:].astype(int) - original[300:]).mean() < 3     # H.264's own loss


def test_static_uses_the_first_frame(talk, voice, checkpoint, tmp_path, encoded):
    lip_sync(talk, voice, tmp_path / "out.mp4", checkpoint=checkpoint, static=True)
    assert len(encoded) == 38
    assert all((frame[:100] == encoded[0][:100]).all() for frame in encoded)


def test_silence_and_sound_shorter_than_a_window_work(talk, checkpoint, tmp_path):
    audio.save_wav(np.zeros(1600), tmp_path / "0.1s.wav")
    report = lip_sync(talk, tmp_path / "0.1s.wav", tmp_path / "out.mp4", checkpoint=checkpoint)
    assert report.frames == 3 and len(read(tmp_path / "out.mp4")) == 3


def test_a_second_voice_needs_no_search(talk, voice, checkpoint, tmp_path, encoded):
    options = dict(checkpoint=checkpoint, cache_dir=tmp_path / "cache")
    lip_sync(talk, voice, tmp_path / "a.mp4", **options)

    class Blind:
        name, tracks = "haar", False

        def detect(self, images):
            pytest.fail("searched again")

    lip_sync(talk, voice, tmp_path / "b.mp4", **options, face_detector=Blind())
    assert all((a == b).all() for a, b in zip(encoded[:38], encoded[38:], strict=True))


def test_one_model_and_detector_serve_many_calls(talk, voice, checkpoint, tmp_path, encoded):
    from generator import LipGenerator
    generator = LipGenerator.load(checkpoint, torch.device("cpu"), "fp32")
    for name in ("a", "b"):
        lip_sync(talk, voice, tmp_path / f"{name}.mp4", checkpoint=generator,
                 face_detector=load_detector("haar"))
    assert all((a == b).all() for a, b in zip(encoded[:38], encoded[38:], strict=True))


def write_text_as_video(folder):
    (folder / "text.mp4").write_text("no video, just text\n" * 50)


def write_empty(folder):
    (folder / "empty.mp4").write_bytes(b"")


def write_sound_only(folder):
    make_clip(folder / "sound.mp4", sound=tone(1.0, 16000), sound_codec="aac")


def write_faceless(folder):
    make_clip(folder / "wall.mp4", [scene()] * 10)


def write_html(folder):
    (folder / "page.pth").write_text("<!DOCTYPE html><html>")


BAD_INPUT = [
    ({"--face": "missing.mp4"}, None, "missing.mp4"),
    ({"--audio": "missing.wav"}, None, "missing.wav"),
    ({"--checkpoint_path": "missing.pth"}, None, "no weight file missing.pth"),
    ({"--checkpoint_path": "page.pth"}, write_html, "page.pth is a web page"),
    ({"--face": "empty.mp4"}, write_empty, "empty.mp4"),
    ({"--face": "text.mp4"}, write_text_as_video, "text.mp4"),
    ({"--audio": "text.mp4"}, write_text_as_video, "text.mp4"),
    ({"--face": "sound.mp4"}, write_sound_only, "no video stream"),
    ({"--audio": "wall.mp4"}, write_faceless, "no audio stream"),
    ({"--face": "wall.mp4"}, write_faceless, "no face in 10 of 10 frames of wall.mp4"),
    ({"--face": "."}, None, "is a folder|is a directory"),
    ({"--box": "0 300 0 100"}, None, r"--box 0 300 0 100 .* outside the frame of 320x240"),
    ({"--box": "50 50 0 100"}, None, "is empty"),
    ({"--crop": "0 -1 400 500"}, None, r"--crop 0 -1 400 500 .* is empty or outside"),
    ({"--pads": "0 -400 0 0"}, None, "leave nothing of the face box"),
    ({"--outfile": "out.xyz"}, None, "unknown container '.xyz'"),
    ({"--outfile": "talk.mp4"}, None, "is one of the inputs"),
    ({"--outfile": "file/out.mp4"}, lambda folder: (folder / "file").write_text(""), "file"),
    ({"--fps": "0"}, None, "--fps: '0' is not a number above 0"),
    ({"--fps": "-5"}, None, "--fps"),
    ({"--wav2lip_batch_size": "0"}, None, "--wav2lip_batch_size: '0'"),
    ({"--face_det_batch_size": "-1"}, None, "--face_det_batch_size"),
    ({"--face_detector": "sfd", "--s3fd_path": "none.pth"}, None, "no S3FD weights at none.pth"),
    ({"--static": "perhaps"}, None, "neither true nor false"),
    ({"--precision": "fp16", "--device": "cpu"}, None, "fp16 needs a GPU"),
]


@pytest.mark.parametrize("flags, prepare, message", BAD_INPUT, ids=[m for *_, m in BAD_INPUT])
def test_bad_input_gets_one_line_and_leaves_nothing(flags, prepare, message, talk, voice,
                                                    checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("talk.mp4").write_bytes(talk.read_bytes())
    if prepare:
        prepare(tmp_path)
    before = sorted(os.listdir())
    given = {"--checkpoint_path": str(checkpoint), "--face": "talk.mp4", "--audio": str(voice),
             "--outfile": "new/out.mp4", "--cache_dir": ""} | flags
    words = [word for flag, value in given.items()
             for word in [flag, *(value.split() if flag in ("--box", "--crop", "--pads") else
                                  [value])]]
    monkeypatch.setattr(sys, "argv", ["inference.py", *words])
    with pytest.raises(SystemExit) as stop:
        run_script(inference.main)
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("inference.py: error: ")
    assert re.search(message, last), last
    left = [name for name in sorted(os.listdir()) if name not in before]
    assert left in ([], ["new"]) and not (left and os.listdir("new"))


def test_truncated_video_is_used_as_far_as_it_goes(talk, voice, checkpoint, tmp_path):
    clip = make_clip(tmp_path / "whole.mkv", read(talk))
    (tmp_path / "cut off.mkv").write_bytes(clip.read_bytes()[:clip.stat().st_size * 2 // 3])
    report = lip_sync(tmp_path / "cut off.mkv", voice, tmp_path / "out.mp4", checkpoint=checkpoint)
    assert report.frames == report.frames_with_face == 38


def command(*words) -> list[str]:
    return [sys.executable, str(ROOT / "inference.py"), *map(str, words)]


@pytest.mark.parametrize("name, width, megabytes", [
    ("wav2lip_light.safetensors", 0.375, 12), ("wav2lip_full.safetensors", 1.0, 80)])
def test_the_weights_that_come_along_are_generators_of_the_promised_size(name, width, megabytes):
    path = ROOT / "checkpoints" / name
    assert path.stat().st_size <= megabytes * 1e6
    assert load_model(path, Wav2Lip).width == width


def test_without_weights_given_the_projects_own_draw(
        talk, voice, checkpoint, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(generator, "own_weights", lambda device: checkpoint)
    lip_sync(talk, voice, tmp_path / "own.mkv", n_frames=10)
    lip_sync(talk, voice, tmp_path / "given.mkv", n_frames=10, checkpoint=checkpoint)
    assert caplog.text.count(f"drawing with {checkpoint.name}") == 1
    for frame, same in zip(*map(read, (tmp_path / "own.mkv", tmp_path / "given.mkv")), strict=True):
        np.testing.assert_array_equal(frame, same)


@pytest.mark.parametrize("options, aligned", [
    ({}, True), ({"pads": (0, 10, 0, 0)}, False), ({"box": (30, 150, 40, 130)}, False)])
def test_a_face_is_aligned_for_weights_that_hide_the_mouth(talk, voice, tmp_path, monkeypatch,
                                                           options, aligned):
    """They must have it where they hide it; pads and boxes that a user gives stay as given."""
    given = []
    monkeypatch.setattr(pipeline, "crop_face",
                        lambda frame, place: given.append(place) or crop_face(frame, place))
    model = fill(Wav2Lip(width=0.0625))
    for hides in (False, True):
        path = tmp_path / f"{hides}.safetensors"
        if hides:
            model.hide_mouth()
        safetensors.torch.save_file(model.state_dict(), path)
        given.clear()
        lip_sync(talk, voice, tmp_path / "result.mp4", checkpoint=path, n_frames=4,
                 cache_dir=tmp_path / "cache", **options)
        assert len(given) == 4
        assert all(isinstance(place, np.ndarray) == (hides and aligned) for place in given)


def test_a_user_without_a_home_keeps_no_detections(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert inference.parse_args(["--face", "a", "--audio", "b", "--checkpoint_path", "c"]
                                ).cache_dir == ""


def test_a_name_that_the_terminal_cannot_show_is_no_failure(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from errors import run_script\n"
                      "run_script(lambda: print('out \\udcff.mp4: done'))\n")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True,
                         env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert run.returncode == 0 and run.stdout == "out \\udcff.mp4: done\n"


def test_help_does_not_wait_for_torch():
    probe = ("import sys, runpy; sys.argv = ['inference.py', '--help']\n"
             "try: runpy.run_path('inference.py', run_name='__main__')\n"
             "except SystemExit: print('torch' in sys.modules, 'cv2' in sys.modules)")
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.splitlines()[-1] == "False False"
    for flag in ("--checkpoint_path", "--resize_factor", "--blend", "--on_no_face"):
        assert flag in run.stdout


def test_a_full_disk_is_one_line_and_leaves_nothing(talk, voice, checkpoint, tmp_path):
    """A limit on the size of files stands for the full disk: the same failing write."""
    run = subprocess.run(
        command("--checkpoint_path", checkpoint, "--face", talk, "--audio", voice,
                "--outfile", tmp_path / "out.mp4", "--cache_dir", "", "--crf", 0),
        capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)))
    assert run.returncode == 2, run.stderr
    assert "inference.py: error:" in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr and os.listdir(tmp_path) == []


def test_ctrl_c_leaves_no_half_file(checkpoint, talk, tmp_path):
    sound = make_clip(tmp_path / "long.mkv", sound=tone(600.0, 8000), sound_rate=8000)
    process = subprocess.Popen(
        command("--checkpoint_path", checkpoint, "--face", talk, "--audio", sound,
                "--outfile", tmp_path / "out" / "a.mp4", "--cache_dir", ""),
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").glob(".*")) and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "Traceback" not in errors
    assert os.listdir(tmp_path / "out") == []


def test_report_can_be_kept_as_data(talk, voice, checkpoint, tmp_path):
    report = lip_sync(talk, voice, tmp_path / "out.mp4", checkpoint=checkpoint)
    assert json.dumps(report.seconds)
    assert {"decode", "find faces", "generate", "paste", "encode", "total"} <= report.seconds.keys()
    assert report.size == (tmp_path / "out.mp4").stat().st_size
