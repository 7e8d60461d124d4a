"""Arrays by key in one folder of a node, shared by all processes: made together, once, and read as memory maps.

An array is made a chunk of rows at a time in `<name>.part/`, and becomes `<name>/` when all are there: it is whole or
absent. Whoever makes or reads an array holds a shared lock on its file, which ends with the process however it ends,
and what is locked is never removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import filelock
import numpy as np

from results.whole_file import write_text

CHUNK = 256
"""Rows; a process that makes an array takes one chunk after another, and another may help with the next."""


class StoreUnavailable(Exception):
    """The store cannot hold an array: no room, or a folder that cannot be written."""


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


class StoredArray:
    """An array of the store, whole or in the making; a context manager that lets go of it."""

    def __init__(self, spec: ArraySpec, folder: Path, data: int) -> None:
        self.spec = spec
        self._folder, self._data = folder, data
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
            self._data = -1

    @property
    def values(self) -> np.ndarray:
        """All rows, memory-mapped; those of chunks that are not there yet mean nothing."""
        if self._values is None:
            with os.fdopen(os.dup(self._data), "rb") as file:
                self._values = np.memmap(file, self.spec.dtype, "r", shape=self.spec.shape)
        return self._values

    def has(self, chunk: int) -> bool:
        """Whether a chunk is there."""
        return not self._folder.name.endswith(".part") or chunk in self._marks()

    def put(self, chunk: int, values: np.ndarray) -> None:
        """Write a chunk; it is there when this returns.

        Raises:
            StoreUnavailable: the disk is full, or the array has been removed.
        """
        block = np.ascontiguousarray(values, self.spec.dtype)
        rows = self.spec.rows(chunk)
        try:
            view, offset = block.data.cast("B"), rows.start * (self.spec.nbytes // self.spec.shape[0])
            while view:
                written = os.pwrite(self._data, view, offset)
                view, offset = view[written:], offset + written
            (self._folder / f"{chunk}.{zlib.crc32(block.data):08x}").touch()
        except OSError as error:
            raise StoreUnavailable(f"{self._folder.parent}: {error.strerror}") from error

    @contextmanager
    def making(self, chunk: int, timeout: float) -> Iterator[bool]:
        """A lock on a chunk in the making; False when another process has kept it for `timeout` seconds."""
        try:
            with filelock.FileLock(self._folder / f"{chunk}.lock", timeout=timeout):
                yield True
        except (filelock.Timeout, FileNotFoundError):  # another makes it, or the array is whole by now
            yield False

    def _marks(self) -> dict[int, int]:
        """Checksums of the chunks that are there; none when the folder has got its final name."""
        with suppress(FileNotFoundError):
            names = (entry.name.partition(".") for entry in os.scandir(self._folder))
            return {int(number): int(mark, 16) for number, _, mark in names if number.isdigit() and mark != "lock"}
        return dict.fromkeys(range(self.spec.chunks), 0)


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
        """A whole array, or None. One that is damaged is removed."""
        try:
            found = self._open(self.folder / name)
            if found is None or name in self._sound:
                return found
            if self._is_sound(found):
                self._sound.add(name)
                return found
            found.close()
        except (ValueError, KeyError):  # a record that is no JSON or not ours, or a file shorter than it says
            pass
        with suppress(OSError), self._lock():
            _remove(self.folder / name)
        return None

    def _is_sound(self, found: StoredArray) -> bool:
        marks = json.loads((self.folder / found.spec.name / "array.json").read_text())["checksums"]
        return all(zlib.crc32(found.values[found.spec.rows(chunk)].data) == mark for chunk, mark in enumerate(marks))

    def make(self, spec: ArraySpec) -> StoredArray:
        """The array of that name, whole or in the making, perhaps by others too.

        Raises:
            StoreUnavailable: it does not fit beside what is in use, or the folder cannot be written.
        """
        whole = self.get(spec.name)
        if whole is not None:
            return whole
        part = self.folder / f"{spec.name}.part"
        try:
            with self._lock():
                found = None
                with suppress(ValueError, KeyError):
                    found = self._open(part)
                if found is None:
                    self._make_room(spec.nbytes)
                    self._begin(spec, part)
                    found = self._open(part)
        except OSError as error:
            raise StoreUnavailable(f"{self.folder}: {error.strerror}") from error
        if found is None:
            raise StoreUnavailable(f"{part}: cannot be opened")
        return found

    def publish(self, array: StoredArray) -> None:
        """Give an array of which all chunks are there its final name."""
        part, final = self.folder / f"{array.spec.name}.part", self.folder / array.spec.name
        with self._lock():
            marks = array._marks()
            if not part.exists() or final.exists() or len(marks) < array.spec.chunks:
                return
            _describe(part, array.spec, [marks[chunk] for chunk in range(array.spec.chunks)])
            for entry in os.scandir(part):
                if entry.name not in ("data", "array.json"):
                    os.unlink(entry)
            os.rename(part, final)
        array._folder = final
        self._sound.add(array.spec.name)

    def discard(self, array: StoredArray) -> None:
        """Give up an array in the making; others who make it find out by and by."""
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
        self.folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.folder / "lock"):
            yield

    def _open(self, folder: Path) -> StoredArray | None:
        """Take hold of an array, and mark it as used."""
        try:
            data = os.open(folder / "data", os.O_RDWR if folder.suffix == ".part" else os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(data, fcntl.LOCK_SH)  # held against us for a moment only, by `_is_free`
            record = json.loads((folder / "array.json").read_text())
            with suppress(OSError):  # a store that can only be read
                os.utime(folder / "array.json")
            return StoredArray(ArraySpec(folder.stem, tuple(record["shape"]), record["dtype"]), folder, data)
        except FileNotFoundError:  # removed just now
            os.close(data)
            return None
        except BaseException:
            os.close(data)
            raise

    def _begin(self, spec: ArraySpec, part: Path) -> None:
        _remove(part)
        part.mkdir()
        try:
            data = os.open(part / "data", os.O_RDWR | os.O_CREAT)
            try:
                os.posix_fallocate(data, 0, spec.nbytes)  # a full disk shows here and not in the middle
            finally:
                os.close(data)
            _describe(part, spec, [])
        except OSError:
            _remove(part)
            raise

    def _make_room(self, needed: int) -> None:
        sizes = {folder: _size(folder) for folder in self.folder.iterdir() if folder.is_dir()}
        for folder in sorted(sizes, key=_last_use):
            if sum(sizes.values()) + needed <= self.capacity:
                return
            if _is_free(folder):
                _remove(folder)
                del sizes[folder]
        if sum(sizes.values()) + needed > self.capacity:
            raise StoreUnavailable(
                f"{self.folder}: {needed / 1e9:.2f} GB do not fit into --feature-store-gb {self.capacity / 1e9:g} "
                "beside what is in use"
            )


def _describe(folder: Path, spec: ArraySpec, checksums: Iterable[int]) -> None:
    record = {"shape": spec.shape, "dtype": spec.dtype, "checksums": list(checksums)}
    write_text(folder / "array.json", json.dumps(record))


def _size(folder: Path) -> int:
    with suppress(OSError):
        return (folder / "data").stat().st_size
    return 0


def _last_use(folder: Path) -> float:
    with suppress(OSError):
        return (folder / "array.json").stat().st_mtime
    return 0.0


def _is_free(folder: Path) -> bool:
    """Whether nobody reads or makes it."""
    try:
        data = os.open(folder / "data", os.O_RDONLY)
    except OSError:
        return True
    try:
        fcntl.flock(data, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
    finally:
        os.close(data)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
