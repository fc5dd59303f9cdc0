"""Pictures of faces whose lips are shut once more, with lips that are apart and another's teeth.

    mesh/bin/python parted_lips.py --picture_root pictures/ --out parted/

Of most people whose pictures show no teeth, nothing tells a generator how their mouths look open.
Here their lower jaws go down, and between their lips comes what another picture shows there, its
mouth as wide and in their light. `still_videos.py` and `varied_heads.py` take them from there.
It runs in the environment that face_mesh.py describes.
"""
import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

import media
from atomic_file import whole_file
from errors import InputError, run_script
from face_mesh import face_meshes, require_mediapipe
from flag_types import whole_number
from heads import Head, varied
from jaws import (LOWER_LIP, UPPER_LIP, colour_of_cheeks, face_width, lips_apart, opened,
                  with_jaws)

log = logging.getLogger(__name__)

# Widths of the face by which lips are apart: shut at most, and a donor's at least.
_SHUT, _OPEN = 0.008, 0.035
_SLIT = 1.0             # pixels, of the slit at which shut lips part
_EDGE = 0.004           # standard deviation, in widths of the face, of a mouth's soft edge


class Face(NamedTuple):
    """frame: (H, W, 3) uint8 BGR. mesh: (478, 3) as `face_meshes` gives it."""

    frame: np.ndarray
    mesh: np.ndarray


def parted(face: Face, donor: Face) -> np.ndarray:
    """(H, W, 3) uint8: the face with lips as far apart, by the width of the mouth, as the donor's,
    and with what is between those."""
    mesh = face.mesh.copy()
    along = np.linspace(-1, 1, len(UPPER_LIP))
    mesh[LOWER_LIP, 1] = np.maximum(mesh[LOWER_LIP, 1],
                                    mesh[UPPER_LIP, 1] + _SLIT * (1 - along ** 2))
    slit = lips_apart(mesh).max()
    wanted = lips_apart(donor.mesh).max() * _mouth_width(mesh) / _mouth_width(donor.mesh)
    opening = max(wanted / slit, 1.0)
    frame = varied(face.frame, mesh, Head(0, 0, opening=opening))
    light = cv2.cvtColor(face.frame, cv2.COLOR_BGR2GRAY)
    lips = opened(with_jaws(mesh, light), opening)
    inside = _inside_of(donor, lips, frame.shape[:2])
    # Of what cheeks differ by, half, in logarithms, is taken for the light, half for the skin.
    inside *= np.float32(np.sqrt(colour_of_cheeks(face.frame, mesh)
                                 / colour_of_cheeks(donor.frame, donor.mesh)))
    share = np.zeros(frame.shape[:2], np.float32)
    outline = np.concatenate([lips[UPPER_LIP, :2], lips[LOWER_LIP[::-1], :2]])
    cv2.fillPoly(share, [np.rint(outline).astype(np.int32)], 1.0)
    share = cv2.GaussianBlur(share, (0, 0), _EDGE * face_width(mesh))
    return cv2.blendLinear(np.rint(inside.clip(0, 255)).astype(np.uint8), frame, share, 1 - share)


def _inside_of(donor: Face, lips: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) float32: what is between the donor's lips, laid between those of another mesh."""
    x, y = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in size[::-1]])
    middle = (lips[UPPER_LIP, :2] + lips[LOWER_LIP, :2]) / 2
    place = np.interp(x, middle[:, 0], np.arange(len(middle)))     # from corner to corner

    def at(points: np.ndarray, axis: int) -> np.ndarray:
        return np.interp(place, np.arange(len(points)), points[:, axis])

    upper, lower = lips[UPPER_LIP], lips[LOWER_LIP]
    down = (y - at(upper, 1)) / np.maximum(at(lower, 1) - at(upper, 1), 1)
    theirs = [(1 - down) * at(donor.mesh[UPPER_LIP], axis) + down * at(donor.mesh[LOWER_LIP], axis)
              for axis in (0, 1)]
    return cv2.remap(donor.frame, *np.float32(theirs), cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _mouth_width(mesh: np.ndarray) -> float:
    return np.linalg.norm(mesh[UPPER_LIP[0], :2] - mesh[UPPER_LIP[-1], :2])


def _mesh_in(path: Path) -> np.ndarray | None:
    """Of the face in a picture; None without one, and, logged, where that cannot be read."""
    try:
        mesh = next(face_meshes([media.read_image(path)]))
    except media.MediaError as error:
        log.info("left out: %s", error)
        return None
    return None if np.isnan(mesh).any() else mesh


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--picture_root", required=True, type=Path, help="folder of pictures, one person on each")
    add("--out", required=True, type=Path, help="folder for those whose lips were shut")
    add("--seed", type=whole_number(0), default=0, help="another one gives other teeth (default 0)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = sorted(path for path in args.picture_root.rglob("*") if path.is_file())
    if not files:
        raise InputError(f"--picture_root {args.picture_root}: no such folder, or nothing in it")
    require_mediapipe()
    found = {path: mesh for path in tqdm(files, "looking", unit="picture")
             if (mesh := _mesh_in(path)) is not None}
    apart = {path: lips_apart(mesh).max() / face_width(mesh) for path, mesh in found.items()}
    donors = [path for path in found if apart[path] > _OPEN]
    shut = [path for path in found if apart[path] < _SHUT]
    if not donors:
        raise InputError(f"--picture_root {args.picture_root}: no picture of them shows a mouth "
                         "that is open")
    rng = np.random.default_rng(args.seed)
    for path in tqdm(shut, "parting", unit="picture"):
        face, donor = (Face(media.read_image(which), found[which])
                       for which in (path, donors[rng.integers(len(donors))]))
        picture = parted(face, donor)
        name = path.name if path.suffix == ".png" else f"{path.name}.png"
        out = args.out / path.relative_to(args.picture_root).with_name(name)
        out.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(out) as file:
            file.write(cv2.imencode(".png", picture)[1].tobytes())
    log.info("%d of %d faces had lips that were shut, %d have teeth to show", len(shut),
             len(found), len(donors))


if __name__ == "__main__":
    run_script(main)
