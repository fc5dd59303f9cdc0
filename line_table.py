"""A text file with one line for each key, which several processes may write at once."""
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from atomic_file import whole_file


class LineTable:
    """Lines "<key><separator><rest>"; a line added later replaces its key's earlier one."""

    def __init__(self, path: str | Path, separator: str, header: str = "") -> None:
        """header: first line of the file, if any."""
        self.path = Path(path)
        self._separator = separator
        self._header = header

    def add(self, key: str, rest: str) -> None:
        """Append a line at once, so that a kill loses none. key: without the separator."""
        with self._locked():
            is_new = not self.path.exists()
            with open(self.path, "a", encoding="utf-8") as file:
                header = f"{self._header}\n" if is_new and self._header else ""
                file.write(f"{header}{key}{self._separator}{' '.join(rest.split())}\n")

    def tidy(self, keep: Callable[[str], bool]) -> None:
        """Sort the lines and leave only each key's last, of the keys to keep. Without any, the file
        is removed."""
        with self._locked():
            if not self.path.exists():
                return
            lines = self.path.read_text(encoding="utf-8").splitlines()
            rows = {line.partition(self._separator)[0]: line
                    for line in lines if line != self._header}
            kept = [rows[key] for key in sorted(rows) if keep(key)]
            if not kept:
                self.path.unlink()
                return
            text = "".join(f"{line}\n" for line in filter(None, [self._header, *kept]))
            with whole_file(self.path) as file:
                file.write(text.encode("utf-8"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The folder is locked, as the file itself gets replaced.
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)
