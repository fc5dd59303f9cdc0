"""SyncNet and its scores: golden numbers, streams, constructed offsets."""
from pathlib import Path

import numpy as np
import pytest
import torch
from fill_weights import fill

from evaluation.scores_LSE.SyncNetInstance_calc_scores import (
    TooShortError, audio_features, lse, lse_of_distances, mean_distances, mfcc_windows,
    syncnet_features)
from evaluation.scores_LSE.SyncNetModel import S

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def syncnet():
    return fill(S())


@pytest.fixture(scope="module")
def golden():
    with np.load(DATA / "lse.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def frames(golden):
    return golden["small"].repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def features(syncnet, golden, frames):
    return syncnet_features(syncnet, frames, golden["wav"])


def test_state_dict_is_the_published_one(syncnet, published_shapes):
    shapes = {key: list(tensor.shape) for key, tensor in syncnet.state_dict().items()}
    assert shapes == published_shapes["syncnet_v2"]


@torch.no_grad()
@pytest.mark.parametrize("forward, name, shape, low, high, golden_name", [
    ("forward_aud", "public/mfcc", (2, 1, 13, 20), -10, 10, "sv2_aud"),
    ("forward_lip", "public/lip", (1, 3, 5, 224, 224), 0, 255, "sv2_lip")])
def test_golden_network(syncnet, golden_networks, uniform, forward, name, shape, low, high,
                        golden_name):
    output = getattr(syncnet, forward)(uniform(name, shape, low, high)).numpy()
    wanted = golden_networks[golden_name]
    # Float32 rounding, relative to the output's scale.
    assert np.abs(output - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_golden_scores(features, golden):
    faces, sound = features
    assert faces.shape == sound.shape == (25, 1024)     # min(30 frames, 19200 // 640) − 5
    vshift = int(golden["vshift"])
    np.testing.assert_allclose(mean_distances(faces, sound, vshift), golden["mean_distances"],
                               rtol=1e-4)
    offset, confidence, min_distance = lse(faces, sound, vshift)
    assert offset == golden["offset"]
    assert min_distance == pytest.approx(float(golden["min_distance"]), rel=1e-4)
    # A small difference of large distances: its error is theirs.
    assert confidence == pytest.approx(float(golden["confidence"]),
                                       abs=1e-4 * float(golden["min_distance"]))


def test_a_stream_in_small_batches_gives_the_same_features(syncnet, golden, frames, features):
    stream = (frame for frame in frames)
    faces, sound = syncnet_features(syncnet, stream, golden["wav"], batch_size=4)
    # Another batch size adds up in another order.
    torch.testing.assert_close(faces, features[0], rtol=1e-4, atol=0.01)
    torch.testing.assert_close(sound, features[1], rtol=1e-4, atol=0.01)


def test_an_audio_window_starts_with_its_frame(syncnet, golden):
    later = audio_features(syncnet, golden["wav"], 10)[3]
    # 3 frames are 1920 samples; pre-emphasis touches only the first sample after the cut.
    cut = audio_features(syncnet, golden["wav"][3 * 640:], 1)[0]
    torch.testing.assert_close(cut, later, rtol=0.02, atol=0.02 * later.abs().max().item())


@pytest.mark.parametrize("batch", [1, 7, 25])
def test_mfcc_of_parts_are_those_of_the_whole(golden, batch):
    whole = torch.from_numpy(golden["mfcc"]).float().unfold(1, 20, 4).transpose(0, 1)
    parts = [mfcc_windows(golden["wav"], first, min(first + batch, 25))
             for first in range(0, 25, batch)]
    # float64 inside, where NumPy's matrix product rounds by the matrix's size.
    torch.testing.assert_close(torch.cat(parts), whole[:25], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_frames, n_samples", [(5, 16000), (12, 5 * 640 + 639), (0, 16000)])
def test_fewer_than_six_frames_are_an_error(syncnet, n_frames, n_samples):
    frames = np.zeros((n_frames, 224, 224, 3), np.uint8)
    with pytest.raises(TooShortError, match="a score needs 6 frames .*of both"):
        syncnet_features(syncnet, frames, np.zeros(n_samples, np.int16))


@pytest.mark.parametrize("late", [-10, -1, 0, 3, 15])
def test_a_known_offset_is_found(late):
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(200, 16, generator=generator)
    faces = sound.roll(late, 0)     # what is heard at t is seen at t + late
    scores = lse(faces[20:-20], sound[20:-20], 15)
    assert scores.offset == late
    # Independent features of 16 dimensions are √32 apart, the right ones not at all.
    assert scores.confidence > 4
    inside = lse_of_distances(mean_distances(faces[20:-20], sound[20:-20], 15, inside_only=True))
    assert inside.offset == late and inside.min_distance < 1e-4


def test_past_the_ends_zeros_are_compared_or_left_out():
    faces, sound = torch.ones(4, 9), torch.ones(4, 9)
    # At a shift of one, three of four windows meet their like and one meets zeros, √9 away.
    np.testing.assert_allclose(mean_distances(faces, sound, 1), [0.75, 0, 0.75], atol=1e-4)
    inside = mean_distances(faces, sound, 3, inside_only=True)
    np.testing.assert_allclose(inside, [np.nan, 0, 0, 0, 0, 0, np.nan], atol=1e-4)
    assert lse_of_distances(np.float32([np.nan, 3, 1, 2, np.nan])) == (0, 1.0, 1.0)
