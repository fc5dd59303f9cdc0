"""A preprocessed data set in miniature: drawn faces whose mouth opens with the sound's level."""
from pathlib import Path

import cv2
import numpy as np

import audio

SAMPLES_PER_FRAME = 640     # 16 kHz, 25 fps


def draw_data_set(root: Path, lists: Path, n_train: int, n_val: int, n_frames: int = 40) -> None:
    """Clips `<root>/person/<n>` and the lists train.txt and val.txt."""
    lists.mkdir(parents=True, exist_ok=True)
    names = [f"person/{n:05d}" for n in range(n_train + n_val)]
    for seed, name in enumerate(names):
        draw_clip(root / name, n_frames, seed)
    (lists / "train.txt").write_text("\n".join(names[:n_train]))
    (lists / "val.txt").write_text("\n".join(names[n_train:]))


def draw_clip(folder: Path, n_frames: int, seed: int) -> None:
    """<n>.jpg (64×64) and audio.wav: a buzz whose level, constant over a frame, opens the mouth."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    level = (rng.random(n_frames) < 0.5) * rng.uniform(0.4, 1, n_frames)
    level = np.convolve(np.repeat(level, 2)[:n_frames], [0.25, 0.5, 0.25], "same")
    skin = rng.integers(140, 220, 3).tolist()
    for frame, opening in enumerate(level):
        face = np.full((64, 64, 3), skin, np.uint8)
        cv2.ellipse(face, (32, 46), (14, 1 + round(13 * opening)), 0, 0, 360, (30, 20, 60), -1)
        cv2.imwrite(str(folder / f"{frame}.jpg"), face)
    buzz = rng.uniform(-1, 1, n_frames * SAMPLES_PER_FRAME)
    audio.save_wav(0.5 * buzz * np.repeat(level, SAMPLES_PER_FRAME), folder / "audio.wav")
