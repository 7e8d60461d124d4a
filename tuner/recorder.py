"""Writes down what happens to each trial, as it happens, beside the search."""

import dataclasses
import errno
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from results.best_models import BestModels, SavedModel
from results.paths import BEST, RunPaths
from results.records import EpochRecord, TrialRecord, TrialState, write
from results.wording import duration, printable
from search_spaces.causes import cause_in
from search_spaces.errors import UserError
from tuner.clock import StudyClock
from tuner.ending import Ending
from tuner.retries import Retries
from tuner.trial.errors import NO_NEWS, WORKER_FAILED
from tuner.writer import Writer


class Recorder(tune.Callback):
    """Keeps a record of every trial in memory and on disk, and ends those that are silent for too long.

    Args:
        paths: of the run.
        max_epochs: of a trial.
        clock: the study's.
        ending: told when a record cannot be written.
        retries: says which trials go on when their worker is lost.
        on_change: called after each change.
        on_note: called once with each note that comes with a result.
        known: trials that have records.
        timeout: seconds that a trial may train without an epoch.
        on_written: called with a record once the disk has it, by another thread.
    """

    def __init__(
        self,
        paths: RunPaths,
        max_epochs: int,
        clock: StudyClock,
        ending: Ending,
        retries: Retries,
        on_change: Callable[[TrialRecord], None],
        on_note: Callable[[str], None],
        known: Sequence[TrialRecord] = (),
        timeout: float | None = None,
        on_written: Callable[[TrialRecord], None] = lambda record: None,
    ) -> None:
        self.trials = {trial.trial: trial for trial in known}
        self._paths = paths
        self._max_epochs = max_epochs
        self._clock = clock
        self._ending, self._retries = ending, retries
        self._writer = Writer(ending)
        self._unwritten: dict[int, TrialRecord] = {}
        """Of each trial whose record on the disk is not the last one, that one."""
        self._on_change, self.say, self._on_written = on_change, on_note, on_written
        self._timeout = timeout
        self._notes: set[str] = set()
        self._heard: dict[int, float] = {}
        """When a trial that trains was last heard of."""

    def __getstate__(self) -> dict[str, Any]:
        """Ray Tune keeps a pickle of its callbacks, and reads it never."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Ray calls this several times a second."""
        if self._timeout is None:
            return
        silent = [number for number, heard in self._heard.items() if self._clock() - heard > self._timeout]
        for trial in [trial for trial in trials if trial.config["trial"] in silent] if silent else []:
            if (actor := trial.temporary_state.ray_actor) is not None:
                self._heard.pop(trial.config["trial"])
                self._retries.give_up(
                    trial.config["trial"], f"{NO_NEWS} {duration(self._timeout)} (--trial-timeout): it hung"
                )
                ray.kill(actor)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        known = self.trials.get(trial.config["trial"])  # it goes on
        self._heard[trial.config["trial"]] = self._clock()
        if known:
            self._set(dataclasses.replace(known, state=TrialState.RUNNING, reason=None))
        else:  # before it leaves anything else: where a search dies, its number is not another trial's next time
            self._set(self._new(trial), at_once=True)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        record = self.trials[trial.config["trial"]]
        self._heard[record.trial] = self._clock()
        if (note := result.get("note")) and note not in self._notes:
            self._notes.add(note)
            self.say(f"Note: {note}")
        if "unwritable" in result:
            self._ending.unwritable = self._ending.unwritable or result["unwritable"]
        elif result.get("again"):
            self._set(dataclasses.replace(record, reason=_plain(result["failure"])))
            self.say(f"Note: trial {record.trial} ran {result['failure']}; it is tried again alone, at the end")
        elif "infeasible" in result:
            self._end(dataclasses.replace(record, **_footprint(result)), TrialState.INFEASIBLE, result["infeasible"])
        elif "too_long" in result:
            reason = (
                f"it would have taken about {duration(result['too_long'])} to the end of epoch {result['to_epoch']}"
            )
            self._end(dataclasses.replace(record, **_footprint(result)), TrialState.SKIPPED, reason)
        elif "failure" in result:
            self._end(record, TrialState.FAILED, result["failure"])
        elif not result.get("ended"):
            for one in (*result.get("before", ()), result):
                self._add_epoch(self.trials[record.trial], one)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        record = self.trials[trial.config["trial"]]
        self._heard.pop(record.trial, None)
        if record.state is TrialState.RUNNING and not trial.last_result.get("again"):
            is_done = len(record.epochs) >= self._max_epochs or trial.last_result.get("ended")
            self._end(record, TrialState.DONE if is_done else TrialState.STOPPED)
        _forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        number = trial.config["trial"]
        self._heard.pop(number, None)
        record = dataclasses.replace(self.trials.get(number) or self._new(trial), lost=self._retries.lost(number))
        reason = f"{WORKER_FAILED}: {_last_words(trial)}"
        if self._retries.allows(number):
            self._set(record)
            self.say(f"Note: trial {number}: {reason} It goes on from epoch {len(record.epochs)} in another one")
        else:
            self._end(record, TrialState.FAILED, self._retries.reason(number) or reason)
        _forget(trial)

    def close(self) -> None:
        """The search is over: what still runs was cut off by it.

        An epoch whose model was kept, but whose report did not arrive any more, is recorded with what was kept of it.
        """
        try:
            for kept in self._kept():
                record = self.trials.get(kept.trial)  # what an interrupted run of finalists kept is none of this one's
                if record is not None and record.state is TrialState.RUNNING and kept.epoch == len(record.epochs) + 1:
                    self._add_epoch(record, kept.result)
            for record in list(self.trials.values()):
                if record.state is TrialState.RUNNING and not record.driver:
                    self._cut_off(record)
        finally:
            self.flush()

    def _cut_off(self, record: TrialRecord) -> None:
        """A trial that the time was too short for has nothing to go on from; a finalist's has to be trained."""
        state, reason = TrialState.INTERRUPTED, record.reason
        if self._ending.is_time_up and not record.epochs and record.seed is None and not record.reason:
            state, reason = TrialState.SKIPPED, "the time was up before its first epoch"
        self._set(dataclasses.replace(record, state=state, reason=reason, seconds=self._seconds(record)))

    def flush(self) -> None:
        """Wait until all is written that can be."""
        for trial in list(self._unwritten):  # also what could not be written before
            self._writer.put(partial(self._write, trial))
        self._writer.close()

    def _kept(self) -> list[SavedModel]:
        """What the index of models tells; if that is damaged, nothing: how the search ended is to be told first."""
        try:
            return BestModels(self._paths.files.inside(BEST)).ranked()
        except (UserError, OSError) as error:
            print(error, file=sys.stderr)
            return []

    def take(self, record: TrialRecord) -> None:
        """Write down what another driver says of one of its trials."""
        self._set(record)

    def _new(self, trial: Trial) -> TrialRecord:
        given = trial.config
        return TrialRecord(
            given["trial"], TrialState.RUNNING, given["configuration"], started=self._clock(), seed=given.get("seed")
        )

    def _add_epoch(self, record: TrialRecord, result: Mapping[str, Any]) -> None:
        """Unless it is known: a trial that goes on begins with its last result, or from before that."""
        if result["epoch"] <= len(record.epochs):
            return
        names = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
        measures = {name: result[name] for name in names}
        measures |= {f"{split}cross_entropy": result.get(f"{split}categorical_crossentropy") for split in ("", "val_")}
        epoch = EpochRecord(epoch=int(result["epoch"]), **measures, ended=self._clock())
        epochs, seconds = (*record.epochs, epoch), self._seconds(record)
        measured = _footprint(result) | {"features": result.get("features")}
        if "pid" in result:  # Ray's; a result that was kept with a model has none
            measured["worker"] = f"{result['hostname']} {result['pid']}"
        self._set(dataclasses.replace(record, epochs=epochs, seconds=seconds, **measured))

    def _end(self, record: TrialRecord, state: TrialState, reason: str | None = None) -> None:
        self._set(dataclasses.replace(record, state=state, reason=_plain(reason), seconds=self._seconds(record)))
        self._writer.put(partial(self._forget_checkpoint, record.trial))

    def _seconds(self, record: TrialRecord) -> float:
        return self._clock() - record.started

    def _set(self, record: TrialRecord, at_once: bool = False) -> None:
        self.trials[record.trial] = self._unwritten[record.trial] = record
        if at_once:
            with self._ending.guarded():
                self._write(record.trial)
        else:
            self._writer.put(partial(self._write, record.trial))
        self._on_change(record)

    def _write(self, trial: int) -> None:
        """As it is by now: where a disk is slow, several changes are written at once."""
        record = self._unwritten.pop(trial, None)
        if record is None:
            return
        path = self._paths.trial_record(trial)
        try:
            path.parent.mkdir(exist_ok=True)  # and not its parents: where a disk was, a folder would take its place
            write(path, record)
        except Exception as error:
            self._unwritten.setdefault(trial, record)  # unless there is a later one
            if isinstance(error, OSError):
                raise
            raise OSError(errno.EINVAL, f"{type(error).__name__}: {error}", str(path)) from error
        self._on_written(record)

    def _forget_checkpoint(self, trial: int) -> None:
        """Once its record says that it is over."""
        if trial not in self._unwritten:
            self._paths.checkpoint(trial).unlink(missing_ok=True)


def _plain(reason: str | None) -> str | None:
    return None if reason is None else printable(reason)


def _forget(trial: Trial) -> None:
    """Ray keeps the statistics of each of a trial's thirty metrics, 50 KB a trial, for questions that nobody asks."""
    trial.metric_analysis.clear()
    trial.metric_n_steps.clear()


def _footprint(result: Mapping[str, Any]) -> dict[str, Any]:
    """What was kept with a model is in floats."""
    counts = {name: result.get(name) for name in ("parameters", "file_bytes")}
    whole = {name: None if count is None else int(count) for name, count in counts.items()}
    return whole | {name: result.get(name) for name in ("latency", "latency_spread")}


def _last_words(trial: Trial) -> str:
    """What Ray wrote down of the end: the exception of a remote traceback, or the first line about a dead process."""
    text = Path(trial.error_file).read_text(encoding="utf-8") if trial.error_file else ""
    lines = [line.strip() for line in text.splitlines()[1:] if line.strip()]  # the first one counts failures
    if not lines:
        return "nothing is known of why"
    return cause_in(text.partition("\n")[2]) if "ray::" in lines[0] else lines[0][:300]
