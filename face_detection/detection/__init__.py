"""Face detectors: S3FD (needs weights) and OpenCV's cascades (need nothing)."""
