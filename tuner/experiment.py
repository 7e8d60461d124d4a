"""One Ray Tune experiment: trials that a searcher suggests, trained by warm workers, each in a folder of its own."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from ray import tune
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from results.paths import RunPaths, trial_name
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
    time_budget: float | None = None,
) -> None:
    """Run until the searcher has finished, or for `time_budget` seconds; `paths.trials` becomes Ray's folder."""
    # By default Ray waits for each worker to be ready before it starts the next; our searchers keep the limit.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(settings.resources.concurrency)
    trainable = tune.with_parameters(WarmTrial, settings=settings, data=data)
    tuner = tune.Tuner(
        tune.with_resources(trainable, partial(_resources, settings.resources)),
        tune_config=tune.TuneConfig(
            search_alg=searcher,
            scheduler=scheduler,
            num_samples=-1,  # the searcher ends it
            time_budget_s=time_budget,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name=paths.trials.name,
            storage_path=str(paths.root),
            callbacks=[recorder],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    finally:
        recorder.close()


def _resources(common: TrialResources, config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """Of one trial: all of a GPU for one that is to be alone, which takes a new worker and ends the others' ones."""
    return tune.PlacementGroupFactory([{"CPU": common.cpus, "GPU": 1.0 if config.get("alone") else common.gpus}])


def _name(trial: tune.experiment.Trial) -> str:
    return trial_name(trial.config["trial"])
