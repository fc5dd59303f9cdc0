"""A reference that differs from the target's frame in the mouth alone, as it does in inference."""
import cv2
import numpy as np

from clips import box_of

# The part of the box that tells how a head is held: eyes and nose.
_HEAD_ROWS, _HEAD_COLUMNS = (0.0, 0.6), (0.1, 0.9)
_SEAM = 0.06        # box sides over which the target's upper half passes into the reference's lower
_STOP = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 30, 1e-3)
_SMOOTHING = 5      # pixels


def lay_on(target: np.ndarray, reference: np.ndarray, margin: float) -> np.ndarray:
    """The reference's face moved, turned and stretched to lie on the target's, in its lower half.

    Both (T, S, S, 3) uint8, BGR, with `margin` box sides around the box; so is the result. Where
    the faces are too unlike to be aligned, the reference's stays where it is.
    """
    box = box_of(target.shape[1], margin)
    side = box.stop - box.start
    middle = box.start + side // 2
    seam = (np.arange(target.shape[1]) + 0.5 - middle) / (_SEAM * side)
    reference_share = np.clip(seam, 0, 1).astype(np.float32)[:, None]
    reference_share = np.repeat(reference_share, target.shape[2], axis=1)
    return np.stack([
        cv2.blendLinear(_moved(new, old, box), new, reference_share, 1 - reference_share)
        for new, old in zip(target, reference, strict=True)])


def _moved(target: np.ndarray, reference: np.ndarray, box: slice) -> np.ndarray:
    """(S, S, 3): the reference by the affine map that makes its eyes and nose most like the
    target's (Evangelidis and Psarakis, enhanced correlation coefficient, 2008)."""
    side = box.stop - box.start
    rows, columns = (slice(*(box.start + round(part * side) for part in parts))
                     for parts in (_HEAD_ROWS, _HEAD_COLUMNS))
    gray = [cv2.cvtColor(face[rows, columns], cv2.COLOR_BGR2GRAY) for face in (target, reference)]
    try:
        _, affine = cv2.findTransformECC(*gray, np.eye(2, 3, dtype=np.float32),
                                         cv2.MOTION_AFFINE, _STOP, None, _SMOOTHING)
    except cv2.error:       # it has not converged
        return reference
    corner = np.float32([columns.start, rows.start])
    affine[:, 2] += corner - affine[:, :2] @ corner
    return cv2.warpAffine(reference, affine, reference.shape[1::-1],
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)
