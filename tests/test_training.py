"""The training scripts from flags to checkpoints, on drawn faces whose mouths follow sound."""
import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import audio
import audio_encoder_train
import checkpoint
import color_syncnet_train
import hq_wav2lip_train
import shape_expert_train
import wav2lip_train
from checkpoint import CheckpointError
from drawn_clips import SAMPLES_PER_FRAME, draw_data_set
from errors import InputError
from losses import cosine_loss
from models import ShapeWav2Lip, SoundToShape, SyncNet_color, Wav2Lip, Wav2Lip_disc_qual
from mouth_shape import SHAPE, SHAPE_FILE
from precision import NonFiniteError

ROOT = Path(__file__).parent.parent
# Little of everything; the optimiser's step still changes every loss from one step to the next.
SMALL = ("num_workers=0,syncnet_batch_size=4,syncnet_eval_batches=2,batch_size=2,eval_batches=2,"
         "hq_eval_batches=2,grouped_clips=2,grouped_windows=2")
GENERATORS = [wav2lip_train, hq_wav2lip_train]


@pytest.fixture(autouse=True)
def signal_handlers():
    """Training takes SIGTERM and Ctrl-C over; give them back."""
    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> list[str]:
    """Flags that name a small data set."""
    root = tmp_path_factory.mktemp("drawn")
    draw_data_set(root / "data", root / "lists", n_train=40, n_val=8)
    return ["--data_root", str(root / "data"), "--filelist_root", str(root / "lists"),
            "--width", "0.0625", "--device", "cpu", "--log_interval", "1"]


@pytest.fixture(scope="module")
def expert(tmp_path_factory) -> str:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("expert") / "expert.pth"
    checkpoint.save(path, SyncNet_color(0.0625).state_dict())
    return str(path)


def metrics(folder: Path) -> list[dict[str, str]]:
    with open(folder / "metrics.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"}
                for row in csv.DictReader(file)]


def test_expert_learns_in_a_minute(data, tmp_path):
    """From chance, 0.693, to well below on clips it has not seen."""
    hp = ("num_workers=0,syncnet_batch_size=32,syncnet_eval_batches=8,syncnet_lr=2e-3,"
          "syncnet_eval_interval=30,min_negative_offset=3")
    color_syncnet_train.main([*data, "--checkpoint_dir", str(tmp_path), "--max_steps", "120",
                              "--cache_frames", "--hparams", hp])
    losses = [float(row["val_loss"]) for row in metrics(tmp_path) if row["val_loss"]]
    assert losses[-1] < 0.6
    best = checkpoint.load(tmp_path / "best.pth")
    assert best["best"] == pytest.approx(min(losses), rel=1e-4)
    assert checkpoint.load_model(tmp_path / "best.pth", SyncNet_color).width == 0.0625


@pytest.mark.parametrize("loss", [[], ["--warm_start_steps", "3"],
                                  ["--warm_start_steps", "3", "--all_pairs"]])
def test_expert_resumes_exactly(data, tmp_path, loss):
    hp = SMALL + ",flip=0.5,mel_noise=0.1,lr_warmup_steps=4,lr_decay_steps=9,weight_decay=0.1"
    flags = [*data, "--hparams", hp, *loss]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    color_syncnet_train.main([*flags, "--checkpoint_dir", str(whole), "--max_steps", "5"])
    color_syncnet_train.main([*flags, "--checkpoint_dir", str(halves), "--max_steps", "2"])
    color_syncnet_train.main([*flags, "--checkpoint_dir", str(halves), "--max_steps", "5",
                              "--checkpoint_path", str(halves / "checkpoint_step000000002.pth")])
    assert_same_run(whole, halves, "checkpoint_step000000005.pth")
    assert_ended(color_syncnet_train, [*flags, "--checkpoint_path",
                                       str(whole / "checkpoint_step000000005.pth")], halves)


@pytest.mark.parametrize("script", GENERATORS)
def test_generator_resumes_exactly_with_its_sync_weight(data, expert, tmp_path, script):
    """A target of 100 switches the weight on at step 1; only the checkpoint remembers it."""
    hp = SMALL + ",sync_loss_target=100,syncnet_wt_on=0.02,hq_syncnet_wt_on=0.02"
    flags = [*data, "--syncnet_checkpoint_path", expert, "--hparams", hp]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    script.main([*flags, "--checkpoint_dir", str(whole), "--max_steps", "4"])
    script.main([*flags, "--checkpoint_dir", str(halves), "--max_steps", "2"])
    resume = ["--checkpoint_path", str(halves / "checkpoint_step000000002.pth")]
    names = ["checkpoint_step000000004.pth"]
    if script is hq_wav2lip_train:
        resume += ["--disc_checkpoint_path", str(halves / "disc_checkpoint_step000000002.pth")]
        names.append("disc_checkpoint_step000000004.pth")
    script.main([*flags, *resume, "--checkpoint_dir", str(halves), "--max_steps", "4"])
    for name in names:
        assert_same_run(whole, halves, name)
    weights = [float(row["syncnet_wt"]) for row in metrics(whole)]
    assert weights == [0, 0.02, 0.02, 0.02]
    assert_ended(script, [*flags, *resume], halves)


def assert_ended(script: ModuleType, flags: list[str], folder: Path) -> None:
    """A training that has taken more than the steps asked for does not go on for ever."""
    with pytest.raises(CheckpointError, match="already, --max_steps is 1"):
        script.main([*flags, "--checkpoint_dir", str(folder), "--max_steps", "1"])


def assert_same_run(whole: Path, halves: Path, last: str) -> None:
    assert [row["loss"] for row in metrics(whole)] == [row["loss"] for row in metrics(halves)]
    a, b = (checkpoint.load(folder / last) for folder in (whole, halves))
    assert all(torch.equal(a["state_dict"][key], b["state_dict"][key]) for key in a["state_dict"])


@pytest.mark.parametrize("script", GENERATORS)
def test_total_loss_is_the_recipe(data, expert, tmp_path, script):
    hp = SMALL + ",syncnet_wt=0.03,disc_wt=0.07"
    script.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir", str(tmp_path),
                 "--max_steps", "2", "--hparams", hp])
    for row in metrics(tmp_path):
        l1, sync, loss = (float(row[name]) for name in ("l1", "sync", "loss"))
        expected = 0.97 * l1 + 0.03 * sync
        if script is hq_wav2lip_train:
            expected = 0.03 * sync + 0.07 * float(row["perceptual"]) + 0.9 * l1
        assert sync > 0 and loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("script", GENERATORS)
def test_the_mouth_counts_beside_the_face_as_often_as_asked(data, expert, tmp_path, script):
    """The first step's total over the recipe's, with the weight 1 and with 3."""
    rows = []
    for weight in (0, 1, 3):
        folder = tmp_path / str(weight)
        script.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir", str(folder),
                     "--max_steps", "1", "--hparams", f"{SMALL},disc_wt=0.07,mouth_wt={weight}"])
        rows.append({name: float(metrics(folder)[0][name]) for name in ("l1", "loss")})
    recipe, once, thrice = rows
    assert recipe["l1"] == once["l1"] == thrice["l1"]
    mouth = (once["loss"] - recipe["loss"]) / (0.93 if script is hq_wav2lip_train else 1)
    assert 0.2 * recipe["l1"] < mouth < 5 * recipe["l1"]
    assert (thrice["loss"] - recipe["loss"]) == pytest.approx(3 * (once["loss"] - recipe["loss"]),
                                                              rel=1e-3)


def test_the_discriminators_features_count_as_often_as_asked(data, expert, tmp_path):
    losses = []
    for weight in (0, 0.1, 0.3):
        folder = tmp_path / str(weight)
        hq_wav2lip_train.main([
            *data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir", str(folder),
            "--max_steps", "1", "--hparams", f"{SMALL},disc_wt=0.07,feature_wt={weight}"])
        losses.append(float(metrics(folder)[0]["loss"]))
    without, once, thrice = losses
    assert once - without > 1e-3
    assert thrice - without == pytest.approx(3 * (once - without), rel=1e-3)


@pytest.mark.parametrize("script", GENERATORS)
@pytest.mark.parametrize("gray", [False, True])
def test_the_critics_see_gray_faces_if_asked(data, expert, tmp_path, monkeypatch, script, gray):
    shown, sync_loss, judge = [], script.get_sync_loss, Wav2Lip_disc_qual.forward
    monkeypatch.setattr(script, "get_sync_loss", lambda syncnet, mel, g:
                        shown.append(g.detach()) or sync_loss(syncnet, mel, g))
    monkeypatch.setattr(Wav2Lip_disc_qual, "forward", lambda self, faces:
                        shown.append(faces.detach()) or judge(self, faces))
    hp = f"{SMALL},syncnet_wt=0.03,gray_critics={gray}"
    script.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir", str(tmp_path),
                 "--max_steps", "1", "--hparams", hp])
    assert len(shown) > 1
    assert {bool(torch.allclose(faces[:, 0], faces[:, 2])) for faces in shown} == {gray}


def test_generator_leaves_checkpoints_and_collages(data, expert, tmp_path):
    hq_wav2lip_train.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir",
                           str(tmp_path), "--max_steps", "2", "--hparams", SMALL])
    for step in (1, 2):
        assert len(list((tmp_path / f"samples_step{step:09d}").glob("*.jpg"))) == 2
        name = f"checkpoint_step{step:09d}.pth"
        assert checkpoint.load_model(tmp_path / name, Wav2Lip).width == 0.0625
        checkpoint.load_model(tmp_path / f"disc_{name}", Wav2Lip_disc_qual)


def test_expert_stays_frozen_and_is_judged_first(data, expert, tmp_path, caplog):
    before = checkpoint.load(expert)
    with caplog.at_level("INFO"):
        wav2lip_train.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir",
                            str(tmp_path), "--max_steps", "1", "--hparams",
                            SMALL + ",syncnet_wt=0.5"])
    assert "expert" in caplog.text and "no better than chance" in caplog.text
    assert all(torch.equal(before[key], value) for key, value in checkpoint.load(expert).items())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_trains(data, expert, tmp_path, precision):
    hq_wav2lip_train.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir",
                           str(tmp_path), "--max_steps", "2", "--precision", precision,
                           "--channels_last", "--hparams", SMALL + ",syncnet_wt=0.03"])
    saved = checkpoint.load(tmp_path / "checkpoint_step000000002.pth")["state_dict"]
    floats = [value for value in saved.values() if value.is_floating_point()]
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in floats)


def test_loss_that_is_not_finite_stops_without_a_checkpoint(data, tmp_path, monkeypatch):
    calls = iter([1.0, 1.0, float("nan")])
    monkeypatch.setattr(color_syncnet_train, "cosine_loss",
                        lambda a, v, y: next(calls) * cosine_loss(a, v, y))
    with pytest.raises(NonFiniteError, match=r"loss is nan at step 3, samples person/\d+@"):
        color_syncnet_train.main([*data, "--checkpoint_dir", str(tmp_path), "--max_steps", "5",
                                  "--hparams", SMALL])
    assert [path.name for path in tmp_path.glob("*.pth")] == ["checkpoint_step000000001.pth"]


def test_hint_on_the_plateau(data, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(color_syncnet_train, "_PLATEAU_STEPS", 2)
    monkeypatch.setattr(color_syncnet_train, "cosine_loss",
                        lambda a, v, y: 0.69 + 0 * cosine_loss(a, v, y))
    for flag, shown in (("--plateau_hint", True), ("--no-plateau_hint", False)):
        caplog.clear()
        color_syncnet_train.main([*data, flag, "--checkpoint_dir", str(tmp_path / flag),
                                  "--max_steps", "2", "--hparams", SMALL])
        assert ("Still at chance (0.690) after 2 steps" in caplog.text) == shown


def start_expert(data: list[str], folder: Path, *, launcher: tuple[str, ...] = (),
                 steps: str = "100000", hp: str = SMALL) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *launcher, str(ROOT / "color_syncnet_train.py"), *data,
         "--checkpoint_dir", str(folder), "--max_steps", steps, "--hparams", hp],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
        start_new_session=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_all_processes_saves_and_exits(data, tmp_path, number):
    """As a shell's Ctrl-C and a scheduler's kill do, it reaches the loader's workers as well."""
    process = start_expert(data, tmp_path, hp=SMALL + ",num_workers=1")
    while not list(tmp_path.glob("checkpoint*.pth")):
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    *_, newest = sorted(tmp_path.glob("checkpoint*.pth"))
    assert checkpoint.load(newest)["global_step"] == int(metrics(tmp_path)[-1]["step"]) > 1


def test_two_processes_train_together(data, tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    process = start_expert(data, tmp_path, launcher=launcher, steps="2")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert [row["step"] for row in metrics(tmp_path)] == ["1", "2"]
    saved = checkpoint.load(tmp_path / "checkpoint_step000000002.pth")
    assert saved["samples"] == 2 * 2 * 4
    assert not any(key.startswith("module.") for key in saved["state_dict"])


def test_mistakes_end_with_one_line(data, expert, tmp_path):
    process = start_expert(["--data_root", str(tmp_path / "none"), *data[2:]], tmp_path / "out")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    last = errors.strip().splitlines()
    assert len(last) == 1 and "error: --data_root" in last[0] and "no such folder" in last[0]


@pytest.mark.parametrize("flags, message", [
    (["--filelist_root", "/nowhere"], "no list /nowhere/train.txt"),
    (["--syncnet_checkpoint_path", "/nowhere.pth"], "no weight file /nowhere.pth"),
    (["--checkpoint_path", "EXPERT"], "holds a lip-sync expert .* but a Wav2Lip generator is"),
    (["--disc_checkpoint_path", "EXPERT"], "a visual-quality discriminator is needed"),
])
def test_wrong_files_are_named(data, expert, tmp_path, flags, message):
    flags = [expert if flag == "EXPERT" else flag for flag in flags]
    with pytest.raises(InputError, match=message):
        hq_wav2lip_train.main([*data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir",
                               str(tmp_path), "--hparams", SMALL, *flags])


@pytest.mark.parametrize("flags", [
    "--width 0.3", "--width 0", "--width nan", "--max_steps 0", "--log_interval 0",
    "--keep_last -1", "--seed -1", "--hparams syncnet_batch_size=0", "--hparams eval_interval=0",
    "--hparams num_workers=-1", "--hparams syncnet_lr=nan"])
def test_impossible_numbers_are_the_flags_mistake(data, flags, capsys):
    flag, value = flags.split()
    with pytest.raises(SystemExit) as stopped:
        color_syncnet_train.parse_args([*data, "--checkpoint_dir", "x", f"{flag}={value}"])
    assert stopped.value.code == 2 and f"argument {flag}: " in capsys.readouterr().err


def test_unknown_hyper_parameter_is_the_flags_mistake(data, capsys):
    with pytest.raises(SystemExit) as stopped:
        wav2lip_train.parse_args([*data, "--checkpoint_dir", "x", "--syncnet_checkpoint_path", "y",
                                  "--hparams", "learning=1"])
    assert stopped.value.code == 2
    assert "argument --hparams: hparams: 'learning=1' is not name=value" in capsys.readouterr().err


@pytest.fixture(scope="module")
def shaped_data(data) -> list[str]:
    """The same data set, whose sound tells the mouth's shape: all parts are its opening."""
    root = Path(data[data.index("--data_root") + 1])
    for folder in sorted((root / "person").iterdir()):
        sound = audio.load_wav(folder / "audio.wav")
        level = np.abs(sound).reshape(-1, SAMPLES_PER_FRAME).mean(1)
        np.save(folder / SHAPE_FILE, level[:, None] * np.array(list(SHAPE.values())) * 8)
    return data


@pytest.mark.parametrize("script", GENERATORS)
def test_a_generator_learns_mouths_told_by_shape_and_then_by_sound(shaped_data, expert, tmp_path,
                                                                   script):
    shaped, ear = tmp_path / "shaped", tmp_path / "ear"
    hp = SMALL + ",mouth_shapes=True,sample_frames=2,sync_loss_target=0,shape_noise=0.1"
    script.main([*shaped_data, "--syncnet_checkpoint_path", expert, "--hparams", hp,
                 "--checkpoint_dir", str(shaped), "--max_steps", "2"])
    generator = shaped / "checkpoint_step000000002.pth"
    with pytest.raises(InputError, match="told mouth shapes"):
        checkpoint.load_model(generator, Wav2Lip)
    hp = ("num_workers=0,grouped_clips=16,grouped_windows=6,eval_batches=2,eval_interval=40,"
          "initial_learning_rate=3e-3")
    flags = [*shaped_data, "--generator_checkpoint_path", str(generator), "--hparams", hp,
             "--checkpoint_dir", str(ear)]
    audio_encoder_train.main([*flags, "--max_steps", "80"])
    learnt = [float(row["r_opening"]) for row in metrics(ear) if row["r_opening"]]
    assert len(learnt) == 2 and learnt[-1] > 0.9
    made = checkpoint.load_model(ear / "wav2lip.pth", Wav2Lip)
    ear_network = checkpoint.load_model(ear / "checkpoint_step000000080.pth", SoundToShape)
    mel, face = torch.rand(2, 1, 80, 16), torch.rand(2, 6, 96, 96)
    shaped_network = checkpoint.load_model(generator, ShapeWav2Lip)
    with torch.no_grad():
        torch.testing.assert_close(made(mel, face), shaped_network(ear_network(mel), face),
                                   rtol=0, atol=1e-5)


def test_a_shape_expert_learns_to_see_mouths_and_a_generator_is_held_to_it(shaped_data, expert,
                                                                           tmp_path):
    seeing = tmp_path / "seeing"
    shape_expert_train.main([
        *shaped_data, "--checkpoint_dir", str(seeing), "--max_steps", "60", "--cache_frames",
        "--hparams", "num_workers=0,batch_size=16,eval_batches=2,eval_interval=30,"
                     "initial_learning_rate=3e-3"])
    learnt = [float(row["r_opening"]) for row in metrics(seeing) if row["r_opening"]]
    assert len(learnt) == 2 and learnt[-1] > 0.9
    losses = []
    for weight in (0, 0.1, 0.3):
        folder = tmp_path / str(weight)
        hq_wav2lip_train.main([
            *shaped_data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir", str(folder),
            "--shape_expert_checkpoint_path", str(seeing / "best.pth"), "--max_steps", "1",
            "--hparams", f"{SMALL},shape_wt={weight}"])
        losses.append(float(metrics(folder)[0]["loss"]))
    without, once, thrice = losses
    assert once - without > 1e-3
    assert thrice - without == pytest.approx(3 * (once - without), rel=1e-3)
    with pytest.raises(InputError, match="a network that sees the mouth's shape is needed"):
        hq_wav2lip_train.main([
            *shaped_data, "--syncnet_checkpoint_path", expert, "--checkpoint_dir", str(tmp_path),
            "--shape_expert_checkpoint_path", expert, "--max_steps", "1", "--hparams", SMALL])


def test_a_narrow_ear_learns_what_wide_ones_tell_and_not_the_shapes(shaped_data, tmp_path):
    """Of two teachers that tell 0.5 and 2.5 of every sound it learns 1.5."""
    generator = tmp_path / "generator.pth"
    checkpoint.save(generator, ShapeWav2Lip(0.0625).state_dict())
    teachers = []
    for told in (0.5, 2.5):
        teacher = SoundToShape(0.125)
        torch.nn.init.zeros_(teacher.head.weight)
        torch.nn.init.constant_(teacher.head.bias, told)
        teachers.append(str(tmp_path / f"{told}.pth"))
        checkpoint.save(teachers[-1], teacher.state_dict())
    flags = [*shaped_data, "--generator_checkpoint_path", str(generator), "--checkpoint_dir",
             str(tmp_path), "--max_steps", "60", "--hparams",
             "num_workers=0,grouped_clips=16,eval_batches=1,initial_learning_rate=2e-2"]
    audio_encoder_train.main([*flags, "--teacher_checkpoint_path", *teachers])
    learnt = checkpoint.load_model(tmp_path / "checkpoint_step000000060.pth", SoundToShape)
    with torch.no_grad():
        told = learnt(torch.zeros(4, 1, 80, 16))
    assert told.mean() == pytest.approx(1.5, abs=0.2)
    with pytest.raises(InputError, match="holds a generator that is told mouth shapes"):
        audio_encoder_train.main([*flags, "--teacher_checkpoint_path", str(generator)])


def test_what_labelled_speech_says_is_learnt_without_a_video(shaped_data, tmp_path):
    """Told that lips meet at a hum and part at a hiss, it tells so of a hum and a hiss alone."""
    generator = tmp_path / "generator.pth"
    checkpoint.save(generator, ShapeWav2Lip(0.0625).state_dict())
    hiss = np.random.default_rng(0).uniform(-0.5, 0.5, 32000)
    hum = 0.5 * np.sin(2 * np.pi * 150 / 16000 * np.arange(32000))
    folder = tmp_path / "spoken" / "voice"
    folder.mkdir(parents=True)
    audio.save_wav(np.concatenate([hiss, hum]), folder / "0000.wav")
    (folder / "0000.lab").write_text("#\n2.0 100 a\n4.0 100 m\n")
    audio_encoder_train.main([
        *shaped_data, "--generator_checkpoint_path", str(generator), "--checkpoint_dir",
        str(tmp_path), "--spoken_root", str(tmp_path / "spoken"), "--max_steps", "40", "--hparams",
        "num_workers=0,grouped_clips=8,eval_batches=1,initial_learning_rate=3e-3,spoken=1"])
    learnt = checkpoint.load_model(tmp_path / "checkpoint_step000000040.pth", SoundToShape)
    mels = [audio.melspectrogram(wave)[:, 60:76] for wave in (hiss, hum)]
    with torch.no_grad():
        told = learnt(torch.from_numpy(np.stack(mels)[:, None]))[:, 0]
    # Told 1.3 and -1.9; so soon the running means of batch norm lag behind, hence the room.
    assert told[0] > 0.5 and told[1] < -1.2


def test_what_hears_shapes_resumes_exactly(shaped_data, tmp_path):
    generator = tmp_path / "generator.pth"
    checkpoint.save(generator, ShapeWav2Lip(0.0625).state_dict())
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    flags = [*shaped_data, "--generator_checkpoint_path", str(generator),
             "--hparams", SMALL + ",mel_noise=0.1"]
    audio_encoder_train.main([*flags, "--checkpoint_dir", str(whole), "--max_steps", "4"])
    audio_encoder_train.main([*flags, "--checkpoint_dir", str(halves), "--max_steps", "2"])
    audio_encoder_train.main([*flags, "--checkpoint_dir", str(halves), "--max_steps", "4",
                              "--checkpoint_path", str(halves / "checkpoint_step000000002.pth")])
    assert_same_run(whole, halves, "checkpoint_step000000004.pth")
    assert_ended(audio_encoder_train, [*flags, "--checkpoint_path",
                                       str(whole / "checkpoint_step000000004.pth")], halves)
    untaught = tmp_path / "untaught.pth"
    checkpoint.save(untaught, Wav2Lip(0.0625).state_dict())
    with pytest.raises(InputError, match="holds a Wav2Lip generator"):
        audio_encoder_train.main([*flags, "--generator_checkpoint_path", str(untaught),
                                  "--checkpoint_dir", str(halves)])
    wider = tmp_path / "wider.pth"
    checkpoint.save(wider, ShapeWav2Lip(0.125).state_dict())
    with pytest.raises(InputError, match="0.0625.*0.125"):
        audio_encoder_train.main([
            *flags, "--generator_checkpoint_path", str(wider), "--checkpoint_dir", str(halves),
            "--checkpoint_path", str(halves / "checkpoint_step000000002.pth")])
