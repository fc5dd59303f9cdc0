"""MediaPipe's face mesh: where the points of a face are in each frame.

    python -m venv mesh && mesh/bin/pip install mediapipe==0.10.14 av tqdm

The wheel of that version (Python up to 3.12) brings the mesh along, later ones do not; and the
OpenCV it asks for is none for this project, hence the environment of its own.
"""
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from tqdm import tqdm

import media
from errors import InputError

log = logging.getLogger(__name__)

N_POINTS = 478


def face_meshes(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """(478, 3) float32 points (x, y, z) of the first face of each BGR frame (H, W, 3), in pixels,
    z away from the camera; NaN where there is no face. InputError without MediaPipe."""
    try:
        from mediapipe.python.solutions.face_mesh import FaceMesh
    except ImportError:
        raise InputError("the face mesh needs mediapipe==0.10.14, in an environment of its own: "
                         "face_mesh.py says how to make one") from None
    with FaceMesh(refine_landmarks=True, min_detection_confidence=0.3,
                  min_tracking_confidence=0.3) as find:
        for frame in frames:
            height, width = frame.shape[:2]
            faces = find.process(np.ascontiguousarray(frame[..., ::-1])).multi_face_landmarks
            mesh = np.full((N_POINTS, 3), np.nan, np.float32)
            if faces:
                mesh[:] = [(p.x, p.y, p.z) for p in faces[0].landmark]
            yield mesh * np.array([width, height, width], np.float32)


def require_mediapipe() -> None:
    """InputError at once, before any work is begun, without MediaPipe."""
    next(face_meshes([np.zeros((8, 8, 3), np.uint8)]))


def face_meshes_in(path: str, fps: float | None = None) -> np.ndarray:
    """(N, 478, 3) `face_meshes` of a video, read at so many frames a second, or of a picture.
    InputError if it shows no face."""
    is_picture = media.is_picture(path)
    frames = [media.read_image(path)] if is_picture else media.read_frames(path, fps=fps)
    meshes = np.array(list(face_meshes(frames)))
    if np.isnan(meshes).all():
        raise InputError(f"{path}: no face in any of its {len(meshes)} frames")
    return meshes


def map_videos(work: Callable[..., str | None], *arguments: Sequence, doing: str) -> list[bool]:
    """Which videos came out well of work(one of each of the arguments), which says what was wrong
    with one; that is logged. One process a CPU core. InputError at once without MediaPipe.

    doing: what the progress bar says."""
    require_mediapipe()
    # MediaPipe does not survive a fork.
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        problems = list(tqdm(pool.map(work, *arguments), doing, len(arguments[0]), unit="video"))
    for problem, count in Counter(filter(None, problems)).most_common():
        log.info("failed: %d %s", count, problem)
    return [problem is None for problem in problems]
