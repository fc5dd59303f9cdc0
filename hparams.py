"""Audio and training hyper-parameters, under the names users know, and the lists of clips."""
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HParams:
    """The published values. The audio part is what every published weight was trained on."""

    # Audio
    num_mels: int = 80
    rescale: bool = True
    rescaling_max: float = 0.9
    use_lws: bool = False
    n_fft: int = 800                    # samples
    hop_size: int = 200                 # samples: 12.5 ms, 80 mel frames a second
    win_size: int = 800                 # samples: 50 ms
    sample_rate: int = 16000            # Hz
    frame_shift_ms: float | None = None
    signal_normalization: bool = True
    allow_clipping_in_normalization: bool = True
    symmetric_mels: bool = True
    max_abs_value: float = 4.0
    preemphasize: bool = True
    preemphasis: float = 0.97
    min_level_db: float = -100.0        # dB
    ref_level_db: float = 20.0          # dB
    fmin: float = 55.0                  # Hz
    fmax: float = 7600.0                # Hz

    # Video
    img_size: int = 96                  # pixels, side of a face crop
    fps: float = 25.0                   # frames a second of every training clip

    # Generator training
    batch_size: int = 16                # clips
    initial_learning_rate: float = 1e-4
    num_workers: int = 16
    checkpoint_interval: int = 3000     # steps
    eval_interval: int = 3000           # steps
    min_reference_offset: int = 1       # frames from a window to its reference, at least
    reference_candidates: int = 1       # windows to choose a reference from
    syncnet_wt: float = 0.0             # weight of the sync loss until evaluation switches it on
    align_reference: bool = False       # the reference's face laid on the target's, as in inference
    align_mouth: bool = False           # crops laid by the face's points, as in inference
    favor_extremes: float = 0.0         # weight of wide open and shut mouths in drawing windows
    gray_critics: bool = False          # the expert and the discriminator see faces without colour
    mouth_wt: float = 0.0               # weight of an L1 of the mouth, beside the face's; 0 = off
    hide_mouth: bool = False            # the generator does not see its reference's mouth
    mouth_shapes: bool = False          # the generator is told the mouth's shape, not the sound
    shape_noise: float = 0.0            # standard deviation of noise on these shapes
    mouth_lead: int = 0                 # frames that the data's mouths are ahead of their sound
    sample_frames: int = 5              # frames to learn from in a window; the expert needs 5
    disc_wt: float = 0.07               # weight of the visual-quality loss
    feature_wt: float = 0.0             # weight of the discriminator's features beside it; 0 = off
    shape_wt: float = 0.01              # weight of the loss by --shape_expert_checkpoint_path
    disc_initial_learning_rate: float = 1e-4
    eval_batches: int = 700
    hq_eval_batches: int = 300          # the same for hq_wav2lip_train.py
    sync_loss_target: float = 0.75      # evaluation loss under which the sync weight is switched on
    syncnet_wt_on: float = 0.01         # … to this value
    hq_syncnet_wt_on: float = 0.03      # … to this one in hq_wav2lip_train.py

    # Expert training
    syncnet_batch_size: int = 64        # windows
    syncnet_lr: float = 1e-4
    syncnet_eval_interval: int = 10000  # steps
    syncnet_checkpoint_interval: int = 10000  # steps
    syncnet_eval_batches: int = 1400
    min_negative_offset: int = 1        # frames from a window to a wrong one of its clip, at least
    cross_clip_negatives: float = 0.0   # share of the wrong windows that come from another clip
    grouped_clips: int = 24             # clips in a batch of --warm_start_steps and --all_pairs
    grouped_windows: int = 4            # windows of each
    warm_start_lr: float = 1e-3
    warm_start_temperature: float = 0.07

    # All training; 0 = off, the paper's recipe
    lr_warmup_steps: int = 0            # steps over which the learning rate rises from 0
    lr_decay_steps: int = 0             # step by which it has fallen to 0, along a cosine
    weight_decay: float = 0.0           # decoupled, as in AdamW
    grad_clip: float = 0.0              # greatest gradient norm

    # Augmentation, alike for all crops of a sample; 0 = off, the paper's recipe
    flip: float = 0.0                   # probability of left for right
    color_jitter: float = 0.0           # relative spread of brightness, contrast, tint, saturation
    gray: float = 0.0                   # probability of no colour
    backdrop: float = 0.0               # the same spread, drawn again, for what surrounds the face
    shade: float = 0.0                  # relative rise of brightness towards one side, at most
    blur: float = 0.0                   # probability of a blur
    jpeg: float = 0.0                   # probability of strong JPEG compression
    box_jitter: float = 0.0             # shift and growth of the box, in box sides, at most
    box_growth: float = 0.0             # of its width and of its height, beyond that, at most
    rotation: float = 0.0               # degrees, at most, either way
    warp: float = 0.0                   # standard deviation of a bend of the face, in box sides
    turn: float = 0.0                   # move of a face's middle, quarters of a box side, at most
    smile: float = 0.0                  # widening of every other mouth, relative, at most
    lipstick: float = 0.0               # probability of another colour on the lips
    cover_mouth: float = 0.0            # probability of a patch on the reference's mouth
    occlude: float = 0.0                # probability of a thing before chin or cheek
    move_chin: float = 0.0              # up or down, of the reference's, in box sides, at most
    mel_gain: float = 0.0               # dB, at most, louder or softer
    mel_eq: float = 0.0                 # dB, at most, of each wave of an equaliser
    mel_warp: float = 0.0               # relative stretch of the frequency axis, at most
    mel_mask: int = 0                   # mel channels, at most, of a silenced band
    spoken: float = 0.5                 # share of the samples that --spoken_root gives
    silence: float = 0.0                # probability of no speech and a shut mouth (mouth shapes)
    mel_noise: float = 0.0              # standard deviation, at most, of noise on the mel

    def override(self, assignments: str) -> "HParams":
        """A copy with "name=value,name=value" applied; ValueError names an unknown or bad one."""
        types = {field.name: field.type for field in dataclasses.fields(self)}
        values = {}
        for assignment in filter(None, (part.strip() for part in assignments.split(","))):
            name, equals, text = (part.strip() for part in assignment.partition("="))
            if not equals or name not in types:
                raise ValueError(f"hparams: {assignment!r} is not name=value with one of the names "
                                 f"{', '.join(types)}")
            values[name] = _parse(name, text, types[name])
        return dataclasses.replace(self, **values)


def _parse(name: str, text: str, type_: type) -> object:
    if type_ is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(f"hparams: {name}={text!r} is not True or False")
        return text.lower() in ("true", "1")
    number = int if type_ is int else float
    try:
        value = number(text)
    except ValueError:
        raise ValueError(f"hparams: {name}={text!r} is not of type {number.__name__}") from None
    if not math.isfinite(value):
        raise ValueError(f"hparams: {name}={text!r} is not finite")
    # What counts things is 1 or more, but for what 0 switches off.
    least = 0 if name == "num_workers" else min(1, getattr(HParams, name))
    if type_ is int and value < least:
        raise ValueError(f"hparams: {name}={text!r} is below {least}")
    return value


hparams = HParams()


def get_image_list(data_root: str | Path, split: str,
                   filelist_root: str | Path | None = None) -> list[str]:
    """The clip folders `<data_root>/<line>` that `filelists/<split>.txt` names.

    Whatever stands after a space in a line is ignored (LRS2's lists carry a flag there).
    filelist_root: folder of the lists, by default `filelists/` beside this file.
    FileNotFoundError where the list is missing.
    """
    root = Path(filelist_root) if filelist_root else Path(__file__).parent / "filelists"
    path = root / f"{split}.txt"
    if not path.is_file():
        raise FileNotFoundError(f"no list {path}: make one with python -m filelists, "
                                "or copy the data set's own list there")
    lines = path.read_text(encoding="utf-8").splitlines()
    return [str(Path(data_root) / line.split()[0]) for line in lines if line.strip()]
