"""Random changes to a training sample, alike for all its crops, off unless `hparams` asks."""
from dataclasses import dataclass

import cv2
import numpy as np

from hparams import HParams

_MEL_PER_DB = 0.08      # the mel's range of 8 spans 100 dB
_JPEG_QUALITY = (15, 60)
_BLUR_SIGMA = (0.4, 1.6)    # pixels of the 96×96 crop
_BGR_TO_GRAY = np.array([0.114, 0.587, 0.299])


@dataclass(frozen=True)
class Augmentation:
    """One draw of all changes.

    box: x, y shift of the box's centre and relative growth, in box sides. color: (3, 4) affine map
    of BGR in [0, 255], None = unchanged. mel_noise: standard deviation.
    """

    flip: bool = False
    color: np.ndarray | None = None
    blur_sigma: float = 0.0
    jpeg_quality: int = 0
    box: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mel_gain: float = 0.0
    mel_noise: float = 0.0
    noise_seed: int = 0


NONE = Augmentation()


def draw(hp: HParams, rng: np.random.Generator) -> Augmentation:
    """The changes for one sample, within the limits that `hp` sets."""
    return Augmentation(
        flip=bool(rng.random() < hp.flip),
        color=_draw_color(hp.color_jitter, rng) if hp.color_jitter else None,
        blur_sigma=rng.uniform(*_BLUR_SIGMA) if rng.random() < hp.blur else 0.0,
        jpeg_quality=int(rng.integers(*_JPEG_QUALITY)) if rng.random() < hp.jpeg else 0,
        box=tuple(rng.uniform(-hp.box_jitter, hp.box_jitter, 3)),
        mel_gain=rng.uniform(-hp.mel_gain, hp.mel_gain),
        mel_noise=rng.uniform(0, hp.mel_noise),
        noise_seed=int(rng.integers(2 ** 31)))


def change_crops(crops: np.ndarray, margin: float, size: int,
                 augmentation: Augmentation = NONE) -> np.ndarray:
    """(T, S, S, 3) uint8 crops, BGR, with `margin` box sides around the box on every side, to the
    (T, size, size, 3) uint8 crops of the box itself, or of the changed box, with changed looks."""
    x, y, side = _box(crops.shape[1], margin, augmentation.box)
    frames = crops[:, y:y + side, x:x + side]
    if augmentation.flip:
        frames = frames[:, :, ::-1]
    out = np.empty((len(crops), size, size, 3), np.uint8)
    for i, frame in enumerate(frames):
        out[i] = frame if side == size else cv2.resize(frame, (size, size))
    if augmentation.color is not None:
        tall = out.reshape(-1, size, 3)
        cv2.transform(tall, augmentation.color, dst=tall)
    if augmentation.blur_sigma:
        for frame in out:
            cv2.GaussianBlur(frame, (0, 0), augmentation.blur_sigma, dst=frame)
    if augmentation.jpeg_quality:
        flags = [cv2.IMWRITE_JPEG_QUALITY, augmentation.jpeg_quality]
        for frame in out:
            frame[:] = cv2.imdecode(cv2.imencode(".jpg", frame, flags)[1], cv2.IMREAD_COLOR)
    return out


def change_mel(mel: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """The float32 mel (80, T) in [-4, 4], louder or softer and with noise; inside those limits."""
    if not (augmentation.mel_gain or augmentation.mel_noise):
        return mel
    noise = np.random.default_rng(augmentation.noise_seed).standard_normal(mel.shape, np.float32)
    changed = mel + np.float32(augmentation.mel_gain * _MEL_PER_DB)
    return np.clip(changed + np.float32(augmentation.mel_noise) * noise, -4, 4)


def _box(stored: int, margin: float, change: tuple[float, float, float]) -> tuple[int, int, int]:
    """x, y, side in pixels of the box, moved and scaled but inside a crop of `stored` pixels."""
    box_side = stored / (1 + 2 * margin)
    dx, dy, growth = change
    side = min(round(box_side * (1 + growth)), stored)
    corners = ((stored - side) / 2 + shift * box_side for shift in (dx, dy))
    x, y = (min(max(round(corner), 0), stored - side) for corner in corners)
    return x, y, side


def _draw_color(spread: float, rng: np.random.Generator) -> np.ndarray:
    """(3, 4) map: saturation, then a tint and contrast about mid-gray, then brightness."""
    saturation, contrast = rng.uniform(1 - 2 * spread, 1 + 2 * spread, 2)
    tint = rng.uniform(1 - spread, 1 + spread, 3)
    gray = np.tile(_BGR_TO_GRAY, (3, 1))
    matrix = contrast * tint[:, None] * (saturation * np.eye(3) + (1 - saturation) * gray)
    brightness = 128 * (1 - contrast) + 255 * rng.uniform(-spread, spread)
    return np.hstack([matrix, np.full((3, 1), brightness)])
