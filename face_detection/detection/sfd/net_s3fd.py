"""The S3FD network (Zhang et al., *S3FD: Single Shot Scale-invariant Face Detector*, 2017)."""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TRUNK = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1",
          "conv4_2", "conv4_3", "conv5_1", "conv5_2", "conv5_3", "fc6", "fc7")
# sfd_face.pth numbers a list that holds ReLU and pooling too: the places of the convolutions in it.
_TRUNK_PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28, 31, 33)
_EXTRAS = ("conv6_1", "conv6_2", "conv7_1", "conv7_2")
_HEADS = ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2")


def _sfd_face_names() -> dict[str, str]:
    """Layer of sfd_face.pth → layer of `S3FD`."""
    names = {f"vgg.{place}": layer for place, layer in zip(_TRUNK_PLACES, _TRUNK, strict=True)}
    names |= {f"extras.{i}": layer for i, layer in enumerate(_EXTRAS)}
    names |= {f"L2Norm{level}": f"conv{level}_norm" for level in ("3_3", "4_3", "5_3")}
    for head in ("conf", "loc"):
        names |= {f"{head}.{i}": f"{source}_mbox_{head}" for i, source in enumerate(_HEADS)}
    return names


def rename_sfd_face_keys(state_dict: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with sfd_face.pth's keys (SyncNet's repository) turned into those of `S3FD`.

    Keys that are not sfd_face.pth's stay as they are, so a dict of s3fd.pth passes unchanged.
    """
    names = _sfd_face_names()
    renamed = {}
    for key, tensor in state_dict.items():
        layer, _, parameter = key.rpartition(".")
        renamed[f"{names.get(layer, layer)}.{parameter}"] = tensor
    return renamed


class L2Norm(nn.Module):
    """Scales each position's channel vector to unit length times a learnt weight per channel."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), scale))

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, C, H, W) → the same shape."""
        # The published weights were trained with eps added to the norm, not inside its root.
        norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / norm * self.weight.view(1, -1, 1, 1)


def _conv3(c_in: int, c_out: int, *, stride: int = 1, padding: int = 1) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel_size=3, stride=stride, padding=padding)


def _conv1(c_in: int, c_out: int) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel_size=1)


class S3FD(nn.Module):
    """VGG-16 trunk with six detection heads, at strides 4 … 128. State-dict keys of s3fd.pth."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1_1, self.conv1_2 = _conv3(3, 64), _conv3(64, 64)
        self.conv2_1, self.conv2_2 = _conv3(64, 128), _conv3(128, 128)
        self.conv3_1, self.conv3_2 = _conv3(128, 256), _conv3(256, 256)
        self.conv3_3 = _conv3(256, 256)
        self.conv4_1, self.conv4_2 = _conv3(256, 512), _conv3(512, 512)
        self.conv4_3 = _conv3(512, 512)
        self.conv5_1, self.conv5_2 = _conv3(512, 512), _conv3(512, 512)
        self.conv5_3 = _conv3(512, 512)
        self.fc6, self.fc7 = _conv3(512, 1024, padding=3), _conv1(1024, 1024)
        self.conv6_1, self.conv6_2 = _conv1(1024, 256), _conv3(256, 512, stride=2)
        self.conv7_1, self.conv7_2 = _conv1(512, 128), _conv3(128, 256, stride=2)

        self.conv3_3_norm = L2Norm(256, scale=10.0)
        self.conv4_3_norm = L2Norm(512, scale=8.0)
        self.conv5_3_norm = L2Norm(512, scale=5.0)

        # Three background scores for one face score: against false alarms of the small anchors.
        self.conv3_3_norm_mbox_conf, self.conv3_3_norm_mbox_loc = _conv3(256, 4), _conv3(256, 4)
        self.conv4_3_norm_mbox_conf, self.conv4_3_norm_mbox_loc = _conv3(512, 2), _conv3(512, 4)
        self.conv5_3_norm_mbox_conf, self.conv5_3_norm_mbox_loc = _conv3(512, 2), _conv3(512, 4)
        self.fc7_mbox_conf, self.fc7_mbox_loc = _conv3(1024, 2), _conv3(1024, 4)
        self.conv6_2_mbox_conf, self.conv6_2_mbox_loc = _conv3(512, 2), _conv3(512, 4)
        self.conv7_2_mbox_conf, self.conv7_2_mbox_loc = _conv3(256, 2), _conv3(256, 4)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Raw detection maps of a batch of images.

        x: (B, 3, H, W) float, RGB minus (104, 117, 123); H and W at least 32.
        Returns 12 tensors, conf and loc of each level from the finest: conf (B, 2, h, w) logits of
        (background, face), loc (B, 4, h, w) offsets (x, y, w, h) from the anchor of each cell.
        """
        h = F.relu(self.conv1_2(F.relu(self.conv1_1(x))))
        h = F.max_pool2d(h, 2)
        h = F.relu(self.conv2_2(F.relu(self.conv2_1(h))))
        h = F.max_pool2d(h, 2)
        h = F.relu(self.conv3_3(F.relu(self.conv3_2(F.relu(self.conv3_1(h))))))
        conv3_3 = self.conv3_3_norm(h)
        h = F.max_pool2d(h, 2)
        h = F.relu(self.conv4_3(F.relu(self.conv4_2(F.relu(self.conv4_1(h))))))
        conv4_3 = self.conv4_3_norm(h)
        h = F.max_pool2d(h, 2)
        h = F.relu(self.conv5_3(F.relu(self.conv5_2(F.relu(self.conv5_1(h))))))
        conv5_3 = self.conv5_3_norm(h)
        h = F.max_pool2d(h, 2)
        fc7 = F.relu(self.fc7(F.relu(self.fc6(h))))
        conv6_2 = F.relu(self.conv6_2(F.relu(self.conv6_1(fc7))))
        conv7_2 = F.relu(self.conv7_2(F.relu(self.conv7_1(conv6_2))))

        conf = self.conv3_3_norm_mbox_conf(conv3_3)
        background = conf[:, :3].amax(dim=1, keepdim=True)
        return [
            torch.cat([background, conf[:, 3:]], dim=1), self.conv3_3_norm_mbox_loc(conv3_3),
            self.conv4_3_norm_mbox_conf(conv4_3), self.conv4_3_norm_mbox_loc(conv4_3),
            self.conv5_3_norm_mbox_conf(conv5_3), self.conv5_3_norm_mbox_loc(conv5_3),
            self.fc7_mbox_conf(fc7), self.fc7_mbox_loc(fc7),
            self.conv6_2_mbox_conf(conv6_2), self.conv6_2_mbox_loc(conv6_2),
            self.conv7_2_mbox_conf(conv7_2), self.conv7_2_mbox_loc(conv7_2),
        ]
