"""How scripts end."""
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from errors import run_script

ROOT = Path(__file__).parent.parent


def test_a_file_in_the_way_is_one_line(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(signal, "signal", lambda *_: None)      # pytest's own stays
    with pytest.raises(SystemExit) as stop:
        run_script(lambda: (tmp_path / "file" / "a.csv").write_text("x"))
    assert stop.value.code == 2
    [line] = capsys.readouterr().err.splitlines()
    assert f"error: cannot use {tmp_path}/file/a.csv: Not a directory" in line


def test_sigterm_cleans_up(tmp_path):
    """As schedulers and docker stop send it; what a script was writing must not stay."""
    script = tmp_path / "script.py"
    script.write_text(f"""
import time
from atomic_file import whole_file
from errors import run_script

def main():
    with whole_file(r"{tmp_path}/out/a.bin"):
        time.sleep(60)

run_script(main)
""")
    process = subprocess.Popen([sys.executable, script], env={"PYTHONPATH": str(ROOT)})
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("out/.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.terminate()
    assert process.wait(30) == 143 and list((tmp_path / "out").iterdir()) == []
