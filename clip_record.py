"""clip.json: what a preprocessed clip was made of. It tells whether a video is finished."""
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from errors import InputError

_FILE = "clip.json"


class ClipError(InputError):
    """A video that gives no clip; the message does not name it."""


@dataclass(frozen=True)
class ClipRecord:
    """What is known of a clip.

    source: the video, relative to the data root. clips: names of all clips made of it.
    first_frame: of this clip in the video at 25 fps. frames, faces: how many, and with a crop.
    offset: frames by which the sound was late and has been moved back; None = not measured.
    """

    source: str
    clips: list[str]
    first_frame: int
    frames: int
    faces: int
    offset: float | None = None
    confidence: float | None = None


def publish(records: Mapping[str, ClipRecord], temp: Path, parent: Path) -> None:
    """Move the whole clip folders temp/<name> of one video to parent/<name>, and remove `temp`.

    ClipError if another video's clip has such a name."""
    for name, record in records.items():
        if (parent / name).exists():
            raise ClipError(f"its clip {name} would replace that of another video: rename one")
        text = json.dumps(asdict(record)) + "\n"
        (temp / name / _FILE).write_text(text, encoding="utf-8")
    for name in records:
        os.rename(temp / name, parent / name)
    shutil.rmtree(temp)


def finished_clips(folder: Path, source: str) -> dict[str, ClipRecord] | None:
    """The clips `folder` or `folder`_0, … that an earlier run made of a source, by name; None, with
    half a set of parts removed, if it has still to be made. Empty for a folder that another program
    made: it is left as it is. ClipError if a record is damaged."""
    if folder.is_dir():
        record = read_record(folder)
        return {folder.name: record} if record else {}
    parts = {path.name: record for path in _numbered(folder)
             if (record := read_record(path)) and record.source == source}
    if parts and all(set(record.clips) == parts.keys() for record in parts.values()):
        return parts
    for name in parts:
        shutil.rmtree(folder.with_name(name))
    return None


def _numbered(folder: Path) -> Iterator[Path]:
    """Folders beside `folder` named as its parts would be."""
    pattern = re.compile(re.escape(folder.name) + r"_\d+")
    if folder.parent.is_dir():
        yield from (path for path in sorted(folder.parent.iterdir())
                    if pattern.fullmatch(path.name))


def read_record(folder: Path) -> ClipRecord | None:
    """What clip.json says; None in a folder that another program made."""
    path = folder / _FILE
    if not path.is_file():
        return None
    try:
        return ClipRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ClipError(f"{path} is damaged ({error}): delete its folder") from None


def crop_margin(data_root: str | Path) -> float:
    """The `margin` that preprocess.py noted in preprocess.json; 0, the published crop, without."""
    path = Path(data_root) / "preprocess.json"
    if not path.is_file():
        return 0.0
    try:
        return float(json.loads(path.read_text(encoding="utf-8")).get("margin", 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): run preprocess.py again") from None
