"""A user's mistake, and how a script says it: one line, exit code 2, no traceback."""
import sys
from collections.abc import Callable
from pathlib import Path


class InputError(ValueError):
    """Something given cannot be used. The message is one line: the input, what was found, what to
    do next."""


def run_script(main: Callable[[], None]) -> None:
    """Call a script's main. An InputError ends it with one line and exit code 2, Ctrl-C with 130.
    """
    # A file's name may hold what the terminal cannot show: no reason to fail when all is done.
    sys.stdout.reconfigure(errors="backslashreplace")
    try:
        main()
    except InputError as error:
        print(f"{Path(sys.argv[0]).name}: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"{Path(sys.argv[0]).name}: interrupted", file=sys.stderr)
        sys.exit(130)
