"""HDR pictures (PQ and HLG, bt2020) as standard ones (bt709), by tables: a simple tone map."""

import enum
import functools

import cv2
import numpy as np

WHITE = 203.0  # nits of diffuse white in HDR (ITU-R BT.2408)
PEAK = 1000.0  # nits shown as full white
KNEE = 0.7  # part of SDR white from which highlights are compressed
STEPS = 4096  # entries of the table from linear light to 8-bit codes

# bt2020 → bt709 primaries for linear light (ITU-R BT.2087), rows and columns in B, G, R order.
GAMUT = np.array(
    [[1.1187, -0.1006, -0.0182], [-0.0083, 1.1329, -0.1246], [-0.0728, -0.5876, 1.6605]],
    np.float32,
)


class Transfer(enum.Enum):
    """HDR transfer characteristics by their number in FFmpeg (AVCOL_TRC_*) and in H.273."""

    PQ = 16
    HLG = 18


def to_sdr(image: np.ndarray, transfer: Transfer) -> np.ndarray:
    """Map (H, W, 3) uint16 full-range bt2020 BGR codes of an HDR picture to uint8 bt709 BGR.

    Light up to KNEE·WHITE keeps its brightness relative to white; from there up to PEAK it is
    compressed smoothly, each channel by itself, so that highlights lose colour rather than clip.
    """
    linear = cv2.transform(_light(transfer)[image], GAMUT)
    # The root spreads the table's steps over dark tones, where the eye and the code are finest.
    index = np.sqrt(np.clip(linear, 0, PEAK / WHITE, out=linear), out=linear)
    index *= (STEPS - 1) / (PEAK / WHITE) ** 0.5
    return _codes()[index.astype(np.uint16)]


@functools.cache
def _light(transfer: Transfer) -> np.ndarray:
    """(65536,) float32: light of each 16-bit code, 1 = WHITE (SMPTE ST 2084, ARIB STD-B67)."""
    code = np.arange(65536) / 65535
    if transfer is Transfer.PQ:
        root = code ** (1 / 78.84375)
        nits = 10000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (
            1 / 0.1593017578125
        )
    else:
        scene = np.where(
            code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
        )
        # The display's gamma of 1.2 (1000 nits) belongs on luminance; on each channel it only
        # adds a little saturation.
        nits = 1000 * scene**1.2
    return (nits / WHITE).astype(np.float32)


@functools.cache
def _codes() -> np.ndarray:
    """(STEPS,) uint8: the shoulder and then bt709 display coding (gamma 2.4) of linear light."""
    light = np.linspace(0, (PEAK / WHITE) ** 0.5, STEPS) ** 2
    # A rational curve, of slope 1 at the knee and reaching 1 at the peak.
    excess, room, span = np.maximum(light - KNEE, 0), 1 - KNEE, PEAK / WHITE - KNEE
    shoulder = excess / (1 + excess * (1 / room - 1 / span))
    shown = np.minimum(light, KNEE) + shoulder
    return np.rint(255 * shown ** (1 / 2.4)).astype(np.uint8)
