"""Making the videos of a list: restartable, shared among processes, failures named and counted."""
import csv
import io
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from atomic_file import whole_file
from audio import MEL_WINDOW, load_wav, mel_window_start, melspectrogram
from distributed import Ranks
from errors import InputError
from evaluation.filelist import Pair
from face_source import FaceSource

log = logging.getLogger(__name__)

_LINES = "lines.csv"
_SETTINGS = "settings.json"
_FAILED = "failed.csv"


class LinesMade(NamedTuple):
    """How far the list of a results folder got."""

    made: int
    wanted: int


def generate(pairs: Sequence[Pair], results_dir: Path, make: Callable[[Pair, Path], None],
             ranks: Ranks, settings: Mapping[str, str] | None = None) -> None:
    """Call `make(pair, outfile)` for this rank's share of the pairs that have no result yet.

    A failure (InputError, OSError) is logged, written to failed.csv and does not stop
    the rest; another run tries it again. lines.csv says which result is of which pair.
    settings: what else the results depend on. InputError if the folder holds results of another
    list or of other settings: they would be taken for these.
    """
    results_dir.mkdir(parents=True, exist_ok=True)
    _refuse_other_results(results_dir, pairs, settings or {})
    if ranks.is_main:
        _write_lines(results_dir, pairs)
        with whole_file(results_dir / _SETTINGS) as file:
            file.write(json.dumps(dict(settings or {}), indent=1).encode())
    for pair in pairs[ranks.rank::ranks.world_size]:
        outfile = result_path(results_dir, pair)
        if outfile.exists():
            continue
        try:
            make(pair, outfile)
            log.info("%s: %s with the sound of %s", outfile.name, pair.video, pair.audio)
        except (InputError, OSError) as error:
            log.warning("%s failed: %s", outfile.name, error)
            _append_failure(results_dir, outfile.name, str(error))


def result_path(results_dir: Path, pair: Pair) -> Path:
    return results_dir / f"{pair.number}.mp4"


def finish(pairs: Sequence[Pair], results_dir: Path) -> None:
    """Print how many of how many results there are, and why each of the others is missing; exit
    code 1 if there is none. For when all ranks are done."""
    missing = [result_path(results_dir, pair).name for pair in pairs
               if not result_path(results_dir, pair).exists()]
    print(f"made {len(pairs) - len(missing)} of {len(pairs)} videos in {results_dir}")
    if missing:
        print(f"{len(missing)} missing: scores will stand for the others only")
        reasons = _failures(results_dir)
        for name in missing:
            print(f"  {name}: {reasons.get(name, 'not tried')}")
    if len(missing) == len(pairs):
        sys.exit(1)


def lines_made(results_dir: Path) -> LinesMade | None:
    """What a folder holds of the list it was made from; None if it was not made from one."""
    pairs = read_lines(results_dir)
    if pairs is None:
        return None
    return LinesMade(sum(result_path(results_dir, pair).exists() for pair in pairs), len(pairs))


def read_lines(results_dir: Path) -> list[Pair] | None:
    """The pairs that the results of a folder were made from; None if that is not known."""
    path = results_dir / _LINES
    if not path.is_file():
        return None
    with open(path, encoding="utf-8", newline="") as file:
        return [Pair(int(row["number"]), row["audio"], row["video"])
                for row in csv.DictReader(file)]


def count_windows(audio: Path, fps: float) -> int:
    """The number of video frames whose mel window lies wholly in the sound, as the paper counts.

    (`lip_sync` by itself goes on to the sound's end.) InputError if there is none.
    """
    mel_frames = melspectrogram(load_wav(audio)).shape[1]
    n = 0
    while mel_window_start(n, fps) + MEL_WINDOW <= mel_frames:
        n += 1
    if n == 0:
        raise InputError(f"{audio}: its sound is shorter than one mel window (0.2 s)")
    return n


def require_length(source: FaceSource, n_frames: int, audio: Path) -> None:
    """InputError if the source has fewer than `n_frames` frames: the paper leaves such pairs out.
    """
    available = count_frames(source, n_frames)
    if available < n_frames:
        raise InputError(f"{source.path} is shorter than the sound of {audio}: {available} of "
                         f"{n_frames} frames")


def count_frames(source: FaceSource, most: int) -> int:
    """The number of frames that can really be decoded, up to `most`; headers may be wrong."""
    return sum(1 for _ in zip(range(most), source.read()))


def _refuse_other_results(results_dir: Path, pairs: Sequence[Pair],
                          settings: Mapping[str, str]) -> None:
    known = read_lines(results_dir)
    if known is not None and known != list(pairs):
        raise InputError(f"{results_dir} holds results of another list ({len(known)} lines, this "
                         f"one has {len(pairs)}): choose another --results_dir")
    path = results_dir / _SETTINGS
    if not path.is_file():
        return
    for name, value in json.loads(path.read_text(encoding="utf-8")).items():
        if settings.get(name) != value:
            raise InputError(f"{results_dir} holds results with {name} {value}, not "
                             f"{settings.get(name)}: choose another --results_dir")


def _write_lines(results_dir: Path, pairs: Sequence[Pair]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Pair._fields)
    writer.writerows(pairs)
    with whole_file(results_dir / _LINES) as file:
        file.write(text.getvalue().encode())


def _append_failure(results_dir: Path, name: str, reason: str) -> None:
    with open(results_dir / _FAILED, "a", encoding="utf-8", newline="") as file:
        csv.writer(file).writerow([name, reason])


def _failures(results_dir: Path) -> dict[str, str]:
    """The last reason of each result that failed."""
    path = results_dir / _FAILED
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8", newline="") as file:
        return {row[0]: row[1] for row in csv.reader(file)}
