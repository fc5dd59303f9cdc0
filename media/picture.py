"""Still pictures."""

import os

import numpy as np
from PIL import Image, ImageOps

from media.container import MediaError, check_file


def read_image(path: str | os.PathLike) -> np.ndarray:
    """Return a picture as (H, W, 3) uint8 BGR, upright by its EXIF orientation.

    Transparency is put on white; 16-bit and grey pictures become 8-bit colour. MediaError if the
    file is missing, empty or not a picture.
    """
    check_file(path)
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError(f"{path} is not a readable picture; give a .png or .jpg") from error
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255 instead of scaling it.
        grey = np.clip(np.asarray(image, np.int32) // 257, 0, 255)
        image = Image.fromarray(grey.astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[:, :, ::-1])
