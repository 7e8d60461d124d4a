"""CPUs, threads and GPU shares of one trial, and what a worker process has to set before it computes."""

import ctypes
import gc
import math
import os
import sys
from collections.abc import Mapping
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
    available: Mapping[str, float], cpus: float | None, gpus: float | None, concurrency: int | None, trials: int
) -> TrialResources:
    """Divide Ray's resources (`ray.cluster_resources()`) among trials.

    By default each trial has one CPU; where there are GPUs, one GPU and an equal part of the CPUs. `concurrency` caps
    the number of trials that run at a time.

    Raises:
        UserError: one trial asks for more than there is.
    """
    all_cpus, all_gpus = available.get("CPU", 0.0), available.get("GPU", 0.0)
    gpus = min(1.0, all_gpus) if gpus is None else gpus
    if gpus > all_gpus:
        raise UserError(f"--gpus-per-trial {gpus:g}: there are {all_gpus:g} GPUs; ask for at most that, or 0 for CPUs")
    # A share lies on one GPU: two of 0.6 need two GPUs.
    gpu_slots = math.inf if not gpus else all_gpus // gpus if gpus >= 1 else math.floor(1 / gpus) * all_gpus
    if cpus is None:
        cpus = 1.0 if not gpus else all_cpus / gpu_slots
        cpus = math.floor(cpus) if cpus > 1 else cpus
    if cpus > all_cpus:
        raise UserError(f"--cpus-per-trial {cpus:g}: there are {all_cpus:g} CPUs; ask for at most that")
    slots = int(min(all_cpus / cpus + 1e-9, gpu_slots))
    return TrialResources(cpus, gpus, max(1, min(slots, concurrency or slots, trials)))


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
