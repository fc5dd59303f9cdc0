"""What the two scoring commands share: their flags, and the loop over the videos of a folder."""
import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from distributed import choose_device
from errors import InputError
from evaluation import flags
from evaluation.filelist import find_videos
from evaluation.generation import lines_made
from evaluation.scores_LSE.judges import load_judge
from evaluation.scores_LSE.score_table import Row, ScoreTable, summary
from evaluation.scores_LSE.scoring import Settings

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of both commands, with the published names and defaults."""
    parser.add_argument("--data_root", type=Path, required=True,
                        help="folder of videos, searched with its subfolders")
    parser.add_argument("--initial_model", type=Path,
                        help="syncnet_v2.model (default: data/ beside this script)")
    parser.add_argument("--expert", type=Path, metavar="CHECKPOINT",
                        help="judge with this project's expert instead of SyncNet; its numbers "
                        "compare only with others of the same expert")
    parser.add_argument("--batch_size", type=int, default=20, help="windows at once (default: 20)")
    parser.add_argument("--vshift", type=int, default=15,
                        help="largest shift of the sound tried, in frames (default: 15)")
    parser.add_argument("--results_dir", type=Path, default=Path("."),
                        help="folder for scores.csv and all_scores.txt (default: this one)")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER",
                        help="also draw an offset curve and a collage for each track, there")
    flags.add_detector(parser)


def settings_from(args: argparse.Namespace, **more: object) -> Settings:
    """The settings of the flags, the judge loaded. InputError for a flag that cannot be."""
    if args.batch_size < 1 or args.vshift < 1:
        raise InputError(f"--batch_size {args.batch_size} --vshift {args.vshift}: "
                         "both must be at least 1")
    judge = load_judge(args.initial_model, args.expert, choose_device(args.device))
    return Settings(judge, args.batch_size, args.vshift, args.pictures, **more)


def score_folder(args: argparse.Namespace, network: str,
                 score: Callable[[Path, str], Sequence[Row]]) -> None:
    """Score every video under --data_root and print the summary. InputError if there is no video,
    exit code 1 where none could be scored."""
    videos = find_videos(args.data_root)
    with ScoreTable(args.results_dir) as table:
        for path in tqdm(videos, unit="video", disable=not sys.stderr.isatty()):
            name = path.relative_to(args.data_root).as_posix()
            try:
                rows = score(path, name)
            except (InputError, OSError) as error:
                log.warning("%s", error if str(path) in str(error) else f"{path}: {error}")
                rows = [Row(name, network, note=str(error))]
            for row in rows:
                table.add(row)
    print(summary(table.rows))
    made = lines_made(args.data_root)
    if made:
        print(f"these videos are {made.made} of the {made.wanted} that the file list asks for")
    if all(row.offset is None for row in table.rows):
        sys.exit(1)
