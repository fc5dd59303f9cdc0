"""A face mesh with jaws: what becomes of face and picture when a mouth opens wider, or shuts.

The lower jaw goes up or down with lip and chin; teeth stay with their jaws, behind the lips; and
what is darkest between the lips becomes the dark inside of a mouth.
"""
import cv2
import numpy as np

from face_mesh import N_POINTS

# Where in an open mouth, from above, the darkest may lie, and how much of it, either way, goes with
# neither jaw.
_DARKEST, _CAVITY = (0.25, 0.95), 0.05
_DARK = 0.25            # the brightness, at most, of the inside of a mouth, by the cheeks'
_PARTED = 0.05          # widths of the face by which the jaws part until it is as dark
_CAVITY_EDGE = 0.01     # standard deviation, the same
TEETH_BEHIND = 0.1      # lips, in widths of the face
_JAW_REACH = 0.3        # standard deviation, to the sides, of what goes with the chin, as above
_WIDEST = 0.26          # widths of the face by which no mouth's lips are moved apart farther

# Points of the mesh.
SIDES = [234, 454]
_CHIN = 152
_CHEEKS = [50, 280]
# The mouth from corner to corner: above and below what the mesh leaves open, and where jaws part.
UPPER_LIP = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308]
LOWER_LIP = [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308]
_N_INSIDE = len(UPPER_LIP) - 2     # of their points that are no corners
N_WITH_JAWS = N_POINTS + 2 * _N_INSIDE
UPPER_JAW = [78, *range(N_POINTS, N_POINTS + _N_INSIDE), 308]
LOWER_JAW = [78, *range(N_POINTS + _N_INSIDE, N_WITH_JAWS), 308]
BETWEEN_JAWS = [*UPPER_JAW, *LOWER_JAW]
INSIDE = [*UPPER_LIP, *BETWEEN_JAWS, *LOWER_LIP]


def face_width(mesh: np.ndarray) -> float:
    """Of the face, in pixels."""
    return np.ptp(mesh[SIDES, 0])


def with_jaws(mesh: np.ndarray, light: np.ndarray) -> np.ndarray:
    """The mesh (478, 3) with 18 points more: above and below what is darkest between the lips."""
    upper, lower = mesh[UPPER_LIP[1:-1]], mesh[LOWER_LIP[1:-1]]
    middle = slice(3, 6)
    shares = np.linspace(*_DARKEST, 21)[:, None, None]
    seen = _seen(light, ((1 - shares) * upper + shares * lower)[:, middle, :2])
    darkest = float(shares[seen.mean(1).argmin(), 0, 0])
    return np.concatenate([mesh, *((1 - share) * upper + share * lower
                                   for share in (darkest - _CAVITY, darkest + _CAVITY))])


def opened(mesh: np.ndarray, opening: float) -> np.ndarray:
    """The mesh with lips as much farther apart: the lower jaw goes down, or up to shut them."""
    by, apart = _moved_apart(mesh, opening), lips_apart(mesh)
    x, y = (mesh[UPPER_LIP, :2] + mesh[LOWER_LIP, :2]).T / 2
    down = mesh[:, 1] - np.interp(mesh[:, 0], x, y)
    is_lower = down > 0
    is_lower[UPPER_LIP + UPPER_JAW], is_lower[LOWER_JAW[1:-1] + LOWER_LIP[1:-1]] = False, True
    at_lips = np.interp(mesh[:, 0], x, by * apart / max(apart.max(), 1e-6), 0, 0)
    aside = (mesh[:, 0] - x.mean()) / (face_width(mesh) * _JAW_REACH)
    at_chin = by * np.exp(-np.square(aside) / 2)
    depth = np.clip(down / (mesh[_CHIN, 1] - y.mean()), 0, 1)
    other = mesh.copy()
    other[:, 1] += is_lower * ((1 - depth) * at_lips + depth * at_chin)
    return other


def _moved_apart(mesh: np.ndarray, opening: float) -> float:
    """By how many pixels the lips of a head with this opening are moved apart; negative: nearer."""
    apart = lips_apart(mesh).max()
    return min((opening - 1) * apart, max(0.0, _WIDEST * face_width(mesh) - apart))


def lips_apart(points: np.ndarray) -> np.ndarray:
    """(11,) by how much the lower lip's inner edge is below the upper one's."""
    return np.maximum(points[LOWER_LIP, 1] - points[UPPER_LIP, 1], 0)


def inside_of_mouth(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3,) its colour: that of the cheeks, twice reflected, and as dark as what is darkest between
    the lips, or darker."""
    between = (points[UPPER_JAW[4:7], :2] + points[LOWER_JAW[4:7], :2]) / 2
    cheeks = colour_of_cheeks(frame, points)
    brightness = min(_DARK * cheeks.mean(), _seen(frame, between).mean())
    return brightness * cheeks ** 2 / np.square(cheeks).mean()


def colour_of_cheeks(frame: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3,) BGR, at least 1 each."""
    return np.maximum(_seen(frame, points[_CHEEKS, :2]).mean(0), 1)


def filled(picture: np.ndarray, between: np.ndarray, colour: np.ndarray, mesh: np.ndarray,
           opening: float) -> np.ndarray:
    """The picture (H, W, 3) of an opened mouth with this colour (3,), softly, between its jaws.

    between: (H, W) bool, where that is. mesh: (478, 3), the face before it was opened."""
    by = _moved_apart(mesh, opening)
    if by <= 0:
        return picture
    share = cv2.GaussianBlur(np.float32(between), (0, 0), _CAVITY_EDGE * face_width(mesh))
    share *= min(1.0, by / (_PARTED * face_width(mesh)))
    return cv2.blendLinear(np.full_like(picture, np.rint(colour)), picture, share, 1 - share)


def _seen(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """What a picture (H, W) or (H, W, 3) shows at points (…, 2)."""
    return cv2.remap(picture, np.float32(points).reshape(-1, 1, 2), None, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE).reshape(points.shape[:-1] + picture.shape[2:])
