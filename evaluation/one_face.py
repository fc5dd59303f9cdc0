"""The one face of a clip: its box in every frame, for measures that look at the face alone."""
from pathlib import Path

import numpy as np

from errors import InputError
from face_detection import Detector
from faces import detect_faces
from media import probe, read_frames
from tracking import follow, smooth_boxes


class NoFaceError(InputError):
    """A video without a face that can be judged."""


def follow_face(path: Path, detector: Detector, *, fps: float | None = None) -> np.ndarray:
    """The largest face's boxes (T, 4) int x1 y1 x2 y2, end-exclusive, within the frame and averaged
    over five frames; where the face is not seen they are interpolated.

    fps: frames a second at which the video is read; None = its own. NoFaceError if no frame has a
    face.
    """
    found = list(detect_faces(read_frames(path, fps=fps), detector))
    detections, cuts = [faces.boxes for faces in found], [faces.is_cut for faces in found]
    require_any_face(detections)
    video = probe(path).video
    size = video.width, video.height
    path_of_face = follow(detections, cuts, select="largest", frame_size=size, max_gap=len(found))
    seen = np.flatnonzero(~np.isnan(path_of_face[:, 0]))
    boxes = np.stack([np.interp(np.arange(len(found)), seen, column[seen])
                      for column in path_of_face.T], axis=1)
    return np.rint(np.clip(smooth_boxes(boxes, cuts), 0, [*size, *size])).astype(int)


def require_any_face(detections: list[np.ndarray]) -> None:
    """NoFaceError if none of the frames' detections (N, 5) has a row."""
    if not any(len(boxes) for boxes in detections):
        raise NoFaceError(f"no face in any of its {len(detections)} frames")
