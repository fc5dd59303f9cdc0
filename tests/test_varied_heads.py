"""A picture that tells where each of its pixels came from, bent as a head turns or is another's."""
import logging
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import face_mesh
import media
import varied_heads
from conftest import MESH_SIDE
from errors import InputError
from heads import Head, varied
from media_clips import make_clip
from varied_heads import draw_head, opening_at

pytestmark = pytest.mark.usefixtures("mesh_lines")

SILENCE = np.zeros((1, 3200), np.float32)
NOSE_TIP, NOSE_END, CHIN, LEFT_EAR, RIGHT_EAR = 4, 2, 152, 234, 454
LEFT_CORNER, RIGHT_CORNER, UPPER_LIP, LOWER_LIP = 61, 291, 0, 17
UPPER_INNER, LOWER_INNER = 13, 14
UPPER = [191, 80, 81, 82, 13, 312, 311, 310, 415]
LOWER = [95, 88, 178, 87, 14, 317, 402, 318, 324]
IN_FRONT = [NOSE_TIP, 9, LEFT_CORNER, RIGHT_CORNER, UPPER_LIP, LOWER_LIP, 50, 280, 199]


@pytest.fixture()
def places() -> np.ndarray:
    """(MESH_SIDE, MESH_SIDE, 3): blue is the pixel's x, green its y."""
    x, y = np.meshgrid(*[np.arange(MESH_SIDE, dtype=np.uint8)] * 2)
    return np.dstack([x, y, np.zeros_like(x)])


def assert_moved(picture: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> None:
    for source, (x, y) in zip(sources[:, :2], targets[:, :2].round().astype(int), strict=True):
        np.testing.assert_allclose(picture[y, x, :2], source, atol=3)


def test_without_a_change_nothing_moves(mesh, places):
    assert np.abs(varied(places, mesh, Head(0, 0)).astype(int) - places).max() <= 1


@pytest.mark.parametrize(("yaw", "pitch"), [(25, 0), (-25, 0), (0, 12), (15, -8)])
def test_a_turned_face_lies_where_a_rotation_about_the_ears_puts_it(mesh, places, yaw, pitch):
    axis = mesh[[LEFT_EAR, RIGHT_EAR]].mean(0)
    # y points down and z away from the camera: a nose that goes right turns about -y.
    rotation = (Rotation.from_euler("x", pitch, degrees=True)
                * Rotation.from_euler("y", -yaw, degrees=True))
    targets = axis + rotation.apply(mesh - axis)
    to_right, down = (targets - mesh)[NOSE_TIP, :2]
    assert np.sign(to_right.round()) == np.sign(yaw) and np.sign(down.round()) == np.sign(pitch)
    assert np.hypot(to_right, down) > 10
    picture = varied(places, mesh, Head(yaw, pitch))
    assert_moved(picture, mesh[IN_FRONT], targets[IN_FRONT])
    for corner in np.ix_([0, -1], [0, -1]), np.s_[:20, :20], np.s_[-20:, -20:]:
        np.testing.assert_array_equal(picture[corner], places[corner])


def test_the_nose_hides_the_cheek_behind_it(mesh, places):
    axis = mesh[[LEFT_EAR, RIGHT_EAR]].mean(0)
    targets = axis + Rotation.from_euler("y", -60, degrees=True).apply(mesh - axis)
    # The right cheek has gone behind the nose: it is farther, and there.
    behind = targets[280]
    assert behind[0] < targets[NOSE_TIP, 0] and behind[2] > targets[NOSE_TIP, 2]
    assert_moved(varied(places, mesh, Head(60, 0)), mesh[[NOSE_TIP]], targets[[NOSE_TIP]])


def test_a_longer_face_is_longer_from_the_nose_down(mesh, places):
    picture = varied(places, mesh, Head(0, 0, length=1.2))
    targets = mesh.copy()
    targets[CHIN, 1] += 0.2 * (mesh[CHIN, 1] - mesh[NOSE_END, 1])
    assert_moved(picture, mesh[[CHIN, NOSE_TIP, 9]], targets[[CHIN, NOSE_TIP, 9]])


def test_a_larger_mouth_is_larger_and_the_eyes_are_not(mesh, places):
    picture = varied(places, mesh, Head(0, 0, mouth_width=1.3, mouth_height=0.8))
    eyes = [33, 263]
    assert_moved(picture, mesh[eyes], mesh[eyes])
    row = int(mesh[[LEFT_CORNER, RIGHT_CORNER], 1].mean().round())
    middle = int(mesh[[13, 14], 0].mean().round())
    shown_as = np.diff(picture[row, [middle - 10, middle + 10], 0].astype(int)) / 20
    assert shown_as == pytest.approx(1 / 1.3, abs=0.08)
    row = int(mesh[[13, 14], 1].mean().round())
    shown_as = np.diff(picture[[row - 6, row + 6], middle, 1].astype(int)) / 12
    assert shown_as == pytest.approx(1 / 0.8, abs=0.12)


def test_the_lower_jaw_of_an_opened_mouth_is_lower_by_what_the_lips_are_moved_apart(mesh, places):
    apart = mesh[LOWER_INNER, 1] - mesh[UPPER_INNER, 1]
    assert 4 < apart < 10
    picture = varied(places, mesh, Head(0, 0, opening=2.5))
    down = [LOWER_LIP, CHIN]
    assert_moved(picture, mesh[down], mesh[down] + [0, 1.5 * apart, 0])
    still = [UPPER_LIP, NOSE_TIP, 33, 263, 50, 280]
    assert_moved(picture, mesh[still], mesh[still])


@pytest.mark.parametrize("share", [1 / 3, 0.85])
def test_a_mouth_opens_where_it_is_dark_and_is_evenly_dark_there(mesh, share):
    """A pale picture with a line between the lips, as between teeth or below them."""
    frame = np.full((MESH_SIDE, MESH_SIDE, 3), 200, np.uint8)
    upper, lower = mesh[[UPPER_INNER, LOWER_INNER], 1]
    dark, column = round(upper + (lower - upper) * share), int(mesh[UPPER_INNER, 0])
    frame[dark] = 120
    opened = varied(frame, mesh, Head(0, 0, opening=4))[:, column, 0]
    cavity = np.flatnonzero(opened < 100)
    np.testing.assert_array_equal(np.diff(cavity), 1)
    assert cavity[0] == pytest.approx(dark, abs=2)
    assert len(cavity) == pytest.approx(3 * (lower - upper), abs=4)
    assert (opened[cavity[2:-2]] == 0.25 * 200).all()
    assert (opened[[cavity[0] - 5, cavity[-1] + 5]] > 190).all()


def test_the_inside_of_a_mouth_is_redder_than_the_cheeks(mesh):
    frame = np.full((MESH_SIDE, MESH_SIDE, 3), (100, 150, 200), np.uint8)
    opened = varied(frame, mesh, Head(0, 0, opening=4))
    middle = opened[int(mesh[LOWER_INNER, 1]) + 6, int(mesh[LOWER_INNER, 0])].astype(float)
    assert middle.mean() == pytest.approx(0.25 * 150, abs=1)
    np.testing.assert_allclose(middle / middle[0], [1, 1.5 ** 2, 2 ** 2], rtol=0.05)


def test_a_mouth_that_is_shut_hides_its_teeth_and_lifts_its_chin(mesh, places):
    shut = varied(places, mesh, Head(0, 0, opening=0))
    upper, lower = mesh[[UPPER_INNER, LOWER_INNER], 1]
    down, still = [LOWER_LIP, CHIN], [UPPER_LIP, NOSE_TIP, 50, 280]
    assert_moved(shut, mesh[down], mesh[down] - [0, lower - upper, 0])
    assert_moved(shut, mesh[still], mesh[still])
    from_rows = shut[int(upper) - 8:int(upper) + 9, int(mesh[UPPER_INNER, 0]), 1]
    assert not ((from_rows > upper + 1.5) & (from_rows < lower - 1.5)).any()
    assert from_rows[0] < upper and from_rows[-1] > lower


def test_teeth_go_behind_the_lip_of_a_mouth_that_is_half_shut(mesh, places):
    """What is below the upper lip stays there, until the lower lip is before it."""
    half = varied(places, mesh, Head(0, 0, opening=0.5))
    upper, lower = mesh[[UPPER_INNER, LOWER_INNER], 1]
    column = int(mesh[UPPER_INNER, 0])
    rows = np.arange(int(upper) + 1, int((upper + lower) / 2) - 1)
    np.testing.assert_allclose(half[rows, column, 1], rows, atol=1)


def test_no_mouth_is_opened_wider_than_mouths_are(mesh, places):
    width = np.ptp(mesh[[LEFT_EAR, RIGHT_EAR], 0])
    wide = varied(places, mesh, Head(0, 0, opening=100))
    down = 0.26 * width - (mesh[LOWER_INNER, 1] - mesh[UPPER_INNER, 1])
    assert_moved(wide, mesh[[LOWER_LIP]], mesh[[LOWER_LIP]] + [0, down, 0])


def test_shut_lips_stay_shut(mesh, places):
    mesh[LOWER] = mesh[UPPER]
    assert np.abs(varied(places, mesh, Head(0, 0, opening=3)).astype(int) - places).max() <= 1


def test_heads_differ_by_folder_and_seed_alone():
    head = draw_head("a", 35, 10, 0.1, seed=1)
    assert head == draw_head("a", 35, 10, 0.1, seed=1)
    assert head != draw_head("b", 35, 10, 0.1, seed=1)
    assert head != draw_head("a", 35, 10, 0.1, seed=2)
    heads = np.array([draw_head(str(n), 35, 10, 0.1, 0) for n in range(400)])
    assert 30 < np.abs(heads[:, 0]).max() <= 35 and 8 < np.abs(heads[:, 1]).max() <= 10
    np.testing.assert_allclose(np.log(heads[:, 2:6]).std(0), [0.1, 0.06, 0.12, 0.12], rtol=0.15)
    assert draw_head("a", 0, 0, 0, seed=1) == Head(0, 0)


@pytest.mark.parametrize("seconds, factor", [(0, 0.5), (0.2, 1.5), (0.4, 2.5), (0.6, 1.5),
                                             (0.8, 0.5), (2.0, 2.5)])
def test_a_mouth_goes_from_one_opening_to_the_other_and_back(seconds, factor):
    assert opening_at(seconds, 0.5, 2.5) == pytest.approx(factor)


@pytest.fixture()
def meshes(monkeypatch):
    """MediaPipe is not among the tests' packages: frame by frame, what it finds, over and over."""
    monkeypatch.setattr(face_mesh, "ProcessPoolExecutor",
                        lambda workers, context: ThreadPoolExecutor(workers))

    def find(*found: np.ndarray) -> None:
        for module in (face_mesh, varied_heads):
            monkeypatch.setattr(module, "face_meshes", lambda frames: (
                mesh for mesh, _ in zip(cycle(found), frames, strict=False)))
    return find


def test_the_videos_of_a_folder_become_those_of_another(tmp_path, mesh, places, meshes, caplog):
    caplog.set_level(logging.INFO)
    meshes(mesh)
    for name in ("a/1", "a/2", "b/c/1"):
        video = tmp_path / f"in/{name}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        make_clip(video, [places] * 5, sound=SILENCE)
    (tmp_path / "in/a/3.mp4").write_bytes(b"no video")
    flags = ["--data_root", str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--seed", "7"]
    varied_heads.main(flags)
    written = sorted(path.relative_to(tmp_path / "out").as_posix()
                     for path in (tmp_path / "out").rglob("*.*") if path.is_file())
    assert written == ["a_7/1.mp4", "a_7/2.mp4", "b/c_7/1.mp4"]
    assert "3 of 4 videos written" in caplog.text and "3.mp4" in caplog.text
    first, second, other = (next(media.read_frames(tmp_path / "out" / name)) for name in written)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first.astype(int) - other).max() > 10
    expected = varied(places, mesh, draw_head("a", 35, 10, 0.1, 7))
    assert np.abs(first.astype(int) - expected)[..., :2].mean() < 3


def test_the_mouth_of_a_video_opens_and_shuts(tmp_path, mesh, places, meshes):
    meshes(mesh)
    (tmp_path / "in/a").mkdir(parents=True)
    make_clip(tmp_path / "in/a/1.mp4", [places] * 11, sound=np.zeros((1, 7040), np.float32))
    varied_heads.main(["--data_root", str(tmp_path / "in"), "--out", str(tmp_path / "out"),
                       "--yaw", "0", "--pitch", "0", "--proportions", "0", "--opening", "0", "2"])
    written = list(media.read_frames(tmp_path / "out/a_0/1.mp4"))
    apart = mesh[LOWER_INNER, 1] - mesh[UPPER_INNER, 1]
    for number, opening in (0, 0), (5, 1), (10, 2):
        assert_moved(written[number], mesh[[CHIN]], mesh[[CHIN]] + [0, (opening - 1) * apart, 0])


def test_a_video_with_a_frame_without_a_face_is_left_out(tmp_path, mesh, places, meshes, caplog):
    caplog.set_level(logging.INFO)
    meshes(mesh, mesh, mesh, np.full_like(mesh, np.nan))
    (tmp_path / "in/a").mkdir(parents=True)
    make_clip(tmp_path / "in/a/1.mp4", [places] * 5, sound=SILENCE)
    varied_heads.main(["--data_root", str(tmp_path / "in"), "--out", str(tmp_path / "out")])
    assert "1 with frames without a face" in caplog.text and "0 of 1 videos" in caplog.text
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_a_folder_without_videos_is_named(tmp_path):
    with pytest.raises(InputError, match=f"--data_root {tmp_path}"):
        varied_heads.main(["--data_root", str(tmp_path), "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("flag, value", [("--seed", "-1"), ("--yaw", "nan"), ("--pitch", "-3"),
                                         ("--proportions", "inf"), ("--opening", "-1")])
def test_impossible_flags_are_the_parsers_errors(flag, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        varied_heads.parse_args(["--data_root", "in", "--out", "out", flag, value, value])
    assert f"argument {flag}: {value!r} is not a " in capsys.readouterr().err
