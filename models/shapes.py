"""A generator that is told the mouth's shape, and what tells the shape from sound and picture.

Not in the paper. Little of how a mouth looks is owed to the sound, and a generator short of data
learns to copy its reference's mouth instead. One that is told the true shape learns at once to
draw it; what the sound tells of the shape is learnt apart, and both together are a Wav2Lip.

A generator that does not see its reference's mouth cannot know where exactly the lips lie, and L1
asks it for the mean of all places, where they never part. A frozen expert that reads the shape
wherever it lies asks for lips that part.
"""
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .conv import Conv2d, audio_encoder, channel_scale, lower_half, residual
from .wav2lip import Wav2Lip

N_SHAPE = 7     # numbers of a mouth's shape: those of mouth_shape.SHAPE


class ShapeEncoder(nn.Module):
    """Shapes (B, 7) → (B, c, 1, 1), in place of `audio_encoder`."""

    def __init__(self, c_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(N_SHAPE, c_out)

    def forward(self, shapes: Tensor) -> Tensor:
        return torch.relu_(self.linear(shapes))[:, :, None, None]


class ShapeWav2Lip(Wav2Lip):
    """Wav2Lip that takes shapes (B, 7) or (B, T, 7) in place of mel windows."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__(width)
        self.audio_encoder = ShapeEncoder(self.audio_encoder[-1].conv_block[0].out_channels)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "ShapeWav2Lip":
        """A network of the width that the weights have, holding them; of a Wav2Lip's all but the
        sound encoder's."""
        new = cls(state_dict["face_decoder_blocks.0.0.conv_block.0.weight"].shape[0] / 512)
        if "audio_encoder.linear.weight" not in state_dict:
            state_dict = {key: value for key, value in state_dict.items()
                          if not key.startswith("audio_encoder.")}
            state_dict |= {f"audio_encoder.{key}": value
                           for key, value in new.audio_encoder.state_dict().items()}
        if "mouth_mask" in state_dict:
            new.hide_mouth()
        new.load_state_dict(state_dict)
        return new


class ShapeExpert(nn.Module):
    """Reads the shape of a mouth that it sees: what a drawn mouth is held to."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        c = channel_scale(width)
        self.width = width
        self.face_encoder = nn.Sequential(
            Conv2d(1, c(32), 7, (1, 2), 3),                                                # 48, 48
            Conv2d(c(32), c(64), 3, 2, 1), residual(c(64)), residual(c(64)),               # 24, 24
            Conv2d(c(64), c(128), 3, 2, 1), residual(c(128)), residual(c(128)),            # 12, 12
            Conv2d(c(128), c(256), 3, 2, 1), residual(c(256)), residual(c(256)),           # 6, 6
            Conv2d(c(256), c(512), 3, 2, 1), Conv2d(c(512), c(512), 3, 1, 0))              # 3, 1
        self.shape_head = nn.Linear(c(512), N_SHAPE)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "ShapeExpert":
        """A network of the width that the weights have, holding them."""
        new = cls(state_dict["shape_head.weight"].shape[1] / 512)
        new.load_state_dict(state_dict)
        return new

    def forward(self, faces: Tensor) -> Tensor:
        """Faces (B, 3, 96, 96), BGR in [0, 1], of which it sees the lower half without colour →
        shapes (B, 7)."""
        mouths = lower_half(faces).mean(1, keepdim=True)
        return self.shape_head(self.face_encoder(mouths).flatten(1))


class SoundToShape(nn.Module):
    """Mel windows (B, 1, 80, 16) in [-4, 4] → shapes (B, 7): a sound encoder with a last layer of
    its own."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        self.width = width
        *trunk, last = audio_encoder(width, residuals_at_256=1)
        self.trunk = nn.Sequential(*trunk)
        self.head = nn.Linear(last.conv_block[0].in_channels, N_SHAPE)

    @classmethod
    def from_state_dict(cls, state_dict: Mapping[str, Tensor]) -> "SoundToShape":
        """A network of the width that the weights have, holding them; of a Wav2Lip's those of its
        sound encoder but the last layer's."""
        if "head.weight" in state_dict:
            new = cls(state_dict["head.weight"].shape[1] / 512)
            new.load_state_dict(state_dict)
            return new
        new = cls(state_dict["face_decoder_blocks.0.0.conv_block.0.weight"].shape[0] / 512)
        new.trunk.load_state_dict({
            name: state_dict[f"audio_encoder.{name}"] for name in new.trunk.state_dict()})
        return new

    def forward(self, mels: Tensor) -> Tensor:
        return self.head(self.trunk(mels).flatten(1))


def hearing(generator: ShapeWav2Lip, ear: SoundToShape) -> Wav2Lip:
    """The Wav2Lip that draws, for a sound, what `generator` draws for the shape that `ear` tells.
    ValueError unless both are of one width.

    Two linear maps in a row, sound to shape and shape to embedding, are one: the last layer of the
    sound encoder, whose batch norm changes nothing.
    """
    if generator.width != ear.width:
        raise ValueError(f"widths {generator.width:g} and {ear.width:g} must be the same")
    whole = Wav2Lip(generator.width)
    if generator.mouth_mask is not None:
        whole.hide_mouth()
    state = {key: value for key, value in generator.state_dict().items()
             if not key.startswith("audio_encoder.")}
    whole.load_state_dict(state, strict=False)
    whole.audio_encoder[:-1].load_state_dict(ear.trunk.state_dict())
    told, heard = generator.audio_encoder.linear, ear.head
    convolution, norm = whole.audio_encoder[-1].conv_block
    with torch.no_grad():
        convolution.weight.copy_((told.weight @ heard.weight.cpu())[:, :, None, None])
        convolution.bias.copy_(told.weight @ heard.bias.cpu() + told.bias)
        norm.weight.fill_((1 + norm.eps) ** 0.5)
    return whole.eval()
