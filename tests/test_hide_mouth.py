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
    assert (rows.min(), rows.max()) == (51, 81) and (columns.min(), columns.max()) == (7, 88)
    jaw = np.nonzero(mask[76:] > 0.5)[1]        # below the folds of a smile, no wider than a mouth
    assert (jaw.min(), jaw.max()) == (22, 73)
    chin = 88
    assert mask.max() == 1 and set(mask[[0, 40, chin]].ravel()) == {0}
    np.testing.assert_array_equal(mask, mask[:, ::-1])


def seen_reference(generator, reference):
    """What the network is shown in place of a reference (3, 96, 96)."""
    seen = []
    hook = generator.face_encoder_blocks[0].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0][0, 3:]))
    with torch.no_grad():
        generator(torch.zeros(1, 1, 80, 16), torch.cat([torch.zeros_like(reference), reference])[None])
    hook.remove()
    return seen[0]


def test_half_of_what_hides_it_is_skin_from_around(generator):
    skin, teeth = torch.tensor([0.4, 0.5, 0.7]), torch.tensor([0.9, 0.9, 0.9])
    smile = skin[:, None, None].repeat(1, 96, 96)
    smile[:, 62:74, 32:64] = teeth[:, None, None]
    seen = seen_reference(generator, smile)
    share = 12 / 13 * 0.5      # of the 13 rows around row 68, 12 show teeth
    torch.testing.assert_close(seen[:, 68, 48], share * teeth + (1 - share) * skin,
                               rtol=0, atol=1e-4)
    torch.testing.assert_close(seen[:, 84, 48], skin)
    assert torch.equal(seen[:, :40], smile[:, :40])


def test_skin_is_taken_from_where_it_is_nearest(generator):
    left, right = 0.2, 0.8
    face = torch.full((3, 96, 96), left)
    face[:, :, 48:] = right
    seen = seen_reference(generator, face)[0, 68]
    # Blurred, columns 30 and 65 are as they were; skin from beyond the edge pulls little at them.
    assert left < seen[30] < left + 0.05 and right - 0.05 < seen[65] < right


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
