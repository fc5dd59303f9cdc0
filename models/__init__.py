"""The published networks, under their published class names and state-dict keys, and those that
learn to draw a mouth's shape, to see it and to hear it, and to find a face's points."""
from .points import FacePoints
from .shapes import ShapeExpert, ShapeWav2Lip, SoundToShape, hearing
from .syncnet import SyncNet_color
from .wav2lip import Wav2Lip, Wav2Lip_disc_qual

__all__ = ["FacePoints", "ShapeExpert", "ShapeWav2Lip", "SoundToShape", "SyncNet_color", "Wav2Lip",
           "Wav2Lip_disc_qual", "hearing"]
