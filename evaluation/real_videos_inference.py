"""Lip-sync real videos (ReSyncED): with other sound, with their dubbed sound, or with speech made
from text.

python evaluation/real_videos_inference.py --mode random --filelist pairs.txt --data_root videos/ \
    --results_dir results/random --checkpoint_path wav2lip_gan.pth
"""
import argparse
import sys
from itertools import islice
from pathlib import Path

# Users run this file from anywhere, also as published: cd evaluation && python …
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from errors import InputError, run_script
from evaluation import generation, generation_command
from evaluation.filelist import Pair, find_videos, read_pairs
from evaluation.generation_command import Job
from evaluation.resized_source import ResizedSource, frame_shape, largest_factor, shrink_ratio
from face_detection import Detector
from faces import detect_faces
from media import probe


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--mode", choices=["random", "dubbed", "tts"], required=True,
        help="random: pairs of a list; dubbed: each video with its own sound; tts: pairs of a "
        "list, frames repeated where the speech is longer")
    add("--filelist", type=Path,
        help="lines of `video audio` below the data root, with their endings; not for dubbed")
    add("--face_res", type=int, default=180,
        help="pixels: frames are shrunk by a whole factor that brings the face nearer to it "
        "(default: 180)")
    add("--min_frame_res", type=int, default=480,
        help="pixels: but not below this short side (default: 480)")
    add("--max_frame_res", type=int, default=720,
        help="pixels: a longer short side is shrunk to it first (default: 720)")
    generation_command.add_arguments(parser, pads=(0, 10, 0, 0), face_det_batch_size=16)
    args = parser.parse_args(argv)
    if (args.filelist is None) != (args.mode == "dubbed"):
        parser.error("--filelist is needed by --mode random and tts, and by these only")
    if min(args.face_res, args.min_frame_res, args.max_frame_res) < 1:
        parser.error("--face_res, --min_frame_res and --max_frame_res must be at least 1 pixel")
    return args


def pairs_of(args: argparse.Namespace) -> list[Pair]:
    """The lines to make; a dubbed video has its own sound."""
    if args.mode != "dubbed":
        return read_pairs(args.filelist, video_first=True)
    names = [path.relative_to(args.data_root).as_posix() for path in find_videos(args.data_root)]
    return [Pair(number, name, name) for number, name in enumerate(names)]


def open_resized(path: Path, detector: Detector, *, face_res: int, min_frame_res: int,
                 max_frame_res: int) -> ResizedSource:
    """The video at the size in which the paper's rules put it. InputError if that depends on a face
    and there is none in its first second."""
    video = probe(path).video
    if video is None:
        raise InputError(f"{path} has no video stream")
    ratio = shrink_ratio((video.width, video.height), max_frame_res)
    source = ResizedSource(path, video.fps, frame_shape((video.width, video.height), ratio, 1),
                           ratio=ratio)
    factor = 1
    if min(source.size) // 2 >= min_frame_res:
        factor = largest_factor(_face_size(source, detector), min(source.size), face_res,
                                min_frame_res)
    return ResizedSource(path, video.fps, frame_shape((video.width, video.height), ratio, factor),
                         resize_factor=factor, ratio=ratio)


def _face_size(source: ResizedSource, detector: Detector) -> float:
    """Longer side in pixels of the first face seen; InputError if the first second has none."""
    # Published: the first frame's face. A face that appears a little later serves as well.
    for found in detect_faces(islice(source.read(), round(source.fps)), detector):
        if len(found.boxes):
            x1, y1, x2, y2 = found.boxes[0, :4]
            return float(max(x2 - x1, y2 - y1))
    raise InputError(f"{source.path}: no face in its first second, by whose size it is shrunk")


def main() -> None:
    args = parse_args()

    def prepare(pair: Pair, detector: Detector) -> Job:
        audio = args.data_root / pair.audio
        source = open_resized(args.data_root / pair.video, detector, face_res=args.face_res,
                              min_frame_res=args.min_frame_res, max_frame_res=args.max_frame_res)
        n_frames = generation.count_windows(audio, source.fps)
        if args.mode == "tts":
            source = source.stretched(n_frames)
        elif args.mode == "dubbed":
            n_frames = generation.count_frames(source, n_frames)
        else:
            generation.require_length(source, n_frames, audio)
        return Job(source, audio, n_frames)

    generation_command.run(args, pairs_of(args), prepare)


if __name__ == "__main__":
    run_script(main)
