"""Split a preprocessed data set into train.txt, val.txt and test.txt by speaker folder.

    python -m filelists --preprocessed_root lrs2_preprocessed/
"""
import argparse
from collections.abc import Sequence
from pathlib import Path

from errors import run_script
from filelists import find_clips, split_by_speaker, write_lists


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="filelists", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--preprocessed_root", required=True, help="folder that preprocess.py filled")
    add("--val", type=float, default=0.05, help="share of the clips (default 0.05)")
    add("--test", type=float, default=0.05, help="share of the clips (default 0.05)")
    add("--seed", type=int, default=0, help="of the order in which speakers are drawn (default 0)")
    add("--speaker_depth", type=int, default=1,
        help="how many of a clip's folders tell its speaker (default 1)")
    add("--out", default=Path(__file__).parent, type=Path,
        help="folder for the lists (default: this project's filelists/)")
    add("--force", action="store_true", help="replace lists that exist")
    args = parser.parse_args(argv)
    if not (args.val >= 0 and args.test >= 0 and args.val + args.test < 1):
        parser.error(f"--val {args.val} and --test {args.test} must leave a share for training")
    if args.speaker_depth < 1:
        parser.error("--speaker_depth must be at least 1")
    return args


def main() -> None:
    args = parse_args()
    clips = find_clips(args.preprocessed_root)
    lists = split_by_speaker(clips, {"test": args.test, "val": args.val}, seed=args.seed,
                             speaker_depth=args.speaker_depth)
    write_lists(lists, args.out, force=args.force)
    for name, names in lists.items():
        speakers = {"/".join(clip.split("/")[:args.speaker_depth]) for clip in names}
        print(f"{args.out / name}.txt: {len(names)} clips of {len(speakers)} speakers")


if __name__ == "__main__":
    run_script(main)
