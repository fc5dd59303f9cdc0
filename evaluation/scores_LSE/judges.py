"""The two networks that can judge lip-sync: SyncNet, as the paper, or this project's expert."""
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from audio import mel_windows, melspectrogram
from checkpoint import CheckpointError, load_weights
from evaluation.scores_LSE import SyncNetInstance_calc_scores as syncnet
from evaluation.scores_LSE.SyncNetModel import S
from evaluation.scores_LSE.tracks import FaceTrack, loose_crop, tight_crop
from sync_correction import SyncExpert

DEFAULT_MODEL = Path(__file__).parent / "data" / "syncnet_v2.model"


class Judge(Protocol):
    """A network that embeds mouth and sound in one space."""

    name: str
    # Whether comparisons past the clip's ends are left out; as published they meet zeros.
    inside_only: bool
    # Whether a clip that one face fills is judged by its whole frames, or the face is cropped.
    takes_whole_clips: bool

    def crop(self, frame: np.ndarray, track: FaceTrack, i: int) -> np.ndarray:
        """The face of frame `i` of a track as the network takes it: (S, S, 3) uint8 BGR."""

    def embed_faces(self, windows: np.ndarray) -> Tensor:
        """(B, 5, S, S, 3) uint8 BGR windows → (B, D) features."""

    def embed_sound(self, wav: np.ndarray, n_windows: int, batch_size: int) -> Tensor:
        """(N,) int16 at 16 kHz → (n_windows, D) features on the CPU, one for each frame."""


class SyncNetJudge:
    """SyncNet on loose 224×224 crops and MFCC: its LSE-D and LSE-C compare with the literature."""

    name = "syncnet_v2"
    inside_only = False
    takes_whole_clips = True

    def __init__(self, model: S) -> None:
        self._model = model

    def crop(self, frame: np.ndarray, track: FaceTrack, i: int) -> np.ndarray:
        return loose_crop(frame, track, i)

    def embed_faces(self, windows: np.ndarray) -> Tensor:
        return syncnet.embed_faces(self._model, windows)

    def embed_sound(self, wav: np.ndarray, n_windows: int, batch_size: int) -> Tensor:
        return syncnet.audio_features(self._model, wav, n_windows, batch_size=batch_size)


class ExpertJudge:
    """The lip-sync expert of this project on tight 96×96 crops and mel windows.

    Its features are of unit length and non-negative: distances lie in [0, √2], on another scale
    than SyncNet's. A window compared with zeros would be at distance 1, nearer than a mismatch, so
    that comparisons past the ends are left out.
    """

    name = "expert"
    inside_only = True
    takes_whole_clips = False

    def __init__(self, expert: SyncExpert) -> None:
        self._expert = expert

    def crop(self, frame: np.ndarray, track: FaceTrack, i: int) -> np.ndarray:
        return tight_crop(frame, track, i)

    def embed_faces(self, windows: np.ndarray) -> Tensor:
        return torch.from_numpy(self._expert.embed_mouths(windows))

    def embed_sound(self, wav: np.ndarray, n_windows: int, batch_size: int) -> Tensor:
        mel = melspectrogram(np.float32(wav) / 32768)
        windows = mel_windows(mel, n_windows, syncnet.FPS)
        # A batch at a time: as windows, an hour of sound is 460 MB.
        features = [self._expert.embed_sounds(np.stack(list(islice(windows, batch_size))))
                    for _ in range(0, n_windows, batch_size)]
        return torch.from_numpy(np.concatenate(features))


def load_judge(initial_model: str | Path | None, expert: str | Path | None,
               device: str | torch.device) -> Judge:
    """The expert of a checkpoint where one is given, else SyncNet of `initial_model`, by default
    DEFAULT_MODEL. CheckpointError, in one line, for a file that is missing or another network."""
    if expert is not None:
        return ExpertJudge(SyncExpert(expert, device))
    path = Path(initial_model or DEFAULT_MODEL)
    if not path.exists():
        raise CheckpointError(f"no SyncNet weights at {path}: put syncnet_v2.model there or name "
                              "it with --initial_model (evaluation/README.md says where it is), "
                              "or judge with an expert of this project: --expert <checkpoint>")
    model = S()
    try:
        model.load_state_dict(load_weights(path, "syncnet_v2"))
    except RuntimeError as error:
        raise CheckpointError(f"{path}: its layers are not those of SyncNet "
                              f"({' '.join(str(error).split())[:200]})") from None
    return SyncNetJudge(model.eval().to(device))
