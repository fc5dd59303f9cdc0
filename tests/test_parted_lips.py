"""Lips that were shut, apart: pictures that tell where each of their pixels came from."""
import logging

import cv2
import numpy as np
import pytest

import face_mesh
import media
import parted_lips
from conftest import MESH_SIDE
from errors import InputError
from parted_lips import Face, parted

pytestmark = pytest.mark.usefixtures("mesh_lines")

CHIN, LOWER_OUTER, UPPER_OUTER, NOSE_TIP, CHEEKS = 152, 17, 0, 4, [50, 280]
UPPER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
LOWER = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
MIDDLE = 5      # of both


@pytest.fixture()
def shut(mesh) -> Face:
    """Grey, with lips that meet."""
    mesh = mesh.copy()
    mesh[LOWER] = mesh[UPPER]
    return Face(np.full((MESH_SIDE, MESH_SIDE, 3), 100, np.uint8), mesh)


@pytest.fixture()
def donor(mesh) -> Face:
    """Blue is the pixel's x, green its y, by two thirds and 40 more; cheeks as the other's."""
    x, y = np.meshgrid(*[np.arange(MESH_SIDE)] * 2)
    frame = np.uint8(np.dstack([x, y, np.full_like(x, 90)]) * 2 / 3 + 40)
    for cheek in mesh[CHEEKS, :2].round().astype(int):
        cv2.circle(frame, cheek.tolist(), 6, (100, 100, 100), -1)
    return Face(frame, mesh)


def test_between_the_lips_is_what_is_between_the_donors(shut, donor):
    picture = parted(shut, donor).astype(float)
    upper, lower = donor.mesh[UPPER], donor.mesh[LOWER]
    for i in range(3, 8):
        x, top = shut.mesh[UPPER[i], :2]
        apart = (lower - upper)[i, 1]
        for share in (0.4, 0.6):
            shown = (picture[round(top + share * apart), round(x), :2] - 40) * 1.5
            np.testing.assert_allclose(shown, (upper + share * (lower - upper))[i, :2], atol=3)


def test_the_lower_lip_and_the_chin_go_down_by_as_much_and_nothing_else_moves(shut, donor):
    frame = shut.frame.copy()
    for point, colour in (CHIN, 0), (LOWER_OUTER, 255), (UPPER_OUTER, 200), (NOSE_TIP, 30):
        cv2.circle(frame, shut.mesh[point, :2].round().astype(int).tolist(), 3, [colour] * 3, -1)
    picture = parted(shut._replace(frame=frame), donor)
    apart = (donor.mesh[LOWER[MIDDLE]] - donor.mesh[UPPER[MIDDLE]])[1]
    assert apart > 4
    for point, colour, down in ((CHIN, 0, apart), (LOWER_OUTER, 255, apart), (UPPER_OUTER, 200, 0),
                                (NOSE_TIP, 30, 0)):
        x, y = (shut.mesh[point, :2] + [0, down]).round().astype(int)
        np.testing.assert_allclose(picture[y, x], colour, atol=20)
    np.testing.assert_array_equal(picture[:60], frame[:60])


def test_a_donor_half_as_large_opens_the_mouth_as_far(shut, donor):
    wide = parted(shut, donor)
    small = donor._replace(mesh=(donor.mesh - donor.mesh[NOSE_TIP]) / 2 + donor.mesh[NOSE_TIP])
    small_mouth = parted(shut, small)
    # What opens is not grey.
    x = int(shut.mesh[UPPER[MIDDLE], 0])
    rows, of_small = (np.abs(picture[:, x].astype(int) - 100).max(1) > 8
                      for picture in (wide, small_mouth))
    assert rows.sum() == pytest.approx(of_small.sum(), abs=2)


@pytest.mark.parametrize("cheeks, light", [(100, 1.0), (25, 0.5)])
def test_teeth_are_in_the_faces_own_light_by_half(shut, donor, cheeks, light):
    is_cheek = (donor.frame == 100).all(2, keepdims=True)
    teeth = np.uint8(np.where(is_cheek, donor.frame, 160))
    picture = parted(shut._replace(frame=np.full_like(shut.frame, cheeks)),
                     donor._replace(frame=teeth))
    x, top = shut.mesh[UPPER[MIDDLE], :2]
    apart = (donor.mesh[LOWER[MIDDLE]] - donor.mesh[UPPER[MIDDLE]])[1]
    np.testing.assert_allclose(picture[round(top + apart / 2), round(x)], 160 * light, atol=6)


@pytest.fixture()
def pictures(tmp_path, monkeypatch, shut, donor):
    """a.png, a.bmp and more/b.png shut, c.png open, d.png nobody, which its first blue tells."""
    nobody = np.full_like(donor.mesh, np.nan)
    meshes = {0: nobody, 1: shut.mesh, 2: donor.mesh, 3: nobody}
    (tmp_path / "in/more").mkdir(parents=True)
    for name, shows in ("a.png", 1), ("a.bmp", 1), ("more/b.png", 1), ("c.png", 2), ("d.png", 3):
        frame = np.full_like(shut.frame, 100)
        frame[0, 0] = shows
        cv2.imwrite(str(tmp_path / "in" / name), frame)
    (tmp_path / "in/LICENCE").write_text("no picture")
    for module in (face_mesh, parted_lips):
        monkeypatch.setattr(module, "face_meshes",
                            lambda frames: (meshes[int(frame[0, 0, 0])] for frame in frames))
    return tmp_path / "in"


def test_pictures_whose_lips_are_shut_are_written_and_others_are_not(pictures, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    parted_lips.main(["--picture_root", str(pictures), "--out", str(tmp_path / "out")])
    written = sorted(path.relative_to(tmp_path / "out").as_posix()
                     for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert written == ["a.bmp.png", "a.png", "more/b.png"]
    assert "3 of 4 faces had lips that were shut, 1 have teeth to show" in caplog.text
    assert "LICENCE" in caplog.text
    assert media.read_image(tmp_path / "out/a.png").shape == (MESH_SIDE, MESH_SIDE, 3)


def test_a_folder_without_teeth_or_without_pictures_is_named(pictures, tmp_path):
    (pictures / "c.png").unlink()
    for folder, problem in (pictures, "no picture of them shows a mouth that is open"), (
            tmp_path / "none", "no such folder"):
        with pytest.raises(InputError, match=f"--picture_root {folder}.*{problem}"):
            parted_lips.main(["--picture_root", str(folder), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_without_mediapipe_nothing_is_begun(tmp_path, capfd):
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match="mediapipe==0.10.14, in an environment of its own"):
        parted_lips.main(["--picture_root", str(tmp_path), "--out", str(tmp_path / "out")])
    assert "looking" not in capfd.readouterr().err
