"""Trials ranked, as a pandas DataFrame, and those that failed by their reason."""

from collections.abc import Iterable, Sequence

import pandas as pd

from results.records import UNCOUNTED, TrialRecord, TrialState

MEASURES = (
    "rank", "trial", "state", "val_accuracy", "best_epoch", "epochs", "seconds", "parameters", "size_mb", "latency_ms",
)  # fmt: skip
REASON = "reason"


def leaderboard(trials: Sequence[TrialRecord], hyperparameters: Sequence[str]) -> pd.DataFrame:
    """A row a trial, best first: `MEASURES`, then a column for each hyperparameter (empty where it is not active).

    Rank is by validation accuracy at the best epoch; of equals the lower trial number leads. A trial without a
    finished epoch has no rank and comes last. A hyperparameter that is named like a measure is told apart from it.
    """
    rows = [_row(rank, trial, hyperparameters) for rank, trial in enumerate(best_first(trials), start=1)]
    frame = pd.DataFrame(rows, columns=[*MEASURES, *map(_column, hyperparameters)])
    return frame.convert_dtypes()  # so that whole numbers stay whole in a column with gaps


def best_first(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials by the validation accuracy of their best epochs; of equals the lower number leads."""
    return sorted(trials, key=lambda trial: (-trial.accuracy, trial.trial))


def with_reasons(frame: pd.DataFrame, trials: Sequence[TrialRecord]) -> pd.DataFrame:
    """A leaderboard with a last column `REASON`: why a trial failed, was infeasible or lost a worker, else empty."""
    reasons = {trial.trial: trial.reason for trial in trials}
    return frame.assign(**{REASON: frame["trial"].map(reasons).astype("string")})


def hyperparameter_columns(frame: pd.DataFrame) -> list[str]:
    """The columns of a leaderboard that hold hyperparameters, in declared order."""
    return frame.columns[len(MEASURES) :].tolist()


def failures(trials: Sequence[TrialRecord]) -> dict[str, list[int]]:
    """The trials that failed, were infeasible or skipped: numbers by "failed: reason", the most frequent first."""
    found: dict[str, list[int]] = {}
    for trial in trials:
        if trial.state in (TrialState.FAILED, *UNCOUNTED):
            reason = f"{trial.state.lower()}: {trial.reason or 'no reason was recorded'}"
            found.setdefault(reason, []).append(trial.trial)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _column(hyperparameter: str) -> str:
    return f"hyperparameter {hyperparameter}" if hyperparameter in (*MEASURES, REASON) else hyperparameter


def _row(rank: int, trial: TrialRecord, hyperparameters: Sequence[str]) -> dict[str, object]:
    best = trial.best_epoch
    measures: dict[str, object] = {
        "rank": rank if best else None,
        "trial": trial.trial,
        "state": trial.state.value,
        "val_accuracy": round(best.val_accuracy, 6) if best else None,
        "best_epoch": best.epoch if best else None,
        "epochs": len(trial.epochs),
        "seconds": round(trial.seconds, 2),
        "parameters": trial.parameters,
        "size_mb": None if trial.file_bytes is None else round(trial.file_bytes / 1e6, 3),
        "latency_ms": None if trial.latency is None else round(trial.latency, 3),
    }
    return measures | {_column(name): trial.configuration.get(name) for name in hyperparameters}
