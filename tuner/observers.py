"""Whoever is told of each change of a trial, beside its record: the terminal, metrics, TensorBoard, MLflow."""

import datetime
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

import ray

from results.records import StudyRecord, TrialRecord
from results.wording import from_here
from search_spaces.causes import told
from tuner.config import StudyConfig
from tuner.interrupt import StopNow
from tuner.metrics import StudyMetrics
from tuner.mlflow_runs import MlflowRuns
from tuner.monitor import Monitor
from tuner.trial.resources import TrialResources


class Observer(Protocol):
    """Shows trials somewhere. It is called in the driver's own loop, so it has to be quick."""

    def changed(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended; or it was there when the search went on."""

    def close(self) -> None:
        """There will be no further change."""


class Observers:
    """Tells each of several; one that raises is told of, once, and left alone from then on. No search ends by it.

    Args:
        say: shows a person a line.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._observers: dict[str, Observer] = {}
        self._say = say

    def add(self, name: str, make: Callable[[], Observer], known: Sequence[TrialRecord] = ()) -> None:
        """Have one more, which is told of these trials first.

        Args:
            name: what a person calls it.
            make: it.
            known: trials that have records.
        """
        with self._guarded(name):
            observer = self._observers[name] = make()
            for record in known:
                observer.changed(record)

    def changed(self, record: TrialRecord) -> None:
        """A trial began, finished an epoch, or ended."""
        for name, observer in list(self._observers.items()):
            with self._guarded(name):
                observer.changed(record)

    def close(self) -> None:
        """There will be no further change."""
        for name, observer in list(self._observers.items()):
            with self._guarded(name):
                observer.close()

    @contextmanager
    def _guarded(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._observers.pop(name, None)
            traceback.print_exc(file=sys.stderr)
            with suppress(OSError):
                self._say(f"Note: {name} ended by {told(error)}. The search goes on without it")


def links(config: StudyConfig) -> list[str]:
    """Where a person finds what the observers write."""
    found = []
    if config.tensorboard:
        found.append(f"TensorBoard: tensorboard --logdir {shlex.quote(str(from_here(config.paths.tensorboard)))}")
    if config.mlflow:
        found.append(f"MLflow: experiment {config.paths.name} at {config.mlflow}")
    return found


@contextmanager
def observed(
    config: StudyConfig,
    study: StudyRecord,
    resources: TrialResources,
    monitor: Monitor,
    known: Sequence[TrialRecord],
    stage: str = "",
) -> Iterator[Observers]:
    """All who watch a study's trials, or those of a later stage of it; told first of those that there are already.

    Args:
        config: says who.
        study: whose trials.
        resources: of one trial.
        monitor: the terminal, which knows those.
        known: trials that have records.
        stage: such as "finalists".
    """
    paths = config.paths
    name, folder = (f"{paths.name}, {stage}", paths.tensorboard / stage) if stage else (paths.name, paths.tensorboard)
    began = datetime.datetime.fromisoformat(study.started)
    made: dict[str, Callable[[], Observer]] = {
        "metrics": lambda: StudyMetrics(name, ray.cluster_resources().get("GPU", 0.0), resources.gpus)
    }
    if config.tensorboard:
        from tuner.tensorboard_logs import TensorBoardLogs  # takes half a second

        made["--tensorboard"] = lambda: TensorBoardLogs(folder, began)
    if (uri := config.mlflow) is not None:
        tags = {"thaw.study": paths.name, "thaw.started": study.started, "thaw.stage": stage or "search"}
        made["--mlflow"] = lambda: MlflowRuns(uri, paths.name, tags, began, monitor.say)
    observers = Observers(monitor.say)
    for called, make in made.items():
        observers.add(called, make, known)
    observers.add("the live table", lambda: monitor)
    try:
        yield observers
    finally:
        if not isinstance(sys.exception(), StopNow):  # else nobody wants to wait
            observers.close()
