"""Scores of one video file: of the face that fills it, or of every face track in it."""
import dataclasses
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from evaluation.one_face import NoFaceError, follow_face, require_any_face
from evaluation.scores_LSE.judges import Judge
from evaluation.scores_LSE.pictures import Collage, save_offset_curve
from evaluation.scores_LSE.score_table import Row
from evaluation.scores_LSE.shots import ShotFinder
from evaluation.scores_LSE.SyncNetInstance_calc_scores import (
    FACE_SIZE, FPS, SAMPLE_RATE, SAMPLES_PER_FRAME, TooShortError, WindowFeatures, lse_of_distances,
    mean_distances)
from evaluation.scores_LSE.tracks import FaceTrack, find_tracks
from face_detection import Detector
from faces import detect_faces
from media import probe, read_audio, read_frames

log = logging.getLogger(__name__)

_LOOK_EVERY = 25    # frames, between looks for a face in a clip that is scored without finding it


@dataclass(frozen=True)
class Settings:
    """What holds for all videos of a run."""

    judge: Judge
    batch_size: int = 20            # windows a forward pass
    vshift: int = 15                # frames, the largest shift tried
    pictures: Path | None = None    # folder for an offset curve and a collage a track
    det_size: int | None = None     # pixels, long side for detection; None: the detector's own
    min_score: float | None = None  # of a detection; None: the detector's own
    min_track: int = 100            # frames
    min_face: float = 100           # pixels


def score_face_clip(path: Path, name: str, settings: Settings, detector: Detector) -> list[Row]:
    """The row of a clip that one face fills, as those of LRS2.

    SyncNet takes each frame whole; where no face is seen in it, the row's note says so. For the
    expert the face is cropped. InputError (one line) if the clip cannot be read, has no sound, no
    face to crop or fewer than six frames.
    """
    wav, note = _sound(path), _rate_note(path)
    track = None
    if not settings.judge.takes_whole_clips:
        track = FaceTrack(0, follow_face(path, detector, fps=FPS))
    scorer = _TrackScorer(Row(name, settings.judge.name, track=0, first_frame=0, note=note),
                          settings)
    face_seen = track is not None
    for i, frame in enumerate(read_frames(path, fps=FPS)):
        if track is None:
            scorer.add(cv2.resize(frame, (FACE_SIZE, FACE_SIZE)))
        elif i < track.end:
            scorer.add(settings.judge.crop(frame, track, i))
        if not face_seen and i % _LOOK_EVERY == 0:
            face_seen = len(next(detect_faces([frame], detector)).boxes) > 0
    row = scorer.row(wav)
    if not face_seen:
        # The published scripts do not look; a detector may fail on a tight crop: no reason to skip.
        log.warning("%s: no face seen in it, scored all the same", path)
        row = dataclasses.replace(row, note="; ".join(filter(None, [note, "no face seen in it"])))
    return [row]


def score_face_tracks(path: Path, name: str, settings: Settings, detector: Detector) -> list[Row]:
    """A row for each face that is followed through a shot of a real video.

    A track without enough sound has a row without a score. InputError (one line) if the video
    cannot be read, has no sound or no face that stays.
    """
    wav, note = _sound(path), _rate_note(path)
    tracks = _find_faces(path, settings, detector)
    scorers: dict[int, _TrackScorer] = {}
    rows = []
    for number, frame in enumerate(read_frames(path, fps=FPS)):
        for i, track in enumerate(tracks):
            if number == track.start:
                row = Row(name, settings.judge.name, i, track.start, note=note)
                scorers[i] = _TrackScorer(row, settings)
            if track.start <= number < track.end:
                scorers[i].add(settings.judge.crop(frame, track, number - track.start))
            if number == track.end - 1:
                sound = wav[track.start * SAMPLES_PER_FRAME:track.end * SAMPLES_PER_FRAME]
                rows.append(_row_or_reason(scorers.pop(i), sound))
    return sorted(rows, key=lambda row: row.track)


class _TrackScorer:
    """Takes the crops of one track as they come."""

    def __init__(self, row: Row, settings: Settings) -> None:
        self.unscored = row
        self._settings = settings
        self._windows = WindowFeatures(settings.judge.embed_faces, settings.batch_size)
        self._collage = Collage()

    def add(self, crop: np.ndarray) -> None:
        self._windows.add(crop)
        if self._settings.pictures:
            self._collage.add(crop)

    def row(self, wav: np.ndarray) -> Row:
        """The scores against the sound of the same time; TooShortError below six frames."""
        judge = self._settings.judge
        faces = self._windows.windows(len(wav))
        sound = judge.embed_sound(wav, len(faces), self._settings.batch_size)
        distances = mean_distances(faces, sound, self._settings.vshift,
                                   inside_only=judge.inside_only)
        lse = lse_of_distances(distances)
        row = dataclasses.replace(self.unscored, frames=self._windows.frames).scored(lse)
        if self._settings.pictures:
            self._save_pictures(row, distances)
        return row

    def _save_pictures(self, row: Row, distances: np.ndarray) -> None:
        # A video's folders become part of its pictures' names: one flat folder to look through.
        stem = f"{row.video}_{row.track}".replace("/", "_")
        folder = self._settings.pictures
        folder.mkdir(parents=True, exist_ok=True)
        title = (f"{row.video} track {row.track} ({row.network})\noffset {row.offset}, "
                 f"distance {row.lse_d:.3f}, confidence {row.lse_c:.3f}")
        save_offset_curve(folder / f"{stem}_offset.png", distances, title)
        _, png = cv2.imencode(".png", self._collage.image())
        (folder / f"{stem}_frames.png").write_bytes(png.tobytes())


def _row_or_reason(scorer: _TrackScorer, wav: np.ndarray) -> Row:
    try:
        return scorer.row(wav)
    except TooShortError as error:
        return dataclasses.replace(scorer.unscored, note=str(error))


def _sound(path: Path) -> np.ndarray:
    """int16 at 16 kHz, as SyncNet's MFCC were made from."""
    wav = read_audio(path, SAMPLE_RATE)
    # In place, as an hour of sound is 230 MB.
    wav *= 32768
    return np.clip(np.round(wav, out=wav), -32768, 32767, out=wav).astype(np.int16)


def _rate_note(path: Path) -> str:
    video = probe(path).video
    if video is None or abs(video.fps - FPS) < 0.01:
        return ""
    note = f"converted from {video.fps:g} to {FPS:g} frames a second"
    log.warning("%s: %s", path, note)
    return note


def _find_faces(path: Path, settings: Settings, detector: Detector) -> list[FaceTrack]:
    finder = ShotFinder(FPS)
    frames = finder.watch(read_frames(path, fps=FPS))
    detections = _detections(path, frames, settings, detector)
    shots = finder.shots()
    tracks = find_tracks(detections, shots, min_track=settings.min_track,
                         min_face=settings.min_face)
    if not tracks:
        require_any_face(detections)
        seen = sum(len(boxes) > 0 for boxes in detections)
        raise NoFaceError(
            f"no face of {settings.min_face:g} pixels or more stays for over {settings.min_track} "
            f"frames (a face in {seen} of {len(detections)} frames, {len(shots)} shots): "
            "try a smaller --min_track or --min_face_size")
    return tracks


def _detections(path: Path, frames: Iterator[np.ndarray], settings: Settings,
                detector: Detector) -> list[np.ndarray]:
    """The boxes (N, 5) of each frame whose score suffices."""
    det_size, min_score = settings.det_size, settings.min_score
    if det_size is None:
        video = probe(path).video
        # As published for S3FD: a quarter of the frame. The cascades need more pixels.
        det_size = round(max(video.width, video.height) / 4) if detector.name == "sfd" else 640
    if min_score is None:
        min_score = 0.9 if detector.name == "sfd" else 0.0
    return [faces.boxes[faces.boxes[:, 4] > min_score]
            for faces in detect_faces(frames, detector, det_size=det_size)]
