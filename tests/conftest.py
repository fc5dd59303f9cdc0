"""What several test files share: golden arrays, filled networks, the portrait, small media."""
import json
import signal
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

# A shell that starts the tests in the background has Ctrl-C ignored, by their scripts too.
signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def published_shapes() -> dict[str, dict[str, list[int]]]:
    """network → key → shape of the published weight files."""
    return json.loads((DATA / "state_dicts.json").read_text())


@pytest.fixture(scope="session")
def golden_networks() -> dict[str, np.ndarray]:
    """Outputs of the published networks, filled by fill_weights.py, on `uniform` inputs."""
    with np.load(DATA / "networks.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="session")
def uniform():
    """The reproducible inputs of the golden outputs, by name."""
    def draw(name: str, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        rng = np.random.RandomState(zlib.crc32(name.encode()) & 0x7FFFFFFF)
        return torch.from_numpy(rng.uniform(low, high, shape).astype(np.float32))
    return draw
