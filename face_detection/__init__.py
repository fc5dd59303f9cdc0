"""Face detection: the `FaceAlignment` API that users know, and the detectors behind it."""
from face_detection.api import Detector, FaceAlignment, LandmarksType, NetworkSize, load_detector

__all__ = ["Detector", "FaceAlignment", "LandmarksType", "NetworkSize", "load_detector"]
