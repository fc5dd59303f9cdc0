"""A generated face back into its frame, so that nobody sees where it was put."""
from typing import Literal

import cv2
import numpy as np

from face_regions import (MOUTH_AXES, TALK_AXES, around_lips, find_background, find_lips,
                          find_skin, moving_mask)
from faces import Place, crop_face, is_turned, pixel_map

Blend = Literal["feather", "none"]

_TINT_SPREAD = 0.12         # standard deviation, in box sides, within which a tint is even
_LEAST_SKIN = 1e-3          # weight in it of what is not skin
_COLOURLESS = 4             # mean difference of red and blue under which a crop is black and white
_LIP_GAIN = (0.4, 1.3)      # of a channel of the lips' colour, least and greatest
_FINE = 1.0  # standard deviation, in pixels of a crop, of a blur that takes details off
_SPECK = 5      # pixels of a crop, side of a square: what is no larger is no place of its own
_RIM = 3        # the same, of a square that reaches to the edge of a place
_NEAR = 3       # pixels of a crop by which speech moves skin
_MOST_SHARPENING = 2.0      # by which a generated face's details may be enlarged


def paste_face(frame: np.ndarray, face: np.ndarray, place: Place,
               blend: Blend = "feather") -> None:
    """Put a generated face (S, S, 3) uint8 back into its place of the frame, in place.

    none: the whole crop, as published. feather: mouth and chin alone, behind a soft border, on skin
    and not on what is beside it, in the frame's colours (`match_tint`, `match_lips`), as sharp as
    what is around them (`match_sharpness`) and without made-up shadows (`match_range`).
    """
    share = np.ones(face.shape[:2], np.float32)
    if blend == "feather":
        original = crop_face(frame, place, len(face))
        skin = find_skin(original)
        background = find_background(original)
        skin[background] = 0
        inside = _softly_within(skin)
        face = match_lips(match_tint(face, original, inside), original)
        face = match_sharpness(face, original)
        lips = find_lips(face)
        face = match_range(face, original, skin, around_lips(lips, TALK_AXES))
        mouth = around_lips(lips, MOUTH_AXES) * _softly_within(~background)
        share = moving_mask(len(face)) * np.maximum(inside, mouth)
    if is_turned(place):
        _paste_turned(frame, face, place, share)
        return
    x1, y1, x2, y2 = place
    size = x2 - x1, y2 - y1
    region = frame[y1:y2, x1:x2]
    if blend == "none":
        region[:] = cv2.resize(face, size)
        return
    drawn = cv2.resize(face, size, interpolation=cv2.INTER_CUBIC)
    share = cv2.resize(share, size)
    top = size[1] // 2
    region[top:] = cv2.blendLinear(drawn[top:], region[top:], share[top:], 1 - share[top:])


def _softly_within(place: np.ndarray) -> np.ndarray:
    """(S, S) float32: what of a place (S, S), from 0 to 1, is not at its edge, without specks."""
    whole = cv2.medianBlur(np.uint8(255 * place), _SPECK)
    inside = cv2.erode(whole, np.ones((_RIM, _RIM))).astype(np.float32) / 255
    return cv2.GaussianBlur(inside, (0, 0), _FINE)


def _paste_turned(frame: np.ndarray, face: np.ndarray, place: np.ndarray,
                  mask: np.ndarray) -> None:
    if not mask.any():
        return
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    to_frame = pixel_map(place, len(face))
    corners = np.array([[x, y, 1] for x in (columns[0] - 1, columns[-1] + 1)
                        for y in (rows[0] - 1, rows[-1] + 1)]) @ to_frame.T
    height, width = frame.shape[:2]
    x1, y1 = np.clip(np.floor(corners.min(0)), 0, [width, height]).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(corners.max(0)) + 1, 0, [width, height]).astype(int).tolist()
    if x1 == x2 or y1 == y2:
        return
    to_region = to_frame - [[0, 0, x1], [0, 0, y1]]
    size = x2 - x1, y2 - y1
    drawn = cv2.warpAffine(face, to_region, size, flags=cv2.INTER_CUBIC,
                           borderMode=cv2.BORDER_REPLICATE)
    share = cv2.warpAffine(mask, to_region, size)
    region = frame[y1:y2, x1:x2]
    region[:] = cv2.blendLinear(drawn, region, share, 1 - share)


def match_tint(face: np.ndarray, original: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """A generated face in the colours of the crop it was made of, both (S, S, 3) uint8.

    Mouth and chin move, the rest should not: what the skin of the rest differs by, smoothed, is the
    tint, and at the mouth that of its surroundings (normalised convolution, Knutsson and Westin
    1993). In a picture without colours it has none.
    skin: (S, S) float32, how surely that crop shows skin.
    """
    blue, _, red = cv2.split(original)
    if cv2.absdiff(blue, red).mean() < _COLOURLESS:
        face = cv2.cvtColor(cv2.cvtColor(face, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    still = (1 - moving_mask(len(face))) * np.maximum(skin, _LEAST_SKIN)
    still = still[..., None]
    spread = (0, 0), _TINT_SPREAD * len(face)
    known = cv2.GaussianBlur(still, *spread)[..., None]
    tint = cv2.GaussianBlur((np.float32(original) - face) * still, *spread) / known
    return np.clip(np.rint(face + tint), 0, 255).astype(np.uint8)


def match_lips(face: np.ndarray, original: np.ndarray) -> np.ndarray:
    """A generated face whose lips have the colour of the crop's that it was made of, both
    (S, S, 3) uint8, by one gain for each channel (von Kries 1902)."""
    own, drawn = find_lips(original), find_lips(face)
    gain = np.float32(np.clip(_mean_colour(original, own.redness)
                              / _mean_colour(face, drawn.redness), *_LIP_GAIN))
    changed = face * (1 + np.float32(own.certainty) * drawn.share[..., None] * (gain - 1))
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _mean_colour(face: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(3,) BGR, at least 1, by weights (S, S) and brightness: the dark between lips is little."""
    pixels = face.reshape(-1, 3).astype(np.float32)
    weights = weights.ravel() * pixels.sum(1)
    return np.maximum(weights @ pixels / max(weights.sum(), 1e-6), 1)


def match_sharpness(face: np.ndarray, original: np.ndarray) -> np.ndarray:
    """A generated face as sharp as the crop it was made of, both (S, S, 3) uint8.

    What its details in the lower half, around mouth and chin, are weaker by, all are."""
    still = 1 - moving_mask(len(face))[..., None]
    still[:len(face) // 2] = 0
    details, wanted = (np.float32(image) - cv2.GaussianBlur(np.float32(image), (0, 0), _FINE)
                       for image in (face, original))
    gain = np.sqrt((still * wanted ** 2).sum() / max((still * details ** 2).sum(), 1e-6))
    sharpened = face + (np.clip(gain, 1, _MOST_SHARPENING) - 1) * details
    return np.clip(np.rint(sharpened), 0, 255).astype(np.uint8)


def match_range(face: np.ndarray, original: np.ndarray, skin: np.ndarray,
                mouth: np.ndarray) -> np.ndarray:
    """A generated face whose skin is nowhere darker or lighter than that of the crop it was made
    of, both (S, S, 3) uint8, is near there (neighbourhood clamping, Karis 2014).

    skin: (S, S) `find_skin` of that crop. mouth: (S, S), 1 where the face is left as it is.
    """
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _NEAR + 1, 2 * _NEAR + 1))
    known = skin[..., None] > 0.5
    darkest = cv2.erode(np.where(known, original, np.uint8(255)), near)
    lightest = cv2.dilate(np.where(known, original, np.uint8(0)), near)
    within = np.where(darkest <= lightest, np.clip(face, darkest, lightest), face)
    return cv2.blendLinear(within, face, 1 - mouth, mouth)
