"""A user's mistake, and how a script says it: one line, exit code 2, no traceback."""
import signal
import sys
from collections.abc import Callable
from pathlib import Path


class InputError(ValueError):
    """Something given cannot be used. The message is one line: the input, what was found, what to
    do next."""


def run_script(main: Callable[[], None]) -> None:
    """Call a script's main. An InputError, and a file that cannot be read or written, end it with
    one line and exit code 2, Ctrl-C with 130, SIGTERM with 143 after what is open is cleaned up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A file's name may hold what the terminal cannot show: no reason to fail when all is done.
    sys.stdout.reconfigure(errors="backslashreplace")
    script = Path(sys.argv[0])
    name = script.parent.name if script.name == "__main__.py" else script.name
    try:
        main()
    except InputError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{name}: error: cannot use {error.filename}: {error.strerror}; "
              "choose another path or make room for it", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        sys.exit(130)
