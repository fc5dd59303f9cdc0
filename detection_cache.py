"""Faces found in a file, kept on disk so that the same video with another voice needs no search."""
import hashlib
import logging
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from atomic_file import whole_file
from face_regions import POINTS
from faces import FrameFaces

log = logging.getLogger(__name__)

_VERSION = 3    # raise it when detection gives other boxes or points for the same settings


class DetectionCache:
    """One file's detections under one set of settings.

    folder: None keeps nothing. settings: whatever changes the boxes, as text.
    """

    def __init__(self, folder: str | Path | None, file: Path, settings: str) -> None:
        self._path = None
        if folder is not None:
            with open(file, "rb") as content:
                digest = hashlib.file_digest(content, "blake2b")
            digest.update(f"{_VERSION}|{settings}".encode())
            self._path = Path(folder) / f"{digest.hexdigest()[:40]}.npz"

    def load(self, n_frames: int) -> list[FrameFaces] | None:
        """The first `n_frames` frames' faces, or the whole file's where it has fewer; None if they
        are not kept, or the entry is damaged."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            with np.load(self._path, allow_pickle=False) as entry:
                boxes, counts, cuts = entry["boxes"], entry["counts"], entry["cuts"]
                whole_video = bool(entry["whole_video"])
            if (not len(counts) or counts.shape != cuts.shape
                    or len(boxes) != counts.sum()
                    or boxes.shape[1:] not in ((5,), (5 + POINTS.size,))
                    or not np.isfinite(boxes).all()):
                raise ValueError("its arrays are no faces of so many frames")
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("face cache entry %s is damaged (%s): searching again", self._path, error)
            return None
        if len(counts) < n_frames and not whole_video:
            return None
        per_frame = np.split(boxes, np.cumsum(counts)[:-1])
        return [FrameFaces(b, bool(c)) for b, c in zip(per_frame, cuts, strict=True)][:n_frames]

    def save(self, detections: Sequence[FrameFaces], whole_video: bool) -> None:
        """Keep them, whole or not at all; a folder that cannot be written is only a warning."""
        if self._path is None:
            return
        try:
            with whole_file(self._path) as file:
                np.savez(file, boxes=np.concatenate([faces.boxes for faces in detections]),
                         counts=np.array([len(faces.boxes) for faces in detections]),
                         cuts=np.array([faces.is_cut for faces in detections]),
                         whole_video=whole_video)
        except OSError as error:
            log.warning("faces not cached: %s", error)
