"""CPUs, threads and GPU shares of one trial, and what a worker process has to set before it computes."""

import ctypes
import gc
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.paths import CACHE
from search_spaces.errors import UserError

JAX_CACHE = 10**9
"""Bytes of compiled programs that are kept; what was used longest ago makes room."""


@dataclass(frozen=True)
class TrialResources:
    """What one trial gets, and how many trials run at a time."""

    cpus: float
    gpus: float
    concurrency: int

    @property
    def threads(self) -> int:
        """Threads that a trial computes with: its CPUs, at least one."""
        return max(1, int(self.cpus))


def share_out(
    machines: Sequence[Mapping[str, float]],
    cpus: float | None,
    gpus: float | None,
    concurrency: int | None,
    trials: int,
) -> TrialResources:
    """Divide the resources of a cluster's machines, as Ray names them, among trials; none lies across two machines.

    By default each trial has one CPU; where there are GPUs, one GPU and an equal part of its machine's CPUs.
    `concurrency` caps the number of trials that run at a time.

    Raises:
        UserError: one trial asks for more than a machine has.
    """
    most_gpus = max((machine.get("GPU", 0.0) for machine in machines), default=0.0)
    gpus = min(1.0, most_gpus) if gpus is None else gpus
    where = "there are" if len(machines) == 1 else "the best machine has"
    if gpus > most_gpus:
        if not most_gpus:
            raise UserError(f"--gpus-per-trial {gpus:g}: no machine has a GPU that Ray sees; leave that option out")
        raise UserError(f"--gpus-per-trial {gpus:g}: {where} {most_gpus:g} GPUs; ask for at most that, or 0 for CPUs")
    fitting = [machine for machine in machines if _by_gpus(machine, gpus)]
    if cpus is None:
        cpus = 1.0 if not gpus else min(machine.get("CPU", 0.0) / _by_gpus(machine, gpus) for machine in fitting)
        cpus = math.floor(cpus) if cpus > 1 else cpus
    most_cpus = max((machine.get("CPU", 0.0) for machine in fitting), default=0.0)
    if cpus > most_cpus or not cpus:
        raise UserError(f"--cpus-per-trial {cpus:g}: {where} {most_cpus:g} CPUs; ask for at most that")
    slots = room(machines, cpus, gpus)
    return TrialResources(cpus, gpus, max(1, min(slots, concurrency or slots, trials)))


def room(machines: Sequence[Mapping[str, float]], cpus: float, gpus: float) -> int:
    """How many trials fit on such machines at a time."""
    return sum(
        int(min(machine.get("CPU", 0.0) / cpus + 1e-9, _by_gpus(machine, gpus)))
        for machine in machines
        if _by_gpus(machine, gpus)
    )


def _by_gpus(machine: Mapping[str, float], gpus: float) -> float:
    """A share lies on one GPU: two of 0.6 need two GPUs."""
    if not gpus:
        return math.inf
    there = machine.get("GPU", 0.0)
    return there // gpus if gpus >= 1 else math.floor(1 / gpus) * there


def prepare_process(resources: TrialResources) -> None:
    """Bound threads and GPU memory of this worker. To be called before the training library computes anything."""
    os.environ["OMP_NUM_THREADS"] = str(resources.threads)
    if not resources.gpus:  # Ray hides GPUs only from those who have a share of one
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
    # JAX reads these when it starts; TensorFlow is told below.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("NPROC", str(resources.threads))  # XLA's thread pool on processors
    # Trials that differ in rates and seeds have one graph, and many workers compile the same.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str((CACHE / "jax").expanduser()))
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(JAX_CACHE))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    import keras

    if keras.config.backend() != "tensorflow":
        return
    import tensorflow as tf

    for device in tf.config.list_physical_devices("GPU"):
        # Without it the first trial takes all of the GPU's memory and one that shares it gets none.
        tf.config.experimental.set_memory_growth(device, True)
    tf.config.threading.set_intra_op_parallelism_threads(resources.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def clear_process(is_thorough: bool) -> None:
    """Forget the models of the trial before, so that trial after trial this worker's memory stays as it is.

    Keras keeps its own state by thread, and each trial has one of its own. `is_thorough` makes TensorFlow forget its
    kernels too, as `keras.utils.clear_session` would: the next trial with a known graph takes half a second more, but
    those of models that are gone take half a megabyte a trial.
    """
    import keras

    if keras.config.backend() == "tensorflow":
        # TensorFlow (2.21) registers each custom gradient of a traced graph under a name of its own for ever, and with
        # it the graph; some 8 MB a trial were measured.
        from tensorflow.python.eager import context
        from tensorflow.python.framework import ops

        registry = ops.gradient_registry._registry
        for name in [name for name in registry if name.startswith("CustomGradient-")]:
            del registry[name]
        if is_thorough:
            context.context().clear_kernel_cache()
    gc.collect()
    # glibc keeps what lies free between what is used; models of very different sizes leave much of that.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
