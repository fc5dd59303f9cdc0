"""The lip-sync expert: does this mouth say this sound?"""
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from .conv import Conv2d, audio_encoder, channel_scale, residual


class SyncNet_color(nn.Module):
    """Embeds 200 ms of mel-spectrogram and the five mouths of the same moment (paper, section 3.2).

    width scales every hidden channel count, the embedding's included; 1.0 is the published
    network with 16 435 072 parameters.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = channel_scale(width)
        self.width = width
        self.face_encoder = nn.Sequential(
            Conv2d(15, c(32), 7, 1, 3),
            Conv2d(c(32), c(64), 5, (1, 2), 1), residual(c(64)), residual(c(64)),
            Conv2d(c(64), c(128), 3, 2, 1), residual(c(128)), residual(c(128)), residual(c(128)),
            Conv2d(c(128), c(256), 3, 2, 1), residual(c(256)), residual(c(256)),
            Conv2d(c(256), c(512), 3, 2, 1), residual(c(512)), residual(c(512)),
            Conv2d(c(512), c(512), 3, 2, 1),
            Conv2d(c(512), c(512), 3, 1, 0),
            Conv2d(c(512), c(512), 1, 1, 0))
        self.audio_encoder = audio_encoder(width, residuals_at_256=2)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "SyncNet_color":
        """A network of the width that the weights have, holding them. KeyError or RuntimeError if
        they are another network's."""
        model = cls(state_dict["face_encoder.16.conv_block.0.weight"].shape[0] / 512)
        model.load_state_dict(state_dict)
        return model

    def forward(self, audio_sequences: Tensor, face_sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Unit-length embeddings (B, 512·width) of sound and of mouth.

        audio_sequences: (B, 1, 80, 16) mel window, in [-4, 4].
        face_sequences: (B, 15, 48, 96) lower halves of 5 consecutive crops, BGR each, in [0, 1].
        The last ReLU makes both non-negative, so that their cosine lies in [0, 1].
        """
        audio = self.audio_encoder(audio_sequences).flatten(1)
        face = self.face_encoder(face_sequences).flatten(1)
        return F.normalize(audio, dim=1), F.normalize(face, dim=1)
