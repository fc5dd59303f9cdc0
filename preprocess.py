"""Make a training data set of raw videos: face crops at 25 fps, 16 kHz sound, spectrograms.

    python preprocess.py --data_root data_root/main --preprocessed_root lrs2_preprocessed/
    torchrun --nproc_per_node 4 preprocess.py …          each process takes its share of the videos

Can be stopped and started again at any time: finished clips are skipped, failed ones tried again.
"""
import argparse
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import cv2
import torch
from tqdm import tqdm

from atomic_file import whole_file
from clip_maker import MadeClips, Settings, make_clips
from clip_record import ClipRecord, finished_clips
from distributed import choose_device
from errors import InputError, run_script
from face_detection import load_detector
from flag_types import finite_number, whole_number
from gpu_server import GpuNetworks, GpuServer, RemoteDetector
from hparams import hparams
from line_table import LineTable
from media import VIDEO_ENDINGS
from sync_correction import CSV_HEADER, MIN_CONFIDENCE, SyncExpert, csv_fields
from worker_pool import run_tasks

log = logging.getLogger("preprocess")


@dataclass(frozen=True)
class Source:
    """A video and the clip folder to make of it. name: relative to the data root."""

    video: Path
    name: str
    folder: Path
    size: int       # bytes

    def clip(self, root: Path, name: str | None = None) -> str:
        """The clip's name in lists: its folder, or that of its part `name`, relative to `root`."""
        return self.folder.with_name(name or self.folder.name).relative_to(root).as_posix()


@dataclass
class Report:
    """What a run found and made."""

    records: dict[str, ClipRecord] = field(default_factory=dict)    # by clip
    failures: dict[str, str] = field(default_factory=dict)          # video or clip → reason
    finished: set[str] = field(default_factory=set)                 # videos, as clip names
    skipped: int = 0                                                # videos finished before

    def add(self, source: Source, clips: dict[str, ClipRecord], root: Path) -> None:
        self.finished.add(source.clip(root))
        self.records |= {source.clip(root, name): record for name, record in clips.items()}

    def __str__(self) -> str:
        frames = sum(record.frames for record in self.records.values())
        faces = sum(record.faces for record in self.records.values())
        lines = [f"{len(self.records)} clips, {frames} frames, "
                 f"{faces / max(frames, 1):.1%} with a face, "
                 f"{frames / hparams.fps / 3600:.2f} hours "
                 f"({self.skipped} videos were finished before)"]
        counts = Counter(self.failures.values())
        lines += [f"failed: {count} {reason}" for reason, count in counts.most_common()]
        return "\n".join(lines)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data_root", required=True, type=Path, help="folder of videos, any depth: LRS2's main/")
    add("--preprocessed_root", required=True, type=Path, help="folder of the clips, made if needed")
    add("--ngpu", type=whole_number(1), default=1,
        help="GPUs to use; under torchrun one a process (default 1)")
    add("--batch_size", type=whole_number(1), default=32,
        help="frames a detection batch (default 32)")
    add("--workers", type=whole_number(1), help="worker processes (default: one a CPU core)")
    add("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    add("--face_detector", default="auto", choices=["auto", "sfd", "haar"],
        help="auto = S3FD where its weights are, else OpenCV's cascades (default auto)")
    add("--s3fd_path", help="S3FD weights (default face_detection/detection/sfd/s3fd.pth)")
    add("--det_size", type=whole_number(0), default=640,
        help="long side in pixels to which frames are shrunk for detection, 0 = not (default 640)")
    add("--min_face", type=whole_number(0), default=0,
        help="smallest face, in pixels (default 0: any)")
    add("--max_seconds", type=finite_number(0), default=60.0,
        help="longer shots are split; 0 = never (default 60)")
    add("--margin", type=finite_number(0), default=0.0,
        help="enlarge crops by this share of the box on every side, for box_jitter in training "
        "(default 0: the published crops)")
    add("--sync_correct", metavar="EXPERT",
        help="expert checkpoint: measure each clip's sync offset and move its sound by it")
    add("--min_confidence", type=finite_number(-1), default=MIN_CONFIDENCE,
        help=f"with --sync_correct, drop less certain clips (cosine, default {MIN_CONFIDENCE})")
    return parser.parse_args(argv)


def find_videos(data_root: Path, preprocessed_root: Path, report: Report) -> list[Source]:
    """All videos under a folder, largest first; two that would make the same clip are failures.

    White space and commas in names become "_", as they would break lists of clips.
    """
    if not data_root.is_dir():
        raise InputError(f"--data_root {data_root}: no such folder")
    sources: dict[Path, list[Source]] = {}
    for parent, _, files in os.walk(data_root, followlinks=True):
        for file in files:
            video = Path(parent, file)
            if video.suffix.lower() not in VIDEO_ENDINGS or file.startswith("."):
                continue
            name = video.relative_to(data_root).as_posix()
            stem = Path(name).with_name(video.stem).as_posix()
            folder = preprocessed_root / re.sub(r"[\s,]", "_", stem)
            size = video.stat().st_size if video.exists() else 0    # else a broken link
            sources.setdefault(folder, []).append(Source(video, name, folder, size))
    if not sources:
        raise InputError(f"--data_root {data_root} holds no video "
                         f"({' '.join(sorted(VIDEO_ENDINGS))})")
    for folder, same in sources.items():
        for source in sorted(same, key=lambda s: s.name)[1:]:
            same.remove(source)
            report.failures[source.name] = "another video has the same name but for its ending"
    return sorted((same[0] for same in sources.values()), key=lambda s: (-s.size, s.name))


def note_settings(root: Path, settings: dict[str, object]) -> None:
    """Write preprocess.json, or InputError if the root was begun with other settings."""
    path = root / "preprocess.json"
    if path.is_file():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is damaged ({error}): delete it if the settings are the "
                             "same as before") from None
        changed = [f"{name} {before.get(name)} (now {value})"
                   for name, value in settings.items() if before.get(name) != value]
        if changed:
            raise InputError(f"{root} was made with {', '.join(changed)}: use the same settings or "
                             "another --preprocessed_root")
        return
    with whole_file(path) as file:
        file.write((json.dumps(settings, indent=1) + "\n").encode("utf-8"))


def start_gpu_servers(args: argparse.Namespace, detector: str, local_rank: int,
                      world_size: int) -> list[GpuServer]:
    """One a GPU; none where all work is the CPU's."""
    device = choose_device(args.device, local_rank)
    kind = detector if detector == "sfd" else None
    if device.type == "cpu" or not (kind or args.sync_correct):
        return []
    devices = [str(device)]
    if device.type == "cuda" and world_size == 1:
        if args.ngpu > torch.cuda.device_count():
            raise InputError(f"--ngpu {args.ngpu}: PyTorch sees {torch.cuda.device_count()} GPUs")
        devices = [f"cuda:{i}" for i in range(args.ngpu)]
    return [GpuServer(name, kind, args.s3fd_path, args.sync_correct) for name in devices]


def make_job(args: argparse.Namespace, settings: Settings, detector_kind: str,
             gpus: list[GpuNetworks], threads: int, number: int) -> Callable[[Source], MadeClips]:
    """What worker `number` does with each video."""
    cv2.setNumThreads(1)
    torch.set_num_threads(threads)
    networks = gpus[number % len(gpus)] if gpus else None
    if networks and detector_kind == "sfd":
        detector = RemoteDetector(networks)
    else:
        detector = load_detector(detector_kind, s3fd_path=args.s3fd_path)
    expert = None
    if args.sync_correct:
        expert = networks or SyncExpert(args.sync_correct)

    def job(source: Source) -> MadeClips:
        return make_clips(source.video, source.name, source.folder, detector, settings,
                          batch_size=args.batch_size, expert=expert)
    return job


def failure_reason(error: InputError, video: Path) -> str:
    """The error without the video's name, so that equal reasons can be counted."""
    message = " ".join(str(error).split())
    return message.removeprefix(f"{video} ").replace(str(video), "it")


def unfinished(videos: Sequence[Source], root: Path, report: Report) -> list[Source]:
    """The videos still to be made; what is there of the others goes into the report."""
    todo = []
    for source in tqdm(videos, "looking for finished clips", unit="video", leave=False):
        clips = finished_clips(source.folder, source.name)
        if clips is None:
            todo.append(source)
        else:
            report.add(source, clips, root)
            report.skipped += 1
    return todo


def main() -> None:
    args = parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rank, world_size, local_rank, local_world_size = (
        int(os.environ.get(name, default)) for name, default in (
            ("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0), ("LOCAL_WORLD_SIZE", 1)))
    root, report = args.preprocessed_root, Report()

    # What can be wrong is said before any work, and once, not by every worker
    sources = find_videos(args.data_root, root, report)
    detector = load_detector(args.face_detector, s3fd_path=args.s3fd_path).name
    if args.sync_correct:
        SyncExpert(args.sync_correct)
    settings = Settings(args.det_size, args.min_face, args.max_seconds, args.margin,
                        args.min_confidence)
    note_settings(root, {"fps": hparams.fps, "detector": detector, **asdict(settings),
                         "sync_correct": args.sync_correct and Path(args.sync_correct).name})
    servers = start_gpu_servers(args, detector, local_rank, world_size)

    # Sorted by size, so that each process gets as much work
    todo = unfinished(sources[rank::world_size], root, report)
    cores = max(1, (os.cpu_count() or 1) // local_world_size)
    n_workers = min(args.workers or cores, len(todo))
    job = partial(make_job, args, settings, detector, [server.networks for server in servers],
                  max(1, cores // max(n_workers, 1)))
    failed = LineTable(root / "failed.txt", ": ")
    offsets = LineTable(root / "offsets.csv", ",", CSV_HEADER)
    for name, reason in report.failures.items():
        failed.add(name, reason)
    for source, result in tqdm(run_tasks(job, todo, n_workers), "clips", len(todo), unit="video"):
        if isinstance(result, OSError):
            raise InputError(f"cannot write the clips of {source.name}: {result}")
        if isinstance(result, InputError):
            report.failures[source.clip(root)] = reason = failure_reason(result, source.video)
            failed.add(source.clip(root), reason)
            continue
        report.add(source, result.records, root)
        for name, offset in result.offsets.items():
            offsets.add(source.clip(root, name), csv_fields(offset, args.min_confidence))
        for name, reason in result.dropped.items():
            report.failures[source.clip(root, name)] = reason
            failed.add(source.clip(root, name), reason)
    failed.tidy(keep=lambda name: name not in report.finished | report.records.keys())
    offsets.tidy(keep=lambda name: True)
    print(report)
    # torchrun would end all processes when one fails, and others may have clips.
    if todo and not report.records and world_size == 1:
        raise InputError(f"no clip could be made: {failed.path} says why")


if __name__ == "__main__":
    run_script(main)
