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
        value = _number(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least {least:g}")
        return value
    return parse


def positive_number(text: str) -> float:
    """An argparse type: a number above 0, not infinite."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
