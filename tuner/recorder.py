"""Writes down what happens to each trial, as it happens."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from results.best_models import BestModels
from results.paths import RunPaths
from results.records import EpochRecord, TrialRecord, TrialState, write
from tuner.trial.errors import WORKER_FAILED


class Recorder(tune.Callback):
    """Keeps a record of every trial in memory and on disk.

    `on_change` is called after each change, `on_note` once with each note that comes with a result.
    """

    def __init__(
        self, paths: RunPaths, max_epochs: int, on_change: Callable[[TrialRecord], None], on_note: Callable[[str], None]
    ) -> None:
        self.trials: dict[int, TrialRecord] = {}
        self._paths = paths
        self._max_epochs = max_epochs
        self._on_change, self._on_note = on_change, on_note
        self._notes: set[str] = set()
        self._began = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps a pickle of its callbacks; whoever watches this one is no part of it."""
        return self.__dict__ | {"_on_change": _ignore, "_on_note": _ignore}

    @property
    def clock(self) -> float:
        """Seconds since the study began."""
        return time.monotonic() - self._began

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        number = trial.config["trial"]
        if number in self.trials:  # its second try
            self._set(dataclasses.replace(self.trials[number], epochs=(), features=None, reason=None))
        else:
            self._set(self._new(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        record = self.trials[trial.config["trial"]]
        if (note := result.get("note")) and note not in self._notes:
            self._notes.add(note)
            self._on_note(f"Note: {note}")
        if result.get("again"):
            self._set(dataclasses.replace(record, reason=result["failure"]))
            self._on_note(f"Note: trial {record.trial} ran {result['failure']}; it is tried again alone, at the end")
        elif "infeasible" in result:
            self._end(dataclasses.replace(record, **_footprint(result)), TrialState.INFEASIBLE, result["infeasible"])
        elif "failure" in result:
            self._end(record, TrialState.FAILED, result["failure"])
        elif not result.get("ended"):
            self._add_epoch(record, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        record = self.trials[trial.config["trial"]]
        if record.state is TrialState.RUNNING and not trial.last_result.get("again"):
            is_done = len(record.epochs) >= self._max_epochs or trial.last_result.get("ended")
            self._end(record, TrialState.DONE if is_done else TrialState.STOPPED)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        number = trial.config["trial"]
        self._end(
            self.trials.get(number) or self._new(trial), TrialState.FAILED, f"{WORKER_FAILED}: {_last_words(trial)}"
        )

    def close(self) -> None:
        """The study is over: what still runs was stopped by it.

        An epoch whose model was kept, but whose report did not arrive any more, is recorded with what was kept of it.
        """
        for kept in BestModels(self._paths.best).ranked():
            record = self.trials.get(kept.trial)  # what an interrupted run of finalists kept is none of this one's
            if record is not None and kept.epoch == len(record.epochs) + 1:
                self._add_epoch(record, kept.result)
        for record in list(self.trials.values()):
            if record.state is TrialState.RUNNING:
                waits = record.reason is not None and not record.epochs
                self._end(record, TrialState.FAILED if waits else TrialState.STOPPED, record.reason)

    def _new(self, trial: Trial) -> TrialRecord:
        given = trial.config
        return TrialRecord(
            given["trial"], TrialState.RUNNING, given["configuration"], started=self.clock, seed=given.get("seed")
        )

    def _add_epoch(self, record: TrialRecord, result: Mapping[str, Any]) -> None:
        names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds")
        epoch = EpochRecord(**{name: result[name] for name in names}, ended=self.clock)
        epochs, seconds = (*record.epochs, epoch), self.clock - record.started
        measured = _footprint(result) | {"features": result.get("features")}
        if "pid" in result:  # Ray's; a result that was kept with a model has none
            measured["worker"] = f"{result['hostname']} {result['pid']}"
        self._set(dataclasses.replace(record, epochs=epochs, seconds=seconds, **measured))

    def _end(self, record: TrialRecord, state: TrialState, reason: str | None = None) -> None:
        self._set(dataclasses.replace(record, state=state, reason=reason, seconds=self.clock - record.started))
        self._paths.checkpoint(record.trial).unlink(missing_ok=True)

    def _set(self, record: TrialRecord) -> None:
        self.trials[record.trial] = record
        path = self._paths.trial_record(record.trial)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, record)
        self._on_change(record)


def _footprint(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result.get(name) for name in ("parameters", "file_bytes", "latency")}


def _last_words(trial: Trial) -> str:
    """What Ray wrote down of the end: the exception of a remote traceback, or the first line about a dead process."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    lines = [line.strip() for line in text.splitlines()[1:] if line.strip()]  # the first one counts failures
    if not lines:
        return "nothing is known of why"
    return (lines[-1] if "ray::" in lines[0] else lines[0])[:300]


def _ignore(news: TrialRecord | str) -> None:
    """Watch nothing."""
