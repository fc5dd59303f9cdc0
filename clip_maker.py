"""A raw video to preprocessed clip folders: one person's face crops, the sound, its spectrogram."""
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import audio
import media
from clip_record import ClipError, ClipRecord, publish
from clips import Clip
from errors import InputError
from face_detection import Detector
from faces import FrameFaces, crop_with_margin, detect_faces, search_size
from hparams import hparams
from sync_correction import SAMPLES_PER_FRAME, Expert, SyncOffset, cut_sound, measure_offset
from tracking import follow, smooth_boxes

_JPEG_QUALITY = 95
_FEWEST_CROPS = 16      # a part with fewer could not be trained on


@dataclass(frozen=True)
class Settings:
    """What decides the clips of a data set.

    det_size: pixels, long side of the frame for detection, 0 = full size. min_face: pixels, the
    shorter side of the smallest box that counts. max_seconds: longest clip, 0 = no limit.
    margin: how far crops reach beyond the box on every side, in box sides.
    min_confidence: clips whose sync offset is less certain are dropped.
    """

    det_size: int = 640
    min_face: int = 0
    max_seconds: float = 60.0
    margin: float = 0.0
    min_confidence: float = 0.0


@dataclass(frozen=True)
class MadeClips:
    """What became of one video, by clip name: the clips, all offsets measured, and why some parts
    were dropped."""

    records: dict[str, ClipRecord]
    offsets: dict[str, SyncOffset]
    dropped: dict[str, str]


class Part(NamedTuple):
    """Frames start … stop−1 of a video."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def make_clips(video: Path, source: str, folder: Path, detector: Detector, settings: Settings, *,
               batch_size: int = 32, expert: Expert | None = None) -> MadeClips:
    """Make the clip folder of one video, or `folder`_0, _1, … where it is split.

    A folder appears only when whole. The video is decoded twice, so that memory does not grow with
    its length. ClipError or MediaError if there is nothing to make, OSError if writing fails.
    """
    temp = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temp, ignore_errors=True)
    sound = audio.load_wav(video)
    info = media.probe(video).video
    if info is None:
        raise ClipError("it has no video stream")
    size = info.width, info.height
    small = media.read_frames(video, fps=hparams.fps, size=search_size(size, settings.det_size))
    found = list(detect_faces(small, detector, det_size=settings.det_size, batch_size=batch_size,
                              frame_size=size))
    boxes = _person_boxes(found, size, settings.min_face, smooth=detector.tracks)
    if np.isnan(boxes).all():
        raise ClipError("no face in any frame: see --min_face, --det_size and --face_detector")
    pieces = split(boxes, [faces.is_cut for faces in found], settings.max_seconds)
    parts = {f"{folder.name}_{i}" if len(pieces) > 1 else folder.name: part
             for i, part in enumerate(pieces)}
    crops = _write_crops(video, boxes, parts, temp, settings.margin)

    offsets, dropped = {}, {}
    for name, part in parts.items():
        first = part.start * SAMPLES_PER_FRAME
        # What the sound has beyond the last frame stays with it.
        stop = len(sound) if part.stop == len(boxes) else part.stop * SAMPLES_PER_FRAME
        try:
            if expert is not None:
                mel = audio.melspectrogram(sound[first:stop])
                offsets[name] = measure_offset(crops[name], mel, expert)
            _save_sound(crops[name].folder, sound, first, stop, offsets.get(name), settings)
        except InputError as error:
            dropped[name] = str(error)
    kept = [name for name in parts if name not in dropped]
    records = {name: ClipRecord(source, kept, parts[name].start, parts[name].length,
                                len(crops[name].frames), *offsets.get(name, ()))
               for name in kept}
    publish(records, temp, folder.parent)
    return MadeClips(records, offsets, dropped)


def split(boxes: np.ndarray, cuts: Sequence[bool], max_seconds: float) -> list[Part]:
    """The parts to keep of a video: its shots, those over `max_seconds` in equal pieces.

    boxes: (T, 4), NaN where there is no face. Parts with too few faces to train on are left out,
    unless that would leave nothing: then the whole video is one part.
    """
    starts = [0, *(i for i in range(1, len(boxes)) if cuts[i])]
    longest = max_seconds * hparams.fps or math.inf
    parts = []
    for start, stop in zip(starts, [*starts[1:], len(boxes)], strict=True):
        pieces = max(1, math.ceil((stop - start) / longest))
        edges = np.linspace(start, stop, pieces + 1).round().astype(int).tolist()
        parts += map(Part, edges, edges[1:])
    seen = ~np.isnan(boxes[:, 0])
    return [part for part in parts
            if np.count_nonzero(seen[part.start:part.stop]) >= _FEWEST_CROPS
            ] or [Part(0, len(boxes))]


def _person_boxes(found: Sequence[FrameFaces], frame_size: tuple[int, int], min_face: int, *,
                  smooth: bool) -> np.ndarray:
    """The largest person's boxes (T, 4), whole pixels within the frame, NaN where not seen.

    smooth: average over five frames, as inference does. S3FD's boxes are stored as published;
    the cascade's jump, and the generator would learn to jump with them.
    """
    large = [faces.boxes[(faces.boxes[:, 2:4] - faces.boxes[:, :2]).min(axis=1) >= min_face]
             for faces in found]
    cuts = [faces.is_cut for faces in found]
    boxes = follow(large, cuts, select="largest", frame_size=frame_size, max_gap=0)
    if smooth:
        boxes = smooth_boxes(boxes, cuts)
    width, height = frame_size
    boxes = np.clip(np.trunc(boxes), 0, [width, height, width, height])
    boxes[(boxes[:, 2:] <= boxes[:, :2]).any(axis=1)] = np.nan
    return boxes


def _write_crops(video: Path, boxes: np.ndarray, parts: dict[str, Part], temp: Path,
                 margin: float) -> dict[str, Clip]:
    """Write every part's crops into temp/<name>/; the clips, still without sound."""
    clips = {}
    for name, (start, stop) in parts.items():
        (temp / name).mkdir(parents=True)
        seen = np.flatnonzero(~np.isnan(boxes[start:stop, 0]))
        clips[name] = Clip(temp / name, seen, mel_frames=0, margin=margin)
    for number, frame in enumerate(media.read_frames(video, fps=hparams.fps)):
        if np.isnan(boxes[number, 0]):
            continue
        for name, (start, stop) in parts.items():
            if start <= number < stop:
                crop = crop_with_margin(frame, boxes[number].astype(int).tolist(), margin)
                _, jpg = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                (temp / name / f"{number - start}.jpg").write_bytes(jpg.tobytes())
    return clips


def _save_sound(folder: Path, sound: np.ndarray, first: int, stop: int, offset: SyncOffset | None,
                settings: Settings) -> None:
    """Write audio.wav and mel.npy: samples first … stop−1 of a video's sound, or with an offset
    those that fit. ClipError if there is no sound or too little certainty that it fits."""
    length = min(stop, len(sound)) - first
    if length <= 0:
        raise ClipError("the sound ends before it")
    if offset is not None:
        if offset.confidence < settings.min_confidence:
            raise ClipError("sync confidence below --min_confidence")
        first += round(offset.frames * SAMPLES_PER_FRAME)
    path = folder / "audio.wav"
    audio.save_wav(cut_sound(sound, first, length), path)
    # Of the wave as saved, so that a spectrogram made again from it is the same.
    mel = audio.melspectrogram(audio.load_wav(path))
    np.save(folder / "mel.npy", mel.astype(np.float16))
