"""A run that is kept in an object store, and this machine's copy of it.

Trials put their checkpoints and models there themselves. The driver writes all else into the copy, as it does where a
run is kept on a disk, and a `Mirror` sends it after them. So nothing but the driver's last seconds is lost with its
machine, and any other one goes on.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from results.hold import HOLDER, Hold
from results.paths import BEST, CHECKPOINT, RunPaths
from results.records import TO_GO_ON, TrialRecord, read
from results.run_files import PATIENCE, ObjectFiles, StoredFile, is_uri, parent
from results.whole_file import REMEDY, UNFINISHED, Unwritable
from search_spaces.errors import UserError

AT_ONCE = 16
"""Files that are asked for at a time."""
PERIOD, SHARE, LONGEST = 2.0, 0.05, 20.0
"""Seconds between two looks at what has changed; more, up to so many, where looking would take a larger share."""
HURRY = 10.0
"""Seconds for what is left to be sent, where somebody has pressed Ctrl+C."""
REMEDIES = {
    "NO_SUCH_BUCKET": "make that bucket first, or name another one",
    "wrong version number": "a server without TLS is named with &scheme=http",
    "": "see that it is there, and that you may write there",
}
"""By what an error says; the last one fits all."""


def existing_run(run: str | os.PathLike[str]) -> RunPaths:
    """A run that is there, named by its folder or its URI; of one in an object store what there is of it, by now.

    Raises:
        UserError: there is none, or the store is out of reach.
    """
    if not is_uri(str(run)):
        return RunPaths.existing(Path(run))
    uri = str(run)
    return fetched(RunPaths.of(parent(uri), PurePosixPath(urlsplit(uri).path).name))


def fetched(paths: RunPaths) -> RunPaths:
    """The same, once this machine's copy has what the store has; without what trials need to go on.

    Raises:
        UserError: there is no such run, or the store is out of reach.
    """
    assert paths.remote is not None
    with _told(paths.remote):
        stored = ObjectFiles(paths.remote, patience=0).all()
        if not any(file.name == paths.study.name for file in stored):
            if paths.study.is_file():  # the store has never had it, or has lost it: what is here is sent again
                return paths
            raise UserError(f"{paths.remote} is not a run directory: it has no {paths.study.name}")
        paths.root.mkdir(parents=True, exist_ok=True)
        with suppress(Timeout), FileLock(paths.lock, blocking=False):  # a program that works on the run is ahead of it
            _bring(paths, [file for file in stored if not file.name.endswith((CHECKPOINT, HOLDER))])
            for folder in (paths, paths.finalists, paths.retrained):
                _forget_models(folder.best, paths.root, stored)
    return paths


def is_stored(paths: RunPaths) -> bool:
    """Whether the store has a run there.

    Raises:
        UserError: it is out of reach.
    """
    assert paths.remote is not None
    with _told(paths.remote), ObjectFiles(paths.remote, patience=0).reading(paths.study.name) as found:
        return found is not None


def bring_models(paths: RunPaths, patience: float = PATIENCE) -> None:
    """Let the copy's best models be those of the store.

    Raises:
        OSError: it is out of reach, for so many seconds.
    """
    if paths.remote is not None:
        stored = ObjectFiles(paths.remote, patience).inside(BEST).all()
        found = [StoredFile(f"{BEST}/{file.name}", file.changed) for file in stored]
        _bring(paths, found)
        _forget_models(paths.best, paths.root, found)


def _bring(paths: RunPaths, stored: list[StoredFile]) -> None:
    files = paths.files
    assert isinstance(files, ObjectFiles)

    def bring(file: StoredFile) -> None:
        own = paths.root / file.name
        if not own.resolve().is_relative_to(paths.root.resolve()):
            raise UserError(f"{paths.remote} has a file {file.name!r}, which would lie elsewhere: do not trust it")
        if not _is_newer(file, own):
            return
        own.parent.mkdir(parents=True, exist_ok=True)
        if files.get(file.name, own):
            os.utime(own, (file.changed.timestamp(), file.changed.timestamp()))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(bring, stored))


def _is_newer(file: StoredFile, own: Path) -> bool:
    with suppress(FileNotFoundError):
        return own.stat().st_mtime < file.changed.timestamp()
    return True


def _forget_models(folder: Path, root: Path, stored: list[StoredFile]) -> None:
    """Of models in a folder of the copy, those that the store has no more: better ones took their places."""
    there = {root / file.name for file in stored}
    for file in folder.glob("trial-*"):
        if file not in there:
            file.unlink(missing_ok=True)


class Mirror(threading.Thread):
    """Sends what changes in a run's copy to its store while the block lasts: records at once, the rest at its end.

    While the store is out of reach it waits, and says so once. The run is held meanwhile. Where another machine has
    taken it over, because this one was cut off for too long, nothing more is sent, and the main thread is interrupted,
    as by Ctrl+C.

    Args:
        paths: of a run with a `remote`.
        say: told in words what goes wrong.

    Raises:
        UserError: another machine works on the run, or has taken it over; the store is out of reach, or refuses to
            take a file.
    """

    def __init__(self, paths: RunPaths, say: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        assert paths.remote is not None
        self._paths, self._say = paths, say
        self._files = ObjectFiles(paths.remote, patience=0)
        self._sent: dict[str, tuple[int, int]] = {}
        self._over = threading.Event()
        self._hold = Hold(self._files)
        self._until_end = ExitStack()
        self._is_told = self._is_new = False

    def __enter__(self) -> "Mirror":
        with _told(self._files.uri), ExitStack() as held:
            held.enter_context(self._hold)
            stored = self._files.all()
            self._is_new = not any(file.name == self._paths.study.name for file in stored)
            if self._is_new:  # the models of a run that the store has lost; of a new one there are none yet
                for model in self._paths.root.rglob(f"{BEST}/*"):
                    self._files.put(model, str(model.relative_to(self._paths.root)))
            for file in stored:
                own = self._paths.root / file.name
                if own.is_file() and not own.stat().st_mtime > file.changed.timestamp():
                    self._sent[file.name] = _state(own)
            self._until_end = held.pop_all()
        self.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        with self._until_end:
            self._over.set()
            self.join()
            if not self._is_new or any(self._paths.trials.glob("*/trial.json")):
                is_hurried = isinstance(kind, type) and issubclass(kind, KeyboardInterrupt)
                self._finish(HURRY if is_hurried else PATIENCE)
            else:  # no trial has begun: nothing is left behind
                with suppress(OSError):
                    for name in self._sent if self._hold.confirm() else ():
                        self._files.remove(name)

    def run(self) -> None:
        """Until the block ends."""
        while not self._over.is_set():
            began = time.monotonic()
            try:
                if not self._hold.confirm():
                    self._interrupt()
                    return
                self._send_changed(is_last=False)
                self._is_told = False
            except OSError as error:
                if not self._is_told:
                    self._is_told = True
                    self._say(f"Note: --storage is out of reach; the search goes on and sends again: {_short(error)}")
            self._over.wait(min(max(PERIOD, (time.monotonic() - began) / SHARE), LONGEST))

    def _interrupt(self) -> None:
        main = threading.main_thread().ident
        if main is not None and not self._over.is_set():
            signal.pthread_kill(main, signal.SIGINT)  # unlike _thread.interrupt_main, this wakes who waits

    def _finish(self, patience: float) -> None:
        """All that is left; the store may be out of reach for so many seconds."""
        end = time.monotonic() + patience
        while True:
            try:
                if not self._hold.confirm():
                    raise Unwritable(
                        f"--storage {self._files.uri}: {self._hold.taken_by} works on this run now; this one has ended"
                    )
                self._send_changed(is_last=True)
                return
            except OSError as error:
                if time.monotonic() > end:
                    raise Unwritable(
                        f"--storage {self._files.uri}: {_short(error)}. The run is whole in {self._paths.root}, from "
                        f"where --resume sends it. {REMEDY}"
                    ) from error
                time.sleep(PERIOD)

    def _send_changed(self, is_last: bool) -> None:
        changed = []
        for name, file in self._own(is_last):
            with suppress(FileNotFoundError):  # taken away meanwhile
                if (state := _state(file)) != self._sent.get(name):
                    changed.append((name, file, state))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._send, changed))

    def _send(self, changed: tuple[str, Path, tuple[int, int]]) -> None:
        name, file, state = changed
        is_over = file.name == "trial.json" and _is_over(file)  # asked before: what is sent may say so a moment later
        with suppress(FileNotFoundError):
            self._files.put(file, name)
        self._sent[name] = state
        if is_over:
            self._files.remove(f"{name.removesuffix(file.name)}{CHECKPOINT}")  # after its record: it is over for all

    def _own(self, is_last: bool) -> Iterator[tuple[str, Path]]:
        """What the driver writes; models and checkpoints are the trials' own."""
        for folder, folders, files in os.walk(self._paths.root):
            folders[:] = [name for name in folders if name not in (BEST, self._paths.ray.name)]
            for name in files:
                file = Path(folder, name)
                is_own = name not in (CHECKPOINT, self._paths.lock.name) and not name.startswith(UNFINISHED)
                if is_own and (is_last or name.endswith(".json") or file == self._paths.images):
                    yield str(file.relative_to(self._paths.root)), file


def _is_over(record: Path) -> bool:
    with suppress(UserError):  # a damaged one
        return read(record, TrialRecord).state not in TO_GO_ON
    return False


def _state(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_mtime_ns, about.st_size


@contextmanager
def _told(uri: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remedy = next((remedy for sign, remedy in REMEDIES.items() if sign in str(error)), REMEDIES[""])
        raise UserError(f"--storage {uri}: {_short(error)}; {remedy}") from error


def _short(error: OSError) -> str:
    return str(error.strerror or error).partition(" (Request ID")[0]
