"""What a model costs where it is used: how many parameters, how long a file, how long an image takes."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tuner.trial.frozen_prefix import unnamed
from tuner.trial.limits import Limits

CALLS = 7
"""Of which the fastest counts, after one that traces: what is slower was disturbed by the trials beside."""
IRRELEVANT = ("build_config", "kernel_initializer", "kernel_regularizer")
"""Settings of layers that change nothing about what an inference computes, beside those that `unnamed` leaves out."""
TRAINING_ONLY = ("Dropout", "Random", "RandAugment", "MixUp", "CutMix")
"""Layers whose class is named so do nothing in inference."""


class Footprints:
    """Measures models, each architecture once: trials that differ in rates only are not timed again.

    Args:
        image: one, as trials get them: (1, height, width, channels).
    """

    def __init__(self, image: np.ndarray, limits: Limits) -> None:
        self._image = image
        self._limits = limits
        self._latencies: dict[str, float] = {}

    def of(self, model: keras.Model) -> dict[str, float]:
        """ "parameters", "file_bytes" of its weights as they are saved, and "latency".

        The latency is of one image alone, in milliseconds, as `model.predict_on_batch` has it on this machine with the
        threads or the GPU of a trial, while others may run beside it.

        Raises:
            Infeasible: it is beyond a limit.
        """
        found: dict[str, float] = {"parameters": model.count_params()}
        self._limits.check(found)
        found["file_bytes"] = sum(int(np.prod(weight.shape)) * _bytes(weight.dtype) for weight in model.weights)
        found["latency"] = self._latency(model)
        self._limits.check(found)
        return found

    def _latency(self, model: keras.Model) -> float:
        architecture = _architecture(model)
        known = self._latencies.get(architecture) if architecture else None
        if known is not None:
            return known
        latency = _measured(model, self._image)
        if architecture:
            self._latencies[architecture] = latency
        return latency


def _measured(model: keras.Model, image: np.ndarray) -> float:
    model.predict_on_batch(image)
    seconds = []
    for _ in range(CALLS):
        began = time.perf_counter()
        model.predict_on_batch(image)
        seconds.append(time.perf_counter() - began)
    model.predict_function = None  # it would keep its graph
    return 1000 * min(seconds)


def _bytes(dtype: str) -> int:
    return np.dtype(np.float16 if dtype == "bfloat16" else dtype).itemsize


def _architecture(model: keras.Model) -> str | None:
    """A hash of what decides the time of an inference; None for a model that cannot say."""
    try:
        config = model.get_config()
    except NotImplementedError:  # a user's subclass without get_config
        return None
    parts = [part for layer in model._flatten_layers() for part in [layer, *getattr(layer, "operations", ())]]
    numbers: dict[str, int] = {}
    for part in parts:
        numbers.setdefault(part.name, len(numbers))
    text = json.dumps(_described(unnamed(config), numbers), sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()


def _described(config: Any, numbers: Mapping[str, int]) -> Any:
    """Without what is irrelevant, and with numbers for the names of layers and operations, which Keras counts up."""
    if isinstance(config, Mapping):
        kind = str(config.get("class_name", ""))
        is_idle = any(part in kind for part in TRAINING_ONLY)
        left = IRRELEVANT + (("config",) if is_idle else ())
        return {key: _described(value, numbers) for key, value in config.items() if key not in left}
    if isinstance(config, list | tuple):
        return [_described(value, numbers) for value in config]
    return numbers.get(config, config) if isinstance(config, str) else config
