"""Still pictures."""

import logging
import os

import numpy as np
from PIL import Image, ImageOps

from media.container import MediaError, check_file

logger = logging.getLogger(__name__)


# Pillow would also take some videos for pictures.
FORMATS = {"JPEG", "MPO", "PNG", "BMP", "WEBP", "GIF", "TIFF", "AVIF", "JPEG2000", "ICO", "PPM"}


def is_picture(path: str | os.PathLike) -> bool:
    """Whether a file holds a picture, by its content whatever its name; a moving GIF is a video.

    MediaError if there is no such file or nothing in it.
    """
    check_file(path)
    try:
        with Image.open(path) as file:
            return file.format in FORMATS and not (file.format == "GIF" and file.is_animated)
    except Image.DecompressionBombError:
        return True
    except (OSError, SyntaxError):
        return False


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Return a picture as (H, W, 3) uint8 BGR, upright by its EXIF orientation.

    Transparency is put on white; 16-bit and grey pictures become 8-bit colour. MediaError if the
    file is missing, empty or not a picture.
    """
    check_file(path)
    try:
        with Image.open(path) as file:
            if getattr(file, "n_frames", 1) > 1 and file.format != "MPO":
                logger.warning("%s: only the first of its %d pictures is used", path, file.n_frames)
            image = ImageOps.exif_transpose(file)
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path} has too many pixels; give a smaller picture") from error
    except (OSError, SyntaxError) as error:
        raise MediaError(
            f"{path} is not a readable picture, or damaged; give a whole .png or .jpg"
        ) from error
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255 instead of scaling it.
        grey = np.clip(np.asarray(image, np.int32) // 257, 0, 255)
        image = Image.fromarray(grey.astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
