"""The study's own metrics, on the Prometheus endpoint of each node that Ray has, beside Ray's about the machine."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from ray.util import metrics

from results.records import TrialRecord, TrialState

STUDY, STATE, FEATURES = "study", "state", "features"
"""Labels."""
OFTEN = 4.0
"""Seconds after which gauges are set anew."""


class _Seen(NamedTuple):
    """What has been counted of a trial."""

    state: TrialState
    epochs: int
    seconds: float
    """Of its features."""
    is_stored: bool | None
    """Whether it trains on features; None before its first epoch tells."""

    @classmethod
    def of(cls, record: TrialRecord) -> "_Seen":
        is_stored = record.features is not None if record.epochs else None
        return cls(record.state, len(record.epochs), record.features or 0.0, is_stored)


class _Gauges:
    """Gauges as they were last set, for as long as it is open: Ray (2.60) forgets those that are not set anew.

    It reports every ten seconds those that were set since, and takes a gauge away that is missing from two reports.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[metrics.Gauge, tuple[tuple[str, str], ...]], float] = {}
        self._over = threading.Event()
        threading.Thread(target=self._repeat, daemon=True).start()

    def set(self, gauge: metrics.Gauge, value: float, tags: Mapping[str, str]) -> None:
        self._values[gauge, tuple(tags.items())] = value
        gauge.set(value, dict(tags))

    def close(self) -> None:
        self._over.set()

    def _repeat(self) -> None:
        while not self._over.wait(OFTEN):
            for gauge, tags in list(self._values):
                gauge.set(self._values[gauge, tags], dict(tags))


class StudyMetrics:
    """Keeps gauges and counters of a study up to date; a change costs as much after ten thousand trials as before one.

    Args:
        study: the name that each of them carries.
        gpus: that there are.
        gpus_per_trial: that one takes.
    """

    def __init__(self, study: str, gpus: float, gpus_per_trial: float) -> None:
        self._gpus_per_trial = gpus_per_trial
        tag, self._tag = (STUDY,), {STUDY: study}
        self._epochs = metrics.Counter("thaw_epochs", "Epochs that all trials have trained", tag)
        self._feature_seconds = metrics.Counter(
            "thaw_feature_seconds", "Seconds that workers took to find or to compute features", tag
        )
        self._best = metrics.Gauge("thaw_best_val_accuracy", "Highest validation accuracy so far, a share of 1", tag)
        self._trials = metrics.Gauge("thaw_trials", "Trials in each state", (STUDY, STATE))
        self._features = metrics.Gauge(
            "thaw_feature_trials", "Trials that trained on stored features, or without any", (STUDY, FEATURES)
        )
        self._gpus = metrics.Gauge("thaw_gpus", "GPUs of the cluster", tag)
        self._gpus_in_use = metrics.Gauge("thaw_gpus_in_use", "GPUs, or shares of them, that running trials hold", tag)
        self._gauges = _Gauges()
        self._seen: dict[int, _Seen] = {}
        self._states: Counter[TrialState] = Counter()
        self._training: set[int] = set()
        """Trials of this driver that run."""
        self._stored: Counter[bool | None] = Counter()
        self._highest = 0.0
        self._gauges.set(self._gpus, gpus, self._tag)
        self._gauges.set(self._gpus_in_use, 0.0, self._tag)
        for state in TrialState:
            self._gauges.set(self._trials, 0, self._tag | {STATE: state.lower()})

    def changed(self, record: TrialRecord) -> None:
        """Count what is new of a trial."""
        seen, now = self._seen.get(record.trial), _Seen.of(record)
        self._seen[record.trial] = now
        if seen is None or seen.state is not now.state:
            self._count_state(seen, now)
            self._count_gpus(record)
        self._count_features(seen, now)
        if (further := now.epochs - (seen.epochs if seen else 0)) > 0:
            self._epochs.inc(further, self._tag)
            accuracy = max(epoch.val_accuracy for epoch in record.epochs[-further:])
            self._highest = max(self._highest, accuracy)
            self._gauges.set(self._best, self._highest, self._tag)

    def close(self) -> None:
        """From soon on there are no more gauges of the study."""
        self._gauges.close()

    def _count_state(self, seen: _Seen | None, now: _Seen) -> None:
        self._states[now.state] += 1
        if seen is not None:
            self._states[seen.state] -= 1
        for state in (now.state, seen.state if seen else now.state):
            self._gauges.set(self._trials, self._states[state], self._tag | {STATE: state.lower()})

    def _count_gpus(self, record: TrialRecord) -> None:
        if record.state is TrialState.RUNNING and not record.driver:
            self._training.add(record.trial)
        else:
            self._training.discard(record.trial)
        self._gauges.set(self._gpus_in_use, len(self._training) * self._gpus_per_trial, self._tag)

    def _count_features(self, seen: _Seen | None, now: _Seen) -> None:
        if (further := now.seconds - (seen.seconds if seen else 0.0)) > 0:
            self._feature_seconds.inc(further, self._tag)
        before = seen.is_stored if seen else None
        if before is now.is_stored:
            return
        self._stored[now.is_stored] += 1
        self._stored[before] -= 1
        for is_stored, name in ((True, "stored"), (False, "none")):
            self._gauges.set(self._features, self._stored[is_stored], self._tag | {FEATURES: name})
