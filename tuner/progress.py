"""How far trials have got, kept as they change, so that no answer looks at all of them."""

import heapq
from collections import Counter
from collections.abc import Sequence

from results.records import TO_GO_ON, UNCOUNTED, TrialRecord, TrialState


class Progress:
    """The trials of a study; it may be asked by another thread than the one that tells it of changes.

    Args:
        known: those that there are already.
        leaders: how many of the best are kept.
    """

    def __init__(self, known: Sequence[TrialRecord], leaders: int) -> None:
        self.counts: Counter[TrialState] = Counter()
        """Trials by their states."""
        self.best: TrialRecord | None = None
        """With the highest validation accuracy; of equals the lower number."""
        self._count = leaders
        self._states: dict[int, TrialState] = {}
        self._running: dict[int, TrialRecord] = {}
        self._leaders: list[TrialRecord] = []
        for record in known:
            self.put(record)

    def put(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended."""
        if (before := self._states.get(record.trial)) is not None:
            self.counts[before] -= 1
        self.counts[record.state] += 1
        self._states[record.trial] = record.state
        if record.best_epoch and (self.best is None or _order(record) >= _order(self.best)):
            self.best = record
        others = [one for one in self._leaders if one.trial != record.trial]
        if record.state is TrialState.RUNNING:
            self._running[record.trial] = record
        else:
            self._running.pop(record.trial, None)
            others.append(record)
        self._leaders = heapq.nlargest(self._count, others, key=_order)

    @property
    def ended(self) -> int:
        """How many are over; what is infeasible or skipped does not count."""
        return sum(count for state, count in self.counts.items() if state not in (*TO_GO_ON, *UNCOUNTED))

    def shown(self) -> list[TrialRecord]:
        """Those that run, the best first, and then the best of the others; no more than there are leaders."""
        running = heapq.nlargest(self._count, list(self._running.values()), key=_order)
        return [*running, *self._leaders][: self._count]


def _order(trial: TrialRecord) -> tuple[float, int]:
    return trial.accuracy, -trial.trial
