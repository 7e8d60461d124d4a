"""A search in a process of its own, that tests may break and take up again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import optuna
import optuna.storages.journal
import pytest

from results.paths import RunPaths
from results.records import TrialRecord, TrialState, read_study, read_trials
from results.run_files import is_uri

ROOT = Path(__file__).parents[2]
IS_LONG = os.environ.get("FAULTS") == "long"
only_long = pytest.mark.skipif(not IS_LONG, reason="takes minutes: make faults")
OVER = (TrialState.DONE, TrialState.STOPPED)


class BrokenSearch:
    """One run in a folder of its own, session by session.

    Args:
        folder: where to work.
        options: of search.py, the same in all sessions.
        epoch_seconds: how long an epoch sleeps.
        storage: from the folder on, or a URI.
        prefix: before the command, such as one that runs it elsewhere.
        environment: of the driver.
    """

    def __init__(
        self,
        folder: Path,
        *options: object,
        epoch_seconds: float | None = None,
        storage: str = "runs",
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self._options = folder, [str(option) for option in options]
        self._storage = storage
        self.paths = RunPaths.of(storage if is_uri(storage) else folder / storage, "one")
        shutil.copy(Path(__file__).with_name("counted.py"), folder / "counted.py")
        self.sessions = 0
        self._environment = os.environ | {"EPOCHS_LOG": str(folder / "epochs.log"), "PYTHONUNBUFFERED": "1"}
        self._environment |= environment or {}
        self._prefix = list(prefix)
        if epoch_seconds is not None:
            self._environment["EPOCH_SECONDS"] = str(epoch_seconds)

    def start(self, *more: object, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin it, or take it up again if it has begun."""
        command = [
            *self._prefix,
            sys.executable,
            str(ROOT / "scripts" / "search.py"),
            "--name",
            "one",
            "--no-dashboard",
        ]
        command += ["--storage", self._storage]
        if self.paths.study.is_file():
            command += ["--resume", "--space", read_study(self.paths).options["space"]]
        else:
            command += ["--data", "digits", "--image-size", "8", "--finalists", "0", *self._options]
        own = self._environment | {"SESSION": str(self.sessions)} | (environment or {})
        self.sessions += 1
        return subprocess.Popen(
            [*command, *map(str, more)], cwd=self.folder, env=own, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_interruptible,
        )  # fmt: skip

    def finish(self, *more: object, status: int = 0, environment: Mapping[str, str] | None = None) -> str:
        """A session that nobody disturbs: what it printed."""
        running = self.start(*more, environment=environment)
        printed, _ = running.communicate(timeout=3600 if IS_LONG else 500)
        assert running.returncode == status, printed
        return printed

    def trials(self) -> list[TrialRecord]:
        return read_trials(self.paths)

    def wait_for_epochs(self, running: subprocess.Popen[str], count: int) -> None:
        """Until so many are written down."""
        while sum(len(trial.epochs) for trial in self.trials()) < count:
            assert running.poll() is None, running.communicate()[0]
            time.sleep(0.05)

    def epochs(self) -> dict[int, list[tuple[int, int]]]:
        """Of each configuration, by its x: the sessions and numbers of the epochs that were begun."""
        found = defaultdict(list)
        for line in (self.folder / "epochs.log").read_text().splitlines():
            session, x, epoch = map(int, line.split())
            found[x].append((session, epoch + 1))
        return found

    def optuna_states(self) -> list[str]:
        storage = optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(str(self.paths.journal))
        )  # fmt: skip
        return [trial.state.name for trial in optuna.load_study(study_name="one", storage=storage).trials]


def _interruptible() -> None:
    """A shell that started the tests in the background has SIGINT ignored, which is inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def kill(running: subprocess.Popen[str]) -> None:
    """End the driver as a crash would, and wait until what it started has followed it."""
    family = list(descendants(running.pid))
    running.kill()
    running.wait()
    if running.stdout is not None:
        running.stdout.close()
    until = time.monotonic() + 60
    while left := [pid for pid in family if is_alive(pid) and "agent" not in command_of(pid).lower()]:
        # Ray's own agents look for their raylet now and then only, and end up to two minutes later.
        assert time.monotonic() < until, f"{[command_of(pid) for pid in left]} outlive the driver"
        time.sleep(0.1)


def workers(running: subprocess.Popen[str]) -> list[int]:
    """The processes that train, as Ray calls them."""
    return [pid for pid in descendants(running.pid) if command_of(pid).startswith("ray::WarmTrial")]


def descendants(pid: int) -> Iterator[int]:
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            child, rest = stat.read_text().split(" ", 1)
        except OSError:
            continue
        children[int(rest.rpartition(") ")[2].split()[1])].append(int(child))
    found = list(children[pid])
    for one in found:
        yield one
        found += children[one]


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
