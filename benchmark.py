"""Speed and memory, measured side by side in one run: `python benchmark.py NAME`.

Absolute times belong to one machine and one moment; the ratios are what to compare.
"""
import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

import audio
import media
from clips import check_clips
from dataset import Wav2LipDataset
from distributed import choose_device
from face_detection import load_detector
from face_source import open_source
from faces import detect_faces, search_size
from generator import CHECKPOINTS, LipGenerator
from inference import lip_sync
from models import Wav2Lip

ROOT = Path(__file__).parent


def generator(device: str) -> None:
    """The generator as inference runs it against the published way: float32, eager, unfolded."""
    target = choose_device(device)
    torch.manual_seed(0)
    network = Wav2Lip().eval().to(target)
    fast = LipGenerator(Wav2Lip.from_state_dict(network.state_dict()).eval(), target)
    n = 16 if target.type == "cpu" else 128
    rng = np.random.default_rng(0)
    mels = rng.uniform(-4, 4, (n, 80, 16)).astype(np.float32)
    faces = rng.integers(0, 255, (n, 96, 96, 3), np.uint8)

    @torch.inference_mode()
    def eager() -> np.ndarray:
        face = faces.transpose(0, 3, 1, 2) / np.float32(255)
        masked = face.copy()
        masked[:, :, 48:] = 0
        x = torch.from_numpy(np.concatenate([masked, face], axis=1)).to(target)
        g = network(torch.from_numpy(mels[:, None]).to(target), x)
        return (g.cpu().numpy().transpose(0, 2, 3, 1) * 255).astype(np.uint8)

    def ours() -> np.ndarray:
        parts = range(0, n, fast.batch_size)
        pending = [fast.submit(mels[i:i + fast.batch_size], faces[i:i + fast.batch_size])
                   for i in parts]
        return np.concatenate([part.wait() for part in pending])

    mse = np.mean((eager().astype(float) - ours()) ** 2)
    slow, quick = _best_in_turn([eager, ours])
    print(f"generator on {target} ({torch.get_num_threads()} threads): float32 eager "
          f"{n / slow:.1f} frames/s, {fast.precision} folded channels-last "
          f"{n / quick:.1f} frames/s: "
          f"{slow / quick:.2f}x at PSNR {10 * np.log10(255**2 / mse):.1f} dB")


def overhead(device: str) -> None:
    """The share of the wall time at 720p that is neither face detection nor the network."""
    target = choose_device(device)
    with tempfile.TemporaryDirectory() as folder:
        clip, voice, weights = _material(Path(folder), seconds=10, size=(1280, 720))
        source = open_source(clip)
        # As lip_sync decodes them: detection alone is not to be charged with what decoding does.
        frames = list(source.read_shrunk(search_size(source.size, det_size=640)))
        detector = load_detector("auto", device=target)
        fast = LipGenerator.load(weights, target)
        mels = np.zeros((fast.batch_size, 80, 16), np.float32)
        faces = np.zeros((fast.batch_size, 96, 96, 3), np.uint8)

        def detect() -> None:
            list(detect_faces(frames, detector, det_size=640, frame_size=source.size))

        def generate() -> None:
            for pending in [fast.submit(mels, faces) for _ in range(len(frames) // len(faces))]:
                pending.wait()

        def whole() -> None:
            lip_sync(clip, voice, Path(folder) / "out.mp4", checkpoint=fast,
                     face_detector=detector)

        detection, network, total = _best_in_turn([detect, generate, whole], rounds=3)
    print(f"720p on {target}: {len(frames)} frames in {total:.1f} s; detection alone "
          f"{detection:.1f} s, network alone {network:.1f} s, everything else "
          f"{100 * (1 - (detection + network) / total):.0f} % of the wall time")


def real_time(device: str) -> None:
    """How much faster than it plays a 720p video is made with each generator that comes along."""
    with tempfile.TemporaryDirectory() as folder:
        clip, voice, _ = _material(Path(folder), seconds=20, size=(1280, 720))
        for weights in sorted(CHECKPOINTS.glob("wav2lip_*.safetensors")):
            report = lip_sync(clip, voice, Path(folder) / "out.mp4", checkpoint=weights,
                              device=device)
            seconds = report.seconds["total"]
            print(f"720p on {choose_device(device)} with {weights.name}: {report.frames} frames, "
                  f"20 s of video, in {seconds:.1f} s, loading included: {20 / seconds:.2f} times "
                  "real time")


def memory(device: str) -> None:
    """Peak memory of a minute and of ten minutes of 1080p with the published network."""
    with tempfile.TemporaryDirectory() as folder:
        for minutes in (1, 10):
            clip, voice, weights = _material(Path(folder), seconds=60 * minutes, size=(1920, 1080))
            run = subprocess.run(
                [sys.executable, "-c", _PEAK, "--checkpoint_path", weights, "--face", clip,
                 "--audio", voice, "--outfile", Path(folder) / "out.mp4", "--cache_dir", "",
                 "--device", device], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            print(f"{minutes} min of 1080p: {run.stdout.splitlines()[-1]}", flush=True)


_PEAK = """
import inference
inference.main()
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(f"peak memory {peak / 1e6:.2f} GB")
"""


def sample_loading(device: str) -> None:
    """A generator's training sample of a 30-second clip: from the cached spectrogram, and with the
    sound read and its spectrogram computed for every sample, as the published scripts do."""
    n_frames, n_samples = 30 * 25, 20
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "person" / "00000"
        folder.mkdir(parents=True)
        for i in range(n_frames):
            crop = cv2.resize(rng.integers(0, 255, (20, 16, 3), np.uint8), (160, 208))
            cv2.imwrite(str(folder / f"{i}.jpg"), crop)
        audio.save_wav(rng.uniform(-0.5, 0.5, n_frames * 640), folder / "audio.wav")
        clips = check_clips([str(folder)], name).clips
        clips[0].load_mel()
        dataset = Wav2LipDataset(clips)

        def cached() -> None:
            for epoch in range(n_samples):
                dataset[epoch, 0]

        def published() -> None:
            for epoch in range(n_samples):
                audio.melspectrogram(audio.load_wav(folder / "audio.wav"))
                dataset[epoch, 0]

        quick, slow = (1000 * best / n_samples for best in _best_in_turn([cached, published]))
    print(f"one generator sample of a 30 s clip: {quick:.1f} ms, with sound and spectrogram for "
          f"each sample {slow:.1f} ms: 1/{slow / quick:.0f}")


def _material(folder: Path, seconds: int,
              size: tuple[int, int]) -> tuple[Path, Path, Path]:
    """A clip of the bundled portrait moving about, as much of the bundled speech, and random
    weights of the published width."""
    width, height = size
    portrait = cv2.resize(cv2.imread(str(ROOT / "examples" / "portrait.jpg")), (height, height))
    speech = audio.load_wav(ROOT / "examples" / "speech.wav")
    voice, clip, weights = folder / "voice.wav", folder / "clip.mp4", folder / "random.pth"
    audio.save_wav(np.resize(speech, seconds * 16000), voice)
    with media.VideoWriter(clip, width=width, height=height, fps=25, audio=voice,
                           preset="ultrafast") as writer:
        for frame in _moving(portrait, width, 25 * seconds):
            writer.write(frame)
    torch.manual_seed(0)
    torch.save({"state_dict": Wav2Lip().state_dict()}, weights)
    return clip, voice, weights


def _moving(picture: np.ndarray, width: int, n_frames: int) -> Iterator[np.ndarray]:
    height, side = picture.shape[:2]
    frame = np.full((height, width, 3), 90, np.uint8)
    for i in range(n_frames):
        x = int((width - side) / 2 * (1 + np.sin(i / 25)))
        frame[:] = 90
        frame[:, x:x + side] = picture
        yield frame


def _best_in_turn(functions: list[Callable[[], object]], rounds: int = 5) -> list[float]:
    """Each function's best time in seconds, taken in turns so that a busy moment hits all."""
    best = [float("inf")] * len(functions)
    for _ in range(rounds):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            best[i] = min(best[i], time.perf_counter() - start)
    return best


BENCHMARKS = {function.__name__: function
              for function in (generator, overhead, real_time, memory, sample_loading)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=BENCHMARKS)
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda", "mps"])
    args = parser.parse_args()
    BENCHMARKS[args.name](args.device)


if __name__ == "__main__":
    main()
