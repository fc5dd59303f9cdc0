"""The fast generator draws what the network draws."""
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from fill_weights import fill

from errors import InputError
from generator import LipGenerator, own_weights
from models import Wav2Lip

CPU = torch.device("cpu")


def inputs(n=3):
    rng = np.random.default_rng(0)
    return (rng.uniform(-4, 4, (n, 80, 16)).astype(np.float32),
            rng.integers(0, 255, (n, 96, 96, 3), np.uint8))


@torch.no_grad()
def published(mels, faces):
    """SPEC section 4: crop/255 in BGR; masked copy first, reference second; ×255 → uint8."""
    network = fill(Wav2Lip())
    drawn = []
    for mel, face in zip(mels, faces, strict=True):
        reference = face.transpose(2, 0, 1) / np.float32(255)
        masked = reference.copy()
        masked[:, 48:] = 0
        x = torch.from_numpy(np.concatenate([masked, reference])[None])
        g = network(torch.from_numpy(mel)[None, None], x)
        drawn.append((g[0].numpy().transpose(1, 2, 0) * 255).astype(np.uint8))
    return np.stack(drawn)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_float32_is_the_published_arithmetic():
    mels, faces = inputs()
    drawn = LipGenerator(fill(Wav2Lip()), CPU, "fp32").submit(mels, faces).wait()
    assert drawn.shape == (3, 96, 96, 3) and drawn.dtype == np.uint8
    # A value on the edge between two levels may be truncated either way.
    difference = np.abs(drawn.astype(int) - published(mels, faces))
    assert difference.max() <= 1 and (difference > 0).mean() < 0.01


def test_bf16_is_close():
    mels, faces = inputs()
    drawn = LipGenerator(fill(Wav2Lip()), CPU, "bf16").submit(mels, faces).wait()
    assert psnr(drawn, published(mels, faces)) >= 45


def test_an_exhausted_gpu_halves_the_batch(monkeypatch):
    generator = LipGenerator(fill(Wav2Lip(width=0.0625)), CPU, "fp32", batch_size=8)
    mels, faces = inputs(7)
    whole = generator.submit(mels, faces).wait()
    start = generator._start

    def small_gpu(mels, faces, busy):
        if len(faces) > 2:
            raise torch.OutOfMemoryError
        return start(mels, faces, busy)

    monkeypatch.setattr(generator, "_start", small_gpu)
    np.testing.assert_allclose(generator.submit(mels, faces).wait().astype(int), whole, atol=1)
    assert generator.batch_size <= 2


def test_time_is_counted_where_the_batch_is_drawn():
    generator = LipGenerator(fill(Wav2Lip(width=0.0625)), CPU, "fp32")
    threads = []

    @contextmanager
    def busy():
        threads.append(threading.current_thread())
        yield

    generator.submit(*inputs(), busy).wait()
    assert len(threads) == 1 and threads[0] is not threading.current_thread()


def test_batches_in_flight_arrive_as_they_were_submitted():
    generator = LipGenerator(fill(Wav2Lip(width=0.0625)), CPU, "fp32")
    mels, faces = inputs(6)
    alone = [generator.submit(mels[i:i + 1], faces[i:i + 1]).wait() for i in range(6)]
    pending = [generator.submit(mels[i:i + 1], faces[i:i + 1]) for i in range(6)]
    for i in reversed(range(6)):
        assert np.array_equal(pending[i].wait(), alone[i])


def test_fp16_on_a_cpu_is_refused():
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        LipGenerator(Wav2Lip(width=0.0625), CPU, "fp16")


@pytest.mark.parametrize("device, bf16, width", [
    ("cuda", False, "full"), ("cpu", True, "full"), ("cpu", False, "light"), ("mps", True, "light")])
def test_the_weights_that_come_along_are_chosen_by_what_the_device_runs_well(
        device, bf16, width, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    path = own_weights(torch.device(device))
    assert path.is_file() and path.name == f"wav2lip_{width}.safetensors"
