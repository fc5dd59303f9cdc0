"""Building blocks shared by the generator, the expert and the discriminator.

Every block keeps its layers in `conv_block`, because the published state dicts name them so.
"""
from typing import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Size = int | tuple[int, int]


class Conv2d(nn.Module):
    """Conv2d with bias → BatchNorm2d → (+ input, if residual) → ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel_size: Size, stride: Size, padding: Size,
                 residual: bool = False) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.Conv2d(c_in, c_out, kernel_size, stride, padding), nn.BatchNorm2d(c_out))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv_block(x)
        if self.residual:
            y += x
        return torch.relu_(y)


class Conv2dTranspose(nn.Module):
    """ConvTranspose2d with bias → BatchNorm2d → ReLU."""

    def __init__(self, c_in: int, c_out: int, kernel_size: Size, stride: Size, padding: Size,
                 output_padding: Size = 0) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ConvTranspose2d(c_in, c_out, kernel_size, stride, padding, output_padding),
            nn.BatchNorm2d(c_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu_(self.conv_block(x))


class PlainConv2d(nn.Module):
    """Conv2d with bias → LeakyReLU(0.01): the discriminator's block, without a norm.

    It begins with the weights of He et al. (2015), which keep the spread of what passes through;
    torch's own halve it, or worse, at every layer, and without a norm training hardly begins.
    """

    _SLOPE = 0.01

    def __init__(self, c_in: int, c_out: int, kernel_size: Size, stride: Size,
                 padding: Size) -> None:
        super().__init__()
        convolution = nn.Conv2d(c_in, c_out, kernel_size, stride, padding)
        nn.init.kaiming_normal_(convolution.weight, a=self._SLOPE)
        nn.init.zeros_(convolution.bias)
        self.conv_block = nn.Sequential(convolution)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(self.conv_block(x), self._SLOPE)


def residual(channels: int) -> Conv2d:
    return Conv2d(channels, channels, 3, 1, 1, residual=True)


def channel_scale(width: float) -> Callable[[int], int]:
    """Scale a published channel count to a network of another width (1.0 = published).

    ValueError unless 16·width, the narrowest layer, is a whole number: then the width can be read
    back from any layer's shape.
    """
    if width <= 0 or (16 * width) % 1:
        raise ValueError(f"width {width}: must be a positive multiple of 1/16, such as 0.25")
    return lambda channels: int(channels * width)


def audio_encoder(width: float, residuals_at_256: int) -> nn.Sequential:
    """Mel window (B, 1, 80, 16) → (B, 512·width, 1, 1); shared design of generator and expert."""
    c = channel_scale(width)
    return nn.Sequential(
        Conv2d(1, c(32), 3, 1, 1), residual(c(32)), residual(c(32)),
        Conv2d(c(32), c(64), 3, (3, 1), 1), residual(c(64)), residual(c(64)),
        Conv2d(c(64), c(128), 3, 3, 1), residual(c(128)), residual(c(128)),
        Conv2d(c(128), c(256), 3, (3, 2), 1), *(residual(c(256)) for _ in range(residuals_at_256)),
        Conv2d(c(256), c(512), 3, 1, 0),
        Conv2d(c(512), c(512), 1, 1, 0))


def fold_time(x: Tensor, time_dim: int) -> Tensor:
    """Fold the time axis of a clip batch (B first) into the batch, time-major: (T·B, …).

    All clips' frame 0 come first, then all frames 1, …: the published networks' order.
    """
    return x.movedim(time_dim, 0).flatten(0, 1)


def lower_half(faces: Tensor) -> Tensor:
    """(…, H, W) → (…, H/2, W), the rows of the mouth."""
    return faces[..., faces.shape[-2] // 2:, :]


def fold_batch_norm(model: nn.Module) -> nn.Module:
    """Merge each block's batch norm into its convolution, in place; the outputs stay the same.

    For inference only: the model must be in evaluation mode, and its state-dict keys change.
    """
    for block in model.modules():
        if isinstance(block, (Conv2d, Conv2dTranspose)) and len(block.conv_block) == 2:
            conv, norm = block.conv_block
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps,
                norm.weight, norm.bias, transpose=isinstance(conv, nn.ConvTranspose2d))
            block.conv_block = nn.Sequential(conv)
    return model
