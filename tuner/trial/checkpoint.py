"""What a training needs to go on in another process: what its `fit` has done, its weights, optimizer and callbacks.

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


@dataclass(frozen=True)
class Checkpoint:
    """A training after its epoch `epoch`."""

    epoch: int
    results: Sequence[Mapping[str, Any]]
    """What was said of each epoch so far: whoever has to know may have been gone before it arrived."""
    calls: Sequence[Mapping[str, Any]] = ()
    """Each `model.fit` so far (see `Call`)."""
    variables: Mapping[int, np.ndarray] | None = None
    """Of the model, those that training has changed, by their place."""
    optimizer: Sequence[np.ndarray] = ()
    states: Sequence[Any] = ()
    """Of each callback of the latest `fit` what cannot be told from the epochs' metrics; its arrays are in `arrays`."""
    arrays: Sequence[np.ndarray] = ()
    obstacle: str = ""
    """Why the training cannot go on from here but has to begin anew, if it has to."""

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
                optimizer, arrays = (
                    [archive[f"{kind}{number}"] for number in range(about[name])]
                    for kind, name in (("o", "optimizer"), ("s", "arrays"))
                )
            if len(about["results"]) != about["epoch"]:
                raise ValueError("not one result an epoch")
            return cls(
                about["epoch"], about["results"], about["calls"], variables, optimizer, about["states"], arrays,
                about["obstacle"],
            )  # fmt: skip
        except Exception as error:  # zipfile, zlib and NumPy have a dozen kinds for files that are not whole
            raise TrialFailure(f"{file} is no checkpoint, or a damaged one: {error}") from error

    def write(self, file: Path) -> None:
        """Into a file.

        Raises:
            OSError: it cannot be written.
        """
        about = {
            "epoch": self.epoch,
            "results": list(map(dict, self.results)),
            "calls": list(map(dict, self.calls)),
            "optimizer": len(self.optimizer),
            "states": list(self.states),
            "arrays": len(self.arrays),
            "obstacle": self.obstacle,
        }
        arrays = {f"v{place}": value for place, value in (self.variables or {}).items()}
        arrays |= {f"o{number}": value for number, value in enumerate(self.optimizer)}
        arrays |= {f"s{number}": value for number, value in enumerate(self.arrays)}
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

    def in_weights(self, weights: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
        """Of such a copy of the weights, what differs from how they were at first, or from how they are now."""
        now = self.found()
        numbered = enumerate(zip(weights, self._before, strict=False))
        return {place: value for place, (value, before) in numbered if place in now or _digest(value) != before}

    @property
    def is_of_other_variables(self) -> bool:
        """Whether the model has been given other layers since."""
        return len(_variables(self._model)) != len(self._before)

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


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Weights, and the states of what draws at random."""
    seeds = [generator.state for layer in model._flatten_layers() for generator in layer._seed_generators]
    return [*model.weights, *seeds]


def _digest(variable: Any) -> int:
    return zlib.crc32(np.ascontiguousarray(np.asarray(variable)).tobytes())
