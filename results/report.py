"""The report of a run, finished or still going: a CSV file and one self-contained HTML page."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from results.figures import learning_curves, progress, svg
from results.hyperparameter_figures import against_accuracy
from results.importance import FEWEST, importance_bars, importances
from results.leaderboard import failures, leaderboard
from results.paths import RunPaths
from results.records import StudyRecord, TrialRecord, TrialState, read_study, read_trials
from results.whole_file import write_text
from results.wording import TITLES, cell, counted, duration, next_commands, percent, stored_features
from search_spaces.configuration import shown

ENDINGS = {
    "DONE": "done",
    "STOPPED": "stopped early",
    "RUNNING": "still running",
    "FAILED": "failed",
    "INFEASIBLE": "infeasible",
}


def write_report(paths: RunPaths) -> None:
    """Write `leaderboard.csv` and `report.html` from the records of a run.

    Raises:
        UserError: a record cannot be read.
    """
    study, trials = read_study(paths), read_trials(paths)
    frame = leaderboard(trials, study.hyperparameters)
    write_text(paths.leaderboard, frame.to_csv(index=False))
    write_text(paths.report, page(paths, study, trials, frame))


def page(paths: RunPaths, study: StudyRecord, trials: Sequence[TrialRecord], frame: pd.DataFrame) -> str:
    """The whole page; everything that came from a user is escaped by the template."""
    environment = Environment(
        loader=PackageLoader("results"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, duration=duration, counted=counted, shown=shown)
    best = _best(trials, frame)
    return environment.get_template("report.html").render(
        study=study,
        started=f"{datetime.fromisoformat(study.started):%Y-%m-%d %H:%M %Z}",
        best=best,
        trials=trials,
        states=_states(trials),
        legend=_legend(trials),
        features=stored_features(trials),
        running=sum(trial.state is TrialState.RUNNING for trial in trials),
        seconds=max((trial.started + trial.seconds for trial in trials), default=0.0),
        commands=next_commands(paths) if best else (),
        figures=_figures(trials, best, frame) if best else None,
        table=_table(frame),
        failures=failures(trials),
        options=dict(_flat(study.options)),
        machine=dict(_flat(study.machine)),
        run=paths.root,
    )


@dataclass(frozen=True)
class Figures:
    """The drawings of a run in which at least one epoch was finished."""

    progress: Markup
    curves: Markup
    hyperparameters: Mapping[str, Markup]
    importance: Markup | None
    """None where there is too little to tell; then the page says so."""
    fewest: int = FEWEST


def _figures(trials: Sequence[TrialRecord], best: TrialRecord, frame: pd.DataFrame) -> Figures:
    shares = importances(frame)
    panels = against_accuracy(frame).items()
    return Figures(
        progress=Markup(svg(progress(trials), "progress")),
        curves=Markup(svg(learning_curves(trials, best.trial), "curves")),
        hyperparameters={name: Markup(svg(panel, f"hyperparameter {name}")) for name, panel in panels},
        importance=None if shares is None else Markup(svg(importance_bars(shares), "importance")),
    )


def _best(trials: Sequence[TrialRecord], frame: pd.DataFrame) -> TrialRecord | None:
    first = frame[frame["rank"] == 1]["trial"].tolist()
    return next((trial for trial in trials if trial.trial in first), None)


def _states(trials: Sequence[TrialRecord]) -> str:
    """`6 done, 10 stopped early`."""
    counts = Counter(trial.state.value for trial in trials)
    return ", ".join(f"{counts[state]} {ending}" for state, ending in ENDINGS.items() if counts[state])


def _legend(trials: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    """The states that the figures show: colour and text."""
    drawn = {trial.state.value for trial in trials if trial.epochs}
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


def _setting(name: str, value: Any) -> str:
    if name.endswith("memory") and isinstance(value, float):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if value is None or isinstance(value, bool):
        return {None: "not set", True: "yes", False: "no"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
