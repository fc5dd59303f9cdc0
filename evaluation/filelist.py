"""Lists of sound–picture pairs in the published format, and the videos of a folder."""
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from errors import InputError
from media import VIDEO_ENDINGS


class Pair(NamedTuple):
    """One line: a result with the picture of `video` and the sound of `audio`."""

    number: int     # of the line, from 0: the result is <number>.mp4
    audio: str      # below the data root
    video: str


def read_pairs(path: str | Path, *, video_first: bool = False) -> list[Pair]:
    """The lines of a list, `audio video` or, with video_first, `video audio`; blank ones are left
    out. InputError names a list that is missing or empty and a line that has not two names."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no file list {path}: draw one with evaluation/draw_pairs.py")
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        names = line.split()
        if not names:
            continue
        if len(names) != 2:
            raise InputError(f"{path}, line {number + 1}: {line.strip()!r} has {len(names)} names; "
                             "a line is two, with a space between")
        video, audio = names if video_first else reversed(names)
        pairs.append(Pair(number, audio, video))
    if not pairs:
        raise InputError(f"{path} has no line: draw a list with evaluation/draw_pairs.py")
    return pairs


def draw_pairs(clips: Sequence[str], count: int, seed: int) -> list[Pair]:
    """`count` pairs of a random clip's sound with each clip's picture, never with its own.

    Every clip's picture is used before one is used again. The same clips (in any order), count and
    seed give the same pairs. InputError for fewer than two clips.
    """
    if len(set(clips)) < 2:
        raise InputError(f"{len(set(clips))} clip: a pair needs the sound of another clip")
    clips, rng = sorted(set(clips)), random.Random(seed)
    videos: list[str] = []
    while len(videos) < count:
        videos += rng.sample(clips, len(clips))
    pairs = []
    for number, video in enumerate(videos[:count]):
        audio = rng.choice(clips)
        while audio == video:
            audio = rng.choice(clips)
        pairs.append(Pair(number, audio, video))
    return pairs


def find_videos(root: str | Path) -> list[Path]:
    """All videos under a folder, sorted, hidden ones left out. InputError if there is none."""
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"no folder {root}: --data_root is the folder that holds the videos")
    videos = sorted(path for path in root.rglob("*")
                    if path.suffix.lower() in VIDEO_ENDINGS and path.is_file()
                    and not any(part.startswith(".") for part in path.relative_to(root).parts))
    if not videos:
        raise InputError(f"no video in {root} (endings: {' '.join(sorted(VIDEO_ENDINGS))})")
    return videos


def find_clips(root: str | Path) -> list[str]:
    """The clips of a test set below its root: .mp4 videos without their ending, as
    gen_videos_from_filelist.py takes them, or else the folders of a preprocessed set.
    InputError if there is neither."""
    root = Path(root)
    videos = sorted(root.rglob("*.mp4"))
    if videos:
        return [path.relative_to(root).with_suffix("").as_posix() for path in videos]
    folders = sorted(path.parent for path in root.rglob("audio.wav"))
    if not folders:
        raise InputError(f"no .mp4 and no preprocessed clip (a folder with audio.wav) in {root}")
    return [folder.relative_to(root).as_posix() for folder in folders]
