"""SyncNet (Chung & Zisserman, "Out of time: automated lip sync in the wild", 2016), which judges
lip-sync in LSE-D and LSE-C. Structure and state-dict keys are those of syncnet_v2.model."""
from torch import Tensor, nn


class S(nn.Module):
    """Embeds 200 ms of MFCC and the five face frames of the same moment in one space."""

    def __init__(self, num_layers_in_fc_layers: int = 1024) -> None:
        """num_layers_in_fc_layers: the published name of the embedding's size."""
        super().__init__()
        # The pools that do nothing (1, 1) keep the published numbering of the layers.
        self.netcnnaud = nn.Sequential(
            *_conv2d(1, 64, 3, 1), nn.MaxPool2d(1, 1),
            *_conv2d(64, 192, 3, 1), nn.MaxPool2d(3, (1, 2)),
            *_conv2d(192, 384, 3, 1),
            *_conv2d(384, 256, 3, 1),
            *_conv2d(256, 256, 3, 1), nn.MaxPool2d(3, 2),
            *_conv2d(256, 512, (5, 4), 0))
        self.netfcaud = _head(num_layers_in_fc_layers)
        self.netfclip = _head(num_layers_in_fc_layers)
        self.netcnnlip = nn.Sequential(
            *_conv3d(3, 96, (5, 7, 7), (1, 2, 2), 0), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv3d(96, 256, (1, 5, 5), (1, 2, 2), (0, 1, 1)),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_conv3d(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            *_conv3d(256, 256, (1, 3, 3), 1, (0, 1, 1)),
            *_conv3d(256, 256, (1, 3, 3), 1, (0, 1, 1)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_conv3d(256, 512, (1, 6, 6), 1, 0))

    def forward_aud(self, x: Tensor) -> Tensor:
        """(B, 1, 13, 20) MFCC windows at 100 Hz → (B, 1024)."""
        return self.netfcaud(self.netcnnaud(x).flatten(1))

    def forward_lip(self, x: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) face windows at 25 fps, BGR in [0, 255] → (B, 1024)."""
        return self.netfclip(self.netcnnlip(x).flatten(1))


def _conv2d(c_in: int, c_out: int, kernel_size: int | tuple[int, int],
            padding: int) -> list[nn.Module]:
    return [nn.Conv2d(c_in, c_out, kernel_size, padding=padding), nn.BatchNorm2d(c_out), nn.ReLU()]


def _conv3d(c_in: int, c_out: int, kernel_size: tuple[int, int, int],
            stride: int | tuple[int, int, int],
            padding: int | tuple[int, int, int]) -> list[nn.Module]:
    return [nn.Conv3d(c_in, c_out, kernel_size, stride, padding), nn.BatchNorm3d(c_out), nn.ReLU()]


def _head(size: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(),
                         nn.Linear(512, size))
