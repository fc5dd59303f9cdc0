"""Worker processes: results, crashes, their parent's end; and what they share."""
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from fill_weights import fill
from pool_jobs import add_lines, broken_job, make_job

import checkpoint
from errors import InputError
from face_detection import load_detector
from gpu_server import GpuServer, RemoteDetector
from line_table import LineTable
from models import SyncNet_color
from sync_correction import SyncExpert
from worker_pool import WorkerDiedError, run_tasks


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_every_task_ends_with_its_result_or_its_error():
    tasks = [1, "crash", 2, "bad", "bug", "full", 3]
    results = dict(run_tasks(make_job, tasks, 2))
    assert set(results) == set(tasks)
    assert [results[n] for n in (1, 2, 3)] == [10, 20, 30]
    assert isinstance(results["bad"], InputError) and str(results["bad"]) == "bad task"
    assert isinstance(results["full"], OSError)
    assert isinstance(results["crash"], WorkerDiedError)
    assert "signal 11" in str(results["crash"])
    assert "code 1" in str(results["bug"])


def test_a_worker_that_cannot_start_ends_it():
    with pytest.raises(WorkerDiedError):
        list(run_tasks(broken_job, [1, 2], 1))


def test_no_tasks_need_no_workers():
    assert list(run_tasks(make_job, [], 0)) == []


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(tmp_path, end):
    code = ("from pool_jobs import sleep_job\nfrom worker_pool import run_tasks\n"
            "if __name__ == '__main__':\n"
            f"    list(run_tasks(sleep_job, [{str(tmp_path)!r}], 1))\n")
    script = tmp_path / "script.py"
    script.write_text(code)
    here = Path(__file__).parent
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL,
                              env={**os.environ, "PYTHONPATH": f"{here}:{here.parent}"})
    deadline = time.monotonic() + 60
    while not (started := [p for p in tmp_path.iterdir() if p.name.isdigit()]):
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    parent.send_signal(end)
    parent.wait(timeout=20)
    worker = int(started[0].name)
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_networks_in_a_server_answer_as_here(tmp_path):
    path = tmp_path / "expert.pth"
    checkpoint.save(path, fill(SyncNet_color(width=0.0625)).state_dict())
    server = GpuServer("cpu", "haar", None, path)
    networks = server.networks
    rng = np.random.default_rng(0)
    windows = rng.integers(0, 256, (2, 5, 96, 96, 3), np.uint8)
    mels = rng.uniform(-4, 4, (2, 80, 16)).astype(np.float32)
    here = SyncExpert(path)
    np.testing.assert_allclose(networks.embed_mouths(windows), here.embed_mouths(windows),
                               atol=1e-6)
    np.testing.assert_allclose(networks.embed_sounds(mels), here.embed_sounds(mels), atol=1e-6)
    images = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    for a, b in zip(RemoteDetector(networks).detect(images), load_detector("haar").detect(images),
                    strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_line_table_keeps_the_last_line_of_each_key(tmp_path):
    table = LineTable(tmp_path / "failed.txt", ": ")
    table.add("b/1", "no sound")
    table.add("a/1", "no face:\n none at all")
    table.add("b/1", "is empty")
    table.add("c/1", "no face")
    table.tidy(keep=lambda key: key != "c/1")
    assert table.path.read_text() == "a/1: no face: none at all\nb/1: is empty\n"
    table.tidy(keep=lambda key: False)
    assert not table.path.exists()


def test_a_line_tables_header_stays_first(tmp_path):
    table = LineTable(tmp_path / "offsets.csv", ",", "clip,offset")
    table.add("z", "1")
    table.add("a", "2")
    table.tidy(keep=lambda key: True)
    assert table.path.read_text() == "clip,offset\na,2\nz,1\n"


def test_processes_can_share_a_line_table(tmp_path):
    path = tmp_path / "failed.txt"
    list(run_tasks(add_lines, [str(path)] * 2, 2))
    LineTable(path, ": ").tidy(keep=lambda key: True)
    lines = path.read_text().splitlines()
    assert all(line.endswith(": " + "x" * 50) for line in lines)
    assert len(lines) in (100, 200)     # one worker may have taken both tasks
