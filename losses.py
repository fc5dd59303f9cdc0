"""The losses of the paper, each under its name in the published scripts. Always in float32."""
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.conv import lower_half

# Where a speaking face moves, in crop sides: from under the nose to the chin, between the cheeks.
_MOUTH_ROWS = (0.55, 0.92)
_MOUTH_COLUMNS = (0.22, 0.78)


def cosine_loss(a: Tensor, v: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy of the cosine of sound and mouth embeddings (paper, Eq. 1–2).

    a, v: (B, D) unit vectors, non-negative, so that the cosine is a probability of being in sync.
    y: (B, 1) 1 where they belong together, 0 where not.
    """
    cosine = F.cosine_similarity(a.float(), v.float())
    # Rounding can bring the cosine of two unit vectors a hair above 1, which BCE refuses.
    return _bce(cosine.clamp(0, 1).unsqueeze(1), y)


def contrastive_loss(a: Tensor, v: Tensor, temperature: float, group: int) -> Tensor:
    """Cross-entropy of finding each sound's mouth, and each mouth's sound, in its group (InfoNCE).

    The group's mean is taken from all its embeddings first: what the windows of a clip have in
    common, voice and face, hides at the start what they differ in, and training would not begin.
    a, v: (C·group, D) unit vectors, row i of both of the same moment, a group in a row.
    """
    a, v = (x.float().unflatten(0, (-1, group)) for x in (a, v))
    a, v = (F.normalize(x - x.mean(1, keepdim=True), dim=2) for x in (a, v))
    by_sound = (a @ v.transpose(1, 2) / temperature).flatten(0, 1)
    own = torch.arange(group, device=a.device).repeat(len(a))
    by_mouth = (v @ a.transpose(1, 2) / temperature).flatten(0, 1)
    return (F.cross_entropy(by_sound, own) + F.cross_entropy(by_mouth, own)) / 2


def all_pairs_loss(a: Tensor, v: Tensor, group: int) -> Tensor:
    """`cosine_loss` over all pairs of a sound and a mouth of the same group, where the matching
    pairs together weigh as much as the mismatched: what the recipe draws one pair at a time.

    a, v, group: as `contrastive_loss`.
    """
    a, v = (x.float().unflatten(0, (-1, group)) for x in (a, v))
    cosine = (a @ v.transpose(1, 2)).clamp(0, 1)
    own = torch.eye(group, dtype=torch.bool, device=a.device).expand_as(cosine)
    matched, mismatched = cosine[own], cosine[~own]
    return (_bce(matched, torch.ones_like(matched))
            + _bce(mismatched, torch.zeros_like(mismatched))) / 2


def get_sync_loss(syncnet: nn.Module, mel: Tensor, g: Tensor) -> Tensor:
    """The frozen expert's loss on generated faces against the label "in sync" (paper, Eq. 5).

    mel: (B, 1, 80, 16) mel window of the 5 frames. g: (B, 3, 5, 96, 96), BGR in [0, 1].
    """
    a, v = syncnet(mel, stack_mouths(g))
    return cosine_loss(a, v, torch.ones(len(a), 1, device=a.device))


def in_gray(faces: Tensor) -> Tensor:
    """(B, 3, …) faces with the mean of their channels in all three; not in the paper.

    A generator that is short of data pleases the expert and the discriminator with coloured spots
    where lips should move. They do not see those in gray faces; and by the plain mean, not by
    brightness as an eye weighs it, what they ask for is gray too: green weighs most to the eye,
    and lips would be darkened by taking green away alone, to purple.
    """
    return faces.mean(1, keepdim=True).expand_as(faces)


def stack_mouths(faces: Tensor) -> Tensor:
    """(B, 3, T, H, W) faces → (B, 3·T, H/2, W): lower halves stacked on channels, frame by frame,
    as the expert takes them."""
    return lower_half(faces).transpose(1, 2).flatten(1, 2)


def recon_loss(g: Tensor, gt: Tensor) -> Tensor:
    """L1 between generated and real faces (paper, Eq. 3)."""
    return F.l1_loss(g.float(), gt.float())


def mouth_loss(g: Tensor, gt: Tensor) -> Tensor:
    """L1 between the mouths alone of generated and real faces (…, H, W); not in the paper."""
    rows, columns = (slice(*(round(side * end) for end in ends)) for side, ends
                     in zip(g.shape[-2:], (_MOUTH_ROWS, _MOUTH_COLUMNS), strict=True))
    return recon_loss(g[..., rows, columns], gt[..., rows, columns])


def feature_loss(drawn: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """L1 between what the discriminator's layers see in drawn and real mouths, each by the mean
    size of what it sees in the real ones (Wang et al., pix2pixHD, 2018); not in the paper."""
    return torch.stack([recon_loss(d, r) / r.float().abs().mean()
                        for d, r in zip(drawn, real, strict=True)]).mean()


def shape_loss(told: Tensor, shapes: Tensor) -> Tensor:
    """Mean square error (…, 7) of mouth shapes, in standard deviations of each part; not in the
    paper."""
    return F.mse_loss(told.float(), shapes.float())


def real_fake_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: BCE of real faces against 1 plus of generated ones against 0
    (paper, Eq. 8). real, fake: (N, 1) probabilities."""
    return _bce(real, torch.ones_like(real)) + _bce(fake, torch.zeros_like(fake))


def _bce(probability: Tensor, label: Tensor) -> Tensor:
    """Binary cross-entropy; autocast, which refuses it on CUDA, is suspended."""
    with torch.autocast(probability.device.type, enabled=False):
        probability = probability.float()
        loss = F.binary_cross_entropy(probability.nan_to_num(), label.float())
        # BCE refuses NaN; passed on, training reports it with the step and the samples.
        return loss + 0 * probability.sum()
