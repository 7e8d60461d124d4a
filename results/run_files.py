"""The files of a run where they are kept: on a disk, or in an object store that pyarrow knows.

What any machine of a cluster may have to read or write goes through here. A file is whole or absent in both.
"""

import datetime
import errno
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit

from results.whole_file import replacing
from search_spaces.errors import UserError

Result = TypeVar("Result")
PATIENCE = 600.0
"""Seconds for an object store to come back."""
WITHOUT_HOPE = ("ACCESS_DENIED", "NO_SUCH_BUCKET", "INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH")
"""In what an object store says: to ask again is of no use."""


class RunFiles(Protocol):
    """Files by their names from a folder on, such as `trials/trial-0007/checkpoint.npz`."""

    def inside(self, folder: str) -> "RunFiles":
        """Those of a folder in it."""

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """A path to write to; the file is there when the block ends, and as it was when it raises.

        Raises:
            OSError: it cannot be written.
        """

    def reading(self, name: str) -> AbstractContextManager[Path | None]:
        """A path to read from for the block; None if there is no such file.

        Raises:
            OSError: it cannot be read.
        """

    def names(self) -> list[str]:
        """Of the files in the folder itself; empty if there is no such folder."""

    def remove(self, name: str) -> None:
        """Take it away, if it is there."""

    def clear(self) -> None:
        """Take all of them away, those in folders too."""


@dataclass(frozen=True)
class DiskFiles:
    """On a disk, which may be one that machines share."""

    root: Path

    def inside(self, folder: str) -> "DiskFiles":
        """As `RunFiles`."""
        return DiskFiles(self.root / folder)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """As `RunFiles`."""
        path = self.root / name
        with suppress(FileExistsError):
            path.parent.mkdir()  # and not its parents: where a disk was, a folder would take its place
        with replacing(path) as temporary:
            yield temporary

    @contextmanager
    def reading(self, name: str) -> Iterator[Path | None]:
        """As `RunFiles`."""
        path = self.root / name
        yield path if path.is_file() else None

    def names(self) -> list[str]:
        """As `RunFiles`."""
        with suppress(FileNotFoundError):
            return sorted(path.name for path in self.root.iterdir() if path.is_file())
        return []

    def remove(self, name: str) -> None:
        """As `RunFiles`."""
        (self.root / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """As `RunFiles`."""
        shutil.rmtree(self.root, ignore_errors=True)


@dataclass(frozen=True)
class StoredFile:
    """One file of an object store."""

    name: str
    changed: datetime.datetime


@dataclass(frozen=True)
class ObjectFiles:
    """In an object store: Amazon's S3 and what speaks like it (`s3://`), Google's (`gs://`).

    While the store is out of reach, each call waits for it, at most `patience` seconds.
    """

    uri: str
    patience: float = PATIENCE
    _opened: list[Any] = field(default_factory=list, compare=False, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """What is opened stays in this process."""
        return {"uri": self.uri, "patience": self.patience, "_opened": []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)

    def inside(self, folder: str) -> "ObjectFiles":
        """As `RunFiles`."""
        return ObjectFiles(joined(self.uri, folder), self.patience)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """As `RunFiles`."""
        with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
            temporary = Path(folder, Path(name).name)
            yield temporary
            self.put(temporary, name)

    def put(self, file: Path, name: str) -> None:
        """Copy a file of this machine there."""
        content = file.read_bytes()

        def write(system: Any, root: str) -> None:
            with system.open_output_stream(f"{root}/{name}") as out:
                out.write(content)

        self._patiently(write)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path | None]:
        """As `RunFiles`."""
        with tempfile.TemporaryDirectory(prefix="thaw-") as folder:
            temporary = Path(folder, Path(name).name)
            yield temporary if self.get(name, temporary) else None

    def get(self, name: str, file: Path) -> bool:
        """Copy it to a file of this machine; says whether it was there."""

        def read(system: Any, root: str) -> bool:
            try:
                with system.open_input_stream(f"{root}/{name}") as stored, replacing(file) as out:
                    out.write_bytes(stored.read())
                return True
            except FileNotFoundError:
                return False

        return self._patiently(read)

    def names(self) -> list[str]:
        """As `RunFiles`."""
        return [file.name for file in self.all() if "/" not in file.name]

    def all(self) -> list[StoredFile]:
        """All files, those in folders too."""

        def look(system: Any, root: str) -> list[StoredFile]:
            from pyarrow import fs

            found = system.get_file_info(fs.FileSelector(root, allow_not_found=True, recursive=True))
            return [
                StoredFile(info.path.removeprefix(f"{root}/"), info.mtime)
                for info in found
                if info.type == fs.FileType.File
            ]

        return sorted(self._patiently(look), key=lambda file: file.name)

    def remove(self, name: str) -> None:
        """As `RunFiles`."""
        with suppress(FileNotFoundError):
            self._patiently(lambda system, root: system.delete_file(f"{root}/{name}"))

    def clear(self) -> None:
        """As `RunFiles`."""
        for file in self.all():
            self.remove(file.name)

    def _patiently(self, act: Callable[[Any, str], Result]) -> Result:
        """Do it, again and again while the store is out of reach."""
        end = time.monotonic() + self.patience
        while True:
            try:
                if not self._opened:
                    self._opened[:] = opened(self.uri)
                return act(*self._opened)
            except FileNotFoundError:
                raise
            except OSError as error:
                if time.monotonic() >= end or any(f"AWS Error {word}" in str(error) for word in WITHOUT_HOPE):
                    raise OSError(error.errno or errno.EIO, str(error), self.uri) from error
            time.sleep(1.0)


def opened(uri: str) -> tuple[Any, str]:
    """The file system of such a URI, and the path there.

    Raises:
        UserError: pyarrow knows no such one.
    """
    from pyarrow import fs  # here: it takes a third of a second, and hardly anybody needs it

    try:
        system, path = fs.FileSystem.from_uri(uri)
    except (ValueError, ImportError) as error:
        raise UserError(f"--storage {uri}: {error}; give a folder, s3://BUCKET/FOLDER or gs://BUCKET/FOLDER") from error
    return system, path.rstrip("/")


def is_uri(text: str) -> bool:
    """Whether it names an object store, and no folder of this machine."""
    return "://" in text


def joined(uri: str, *names: str) -> str:
    """Further down from there; what follows a question mark stays at the end."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(path="/".join([parts.path.rstrip("/"), *names])))


def parent(uri: str) -> str:
    """One folder up."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/").rpartition("/")[0]))
