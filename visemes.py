"""What a mouth does while it says known phones: its shape over time, by rule, without a video.

Every phone asks for an opening and a width of the lips, some firmly (those of p, b and m must
meet), some hardly at all; how firmly fades with the time from the phone, and the mouth is the mean
of what all ask for, so weighted (Cohen and Massaro, Modeling coarticulation in synthetic visual
speech, 1993).
"""
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from errors import InputError
from mouth_shape import SHUT


class Viseme(NamedTuple):
    """Opening and width, in standard deviations as `mouth_shape.relative` has them, and how firmly
    a phone asks for each."""

    opening: float
    opening_weight: float
    width: float
    width_weight: float


VISEMES = {
    "silence": Viseme(-1.3, 1.0, -0.1, 0.5),
    "bilabial": Viseme(-1.9, 4.0, 0.0, 0.2),        # map, bib
    "labiodental": Viseme(-0.9, 2.5, 0.0, 0.5),     # five
    "glide": Viseme(-0.8, 1.5, -1.6, 2.0),          # we
    "close round": Viseme(-0.3, 1.0, -1.5, 2.0),    # too
    "mid round": Viseme(0.5, 1.0, -0.8, 1.5),       # go
    "open": Viseme(1.3, 1.3, 0.1, 0.7),             # father
    "mid": Viseme(1.1, 1.2, 0.5, 1.0),              # bed
    "close": Viseme(0.5, 1.0, 0.8, 1.0),            # see
    "schwa": Viseme(0.4, 0.5, 0.0, 0.3),            # about
    "sibilant": Viseme(0.5, 0.7, 0.2, 0.4),         # size
    "postalveolar": Viseme(0.4, 0.7, -0.7, 1.0),    # church
    "dental": Viseme(0.5, 0.6, 0.0, 0.3),           # this
    "alveolar": Viseme(0.3, 0.4, 0.0, 0.2),         # ten
    "rhotic": Viseme(0.2, 0.5, -0.4, 0.6),          # red
    "velar": Viseme(0.6, 0.2, 0.0, 0.1),            # king: any mouth will do
}
_OPENING_FADES, _WIDTH_FADES = 0.025, 0.07   # seconds in which a phone's weight falls to 1/e

# Names of phones in the voices of Festival; the rest go by their first letter.
_PHONES = {
    "silence": "pau # _ br",
    "bilabial": "p b m pp bb mm",
    "labiodental": "f v ff vv",
    "glide": "w",
    "close round": "uh y:",
    "mid round": "ao",
    "close": "yy",
    "schwa": "ax axr er @",
    "sibilant": "ts dz",
    "postalveolar": "sh zh ch jh sch S Z tS dZ s~ z~ c~",
    "dental": "th dh",
    "velar": "ng N",
}
_LETTERS = {
    "close round": "u", "mid round": "oO", "open": "a", "mid": "eE", "close": "iI", "sibilant": "szc",
    "alveolar": "tdnlNLTD", "rhotic": "rR",
}
_VISEME_OF = ({letter: viseme for viseme, letters in _LETTERS.items() for letter in letters}
              | {phone: viseme for viseme, phones in _PHONES.items() for phone in phones.split()})

_TRANSITION = 0.025         # seconds at each end of a phone
_REST = (0.08, 0.1)         # seconds of a silence in which lips meet, and at its end part


class Phone(NamedTuple):
    """start, end: seconds."""

    start: float
    end: float
    viseme: str


def viseme_of(phone: str) -> str:
    """The name in VISEMES of what a mouth does at a phone of Festival's voices."""
    return _VISEME_OF.get(phone) or _VISEME_OF.get(phone[:1], "velar")


def read_labels(path: str | Path) -> list[Phone]:
    """The phones in a label file as Festival's utt.save.segs writes them: lines up to one of "#"
    alone, then "end in seconds, a number, name". InputError where they are not such lines."""
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    phones: list[Phone] = []
    try:
        for line in lines[lines.index("#") + 1:]:
            end, _, name = line.split()
            phones.append(Phone(phones[-1].end if phones else 0.0, float(end), viseme_of(name)))
    except ValueError:
        phones = []
    if not phones:
        raise InputError(f"{path} holds no labels as Festival's utt.save.segs writes them")
    return phones


def shapes_of(phones: Sequence[Phone], times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, 7) float32 mouth shapes at these seconds, and (N,) how firmly all the phones together ask
    for the opening.

    Of a shape's other parts each is as much to the opening as in a mouth that is shut."""
    asked = np.zeros((2, len(times)))
    weights = np.full((2, len(times)), 1e-6)
    for phone in phones:
        viseme = VISEMES[phone.viseme]
        first, last = _held(phone)
        if last < first:
            continue
        distance = np.maximum(0, np.maximum(first - times, times - last))
        for row, (wish, weight, fades) in enumerate([
                (viseme.opening, viseme.opening_weight, _OPENING_FADES),
                (viseme.width, viseme.width_weight, _WIDTH_FADES)]):
            firm = weight * np.exp(-distance / fades)
            asked[row] += firm * wish
            weights[row] += firm
    opening, width = asked / weights
    shapes = opening[:, None] / SHUT[0] * SHUT
    shapes[:, 1] = width
    return shapes.astype(np.float32), weights[0]


def _held(phone: Phone) -> tuple[float, float]:
    """From when to when a mouth is all that a phone asks for; the last before the first: never."""
    start, end, viseme = phone
    length = end - start
    if viseme == "bilabial":
        return start, start + 0.8 * length      # the rest is the release
    if viseme == "silence":
        return start + _REST[0], end - _REST[1]     # a short one they do not heed
    transition = min(_TRANSITION, length / 4)
    return start + transition, end - transition
