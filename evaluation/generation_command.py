"""What the two generating commands share: their flags, and one model load for all lines."""
import argparse
import hashlib
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import distributed
from evaluation import flags, generation
from evaluation.filelist import Pair
from face_detection import Detector
from face_source import FaceSource
from generator import LipGenerator
from inference import lip_sync


class Job(NamedTuple):
    """What one line asks of `lip_sync`."""

    source: FaceSource
    audio: Path
    n_frames: int


def add_arguments(parser: argparse.ArgumentParser, *, pads: Sequence[int],
                  face_det_batch_size: int) -> None:
    """The flags of both commands, with the published names and each one's defaults."""
    add = parser.add_argument
    add("--results_dir", type=Path, required=True, help="for <line number>.mp4, from 0")
    add("--data_root", type=Path, required=True, help="root of the videos and sounds")
    add("--checkpoint_path", type=Path, required=True, help="weights of the generator")
    parser.set_defaults(usual_pads=pads)
    add("--pads", type=int, nargs=4, metavar="N",
        help="pixels added to the face box: top bottom left right (default: "
        f"{' '.join(map(str, pads))}; the project's own weights align faces instead)")
    add("--face_det_batch_size", type=int, default=face_det_batch_size,
        help=f"frames (default: {face_det_batch_size})")
    add("--wav2lip_batch_size", type=int, default=128, help="frames (default: 128)")
    add("--blend", choices=["feather", "none"], default="none",
        help="none: the whole box pasted hard, as in the paper (default)")
    flags.add_detector(parser)


def run(args: argparse.Namespace, pairs: Sequence[Pair],
        prepare: Callable[[Pair, Detector], Job]) -> None:
    """Make what `prepare` says of each pair, and print what was made and what failed and why."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    # A rank's share may take hours longer than another's.
    ranks = distributed.start(args.device, timeout=timedelta(days=30))
    generator = LipGenerator.load(args.checkpoint_path, ranks.device,
                                  batch_size=args.wav2lip_batch_size)
    detector = flags.detector_of(args, ranks.device)
    pads = args.pads or (None if generator.hides_mouth else args.usual_pads)

    def make(pair: Pair, outfile: Path) -> None:
        source, audio, n_frames = prepare(pair, detector)
        lip_sync(source, audio, outfile, checkpoint=generator, face_detector=detector,
                 pads=pads, face_det_batch_size=args.face_det_batch_size, blend=args.blend,
                 n_frames=n_frames)

    generation.generate(pairs, args.results_dir, make, ranks, _settings(args, detector))
    distributed.wait_for_all()
    distributed.stop()
    if ranks.is_main:
        generation.finish(pairs, args.results_dir)


def _settings(args: argparse.Namespace, detector: Detector) -> dict[str, str]:
    """What the results depend on, apart from the list: every flag but those of place and speed."""
    without = {"filelist", "data_root", "results_dir", "checkpoint_path", "face_detector",
               "s3fd_path", "device", "face_det_batch_size", "wav2lip_batch_size"}
    with open(args.checkpoint_path, "rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    flags_given = {name: str(value) for name, value in vars(args).items() if name not in without}
    return {"weights (SHA-256)": weights, "face_detector": detector.name, **flags_given}
