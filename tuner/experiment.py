"""One Ray Tune experiment: trials that a searcher suggests, trained by warm workers, each in a folder of its own."""

import copy
import itertools
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from results.paths import RunPaths, trial_name
from results.remote import bring_models
from results.run_files import PATIENCE
from results.whole_file import remove_unfinished
from tuner.acknowledgement import Acknowledgement
from tuner.ending import Ending
from tuner.environment import environment
from tuner.interrupt import StopNow, pressed
from tuner.log_keeper import LogKeeper
from tuner.notebook import is_notebook
from tuner.recorder import Recorder
from tuner.trainable import TrialSettings, WarmTrial
from tuner.trial.datasets import ImageData
from tuner.trial.resources import TrialResources


def run_trials(
    paths: RunPaths,
    searcher: Searcher,
    scheduler: TrialScheduler,
    recorder: Recorder,
    settings: TrialSettings,
    data: ImageData,
    ending: Ending,
    others: Sequence[tune.Callback] = (),
) -> None:
    """Run until the searcher has finished, or `ending` says so.

    Raises:
        KeyboardInterrupt: Ctrl+C was pressed; the trials have ended and are recorded.
        StopNow: it was pressed twice.
        Unwritable: what is found cannot be written any more; the trials have ended.
    """
    how = {
        # By default Ray waits for each worker to be ready before it starts the next; our searchers keep the limit.
        "TUNE_MAX_PENDING_TRIALS_PG": str(settings.resources.concurrency),
        # What Ray saves of its own state, pickles, is never read: searches are taken up again from our records.
        "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
        # A trial that is cut off goes on from its last epoch; none waits for the end of the one that it is in.
        "TUNE_FORCE_TRIAL_CLEANUP_S": "5",
        "TUNE_DISABLE_SIGINT_HANDLER": "0",
    }
    shutil.rmtree(paths.ray, ignore_errors=True)
    paths.trials.mkdir(exist_ok=True)
    trainable = tune.with_parameters(WarmTrial, settings=settings, data=data)
    trainable = tune.with_resources(trainable, partial(_resources, settings.resources))
    trainable.__qualname__ = WarmTrial.__name__  # what Ray's dashboard, logs and process titles call it
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the searcher ends it
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=paths.ray.name,
            storage_path=str(paths.root),
            stop=ending,
            callbacks=[recorder, LogKeeper(_log(paths)), Acknowledgement(recorder.say), *others],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
            progress_reporter=_Silent() if is_notebook() else None,  # Ray's own one clears the cell
        ),
    )
    try:
        with environment(how), _memory_told(), _named(paths.label):
            _fit(tuner)
    except Exception:
        recorder.flush()
        if ending.unwritable is None:  # else what Ray stumbled over is the same
            raise
    finally:
        recorder.close()
        try:
            bring_models(paths, 0.0 if pressed.is_set() else PATIENCE)
        except OSError as error:
            recorder.say(f"Note: the best models stay where they are kept, in {paths.place}: {error.strerror or error}")
        shutil.rmtree(paths.ray, ignore_errors=True)
        remove_unfinished(paths.root)
    ending.check()


class _Silent(tune.ProgressReporter):
    def should_report(self, trials: list[tune.experiment.Trial], done: bool = False) -> bool:
        return False


@contextmanager
def _memory_told() -> Iterator[None]:
    """Let Tune treat a worker that Ray ended for want of memory as what it is, a lost worker.

    Ray Tune (2.60) knows no such error, and ends the whole search by it.
    """
    known = RayActorManager._actor_task_failed

    def failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=" ".join(str(exception).split()))
        known(manager, tracked_actor_task=tracked_actor_task, exception=exception)

    RayActorManager._actor_task_failed = failed  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        RayActorManager._actor_task_failed = known  # type: ignore[method-assign]


@contextmanager
def _named(label: str) -> Iterator[None]:
    """Let workers have names on Ray's dashboard, which Tune gives to none. A worker's is its own while it lives."""
    known, numbers = RayActorManager.add_actor, itertools.count(1)

    def add(manager: RayActorManager, cls: Any, *given: Any, **more: Any) -> TrackedActor:
        named = copy.copy(cls)
        named._default_options = cls._default_options | {"name": f"{label} worker {next(numbers)}"}
        return known(manager, named, *given, **more)

    RayActorManager.add_actor = add  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        RayActorManager.add_actor = known  # type: ignore[method-assign]


def _fit(tuner: tune.Tuner) -> None:
    """Run, and raise what Ray hides: at Ctrl+C it ends the trials and returns as if all was done.

    It puts back the handler of signals that was there before its own one then, and only then. Whoever presses once more
    from then on, while all that is left is told and written, does not want to wait.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python accepts no handler
        tuner.fit()
        return

    def interrupt(*signalled: object) -> None:
        pressed.set()
        raise StopNow

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        tuner.fit()
    except KeyboardInterrupt as stop:  # Ray knows no other when a handler raises while it waits
        raise StopNow from stop
    except BaseException:
        signal.signal(signal.SIGINT, before)
        raise
    if signal.getsignal(signal.SIGINT) is interrupt:
        raise KeyboardInterrupt
    signal.signal(signal.SIGINT, before)


def _resources(common: TrialResources, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Of one trial: all of a GPU for one that is to be alone, which takes a new worker and ends the others' ones."""
    return tune.PlacementGroupFactory([{"CPU": common.cpus, "GPU": 1.0 if config.get("alone") else common.gpus}])


def _name(trial: tune.experiment.Trial) -> str:
    return trial_name(trial.config["trial"])


def _log(paths: RunPaths) -> Path:
    """Where this search prints to: a run within a run has no log of its own."""
    runs = [paths, *(RunPaths(folder) for folder in (paths.root.parent, paths.root.parent.parent))]
    return next((run.log for run in runs if run.log.is_file()), paths.log)
