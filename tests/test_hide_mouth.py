"""A generator that hides its reference's mouth does not see how that mouth is held."""
import numpy as np
import pytest
import torch
from fill_weights import fill

from models import ShapeWav2Lip, SoundToShape, Wav2Lip, hearing
from models.widen import widen

WIDTH = 0.125
# Of the middle of the mouth, of the cheek beside it and of the nose above it: rows, columns.
MOUTH, CHEEK, NOSE = (slice(64, 76), slice(40, 56)), (slice(64, 76), slice(0, 12)), (
    slice(34, 46), slice(40, 56))


@pytest.fixture(scope="module")
def generator():
    model = fill(Wav2Lip(WIDTH))
    model.hide_mouth()
    return model


@pytest.fixture(scope="module")
def inputs(uniform):
    return uniform("hide/mel", (1, 1, 80, 16), -4, 4), uniform("hide/face", (1, 6, 96, 96))


def change(generator, inputs, where, first_channel):
    """How far the drawn face changes, at most, when stripes that leave every neighbourhood's mean
    as it is are laid over a part of the reference (channel 3 on) or of the target."""
    mel, face = inputs
    striped = face.clone()
    rows, columns = where
    stripes = torch.tensor([0.2, -0.2]).repeat(6)[:, None]
    striped[:, first_channel:first_channel + 3, rows, columns] += stripes
    with torch.no_grad():
        return float((generator(mel, striped) - generator(mel, face)).abs().max())


@pytest.mark.parametrize("where, first_channel, hidden", [
    (MOUTH, 3, True), (CHEEK, 3, False), (NOSE, 3, False), (MOUTH, 0, False)])
def test_only_the_mouth_of_the_reference_is_hidden(generator, inputs, where, first_channel, hidden):
    seen = change(fill(Wav2Lip(WIDTH)), inputs, where, first_channel)
    left = change(generator, inputs, where, first_channel)
    assert seen > 1e-5
    assert left < seen / 10 if hidden else seen / 3 < left < seen * 3


def test_the_mask_is_the_mouth_of_the_box(generator):
    mask = generator.mouth_mask.numpy()
    rows, columns = np.nonzero(mask > 0.5)
    assert (rows.min(), rows.max()) == (48, 91) and (columns.min(), columns.max()) == (15, 80)
    assert mask.max() == 1 and set(mask[[0, 40, 95]].ravel()) == {0}
    np.testing.assert_array_equal(mask, mask[:, ::-1])


def test_the_state_dict_says_so(generator, inputs):
    again = Wav2Lip.from_state_dict(generator.state_dict()).eval()
    with torch.no_grad():
        assert torch.equal(again(*inputs), generator(*inputs))
    assert "mouth_mask" not in Wav2Lip(WIDTH).state_dict()


def test_what_is_made_of_it_hides_the_mouth_too(generator, inputs):
    with torch.no_grad():
        torch.testing.assert_close(widen(generator, 0.25)(*inputs), generator(*inputs),
                                   rtol=0, atol=1e-4)
    told = ShapeWav2Lip.from_state_dict(generator.state_dict())
    assert torch.equal(told.mouth_mask, generator.mouth_mask)
    assert torch.equal(hearing(told, SoundToShape(WIDTH)).mouth_mask, generator.mouth_mask)
