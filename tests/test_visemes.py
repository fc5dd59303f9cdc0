"""A mouth at known phones: who asks for what, how firmly, and when."""
import numpy as np
import pytest

from errors import InputError
from mouth_shape import SHUT
from visemes import VISEMES, Phone, read_labels, shapes_of, viseme_of

LABELS = """\
intonation_style tone
#
0.2200 100 pau
0.3000 100 m
0.4000 100 aa
0.5000 100 m
0.7000 100 uw
"""


def at(phones, *times):
    return shapes_of(phones, np.array(times, float))[0]


@pytest.mark.parametrize("viseme, phones", [
    ("bilabial", "p b m pp bb mm b:"),
    ("labiodental", "f v ff v:"),
    ("glide", "w"),
    ("close round", "uw uh u u: u1 y:"),
    ("mid round", "ow o o1 O1 ao"),
    ("open", "aa a a1 ah ay a:"),
    ("mid", "eh ey e E1"),
    ("close", "iy ih i i: i1 ii"),
    ("schwa", "ax er @"),
    ("postalveolar", "sh ch S tS s~ z~"),
    ("sibilant", "s z c ts dz ss"),
    ("alveolar", "t d n l n~ tt L"),
    ("velar", "k g ng hh x j N"),
    ("silence", "pau # ## _"),
])
def test_phones_of_all_voices_fall_under_what_a_mouth_does(viseme, phones):
    assert {viseme_of(phone) for phone in phones.split()} == {viseme}


def test_labels_are_read_as_festival_writes_them(tmp_path):
    path = tmp_path / "mama.lab"
    path.write_text(LABELS)
    assert read_labels(path) == [
        Phone(0, 0.22, "silence"), Phone(0.22, 0.3, "bilabial"), Phone(0.3, 0.4, "open"),
        Phone(0.4, 0.5, "bilabial"), Phone(0.5, 0.7, "close round")]


@pytest.mark.parametrize("text", ["", "#\n", "0.1 100 a\n", "#\n0.1 100\n", "#\nsoon 100 a\n"])
def test_what_is_no_label_file_is_named(tmp_path, text):
    (tmp_path / "x.lab").write_text(text)
    with pytest.raises(InputError, match="x.lab holds no labels"):
        read_labels(tmp_path / "x.lab")


def test_a_phone_alone_is_obeyed_at_any_distance():
    shapes = at([Phone(1.0, 1.2, "close")], 0.9, 1.1, 1.4)
    wish = VISEMES["close"]
    np.testing.assert_allclose(shapes[:, 0], wish.opening, atol=0.02)
    np.testing.assert_allclose(shapes[:, 1], wish.width, atol=0.02)
    np.testing.assert_allclose(shapes[:, 2:], np.outer(shapes[:, 0] / SHUT[0], SHUT[2:]), rtol=1e-5)


def test_between_two_phones_each_weighs_by_its_firmness_and_distance():
    """An "e" that is held from 0.025 to 0.175 and an "a" from 0.225 to 0.375, seen at 0.18."""
    e, a = VISEMES["mid"], VISEMES["open"]
    phones = [Phone(0.0, 0.2, "mid"), Phone(0.2, 0.4, "open")]
    shapes, firmness = shapes_of(phones, np.array([0.18]))
    near, far = 1.2 * np.exp(-0.005 / 0.025), 1.3 * np.exp(-0.045 / 0.025)
    assert shapes[0, 0] == pytest.approx((near * e.opening + far * a.opening) / (near + far),
                                         rel=1e-3)
    assert firmness[0] == pytest.approx(near + far, rel=1e-3)
    near, far = 1.0 * np.exp(-0.005 / 0.07), 0.7 * np.exp(-0.045 / 0.07)
    assert shapes[0, 1] == pytest.approx((near * e.width + far * a.width) / (near + far), rel=1e-3)


def test_lips_meet_in_the_closure_and_part_before_the_vowel():
    phones = [Phone(0.0, 0.2, "open"), Phone(0.2, 0.3, "bilabial"), Phone(0.3, 0.5, "open")]
    before, first, last, soon, after = at(phones, 0.12, 0.2, 0.28, 0.32, 0.36)[:, 0]
    assert max(first, last) < -1.5 and -1.5 < soon < 0 and min(before, after) > 0.7


def test_only_a_long_silence_shuts_the_mouth():
    def between(pause):
        phones = [Phone(0, 0.2, "open"), Phone(0.2, 0.2 + pause, "silence"),
                  Phone(0.2 + pause, 0.4 + pause, "open")]
        return at(phones, 0.2 + pause / 2)[0, 0]
    assert between(0.5) < -1.2 and between(0.14) > 1.2
