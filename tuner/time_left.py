"""How long trials will still take, by the seconds that their epochs were measured to take."""

from collections.abc import Iterable

from results.records import TO_GO_ON, UNCOUNTED, TrialRecord, TrialState


class Mean:
    """A mean that is kept while values come and go; None without any."""

    def __init__(self, values: Iterable[float | None] = ()) -> None:
        self.sum, self.count = 0.0, 0
        for value in values:
            self.add(value)

    def add(self, value: float | None, times: int = 1) -> None:
        """One value more, or less with -1; None is none."""
        if value is not None:
            self.sum += times * value
            self.count += times

    def together(self, other: "Mean") -> float | None:
        """Return the mean of the values of both."""
        count = self.count + other.count
        return (self.sum + other.sum) / count if count else None


class TimeLeft:
    """Kept as trials change, so that no answer looks at all of them.

    What a worker's first trial takes to begin is left out: no other one has to load Keras.

    Args:
        trials: how many there will be.
        max_epochs: the most of one.
        expected: epochs that one is expected to be trained for.
    """

    def __init__(self, trials: int, max_epochs: int, expected: float) -> None:
        self._trials, self._max_epochs, self._expected = trials, max_epochs, expected
        self._over: dict[int, TrialRecord] = {}
        self._epochs, self._paces, self._starts = Mean(), Mean(), Mean()
        """Of those that are over."""
        self._running: dict[int, TrialRecord] = {}
        self._first: dict[str, int] = {}
        """Each worker's first trial."""
        self._at_a_time = 1

    def put(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended."""
        if record.worker is not None:
            self._first.setdefault(record.worker, record.trial)
        if (before := self._over.pop(record.trial, None)) is not None:
            self._count(before, -1)
        self._running.pop(record.trial, None)
        if record.state in TO_GO_ON:
            self._running[record.trial] = record
            running = sum(one.state is TrialState.RUNNING for one in self._running.values())
            self._at_a_time = max(self._at_a_time, running)
        elif record.state not in UNCOUNTED:
            self._over[record.trial] = record
            self._count(record, 1)

    def seconds(self) -> float | None:
        """Return the seconds until the last trial ends; None before the first epoch."""
        running = list(self._running.values())
        pace = self._paces.together(Mean(one.seconds_an_epoch for one in running))
        if pace is None:
            return None
        start = self._starts.together(Mean(map(self._start, running))) or 0.0
        # What was expected counts as one trial; one that runs will not be shorter than it is.
        epochs = Mean([self._expected, *(max(self._expected, len(one.epochs)) for one in running)])
        expected = min(self._max_epochs, self._epochs.together(epochs) or 0.0)
        going_on = [self._left(one, expected, pace, start) for one in running]
        new = max(0, self._trials - len(self._over) - len(running))
        return max([*going_on, (sum(going_on) + new * (start + expected * pace)) / self._at_a_time])

    def _count(self, record: TrialRecord, times: int) -> None:
        self._epochs.add(len(record.epochs), times)
        self._paces.add(record.seconds_an_epoch, times)
        self._starts.add(self._start(record), times)

    def _start(self, record: TrialRecord) -> float | None:
        """Seconds before its first epoch, features included; None while unknown, and of a worker's first trial."""
        pace = record.seconds_an_epoch
        if pace is None or record.worker is None or self._first.get(record.worker) == record.trial:
            return None
        return max(0.0, record.epochs[0].ended - record.started - pace)

    def _left(self, record: TrialRecord, expected: float, pace: float, start: float) -> float:
        done, own = len(record.epochs), record.seconds_an_epoch
        epochs = min(self._max_epochs - done, max(expected - done, 1))
        return epochs * (pace if own is None else own) + (0.0 if done else start)
