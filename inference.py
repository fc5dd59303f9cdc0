"""Make the face of a video or picture speak any audio: `python inference.py --help`."""
import argparse
import logging
import math
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from errors import InputError, run_script
from flag_types import positive_number, whole_number

if TYPE_CHECKING:
    from face_detection import Detector
    from face_source import FaceSource
    from faces import Place
    from generator import LipGenerator

log = logging.getLogger("inference")

_PADS = (0, 10, 0, 0)    # pixels above, below, left and right of a box, as published
CONTAINERS = (".mp4", ".mkv", ".mov", ".webm")


@dataclass(frozen=True)
class LipSyncReport:
    """What `lip_sync` made."""

    outfile: Path
    frames: int                         # written
    frames_with_face: int
    first_without_face: int | None      # number of the first output frame passed through untouched
    seconds: dict[str, float]           # busy time of each stage, and "total" as it passed
    size: int                           # bytes

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in self.seconds.items())
        missing = "" if self.first_without_face is None else (
            f"; {self.frames - self.frames_with_face} frames without a face left as they were "
            f"(first: frame {self.first_without_face})")
        return (f"{self.outfile}: {self.frames} frames, a face in {self.frames_with_face}{missing}"
                f"; {self.size / 1e6:.1f} MB\nseconds (stages overlap): {stages}")


def lip_sync(face: "str | Path | FaceSource", audio: str | Path,
             outfile: str | Path = "results/result_voice.mp4", *,
             checkpoint: "str | Path | LipGenerator" = "auto",
             static: bool = False, fps: float = 25.0, pads: Sequence[int] | None = None,
             face_det_batch_size: int = 16, wav2lip_batch_size: int = 128, resize_factor: int = 1,
             crop: Sequence[int] = (0, -1, 0, -1), box: Sequence[int] = (-1, -1, -1, -1),
             rotate: bool = False, nosmooth: bool = False,
             face_detector: "str | Detector" = "auto", s3fd_path: str | Path | None = None,
             det_size: int = 640, face_select: str = "largest", on_no_face: str = "keep",
             cache_dir: str | Path | None = None, blend: str = "feather", device: str = "auto",
             precision: str = "auto", crf: int = 18, preset: str = "veryfast",
             n_frames: int | None = None, progress: bool = False) -> LipSyncReport:
    """Write a video of `face` whose lips follow `audio`. The arguments are the script's flags.

    face: a video, a picture, or a prepared `FaceSource` (which static, fps, resize_factor, rotate
    and crop have shaped already). checkpoint, face_detector: paths and names, or a `LipGenerator`
    and a detector made once for many calls (then device, precision, batch size and s3fd_path have
    shaped those). cache_dir: None keeps no detections. n_frames: how many frames to make, by
    default as many as cover the audio. InputError, with one line, for whatever cannot be used.
    """
    # Imported here, not above: torch alone takes seconds, and --help should not.
    import audio as sound
    import media
    from detection_cache import DetectionCache
    from distributed import choose_device
    from face_detection import load_detector
    from face_source import FaceSource, open_source
    from generator import LipGenerator, own_weights
    from pipeline import Stopwatch, face_places, find_faces, render

    start, clock = time.perf_counter(), Stopwatch()
    outfile = Path(outfile)
    _check_outfile(outfile, face, audio)
    source = face if isinstance(face, FaceSource) else open_source(
        face, static=static, fps=fps, resize_factor=resize_factor, rotate=rotate, crop=crop)
    with clock("read audio"):
        wav = sound.load_wav(audio)
        if len(wav) == 0:
            raise InputError(f"{audio} holds no sound")
        mel = sound.melspectrogram(wav)
    if n_frames is None:
        n_frames = math.ceil(len(wav) * source.fps / sound.hparams.sample_rate - 1e-6)
    del wav
    target = choose_device(device)
    if checkpoint == "auto":
        checkpoint = own_weights(target)
        log.info("drawing with %s", checkpoint.name)
    generator = checkpoint if isinstance(checkpoint, LipGenerator) else LipGenerator.load(
        checkpoint, target, precision, wav2lip_batch_size)

    with media.VideoWriter(outfile, width=source.size[0], height=source.size[1], fps=source.fps,
                           audio=audio, crf=crf, preset=preset) as writer:
        if tuple(box) != (-1, -1, -1, -1):
            places = [_fixed_box(box, source.size)] * n_frames
        else:
            detector = face_detector if not isinstance(face_detector, str) else load_detector(
                face_detector, device=target, s3fd_path=s3fd_path)
            aligned = generator.hides_mouth and pads is None
            settings = (detector.name, det_size, source.fps, source.resize_factor, source.rotate,
                        source.crop, source.still is not None, aligned)
            detections = find_faces(
                source, n_frames, detector, det_size=det_size, batch_size=face_det_batch_size,
                aligned=aligned, cache=DetectionCache(cache_dir, source.path, str(settings)),
                clock=clock, progress=progress)
            places = face_places(detections, source, select=face_select,
                                 pads=_PADS if pads is None else pads, smooth=not nosmooth,
                                 aligned=aligned)
            _check_faces(places, source.path, on_no_face)
        frames = render(source, places, sound.mel_windows(mel, n_frames, source.fps), n_frames,
                        generator, blend=blend, clock=clock)
        with closing(frames):
            for frame in tqdm(frames, "lip-sync", total=n_frames, unit="frame",
                              disable=not progress):
                with clock("encode"):
                    writer.write(frame)
    with_face = [places[i % len(places)] is not None for i in range(n_frames)]
    return LipSyncReport(outfile, n_frames, sum(with_face),
                         with_face.index(False) if False in with_face else None,
                         {**clock.seconds, "total": time.perf_counter() - start},
                         outfile.stat().st_size)


def _check_outfile(outfile: Path, *inputs: object) -> None:
    if outfile.suffix.lower() not in CONTAINERS:
        raise InputError(f"--outfile {outfile}: unknown container {outfile.suffix!r}; "
                         f"end the name with one of {', '.join(CONTAINERS)}")
    for given in inputs:
        if isinstance(given, (str, Path)) and outfile.exists() and Path(given).exists() \
                and outfile.samefile(given):
            raise InputError(f"--outfile {outfile} is one of the inputs: choose another name")


def _fixed_box(box: Sequence[int], frame_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """--box (top bottom left right) as (x1, y1, x2, y2)."""
    top, bottom, left, right = box
    width, height = frame_size
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise InputError(f"--box {top} {bottom} {left} {right} (top bottom left right) is empty or "
                         f"outside the frame of {width}x{height}")
    return left, top, right, bottom


def _check_faces(places: "Sequence[Place | None]", path: Path, on_no_face: str) -> None:
    missing = [i for i, place in enumerate(places) if place is None]
    if len(missing) == len(places) or (missing and on_no_face == "error"):
        raise InputError(f"no face in {len(missing)} of {len(places)} frames of {path} (first: "
                         f"frame {missing[0]}); try another --face_detector, a larger --det_size, "
                         "--rotate or --box")
    if missing:
        log.warning("no face in %d of %d frames of %s (first: frame %d): they stay as they are",
                    len(missing), len(places), path, missing[0])


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Make the face of a video or picture speak any audio.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--checkpoint_path", default="auto",
        help="weights of the generator: .pth, TorchScript archive or .safetensors; auto: those of "
        "checkpoints/, wav2lip_full on CUDA and on a CPU that computes in bf16, else wav2lip_light")
    add("--face", required=True, help="video or picture with the face")
    add("--audio", required=True, help="any file with sound, videos included")
    add("--outfile", default="results/result_voice.mp4",
        help=f"result; its ending chooses the container: {' '.join(CONTAINERS)}")
    add("--static", type=_boolean, nargs="?", const=True, default=False,
        help="use the first video frame only")
    add("--fps", type=positive_number, default=25.0,
        help="frames per second of the result, for pictures and --static only")
    sides = "TOP", "BOTTOM", "LEFT", "RIGHT"
    add("--pads", type=int, nargs=4, metavar=sides,
        help=f"pixels added to the face box, {' '.join(map(str, _PADS))} if not given; include the "
        "chin. For the project's own weights the box is turned and moved by the face's points, "
        "unless this is given")
    add("--face_det_batch_size", type=whole_number(1), default=16,
        help="frames per detection batch")
    add("--wav2lip_batch_size", type=whole_number(1), default=128,
        help="frames per generator batch (a CPU takes at most 8)")
    add("--resize_factor", type=whole_number(1), default=1,
        help="shrink frames by this whole factor")
    add("--crop", type=int, nargs=4, default=[0, -1, 0, -1], metavar=sides,
        help="region to keep, in pixels after resize and rotate; -1 = to the end")
    add("--box", type=int, nargs=4, default=[-1, -1, -1, -1], metavar=sides,
        help="fixed face box in pixels; skips detection")
    add("--rotate", type=_boolean, nargs="?", const=True, default=False,
        help="turn frames 90 degrees clockwise (rotation noted in the file is honoured anyway)")
    add("--nosmooth", type=_boolean, nargs="?", const=True, default=False,
        help="do not average face boxes over 5 frames")
    add("--face_detector", choices=["auto", "sfd", "haar"], default="auto",
        help="auto: S3FD where its weights are, else OpenCV's cascades, which need no download")
    add("--s3fd_path", help="S3FD weights, if not at face_detection/detection/sfd/s3fd.pth")
    add("--det_size", type=whole_number(0), default=640,
        help="long side in pixels to which frames are shrunk to find faces; 0 = full size")
    add("--face_select", choices=["largest", "best", "left", "right", "center"], default="largest",
        help="whom to follow where several faces are seen")
    add("--on_no_face", choices=["keep", "error"], default="keep",
        help="frames without a face: keep them untouched, or stop before generating")
    add("--cache_dir", default=_home_cache(),
        help="where found faces are kept for the next run; '' keeps none")
    add("--blend", choices=["feather", "none"], default="feather",
        help="feather: mouth and chin, in the frame's colours and sharpness, with a soft border; "
             "none: the whole box, hard")
    add("--device", choices=["auto", "cpu", "cuda", "mps"], default="auto")
    add("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto",
        help="auto: fp16 on CUDA, bf16 on CPUs that compute in it, else fp32")
    add("--crf", type=whole_number(0), default=18,
        help="quality of the video; lower is better")
    add("--preset", default="veryfast", help="x264's speed preset")
    return parser.parse_args(argv)


def _home_cache() -> str:
    try:
        return str(Path.home() / ".cache" / "wav2lip")
    except RuntimeError:    # a container's user may have no home
        return ""


def _boolean(text: str) -> bool:
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def main() -> None:
    options = vars(parse_args())
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report = lip_sync(options.pop("face"), options.pop("audio"), options.pop("outfile"),
                      checkpoint=options.pop("checkpoint_path"),
                      cache_dir=options.pop("cache_dir") or None, progress=True, **options)
    print(report)


if __name__ == "__main__":
    run_script(main)
