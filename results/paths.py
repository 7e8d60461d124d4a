"""Every path of a run, and of what outlives it, once."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from results.whole_file import UNFINISHED
from search_spaces.errors import UserError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "thaw"
"""What is kept between runs, on each node: `~` is the home folder there."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class RunPaths:
    """A run directory: `runs/<name>/`."""

    root: Path

    @classmethod
    def of(cls, storage: Path, name: str) -> "RunPaths":
        """The paths of the run `name` under `storage`; a name cannot leave that folder.

        Raises:
            UserError: a name that is more than letters, digits, dots, hyphens and underscores.
        """
        if not NAME.fullmatch(name):
            raise UserError(f"--name {name!r} must be letters, digits, '.', '_' and '-', and not begin with a sign")
        return cls(storage.expanduser().resolve() / name)

    @classmethod
    def existing(cls, run: Path) -> "RunPaths":
        """The paths of a run that is there.

        Raises:
            UserError: the folder is missing or holds no `study.json`.
        """
        paths = cls(run.expanduser().resolve())
        if not paths.study.is_file():
            why = "search.py prints a run's path"
            if paths.is_unborn:
                why = "its search had not begun: start it again without --resume, if it is not just beginning"
            raise UserError(f"{run} is not a run directory: it has no {paths.study.name} ({why})")
        return paths

    @staticmethod
    def folder_of(run: str, storage: Path) -> Path:
        """Where a run lies that is named in `storage`, or by its folder; nothing may be there."""
        inside = storage.expanduser() / run
        return inside if inside.is_dir() else Path(run).expanduser()

    @property
    def is_unborn(self) -> bool:
        """Whether a search was ended here before it had written down what it is."""
        own = (self.lock.name, self.known.name)
        found = [file.name for file in self.root.iterdir()] if self.root.is_dir() else []
        return bool(found) and all(name in own or name.startswith((self.log.name, UNFINISHED)) for name in found)

    @property
    def name(self) -> str:
        """The run's name, which is also the name of its Optuna study."""
        return self.root.name

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
        """What one trial needs to go on in another process."""
        return self.trial(number) / "checkpoint.npz"

    @property
    def best(self) -> Path:
        """The few best models."""
        return self.root / "best"

    @property
    def finalists(self) -> "RunPaths":
        """The finalists: trials and models of their own."""
        return RunPaths(self.root / "finalists")

    @property
    def retrained(self) -> "RunPaths":
        """The winner trained on the validation images too."""
        return RunPaths(self.root / "retrained")

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


def trial_name(number: int) -> str:
    """A trial's name in folders and in Ray: `trial-0007`."""
    return f"trial-{number:04d}"
