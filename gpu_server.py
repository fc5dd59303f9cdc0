"""The networks of one GPU in one process, for all worker processes: each with its own copy would
fill the GPU's memory."""
import threading
from collections.abc import Sequence
from multiprocessing.managers import BaseManager
from pathlib import Path

import numpy as np
import torch

from face_detection import load_detector
from sync_correction import SyncExpert
from worker_pool import CONTEXT, end_with_parent


class GpuNetworks:
    """A face detector and a lip-sync expert, used by one caller at a time."""

    def __init__(self, device: str | torch.device, detector: str | None,
                 s3fd_path: str | Path | None, expert_path: str | Path | None) -> None:
        """detector: its kind, or None for no detector; expert_path: None for no expert."""
        self._lock = threading.Lock()
        self._detector = detector and load_detector(detector, device=device, s3fd_path=s3fd_path)
        self._expert = expert_path and SyncExpert(expert_path, device)

    def detect(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As `Detector.detect`."""
        with self._lock:
            return self._detector.detect(images)

    def embed_mouths(self, windows: np.ndarray) -> np.ndarray:
        """As `Expert.embed_mouths`."""
        with self._lock:
            return self._expert.embed_mouths(windows)

    def embed_sounds(self, windows: np.ndarray) -> np.ndarray:
        """As `Expert.embed_sounds`."""
        with self._lock:
            return self._expert.embed_sounds(windows)


class _Manager(BaseManager):
    """The server process."""


_Manager.register("networks", GpuNetworks)


class GpuServer:
    """A process that holds `GpuNetworks`. It ends when this object goes, or this process.

    networks: a proxy, to be used here or handed to workers.
    """

    def __init__(self, device: str | torch.device, detector: str | None,
                 s3fd_path: str | Path | None, expert_path: str | Path | None) -> None:
        """Arguments as of `GpuNetworks`."""
        self._manager = _Manager(ctx=CONTEXT)
        self._manager.start(initializer=end_with_parent)
        self.networks = self._manager.networks(device, detector, s3fd_path, expert_path)


class RemoteDetector:
    """S3FD in a server, as a `Detector`."""

    name = "sfd"
    tracks = False

    def __init__(self, networks: GpuNetworks) -> None:
        """networks: a proxy from a `GpuServer`."""
        self.detect = networks.detect
