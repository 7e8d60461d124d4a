"""How the trials of a study are trained: their shares of the machine, their precision, their limits."""

import math
from collections.abc import Sequence
from typing import TextIO

import ray

from results.wording import counted
from search_spaces.hyperparameter import Hyperparameter
from search_spaces.registry import SpaceSpec
from tuner.capacity import machines
from tuner.config import StudyConfig
from tuner.nodes import check_nodes
from tuner.packing import TRIED, configurations, measure, slots
from tuner.preparation import Preparation
from tuner.scheduler import rungs
from tuner.trainable import TrialSettings
from tuner.trial.datasets import ImageData
from tuner.trial.precision import dtype_policy, measured_here
from tuner.trial.resources import TrialResources, share_out


def trial_settings(
    config: StudyConfig, preparation: Preparation, space: Sequence[Hyperparameter], data: ImageData, terminal: TextIO
) -> TrialSettings:
    """What the options ask for, and what is best on the Ray cluster of this process where they leave it open.

    Raises:
        UserError: the cluster has less than is asked for.
    """
    if config.address:
        check_nodes(config.paths, preparation.spec, terminal)
    resources = _shared_out(config, config.gpus_per_trial)
    precision = _precision(config, preparation, resources)
    if resources.gpus and config.gpus_per_trial is None:
        resources = _packed(config, preparation.spec, space, data, dtype_policy(precision), resources, terminal)
    print(f"{counted(resources.concurrency, 'trial')} at a time, in {precision}", file=terminal, flush=True)
    return TrialSettings(
        preparation.spec, config.seed, config.max_epochs, precision, resources, config.paths,
        config.feature_store, config.feature_store_gb, config.views, config.limits(), rungs(config)[0],
    )  # fmt: skip


def _shared_out(config: StudyConfig, gpus: float | None) -> TrialResources:
    return share_out(machines(), config.cpus_per_trial, gpus, config.concurrency, config.trials)


def _packed(
    config: StudyConfig,
    spec: SpaceSpec,
    space: Sequence[Hyperparameter],
    data: ImageData,
    policy: str,
    alone: TrialResources,
    terminal: TextIO,
) -> TrialResources:
    """As many trials on each GPU as its memory holds; some are tried for it on one."""
    measuring = ray.remote(num_cpus=alone.cpus, num_gpus=1, max_calls=1)(measure)
    tried = configurations(space, config.seed)
    images, labels = data.train_images[:TRIED], data.train_labels[:TRIED]
    found = ray.get(measuring.remote(spec, tried, images, labels, policy, alone))
    if found is None:
        return alone
    cpus = min(machine.get("CPU", 0.0) / machine["GPU"] for machine in machines() if machine.get("GPU"))
    count = slots(found, cpus)
    print(f"A trial takes up to {found.peak / 1e9:.1f} of a GPU's {found.total / 1e9:.0f} GB: {count} on each",
          file=terminal, flush=True)  # fmt: skip
    return _shared_out(config, math.floor(1e4 / count) / 1e4)  # Ray rounds shares to so many digits


def _precision(config: StudyConfig, preparation: Preparation, resources: TrialResources) -> str:
    """That of all trials. On processors the preparation has measured it; a GPU is measured where trials will run."""
    if config.precision != "auto":
        return config.precision
    if not resources.gpus:
        assert preparation.precision is not None
        return preparation.precision
    measure = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_calls=1)(measured_here)
    return ray.get(measure.remote(resources))
