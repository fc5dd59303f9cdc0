import numpy as np
import pytest

import occlusion
from occlusion import Thing

MARGIN = 0.25
SIDE = 96                   # of the box, in pixels
STORED = round(SIDE * (1 + 2 * MARGIN))


def thing(**changes) -> Thing:
    """A black stick from below, its end in the middle of the box, without light or pattern."""
    return Thing(np.array([0.5, 0.5]), np.pi / 2, 0.1, 1.5, np.zeros(3), 0.0,
                 np.ones((4, 4), np.float32))._replace(**changes)


def dark(crops: np.ndarray) -> np.ndarray:
    return crops[0, :, :, 1] < 100


@pytest.fixture
def white() -> np.ndarray:
    return np.full((1, STORED, STORED, 3), 200, np.uint8)


def test_a_thing_has_its_end_its_head_and_its_width_where_they_are_told(white):
    rows, columns = np.nonzero(dark(occlusion.put_before(white, MARGIN, thing())))
    assert rows.min() == pytest.approx(STORED / 2, abs=1)
    widths = np.bincount(rows, minlength=STORED)
    assert widths.max() == pytest.approx(2 * 0.15 * SIDE, abs=2)        # its round head
    assert widths[-1] == pytest.approx(2 * 0.1 * SIDE, abs=2)           # its stick
    assert columns.mean() == pytest.approx(STORED / 2 - 0.5, abs=0.5)


@pytest.mark.parametrize("towards, edge", [(0, np.s_[:, -1]), (np.pi, np.s_[:, 0]),
                                           (np.pi / 2, np.s_[-1]), (-np.pi / 2, np.s_[0])])
def test_it_leaves_the_picture_in_its_direction_alone(white, towards, edge):
    found = dark(occlusion.put_before(white, MARGIN, thing(towards=towards)))
    assert found[edge].sum() == pytest.approx(0.2 * SIDE, abs=2)
    found[edge] = False
    border = np.concatenate([found[0], found[-1], found[:, 0], found[:, -1]])
    assert border.sum() <= 2 * 2        # the corners of that edge's neighbours


def test_what_it_does_not_cover_is_left_and_it_is_alike_in_all_crops():
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, STORED, STORED, 3), dtype=np.uint8)
    out = occlusion.put_before(crops, MARGIN, thing())
    np.testing.assert_array_equal(out[:, :STORED // 2 - 5], crops[:, :STORED // 2 - 5])
    assert (out[:, -20:, STORED // 2] == 0).all()


def test_a_hand_has_the_colour_of_the_cheeks_and_one_edge_is_lighter():
    crops = np.full((1, STORED, STORED, 3), 255, np.uint8)
    crops[:, :STORED // 2 + 15] = [60, 80, 120]     # a face down to 0.65 of the box
    out = occlusion.put_before(crops, MARGIN, thing(end=np.array([0.5, 0.8]), colour=None,
                                                    rounding=0.5))
    middle = STORED // 2
    np.testing.assert_allclose(out[0, -5, middle], [60, 80, 120], atol=4)
    left, right = out[0, -5, middle - 8, 2], out[0, -5, middle + 8, 2]
    assert abs(int(left) - int(right)) > 30


def test_things_come_from_all_sides_and_leave_the_mouth_free(white):
    rng = np.random.default_rng(0)
    found = [dark(occlusion.put_before(white, MARGIN, occlusion.draw(rng)._replace(
        colour=np.zeros(3)))) for _ in range(400)]
    below, left, right, above = (np.mean([edge.any() for edge in edges]) for edges in zip(
        *((each[-1], each[:, 0], each[:, -1], each[0]) for each in found), strict=True))
    assert below > 0.5 and left > 0.2 and right > 0.2 and above == 0
    box = found[0][24:-24, 24:-24]
    assert box.shape == (SIDE, SIDE)
    mouth = np.mean([each[24:-24, 24:-24][64:75, 36:60].any() for each in found])
    assert mouth < 0.02
