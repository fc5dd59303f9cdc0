"""A face moved in a known way comes back to where it was, whatever its mouth does."""
from pathlib import Path

import cv2
import numpy as np
import pytest

from alignment import lay_on

PORTRAIT = Path(__file__).parents[1] / "examples" / "portrait.jpg"
MARGIN = 0.25
STORED = 144
BOX = slice(24, 120)
MOUTH = slice(88, 106), slice(55, 90)


@pytest.fixture(scope="module")
def face():
    return np.ascontiguousarray(cv2.resize(cv2.imread(str(PORTRAIT))[15:235, 105:325],
                                           (STORED, STORED), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("angle, scale, shift", [(0, 1, (0, 0)), (5, 1.04, (4, -3)),
                                                 (-4, 0.95, (-3, 4))])
def test_the_head_is_laid_on_the_targets_and_keeps_its_own_mouth(face, angle, scale, shift):
    spoken = face.copy()
    spoken[MOUTH] = (40, 20, 160)
    move = cv2.getRotationMatrix2D((STORED / 2, STORED / 2), angle, scale)
    move[:, 2] += shift
    moved = cv2.warpAffine(spoken, move, (STORED, STORED), borderMode=cv2.BORDER_REPLICATE)
    laid, = lay_on(face[None], moved[None], MARGIN)
    np.testing.assert_array_equal(laid[:STORED // 2], face[:STORED // 2])
    far = slice(80, 118), BOX
    error, before = (np.abs(faces[far].astype(int) - spoken[far]).mean() for faces in (laid, moved))
    assert error < max(1, before / 4)
    assert np.abs(laid[MOUTH].astype(int) - face[MOUTH]).mean() > 40


def test_what_cannot_be_aligned_stays_where_it_is(face):
    flat = np.full_like(face, 128)
    laid, = lay_on(flat[None], face[None], MARGIN)
    np.testing.assert_array_equal(laid[STORED // 2 + 6:], face[STORED // 2 + 6:])
    np.testing.assert_array_equal(laid[:STORED // 2], flat[:STORED // 2])
