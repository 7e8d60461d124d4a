"""The finalists of a study: its best configurations, each trained again on several seeds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from results.records import TestRecord, TrialRecord, TrialState
from results.wording import counted, percent, points
from search_spaces.configuration import Configuration, one_line

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Finalist:
    """One configuration and what it reached, on the same validation images, from other weights and batches."""

    trial: int
    """Of the search."""
    configuration: Configuration
    searched: float
    """The validation accuracy that the search saw: it was chosen for that, so it is optimistic."""
    runs: Mapping[int, TrialRecord] = field(default_factory=dict)
    """By seed; those that finished."""
    failed: tuple[int, ...] = ()
    """Seeds on which it did not."""

    @property
    def accuracies(self) -> list[float]:
        """The validation accuracy of each run at its best epoch."""
        return [run.best_epoch.val_accuracy for run in self.runs.values() if run.best_epoch]

    @property
    def mean(self) -> float:
        """Of the runs' validation accuracies."""
        return statistics.mean(self.accuracies)

    @property
    def spread(self) -> float | None:
        """Their standard deviation; None of one run."""
        return statistics.stdev(self.accuracies) if len(self.runs) > 1 else None


@dataclass(frozen=True)
class Lead:
    """How far the winner's mean lies above the runner-up's, with the interval that holds the true difference."""

    difference: float
    low: float
    high: float

    @property
    def is_noise(self) -> bool:
        """Whether there may be none."""
        return self.low <= 0


def ranked(searched: Sequence[TrialRecord], again: Sequence[TrialRecord]) -> list[Finalist]:
    """The finalists of which at least one run finished: who failed on the fewest seeds first, then by the mean.

    Otherwise a configuration that diverges on two seeds of three and is lucky on one would win.

    Args:
        searched: the trials of the search.
        again: the trials of the finalists.
    """
    found = []
    lost = failed(again)
    for trial in searched:
        own = [run for run in again if run.configuration == trial.configuration]
        runs = {run.seed: run for run in own if run.seed is not None and run.state is TrialState.DONE}
        if runs and trial.best_epoch is not None:
            seeds = tuple(run.seed for run in own if run in lost and run.seed is not None)
            found.append(Finalist(trial.trial, trial.configuration, trial.best_epoch.val_accuracy, runs, seeds))
    return sorted(found, key=lambda finalist: (len(finalist.failed), -finalist.mean, finalist.trial))


def failed(again: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The runs of finalists that failed, and were not repeated with more luck: the last one of each seed."""
    last: dict[tuple[str, int | None], TrialRecord] = {}
    for run in again:
        name = one_line(run.configuration), run.seed
        if name not in last or last[name].state is not TrialState.DONE:
            last[name] = run
    return [run for run in last.values() if run.state in (TrialState.FAILED, TrialState.INFEASIBLE)]


def handed_over(finalists: Sequence[Finalist], test: TestRecord | None) -> int | None:
    """The trial of the search whose configuration is handed over: the one that met the test split, else the first
    finalist's; None where there is neither."""
    if test is not None:
        return test.trial
    return finalists[0].trial if finalists else None


def lead(finalists: Sequence[Finalist]) -> Lead | None:
    """Of the first over the second; None where not both have several seeds to tell noise by.

    By Tukey's honestly significant difference over all finalists, because they were put in order by these very means.
    """
    samples = [finalist.accuracies for finalist in finalists if len(finalist.runs) > 1]
    if len(samples) < 2 or any(len(finalist.runs) < 2 for finalist in finalists[:2]):
        return None
    if all(len(set(sample)) == 1 for sample in samples):  # whoever has no spread at all says nothing of noise
        return None
    from scipy.stats import tukey_hsd  # here, because it takes a second to import

    interval = tukey_hsd(*samples).confidence_interval(CONFIDENCE)
    difference = finalists[0].mean - finalists[1].mean
    return Lead(difference, float(interval.low[0, 1]), float(interval.high[0, 1]))


def outcome(finalists: Sequence[Finalist], test: TestRecord | None, openings: int) -> list[str]:
    """Who won, by how much, and what the test split said, a sentence each; nothing where neither is known.

    Args:
        finalists: the first one first; none where there was no time for one.
        test: what the test split said.
        openings: how often it was opened.
    """
    if not finalists:
        return _untrained(test, openings)
    winner, ahead = finalists[0], lead(finalists)
    spread = "" if winner.spread is None else f" ± {100 * winner.spread:.2f}"
    is_over = test is not None and test.trial == winner.trial
    sentences = [
        f"Trial {winner.trial} {'wins' if is_over else 'leads so far'}: {100 * winner.mean:.2f}{spread} % validation "
        f"accuracy, the mean of {counted(len(winner.runs), 'new seed')}; the search saw {percent(winner.searched)}"
    ]
    if ahead is not None:
        sentences.append(
            f"It is {points(ahead.difference)} ahead of trial {finalists[1].trial}, "
            f"{'which may be noise' if ahead.is_noise else 'more than noise'} "
            f"(95 % interval: {points(ahead.low)} to {points(ahead.high)})"
        )
    if test is not None:
        of = "" if is_over else f" of trial {test.trial}, for which the test split was opened before"
        sentences += _tested(test, openings, of)
    return sentences


def _untrained(test: TestRecord | None, openings: int) -> list[str]:
    """What is said where the search's own model met the test split."""
    if test is None:
        return []
    return [
        f"No finalist was trained to its end: trial {test.trial} is handed over as the search trained it, "
        "which chose it by its validation accuracy",
        *_tested(test, openings),
    ]


def _tested(test: TestRecord, openings: int, of: str = "") -> list[str]:
    """What the test split said, and whether that can be believed."""
    low, high = test.evaluation.interval
    sentences = [
        f"Test accuracy{of} {percent(test.evaluation.accuracy)} (95 % interval: {percent(low)} to {percent(high)}, "
        f"{counted(test.evaluation.images, 'image')} held out)"
    ]
    if openings > 1:
        sentences.append(f"The test split was opened {openings} times; whoever looked in between may have chosen by it")
    return sentences
