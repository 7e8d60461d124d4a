"""Which files of a folder are images: the same rule for training, prediction and serving."""

import os
from pathlib import Path

from search_spaces.errors import UserError

SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".jp2",
    ".j2k", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico",
)  # fmt: skip
ACCEPTED = "JPEG, PNG, BMP, GIF, WebP, TIFF, JPEG 2000, AVIF, PPM, TGA and ICO files"
_LITTER = {"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"}


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that operating systems leave: never data."""
    return name.startswith(".") or name.casefold() in _LITTER


def is_image(file: Path) -> bool:
    """Whether a file is named as an image; whether it decodes is another matter. A link that is broken counts, too."""
    return file.suffix.lower() in SUFFIXES and (file.is_file() or file.is_symlink())


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder but litter, sorted.

    Raises:
        UserError: it cannot be read.
    """
    return [one for one in _entries(folder) if one.is_dir()]


def files_in(folder: Path) -> list[Path]:
    """The files in a folder itself but litter, sorted.

    Raises:
        UserError: it cannot be read.
    """
    return [one for one in _entries(folder) if not one.is_dir()]


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and its subfolders but litter, sorted; links to folders are followed.

    Raises:
        UserError: a folder cannot be read.
    """
    found: list[Path] = []
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        folders[:] = [name for name in folders if not is_litter(name) and not _is_above(Path(place, name), place)]
        found += [Path(place, name) for name in files if not is_litter(name)]
    return sorted(found)


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and its subfolders, sorted.

    Raises:
        UserError: a folder cannot be read.
    """
    return [file for file in files_below(folder) if is_image(file)]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if not is_litter(one.name))
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error


def _is_above(link: Path, place: str) -> bool:
    """Whether a folder is a link to one that it lies in, so that there would be no end."""
    return link.is_symlink() and Path(place).resolve().is_relative_to(link.resolve())


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error
