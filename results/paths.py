"""Every path of a run, and of what outlives it, once."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from results.run_files import DiskFiles, ObjectFiles, RunFiles, is_uri, joined, parent
from results.whole_file import UNFINISHED
from search_spaces.errors import UserError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "thaw"
"""What is kept between runs, on each node: `~` is the home folder there."""

BEST, CHECKPOINT = "best", "checkpoint.npz"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
LONGEST_NAME = 128
"""Characters; file systems allow 255 bytes, and Ray and databases put more behind it."""


def check_home() -> None:
    """See that the cache has a folder.

    Raises:
        UserError: the user has no home folder, as in a container whose user is only a number.
    """
    try:
        CACHE.expanduser()
    except RuntimeError as error:
        raise UserError(
            "HOME is not set, and this user has no home folder: set HOME to a folder, or XDG_CACHE_HOME"
        ) from error


@dataclass(frozen=True)
class RunPaths:
    """A run directory: `runs/<name>/`."""

    root: Path
    remote: str | None = None
    """A URI, where the run is kept in an object store: then `root` is this machine's copy of it."""

    @classmethod
    def of(cls, storage: Path | str, name: str) -> "RunPaths":
        """The paths of the run `name` under `storage`, a folder or a URI; a name cannot leave that folder.

        Raises:
            UserError: a name that is more than letters, digits, dots, hyphens and underscores.
        """
        if not NAME.fullmatch(name):
            raise UserError(f"--name {name!r} must be letters, digits, '.', '_' and '-', and not begin with a sign")
        if len(name) > LONGEST_NAME:
            raise UserError(f"--name {name[:20]}...: has {len(name)} characters but may have {LONGEST_NAME} at most")
        if not is_uri(str(storage)):
            return cls(Path(storage).expanduser().resolve() / name)
        remote = joined(str(storage), name)
        digest = hashlib.sha256(parent(remote).encode()).hexdigest()[:16]
        return cls(CACHE.expanduser() / "runs" / digest / name, remote)

    @classmethod
    def existing(cls, run: Path) -> "RunPaths":
        """The paths of a run that is there.

        Raises:
            UserError: the folder is missing or holds no `study.json`.
        """
        paths = cls(run.expanduser().resolve())
        if not os.path.isfile(paths.study):  # pathlib's raises for a name that is too long
            raise UserError(f"{run} is not a run directory: it has no {paths.study.name} ({paths._hint()})")
        return paths

    def _hint(self) -> str:
        """What to do where a run was expected and is none."""
        if self.is_unborn:
            return "its search had not begun: start it again without --resume, if it is not just beginning"
        if self.is_empty:
            return "it is empty: delete it, and start the search again without --resume"
        for folder in (self.root, self.root.parent):
            if found := runs_in(folder):
                return f"runs in {folder} are {', '.join(found)}"
        return "search.py prints a run's path"

    @staticmethod
    def place_of(run: str, storage: Path | str) -> str:
        """Where a run lies that is named in `storage`, or by its folder or its URI; nothing may be there."""
        if is_uri(str(storage)) and NAME.fullmatch(run):
            return joined(str(storage), run)
        inside = Path(storage).expanduser() / run
        return run if is_uri(run) else str(inside if inside.is_dir() else Path(run).expanduser())

    @property
    def files(self) -> RunFiles:
        """Where any machine of a cluster finds what trials leave behind."""
        return DiskFiles(self.root) if self.remote is None else ObjectFiles(self.remote)

    @property
    def place(self) -> str:
        """Where the run is kept."""
        return self.remote or str(self.root)

    @property
    def storage(self) -> str:
        """Where the runs lie that it is among."""
        return parent(self.remote) if self.remote else str(self.root.parent)

    @property
    def is_unborn(self) -> bool:
        """Whether a search was ended here before it had written down what it is."""
        own = (self.lock.name, self.known.name, self.images.name)
        found = [file.name for file in self.root.iterdir()] if os.path.isdir(self.root) else []
        return bool(found) and all(name in own or name.startswith((self.log.name, UNFINISHED)) for name in found)

    @property
    def is_empty(self) -> bool:
        """Whether it is a folder without anything in it."""
        return os.path.isdir(self.root) and not any(self.root.iterdir())

    @property
    def name(self) -> str:
        """The run's name, which is also the name of its Optuna study."""
        return self.root.name

    @property
    def label(self) -> str:
        """What to call it among others: `runs/NAME`, or `NAME/finalists`."""
        return "/".join(self.root.parts[-2:])

    @property
    def study(self) -> Path:
        """The study's record: options, versions, machine, data."""
        return self.root / "study.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal storage."""
        return self.root / "study.journal"

    @property
    def known(self) -> Path:
        """The trials of earlier runs that the study began with."""
        return self.root / "known.json"

    @property
    def images(self) -> Path:
        """The study's images, where they were given as arrays."""
        return self.root / "images.npz"

    def source(self, recorded: str) -> str:
        """Where the study's images are: a run that holds them itself may have been moved since that was recorded."""
        return str(self.images) if self.images.is_file() else recorded

    @property
    def lock(self) -> Path:
        """Held by the program that works on the run."""
        return self.root / ".lock"

    @property
    def ray(self) -> Path:
        """Ray Tune's own folder, while it runs; nothing in it is ever read."""
        return self.root / ".ray"

    @property
    def log(self) -> Path:
        """What Ray and the training library printed."""
        return self.root / "search.log"

    @property
    def trials(self) -> Path:
        """A folder a trial."""
        return self.root / "trials"

    def trial(self, number: int) -> Path:
        """One trial's folder."""
        return self.trials / trial_name(number)

    def trial_record(self, number: int) -> Path:
        """One trial's record."""
        return self.trial(number) / "trial.json"

    def checkpoint(self, number: int) -> Path:
        """What one trial needs to go on in another process; `checkpoint_name` among the run's `files`."""
        return self.root / self.checkpoint_name(number)

    @staticmethod
    def checkpoint_name(number: int) -> str:
        """From the run's folder on."""
        return f"trials/{trial_name(number)}/{CHECKPOINT}"

    def activity(self, number: int) -> Path:
        """What the worker of one trial does now; it goes with all that is unfinished when the trials end."""
        return self.trial(number) / f"{UNFINISHED}activity"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's logs: a folder a trial, those of the finalists in `finalists/`."""
        return self.root / "tensorboard"

    @property
    def best(self) -> Path:
        """The few best models; `BEST` among the run's `files`."""
        return self.root / BEST

    @property
    def finalists(self) -> "RunPaths":
        """The finalists: trials and models of their own."""
        return self.within("finalists")

    @property
    def handed_over(self) -> "RunPaths":
        """The search's own model, where no finalist was trained: later trials of the search do not displace it here."""
        return self.within("handed_over")

    @property
    def retrained(self) -> "RunPaths":
        """The winner trained on the validation images too."""
        return self.within("retrained")

    def within(self, *folder: str) -> "RunPaths":
        """A run within the run."""
        return RunPaths(self.root.joinpath(*folder), self.remote and joined(self.remote, *folder))

    @property
    def test(self) -> Path:
        """What the test split said."""
        return self.root / "test.json"

    @property
    def examples(self) -> Path:
        """A few images of the test split, for the report."""
        return self.root / "examples"

    @property
    def leaderboard(self) -> Path:
        """A row a trial, best first."""
        return self.root / "leaderboard.csv"

    @property
    def report(self) -> Path:
        """The report page."""
        return self.root / "report.html"

    @property
    def report_text(self) -> Path:
        """The report in Markdown."""
        return self.root / "report.md"


def runs_in(storage: Path) -> list[str]:
    """The names of the runs in a folder."""
    return sorted(file.parent.name for file in storage.glob("*/study.json")) if os.path.isdir(storage) else []


def trial_name(number: int) -> str:
    """A trial's name in folders and in Ray: `trial-0007`."""
    return f"trial-{number:04d}"
