"""Types of command-line flags that scripts share; their mistakes are the parser's errors."""
import argparse
import math
from collections.abc import Callable


def whole_number(least: int) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `least`, which is 0 or more."""
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return int(text)
    return parse


def finite_number(least: float) -> Callable[[str], float]:
    """An argparse type: a number of at least `least`, neither infinite nor NaN."""
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least {least:g}")
        return value
    return parse
