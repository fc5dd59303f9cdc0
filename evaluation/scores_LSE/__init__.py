"""Lip-sync error of talking-face videos: LSE-D and LSE-C."""
