"""A study with a simulated clock: W workers, curves that are known, the real searcher and scheduler of a method."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from benchmarks.search_quality.curves import Curves
from search_spaces.configuration import Configuration

Decision = Literal["go on", "stop", "pause"]

REDUCTION_FACTOR = 3
"""Of every method that stops or pauses trials."""


class Method(Protocol):
    """A searcher with its scheduler, as the simulator drives them."""

    def next(self) -> tuple[str, Configuration] | None:
        """A trial for a free worker: a new one, or a paused one that goes on; None while there is none."""

    def report(self, trial: str, epoch: int, accuracy: float, seconds: float) -> Decision:
        """One epoch has ended, `seconds` after the trial's first one began. The last one is to be told "stop"."""


@dataclass
class History:
    """What a simulated study came to."""

    improvements: list[tuple[float, float]] = field(default_factory=list)
    """When the best accuracy so far was reached, and which."""
    trials: int = 0
    epochs: int = 0

    @property
    def best(self) -> float:
        """At the end of the budget."""
        return self.improvements[-1][1]


def simulate(method: Method, curves: Curves, workers: int, budget: float) -> History:
    """Run until the clock, in the curves' seconds, is beyond the budget. Deciding and proposing take no time."""
    history = History()
    for clock, accuracy in _accuracies(method, curves, workers, budget, history):
        if not history.improvements or accuracy > history.best:
            history.improvements.append((clock, accuracy))
    return history


def _accuracies(
    method: Method, curves: Curves, workers: int, budget: float, history: History
) -> Iterator[tuple[float, float]]:
    clock, free, order = 0.0, workers, 0
    ends: list[tuple[float, int, str]] = []  # of the epochs that are being trained; `order` breaks ties
    epochs: dict[str, int] = {}
    configurations: dict[str, Configuration] = {}

    def begin_epoch(trial: str) -> None:
        nonlocal order
        epoch = epochs[trial] + 1
        before = curves.at(configurations[trial], epoch - 1)[1] if epoch > 1 else 0.0
        order += 1
        heapq.heappush(ends, (clock + curves.at(configurations[trial], epoch)[1] - before, order, trial))

    while True:
        while free and (given := method.next()) is not None:
            trial, configurations[given[0]] = given
            history.trials += trial not in epochs
            epochs.setdefault(trial, 0)
            free -= 1
            begin_epoch(trial)
        if not ends:
            raise RuntimeError("the method proposes nothing although all workers are free")
        clock, _, trial = heapq.heappop(ends)
        if clock > budget:
            return
        epochs[trial] += 1
        history.epochs += 1
        accuracy, seconds = curves.at(configurations[trial], epochs[trial])
        yield clock, accuracy
        decision = method.report(trial, epochs[trial], accuracy, seconds)
        if decision == "go on" and epochs[trial] < curves.max_epochs:
            begin_epoch(trial)
        else:
            free += 1
