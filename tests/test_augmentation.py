"""Augmentation: off by default, alike for all crops of a sample, inside its limits."""
import dataclasses

import numpy as np
import pytest

import augmentation
from augmentation import NONE, Augmentation, change_crops, change_mel, cover_mouth, move_chin
from face_regions import place_in_box
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
    moved = change_crops(crops, 0.25, 96, Augmentation(box=(0.125, -0.25, 0.0, 0.0)))
    assert np.array_equal(moved, crops[:, 0:96, 36:132])
    outside = change_crops(crops, 0.25, 96, Augmentation(box=(9.0, 9.0, 0.0, 0.0)))
    assert np.array_equal(outside, crops[:, 48:144, 48:144])


def test_box_grows_about_its_centre(crops):
    """A box of 1.5 · 96 = 144 columns and 96 rows: pixel i of 96 shows column 1.5·i + 0.25."""
    wide = change_crops(crops, 0.25, 96, Augmentation(box=(0.0, 0.0, 0.5, 0.0)))
    expected = 1.5 * np.arange(96) + 0.25
    assert np.abs(wide[0, :, :, 0] - expected).max() <= 0.75    # whole levels, 1/32 pixel steps
    assert np.array_equal(wide[0, :, 0, 1], np.arange(24, 120))


def test_rotation_turns_about_the_centre(crops):
    """By 90 degrees, rows become columns."""
    turned = change_crops(crops, 0.25, 96, Augmentation(rotation=90.0))
    central = crops[0, 24:120, 24:120]
    assert any(np.array_equal(turned[0], np.rot90(central, k)) for k in (1, 3))


def test_gray_pictures_have_one_level_a_pixel(crops):
    drawn = augmentation.draw(hparams.override("gray=1"), np.random.default_rng(0))
    gray = change_crops(crops, 0.25, 96, drawn)
    assert np.abs(np.diff(gray.astype(int), axis=3)).max() <= 1     # rounding


def test_color_map_is_applied_to_bgr(crops):
    swap = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 50]], float)
    plain, changed = change_crops(crops, 0.25, 96), change_crops(crops, 0.25, 96,
                                                                 Augmentation(color=swap))
    assert np.array_equal(changed[..., :2], plain[..., 1::-1])
    assert np.array_equal(changed[..., 2], plain[..., 2] + 50)


def test_backdrop_changes_what_surrounds_the_face_alone(crops):
    """Blue raised by 50 on an ellipse's outside: half axes 0.42 and 0.52 box sides, soft border."""
    bluer = np.array([[1, 0, 0, 50], [0, 1, 0, 0], [0, 0, 1, 0]], float)
    plain, changed = (change_crops(crops, 0.25, 96, Augmentation(backdrop=backdrop)).astype(int)
                      for backdrop in (None, bluer))
    rise = changed - plain
    assert not rise[..., 1:].any()
    assert (rise[:, 48, 20:76, 0] == 0).all() and (rise[:, 20:76, 48, 0] == 0).all()
    assert (rise[:, :, [0, 95], 0] == 50).all()
    assert 20 <= rise[0, 48, round(48 + 0.42 * 96), 0] <= 30     # half way on the ellipse itself


def test_shade_brightens_one_side(crops):
    """Towards the bottom, rising by 40 %: the middle keeps its level, the last row has 1.4 of it."""
    gray = np.full((5, 96, 96, 3), 100, np.uint8)
    shaded = change_crops(gray, 0.0, 96, Augmentation(shade=(np.pi / 2, 0.4)))
    assert np.abs(shaded[:, 48].astype(int) - 100).max() <= 1
    assert np.abs(shaded[:, 95].astype(int) - 140).max() <= 1
    assert np.abs(shaded[:, 0].astype(int) - 60).max() <= 1
    assert (shaded == shaded[:1, :, :1, :1]).all()


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


def test_mel_equaliser_is_a_sum_of_cosines():
    """The second wave alone, 10 dB: up at both ends, down in the middle, 0.8 of the mel's range."""
    mel = np.zeros((80, 16), np.float32)
    changed = change_mel(mel, Augmentation(mel_eq=(0.0, 10.0, 0.0)))
    assert changed[[0, 79]] == pytest.approx(0.8, abs=0.01)
    assert changed[[39, 40]] == pytest.approx(-0.8, abs=0.01)
    assert changed.mean() == pytest.approx(0, abs=1e-6)


def test_mel_warp_stretches_the_frequency_axis():
    mel = np.repeat(np.linspace(-4, 4, 80, dtype=np.float32)[:, None], 16, axis=1)
    warped = change_mel(mel, Augmentation(mel_warp=-0.1))
    assert warped[50] == pytest.approx(mel[45], abs=0.01)


def test_mel_mask_silences_a_band():
    mel = np.zeros((80, 16), np.float32)
    masked = change_mel(mel, Augmentation(mel_mask=(10, 14)))
    assert (masked[10:14] == -4).all() and np.count_nonzero(masked) == 4 * 16
    assert not mel.any()


def test_draws_stay_within_the_hyper_parameters():
    hp = hparams.override("flip=0.5,color_jitter=0.2,blur=0.5,jpeg=0.5,box_jitter=0.1,rotation=9,"
                          "mel_gain=6,mel_eq=4,mel_warp=0.1,mel_mask=12,mel_noise=0.3,shade=0.5")
    draws = [augmentation.draw(hp, np.random.default_rng(seed)) for seed in range(200)]
    assert 0.35 < np.mean([d.flip for d in draws]) < 0.65
    assert 0.35 < np.mean([d.jpeg_quality > 0 for d in draws]) < 0.65
    assert 0.08 < np.abs([d.box for d in draws]).max() <= 0.1
    assert 8 < np.abs([d.rotation for d in draws]).max() <= 9
    assert 3.5 < np.abs([d.mel_eq for d in draws]).max() <= 4
    assert 0.09 < np.abs([d.mel_warp for d in draws]).max() <= 0.1
    assert max(stop - first for first, stop in (d.mel_mask for d in draws)) == 12
    assert all(0 <= first <= stop <= 80 for first, stop in (d.mel_mask for d in draws))
    assert 5 < np.abs([d.mel_gain for d in draws]).max() <= 6
    assert max(d.mel_noise for d in draws) <= 0.3
    assert 0.45 < max(rise for _, rise in (d.shade for d in draws)) <= 0.5


@pytest.mark.parametrize("change", [
    NONE, Augmentation(rotation=12.0, box=(0.0, 0.0, 0.3, -0.1)), Augmentation(turn=0.4),
    Augmentation(smile=0.6), Augmentation(box=(0.1, 0.1, 0.0, 0.0)),
    Augmentation(warp=np.random.default_rng(0).normal(0, 0.02, (4, 4, 2)).astype(np.float32))])
def test_a_placed_crop_has_the_mouth_where_it_should_be_whatever_bends_it(places, change):
    """The mouth of a face that is turned by 10 degrees and off the middle of its box: in a crop 4 %
    higher than the box it is at 0.6865 / 1.04."""
    c, s = np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))
    upright = (np.array([[0.2765, 0.311], [0.7235, 0.311], [0.3245, 0.6865], [0.6755, 0.6865]])
               * [0.75, 1])
    points = (upright @ [[c, s], [-s, c]] + [0.08, -0.06]) / [0.75, 1]
    mouth = 24 + 96 * points[2:].mean(0) - 0.5
    crop = change_crops(places, 0.25, 96, change, place_in_box(points))[0].astype(float)
    rows, columns = [round(0.6865 / 1.04 * 96 - 0.5)], [47, 48]
    np.testing.assert_allclose(crop[rows][:, columns, :2].mean((0, 1)), mouth, atol=1)
    if change is NONE:
        eyes = 24 + 96 * points[:2].mean(0) - 0.5
        row = round(0.311 / 1.04 * 96 - 0.5)
        np.testing.assert_allclose(crop[row, 47:49, :2].mean(0), eyes, atol=1)


def test_the_box_grows_in_width_and_in_height_by_what_each_draws():
    hp = hparams.override("box_jitter=0.1,box_growth=0.3")
    boxes = np.array([augmentation.draw(hp, np.random.default_rng(seed)).box for seed in range(400)])
    assert 0.09 < np.abs(boxes[:, :2]).max() <= 0.1
    assert -0.1 <= boxes[:, 2:].min() < -0.07 and 0.37 < boxes[:, 2:].max() <= 0.4
    assert abs(np.corrcoef(boxes[:, 2], boxes[:, 3])[0, 1]) < 0.15
    without = augmentation.draw(hparams.override("box_jitter=0.1"), np.random.default_rng(5)).box
    np.testing.assert_array_equal(boxes[5, :2], without[:2])


def test_a_warp_moves_each_part_of_the_face_by_what_the_grid_says():
    """A picture whose colour tells its place: of the left half all is taken from 0.05 box sides
    further right, of the right half nothing moves."""
    place = np.indices((144, 144)).transpose(1, 2, 0)[..., ::-1]
    crops = np.dstack([place, np.zeros((144, 144, 1))]).astype(np.uint8)[None]
    grid = np.zeros((4, 4, 2), np.float32)
    grid[:, :2, 0] = 0.05
    plain = change_crops(crops, 0.25, 96)[0].astype(int)
    warped = change_crops(crops, 0.25, 96, Augmentation(warp=grid))[0].astype(int)
    moved = warped - plain
    assert np.abs(moved[:, :12, 0] - 0.05 * 96).max() <= 0.5
    assert np.abs(moved[:, 84:, 0]).max() <= 0.5
    assert np.abs(moved[..., 1]).max() <= 0.5


def test_warps_have_the_spread_that_is_asked_for():
    hp = hparams.override("warp=0.02")
    grids = [augmentation.draw(hp, np.random.default_rng(seed)).warp for seed in range(100)]
    assert np.std(grids) == pytest.approx(0.02, rel=0.05)
    assert abs(np.mean(grids)) < 0.002
    assert augmentation.draw(hparams, np.random.default_rng(0)).warp is None


@pytest.fixture
def places():
    """A crop whose colour tells its place, x and y in pixels."""
    place = np.indices((144, 144)).transpose(1, 2, 0)[..., ::-1]
    return np.dstack([place, np.zeros((144, 144, 1))]).astype(np.uint8)[None]


def test_a_turn_moves_the_middle_of_the_face_and_leaves_its_edges(places):
    """The middle is taken from 0.4 quarters of 96 further right, the edges from where they are,
    and each row from itself."""
    plain = change_crops(places, 0.25, 96)[0].astype(int)
    moved = change_crops(places, 0.25, 96, Augmentation(turn=0.4))[0].astype(int) - plain
    assert np.abs(moved[:, 47:49, 0] - 9.6).max() <= 0.5
    assert np.abs(moved[:, [0, 95], 0]).max() <= 0.5
    assert np.abs(moved[..., 1]).max() <= 0.5


def test_a_smile_widens_the_mouth_thins_its_lips_and_lifts_its_corners(places):
    plain = change_crops(places, 0.25, 96)[0].astype(int)
    smiling = change_crops(places, 0.25, 96, Augmentation(smile=0.6))[0].astype(int)
    assert smiling[72, 56, 0] - smiling[72, 40, 0] == pytest.approx(16 / 1.6, abs=1)
    assert smiling[76, 48, 1] - smiling[68, 48, 1] == pytest.approx(8 * 1.3, abs=1)
    below = smiling[72, [28, 68], 1] - plain[72, [28, 68], 1]
    assert below.min() >= 2 and below[0] == pytest.approx(below[1], abs=1)
    assert np.abs(smiling[:24] - plain[:24]).max() <= 1, "eyes and brows stay"


@pytest.fixture
def red_lips():
    """(1, 144, 144, 3): skin, with a mouth where `cover_mouth` would look for it that is a little
    redder, and teeth within it that are not; and the rows and columns of both in the box."""
    face = np.full((1, 144, 144, 3), (120, 140, 180), np.uint8)
    face[:, 24 + 66:24 + 80, 24 + 32:24 + 64] = (100, 100, 170)
    face[:, 24 + 71:24 + 75, 24 + 38:24 + 58] = 200
    return face


def test_lipstick_colours_lips_and_neither_skin_nor_teeth(red_lips):
    """Lips of mean 123 in twice as blue as red, with an opacity of a half."""
    painted = change_crops(red_lips, 0.25, 96, Augmentation(
        lipstick=np.array([1.6, 0.6, 0.8, 0.5])))[0].astype(int)
    plain = red_lips[0, 24:120, 24:120].astype(int)
    expected = 0.5 * np.array([100, 100, 170]) + 0.5 * 123.3 * np.array([1.6, 0.6, 0.8])
    assert np.abs(painted[68:69, 40:56] - expected).max() <= 2
    assert np.abs(painted[73, 41:55] - plain[73, 41:55]).max() <= 2
    assert np.abs(painted[:60] - plain[:60]).max() == 0
    assert np.abs(painted[84:] - plain[84:]).max() == 0


def test_turns_smiles_and_lipsticks_are_drawn_as_often_as_asked_for():
    hp = hparams.override("turn=0.3,smile=0.6,lipstick=0.25")
    draws = [augmentation.draw(hp, np.random.default_rng(seed)) for seed in range(200)]
    smiles = [d.smile for d in draws if d.smile]
    assert 80 <= len(smiles) <= 120 and 0 < min(smiles) and 0.55 < max(smiles) <= 0.6
    assert 0.28 < np.abs([d.turn for d in draws]).max() <= 0.3
    worn = [d.lipstick for d in draws if d.lipstick is not None]
    assert 35 <= len(worn) <= 65
    assert all(lipstick[2] == max(lipstick[:3]) for lipstick in worn)


def test_the_mouth_alone_is_covered_lightly_darkly_or_both_and_alike_in_all_crops():
    crops = np.full((2, 144, 144, 3), 108, np.uint8)
    crops[1] += 14
    kinds = []
    for seed in range(60):
        covered = cover_mouth(crops, 0.25, np.random.default_rng(seed)).astype(int)
        changed = [np.abs(frame - crop).max(2) > 2 for frame, crop in zip(covered, crops, strict=True)]
        rows, columns = np.nonzero(changed[0])
        assert 24 + 0.5 * 96 <= rows.min() and rows.max() < 24 + 96          # of the box, 24 … 119
        assert abs(columns.mean() - 71.5) < 0.1 * 96 and 10 < np.ptp(columns) < 0.6 * 96
        assert (changed[0] & changed[1]).sum() > 0.8 * changed[0].sum()
        difference = covered[0] - crops[0]
        kinds.append((bool(difference.max() > 10), bool(difference.min() < -10)))
    for kind in ((True, False), (False, True), (True, True)):
        assert kinds.count(kind) > 0.15 * len(kinds)


def test_the_chin_alone_moves_and_alike_in_all_crops():
    """Green tells a pixel's row. In the box, 24 … 119 of 144, the chin's edge is at 0.93 sides; the
    mouth's middle, at 0.7, and what is beside the face hardly move."""
    crops = np.zeros((2, 144, 144, 3), np.uint8)
    crops[..., 1] = np.arange(144)[:, None]
    chin, mouth = 24 + round(0.93 * 96), 24 + round(0.7 * 96)
    shifts = []
    for seed in range(60):
        moved = move_chin(crops, 0.25, 0.06, np.random.default_rng(seed)).astype(int)
        np.testing.assert_array_equal(moved[0], moved[1])
        from_rows = moved[0, :, :, 1] - np.arange(144)[:, None]
        shifts.append(-from_rows[chin, 72] / 96)
        largest = abs(from_rows[chin, 72])
        assert np.abs(from_rows[:mouth + 1]).max() <= max(1, 0.1 * largest)
        assert np.abs(from_rows[:, [0, 143]]).max() <= 1
    assert min(shifts) < -0.045 and max(shifts) > 0.045 and np.abs(shifts).max() <= 0.06 + 0.5 / 96
    assert abs(np.mean(shifts)) < 0.015


def test_a_smiles_patch_has_its_corners_up():
    crops = np.full((1, 96, 96, 3), 105, np.uint8)
    risen = []
    for seed in range(60):
        covered = cover_mouth(crops, 0.0, np.random.default_rng(seed))[0].astype(int)
        rows, columns = np.nonzero(np.abs(covered - 105).max(2) > 10)
        if np.ptp(columns) > 0.35 * 96:
            outer = np.abs(columns - columns.mean()) > 0.4 * np.ptp(columns)
            risen.append(rows[~outer].mean() - rows[outer].mean())
    assert len(risen) > 10 and np.mean(risen) > 1 and max(risen) > 3
