"""What a training needs to go on in another process: its weights, optimizer and callbacks, as they were after an epoch.

Batches, their order and how they are mixed follow from the seed and the epoch, so nothing of them is kept. A checkpoint
is a NumPy archive of arrays; nothing in it is code.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tuner.trial.errors import TrialFailure

PLAIN = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Checkpoint:
    """A training after its epoch `epoch`."""

    epoch: int
    position: int
    """Keras's number of the next epoch, which is another than `epoch` once a stage has ended early."""
    results: Sequence[Mapping[str, Any]]
    """What was said of each epoch so far: whoever has to know may have been gone before it arrived."""
    variables: Mapping[int, np.ndarray]
    """Of the model, those that training has changed, by their place."""
    optimizer: Sequence[np.ndarray]
    """Empty where the next epoch begins with an optimizer of its own."""
    watchers: Sequence[Mapping[str, Any]]
    """What each of Keras's own callbacks has counted."""

    @classmethod
    def read(cls, file: Path) -> Checkpoint:
        """From a file.

        Raises:
            TrialFailure: it is missing or damaged.
        """
        try:
            with np.load(file, allow_pickle=False) as archive:
                about = json.loads(str(archive["about"]))
                variables = {int(name[1:]): archive[name] for name in archive.files if name.startswith("v")}
                optimizer = [archive[f"o{number}"] for number in range(about["optimizer"])]
            if len(about["results"]) != about["epoch"]:
                raise ValueError("not one result an epoch")
            return cls(about["epoch"], about["position"], about["results"], variables, optimizer, about["watchers"])
        except Exception as error:  # zipfile, zlib and NumPy have a dozen kinds for files that are not whole
            raise TrialFailure(f"{file} is no checkpoint, or a damaged one: {error}") from error

    def write(self, file: Path) -> None:
        """Into a file.

        Raises:
            OSError: it cannot be written.
        """
        about = {
            "epoch": self.epoch,
            "position": self.position,
            "results": list(map(dict, self.results)),
            "optimizer": len(self.optimizer),
            "watchers": list(self.watchers),
        }
        arrays = {f"v{place}": value for place, value in self.variables.items()}
        arrays |= {f"o{number}": value for number, value in enumerate(self.optimizer)}
        with file.open("wb") as out:
            np.savez(out, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]  # names are no options


class Changes:
    """Tells which variables of a model training has changed, without a copy of all of them.

    Args:
        model: as it was built.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._before = [_digest(variable) for variable in _variables(model)]

    def found(self) -> dict[int, np.ndarray]:
        """Those that differ from how they were at first, by their place."""
        values = [np.asarray(variable) for variable in _variables(self._model)]
        changed = zip(values, self._before, strict=True)
        return {place: value for place, (value, before) in enumerate(changed) if _digest(value) != before}

    def restore(self, variables: Mapping[int, np.ndarray]) -> None:
        """Put such values back.

        Raises:
            TrialFailure: they are of another model.
        """
        own = _variables(self._model)
        if not all(place < len(own) and own[place].shape == value.shape for place, value in variables.items()):
            raise TrialFailure("its checkpoint is of another model")
        for place, value in variables.items():
            own[place].assign(value)


def counted(callbacks: Sequence[keras.callbacks.Callback]) -> list[dict[str, Any]]:
    """What each of Keras's own callbacks keeps in plain attributes, such as how long the loss has not fallen."""
    return [
        {name: value for name, value in vars(callback).items() if isinstance(value, PLAIN)}
        for callback in _kerases(callbacks)
    ]


class Restore(keras.callbacks.Callback):
    """Puts optimizer and callbacks into a checkpoint's state when the first `fit` begins.

    It has to stand behind the callbacks, which forget what they have counted when a `fit` begins.

    Args:
        checkpoint: whose state.
        watchers: gives the callbacks of the `fit`.
    """

    def __init__(self, checkpoint: Checkpoint, watchers: Any) -> None:
        super().__init__()
        self._checkpoint: Checkpoint | None = checkpoint
        self._watchers = watchers

    def on_train_begin(self, logs: Any = None) -> None:
        """Once."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None or not checkpoint.optimizer:
            return
        optimizer = self.model.optimizer
        if not optimizer.built:
            optimizer.build(self.model.trainable_variables)
        if len(optimizer.variables) != len(checkpoint.optimizer):
            raise TrialFailure("its checkpoint is of another optimizer")
        for variable, value in zip(optimizer.variables, checkpoint.optimizer, strict=True):
            variable.assign(value)
        for callback, state in zip(_kerases(self._watchers()), checkpoint.watchers, strict=True):
            vars(callback).update(state)


def _kerases(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    return [one for one in callbacks if type(one).__module__.startswith("keras.")]


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Weights, and the states of what draws at random."""
    seeds = [generator.state for layer in model._flatten_layers() for generator in layer._seed_generators]
    return [*model.weights, *seeds]


def _digest(variable: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(np.asarray(variable)).tobytes())
