"""A whole study in this very process: Ray's part is played by a loop, all else is real.

Trials run one after another, in the trainable that Ray would drive, and no scheduler stops any.
"""

import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from results.paths import RunPaths, trial_name
from tuner.preparation import Request, prepare
from tuner.recorder import Recorder
from tuner.trainable import TrialSettings, WarmTrial
from tuner.trial.datasets import ImageData

MACHINE = {"CPU": 1.0}


class OneProcess:
    """Runs studies here until it is told to press Ctrl+C."""

    def __init__(self) -> None:
        self.results_until_interrupt: int | None = None
        """After so many results of trials the next study is interrupted, as by Ctrl+C."""

    def run_trials(
        self,
        paths: RunPaths,
        searcher: Any,
        scheduler: object,
        recorder: Recorder,
        settings: TrialSettings,
        data: ImageData,
        ending: Any,
        others: Sequence[object] = (),
    ) -> None:
        """As `tuner.experiment.run_trials`."""
        paths.trials.mkdir(exist_ok=True)
        worker: WarmTrial | None = None
        try:
            for number in map(str, itertools.count()):
                config = searcher.suggest(number)
                if config == Searcher.FINISHED or ending.stop_all():
                    break
                assert config is not None, "one trial at a time always has room"
                (paths.trials / trial_name(config["trial"])).mkdir(exist_ok=True)
                worker = _worker(worker, config, settings, data)
                self._run(worker, number, searcher, recorder)
        finally:
            if worker is not None:
                worker.cleanup()
            recorder.close()
        ending.check()

    def _run(self, worker: WarmTrial, number: str, searcher: Any, recorder: Recorder) -> None:
        trial: Any = SimpleNamespace(config=worker.config, last_result={}, metric_analysis={}, metric_n_steps={})
        recorder.on_trial_start(0, [trial], trial)
        began = time.monotonic()
        while not trial.last_result.get("done"):
            trial.last_result = worker.step() | {"time_total_s": time.monotonic() - began}
            recorder.on_trial_result(0, [trial], trial, trial.last_result)
            self._count()
            if not trial.last_result["done"]:
                searcher.on_trial_result(number, trial.last_result)
        searcher.on_trial_complete(number, trial.last_result)
        recorder.on_trial_complete(0, [trial], trial)

    def _count(self) -> None:
        if self.results_until_interrupt is not None:
            self.results_until_interrupt -= 1
            if not self.results_until_interrupt:
                self.results_until_interrupt = None
                raise KeyboardInterrupt


def _worker(worker: WarmTrial | None, config: dict[str, Any], settings: TrialSettings, data: ImageData) -> WarmTrial:
    if worker is None:
        worker = WarmTrial.__new__(WarmTrial)  # without Ray's own constructor, which wants a cluster
        worker.config = config
        worker.setup(config, settings, data)
    else:
        worker.config = config
        worker.reset_config(config)
    return worker


class _Preparer:
    """As `tuner.preparation.Preparer`, without a child process."""

    def send(self, request: Request) -> None:
        self._request = request

    def result(self) -> Any:
        return prepare(self._request)


@contextmanager
def _preparer() -> Iterator[_Preparer]:
    yield _Preparer()


def _remote(**resources: object) -> Callable[[Callable[..., Any]], Any]:
    return lambda function: SimpleNamespace(remote=function)


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> OneProcess:
    """Let `run_study` and its like run here; TensorFlow has computed here already and takes no thread settings."""
    found = OneProcess()
    for place in ("tuner.search.run_trials", "tuner.finalists.run_trials"):
        monkeypatch.setattr(place, found.run_trials)
    for place in ("tuner.trainable.prepare_process", "tuner.test_split.prepare_process"):
        monkeypatch.setattr(place, lambda resources: None)
    monkeypatch.setattr("ray.remote", _remote)
    monkeypatch.setattr("ray.get", lambda found: found)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": MACHINE}])
    monkeypatch.setattr("ray.cluster_resources", lambda: MACHINE)
    monkeypatch.setattr("tuner.cluster.cluster", lambda config, terminal: nullcontext())
    monkeypatch.setattr("tuner.study.Preparer", _preparer)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    return found
