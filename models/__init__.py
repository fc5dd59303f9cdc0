"""The published networks, under their published class names and state-dict keys."""
from .syncnet import SyncNet_color
from .wav2lip import Wav2Lip, Wav2Lip_disc_qual

__all__ = ["SyncNet_color", "Wav2Lip", "Wav2Lip_disc_qual"]
