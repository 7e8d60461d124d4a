"""Files that are whole or absent: written beside their place, flushed, then renamed into it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search_spaces.errors import UserError

UNFINISHED = ".unfinished-"
NOTHING_TAKEN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""What a disk says that takes nothing."""
REMEDY = (
    "What was written before is whole. Make that place writable, with some space in it; a search goes on with --resume"
)


class Unwritable(UserError):
    """What is found cannot be written down any more."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path to write to; it takes `path`'s place when the block ends, and vanishes when it raises.

    Raises:
        OSError: it cannot be written; the error names a file.
    """
    temporary = unfinished(path)
    try:
        yield temporary
        put(temporary, path)
    except OSError as error:
        if error.errno is None:  # of a library, such as that of HDF5
            raise OSError(errno.EIO, str(error), str(path)) from error
        error.filename = error.filename or str(path)  # a disk that is full while something is written names none
        raise
    finally:
        temporary.unlink(missing_ok=True)


def unfinished(path: Path) -> Path:
    """Where to write what is to take `path`'s place; the name ends as that does, and no other process's is the same."""
    return path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")


def put(temporary: Path, path: Path) -> None:
    """Let a written file take `path`'s place, once the disk has it."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(path)


def remove_unfinished(folder: Path) -> None:
    """Take away what processes that were killed had begun to write."""
    for file in folder.rglob(f"{UNFINISHED}*"):
        file.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def writing_to(out: Path) -> Iterator[None]:
    """Make the folder of what --out names, for a block that writes there.

    Raises:
        UserError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); give another path") from error


def unwritable(error: OSError, place: Path | str | None = None) -> str:
    """Which file cannot be written, if that is known, and why."""
    return f"{error.filename or place or 'a file of the run'}: {error.strerror or error}"


@contextmanager
def storage_told(run: Path, remote: str | None = None) -> Iterator[None]:
    """For a block that writes into a run's folder at many places: a full or read-only disk is told in words.

    Args:
        run: its folder.
        remote: its URI, if it is kept in an object store.

    Raises:
        Unwritable: there is one, or a file of the run is out of reach otherwise.
    """
    try:
        yield
    except OSError as error:
        named = str(error.filename or "")
        is_its = Path(named).is_relative_to(run) or bool(remote and named.startswith(remote.partition("?")[0]))
        if not is_its and error.errno not in NOTHING_TAKEN:
            raise
        raise Unwritable(f"{unwritable(error, run)}. {REMEDY}") from error
