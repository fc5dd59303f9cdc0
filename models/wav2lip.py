"""The generator that redraws a face's lower half to a sound, and the discriminator of its look."""
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .conv import (Conv2d, Conv2dTranspose, PlainConv2d, audio_encoder, channel_scale, fold_time,
                   lower_half, residual)

FACE_SIDE = 96
# What `hide_mouth` hides, two ellipses: the row and column of the middle, half the height and
# width, in box sides, of the mouth, and of the folds of a smile about it, which tell as much.
# Their edge is soft between _MOUTH_EDGE times these; _BLUR is in pixels.
_MOUTH = (0.695, 0.5, 0.145, 0.31)
_FOLDS = (0.65, 0.5, 0.1, 0.38)
_MOUTH_EDGE = (1.0, 1.25)
_BLUR = 13
# Of what hides it, this share is skin: without it a smile's teeth and lips, blurred to one pale red
# patch, are drawn as thick lips. Skin is what lies around an ellipse where lips and teeth may be.
_SKIN = 0.5
_LIPS = (0.71, 0.5, 0.13, 0.25)
_LIPS_EDGE = (0.8, 1.2)


class Wav2Lip(nn.Module):
    """U-Net over the face whose bottleneck is the sound (paper, section 3.4).

    width scales every hidden channel count; 1.0 is the published network with 36 298 035
    parameters.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = channel_scale(width)
        self.width = width
        self.face_encoder_blocks = nn.ModuleList(nn.Sequential(*stage) for stage in [
            [Conv2d(6, c(16), 7, 1, 3)],                                                      # 96
            [Conv2d(c(16), c(32), 3, 2, 1), residual(c(32)), residual(c(32))],                # 48
            [Conv2d(c(32), c(64), 3, 2, 1), residual(c(64)), residual(c(64)), residual(c(64))],
            [Conv2d(c(64), c(128), 3, 2, 1), residual(c(128)), residual(c(128))],             # 12
            [Conv2d(c(128), c(256), 3, 2, 1), residual(c(256)), residual(c(256))],            # 6
            [Conv2d(c(256), c(512), 3, 2, 1), residual(c(512))],                              # 3
            [Conv2d(c(512), c(512), 3, 1, 0), Conv2d(c(512), c(512), 1, 1, 0)],               # 1
        ])
        self.audio_encoder = audio_encoder(width, residuals_at_256=1)
        self.face_decoder_blocks = nn.ModuleList(nn.Sequential(*stage) for stage in [
            [Conv2d(c(512), c(512), 1, 1, 0)],                                                # 1
            [Conv2dTranspose(c(1024), c(512), 3, 1, 0), residual(c(512))],                    # 3
            [_upsample(c(1024), c(512)), residual(c(512)), residual(c(512))],                 # 6
            [_upsample(c(768), c(384)), residual(c(384)), residual(c(384))],                  # 12
            [_upsample(c(512), c(256)), residual(c(256)), residual(c(256))],                  # 24
            [_upsample(c(320), c(128)), residual(c(128)), residual(c(128))],                  # 48
            [_upsample(c(160), c(64)), residual(c(64)), residual(c(64))],                     # 96
        ])
        self.output_block = nn.Sequential(
            Conv2d(c(80), c(32), 3, 1, 1), nn.Conv2d(c(32), 3, 1), nn.Sigmoid())
        self.register_buffer("mouth_mask", None)
        self.register_buffer("around_lips", None, persistent=False)
        self.register_buffer("blur", None, persistent=False)

    def hide_mouth(self) -> None:
        """From now on, blur the reference's mouth, and blend skin in, until nothing tells how it is
        held; not in the paper. The buffer `mouth_mask` says so in the state dict."""
        device = self.output_block[1].weight.device
        visible = _outside(_MOUTH, _MOUTH_EDGE) * _outside(_FOLDS, _MOUTH_EDGE)
        self.mouth_mask = 1 - visible.to(device)
        self.around_lips = _outside(_LIPS, _LIPS_EDGE).to(device)
        self.blur = _blur().to(device)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "Wav2Lip":
        """A network of the width that the weights have, holding them. KeyError or RuntimeError if
        they are another network's."""
        model = cls(state_dict["face_decoder_blocks.0.0.conv_block.0.weight"].shape[0] / 512)
        if "mouth_mask" in state_dict:
            model.hide_mouth()
        model.load_state_dict(state_dict)
        return model

    def forward(self, audio_sequences: Tensor, face_sequences: Tensor) -> Tensor:
        """Faces (B, 3, 96, 96), or (B, 3, T, 96, 96), BGR in [0, 1].

        audio_sequences: (B, 1, 80, 16) or (B, T, 1, 80, 16) mel windows, in [-4, 4].
        face_sequences: (B, 6, 96, 96) or (B, 6, T, 96, 96), BGR in [0, 1]: channels 0–2 the target
        frame with its lower half set to 0, channels 3–5 a reference frame.
        """
        if face_sequences.dim() == 5:
            batch = len(face_sequences)
            g = self._generate(fold_time(audio_sequences, 1), fold_time(face_sequences, 2))
            return g.unflatten(0, (-1, batch)).permute(1, 2, 0, 3, 4)
        return self._generate(audio_sequences, face_sequences)

    def _generate(self, mel: Tensor, face: Tensor) -> Tensor:
        if self.mouth_mask is not None:
            target, reference = face.split(3, dim=1)
            face = torch.cat([target, self._without_mouth(reference)], dim=1)
        features = []
        for stage in self.face_encoder_blocks:
            face = stage(face)
            features.append(face)
        x = self.audio_encoder(mel)
        for stage, feature in zip(self.face_decoder_blocks, reversed(features), strict=True):
            x = torch.cat([stage(x), feature], dim=1)
        return self.output_block(x)

    def _without_mouth(self, faces: Tensor) -> Tensor:
        """Faces (N, 3, 96, 96) with their mouths hidden."""
        with torch.autocast(faces.device.type, enabled=False):
            blurred = self.blur @ faces @ self.blur.T
            wide = torch.linalg.matrix_power(self.blur, 3)
            skin = (wide @ (faces * self.around_lips) @ wide.T
                    / (wide @ self.around_lips @ wide.T).clamp(min=1e-6))
            return torch.lerp(faces, torch.lerp(blurred, skin, _SKIN), self.mouth_mask)


def _blur() -> Tensor:
    """(96, 96) B such that B @ picture @ B.T has, for each pixel, the mean of a square around it,
    as far as that lies in the picture."""
    pixels = torch.arange(FACE_SIDE)
    near = ((pixels[:, None] - pixels).abs() <= _BLUR // 2).float()
    return near / near.sum(1, keepdim=True)


def _outside(ellipse: tuple[float, ...], edge: tuple[float, float]) -> Tensor:
    """(96, 96): 0 in an ellipse, rising to 1 between the radii `edge` of it."""
    rows, columns = torch.meshgrid(*[torch.arange(FACE_SIDE) + 0.5] * 2, indexing="ij")
    row, column, height, width = (FACE_SIDE * part for part in ellipse)
    radius = (((rows - row) / height) ** 2 + ((columns - column) / width) ** 2).sqrt()
    begin, whole = edge
    return ((radius - begin) / (whole - begin)).clamp(0, 1)


def _upsample(c_in: int, c_out: int) -> Conv2dTranspose:
    return Conv2dTranspose(c_in, c_out, 3, 2, 1, output_padding=1)


class Wav2Lip_disc_qual(nn.Module):
    """Visual-quality discriminator: is this mouth region filmed or drawn? (paper, section 3.5)

    1.0 is the published width with 14 113 793 parameters.
    """

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = channel_scale(width)
        self.width = width
        self.face_encoder_blocks = nn.ModuleList(nn.Sequential(*stage) for stage in [
            [PlainConv2d(3, c(32), 7, 1, 3)],                                             # 48, 96
            [PlainConv2d(c(32), c(64), 5, (1, 2), 2), PlainConv2d(c(64), c(64), 5, 1, 2)],
            [PlainConv2d(c(64), c(128), 5, 2, 2), PlainConv2d(c(128), c(128), 5, 1, 2)],
            [PlainConv2d(c(128), c(256), 5, 2, 2), PlainConv2d(c(256), c(256), 5, 1, 2)],
            [PlainConv2d(c(256), c(512), 3, 2, 1), PlainConv2d(c(512), c(512), 3, 1, 1)],
            [PlainConv2d(c(512), c(512), 3, 2, 1), PlainConv2d(c(512), c(512), 3, 1, 1)],
            [PlainConv2d(c(512), c(512), 3, 1, 0), PlainConv2d(c(512), c(512), 1, 1, 0)],
        ])
        self.binary_pred = nn.Sequential(nn.Conv2d(c(512), 1, 1), nn.Sigmoid())

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "Wav2Lip_disc_qual":
        """A network of the width that the weights have, holding them. KeyError or RuntimeError if
        they are another network's."""
        model = cls(state_dict["binary_pred.0.weight"].shape[1] / 512)
        model.load_state_dict(state_dict)
        return model

    def forward(self, face_sequences: Tensor) -> Tensor:
        """Probability (B·T, 1), time-major, that each face of (B, 3, T, 96, 96) is real."""
        return self.predict(self.features(face_sequences))

    def features(self, face_sequences: Tensor) -> list[Tensor]:
        """What each stage makes of the mouths of (B, 3, T, 96, 96) faces: (B·T, c, h, w)."""
        x = lower_half(fold_time(face_sequences, 2))
        features = []
        for stage in self.face_encoder_blocks:
            x = stage(x)
            features.append(x)
        return features

    def predict(self, features: list[Tensor]) -> Tensor:
        """Probability (B·T, 1) that the mouths are real, from their features."""
        # Half precision would round a sure prediction to exactly 0 or 1, where no gradient is left.
        with torch.autocast(features[-1].device.type, enabled=False):
            return self.binary_pred(features[-1].float()).flatten(1)

    def perceptual_forward(self, false_face_sequences: Tensor) -> Tensor:
        """The generator's visual-quality loss: mean BCE of generated faces against "real"."""
        return self.perceptual_loss(self.features(false_face_sequences))

    def perceptual_loss(self, false_features: list[Tensor]) -> Tensor:
        """The same, from the generated faces' features."""
        real = self.predict(false_features)
        # Autocast refuses this loss on CUDA, though `real` is in float32.
        with torch.autocast(real.device.type, enabled=False):
            return F.binary_cross_entropy(real, torch.ones_like(real))
