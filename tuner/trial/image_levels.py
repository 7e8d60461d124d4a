"""One scale for all images of more than 8 bits in a data set, chosen by the values that it has."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from pathlib import Path

from results.images import Undecodable, deep_values
from results.levels import Bits, Levels
from search_spaces.errors import UserError

LEAST_COLOUR = 2**15
"""Of 16-bit colour files whose values stay below, the 8 bits that can be read are not enough."""


def common_levels(files: Sequence[Path], folder: Path) -> Levels | None:
    """The levels of the grey files among these, which have more than 8 bits; None where there are none.

    Files that do not decode have no say.

    Raises:
        UserError: colour files leave their upper bits empty, or some files are floats and others whole numbers.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = [one for one in pool.map(_bits, files) if one is not None]
    colour = [bits for bits, is_whole in found if not is_whole]
    if colour and (white := reduce(add, colour).levels().white) < LEAST_COLOUR:
        raise UserError(
            f"--data {folder}: its 16-bit colour images have values of 0 to {white:,.0f} only, and 8 of 16 bits can be "
            "read: convert them to 8 bits with the right brightness first"
        )
    grey = [bits for bits, is_whole in found if is_whole]
    if len({bits.is_float for bits in grey}) > 1:
        raise UserError(
            f"--data {folder}: some images have floats and others whole numbers of more than 8 bits, which have no "
            "scale in common: convert them to one kind"
        )
    return reduce(add, grey).levels() if grey else None


def _bits(file: Path) -> tuple[Bits, bool] | None:
    try:
        values, is_whole = deep_values(file)
        return Bits.of(values), is_whole
    except Undecodable:
        return None
