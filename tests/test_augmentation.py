"""Augmentation: off by default, alike for all crops of a sample, inside its limits."""
import dataclasses

import numpy as np
import pytest

import augmentation
from augmentation import NONE, Augmentation, change_crops, change_mel
from hparams import hparams


@pytest.fixture
def crops():
    """(5, 144, 144, 3): the pixel at (y, x) has colour (x, y, frame)."""
    y, x = np.mgrid[:144, :144].astype(np.uint8)
    return np.stack([np.dstack([x, y, np.full_like(x, frame)]) for frame in range(5)])


def test_default_recipe_draws_no_change():
    drawn = augmentation.draw(hparams, np.random.default_rng(0))
    assert dataclasses.replace(drawn, noise_seed=0) == NONE


def test_central_box_without_change(crops):
    assert np.array_equal(change_crops(crops, 0.25, 96), crops[:, 24:120, 24:120])


def test_flip_turns_every_crop(crops):
    flipped = change_crops(crops, 0.25, 96, Augmentation(flip=True))
    assert np.array_equal(flipped, crops[:, 24:120, 24:120][:, :, ::-1])


def test_box_moves_in_box_sides_but_stays_inside(crops):
    moved = change_crops(crops, 0.25, 96, Augmentation(box=(0.125, -0.25, 0.0)))
    assert np.array_equal(moved, crops[:, 0:96, 36:132])
    outside = change_crops(crops, 0.25, 96, Augmentation(box=(9.0, 9.0, 0.0)))
    assert np.array_equal(outside, crops[:, 48:144, 48:144])
    grown = change_crops(crops, 0.25, 96, Augmentation(box=(0.0, 0.0, 0.5)))
    assert grown[0, 0, 0, 0] <= 1 and grown[0, 0, -1, 0] >= 142


def test_color_map_is_applied_to_bgr(crops):
    swap = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 50]], float)
    plain, changed = change_crops(crops, 0.25, 96), change_crops(crops, 0.25, 96,
                                                                 Augmentation(color=swap))
    assert np.array_equal(changed[..., :2], plain[..., 1::-1])
    assert np.array_equal(changed[..., 2], plain[..., 2] + 50)


@pytest.mark.parametrize("change", [Augmentation(blur_sigma=1.5), Augmentation(jpeg_quality=20)])
def test_blur_and_compression_change_detail_not_level(change):
    noise = np.random.default_rng(0).integers(0, 255, (5, 96, 96, 3)).astype(np.uint8)
    changed = change_crops(noise, 0.0, 96, change)
    assert changed.mean() == pytest.approx(noise.mean(), abs=2)
    assert changed.std() < 0.95 * noise.std()


def test_mel_gain_in_decibels():
    """100 dB span the range of 8: 10 dB are 0.8."""
    mel = np.zeros((80, 16), np.float32)
    assert change_mel(mel, Augmentation(mel_gain=10.0)) == pytest.approx(0.8)
    assert change_mel(mel + 3.9, Augmentation(mel_gain=10.0)).max() == 4
    assert change_mel(mel, Augmentation(mel_noise=0.5)).std() == pytest.approx(0.5, rel=0.1)
    assert change_mel(mel, NONE) is mel


def test_draws_stay_within_the_hyper_parameters():
    hp = hparams.override("flip=0.5,color_jitter=0.2,blur=0.5,jpeg=0.5,box_jitter=0.1,mel_gain=6,"
                          "mel_noise=0.3")
    draws = [augmentation.draw(hp, np.random.default_rng(seed)) for seed in range(200)]
    assert 0.35 < np.mean([d.flip for d in draws]) < 0.65
    assert 0.35 < np.mean([d.jpeg_quality > 0 for d in draws]) < 0.65
    assert 0.08 < np.abs([d.box for d in draws]).max() <= 0.1
    assert 5 < np.abs([d.mel_gain for d in draws]).max() <= 6
    assert max(d.mel_noise for d in draws) <= 0.3
