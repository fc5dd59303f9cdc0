"""Samples are the SPEC's windows, told by clips whose frames and mel frames are numbered."""
import cv2
import numpy as np
import pytest
import torch

import augmentation
from clips import DataError, check_clips
from dataset import GroupedDataset, SyncNetDataset, Wav2LipDataset, Wav2LipSample, decode_clips
from face_regions import POINTS, POINTS_FILE
from hparams import hparams
from numbered_clips import frame_numbers, mel_start, write_clip

# int(80·f/25) for f = 0 … 29, from the SPEC's formula by hand.
MEL_STARTS = [0, 3, 6, 9, 12, 16, 19, 22, 25, 28, 32, 35, 38, 41, 44, 48, 51, 54, 57, 60, 64, 67, 70,
              73, 76, 80, 83, 86, 89, 92]
EPOCHS = range(60)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root = tmp_path_factory.mktemp("numbered")
    write_clip(root / "a/00000")
    write_clip(root / "a/00001", missing=(7, 21))
    write_clip(root / "b/00000", n_frames=20, mel_frames=61)
    return check_clips([root / "a/00000", root / "a/00001", root / "b/00000"], root).clips


def write_tilted_face(folder, points):
    """A clip of crops, margin 0, that show a white spot at each corner of a mouth."""
    write_clip(folder, size=96)
    for n in range(30):
        image = np.zeros((96, 96, 3), np.uint8)
        for x, y in points[n, 2:]:
            cv2.circle(image, (round(96 * x - 0.5), round(96 * y - 0.5)), 3, (255, 255, 255), -1)
        cv2.imwrite(str(folder / f"{n}.jpg"), image)


def test_crops_are_laid_by_the_mouth_as_in_inference(tmp_path):
    """The corners are level, and their middle is where a crop 4 % higher than the box has it."""
    folder = tmp_path / "a" / "00000"
    tilt, shift = np.deg2rad(8), np.array([0.05, 0.04])
    c, s = np.cos(tilt), np.sin(tilt)
    points = (POINTS * [0.75, 1]) @ np.array([[c, s], [-s, c]]) / [0.75, 1] + shift
    points = np.tile(points, (30, 1, 1))
    write_tilted_face(folder, points)
    points[::2] = np.nan                    # as measured by `--every 2`
    np.save(folder / POINTS_FILE, points)
    clips = check_clips([folder], tmp_path).clips
    for hp in (hparams.override("align_mouth=True"),
               hparams.override("align_mouth=True,align_reference=True")):
        sample = Wav2LipDataset(clips, hp)[0, 0]
        for faces in (sample.gt, sample.x[3:]):
            spots = np.uint8(faces[0, 2].numpy() > 0.4)
            _, _, _, centres = cv2.connectedComponentsWithStats(spots)
            left, right = sorted(centres[1:].tolist())
            assert left[1] == pytest.approx(right[1], abs=0.7)
            middle = (np.array(left) + right) / 2 + 0.5
            np.testing.assert_allclose(middle, [48, 0.6865 / 1.04 * 96], atol=0.7)
    np.save(folder / POINTS_FILE, np.full((30, 4, 2), np.nan))
    with pytest.raises(DataError, match="1 clips without points"):
        Wav2LipDataset(clips, hparams.override("align_mouth=True"))


def mouth_frames(mouths: torch.Tensor) -> list[int]:
    assert mouths.shape == (15, 48, 96)
    return frame_numbers(mouths.reshape(5, 3, 48, 96).numpy())


def shown_frames(sample: Wav2LipSample) -> tuple[list[int], list[int]]:
    """Those to redraw, and those of the reference."""
    target, reference = (frame_numbers(faces.transpose(0, 1).numpy())
                         for faces in (sample.gt, sample.x[3:]))
    return target, reference


def test_expert_matches_mouths_with_their_mel(clips):
    dataset = SyncNetDataset(clips)
    labels = []
    for epoch in EPOCHS:
        sample = dataset[epoch, 0]
        frames = mouth_frames(sample.mouths)
        assert frames == list(range(frames[0], frames[0] + 5))
        matches = MEL_STARTS[frames[0]] == mel_start(sample.mel.numpy())
        assert matches == bool(sample.label)
        labels.append(float(sample.label))
    assert 0.3 < np.mean(labels) < 0.7


def test_windows_need_five_crops_in_a_row(clips):
    starts = {mouth_frames(SyncNetDataset(clips)[epoch, 1].mouths)[0] for epoch in EPOCHS}
    assert starts <= {0, 1, 2, *range(8, 17), *range(22, 26)}
    assert len(starts) > 10


def test_wrong_windows_are_as_far_as_asked(clips):
    dataset = SyncNetDataset(clips, hparams.override("min_negative_offset=12"))
    for epoch in EPOCHS:
        sample = dataset[epoch, 0]
        start = MEL_STARTS.index(mel_start(sample.mel.numpy()))
        distance = abs(mouth_frames(sample.mouths)[0] - start)
        assert distance == 0 if sample.label else distance >= 12


def test_wrong_windows_from_other_clips(clips):
    dataset = SyncNetDataset(clips, hparams.override("cross_clip_negatives=1"))
    wrong = [sample.name for epoch in EPOCHS if not (sample := dataset[epoch, 0]).label]
    assert wrong and all(name.startswith("a/00000@") for name in wrong)
    assert {name.split("/", 2)[2].split("@")[0] for name in wrong} == {"a/00001", "b/00000"}


def test_generator_sample(clips):
    dataset = Wav2LipDataset(clips)
    starts = set()
    for epoch in EPOCHS:
        sample = dataset[epoch, 0]
        frames, reference = shown_frames(sample)
        start = frames[0]
        assert frames == list(range(start, start + 5))
        assert reference == list(range(reference[0], reference[0] + 5)) and reference != frames
        assert torch.equal(sample.x[:3, :, :48], sample.gt[:, :, :48])
        assert not sample.x[:3, :, 48:].any()
        assert mel_start(sample.mel.numpy()) == MEL_STARTS[start]
        assert [mel_start(window) for window in sample.indiv_mels.numpy()] == (
            MEL_STARTS[start - 1:start + 4])
        starts.add(start)
    # 0 would need mel frame −3; the clip's 97 mel frames do not limit the end.
    assert starts <= set(range(1, 26)) and len(starts) > 15


@pytest.mark.parametrize("shift", [1, 2])
def test_the_generator_hears_as_much_later_as_is_asked_for(clips, shift):
    dataset = Wav2LipDataset(clips, sound_shift=shift)
    for epoch in EPOCHS:
        sample = dataset[epoch, 0]
        start = frame_numbers(sample.gt.transpose(0, 1).numpy())[0]
        assert mel_start(sample.mel.numpy()) == MEL_STARTS[start]
        assert [mel_start(window) for window in sample.indiv_mels.numpy()] == (
            MEL_STARTS[start - 1 + shift:start + 4 + shift])


def test_a_shift_beyond_the_sound_is_refused(clips):
    with pytest.raises(DataError, match="too short for a shift of 40 frames"):
        Wav2LipDataset(clips, sound_shift=40)


def test_references_are_as_far_as_asked(clips):
    dataset = Wav2LipDataset(clips, hparams.override("min_reference_offset=12"))
    distances = set()
    for epoch in EPOCHS:
        (start, *_), (reference, *_) = shown_frames(dataset[epoch, 0])
        distances.add(abs(reference - start))
    assert min(distances) == 12 and len(distances) > 5


def test_a_short_clip_gives_its_farthest_reference(clips):
    dataset = Wav2LipDataset(clips, hparams.override("min_reference_offset=40"))
    for epoch in EPOCHS:
        (start, *_), (reference, *_) = shown_frames(dataset[epoch, 0])
        assert abs(reference - start) == max(start, 25 - start)


def test_of_many_references_the_one_whose_head_is_held_alike(clips):
    """Heads that nod: the brightness of upper halves repeats every 10 frames, almost."""
    (crops, mel), = decode_clips(clips[:1])
    nod = [40 * abs(frame % 10 - 5) + frame for frame in range(30)]
    crops[:, :48] = np.reshape(nod, (30, 1, 1, 1))
    for candidates, nearest in (("1", False), ("26", True)):
        hp = hparams.override(f"min_reference_offset=5,reference_candidates={candidates}")
        dataset = Wav2LipDataset(clips[:1], hp, cache=[(crops, mel)])
        found = []
        for epoch in EPOCHS:
            sample = dataset[epoch, 0]
            start, reference = (nod.index(round(float(255 * faces[0, 0, 0, 0])))
                                for faces in (sample.gt, sample.x[3:]))
            found.append(abs(reference - start) == 10)
        assert all(found) == nearest


def test_generator_windows_stay_within_the_spectrogram(clips):
    """61 mel frames: the last window starts at 45, so frame f+3 ≤ 14."""
    starts = {frame_numbers(Wav2LipDataset(clips)[epoch, 2].gt.transpose(0, 1).numpy())[0]
              for epoch in EPOCHS}
    assert starts == set(range(1, 12))


def test_contrastive_windows_all_match_and_lie_apart(clips):
    dataset = GroupedDataset(clips, hparams.override("min_negative_offset=5"))
    for epoch in EPOCHS:
        sample = dataset[epoch, 0]
        assert sample.mel.shape == (4, 1, 80, 16) and sample.mouths.shape == (4, 15, 48, 96)
        starts = [mouth_frames(mouths)[0] for mouths in sample.mouths]
        assert [MEL_STARTS[s] for s in starts] == [mel_start(mel) for mel in sample.mel.numpy()]
        assert len(set(starts)) == 4


def test_colours_stay_bgr(clips, tmp_path):
    import cv2
    write_clip(tmp_path / "c/0")
    for n in range(30):
        cv2.imwrite(str(tmp_path / f"c/0/{n}.jpg"), np.full((32, 32, 3), (200, 100, 50), np.uint8))
    sample = Wav2LipDataset(check_clips([tmp_path / "c/0"], tmp_path).clips)[0, 0]
    means = sample.gt.mean((1, 2, 3)) * 255
    assert means.tolist() == pytest.approx([200, 100, 50], abs=2)    # JPEG's rounding


@pytest.mark.parametrize("kind", [SyncNetDataset, GroupedDataset, Wav2LipDataset])
def test_cached_crops_give_the_same_samples(clips, kind):
    hp = hparams.override("flip=0.5,color_jitter=0.1,mel_gain=3,mel_noise=0.1")
    plain = kind(clips, hp, seed=3, augment=True)
    cached = kind(clips, hp, seed=3, augment=True, cache=decode_clips(clips, hp))
    for index in range(len(clips)):
        for a, b in zip(plain[5, index], cached[5, index], strict=True):
            assert a == b if isinstance(a, str) else torch.equal(a, b)


def test_samples_depend_on_seed_epoch_and_index_alone(clips):
    dataset = SyncNetDataset(clips, seed=1)
    first = dataset[4, 1]
    dataset[2, 0]
    assert torch.equal(first.mouths, dataset[4, 1].mouths)
    names = {SyncNetDataset(clips, seed=seed)[epoch, 1].name for seed in (1, 2)
             for epoch in range(4)}
    assert len(names) == 8


def test_an_aligned_reference_has_the_targets_upper_half(clips):
    aligned = Wav2LipDataset(clips, hparams.override("align_reference=True"))
    for epoch in EPOCHS[:10]:
        sample, plain = aligned[epoch, 0], Wav2LipDataset(clips)[epoch, 0]
        torch.testing.assert_close(sample.x[3:, :, :48], sample.gt[:, :, :48])
        assert sample.name == plain.name
        torch.testing.assert_close(sample.x[3:, :, 54:], plain.x[3:, :, 54:])


def test_a_moved_chin_is_the_references_alone_and_in_training_alone(clips, monkeypatch):
    monkeypatch.setattr(augmentation, "move_chin", lambda crops, margin, limit, rng: 255 - crops)
    for hp, augment, moved in ((hparams.override("move_chin=0.1"), True, True),
                               (hparams.override("move_chin=0.1"), False, False),
                               (hparams, True, False)):
        sample, plain = (Wav2LipDataset(clips, these, augment=augment)[3, 0]
                         for these in (hp, hparams))
        torch.testing.assert_close(sample.gt, plain.gt)
        torch.testing.assert_close(sample.x[3:], 1 - plain.x[3:] if moved else plain.x[3:])


def test_a_covered_mouth_is_the_references_alone_and_in_training_alone(clips):
    hp = hparams.override("cover_mouth=0.5")
    covered = 0
    for epoch in EPOCHS:
        sample = Wav2LipDataset(clips, hp, augment=True)[epoch, 0]
        assert sample.gt.var(dim=(2, 3)).max() < 1e-4       # these crops are of one colour each
        covered += bool(sample.x[3:].var(dim=(2, 3)).max() > 1e-4)
        assert Wav2LipDataset(clips, hp)[epoch, 0].x[3:].var(dim=(2, 3)).max() < 1e-4
    assert 0.3 < covered / len(EPOCHS) < 0.7


def test_a_thing_before_the_face_is_in_target_and_reference_and_in_training_alone(clips):
    hp = hparams.override("occlude=0.5")
    covered = 0
    for epoch in EPOCHS:
        sample = Wav2LipDataset(clips, hp, augment=True)[epoch, 0]
        # These crops are of one colour each: what varies is the thing.
        target, reference = ((pictures - pictures[:, :, :1, :1]).abs().amax((0, 1)) > 0.02
                             for pictures in (sample.gt, sample.x[3:]))
        assert (target == reference).float().mean() > 0.98
        covered += bool(target.any())
        assert Wav2LipDataset(clips, hp)[epoch, 0].gt.var(dim=(2, 3)).max() < 1e-4
    assert 0.3 < covered / len(EPOCHS) < 0.7
