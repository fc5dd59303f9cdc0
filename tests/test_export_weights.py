"""Exported weights draw the same faces from a quarter of the bytes of a training checkpoint."""
import pytest
import torch
from fill_weights import fill

import checkpoint
import export_weights
from errors import InputError
from models import Wav2Lip


@pytest.fixture
def trained(tmp_path):
    model = fill(Wav2Lip(width=0.125)).eval().to(memory_format=torch.channels_last)
    path = tmp_path / "checkpoint_step000000001.pth"
    optimizer = torch.optim.Adam(model.parameters())
    checkpoint.save(path, {"state_dict": model.state_dict(), "optimizer": optimizer.state_dict(),
                           "global_step": 1, "global_epoch": 0})
    return model, path


def test_exported_weights_are_the_same_to_half_precision(trained, tmp_path):
    model, path = trained
    out = tmp_path / "new" / "light.safetensors"
    export_weights.main(["--checkpoint_path", str(path), "--out", str(out)])
    assert out.stat().st_size < 0.55 * path.stat().st_size
    exported = checkpoint.load_model(out, Wav2Lip)
    for key, value in model.state_dict().items():
        # Half precision keeps 11 bits; below 6e-5 its steps are 6e-8.
        torch.testing.assert_close(exported.state_dict()[key], value, rtol=2 ** -11, atol=6e-8)


def test_several_checkpoints_give_the_mean_of_their_weights(trained, tmp_path):
    model, path = trained
    later, out = tmp_path / "checkpoint_step000000002.pth", tmp_path / "mean.safetensors"
    checkpoint.save(later, {"state_dict": {
        key: value + 0.25 if value.is_floating_point() else value
        for key, value in model.state_dict().items()}})
    export_weights.main(["--checkpoint_path", str(path), str(later), "--out", str(out)])
    mean = checkpoint.load_weights(out)
    for key, value in model.state_dict().items():
        expected = value + 0.125 if value.is_floating_point() else value
        torch.testing.assert_close(mean[key], expected, rtol=2 ** -10, atol=1e-4)
    other = tmp_path / "wider.pth"
    checkpoint.save(other, Wav2Lip(width=0.25).state_dict())
    with pytest.raises(InputError, match=f"{other} holds another network than .*another width"):
        export_weights.main(["--checkpoint_path", str(path), str(other), "--out",
                             str(tmp_path / "x.safetensors")])
    assert not (tmp_path / "x.safetensors").exists()


def test_a_wider_network_draws_the_same_faces_to_half_precision(trained, tmp_path):
    model, path = trained
    out = tmp_path / "wide.safetensors"
    export_weights.main(["--checkpoint_path", str(path), "--width", "0.1875", "--out", str(out)])
    wide = checkpoint.load_model(out, Wav2Lip)
    assert wide.width == 0.1875
    mel, faces = torch.zeros(1, 1, 80, 16), torch.full((1, 6, 96, 96), 0.5)
    with torch.no_grad():
        torch.testing.assert_close(wide(mel, faces), model(mel, faces), rtol=0, atol=2e-3)
    with pytest.raises(InputError, match="width 0.125: must be greater than 0.1875"):
        export_weights.main(["--checkpoint_path", str(out), "--width", "0.125",
                             "--out", str(tmp_path / "x.safetensors")])


def test_what_cannot_be_exported_is_said_and_leaves_nothing(trained, tmp_path):
    model, path = trained
    with pytest.raises(InputError, match="end the name with .safetensors"):
        export_weights.main(["--checkpoint_path", str(path), "--out", str(tmp_path / "x.pth")])
    with torch.no_grad():
        model.output_block[1].bias[0] = 1e6
    checkpoint.save(path, model.state_dict())
    out = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="output_block.1.bias does not fit half precision"):
        export_weights.main(["--checkpoint_path", str(path), "--out", str(out)])
    assert not out.exists()
