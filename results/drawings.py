"""All drawings of a run's report, as they stand on the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from results.evaluation_figures import calibration
from results.figures import NARROW, learning_curves, progress, svg, timeline, training_curves
from results.finalists import Finalist
from results.hyperparameter_figures import against_accuracy, varied_columns
from results.importance import FEWEST, importance_bars, importances
from results.parallel_coordinates import MOST_NARROW, parallel_coordinates
from results.records import TestRecord, TrialRecord
from results.tradeoffs import cost_of_accuracy, thawed_layers


@dataclass(frozen=True)
class Both:
    """A drawing for screens, and one of the same for phones."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class Drawings:
    """The drawings of a run in which at least one epoch was finished; None or empty where there is nothing to draw."""

    progress: Markup
    curves: Markup
    timeline: Both
    winner: Mapping[str, Markup]
    calibration: Markup | None
    trials: "TrialDrawings | None"
    """None with fewer than `fewest` ranked trials, of which two or three dots would say nothing."""
    fewest: int = FEWEST


@dataclass(frozen=True)
class TrialDrawings:
    """What compares trials by their configurations."""

    hyperparameters: Mapping[str, Markup]
    rare: Sequence[str]
    """Hyperparameters that varied in too few trials to be drawn."""
    parallel: Both | None
    importance: Markup | None
    thawed: Mapping[str, Markup]
    costs: Mapping[str, Markup]


def draw(
    trials: Sequence[TrialRecord],
    frame: pd.DataFrame,
    rungs: Sequence[int],
    winner: TrialRecord,
    finalists: Sequence[Finalist],
    test: TestRecord | None,
) -> Drawings:
    """The `winner` is the trial of the search that stands out; drawn are its runs as a finalist, if it was one."""
    runs = next((list(one.runs.values()) for one in finalists if one.trial == winner.trial), [winner])
    return Drawings(
        progress=_element(progress(trials), "progress"),
        curves=_element(learning_curves(trials, winner.trial, rungs), "curves"),
        timeline=Both(_element(timeline(trials), "timeline"), _element(timeline(trials, NARROW), "narrow timeline")),
        winner={name: _element(training_curves(runs, name), f"winner {name}") for name in (_loss(runs), "accuracy")},
        calibration=None if test is None else _element(calibration(test.evaluation), "calibration"),
        trials=_of_trials(frame) if frame["val_accuracy"].notna().sum() >= FEWEST else None,
    )


def _loss(runs: Sequence[TrialRecord]) -> str:
    """What is drawn as the loss: without penalties and smoothing, where all epochs have it so."""
    known = all(epoch.val_cross_entropy is not None for run in runs for epoch in run.epochs)
    return "cross_entropy" if known else "loss"


def _of_trials(frame: pd.DataFrame) -> TrialDrawings:
    shares = importances(frame)
    panels = _elements(against_accuracy(frame), "hyperparameter")
    return TrialDrawings(
        hyperparameters=panels,
        rare=[name for name in varied_columns(frame) if name not in panels],
        parallel=_parallel(frame, shares),
        importance=None if shares is None else _element(importance_bars(shares), "importance"),
        thawed=_elements(thawed_layers(frame), "thawed"),
        costs=_elements(cost_of_accuracy(frame), "costs"),
    )


def _parallel(frame: pd.DataFrame, shares: pd.Series | None) -> Both | None:
    wide = parallel_coordinates(frame, shares)
    narrow = parallel_coordinates(frame, shares, NARROW, MOST_NARROW)
    if wide is None or narrow is None:
        return None
    return Both(_element(wide, "parallel"), _element(narrow, "narrow parallel"))


def _elements(figures: Mapping[str, Figure], kind: str) -> dict[str, Markup]:
    return {name: _element(figure, f"{kind} {name}") for name, figure in figures.items()}


def _element(figure: Figure, name: str) -> Markup:
    return Markup(svg(figure, name))
