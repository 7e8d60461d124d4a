"""Which precision to compute in: bfloat16 where this machine computes it faster, measured once and remembered."""

from __future__ import annotations

import json
import platform
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from results.paths import CACHE
from results.whole_file import write_text
from tuner.trial.resources import TrialResources, prepare_process

if TYPE_CHECKING:
    import keras

MEMORY = CACHE / "precision.json"
LEAST_GAIN = 1.1
"""How many times as fast bfloat16 must be: below it the digits are worth more."""
STEPS, ROUNDS = 4, 3
SIDE, BATCH = 32, 32


def dtype_policy(precision: str) -> str:
    """Keras's name for a precision."""
    return "mixed_bfloat16" if precision == "bfloat16" else "float32"


def fastest() -> str:
    """Either "bfloat16" or "float32": whichever this process trains a small convolutional network faster in.

    The training library must be ready to compute, with the threads and on the device that trials will have. Measuring
    takes some seconds, once for each processor or GPU and version of the library.
    """
    machine = _machine()
    known = _known()
    if machine not in known:
        known = {**known, machine: _measured()}
        with suppress(OSError):
            path = MEMORY.expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(known, indent=2))
    seconds = known[machine]
    return "bfloat16" if seconds["float32"] >= LEAST_GAIN * seconds["bfloat16"] else "float32"


def measured_here(resources: TrialResources) -> str:
    """`fastest` in a process that has not computed yet, with what a trial gets."""
    prepare_process(resources)
    return fastest()


def _known() -> dict[str, dict[str, float]]:
    try:
        found = json.loads(MEMORY.expanduser().read_text())
        return {machine: {name: float(seconds[name]) for name in ("float32", "bfloat16")}
                for machine, seconds in found.items()}  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # not there yet, or not ours: measure again
        return {}


def _machine() -> str:
    """What the measurement holds for: the device, and the library that computes."""
    import keras

    backend = keras.config.backend()
    if backend == "jax":
        import jax

        device, version = jax.devices()[0].device_kind, jax.__version__
    elif backend == "tensorflow":
        import tensorflow as tf

        gpus, version = tf.config.list_physical_devices("GPU"), tf.__version__
        device = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "cpu"
    else:
        device, version = "cpu", keras.__version__
    return f"{processor() if device.lower() == 'cpu' else device}, {backend} {version}"


def processor() -> str:
    """The processor's name, with what makes it compute bfloat16."""
    found: list[str] = []
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "flags")):
                found.append(line.partition(":")[2].strip())
            if len(found) == 2:
                # One name stands for several processors in a cloud.
                return " ".join([found[0], *(flag for flag in ("avx512_bf16", "amx_bf16") if flag in found[1].split())])
    return platform.processor() or platform.machine()


def _measured() -> dict[str, float]:
    """Seconds of a few training steps in each precision, in turn, the best of some rounds."""
    import numpy as np

    images = np.random.default_rng(0).normal(size=(BATCH, SIDE, SIDE, 3)).astype("float32")
    targets = np.zeros((BATCH, 10), "float32")
    models = {"float32": _model("float32"), "bfloat16": _model("mixed_bfloat16")}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + 1):
        for name, model in models.items():
            began = time.perf_counter()
            for _ in range(STEPS):
                model.train_on_batch(images, targets)
            if number:  # the first round traces
                seconds[name].append(time.perf_counter() - began)
    return {name: min(values) for name, values in seconds.items()}


def _model(policy: str) -> keras.Model:
    """Convolutions of 3x3 and 1x1 and batch normalization: what both spaces are made of."""
    import keras

    x = pixels = keras.Input((SIDE, SIDE, 3))
    for filters, size, strides in ((64, 3, 1), (64, 3, 2), (256, 1, 1), (128, 3, 2), (512, 1, 1)):
        x = keras.layers.Conv2D(filters, size, strides, padding="same", dtype=policy)(x)
        x = keras.layers.BatchNormalization(dtype=policy)(x)
        x = keras.layers.ReLU(dtype=policy)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=policy)(x)
    model = keras.Model(pixels, keras.layers.Dense(10, "softmax", dtype="float32")(x))
    model.compile("sgd", "categorical_crossentropy")
    return model
