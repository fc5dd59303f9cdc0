"""The networks give the numbers of the published ones (golden outputs of filled weights)."""
import pytest
import torch
from fill_weights import fill

from models import SyncNet_color, Wav2Lip, Wav2Lip_disc_qual
from models.conv import fold_batch_norm

NETWORKS = [("wav2lip", Wav2Lip, 36_298_035), ("syncnet_color", SyncNet_color, 16_435_072),
            ("visual_quality_disc", Wav2Lip_disc_qual, 14_113_793)]


@pytest.fixture(scope="module")
def generator():
    return fill(Wav2Lip())


def assert_close(output, golden):
    """Float32 rounding through fifty layers stays under 1e-4 of the output's scale."""
    golden = torch.from_numpy(golden)
    assert output.shape == golden.shape
    assert (output - golden).abs().max() <= 1e-4 * golden.abs().max()


@pytest.mark.parametrize("name, network, parameters", NETWORKS)
def test_state_dict_is_the_published_one(name, network, parameters, published_shapes):
    model = network()
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    assert shapes == published_shapes[name]
    assert sum(p.numel() for p in model.parameters()) == parameters


@torch.no_grad()
def test_generator_golden_numbers(generator, golden_networks, uniform):
    mel, face = uniform("public/mel", (2, 1, 80, 16), -4, 4), uniform("public/face", (2, 6, 96, 96))
    assert_close(generator(mel, face), golden_networks["wav2lip_4d"])
    mel, face = (uniform("public/mel5", (2, 5, 1, 80, 16), -4, 4),
                 uniform("public/face5", (2, 6, 5, 96, 96)))
    assert_close(generator(mel, face), golden_networks["wav2lip_5d"])


@torch.no_grad()
def test_generator_treats_each_frame_of_a_clip_alone(generator, uniform):
    mel, face = (uniform("public/mel5", (2, 5, 1, 80, 16), -4, 4),
                 uniform("public/face5", (2, 6, 5, 96, 96)))
    clips = generator(mel, face)
    for t in range(5):
        torch.testing.assert_close(clips[:, :, t], generator(mel[:, t], face[:, :, t]),
                                   rtol=0, atol=1e-5)


@torch.no_grad()
def test_expert_golden_numbers(golden_networks, uniform):
    audio, face = fill(SyncNet_color())(uniform("public/mel", (2, 1, 80, 16), -4, 4),
                                        uniform("public/win", (2, 15, 48, 96)))
    assert_close(audio, golden_networks["sync_audio"])
    assert_close(face, golden_networks["sync_face"])


@torch.no_grad()
def test_discriminator_golden_numbers(golden_networks, uniform):
    faces = uniform("public/disc", (2, 3, 5, 96, 96))
    discriminator = fill(Wav2Lip_disc_qual())
    real = discriminator(faces)
    assert_close(real, golden_networks["disc"])
    torch.testing.assert_close(discriminator.perceptual_forward(faces), -real.log().mean())


@torch.no_grad()
def test_the_untrained_discriminator_hands_on_what_differs_between_faces():
    torch.manual_seed(0)
    discriminator = Wav2Lip_disc_qual(width=0.25)
    faces = torch.rand(16, 3, 1, 96, 96) * torch.rand(16, 1, 1, 1, 1)
    spread = discriminator(faces).logit().std()
    assert 0.01 < spread < 1        # under 1e-6 with torch's own first weights


@torch.no_grad()
def test_folded_batch_norm_changes_no_number(golden_networks, uniform):
    mel, face = uniform("public/mel", (2, 1, 80, 16), -4, 4), uniform("public/face", (2, 6, 96, 96))
    folded = fold_batch_norm(fill(Wav2Lip()))
    assert not any("norm" in type(layer).__name__.lower() for layer in folded.modules())
    assert_close(folded(mel, face), golden_networks["wav2lip_4d"])


@pytest.mark.parametrize("name, network, parameters", NETWORKS)
def test_width_scales_hidden_channels_and_is_recognised(name, network, parameters):
    light = network(width=0.25)
    # Nearly every layer has hidden channels on both sides, so parameters fall with the square.
    assert sum(p.numel() for p in light.parameters()) == pytest.approx(parameters / 16, rel=0.03)
    again = network.from_state_dict(light.state_dict())
    assert again.width == 0.25
    assert all(torch.equal(a, b) for a, b in zip(light.state_dict().values(),
                                                 again.state_dict().values(), strict=True))


def test_width_that_makes_no_whole_channels_is_refused():
    for width in (0, -1, 0.3):
        with pytest.raises(ValueError, match="multiple of 1/16"):
            Wav2Lip(width=width)
