"""Videos of pictures of faces, in which nothing moves, so that preprocess.py makes clips of them.

    python still_videos.py --picture_root pictures/ --out videos/

For the generator that is told the shapes of mouths: a picture shows it a face more, and with a
shape told, it needs no sound. `measure_mouths.py --stills` measures the clips.
"""
import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from scipy.io import wavfile
from tqdm import tqdm

import media
from errors import InputError, run_script
from hparams import hparams

log = logging.getLogger(__name__)

_FRAMES = 20            # enough for a window and a reference `min_reference_offset` = 8 away
_BORDER = 0.125         # of the picture's smaller side: the box of a face may reach beyond it
_CRF = 8


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--picture_root", required=True, type=Path, help="folder of pictures, one person on each")
    add("--out", required=True, type=Path,
        help="folder for a folder of each person: preprocess.py's --data_root")
    return parser.parse_args(argv)


def write_still(picture: Path, video: Path, silence: Path) -> None:
    """A video of a picture, with the sound of `silence`. MediaError if it cannot be read."""
    image = media.read_image(picture)
    border = round(_BORDER * min(image.shape[:2]))
    image = cv2.copyMakeBorder(image, *[border] * 4, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    video.parent.mkdir(parents=True, exist_ok=True)
    with media.VideoWriter(video, width=width, height=height, fps=hparams.fps, audio=silence,
                           audio_duration=_FRAMES / hparams.fps, crf=_CRF) as writer:
        for _ in range(_FRAMES):
            writer.write(image)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = sorted(path for path in args.picture_root.rglob("*") if path.is_file())
    if not files:
        raise InputError(f"--picture_root {args.picture_root}: no such folder, or nothing in it")
    written = 0
    with TemporaryDirectory() as folder:
        silence = Path(folder) / "silence.wav"
        wavfile.write(silence, hparams.sample_rate, np.zeros(hparams.sample_rate, np.int16))
        for file in tqdm(files, "writing", unit="picture"):
            person = args.out / file.relative_to(args.picture_root)
            try:
                write_still(file, person / "00000.mp4", silence)
            except media.MediaError as error:
                log.info("failed: %s", error)
            else:
                written += 1
    log.info("%d of %d files written", written, len(files))


if __name__ == "__main__":
    run_script(main)
