"""The clips of a preprocessed data set, split into lists for training, validation and test."""
import os
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from errors import InputError

SPLITS = ("train", "val", "test")


def find_clips(root: str | Path) -> list[str]:
    """Names, relative to a preprocessed root, of all clip folders: those with audio.wav or mel.npy.

    Sorted. Folders that preprocess.py is still making, whose names start with a dot, are left out.
    InputError if there is no such root or no clip in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of clips; make it with preprocess.py")
    found = []
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if "audio.wav" in files or "mel.npy" in files:
            subfolders.clear()
            found.append(Path(folder).relative_to(root).as_posix())
    if not found:
        raise InputError(f"{root} holds no clip (a folder with audio.wav): "
                         "make some with preprocess.py")
    return sorted(found)


def split_by_speaker(clips: Sequence[str], shares: Mapping[str, float], *, seed: int = 0,
                     speaker_depth: int = 1) -> dict[str, list[str]]:
    """Clip names by split; no speaker's clips are in two.

    clips: names, whose first `speaker_depth` folders are taken for the speaker. shares: of the
    clips for val and test; train has the rest. Speakers come in an order drawn by `seed`; each is
    given to the first of test and val that it brings nearer to its share. Every split asked for has
    one speaker at least, or InputError says that there are too few.
    """
    speakers = defaultdict(list)
    for clip in sorted(clips):
        speakers["/".join(clip.split("/")[:speaker_depth])].append(clip)
    wanted = {name: share * len(clips) for name, share in shares.items() if share > 0}
    if len(speakers) < len(wanted) + 1:
        raise InputError(
            f"{len(speakers)} speaker folders are too few for {len(wanted) + 1} lists: choose "
            "--val 0 or --test 0, or --speaker_depth 2 if speakers are one folder deeper")
    lists: dict[str, list[str]] = {name: [] for name in SPLITS}
    order = sorted(speakers)
    random.Random(seed).shuffle(order)
    for i, speaker in enumerate(order):
        own = speakers[speaker]
        # The last speakers are kept for lists that still have none.
        empty = [name for name in (*wanted, "train") if not lists[name]]
        if len(order) - i <= len(empty):
            chosen = empty[0]
        else:
            chosen = next((name for name in wanted if _comes_nearer(
                len(lists[name]), len(own), wanted[name])), "train")
        lists[chosen] += own
    return {name: sorted(names) for name, names in lists.items()}


def write_lists(lists: Mapping[str, Sequence[str]], folder: str | Path, *, force: bool) -> None:
    """Write <split>.txt, one clip a line. InputError if one exists and `force` is not given."""
    folder = Path(folder)
    paths = {folder / f"{name}.txt": names for name, names in lists.items()}
    existing = [str(path) for path in paths if path.exists()]
    if existing and not force:
        raise InputError(f"{', '.join(existing)} exist already: --force replaces them, "
                         "--out writes elsewhere")
    folder.mkdir(parents=True, exist_ok=True)
    for path, names in paths.items():
        path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _comes_nearer(have: int, more: int, target: float) -> bool:
    return abs(have + more - target) < abs(have - target)
