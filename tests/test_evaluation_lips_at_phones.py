"""Openings are taken where the labels say that a phone is."""
from types import SimpleNamespace

import numpy as np
import pytest

from errors import InputError
from evaluation import lips_at_phones
from visemes import Phone

LABELS = "#\n0.38 100 a\n0.42 100 m\n0.8 100 a\n0.96 100 b\n1.6 100 e\n"


def test_openings_are_those_of_the_frame_that_is_seen_at_the_phones_middle():
    """Frame f of 25 a second is seen from f / 25 on for 0.04 s: its middle is at f / 25 + 0.02."""
    openings = np.arange(20.0)
    phones = [Phone(0.0, 0.38, "open"), Phone(0.38, 0.42, "bilabial"), Phone(0.42, 0.48, "bilabial")]
    found = lips_at_phones.around(openings, phones, {"bilabial"}, 25)
    np.testing.assert_allclose(found, [np.arange(5.5, 13), np.arange(6.75, 14)])
    assert np.isnan(lips_at_phones.around(openings[:10], phones, {"bilabial"}, 25)).sum() == 4 + 5
    assert lips_at_phones.around(openings, phones, {"schwa"}, 25).shape == (0, 8)


@pytest.fixture()
def result(tmp_path, monkeypatch):
    """A video whose lips are 0.1 apart, but shut in two frames about 8.5 and two about 20.5: a frame
    before the middles of its m and its b."""
    openings = np.full(40, 0.1)
    openings[[8, 9, 20, 21]] = 0
    monkeypatch.setattr(lips_at_phones, "lips_in", lambda path, fps: openings)
    monkeypatch.setattr(lips_at_phones.media, "probe",
                        lambda path: SimpleNamespace(video=SimpleNamespace(fps=25.0)))
    (tmp_path / "x.lab").write_text(LABELS)
    return openings


def test_the_difference_is_greatest_when_the_lips_meet(result, tmp_path, capsys):
    lips_at_phones.main(["--result", "x.mp4", "--labels", str(tmp_path / "x.lab")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 p, b, m and 3 open vowels; the opening's standard deviation is 0.030")
    assert lines[1].split()[-8:] == ["-4", "-3", "-2", "-1", "+0", "+1", "+2", "+3"]
    shut = [float(cell) for cell in lines[2].split()[-8:]]
    assert shut == pytest.approx([3.33, 3.33, 1.67, 0, 1.67, 3.33, 3.33, 3.33], abs=0.01)


def test_what_does_not_fit_is_named(result, tmp_path, capsys):
    with pytest.raises(SystemExit):
        lips_at_phones.main(["--result", "x.mp4", "y.mp4", "--labels", str(tmp_path / "x.lab")])
    assert "argument --labels: 1 files for 2 results" in capsys.readouterr().err
    (tmp_path / "x.lab").write_text("#\n1.0 100 a\n")
    with pytest.raises(InputError, match="0 of p, b and m and 1 open vowels"):
        lips_at_phones.main(["--result", "x.mp4", "--labels", str(tmp_path / "x.lab")])
