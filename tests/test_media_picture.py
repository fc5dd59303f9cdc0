"""Pictures: upright, opaque, 8-bit BGR."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from media_clips import grey_frames, make_clip
from PIL import Image

import media

RGB = np.zeros((20, 30, 3), np.uint8)
RGB[:, :, 0] = 200  # red
RGB[:8, :10] = (20, 60, 250)  # upper left: blue


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a b'ü.1.PNG"])
def test_bgr_order(tmp_path: Path, name: str) -> None:
    Image.fromarray(RGB).save(tmp_path / name, lossless=True)
    image = media.read_image(tmp_path / name)
    assert image.dtype == np.uint8 and image.flags.c_contiguous and image.flags.writeable
    np.testing.assert_array_equal(image, RGB[:, :, ::-1])


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, RGB),
        (2, RGB[:, ::-1]),
        (3, RGB[::-1, ::-1]),
        (6, np.rot90(RGB, 1)),  # to be turned 90° clockwise
        (8, np.rot90(RGB, -1)),
    ],
)
def test_exif_orientation(tmp_path: Path, orientation: int, stored: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif, quality=100, subsampling=0)
    np.testing.assert_allclose(media.read_image(path), RGB[:, :, ::-1].astype(int), atol=6)


def test_transparency_is_put_on_white(tmp_path: Path) -> None:
    pixels = np.dstack([RGB, np.full((20, 30), 255, np.uint8)])
    pixels[:, 15:, 3] = 0
    pixels[10:, :, 3] = pixels[10:, :, 3] // 2
    cv2.imwrite(str(tmp_path / "a.png"), pixels)  # stored as RGBA with red and blue exchanged
    image = media.read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(image[:10, :15], RGB[:10, :15])
    assert (image[:, 15:] == 255).all()
    np.testing.assert_allclose(image[12, 2], (RGB[12, 2].astype(int) + 255) / 2, atol=1)


def test_transparent_palette(tmp_path: Path) -> None:
    image = Image.fromarray(RGB).quantize(4)
    image.save(tmp_path / "a.png", transparency=image.getpixel((0, 0)))
    shown = media.read_image(tmp_path / "a.png")
    assert (shown[0, 0] == 255).all()
    np.testing.assert_allclose(shown[15, 15], RGB[15, 15, ::-1], atol=4)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_depths_and_grey(tmp_path: Path, depth: type, channels: int) -> None:
    levels = np.linspace(0, 255, 30).round().astype(np.uint16)
    grey = np.tile(levels, (20, 1)) * (257 if depth is np.uint16 else 1)
    pixels = np.repeat(grey[:, :, None], channels, axis=2).astype(depth)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    image = media.read_image(tmp_path / "a.png")
    assert image.shape == (20, 30, 3)
    np.testing.assert_array_equal(image[5, :, 1], levels)


def test_bad_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    data = path.read_bytes()
    for content, message in [
        (b"", "is empty"),
        (b"<html>", "not a readable picture, or damaged"),
        (data[: len(data) // 2], "not a readable picture"),
    ]:
        path.write_bytes(content)
        with pytest.raises(media.MediaError, match=message):
            media.read_image(path)
    with pytest.raises(media.MediaError, match="does not exist"):
        media.read_image(tmp_path / "none.png")
    with pytest.raises(media.MediaError, match="is a folder"):
        media.read_image(tmp_path)


def test_a_picture_too_large_is_not_called_damaged(tmp_path: Path, monkeypatch) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert media.is_picture(tmp_path / "a.png")
    with pytest.raises(media.MediaError, match="has too many pixels"):
        media.read_image(tmp_path / "a.png")


def test_the_first_of_several_pictures_is_used_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    first.save(tmp_path / "a.png", save_all=True, append_images=[second])
    np.testing.assert_array_equal(media.read_image(tmp_path / "a.png"), RGB[:, :, ::-1])
    assert "only the first of its 2 pictures" in caplog.text


def test_a_picture_is_known_by_its_content(tmp_path: Path) -> None:
    still, other = Image.fromarray(RGB), Image.fromarray(255 - RGB)
    for number, kind in enumerate(("JPEG", "PNG", "GIF", "TIFF", "ICO", "WEBP")):
        still.save(tmp_path / str(number), kind)
        assert media.is_picture(tmp_path / str(number)), kind
    still.save(tmp_path / "moving", "GIF", save_all=True, append_images=[other])
    clip = make_clip(tmp_path / "clip.mpg", grey_frames(3), codec="mpeg1video")
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("moving", "clip.mpg", "text.jpg"):
        assert not media.is_picture(tmp_path / name), name
    assert len(list(media.read_frames(clip))) == 3
