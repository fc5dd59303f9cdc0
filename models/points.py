"""Where the eyes and the corners of the mouth of a face lie in its box."""
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .conv import Conv2d, channel_scale, residual

POINTS_SIDE = 64
N_POINTS = 4    # those of face_regions.POINTS


class FacePoints(nn.Module):
    """Faces (B, 3, 64, 64), BGR in [0, 1] → points (B, 4, 2), x and y in sides of the
    picture: those of `face_regions.POINTS`."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = channel_scale(width)
        self.width = width
        self.face_encoder = nn.Sequential(
            Conv2d(3, c(16), 3, 2, 1),                                                         # 32
            Conv2d(c(16), c(32), 3, 2, 1), residual(c(32)),                                    # 16
            Conv2d(c(32), c(64), 3, 2, 1), residual(c(64)), residual(c(64)),                   # 8
            Conv2d(c(64), c(128), 3, 2, 1), residual(c(128)),                                  # 4
            Conv2d(c(128), c(256), 4, 1, 0))                                                   # 1
        self.point_head = nn.Linear(c(256), 2 * N_POINTS)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "FacePoints":
        """A network of the width that the weights have, holding them."""
        new = cls(state_dict["point_head.weight"].shape[1] / 256)
        new.load_state_dict(state_dict)
        return new

    def forward(self, faces: Tensor) -> Tensor:
        # Told from the middle of the picture, which it begins with.
        return 0.5 + self.point_head(self.face_encoder(faces).flatten(1)).unflatten(1, (-1, 2))
