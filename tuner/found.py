"""A study as its run directory tells of it: what was tried, what is best, its report, its model to use elsewhere."""

import html
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote

import pandas as pd

from results.best import Best
from results.leaderboard import leaderboard
from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, TrialState, read_study, read_trials
from results.remote import existing_run
from results.wording import counted, from_here
from search_spaces.errors import UserError
from tuner.options import names

if TYPE_CHECKING:
    from results.export import Exported

ROWS = 5
"""Of the leaderboard that a notebook shows of a study."""
FRAME = 640
"""Height in pixels of a report in a notebook."""


class Study:
    """A study that has run, or runs; each question is answered from its records as they are then.

    It needs neither Ray nor the options that the study was run with. In a notebook it shows itself.

    Args:
        paths: of the run.
    """

    def __init__(self, paths: RunPaths) -> None:
        self.paths = paths

    @classmethod
    def open(cls, run: "str | os.PathLike[str]") -> "Study":
        """The study of a run directory, such as `runs/NAME`, or `s3://BUCKET/RUNS/NAME`.

        Raises:
            UserError: there is none.
        """
        return cls(existing_run(run))

    @property
    def record(self) -> StudyRecord:
        """Its options, data, versions and machine.

        Raises:
            UserError: it is damaged.
        """
        return read_study(self.paths)

    def trials(self) -> list[TrialRecord]:
        """The record of each trial, with every epoch, by number.

        Raises:
            UserError: one is damaged.
        """
        return read_trials(self.paths)

    def leaderboard(self) -> pd.DataFrame:
        """A row a trial, best first: what was measured (`results.leaderboard.MEASURES`), then its hyperparameters.

        Raises:
            UserError: a record is damaged.
        """
        return leaderboard(self.trials(), self.record.hyperparameters)

    def best(self) -> Best:
        """What is handed over: the configuration, what is known of its accuracy, and its model.

        Raises:
            UserError: no trial has finished an epoch, or a record is damaged.
        """
        return Best.read(self.paths)

    def report(self) -> "Report":
        """Write `report.html`, `report.md` and `leaderboard.csv` anew; a notebook shows the page.

        Raises:
            UserError: a record is damaged.
        """
        from results.report import write_report

        write_report(self.paths)
        return Report(self.paths.report)

    def export(
        self,
        out: "str | os.PathLike[str]" = "model.keras",
        formats: str | Sequence[str] = "keras",
        rank: int | None = None,
        ensemble: int | None = None,
    ) -> "list[Exported]":
        """Write the best model in one or several formats, its labels and a model card, as scripts/export.py does.

        Args:
            out: the file to write, `.keras`; other formats, labels and card go beside it.
            formats: some of keras, savedmodel, onnx, litert, litert-int8, or all; a list, or with commas.
            rank: a row of the leaderboard instead of the winner.
            ensemble: so many of the finalists' models averaged into one instead.

        Returns:
            Each file as it was written, with its `path` and how it answers on images of the study.

        Raises:
            UserError: no such format or model, or `out` cannot be written.
        """
        if rank is not None and ensemble is not None:
            raise UserError(f"--rank {rank} --ensemble {ensemble}: give one of the two")
        file = Path(out)
        if file.suffix not in ("", ".keras"):
            raise UserError(f"--out {file}: must end in .keras; each of --formats puts its own ending there")
        from results.candidate import candidate
        from results.export import export_model
        from results.formats import named
        from tuner.sample import sample

        chosen = named(names("--formats", formats) if isinstance(formats, str) else formats)
        return export_model(self.paths, candidate(self.paths, rank, ensemble), file, chosen, sample(self.paths))

    def print_summary(self, file: TextIO | None = None) -> int:
        """Print the best rows, where things are and what to type next; returns a shell's exit status."""
        from results.summary import print_summary

        return print_summary(self.paths, file)

    def __fspath__(self) -> str:
        return str(self.paths.root)

    def __repr__(self) -> str:
        trials = self.trials()
        states = Counter(trial.state for trial in trials)
        ended = ", ".join(f"{states[state]} {state.lower()}" for state in TrialState if states[state])
        best = f"; {self.best().outcome}" if any(trial.epochs for trial in trials) else ""
        return f"Study {self.paths.name}: {counted(len(trials), 'trial')} ({ended or 'none yet'}){best}"

    def _repr_html_(self) -> str:
        table = self.leaderboard().head(ROWS).dropna(axis="columns", how="all").to_html(index=False, border=0)
        return f"<p>{html.escape(repr(self))}</p>{table}<p>{_link(self.paths.report)}</p>"


@dataclass(frozen=True)
class Report:
    """A report that was written: where it is, and in a notebook the page itself."""

    path: Path

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(encoding="utf-8"))
        return f'{_link(self.path)}<iframe srcdoc="{page}" width="100%" height="{FRAME}" frameborder="0"></iframe>'


def _link(file: Path) -> str:
    """As the notebook's own server finds it, if it lies below the notebook."""
    place = str(from_here(file))
    return f'<a href="{quote(place)}" target="_blank">{html.escape(place)}</a>'
