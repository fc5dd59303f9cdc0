"""What several test files share: golden arrays, filled networks, the portrait, small media."""
import json
import signal
import sys
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

# A shell that starts the tests in the background has Ctrl-C ignored, by their scripts too.
signal.signal(signal.SIGINT, signal.default_int_handler)

DATA = Path(__file__).parent / "data"
MESH_SIDE = 256     # pixels, of the picture that `mesh` is in the middle of


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


@pytest.fixture(scope="session")
def mesh_data() -> dict[str, np.ndarray]:
    """What MediaPipe finds in the bundled portrait, and the lines of its mesh."""
    with np.load(DATA / "face_mesh.npz") as arrays:
        return dict(arrays)


@pytest.fixture()
def mesh(mesh_data) -> np.ndarray:
    """(478, 3) MediaPipe's of the bundled portrait, in the middle of a picture of MESH_SIDE."""
    return (mesh_data["mesh"] - [224, 130, 0]) * 0.9 + [MESH_SIDE / 2, MESH_SIDE / 2, 0]


@pytest.fixture()
def mesh_lines(monkeypatch, mesh_data) -> None:
    """MediaPipe is not among the tests' packages; of it only the lines of the mesh are needed."""
    name = "mediapipe.python.solutions.face_mesh_connections"
    module = ModuleType(name)
    module.FACEMESH_TESSELATION = frozenset(map(tuple, mesh_data["tesselation"].tolist()))
    for i in range(len(name.split("."))):
        parent = ".".join(name.split(".")[:i + 1])
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    monkeypatch.setitem(sys.modules, name, module)
