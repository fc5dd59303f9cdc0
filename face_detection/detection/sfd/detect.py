"""From S3FD's raw maps to boxes, and from images to boxes."""
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from face_detection.detection.sfd.bbox import decode, nms
from face_detection.detection.sfd.net_s3fd import S3FD

NMS_IOU = 0.3
MIN_SCORE = 0.5
# These are BGR means, but the published weights are used with them in this order on RGB images.
MEANS = (104.0, 117.0, 123.0)
MIN_SIDE = 32


def boxes_from_heads(heads: Sequence[Tensor]) -> list[np.ndarray]:
    """Face boxes of each image of a batch, after non-maximum suppression.

    heads: what `S3FD.forward` returns, 12 tensors: conf (B, 2, h, w) logits and loc (B, 4, h, w) of
    six levels. Returns B arrays (N, 5) float32, x1 y1 x2 y2 score in input pixels, score > 0.5,
    best first.
    """
    candidates = [_level_boxes(conf.float(), loc.float(), stride=2 ** (level + 2))
                  for level, (conf, loc) in enumerate(zip(heads[0::2], heads[1::2], strict=True))]
    images = torch.cat([image for image, _ in candidates]).cpu().numpy()
    boxes = torch.cat([box for _, box in candidates]).cpu().numpy()
    result = []
    for image in range(len(heads[0])):
        own = boxes[images == image]
        result.append(own[nms(own, NMS_IOU)])
    return result


def _level_boxes(conf: Tensor, loc: Tensor, *, stride: int) -> tuple[Tensor, Tensor]:
    """The image index (N,) and the box with its score (N, 5) of each firing anchor of one level.

    A greedy suppression never lets a weak box remove a stronger one, so weak ones can go before it.
    """
    score = torch.softmax(conf, dim=1)[:, 1]
    image, row, column = torch.nonzero(score > MIN_SCORE, as_tuple=True)
    centres = stride / 2 + torch.stack([column, row], dim=1) * float(stride)
    boxes = decode(loc[image, :, row, column], centres, anchor=4.0 * stride)
    return image, torch.cat([boxes, score[image, row, column, None]], dim=1)


def detect(network: S3FD, images: np.ndarray) -> list[np.ndarray]:
    """Boxes of equally large images (B, H, W, 3) uint8 BGR, as `boxes_from_heads` gives them."""
    device = next(network.parameters()).device
    height, width = images.shape[1:3]
    # The trunk halves the image five times: less than MIN_SIDE pixels would leave nothing.
    margin = (max(MIN_SIDE - height, 0), max(MIN_SIDE - width, 0))
    images = np.pad(images, ((0, 0), (0, margin[0]), (0, margin[1]), (0, 0)), mode="edge")
    batch = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).flip(1).float()
    batch -= torch.tensor(MEANS, device=device).view(1, 3, 1, 1)
    with torch.inference_mode():
        return boxes_from_heads(network(batch))
