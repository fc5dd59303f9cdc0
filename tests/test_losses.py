"""Losses equal the SPEC's formulas, computed here with NumPy in double precision."""
import math

import numpy as np
import pytest
import torch
from torch import nn

from losses import (all_pairs_loss, contrastive_loss, cosine_loss, feature_loss, get_sync_loss,
                    in_gray, mouth_loss, real_fake_loss, recon_loss, stack_mouths)
from models import SyncNet_color, Wav2Lip_disc_qual

CLOSE = 1e-5    # float32 rounding of a mean over a few values


@pytest.fixture
def embeddings():
    rng = np.random.default_rng(0)
    a, v = rng.uniform(0, 1, (2, 6, 32))
    return (a / np.linalg.norm(a, axis=1, keepdims=True),
            v / np.linalg.norm(v, axis=1, keepdims=True))


def tensor(array) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array, np.float32))


def test_cosine_loss(embeddings):
    a, v = embeddings
    y = np.array([1, 0, 1, 1, 0, 0])
    cosine = (a * v).sum(1)
    expected = -np.mean(y * np.log(cosine) + (1 - y) * np.log(1 - cosine))
    assert cosine_loss(tensor(a), tensor(v), tensor(y[:, None])).item() == pytest.approx(
        expected, abs=CLOSE)


def test_cosine_loss_survives_rounding_above_one():
    same = torch.full((3, 3), 3 ** -0.5) * 1.0001
    assert torch.isfinite(cosine_loss(same, same, torch.zeros(3, 1)))


def test_contrastive_loss_compares_centred_embeddings_within_a_group(embeddings):
    def unit(x):
        return x / np.linalg.norm(x)

    a, v = embeddings
    log_shares = []
    for group in (range(0, 3), range(3, 6)):
        sounds = [unit(a[i] - a[group].mean(0)) for i in group]
        mouths = [unit(v[i] - v[group].mean(0)) for i in group]
        for k in range(3):
            to_mouths = [np.exp(sounds[k] @ mouth / 0.1) for mouth in mouths]
            to_sounds = [np.exp(mouths[k] @ sound / 0.1) for sound in sounds]
            log_shares += [np.log(to_mouths[k] / sum(to_mouths)),
                           np.log(to_sounds[k] / sum(to_sounds))]
    loss = contrastive_loss(tensor(a), tensor(v), 0.1, group=3)
    assert loss.item() == pytest.approx(-np.mean(log_shares), abs=CLOSE)


def test_all_pairs_loss_weighs_matching_pairs_as_much_as_the_others(embeddings):
    a, v = embeddings
    matched, mismatched = [], []
    for i in range(6):
        for j in range(6):
            if i // 3 == j // 3:
                cosine = a[i] @ v[j]
                (matched if i == j else mismatched).append(
                    -np.log(cosine if i == j else 1 - cosine))
    assert len(mismatched) == 12
    expected = (np.mean(matched) + np.mean(mismatched)) / 2
    assert all_pairs_loss(tensor(a), tensor(v), 3).item() == pytest.approx(expected, abs=CLOSE)


def test_mouths_are_lower_halves_stacked_frame_by_frame():
    faces = torch.arange(2 * 3 * 5 * 4 * 2).reshape(2, 3, 5, 4, 2)
    stacked = stack_mouths(faces)
    assert stacked.shape == (2, 15, 2, 2)
    for frame in range(5):
        assert torch.equal(stacked[:, 3 * frame:3 * frame + 3], faces[:, :, frame, 2:])


def test_sync_loss_is_minus_log_cosine_and_reaches_the_faces():
    torch.manual_seed(0)
    expert = SyncNet_color(0.0625).eval().requires_grad_(False)
    mel, g = torch.randn(2, 1, 80, 16), torch.rand(2, 3, 5, 96, 96, requires_grad=True)
    loss = get_sync_loss(expert, mel, g)
    a, v = expert(mel, g.detach()[:, :, :, 48:].permute(0, 2, 1, 3, 4).reshape(2, 15, 48, 96))
    expected = -np.mean(np.log((a.numpy().astype(float) * v.numpy()).sum(1)))
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    loss.backward()
    assert g.grad[:, :, :, 48:].abs().sum() > 0 and not g.grad[:, :, :, :48].any()
    assert all(p.grad is None for p in expert.parameters())


def test_gray_faces_ask_the_same_of_every_channel():
    faces = np.random.default_rng(4).random((2, 3, 5, 8, 8), np.float32)
    g = tensor(faces).requires_grad_()
    gray = in_gray(g)
    expected = faces.sum(1, keepdims=True) / 3
    np.testing.assert_allclose(gray.detach().numpy(), np.repeat(expected, 3, 1), atol=1e-6)
    (gray * tensor(np.random.default_rng(5).random(gray.shape, np.float32))).sum().backward()
    assert g.grad.std() > 0.1 and torch.equal(g.grad[:, 0], g.grad[:, 1])
    assert torch.equal(g.grad[:, 0], g.grad[:, 2])


def test_reconstruction_loss_is_mean_absolute_difference():
    rng = np.random.default_rng(1)
    g, gt = rng.uniform(0, 1, (2, 2, 3, 5, 8, 8))
    assert recon_loss(tensor(g), tensor(gt)).item() == pytest.approx(np.abs(g - gt).mean(),
                                                                     abs=CLOSE)


def test_mouth_loss_is_that_difference_from_nose_to_chin():
    rng = np.random.default_rng(2)
    g, gt = rng.uniform(0, 1, (2, 2, 3, 5, 96, 96))
    expected = np.abs(g - gt)[..., 53:88, 21:75].mean()
    assert mouth_loss(tensor(g), tensor(gt)).item() == pytest.approx(expected, abs=CLOSE)


def test_feature_loss_is_each_layers_difference_by_its_own_size():
    rng = np.random.default_rng(3)
    drawn, real = ([scale * rng.normal(0, 1, shape) for scale, shape
                    in ((1, (2, 4, 6, 6)), (100, (2, 8, 1, 1)))] for _ in range(2))
    expected = np.mean([np.abs(d - r).mean() / np.abs(r).mean()
                        for d, r in zip(drawn, real, strict=True)])
    loss = feature_loss([tensor(d) for d in drawn], [tensor(r) for r in real])
    assert loss.item() == pytest.approx(expected, abs=CLOSE)


def test_real_fake_loss():
    real, fake = np.array([[0.9], [0.6]]), np.array([[0.2], [0.7]])
    expected = -np.log(real).mean() - np.log(1 - fake).mean()
    assert real_fake_loss(tensor(real), tensor(fake)).item() == pytest.approx(expected, abs=CLOSE)


def test_perceptual_loss_is_minus_log_probability_of_real():
    torch.manual_seed(0)
    discriminator, faces = Wav2Lip_disc_qual(0.0625), torch.rand(2, 3, 5, 96, 96)
    with torch.no_grad():
        expected = -np.log(discriminator(faces).numpy()).mean()
        assert discriminator.perceptual_forward(faces).item() == pytest.approx(expected, abs=CLOSE)


def test_a_wrongly_sure_discriminator_still_learns_in_half_precision():
    """sigmoid(8) is 1 in bfloat16, which has no gradient; the loss of logit 8 against 0 is
    softplus(8) and its slope sigmoid(8)."""
    discriminator = Wav2Lip_disc_qual(0.0625)
    last = discriminator.binary_pred[0]
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 8.0)
    with torch.autocast("cpu", torch.bfloat16):
        fake = discriminator(torch.rand(1, 3, 5, 96, 96))
    loss = real_fake_loss(torch.ones_like(fake), fake)
    loss.backward()
    assert loss.item() == pytest.approx(8 + math.log1p(math.exp(-8)), rel=1e-3)
    assert last.bias.grad.item() == pytest.approx(1 / (1 + math.exp(-8)), rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_are_float32_inside_autocast(embeddings, dtype):
    a, v = (tensor(e).to(dtype) for e in embeddings)
    with torch.autocast("cpu", torch.bfloat16):
        loss = cosine_loss(a, v, torch.ones(6, 1))
    assert loss.dtype == torch.float32
    # Rounding the embeddings to 8 bits moves the mean loss by less than 1 %.
    assert loss.item() == pytest.approx(cosine_loss(tensor(embeddings[0]), tensor(embeddings[1]),
                                                    torch.ones(6, 1)).item(), rel=0.01)


def test_nan_reaches_the_training_loop():
    """BCE alone ends with a traceback that names neither the step nor the samples."""
    a = torch.rand(2, 8)
    a[0, 0] = torch.nan
    assert cosine_loss(a, torch.rand(2, 8), torch.ones(2, 1)).isnan()
