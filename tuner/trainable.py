"""The Ray face of training: one warm worker that trains trial after trial.

The training library is imported once a worker and the data fetched once from the object store; between trials Keras
is cleared. A trial that fails reports its reason and leaves the worker as warm as it was.
"""

from __future__ import annotations

import gc
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray._private.ray_constants import LOG_PREFIX_ACTOR_NAME
from ray._raylet import setproctitle  # type: ignore[attr-defined]

from results.best_models import BestModels
from results.paths import BEST, RunPaths, trial_name
from results.whole_file import Unwritable, unwritable
from results.wording import counted
from search_spaces.errors import UserError
from search_spaces.registry import SpaceSpec
from tuner.activity import Activity
from tuner.trial.datasets import ImageData
from tuner.trial.errors import Infeasible, OutOfMemory, TooLong, TrialFailure
from tuner.trial.limits import Limits
from tuner.trial.precision import dtype_policy
from tuner.trial.resources import TrialResources, clear_process, prepare_process

if TYPE_CHECKING:
    import keras_tuner

    from tuner.trial.checkpoint import Checkpoint
    from tuner.trial.features import Features
    from tuner.trial.footprint import Footprints
    from tuner.trial.traced import TracedModels
    from tuner.trial.training import Training

MEASURES = ("parameters", "file_bytes", "latency", "latency_spread")
THOROUGH = 20
"""Trials after which a worker forgets what makes it faster too, lest it grow."""


@dataclass(frozen=True)
class TrialSettings:
    """What is the same for all trials of a study."""

    spec: SpaceSpec
    seed: int
    max_epochs: int
    precision: str
    resources: TrialResources
    run: RunPaths
    """Where each trial leaves its checkpoint, and the best ones their models."""
    feature_store: Path
    feature_store_gb: float
    views: int
    limits: Limits
    first_rung: int = 1
    """The epoch up to which a trial that was drawn is worth nothing."""
    kept: int = 3
    """Models that are kept there at most."""


class WarmTrial(tune.Trainable):
    """A Ray trial whose config is {"trial": number, "configuration": {...}} and whose step is an epoch.

    Where the config has "left", seconds from now on, a trial that would not end its first epoch in them ends with
    "too_long", how long it would take, and "to_epoch", the epoch; with "most" too, seconds that may be left once it
    trains, one that would not reach its first rung.

    Where the config has a "seed" too, it stands for the study's. With "until" the trial ends after that epoch, and the
    model of its last epoch is kept rather than of its best one. After each epoch but the last one a trial leaves a
    checkpoint in its folder; where there is one when it begins, it goes on from there, and its first result is the
    last one of before, with those "before" it: what was heard of them may have been lost.

    A result has "epoch", the training's metrics, "parameters", "file_bytes", "latency" and "latency_spread" of its
    model (`Footprints`) and, where frozen layers are computed once, "features", the seconds to find or compute them so
    far; or, when the trial has failed, "failure" with the reason, and "again" if it ran out of memory on a GPU that it
    shared: then it is worth another try, alone, for which its config says "alone"; or "infeasible" with the limit that
    its model is beyond, and "value" with what it has. A trial that ended before its last epoch, of its own accord,
    repeats its last result with "ended". "note", where there is one, is something that the user should know of the
    worker. A result with "unwritable" alone says which file of the run could not be written, and why: what was to be
    kept of that epoch is lost, so the epoch is as if it had not been trained.
    """

    def setup(  # type: ignore[override]  # tune.with_parameters gives the rest
        self, config: dict[str, Any], settings: TrialSettings, data: ImageData
    ) -> None:
        """Begin the worker; the library is loaded in the first step.

        While Ray waits for a worker to be set up, it gives the trial to any other that has become free, and throws the
        new one away: so this must be quick.
        """
        self._given = self._began = time.monotonic()
        self._settings = settings
        self._data = data
        self._files = settings.run.files
        self._best = BestModels(self._files.inside(BEST), settings.kept)
        self._space: keras_tuner.HyperModel | None = None
        self._features: Features | None = None
        self._traced: TracedModels | None = None
        self._training: Training | None = None
        self._activity = self._new_activity()
        self._footprints: Footprints | None = None
        self._footprint: dict[str, float] = {}
        self._watched = 1
        self._trials = 1
        self._results: list[dict[str, Any]] = []
        self._broken: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """What Ray calls this worker in its dashboard; it asks once, when the worker is there."""
        return f"{self._settings.run.label} from {self._called} on"

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Make room for the worker's next trial; Ray has put its config into `self.config`."""
        self.cleanup()
        self._given = time.monotonic()
        self._training = self._broken = None
        self._activity = self._new_activity()
        self._results = []
        if self._space is not None:
            self._trials += 1
            clear_process(self._trials % THOROUGH == 0)
        return True

    def cleanup(self) -> None:
        """End the training that waits in its thread; Ray calls this at the end of the worker too."""
        if self._training is not None:
            self._training.close()

    def step(self) -> dict[str, Any]:
        """One epoch."""
        if ray.is_initialized():
            setproctitle(
                f"ray::{type(self).__name__} {self._called} of {self._settings.run.label}"
            )  # Ray takes it back
        if self._broken is not None:
            return self._broken
        try:
            if self._training is None:  # here and not in setup: a model that cannot be built is a trial that fails
                self._training = self._begin()
                self._watch(self._training)
                if self._results:  # measured anew it might be another, and beyond a limit
                    *before, last = self._results
                    self._footprint = {name: last[name] for name in MEASURES if name in last}
                    return last | {"before": before, "done": False}
                self._footprint = self._measured(self._training)
            self._activity.now(f"epoch {self._training.epoch + 1}")
            epoch = self._training.run_epoch()
            if epoch is None:
                return self._ended(self._training)
            self._results.append(epoch | self._footprint | self._of_features())
            return self._kept(self._training, self._results[-1]) | self._noted()
        except Infeasible as infeasible:
            found = {"infeasible": str(infeasible), "value": infeasible.value} | infeasible.measured
            return found | {"val_accuracy": math.nan, "done": True}
        except TooLong as slow:
            return {
                "too_long": slow.seconds,
                "to_epoch": self._watched,
                "val_accuracy": math.nan,
                "done": True,
            } | self._footprint
        except TrialFailure as failure:
            shares = 0 < self._settings.resources.gpus < 1 and not self.config.get("alone")
            again = {"again": True} if shares and isinstance(failure, OutOfMemory) else {}
            return {"failure": str(failure), "val_accuracy": math.nan, "done": True} | again
        except Unwritable as error:
            # Ray may ask for a further epoch before it ends the trial: after a gap there is none.
            self._broken = {"unwritable": str(error), "val_accuracy": math.nan}
            return self._broken

    def _kept(self, training: Training, result: dict[str, Any]) -> dict[str, Any]:
        """An epoch's result, when all that is to outlive this process has been written."""
        is_last = result["epoch"] >= self._last_epoch
        if "until" not in self.config or is_last:
            self._offer(training, result)
        if not is_last:
            with self._writing(), self._files.writing(self._checkpoint) as file:
                training.checkpoint(self._results).write(file)
        return result | {"done": is_last}

    @property
    def _last_epoch(self) -> int:
        return self.config.get("until", self._settings.max_epochs)

    def _offer(self, training: Training, result: dict[str, float]) -> None:
        with self._writing(), _damage_told():
            self._best.offer(self.config["trial"], result, training.save_model)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Unwritable(unwritable(error, self._settings.run.place)) from error

    @property
    def _called(self) -> str:
        return trial_name(self.config["trial"])

    @property
    def _checkpoint(self) -> str:
        return RunPaths.checkpoint_name(self.config["trial"])

    def _of_features(self) -> dict[str, float]:
        features = self._features
        return {"features": features.seconds} if features is not None and features.is_used else {}

    def _ended(self, training: Training) -> dict[str, Any]:
        """Ray wants a result for each step: the last one again, marked, for a trial that ended its training itself."""
        if not self._results:
            raise TrialFailure("its fit() ended without an epoch")
        if "until" in self.config:
            self._offer(training, self._results[-1])
        return self._results[-1] | {"ended": True, "done": True}

    def _found(self) -> Checkpoint | None:
        """Where the trial was when its last worker ended. A damaged checkpoint is none: the trial begins anew."""
        from tuner.trial.checkpoint import Checkpoint

        try:
            with self._writing(), self._files.reading(self._checkpoint) as file:
                return None if file is None else Checkpoint.read(file)
        except TrialFailure as failure:
            print(failure, file=sys.stderr)
            return None

    def _noted(self) -> dict[str, str]:
        warning = self._features.warning if self._features is not None else None
        return {"note": warning} if warning else {}

    def _begin(self) -> Training:
        """The trial's training: from its checkpoint on, if it has one."""
        if self._space is None:
            self._activity.now("loading Keras")
            self._space = self._warm_up()
        self._activity.now("building the model")
        self._began = time.monotonic()
        from tuner.trial.traced import TracedModels
        from tuner.trial.training import Training

        for stream in (sys.stdout, sys.stderr):  # what is printed from here on, Ray ascribes to it
            print(f"{LOG_PREFIX_ACTOR_NAME}{self._called}", file=stream)
        settings, checkpoint = self._settings, self._found()
        settings.spec.enter_folder()  # Ray has entered the trial's
        self._traced = self._traced or TracedModels()
        self._traced.begin_trial()
        if self._features is not None:
            self._features.begin_trial()
        training = Training(
            self._space,
            self.config["configuration"],
            self._data,
            settings.max_epochs,
            self.config.get("seed", settings.seed),
            dtype_policy(settings.precision),
            self._features,
            settings.views,
            self._traced,
            checkpoint,
        )
        self._results = list(map(dict, checkpoint.results))[: training.epoch] if checkpoint else []  # it may begin anew
        return training

    def _new_activity(self) -> Activity:
        return Activity(self._settings.run.activity(self.config["trial"]))

    def _watch(self, training: Training) -> None:
        """Tell how far it is, and see that it reaches its first rung in time, if there is a limit."""
        from tuner.trial.steps import Steps

        training.watch(Steps(self._activity.progress))
        if self._features is not None:
            self._features.watcher = self._tell_of_features
        self._watched = self._settings.first_rung if "most" in self.config else 1
        epochs = self._watched - training.epoch
        if "left" not in self.config or epochs <= 0:
            return
        from tuner.trial.pace import Pace

        left: float = self.config["left"]
        validation = len(self._data.validation_images) / len(self._data.train_images)
        pace = Pace(epochs, validation, self._began, self._given + left, self.config.get("most", left))
        training.watch(pace)
        if self._features is not None:

            def both(share: float) -> None:
                self._tell_of_features(share)
                pace.on_features(share)

            self._features.watcher = both

    def _tell_of_features(self, share: float) -> None:
        assert self._features is not None
        self._activity.within(f"computing features of {counted(self._features.images, 'image')}", share)

    def _measured(self, training: Training) -> dict[str, float]:
        self._activity.now("measuring the model")
        if self._footprints is None:
            from tuner.trial.footprint import Footprints

            self._footprints = Footprints(self._data.validation_images[:1], self._settings.limits)
        return training.measure(self._footprints.of)

    def _warm_up(self) -> keras_tuner.HyperModel:
        prepare_process(self._settings.resources)
        space = self._settings.spec.create()
        if self._settings.feature_store_gb:
            from tuner.trial.feature_store import FeatureStore
            from tuner.trial.features import Features

            store = FeatureStore(self._settings.feature_store.expanduser(), self._settings.feature_store_gb * 1e9)
            self._features = Features(store, self._settings.seed)
        # What is imported by now stays; without this each collection between trials looks at all of TensorFlow (0.2 s).
        gc.collect()
        gc.freeze()
        return space


@contextmanager
def _damage_told() -> Iterator[None]:
    """What another trial's model says of itself may be damaged; that is none of this one's failures."""
    try:
        yield
    except UserError as error:
        print(error, file=sys.stderr)
