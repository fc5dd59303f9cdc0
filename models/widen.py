"""A wider network that computes what a narrow one does (Net2Net; Chen, Goodfellow, Shlens 2016)."""
from typing import TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


def widen(narrow: Model, width: float, seed: int = 0) -> Model:
    """A network of `width` with the outputs of `narrow`, to train on from there.

    Its channels are copies of the narrow ones. The next layer shares a channel's weights out among
    the copies, in random parts, so that training drives them apart. ValueError unless `width` is a
    multiple of 1/16 and greater than that of `narrow`.
    """
    if width <= narrow.width:
        raise ValueError(f"width {width}: must be greater than {narrow.width}, the weights'")
    wide = type(narrow)(width)
    if getattr(narrow, "mouth_mask", None) is not None:
        wide.hide_mouth()
    rng = torch.Generator().manual_seed(seed)
    for small, large in zip(narrow.modules(), wide.modules(), strict=True):
        if not list(large.children()):
            large.load_state_dict({name: _copied(value, large.state_dict()[name].shape)
                                   for name, value in small.state_dict().items()})
        if isinstance(large, nn.Conv2d | nn.ConvTranspose2d):
            inputs = 0 if isinstance(large, nn.ConvTranspose2d) else 1
            shares = _shares(large.weight.shape[:2], inputs, small.weight.shape[inputs], rng)
            large.weight.data *= shares[:, :, None, None]
    return wide.train(narrow.training)


def _copied(value: Tensor, shape: torch.Size) -> Tensor:
    """`value` with its channels, the first two axes at most, repeated up to `shape`."""
    for axis, channels in enumerate(shape[:2]):
        value = value.index_select(axis, _sources(value.shape[axis], channels))
    return value


def _sources(narrow: int, wide: int) -> Tensor:
    """Which narrow channel each wide one copies. In order, so that a concatenation of wide layers
    copies the concatenation of the narrow ones."""
    return torch.arange(wide) * narrow // wide


def _shares(shape: torch.Size, axis: int, narrow: int, rng: torch.Generator) -> Tensor:
    """Factors of that shape, which sum to 1 over the copies of each narrow channel on `axis`."""
    draw = 0.5 + torch.rand(shape, generator=rng)
    sources = _sources(narrow, shape[axis])
    sums_shape = list(shape)
    sums_shape[axis] = narrow
    sums = torch.zeros(sums_shape).index_add(axis, sources, draw)
    return draw / sums.index_select(axis, sources)
