"""Reading and writing media: the only package that imports av; needs no ffmpeg executable."""

from media.container import VIDEO_ENDINGS, AudioInfo, MediaError, MediaInfo, VideoInfo, probe
from media.frames import read_frames
from media.picture import is_picture, read_image
from media.sound import audio_blocks, read_audio, sound_blocks
from media.writer import VideoWriter

__all__ = [
    "VIDEO_ENDINGS",
    "AudioInfo",
    "MediaError",
    "MediaInfo",
    "VideoInfo",
    "VideoWriter",
    "audio_blocks",
    "is_picture",
    "probe",
    "read_audio",
    "read_frames",
    "read_image",
    "sound_blocks",
]
