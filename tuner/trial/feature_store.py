"""Arrays by key in one folder of a node, shared by all processes: made together, once, and read as memory maps.

An array is made a chunk of rows at a time in `<name>.part/`, and becomes `<name>/` when all are there: it is whole or
absent. Whoever makes or reads an array holds a shared lock on its file, which ends with the process however it ends,
and what is locked is never removed. The folder carries the tag of a cache (https://bford.info/cachedir/); one with
other files in it and no such tag is not touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import filelock
import numpy as np

from results.whole_file import write_text
from search_spaces.errors import UserError

TAG = "CACHEDIR.TAG"
SIGNATURE = """Signature: 8a477f597d28d172789f06886806bc55
# What frozen layers put out, kept by Thaw. All of it may be deleted while no search runs.
"""
CHUNK = 256
"""Rows; a process that makes an array takes one chunk after another, and another may help with the next."""


class StoreUnavailable(Exception):
    """The store cannot hold an array: no room, or a folder that cannot be written."""


class ArrayRemoved(Exception):
    """Another process has given up an array that this one makes too."""


@dataclass(frozen=True)
class ArraySpec:
    """An array's name (also its folder's), rows first in its shape, and its type."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Its size on disk."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.shape[0] // CHUNK)

    def rows(self, chunk: int) -> slice:
        """The rows of a chunk."""
        return slice(chunk * CHUNK, min((chunk + 1) * CHUNK, self.shape[0]))


def check_folder(folder: Path) -> None:
    """See that a store may live there.

    Raises:
        UserError: it is no folder, or one that belongs to somebody else.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):  # pathlib's raise where nobody may look
        raise UserError(f"--feature-store {folder}: is not a folder; give the path of an empty or a new one")
    if _is_foreign(folder):
        raise UserError(f"--feature-store {folder}: has other files in it; give the path of an empty or a new folder")


def _is_foreign(folder: Path) -> bool:
    """Whether others keep files there; a store makes its tag before anything but its lock."""
    with suppress(OSError):
        others = any(entry.name not in ("lock", "lost+found") for entry in folder.iterdir())
        return others and not (folder / TAG).exists()
    return False


class StoredArray:
    """An array of the store, whole or in the making; a context manager that lets go of it.

    Args:
        spec: what it is.
        folder, data: descriptors of its folder and its file. A descriptor stays with what it was opened for, while
            another array may come under the same path.
    """

    def __init__(self, spec: ArraySpec, folder: int, data: int) -> None:
        self.spec = spec
        self._folder, self._data = folder, data
        self._is_whole = False
        self._values: np.ndarray | None = None

    def __enter__(self) -> StoredArray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go: the store may remove the array from now on, or once nobody refers to its `values` any more."""
        self._values = None
        if self._data >= 0:
            os.close(self._data)
            os.close(self._folder)
            self._data = self._folder = -1

    @property
    def values(self) -> np.ndarray:
        """All rows, memory-mapped; those of chunks that are not there yet mean nothing."""
        if self._values is None:
            with os.fdopen(os.dup(self._data), "rb") as file:
                self._values = np.memmap(file, self.spec.dtype, "r", shape=self.spec.shape)
        return self._values

    def has(self, chunk: int) -> bool:
        """Whether a chunk is there.

        Raises:
            ArrayRemoved: the array was given up by another process.
        """
        return self._is_whole or chunk in self.marks()

    def put(self, chunk: int, values: np.ndarray) -> None:
        """Write a chunk; it is there when this returns.

        Raises:
            OSError: the disk is full, or the array has been removed.
        """
        block = np.ascontiguousarray(values, self.spec.dtype)
        rows = self.spec.rows(chunk)
        view, offset = block.data.cast("B"), rows.start * (self.spec.nbytes // self.spec.shape[0])
        while view:
            written = os.pwrite(self._data, view, offset)
            view, offset = view[written:], offset + written
        os.close(os.open(f"{chunk}.{zlib.crc32(block.data):08x}", os.O_CREAT | os.O_WRONLY, dir_fd=self._folder))

    @contextmanager
    def making(self, chunk: int, timeout: float) -> Iterator[bool]:
        """A lock on a chunk in the making; False when another process has kept it for `timeout` seconds."""
        try:
            lock = os.open(f"{chunk}.lock", os.O_CREAT | os.O_RDWR, dir_fd=self._folder)
        except FileNotFoundError:  # removed: `has` tells of it
            yield False
            return
        try:
            yield _locks(lock, timeout)
        finally:
            os.close(lock)

    def marks(self) -> dict[int, int]:
        """Checksums of the chunks that are there.

        Raises:
            ArrayRemoved: the array was given up by another process.
        """
        names = [name.partition(".") for name in os.listdir(self._folder)]
        try:
            with open(os.open("array.json", os.O_RDONLY, dir_fd=self._folder)) as file:
                checksums = json.load(file)["checksums"]
        except FileNotFoundError as error:
            raise ArrayRemoved(self.spec.name) from error
        if checksums:
            self._is_whole = True
            return dict(enumerate(checksums))
        return {int(number): int(mark, 16) for number, _, mark in names if number.isdigit() and mark != "lock"}


class FeatureStore:
    """The folder. Arrays that were used longest ago make room for new ones.

    Args:
        folder: made if it is not there.
        capacity: bytes.
    """

    def __init__(self, folder: Path, capacity: float) -> None:
        self.folder, self.capacity = folder, capacity
        self._sound: set[str] = set()

    def has(self, name: str) -> bool:
        """Whether there is a whole array of that name, sound or not."""
        return (self.folder / name).is_dir()

    def get(self, name: str) -> StoredArray | None:
        """A whole array, or None. One that is damaged is removed.

        Raises:
            OSError: it cannot be read.
        """
        found = None
        with suppress(ValueError, KeyError, TypeError):  # a record that is not ours, or a file shorter than it says
            found = self._open(self.folder / name)
            if found is None or name in self._sound:
                return found
            marks = found.marks()
            if all(zlib.crc32(found.values[found.spec.rows(chunk)].data) == marks[chunk] for chunk in marks):
                self._sound.add(name)
                return found
        if found is not None:
            found.close()
        with self._lock():
            _remove(self.folder / name)
        return None

    def make(self, spec: ArraySpec) -> StoredArray:
        """The array of that name, whole or in the making, perhaps by others too.

        Raises:
            StoreUnavailable: it does not fit beside what is in use.
            OSError: the folder cannot be written.
        """
        part = self.folder / f"{spec.name}.part"
        with self._lock():
            found = self._open_or_none(self.folder / spec.name) or self._open_or_none(part)
            if found is None:
                self._make_room(spec.nbytes)
                self._begin(spec, part)
                found = self._open(part)
        if found is None:
            raise StoreUnavailable(f"{part} cannot be opened")
        return found

    def publish(self, array: StoredArray) -> None:
        """Give an array of which all chunks are there its final name.

        Raises:
            ArrayRemoved: the array was given up by another process.
            OSError: the folder cannot be written.
        """
        part, final = self.folder / f"{array.spec.name}.part", self.folder / array.spec.name
        with self._lock():
            marks = array.marks()
            if (final / "array.json").exists() or not part.exists() or len(marks) < array.spec.chunks:
                return
            _remove(final)  # left of one that somebody has damaged
            _describe(part, array.spec, [marks[chunk] for chunk in range(array.spec.chunks)])
            os.rename(part, final)
            for entry in os.scandir(final):
                if entry.name not in ("data", "array.json"):
                    os.unlink(entry)

    def discard(self, array: StoredArray) -> None:
        """Give up an array in the making; others who make it get ArrayRemoved."""
        with self._lock():
            _remove(self.folder / f"{array.spec.name}.part")

    def has_note(self, name: str) -> bool:
        """Whether `note` was called with that name."""
        return (self.folder / f"{name}.note").exists()

    def note(self, name: str) -> None:
        """Remember a name, and no more, for as long as the store is kept."""
        with suppress(OSError):
            (self.folder / f"{name}.note").touch()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        if _is_foreign(self.folder):
            raise StoreUnavailable(f"--feature-store {self.folder} has other files in it")
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / "lock"):
            if not (self.folder / TAG).exists():
                (self.folder / TAG).write_text(SIGNATURE)
            yield

    def _open_or_none(self, part: Path) -> StoredArray | None:
        try:
            return self._open(part)
        except (ValueError, KeyError, TypeError):  # cut short by a crash
            return None

    def _open(self, folder: Path) -> StoredArray | None:
        """Take hold of an array, and mark it as used."""
        held: list[int] = []
        try:
            held.append(os.open(folder, os.O_RDONLY))
            held.append(os.open("data", os.O_RDWR if folder.suffix == ".part" else os.O_RDONLY, dir_fd=held[0]))
            fcntl.flock(held[1], fcntl.LOCK_SH)  # held against us only while it is removed
            with open(os.open("array.json", os.O_RDONLY, dir_fd=held[0])) as file:
                record = json.load(file)
            spec = ArraySpec(folder.stem, tuple(record["shape"]), record["dtype"])
            if os.fstat(held[1]).st_size < spec.nbytes:
                raise ValueError(f"{folder} is cut short")
            with suppress(OSError):  # a store that can only be read
                os.utime(folder / "array.json")
            return StoredArray(spec, held[0], held.pop())
        except FileNotFoundError:  # not there, or removed just now
            _close(held)
            return None
        except BaseException:
            _close(held)
            raise

    def _begin(self, spec: ArraySpec, part: Path) -> None:
        _remove(part)
        part.mkdir()
        try:
            _describe(part, spec, [])  # first: by its record a folder is known as one of ours
            data = os.open(part / "data", os.O_RDWR | os.O_CREAT)
            try:
                os.posix_fallocate(data, 0, spec.nbytes)  # a full disk shows here and not in the middle
            finally:
                os.close(data)
        except OSError:
            _remove(part)
            raise

    def _make_room(self, needed: int) -> None:
        """Remove what was used longest ago, or nothing at all where that would not be enough."""
        sizes = {path.parent: _size(path.parent) for path in self.folder.glob("*/array.json")}
        in_use = sum(size for folder, size in sizes.items() if not _removable(folder, False))
        if in_use + needed > self.capacity:
            raise StoreUnavailable(
                f"they do not fit into --feature-store-gb {self.capacity / 1e9:g} beside what is in use"
            )
        for folder in sorted(sizes, key=_last_use):
            if sum(sizes.values()) + needed <= self.capacity:
                return
            if _removable(folder, True):
                del sizes[folder]


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _locks(file: int, timeout: float) -> bool:
    """Lock an open file, waiting at most so many seconds."""
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.02)


def _describe(folder: Path, spec: ArraySpec, checksums: Iterable[int]) -> None:
    record = {"shape": spec.shape, "dtype": spec.dtype, "checksums": list(checksums)}
    write_text(folder / "array.json", json.dumps(record))


def _remove(folder: Path) -> None:
    """The data first: a folder without a record is not known as ours any more."""
    with suppress(OSError):
        (folder / "data").unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _size(folder: Path) -> int:
    with suppress(OSError):
        return (folder / "data").stat().st_size
    return 0


def _last_use(folder: Path) -> float:
    with suppress(OSError):
        return (folder / "array.json").stat().st_mtime
    return 0.0


def _removable(folder: Path, removes: bool) -> bool:
    """Whether nobody reads or makes it; if so and asked to, remove it, before anybody else can begin to."""
    try:
        data = os.open(folder / "data", os.O_RDONLY)
    except OSError:
        data = -1
    try:
        if data >= 0:
            fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if removes:
            _remove(folder)
        return True
    except OSError:
        return False
    finally:
        if data >= 0:
            os.close(data)
