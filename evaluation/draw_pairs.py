"""Draw a list of sound–picture pairs of a test set at random, as the paper's lists are.

python evaluation/draw_pairs.py --data_root data_root/main --output test_pairs.txt
"""
import argparse
import sys
from pathlib import Path

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from errors import InputError, run_script
from evaluation.filelist import draw_pairs, find_clips, find_videos
from hparams import get_image_list


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data_root", type=Path, required=True,
                        help="root of the test set, videos or preprocessed")
    parser.add_argument("--output", type=Path, required=True, help="the list to write")
    parser.add_argument("--split", metavar="NAME",
                        help="draw from the clips that filelists/NAME.txt names only")
    parser.add_argument("--filelist_root", type=Path, help="folder of that list, if another")
    parser.add_argument("--kind", choices=["clips", "real_videos"], default="clips",
                        help="clips (default): lines of `audio video` without endings, for "
                        "gen_videos_from_filelist.py; real_videos: `video audio` of videos of any "
                        "format, with endings, for real_videos_inference.py")
    parser.add_argument("--count", type=int, help="pairs to draw (default: one for each clip)")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    args = parser.parse_args(argv)
    if args.count is not None and args.count < 1:
        parser.error(f"--count {args.count}: must be at least 1")
    if args.split and args.kind == "real_videos":
        parser.error("--split names clips without their endings: --kind real_videos cannot use it")
    return args


def choose_clips(args: argparse.Namespace) -> list[str]:
    """The names that the flags ask to be paired, below the data root. InputError if there is none,
    or one that a list cannot hold."""
    if args.kind == "real_videos":
        clips = [path.relative_to(args.data_root).as_posix()
                 for path in find_videos(args.data_root)]
    elif args.split:
        try:
            folders = get_image_list(args.data_root, args.split, args.filelist_root)
        except FileNotFoundError as error:
            raise InputError(str(error)) from None
        clips = [Path(folder).relative_to(args.data_root).as_posix() for folder in folders]
    else:
        clips = find_clips(args.data_root)
    for clip in clips:
        if len(clip.split()) != 1:
            raise InputError(f"{args.data_root / clip}: a line of a list is two names with a space "
                             "between: rename what has a space")
    return clips


def main() -> None:
    args = parse_args()
    clips = choose_clips(args)
    pairs = draw_pairs(clips, args.count or len(clips), args.seed)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    line = "{0.video} {0.audio}\n" if args.kind == "real_videos" else "{0.audio} {0.video}\n"
    args.output.write_text("".join(map(line.format, pairs)), encoding="utf-8")
    print(f"{args.output}: {len(pairs)} pairs of {len(clips)} clips, seed {args.seed}")


if __name__ == "__main__":
    run_script(main)
