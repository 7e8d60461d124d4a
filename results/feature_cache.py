"""How much of this machine's disk the features of frozen layers take."""

from contextlib import suppress
from pathlib import Path


def used(folder: Path) -> int:
    """Return the bytes of the arrays in a feature cache, whole ones and those in the making; 0 where there is none."""
    total = 0
    with suppress(OSError):
        for array in folder.expanduser().glob("*/data"):
            with suppress(OSError):  # removed just now
                total += array.stat().st_size
    return total


def gigabytes(size: float) -> str:
    """`12.3 GB`, or in MB what is less than a tenth of that."""
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
