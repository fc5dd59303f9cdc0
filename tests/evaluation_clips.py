"""Small videos and weight files for the tests of evaluation/."""
from pathlib import Path

import cv2
import numpy as np
import torch
from fill_weights import fill
from media_clips import make_clip

from evaluation.scores_LSE.SyncNetModel import S

PORTRAIT = Path(__file__).parents[1] / "examples" / "portrait.jpg"
SIDE = 320      # pixels of a frame; the face is about 120 wide


def face_frames(count: int) -> list[np.ndarray]:
    """The portrait's head, shifted a little from frame to frame: (320, 320, 3) uint8 BGR."""
    portrait = cv2.imread(str(PORTRAIT))
    x, y = round(0.25 * portrait.shape[1]), 0
    head = cv2.resize(portrait[y:y + portrait.shape[0] // 2, x:x + portrait.shape[1] // 2],
                      (SIDE + 16, SIDE + 16))
    return [np.ascontiguousarray(head[:SIDE, i % 8:i % 8 + SIDE]) for i in range(count)]


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """(1, n) float32 noise at 16 kHz whose level changes."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16000)
    level = np.abs(np.sin(np.arange(n) / 2000))
    return (0.3 * level * rng.uniform(-1, 1, n)).astype(np.float32)[None]


def face_clip(path: Path, n_frames: int, *, rate: int = 25, seconds: float | None = None,
              seed: int = 0) -> Path:
    """A talking-head clip; its sound is as long as its picture unless `seconds` is given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = noise(n_frames / rate if seconds is None else seconds, seed)
    return make_clip(path, face_frames(n_frames), rate=rate, sound=sound, sound_codec="aac")


def save_filled(model: torch.nn.Module, path: Path) -> Path:
    """A weight file of reproducible random weights."""
    torch.save(fill(model).state_dict(), path)
    return path


def syncnet_file(folder: Path) -> Path:
    return save_filled(S(), folder / "syncnet_v2.model")
