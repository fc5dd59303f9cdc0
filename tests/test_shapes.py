"""A generator told shapes and a network that hears them are, put together, one Wav2Lip."""
import pytest
import torch
from fill_weights import fill

from models import ShapeWav2Lip, SoundToShape, Wav2Lip, hearing

WIDTH = 0.125


@pytest.fixture(scope="module")
def parts():
    return fill(ShapeWav2Lip(WIDTH)).eval(), fill(SoundToShape(WIDTH)).eval()


@torch.no_grad()
def test_together_they_draw_what_they_draw_in_turn(parts, uniform):
    generator, ear = parts
    mel, face = uniform("shapes/mel", (3, 1, 80, 16), -4, 4), uniform("shapes/face", (3, 6, 96, 96))
    whole = hearing(generator, ear)
    assert type(whole) is Wav2Lip and whole.width == WIDTH
    assert whole.state_dict().keys() == Wav2Lip(WIDTH).state_dict().keys()
    shapes = ear(mel)
    assert shapes.shape == (3, 7)
    torch.testing.assert_close(whole(mel, face), generator(shapes, face), rtol=0, atol=1e-5)
    assert (whole(mel, face) - whole(mel.flip(0), face)).abs().max() > 1e-3


@torch.no_grad()
def test_a_window_of_shapes_is_drawn_frame_by_frame(parts, uniform):
    generator, _ = parts
    shapes, face = uniform("shapes/5", (2, 5, 7), -2, 2), uniform("shapes/face5", (2, 6, 5, 96, 96))
    drawn = generator(shapes, face)
    assert drawn.shape == (2, 3, 5, 96, 96)
    torch.testing.assert_close(drawn[:, :, 3], generator(shapes[:, 3], face[:, :, 3]),
                               rtol=0, atol=1e-5)


def test_both_begin_with_the_weights_of_a_generator():
    trained = fill(Wav2Lip(WIDTH))
    weights = trained.state_dict()
    told = ShapeWav2Lip.from_state_dict(weights)
    heard = SoundToShape.from_state_dict(weights)
    assert told.width == heard.width == WIDTH
    for key, value in told.state_dict().items():
        assert key.startswith("audio_encoder.") or torch.equal(value, weights[key])
    for key, value in heard.trunk.state_dict().items():
        assert torch.equal(value, weights[f"audio_encoder.{key}"])
    for network in (told, heard):
        again = type(network).from_state_dict(network.state_dict())
        assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(),
                                                     network.state_dict().values()))


def test_other_widths_are_refused(parts):
    with pytest.raises(ValueError, match="0.125 and 0.25"):
        hearing(parts[0], SoundToShape(0.25))
