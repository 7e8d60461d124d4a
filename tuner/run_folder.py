"""The folder of a run while a program works on it: found or made, held for that program, sent to where it is kept."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from filelock import FileLock, Timeout

from results.paths import RunPaths
from results.remote import Mirror, is_stored
from results.whole_file import storage_told
from search_spaces.errors import UserError


@contextmanager
def writing(paths: RunPaths) -> Iterator[None]:
    """For a block that works on a run that is there."""
    with storage_told(paths.root, paths.remote), _alone(paths):
        yield


@contextmanager
def mirrored(paths: RunPaths, terminal: TextIO) -> Iterator[None]:
    """For the block, and at its end, what it writes goes to where the run is kept."""
    if paths.remote is None:
        yield
        return
    print(f"Copy on this machine: {paths.root}", file=terminal, flush=True)
    with Mirror(paths, lambda text: print(text, file=terminal, flush=True)):
        yield


@contextmanager
def _alone(paths: RunPaths) -> Iterator[None]:
    """Hold the run for this program; a lock that ends with it, however that ends.

    Raises:
        UserError: another one has it, or its log is a link, which may lead anywhere.
    """
    if paths.log.is_symlink():
        raise UserError(f"{paths.log} is a link, and not the log of a search: take it away")
    lock = FileLock(paths.lock, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{paths.root}: another search.py or finalists.py works on this run; wait for its end, or end it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def is_held(paths: RunPaths) -> bool:
    """Whether a program on this machine works on the run; of one in an object store that is not known."""
    if paths.remote or not paths.lock.is_file():
        return bool(paths.remote)
    lock = FileLock(paths.lock, blocking=False)
    try:
        lock.acquire()
    except Timeout:
        return True
    lock.release()
    return False


@contextmanager
def new_run(paths: RunPaths) -> Iterator[None]:
    """Make the run directory, and hold it; take it away again if the block ends by the user's error or wish before a
    first trial.

    After any other error it stays, with the log that tells of it.
    """
    try:
        _check_free(paths)
        made = [folder for folder in (paths.root, *paths.root.parents) if not folder.exists()]
        paths.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"--storage {paths.storage}: cannot write there ({error.strerror}); give another folder"
        ) from error
    with _alone(paths):  # from here on it is this program's to take away
        _check_free(paths)
        try:
            yield
        except (UserError, KeyboardInterrupt):
            if not any(paths.trials.glob("*/trial.json")):
                shutil.rmtree(paths.root, ignore_errors=True)
                with suppress(OSError):  # a folder that another run has begun to use stays
                    for folder in made[1:]:
                        folder.rmdir()
            raise
        except Exception as error:
            if any(paths.trials.glob("*/trial.json")):
                raise
            raise RuntimeError(f"the search did not start; {paths.log} says why") from error


def _check_free(paths: RunPaths) -> None:
    """Nothing is there but what a search left that was ended before it began."""
    is_here, is_there = paths.root.exists() and not paths.is_unborn, paths.remote is not None and is_stored(paths)
    if is_here and paths.remote and not is_there:
        raise UserError(
            f"--name {paths.name}: {paths.root} is this machine's copy of a run that {paths.place} does not have; "
            "choose another name, send it there by --resume, or delete that folder"
        )
    if paths.is_empty:
        raise UserError(
            f"--name {paths.name}: {paths.root} exists already and is empty; delete that folder, or choose another name"
        )
    if is_here or is_there:
        raise UserError(
            f"--name {paths.name}: {paths.place} exists already; choose another name, or go on with it by --resume"
        )
