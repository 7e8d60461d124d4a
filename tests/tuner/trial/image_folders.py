"""Folders of images for tests."""

from collections.abc import Iterable
from pathlib import Path


def laid_out(root: Path, files: Iterable[str]) -> Path:
    """A folder with these files, which are empty."""
    root.mkdir(parents=True, exist_ok=True)
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root
