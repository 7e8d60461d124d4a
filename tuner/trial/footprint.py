"""What a model costs where it is used: how many parameters, how long a file, how long an image takes."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tuner.trial.frozen_prefix import unnamed
from tuner.trial.latency import Latency, LatencyMeter, reference_network
from tuner.trial.limits import Limits

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
        self._latencies: dict[str, Latency] = {}
        self._meter: LatencyMeter | None = None

    def of(self, model: keras.Model) -> dict[str, float]:
        """ "parameters", "file_bytes" of its weights as they are saved, "latency" and "latency_spread".

        The latency is of one image alone, in milliseconds, as `model.predict_on_batch` has it on this machine with the
        threads or the GPU of a trial; what the trials beside it slow down is taken off (see `Latency`).

        Raises:
            Infeasible: it is beyond a limit.
        """
        found: dict[str, float] = {"parameters": model.count_params()}
        self._limits.check(found)
        found["file_bytes"] = sum(int(np.prod(weight.shape)) * _bytes(weight.dtype) for weight in model.weights)
        latency = self._latency(model)
        found |= {"latency": latency.milliseconds, "latency_spread": latency.spread}
        self._limits.check(found)
        return found

    def _latency(self, model: keras.Model) -> Latency:
        architecture = _architecture(model)
        known = self._latencies.get(architecture) if architecture else None
        if known is not None:
            return known
        model.predict_on_batch(self._image)  # it is traced
        self._meter = self._meter or LatencyMeter(reference_network())
        latency = self._meter.measure(lambda: model.predict_on_batch(self._image))
        model.predict_function = None  # it would keep its graph
        if architecture:
            self._latencies[architecture] = latency
        return latency


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
