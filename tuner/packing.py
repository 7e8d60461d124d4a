"""How many trials share one GPU: as many as its memory holds, and as there are processors to feed them."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from search_spaces.configuration import Configuration, complete
from search_spaces.hyperparameter import Hyperparameter
from search_spaces.registry import SpaceSpec
from tuner.proposal.neighbours import at_random
from tuner.trial.resources import TrialResources, prepare_process

if TYPE_CHECKING:
    import keras_tuner
    import numpy as np

SAMPLED = 3
"""Configurations drawn at random and tried for their memory, beside the default one."""
STEPS, TRIED = 2, 1024
"""Training steps of each, and the images that are enough for them."""
MARGIN, OUTSIDE = 1.25, 0.6e9
"""What is reserved for a trial: so many times the largest peak seen, and what the library's process holds beside it."""
MOST = 8
"""Trials on a GPU: kernels of more than a few processes take turns anyway."""


@dataclass(frozen=True)
class Measured:
    """Bytes of a GPU, and the most that one of the tried configurations took."""

    total: float
    peak: float


def slots(measured: Measured, cpus: float) -> int:
    """Trials for each GPU that has `cpus` processors to itself."""
    fitting = int(measured.total / (MARGIN * measured.peak + OUTSIDE))
    return max(1, min(fitting, int(cpus), MOST))


def configurations(space: Sequence[Hyperparameter], seed: int) -> list[Configuration]:
    """The default one and some at random."""
    rng = random.Random(seed)
    return [complete(space, {}), *(at_random(space, rng) for _ in range(SAMPLED))]


def measure(
    spec: SpaceSpec,
    tried: Sequence[Configuration],
    images: np.ndarray,
    labels: np.ndarray,
    dtype_policy: str,
    resources: TrialResources,
) -> Measured | None:
    """Train each configuration for some steps, in a process that has a GPU; None where memory cannot be read.

    A configuration that fails is left out; one that fails for want of memory takes all.
    """
    prepare_process(resources)
    total = _total()
    if total is None:
        return None
    spec.enter_folder()
    space = spec.create()
    for configuration in tried:
        with suppress(Exception):
            _train(space, configuration, images, labels, spec.task.classes, dtype_policy)
    peak = _peak()
    return Measured(total, peak) if peak else None


def _train(
    space: keras_tuner.HyperModel,
    configuration: Configuration,
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    dtype_policy: str,
) -> None:
    """Some steps of the last stage, in which most layers train, and a validation batch."""
    import keras

    from search_spaces.outputs import Outputs
    from search_spaces.space import VALIDATION_BATCH, SearchSpace, populated

    keras.config.set_dtype_policy(dtype_policy)
    hp = populated(configuration)
    space.declare_hyperparameters(hp)
    model = space.build(hp)
    if isinstance(space, SearchSpace):
        space.begin_stage(hp, model, len(space.stages(hp)) - 1)
    size = int(configuration.get("batch_size", 32))
    answers = Outputs.of(model, classes, images[:1]).targets(labels)
    model.fit(images[: STEPS * size], answers[: STEPS * size], batch_size=size, verbose=0)
    model.evaluate(images[:VALIDATION_BATCH], answers[:VALIDATION_BATCH], VALIDATION_BATCH, verbose=0)


def _total() -> float | None:
    """Bytes of this machine's smallest GPU."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    command = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(command, capture_output=True, text=True)
    sizes = [float(line) for line in done.stdout.split() if line.replace(".", "").isdigit()]
    return min(sizes) * 2**20 if sizes and done.returncode == 0 else None


def _peak() -> float | None:
    """The most bytes that the library has held on the GPU."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        statistics = jax.local_devices()[0].memory_stats() or {}
        return statistics.get("peak_bytes_in_use")
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"])
