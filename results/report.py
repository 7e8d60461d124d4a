"""The report of a run, finished or still going: a CSV file, a page in Markdown and one self-contained HTML page."""

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from results import commands
from results.best import best_trial, next_commands
from results.description import in_words
from results.drawings import draw
from results.evaluation_figures import confusion_rows
from results.finalists import Finalist, failed, outcome, ranked
from results.leaderboard import failures, hyperparameter_columns, leaderboard, with_reasons
from results.paths import RunPaths
from results.records import (
    UNCOUNTED,
    StudyRecord,
    TestRecord,
    TrialRecord,
    TrialState,
    read_study,
    read_test,
    read_trials,
)
from results.whole_file import write_text
from results.wording import (
    TITLES,
    cell,
    cost,
    counted,
    duration,
    elapsed,
    percent,
    plain,
    stored_features,
)
from search_spaces.configuration import Configuration, differing, shown

ENDINGS = {
    "DONE": "done",
    "STOPPED": "stopped early",
    "INTERRUPTED": "interrupted",
    "RUNNING": "still running",
    "FAILED": "failed",
    "INFEASIBLE": "infeasible",
    "SKIPPED": "skipped",
}
ROWS = 200
"""Of the leaderboard on the page; `leaderboard.csv` has all."""
WORST = 5
"""Pairs of classes that are named."""


@dataclass(frozen=True)
class Results:
    """All that is known of a run."""

    paths: RunPaths
    study: StudyRecord
    trials: Sequence[TrialRecord]
    again: Sequence[TrialRecord]
    """The trainings of finalists."""
    test: TestRecord | None

    @classmethod
    def read(cls, paths: RunPaths) -> "Results":
        """From its records.

        Raises:
            UserError: one cannot be read.
        """
        return cls(paths, read_study(paths), read_trials(paths), read_trials(paths.finalists), read_test(paths))

    @cached_property
    def finalists(self) -> list[Finalist]:
        """See `ranked`."""
        return ranked(self.trials, self.again)

    @property
    def winner(self) -> TrialRecord | None:
        """The trial of the search whose configuration is handed over; None before any epoch."""
        return best_trial(self.trials, self.finalists, self.test)


def write_report(paths: RunPaths) -> None:
    """Write `leaderboard.csv`, `report.md` and `report.html` from the records of a run.

    Raises:
        UserError: a record cannot be read.
    """
    results = Results.read(paths)
    frame = leaderboard(results.trials, results.study.hyperparameters)
    write_text(paths.leaderboard, with_reasons(frame, results.trials).to_csv(index=False))
    context = _context(results, frame)
    write_text(paths.report, environment().get_template("report.html").render(context))
    write_text(paths.report_text, environment().get_template("report.md").render(context))


def is_missing(paths: RunPaths) -> bool:
    """Whether there are trials and no report: who wrote them was killed, or still works."""
    return not paths.report.is_file() and any(paths.trials.glob("*/trial.json"))


def environment() -> Environment:
    """Where templates come from; everything that came from a user is escaped by them."""
    found = Environment(
        loader=PackageLoader("results"),
        autoescape=lambda name: name is None or not name.endswith(".md"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(percent=percent, duration=duration, counted=counted, shown=shown, plain=plain)
    return found


def _context(results: Results, frame: pd.DataFrame) -> dict[str, Any]:
    study, trials, finalists, test = results.study, results.trials, results.finalists, results.test
    winner = results.winner
    table = _table(frame.head(ROWS))
    return {
        "study": study,
        "started": f"{datetime.fromisoformat(study.started):%Y-%m-%d %H:%M %Z}",
        "winner": winner,
        "configuration": _configuration(study, winner),
        "in_words": in_words(winner.configuration) if winner else "",
        "trials": trials,
        "finalists": finalists,
        "sentences": outcome(finalists, test, len(study.test_openings)),
        "failed_finalists": failures(failed(results.again)),
        "test": test,
        "confusion": test and confusion_rows(test.evaluation),
        "mistaken": test.evaluation.mistaken(WORST) if test else (),
        "examples": _examples(results),
        "trials_told": _told(trials, study.options.get("trials")),
        "legend": _legend(trial for trial in trials if trial.epochs),
        "has_unknown_workers": not all(trial.worker for trial in trials),
        "all_states": _legend(trials),
        "features": stored_features(trials),
        "running": sum(trial.state is TrialState.RUNNING for trial in trials),
        "seconds": elapsed(trials),
        "finalists_seconds": elapsed(results.again),
        "cost": cost(study, [*trials, *results.again]),
        "commands": next_commands(results.paths, winner, finalists) if winner else (),
        "repeat": winner and commands.once_more(study, winner, results.paths.source(study.data.source)),
        "again": commands.report(commands.named(results.paths)),
        "decide": commands.finalists_of(results.paths),
        "figures": draw(trials, frame, study.rungs, winner, finalists, test) if winner else None,
        "table": table,
        "hyperparameters": len(hyperparameter_columns(frame)),
        "rows": min(ROWS, len(frame)),
        "failures": failures(trials),
        "options": dict(_flat(study.options)),
        "machine": dict(_flat(study.machine)),
        "run": results.paths.root,
    }


@dataclass(frozen=True)
class Shown:
    """The winner's configuration: what it changed, and what it left as the space declares it."""

    changed: Configuration
    defaults: Configuration


def _configuration(study: StudyRecord, winner: TrialRecord | None) -> Shown | None:
    if winner is None:
        return None
    changed = differing(winner.configuration, study.declared)
    defaults = {name: value for name, value in winner.configuration.items() if name not in changed}
    return Shown(changed, defaults)


@dataclass(frozen=True)
class Picture:
    """An image of the test split as the page shows it."""

    source: str
    """A data URL."""
    label: str
    called: str
    probability: float
    is_right: bool
    name: str
    """Its file, from the data's folder on; may be empty."""


def _examples(results: Results) -> list[Picture]:
    if results.test is None:
        return []
    names = results.study.data.class_names
    return [
        Picture(
            _inline(file), names[one.label], names[one.called], one.probability, one.label == one.called, one.source
        )
        for one in results.test.examples
        if (file := results.paths.examples / one.file).is_file()
    ]


def _inline(file: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def _told(trials: Sequence[TrialRecord], asked: int | None) -> str:
    """`16: 6 done, 10 stopped early`; with how many were asked for, where there are fewer: `4 of 12 asked for: ...`."""
    counts = Counter(trial.state.value for trial in trials)
    tried = sum(trial.state not in UNCOUNTED for trial in trials)
    number = f"{tried} of {asked} asked for" if asked and tried < asked else str(len(trials))
    endings = ", ".join(f"{counts[state]} {ending}" for state, ending in ENDINGS.items() if counts[state])
    return f"{number}: {endings}" if endings else number


def _legend(trials: Iterable[TrialRecord]) -> list[tuple[str, str]]:
    """The states of trials as a figure shows them: colour and text."""
    drawn = {trial.state.value for trial in trials}
    return [(state.lower(), ending) for state, ending in ENDINGS.items() if state in drawn]


@dataclass(frozen=True)
class Column:
    """One column of the page's leaderboard, as text."""

    title: str
    numeric: bool
    cells: tuple[str, ...]


def _table(frame: pd.DataFrame) -> list[Column]:
    return [
        Column(
            TITLES.get(name, name),
            is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name]),
            tuple(cell(name, value) for value in frame[name]),
        )
        for name in frame.columns
    ]


def _flat(nested: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as lines: `trial cpus`, `1`."""
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name} ")
        elif not name.startswith("node:"):  # how Ray names its machines
            yield f"{before}{name}".replace("_", " "), _setting(name, value)


UNITS: Mapping[str, Callable[[float], str]] = {
    "time_budget": duration,
    "trial_timeout": duration,
    "max_latency": lambda milliseconds: f"{milliseconds:g} ms an image",
    "feature_store_gb": lambda gigabytes: f"{gigabytes:g} GB",
    "max_parameters": lambda count: f"{count:,}",
}
"""How settings are written that are plain numbers in the record."""


def _setting(name: str, value: Any) -> str:
    if name in UNITS and isinstance(value, int | float):
        return UNITS[name](value)
    if name.endswith("memory") and isinstance(value, float):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if value is None or isinstance(value, bool):
        return {None: "not set", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
