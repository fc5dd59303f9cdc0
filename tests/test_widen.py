"""A widened network computes what the narrow one did, and can learn more."""
import pytest
import torch
from fill_weights import fill

from models import SyncNet_color, Wav2Lip, Wav2Lip_disc_qual
from models.widen import widen

FACES = torch.rand(2, 6, 96, 96, generator=torch.Generator().manual_seed(1))
MEL = torch.randn(2, 1, 80, 16, generator=torch.Generator().manual_seed(2))
WINDOWS = torch.rand(2, 15, 48, 96, generator=torch.Generator().manual_seed(3))


# To 3/16, from 2/16, one channel in two is doubled, to 4/16 each, to 5/16 some are tripled.
@pytest.mark.parametrize("width", [0.1875, 0.25, 0.3125])
def test_a_wider_generator_draws_the_same_faces(width):
    narrow = fill(Wav2Lip(width=0.125)).eval()
    with torch.no_grad():
        torch.testing.assert_close(widen(narrow, width)(MEL, FACES), narrow(MEL, FACES),
                                   rtol=1e-4, atol=1e-5)


def test_the_other_networks_keep_their_answers():
    expert = fill(SyncNet_color(width=0.125)).eval()
    wide = widen(expert, 0.1875)
    discriminator = fill(Wav2Lip_disc_qual(width=0.125)).eval()
    faces = FACES[:, 3:, None]
    with torch.no_grad():
        mouth, wide_mouth = expert(MEL, WINDOWS)[1], wide(MEL, WINDOWS)[1]
        torch.testing.assert_close(widen(discriminator, 0.25)(faces), discriminator(faces),
                                   rtol=1e-4, atol=1e-5)
    # An embedding has unit length: repeated, it is that much longer before it is normalised.
    repeated = torch.nn.functional.normalize(mouth[:, torch.arange(96) * 64 // 96])
    torch.testing.assert_close(wide_mouth, repeated, rtol=1e-4, atol=1e-5)


def test_training_drives_the_copies_apart():
    wide = widen(fill(Wav2Lip(width=0.125)), 0.25)
    wide(MEL, FACES).square().mean().backward()
    first, second = wide.output_block[0].conv_block[0].weight.grad[:2]
    assert (first - second).abs().max() > 0.05 * first.abs().max() > 0


def test_a_width_that_is_no_wider_is_refused():
    with pytest.raises(ValueError, match="must be greater than 0.25"):
        widen(Wav2Lip(width=0.25), 0.25)
