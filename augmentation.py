"""Random changes to a training sample, alike for all its crops, off unless `hparams` asks."""
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from clips import box_of
from face_regions import ALIGNED_MOUTH, MOUTH, find_lips, from_point, outside_ellipse, to_crop
from hparams import HParams

_MEL_PER_DB = 0.08      # the mel's range of 8 spans 100 dB
_JPEG_QUALITY = (15, 60)
_BLUR_SIGMA = (0.4, 1.6)    # pixels of the 96×96 crop
_BGR_TO_GRAY = np.array([0.114, 0.587, 0.299])
_CENTRE = (0.5, 0.5)        # x and y, in box sides
_FACE_AXES = (0.42, 0.52)   # half axes of the ellipse that holds the face, in box sides
_BORDER = (0.85, 1.15)      # where the backdrop begins and is whole, in radii of that ellipse
_MOUTH_SHIFT = np.array([0.08, 0.1])    # x and y, at most, in box sides, as the next five
_PATCH_AXES = np.array([[0.06, 0.03], [0.25, 0.09]])    # least and greatest half axes
_PATCH_BEND = (-0.5, 2.0)   # rise of its corners with the square of the distance: 2 is a wide smile
_PATCH_EDGE = 0.015
_CHIN = np.array([0.5, 0.93])           # x and y of its lower edge
_CHIN_REACH = np.array([0.25, 0.09])    # standard deviations, x and y, of what moves with it
_TEETH, _DARK = (140, 255), (0, 90)
_RED = (0.6, 1.0)           # blue and green of a dark patch, by its red
_WARP_POINTS = 4
_FIXED_POINT_STEPS = 20     # of `_where_from`: far more than a bend that does not fold needs
_SMILE_REACH = np.array([0.25, 0.15])   # standard deviations, x and y, of what a smile moves
_SMILE_LIFT = 1.8           # rise of its corners with the square of the distance, for a smile of 1
_SMILE_THINS = 0.5          # by which the lips get thinner, relative, for a smile of 1
# B, G, R, opacity: least, greatest.
_LIPSTICK = np.array([[0.2, 0.2, 1.0, 0.5], [0.7, 0.6, 1.0, 1.0]])
_LIPSTICK_LIGHT = (0.7, 1.2)    # its brightness, by the lips'
_EQ_WAVES = 3               # half waves over the mel channels, at most, of a draw's equaliser


@dataclass(frozen=True)
class Augmentation:
    """One draw of all changes.

    box: x, y shift of the box's centre and relative growth of its width and height, in box sides.
    rotation: degrees. warp: (K, K, 2) float32 x, y by which the points of a grid over the box move,
    in box sides, None = nowhere. turn: by which the middle of a face moves sideways against its
    edges, as when a head turns, in quarters of a box side. smile: by which the mouth is wider,
    relative, its lips thinner and its corners raised. lipstick: (4,) B, G, R by the lips'
    brightness, and opacity, None = none. color: (3, 4) affine map of BGR in [0, 255], None =
    unchanged. backdrop: the same for what surrounds the face. shade: direction in radians,
    clockwise from the right, and relative rise of the brightness from the centre to the edge.
    mel_gain: dB. mel_eq: dB, one for each of the first half waves over the mel channels.
    mel_warp: relative stretch of the frequency axis. mel_mask: first and last+1 channel silenced.
    mel_noise: standard deviation.
    """

    flip: bool = False
    color: np.ndarray | None = None
    backdrop: np.ndarray | None = None
    shade: tuple[float, float] = (0.0, 0.0)
    blur_sigma: float = 0.0
    jpeg_quality: int = 0
    box: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)
    rotation: float = 0.0
    warp: np.ndarray | None = None
    turn: float = 0.0
    smile: float = 0.0
    lipstick: np.ndarray | None = None
    mel_gain: float = 0.0
    mel_eq: tuple[float, ...] = (0.0,) * _EQ_WAVES
    mel_warp: float = 0.0
    mel_mask: tuple[int, int] = (0, 0)
    mel_noise: float = 0.0
    noise_seed: int = 0


NONE = Augmentation()


def draw(hp: HParams, rng: np.random.Generator) -> Augmentation:
    """The changes for one sample, within the limits that `hp` sets."""
    return Augmentation(
        flip=bool(rng.random() < hp.flip),
        color=(_draw_color(hp.color_jitter, hp.gray, rng) if hp.color_jitter or hp.gray
               else None),
        blur_sigma=rng.uniform(*_BLUR_SIGMA) if rng.random() < hp.blur else 0.0,
        jpeg_quality=int(rng.integers(*_JPEG_QUALITY)) if rng.random() < hp.jpeg else 0,
        box=_draw_box(hp, rng),
        rotation=rng.uniform(-hp.rotation, hp.rotation),
        mel_gain=rng.uniform(-hp.mel_gain, hp.mel_gain),
        mel_eq=tuple(rng.uniform(-hp.mel_eq, hp.mel_eq, _EQ_WAVES)),
        mel_warp=rng.uniform(-hp.mel_warp, hp.mel_warp),
        mel_mask=_draw_band(hp, rng) if hp.mel_mask else (0, 0),
        mel_noise=rng.uniform(0, hp.mel_noise),
        noise_seed=int(rng.integers(2 ** 31)),
        backdrop=_draw_color(hp.backdrop, 0.0, rng) if hp.backdrop else None,
        shade=(rng.uniform(0, 2 * np.pi), rng.uniform(0, hp.shade)) if hp.shade else (0.0, 0.0),
        warp=(rng.normal(0, hp.warp, (_WARP_POINTS, _WARP_POINTS, 2)).astype(np.float32)
              if hp.warp else None),
        turn=rng.uniform(-hp.turn, hp.turn) if hp.turn else 0.0,
        lipstick=_draw_lipstick(rng) if hp.lipstick and rng.random() < hp.lipstick else None,
        smile=max(0.0, rng.uniform(-hp.smile, hp.smile)) if hp.smile else 0.0)


def change_crops(crops: np.ndarray, margin: float, size: int, augmentation: Augmentation = NONE,
                 place: np.ndarray | None = None) -> np.ndarray:
    """(T, S, S, 3) uint8 crops, BGR, with `margin` box sides around the box on every side, to the
    (T, size, size, 3) uint8 crops of the box itself, or of the changed box, with changed looks.

    place: (2, 3) affine map of x, y and 1, in sides of an aligned crop, to box sides. What was
    drawn then turns, grows and bends this crop about the mouth, which stays at ALIGNED_MOUTH."""
    out = np.empty((len(crops), size, size, 3), np.uint8)
    if place is not None or _bends(augmentation):
        points = _bent_points(size, augmentation, MOUTH if place is None else ALIGNED_MOUTH)
        if place is None:
            to_stored = _output_to_stored(crops.shape[1], margin, size, augmentation)
        else:
            to_stored = _placed_to_stored(crops.shape[1], margin, size, augmentation, place,
                                          _at(points, ALIGNED_MOUTH))
        points = (points @ to_stored[:, :2].T + to_stored[:, 2]).astype(np.float32)
        for frame, crop in zip(out, crops, strict=True):
            cv2.remap(crop, points, None, cv2.INTER_LINEAR, dst=frame,
                      borderMode=cv2.BORDER_REPLICATE)
    elif any(augmentation.box) or augmentation.rotation:
        to_stored = _output_to_stored(crops.shape[1], margin, size, augmentation)
        for frame, crop in zip(out, crops, strict=True):
            cv2.warpAffine(crop, to_stored, (size, size), dst=frame,
                           flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                           borderMode=cv2.BORDER_REPLICATE)
    else:
        box = box_of(crops.shape[1], margin)
        for frame, crop in zip(out, crops[:, box, box], strict=True):
            frame[:] = crop if len(crop) == size else cv2.resize(crop, (size, size))
    if augmentation.flip:
        out = np.ascontiguousarray(out[:, :, ::-1])
    if augmentation.lipstick is not None:
        for frame in out:
            _put_on_lipstick(frame, augmentation.lipstick[:3], augmentation.lipstick[3])
    if augmentation.backdrop is not None:
        around = _backdrop_mask(size)
        for frame in out:
            changed = cv2.transform(frame, augmentation.backdrop)
            frame[:] = cv2.blendLinear(changed, frame, around, 1 - around)
    if augmentation.shade[1]:
        light = _shade(size, *augmentation.shade)
        for frame in out:
            cv2.multiply(frame, light, dst=frame, dtype=cv2.CV_8U)
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


def change_points(points: np.ndarray, margin: float, size: int,
                  augmentation: Augmentation) -> np.ndarray:
    """Points (N, 2) of a face, x and y in box sides, as `change_crops` moves what it shows there:
    with the box, by rotation and flip, and with what bends faces."""
    to_stored = _output_to_stored(size * (1 + 2 * margin), margin, size, augmentation)
    # Pixel i covers i … i+1, as in there.
    stored = size * (points + margin) - 0.5
    moved = (np.linalg.solve(to_stored[:, :2], (stored - to_stored[:, 2]).T).T + 0.5) / size
    if _bends(augmentation):
        bent = _bent_points(size, augmentation, MOUTH)
        moved = np.array([_where_from(bent, point) for point in moved])
    return [1, 0] + moved * [-1, 1] if augmentation.flip else moved


def cover_mouth(crops: np.ndarray, margin: float, rng: np.random.Generator) -> np.ndarray:
    """(T, S, S, 3) uint8 crops with a soft patch about where the mouth is, alike in all: a bent
    ellipse as dark as a mouth that is wide open, as light as a smile's teeth, or both."""
    middle = MOUTH + rng.uniform(-_MOUTH_SHIFT, _MOUTH_SHIFT)
    axes = rng.uniform(*_PATCH_AXES)
    bend = rng.uniform(*_PATCH_BEND)
    x, y, side = _places(crops.shape[1], margin, middle)
    y = y + np.float32(bend) * x ** 2
    dark = rng.uniform(*_DARK) * np.array([*rng.uniform(*_RED, 2), 1.0])
    light = np.full(3, rng.uniform(*_TEETH))
    kind = ("light", "dark", "both")[rng.integers(3)]
    if kind != "light":
        crops = _patched(crops, x, y, axes, dark, side, rng)
    if kind != "dark":
        crops = _patched(crops, x, y, axes * rng.uniform(0.6, 1, 2), light, side, rng)
    return crops


def move_chin(crops: np.ndarray, margin: float, limit: float, rng: np.random.Generator
              ) -> np.ndarray:
    """(T, S, S, 3) uint8 crops with the chin moved up or down, alike in all, by at most `limit` box
    sides: where it is must not tell how far the mouth is open."""
    shift = rng.uniform(-limit, limit)
    x, y, side = _places(crops.shape[1], margin, _CHIN)
    x, y = x / _CHIN_REACH[0], y / _CHIN_REACH[1]
    columns, rows = np.meshgrid(*[np.arange(crops.shape[1], dtype=np.float32)] * 2)
    rows -= np.float32(shift * side) * np.exp(-(x ** 2 + y ** 2) / 2)
    return np.stack([cv2.remap(crop, columns, rows, cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REPLICATE) for crop in crops])


def _places(size: int, margin: float, middle: Sequence[float]
            ) -> tuple[np.ndarray, np.ndarray, int]:
    """(S,) x and (S, 1) y of the pixels of a crop of this size, from a place of its box, in sides
    of the box; that side, in pixels."""
    box = box_of(size, margin)
    side = box.stop - box.start
    x, y = ((np.arange(size, dtype=np.float32) + 0.5 - box.start) / side - centre
            for centre in middle)
    return x, y[:, None], side


def _patched(crops: np.ndarray, x: np.ndarray, y: np.ndarray, axes: np.ndarray, color: np.ndarray,
             side: int, rng: np.random.Generator) -> np.ndarray:
    """The crops with an ellipse of one colour about where x and y, in box sides, are 0."""
    inside = ((x / axes[0]) ** 2 + (y / axes[1]) ** 2 < 1).astype(np.float32)
    share = cv2.GaussianBlur(inside, (0, 0), _PATCH_EDGE * side) * np.float32(rng.uniform(0.5, 1))
    patch = np.broadcast_to(color.round().astype(np.uint8), crops.shape[1:]).copy()
    return np.stack([cv2.blendLinear(patch, crop, share, 1 - share) for crop in crops])


def change_mel(mel: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """The float32 mel (80, T) in [-4, 4] as another voice, microphone or room would have made it;
    inside those limits."""
    changed = mel
    if augmentation.mel_warp:
        stretch = np.array([[1, 0, 0], [0, 1 + augmentation.mel_warp, 0]])
        changed = cv2.warpAffine(mel, stretch, mel.shape[::-1], borderMode=cv2.BORDER_REPLICATE,
                                 flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    gain = _gain(len(mel), augmentation)
    if gain.any():
        changed = changed + gain[:, None] * np.float32(_MEL_PER_DB)
    if augmentation.mel_noise:
        rng = np.random.default_rng(augmentation.noise_seed)
        noise = rng.standard_normal(mel.shape, np.float32)
        changed = changed + np.float32(augmentation.mel_noise) * noise
    first, stop = augmentation.mel_mask
    if stop > first:
        changed = changed.copy()
        changed[first:stop] = -4
    return mel if changed is mel else np.clip(changed, -4, 4)


def _gain(channels: int, augmentation: Augmentation) -> np.ndarray:
    """(channels,) float32 dB: the gain and the equaliser's smooth curve."""
    x = np.pi * (np.arange(channels, dtype=np.float32) + 0.5) / channels
    curve = sum(db * np.cos((i + 1) * x) for i, db in enumerate(augmentation.mel_eq))
    return np.float32(augmentation.mel_gain + curve)


def _placed_to_stored(stored: float, margin: float, size: int, augmentation: Augmentation,
                      place: np.ndarray, mouth: np.ndarray) -> np.ndarray:
    """(2, 3) affine map from a pixel of the (size, size) output to one of the stored crop: that
    with the `place`, grown and turned, so that the pixel `mouth` (x, y) shows ALIGNED_MOUTH."""
    box_side = stored / (1 + 2 * margin)
    growth = np.diag(1 + np.array(augmentation.box[2:]))
    linear = place[:, :2] @ _rotation(augmentation) @ growth * (box_side / size)
    shown = stored * to_crop(place @ [*ALIGNED_MOUTH, 1], margin) - 0.5
    return np.column_stack([linear, shown - linear @ mouth])


def _rotation(augmentation: Augmentation) -> np.ndarray:
    angle = np.deg2rad(augmentation.rotation)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _output_to_stored(stored: float, margin: float, size: int,
                      augmentation: Augmentation) -> np.ndarray:
    """(2, 3) affine map from a pixel of the (size, size) output to one of the stored crop: the box,
    moved and grown but inside the crop, turned about its centre."""
    box_side = stored / (1 + 2 * margin)
    dx, dy, *growth = augmentation.box
    sides = np.minimum(box_side * (1 + np.array(growth)), stored)
    corner = np.clip((stored - sides) / 2 + np.array([dx, dy]) * box_side, 0, stored - sides)
    linear = _rotation(augmentation) * (sides / size)
    # Pixel i covers i … i+1: its centre is at i + 0.5 in both pictures.
    offset = corner + sides / 2 - linear @ np.full(2, size / 2 - 0.5) - 0.5
    return np.column_stack([linear, offset])


def _bends(augmentation: Augmentation) -> bool:
    return bool(augmentation.warp is not None or augmentation.turn or augmentation.smile)


def _bent_points(size: int, augmentation: Augmentation, mouth: Sequence[float]) -> np.ndarray:
    """(size, size, 2) x, y in pixels of where each pixel is taken from, the mouth being there."""
    points = np.dstack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2))
    if augmentation.smile:
        points += size * _smile(size, augmentation.smile, mouth)
    if augmentation.turn:
        x, _ = from_point(size, _CENTRE)
        points[:, :, 0] += np.float32(size * augmentation.turn) * (0.25 - x ** 2)
    if augmentation.warp is not None:
        points += size * cv2.resize(augmentation.warp, (size, size),
                                    interpolation=cv2.INTER_CUBIC)
    return points


def _at(points: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(2,) what a map (size, size, 2) holds at x and y in sides, between its pixels' centres."""
    x, y = np.float32(place) * len(points) - 0.5
    return cv2.remap(points, np.array([[x]]), np.array([[y]]), cv2.INTER_LINEAR)[0, 0]


def _where_from(points: np.ndarray, source: np.ndarray) -> np.ndarray:
    """(2,) x and y, in sides, where a map (size, size, 2) holds the place `source`, in sides too:
    the fixed point of what it moves places by."""
    place = source
    for _ in range(_FIXED_POINT_STEPS):
        place = place + source - (_at(points, place) + 0.5) / len(points)
    return place


def _smile(size: int, amount: float, mouth: Sequence[float]) -> np.ndarray:
    """(size, size, 2) float32 x, y by which a pixel lies from where it is taken from, in box sides,
    for a mouth wider by `amount`, with thinner lips and raised corners."""
    x, y = from_point(size, mouth)
    reach_x, reach_y = _SMILE_REACH
    near = np.exp(-((x / reach_x) ** 2 + (y / reach_y) ** 2) / 2)
    away = amount * near * np.stack([-x / (1 + amount * near),
                                     _SMILE_THINS * y + _SMILE_LIFT * x ** 2])
    return away.transpose(1, 2, 0).astype(np.float32)


def thinning(augmentation: Augmentation) -> float:
    """By what a smile divides the height of the mouth."""
    return 1 + _SMILE_THINS * augmentation.smile


def _put_on_lipstick(face: np.ndarray, color: np.ndarray, opacity: float) -> None:
    """Give what is redder than the skin around it, where a mouth is, another colour, in place.

    face: (size, size, 3) uint8. color: (3,) BGR, by the brightness of what it covers."""
    share = find_lips(face).share * opacity
    covered = face.astype(np.float32)
    painted = color * covered.mean(2, keepdims=True)
    face[:] = np.clip(covered + (painted - covered) * share[:, :, None], 0, 255)


@lru_cache(maxsize=1)
def _backdrop_mask(size: int) -> np.ndarray:
    """(size, size) float32: 0 on the face, 1 around it, with a soft border."""
    return outside_ellipse(size, _CENTRE, _FACE_AXES, _BORDER)


def _shade(size: int, direction: float, rise: float) -> np.ndarray:
    """(size, size, 3) float32 factors of the brightness: 1 in the centre, 1 ± rise at the edges."""
    x, y = from_point(size, _CENTRE)
    factors = 1 + 2 * np.float32(rise) * (np.cos(direction) * x + np.sin(direction) * y)
    return np.repeat(np.clip(factors, 0, None).astype(np.float32)[:, :, None], 3, axis=2)


def _draw_box(hp: HParams, rng: np.random.Generator) -> tuple[float, ...]:
    """x, y shift and growth of width and height."""
    box = rng.uniform(-hp.box_jitter, hp.box_jitter, 4)
    if hp.box_growth:
        box[2:] += rng.uniform(0, hp.box_growth, 2)
    return tuple(box)


def _draw_band(hp: HParams, rng: np.random.Generator) -> tuple[int, int]:
    width = int(rng.integers(hp.mel_mask + 1))
    first = int(rng.integers(hp.num_mels - width + 1))
    return first, first + width


def _draw_lipstick(rng: np.random.Generator) -> np.ndarray:
    """(4,): B, G, R, opacity."""
    lipstick = rng.uniform(*_LIPSTICK)
    lipstick[:3] *= rng.uniform(*_LIPSTICK_LIGHT) / lipstick[:3].mean()
    return lipstick


def _draw_color(spread: float, gray_probability: float, rng: np.random.Generator) -> np.ndarray:
    """(3, 4) map: saturation or gray, then a tint and contrast about mid-gray, then brightness."""
    saturation, contrast = rng.uniform(1 - 2 * spread, 1 + 2 * spread, 2)
    tint = rng.uniform(1 - spread, 1 + spread, 3)
    if rng.random() < gray_probability:
        saturation = 0.0
    gray = np.tile(_BGR_TO_GRAY, (3, 1))
    matrix = contrast * tint[:, None] * (saturation * np.eye(3) + (1 - saturation) * gray)
    brightness = 128 * (1 - contrast) + 255 * rng.uniform(-spread, spread)
    return np.hstack([matrix, np.full((3, 1), brightness)])
