"""A generator and what hears are joined, with shapes that vary as real ones do and no more."""
import numpy as np
import pytest
import torch
from fill_weights import fill

import checkpoint
import hearing_generator
from errors import InputError
from models import ShapeWav2Lip, SoundToShape, Wav2Lip
from mouth_shape import SHAPE_FILE, SHUT, bounded, emphasized
from numbered_clips import write_clip

WIDTH = 0.125


def test_shapes_are_multiplied_and_moved_away_from_the_shut_mouth():
    shapes = np.array([np.zeros(7), SHUT, np.arange(7)], np.float32)
    gain = np.float32([2, 1, 1, 1, 1, 1, 3])
    told = emphasized(shapes, gain, 0.5)
    np.testing.assert_allclose(told[0], -0.5 * SHUT)
    np.testing.assert_allclose(told[1], gain * SHUT - 0.5 * SHUT)
    np.testing.assert_allclose(told[2, [0, 1, 6]], [0 - 0.5 * SHUT[0], 1 - 0.5 * SHUT[1],
                                                    18 - 0.5 * SHUT[6]])


def test_mouths_of_real_people_are_within_bounds_and_others_are_not():
    np.testing.assert_array_equal(bounded(SHUT[None]), SHUT[None])
    np.testing.assert_array_equal(bounded(np.zeros((1, 7))), np.zeros((1, 7)))
    for far in (-9.0, 9.0):
        limit = bounded(np.full((1, 7), far))
        assert (np.abs(limit) < 4).all() and (limit * far > 0).all()


@torch.no_grad()
def test_the_last_layer_tells_what_was_told_emphasized_and_bounded(uniform):
    """Of sounds that it was fitted to, 128 features in 400 windows: all but a little."""
    ear = fill(SoundToShape(WIDTH)).eval()
    mels = uniform("hearing/mel", (400, 1, 80, 16), -4, 4)
    before = ear(mels)
    ear.head.weight /= before.std()
    ear.head.bias.copy_(-(before / before.std()).mean(0))
    told = ear(mels).numpy()
    gain = np.float32([3, 2, 1, 1, 1, 1, 1])
    wanted = bounded(emphasized(told, gain, 0.3))
    share, widest = hearing_generator.emphasize(ear, mels.split(100), gain, 0.3)
    found = ear(mels).numpy()
    unlike = np.square(found - wanted).mean() / np.square(wanted - wanted.mean(0)).mean()
    assert share == pytest.approx(1 - unlike, abs=1e-4) and share > 0.9
    assert widest == pytest.approx(np.quantile(found[:, 0], 0.99), abs=1e-3)


@pytest.fixture
def flags(tmp_path):
    folder = tmp_path / "data" / "a" / "00000"
    write_clip(folder)
    np.save(folder / SHAPE_FILE, np.random.default_rng(0).normal(0, 1, (30, 7)))
    (tmp_path / "train.txt").write_text("a/00000\n")
    checkpoint.save(tmp_path / "told.pth", fill(ShapeWav2Lip(WIDTH)).state_dict())
    checkpoint.save(tmp_path / "ear.pth", fill(SoundToShape(WIDTH)).state_dict())
    return ["--generator_checkpoint_path", str(tmp_path / "told.pth"),
            "--ear_checkpoint_path", str(tmp_path / "ear.pth"),
            "--data_root", str(tmp_path / "data"), "--filelist_root", str(tmp_path),
            "--batches", "2", "--hparams", "num_workers=0,grouped_clips=4,grouped_windows=8",
            "--out", str(tmp_path / "out.pth")]


@torch.no_grad()
def test_the_script_writes_a_generator_that_hears(flags, tmp_path, uniform):
    hearing_generator.main([*flags, "--gain", "2", "--opening", "0.2"])
    made = checkpoint.load_model(tmp_path / "out.pth", Wav2Lip)
    told = checkpoint.load_model(tmp_path / "told.pth", ShapeWav2Lip)
    face = uniform("hearing/face", (2, 6, 96, 96))
    mel = uniform("hearing/mel2", (2, 1, 80, 16), -4, 4)
    for key, value in told.state_dict().items():
        assert key.startswith("audio_encoder.") or torch.equal(value, made.state_dict()[key])
    assert (made(mel, face) - made(mel.flip(0), face)).abs().max() > 1e-4


def test_what_does_not_fit_is_refused_and_nothing_written(flags, tmp_path, capsys):
    for mistake, said in ((["--gain", "1", "2"], "give 1 number or 7, not 2"),
                          (["--gain", "nan"], "not a number above 0"),
                          (["--opening", "inf"], "not a finite number")):
        with pytest.raises(SystemExit) as stopped:
            hearing_generator.main([*flags, *mistake])
        assert stopped.value.code == 2 and said in capsys.readouterr().err
    checkpoint.save(tmp_path / "ear.pth", fill(SoundToShape(0.25)).state_dict())
    with pytest.raises(InputError, match="width 0.25, .*told.pth of 0.125: not alike"):
        hearing_generator.main(flags)
    checkpoint.save(tmp_path / "ear.pth", fill(Wav2Lip(WIDTH)).state_dict())
    with pytest.raises(InputError, match="tells the mouth's shape from sound"):
        hearing_generator.main(flags)
    assert not (tmp_path / "out.pth").exists()
