"""A contact sheet shows sources above results, each around the face, every few frames."""
from pathlib import Path

import cv2
import numpy as np
import pytest

import media
from errors import InputError
from evaluation import contact_sheet

PORTRAIT = Path(__file__).parents[1] / "examples" / "portrait.jpg"


def test_face_square_shows_the_box_in_its_middle():
    """A box 40 wide and 20 high about (60, 50) makes a square of 60 about that point."""
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[40:60, 40:80] = 255
    square = contact_sheet.face_square(frame, (40, 40, 80, 60), 120)
    rows, columns = (np.flatnonzero(square[..., 0].max(axis=axis) > 127) for axis in (1, 0))
    assert abs(rows - [40]).min() <= 1 and abs(rows - [79]).min() <= 1 and len(rows) <= 42
    assert abs(columns - [20]).min() <= 1 and abs(columns - [99]).min() <= 1 and len(columns) <= 82


def test_sources_lie_above_results():
    sources = [np.full((4, 4, 3), i, np.uint8) for i in (1, 2, 3)]
    results = [np.full((4, 4, 3), i, np.uint8) for i in (11, 12, 13)]
    sheet = contact_sheet.contact_sheet(sources, results, columns=2)
    assert sheet.shape == (2 * 8 + 8, 8, 3)
    assert sheet[[0, 4], 0, 0].tolist() == [1, 11] and sheet[[0, 4], 7, 0].tolist() == [2, 12]
    assert sheet[[16, 20], 0, 0].tolist() == [3, 13] and sheet[16, 7, 0] == 255


@pytest.fixture
def result(tmp_path):
    """Ten frames of the portrait, frame i brightened by 5·i."""
    portrait = cv2.imread(str(PORTRAIT))
    path = tmp_path / "result.mp4"
    with media.VideoWriter(path, width=512, height=512, fps=25) as writer:
        for i in range(10):
            writer.write(cv2.add(portrait, np.full_like(portrait, 5 * i)))
    return path


def run(monkeypatch, *flags):
    monkeypatch.setattr("sys.argv", ["contact_sheet.py", *map(str, flags)])
    contact_sheet.main()


def test_sheet_of_a_picture_and_its_result(result, tmp_path, monkeypatch):
    out = tmp_path / "sheets" / "sheet.png"
    run(monkeypatch, "--face", PORTRAIT, "--result", result, "--out", out, "--first", "1",
        "--every", "4", "--columns", "3", "--size", "64")
    sheet = cv2.imread(str(out)).astype(int)
    assert sheet.shape == (128, 192, 3)
    source, shown = sheet[:64], sheet[64:]
    for i, frame in enumerate((1, 5, 9)):
        piece = slice(64 * i, 64 * i + 64)
        assert np.median(shown[:, piece] - source[:, piece]) == pytest.approx(5 * frame, abs=3)


@pytest.mark.parametrize("flags, message", [
    (["--first", "10"], "has only 10 frames"), (["--out", "sheet.txt"], "end the name with"),
    (["--out", "/proc/sheet.jpg"], "cannot write /proc/sheet.jpg")])
def test_mistakes_are_named(result, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        run(monkeypatch, "--face", PORTRAIT, "--result", result, "--out", "sheet.jpg", *flags)
